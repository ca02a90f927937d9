/* SPDX-License-Identifier: MIT */
/* broadcast.c: the broadcast server: events come by HTTP and go to all who listen. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "engine.h"
#include "graphite.h"
#include "notify.h"
#include "pace.h"
#include "pages.h"
#include "process.h"
#include "server.h"

enum {
  BODY_BYTES_MAX = 1024 * 1024, /* of a request: an event of 256 KiB, escaped, or many small ones */
  PAUSE_LEAST_MS = 100,         /* between two attempts to open the engine */
  PAUSE_MOST_MS = 3000
};

static const struct httpd_route routes[] = {
    {"GET", "/", subscribe},
    {"POST", "/", subscribe},
    {"QUERY", "/", subscribe},
    {"OPTIONS", "/", answer_preflight},
    {"GET", "/stream", subscribe},
    {"POST", "/stream", subscribe},
    {"QUERY", "/stream", subscribe},
    {"OPTIONS", "/stream", answer_preflight},
    {"GET", "/poll", poll_events},
    {"POST", "/poll", poll_events},
    {"QUERY", "/poll", poll_events},
    {"OPTIONS", "/poll", answer_preflight},
    {"POST", "/publish", publish_events},
    {"OPTIONS", "/publish", answer_preflight},
    {"POST", "/subscribe", change_subscriptions},
    {"OPTIONS", "/subscribe", answer_preflight},
    {"POST", "/unsubscribe", end_subscriptions},
    {"OPTIONS", "/unsubscribe", answer_preflight},
    {"POST", "/disconnect", disconnect_tag},
    {"POST", "/finish", finish_channel},
    {"GET", "/position", tell_position},
    {"GET", "/channels", tell_channels},
    {"GET", "/presence", tell_presence},
    {"GET", "/stats", tell_stats},
    {"GET", "/metrics", tell_metrics},
    {"GET", "/health/live", tell_live},
    {"GET", "/health/ready", tell_ready},
    {NULL, NULL, NULL},
};

/* ---- The engine ---- */

/* "sqlite:FILE" is a kind and a place; of a URL the scheme is the kind, and all of it the place. */
static const struct engine_kind *kind_of(const char *engine, const char **where) {
  char name[32];
  size_t len = strcspn(engine, ":");
  const char *colon = engine[len] == ':' ? engine + len : NULL;
  *where = NULL;
  if (colon && colon[1] != '\0') *where = strncmp(colon, "://", 3) == 0 ? engine : colon + 1;
  const struct engine_kind *kind = NULL;
  if (len < sizeof name) {
    memcpy(name, engine, len);
    name[len] = '\0';
    kind = engine_find(name);
  }
  if (!kind) {
    fprintf(stderr, "broadcast: --engine %.*s: this program has no such engine; see --version\n",
            (int)len, engine);
    exit(2);
  }
  return kind;
}

/* Of a URL only the scheme, since it may have a password. */
static void say_problem(const struct server *server, const char *problem, const char *more) {
  const char *where, *engine = server->options->engine;
  kind_of(engine, &where);
  fprintf(stderr, "broadcast: --engine %.*s: %s%s\n",
          (int)(where == engine ? strcspn(engine, ":") : strlen(engine)), engine, problem, more);
}

/* The engine is started after that; or there is none, and `problem` says why. 0 or an error. */
static int try_engine(struct server *server, char problem[ENGINE_PROBLEM_MAX]) {
  const struct options *options = server->options;
  const sse_hub_config hub = {.heartbeat_ms = options->heartbeat_ms,
                              .finished_type = "finished",
                              .occupancy = roster_note,
                              .occupancy_arg = server->roster};
  struct engine_config config = {
      .hub = &hub, .prepare = limits_prepare, .prepare_arg = server->limits, .seen = control_seen};
  const struct engine_kind *kind = kind_of(options->engine, &config.where);
  int error = engine_open(&server->engine, kind, &config, problem);
  if (error) return error;
  server->hub = engine_hub(server->engine);
  error = engine_start(server->engine);
  if (!error) return 0;
  struct engine_status status;
  engine_status(server->engine, &status);
  memcpy(problem, status.problem, sizeof status.problem);
  engine_free(server->engine);
  server->engine = NULL;
  return error;
}

/* A log that is away is waited for, as --wait-for-engine says. 0; or -1 after a line on stderr. */
static int open_engine(struct server *server) {
  char problem[ENGINE_PROBLEM_MAX];
  int64_t until_ns = pace_now_ns() + (int64_t)server->options->wait_ms * 1000000;
  int pause_ms = PAUSE_LEAST_MS, has_said = 0, error;
  while ((error = try_engine(server, problem))) {
    int64_t left_ms = (until_ns - pace_now_ns()) / 1000000;
    if (error != ENGINE_ELOG || left_ms <= 0) break;
    if (!has_said) say_problem(server, problem, "; waiting for it");
    has_said = 1;
    poll(NULL, 0, left_ms < pause_ms ? (int)left_ms : pause_ms);
    pause_ms = pause_ms < PAUSE_MOST_MS / 2 ? 2 * pause_ms : PAUSE_MOST_MS;
  }
  if (error) say_problem(server, problem, "");
  return error ? -1 : 0;
}

/* ---- The program ---- */

static int set_access(struct server *server, struct options *options) {
  struct access_lists lists = {.secrets = options->secrets.items,
                               .signing = options->signing.items,
                               .origins = options->origins.items,
                               .keys = options->keys};
  int error = access_set(server->access, &lists);
  options->keys = lists.keys;
  return error;
}

/* What a reload would open to everyone; NULL: nothing. */
static const char *who_could(const struct server *server, const struct options *options) {
  unsigned before = access_kinds(server->access), after = 0;
  if (options->secrets.count > 0) after |= ACCESS_SECRET;
  if (options->keys.count > 0) after |= ACCESS_TOKEN;
  if (options->signing.count > 0) after |= ACCESS_SIGNED;
  const unsigned publish = ACCESS_SECRET | ACCESS_TOKEN, listen = ACCESS_TOKEN | ACCESS_SIGNED;
  if ((before & publish) && !(after & publish)) return "anyone could publish";
  return (before & listen) && !(after & listen) ? "anyone could subscribe" : NULL;
}

/* For SIGHUP: the log file, secrets, keys, origins and limits. All else needs a restart. */
static void reload_all(struct server *server) {
  struct options options;
  if (server->options->log_file) process_log(server->options->log_file);
  if (options_try(&options, server->argc, server->argv) != 0) {
    fputs("broadcast: nothing is reloaded\n", stderr);
    return;
  }
  const char *who = who_could(server, &options);
  if (who) {
    fprintf(stderr, "broadcast: nothing is reloaded: %s; that needs a restart\n", who);
    options_free(&options);
    return;
  }
  int error = set_access(server, &options);
  if (!error) limits_set(server->limits, &options.limits);
  fputs(error ? "broadcast: out of memory\n"
              : "broadcast: secrets, origins and limits are reloaded\n",
        stderr);
  options_free(&options);
}

static void reload(void *arg) {
  notify_reloading();
  reload_all(arg);
  notify_send("READY=1");
}

static void say_stopping(void *arg) {
  (void)arg;
  notify_send("STOPPING=1");
}

static struct httpd *listen_on(struct server *server) {
  const struct options *options = server->options;
  return httpd_new(&(struct httpd_config){.name = "broadcast",
                                          .hub = server->hub,
                                          .listen = options->listen,
                                          .port = options->port,
                                          .threads = (unsigned)options->threads,
                                          .hosts = options->hosts.items,
                                          .routes = routes,
                                          .pages = pages,
                                          .pages_count = pages_count,
                                          .arg = server,
                                          .body_max_bytes = BODY_BYTES_MAX,
                                          .hangup = reload,
                                          .stopping = say_stopping,
                                          .drain_ms = options->drain_ms});
}

/* Says that it is ready, and serves to the end. */
static int run(struct server *server, struct httpd *httpd) {
  struct graphite *graphite;
  struct watchdog *watchdog;
  if (watchdog_start(&watchdog, httpd_url(httpd)) != 0) return -1;
  if (graphite_start(&graphite, server) != 0) {
    watchdog_stop(watchdog);
    return -1;
  }
  printf("broadcast: listening on %s\n", httpd_url(httpd));
  fflush(stdout);
  process_ready(server->options->log_file != NULL);
  notify_send("READY=1");
  int result = httpd_run(httpd);
  watchdog_stop(watchdog);
  graphite_stop(graphite);
  return result;
}

static int serve(struct server *server, const struct process_user *user) {
  const char *pid_file = server->options->pid_file;
  struct httpd *httpd = NULL;
  int result = -1;
  if (open_engine(server) == 0 && process_act_as_root(user) == 0) httpd = listen_on(server);
  if (httpd && (!pid_file || process_write_pid(pid_file) == 0) && process_become(user) == 0)
    result = run(server, httpd);
  if (httpd && pid_file) unlink(pid_file);
  /* It answers publishers that are still waiting; the host drops these answers. */
  if (server->engine) engine_stop(server->engine);
  httpd_free(httpd);
  int error = engine_free(server->engine);
  if (error) fprintf(stderr, "broadcast: cannot free the hub: %s\n", sse_error_text(error));
  return error ? -1 : result;
}

/* The engine's files and the log are the user's from the start; only the port needs root. */
static int begin(struct server *server) {
  const struct options *options = server->options;
  struct process_user *user = NULL;
  int result = -1;
  if (process_find_user(&user, options->user, options->group) == 0 && process_act_as(user) == 0 &&
      (!options->log_file || process_log(options->log_file) == 0))
    result = serve(server, user);
  free(user);
  return result;
}

int main(int argc, char **argv) {
  struct options options;
  const char *where;
  options_read(&options, argc, argv);
  kind_of(options.engine, &where); /* an engine that is missing is said to the terminal */
  if (options.daemon && process_daemonize() != 0) return 1;
  struct server server = {.options = &options,
                          .roster = roster_new(),
                          .access = access_new(),
                          .limits = limits_new(),
                          .argc = argc,
                          .argv = argv};
  int result = -1;
  if (!server.roster || !server.access || !server.limits || set_access(&server, &options) != 0) {
    fputs("broadcast: out of memory\n", stderr);
  } else {
    limits_set(server.limits, &options.limits);
    result = begin(&server);
  }
  limits_free(server.limits);
  roster_free(server.roster);
  access_free(server.access);
  options_free(&options);
  return result == 0 ? 0 : 1;
}
