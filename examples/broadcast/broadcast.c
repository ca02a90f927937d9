/* SPDX-License-Identifier: MIT */
/* broadcast.c: the broadcast server: events come by HTTP and go to all who listen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "server.h"

enum {
  BODY_BYTES_MAX = 1024 * 1024 /* of a request: an event of 256 KiB, escaped, or many small ones */
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
  if (colon) *where = strncmp(colon, "://", 3) == 0 ? engine : colon + 1;
  const struct engine_kind *kind = NULL;
  if (len < sizeof name) {
    memcpy(name, engine, len);
    name[len] = '\0';
    kind = engine_find(name);
  }
  if (!kind) {
    fprintf(stderr, "broadcast: --engine %s: this program has no such engine; see --version\n",
            engine);
    exit(2);
  }
  return kind;
}

static int configure_channels(const struct options *options, sse_hub *hub) {
  for (size_t i = 0; i < options->conflated.count; i++) {
    int error = sse_hub_configure_channel(hub, options->conflated.items[i],
                                          &(sse_channel_config){.conflate = SSE_YES});
    if (!error) continue;
    fprintf(stderr, "broadcast: --conflate %s: %s\n", options->conflated.items[i],
            sse_error_text(error));
    return -1;
  }
  return 0;
}

/* The engine is open after that, but for a failure. 0 or -1. */
static int open_engine(struct server *server) {
  const struct options *options = server->options;
  char problem[ENGINE_PROBLEM_MAX];
  const sse_hub_config hub = {.heartbeat_ms = options->heartbeat_ms,
                              .occupancy = roster_note,
                              .occupancy_arg = server->roster};
  struct engine_config config = {.hub = &hub};
  const struct engine_kind *kind = kind_of(options->engine, &config.where);
  if (engine_open(&server->engine, kind, &config, problem) == 0) {
    struct engine_status status;
    server->hub = engine_hub(server->engine);
    if (configure_channels(options, server->hub) != 0) return -1;
    if (engine_start(server->engine) == 0) return 0;
    engine_status(server->engine, &status);
    memcpy(problem, status.problem, sizeof problem);
  }
  fprintf(stderr, "broadcast: --engine %s: %s\n", options->engine, problem);
  return -1;
}

/* ---- The program ---- */

static int write_pid(const char *path) {
  FILE *file = fopen(path, "w");
  if (file && fprintf(file, "%ld\n", (long)getpid()) > 0 && fclose(file) == 0) return 0;
  fprintf(stderr, "broadcast: --pid-file %s: cannot be written\n", path);
  return -1;
}

static int serve(struct server *server) {
  const struct options *options = server->options;
  struct httpd *httpd = httpd_new(&(struct httpd_config){.name = "broadcast",
                                                         .hub = server->hub,
                                                         .listen = options->listen,
                                                         .port = options->port,
                                                         .threads = (unsigned)options->threads,
                                                         .hosts = options->hosts.items,
                                                         .routes = routes,
                                                         .arg = server,
                                                         .body_max_bytes = BODY_BYTES_MAX,
                                                         .drain_ms = options->drain_ms});
  if (!httpd) return -1;
  int result = options->pid_file ? write_pid(options->pid_file) : 0;
  if (result == 0) {
    printf("broadcast: listening on %s\n", httpd_url(httpd));
    fflush(stdout);
    result = httpd_run(httpd);
  }
  if (options->pid_file) unlink(options->pid_file);
  /* It answers publishers that are still waiting; the host drops these answers. */
  engine_stop(server->engine);
  httpd_free(httpd);
  return result;
}

int main(int argc, char **argv) {
  struct options options;
  options_read(&options, argc, argv);
  struct server server = {.options = &options, .roster = roster_new(), .access = access_new()};
  int result = -1;
  if (!server.roster || !server.access ||
      access_set(server.access, options.secrets.items, options.origins.items) != 0)
    fputs("broadcast: out of memory\n", stderr);
  else if (open_engine(&server) == 0)
    result = serve(&server);
  int error = engine_free(server.engine);
  if (error) fprintf(stderr, "broadcast: cannot free the hub: %s\n", sse_error_text(error));
  roster_free(server.roster);
  access_free(server.access);
  options_free(&options);
  return result == 0 && error == 0 ? 0 : 1;
}
