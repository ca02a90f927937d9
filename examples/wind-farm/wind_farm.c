/* SPDX-License-Identifier: MIT */
/* wind_farm.c: the newest reading of each turbine, on channels joined and left while it streams. */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "farm.h"
#include "httpd.h"
#include "options.h"
#include "pages.h"

enum {
  THREADS_MAX = 64,
  CHANNELS_MAX = 1 + FARM_SITES + 1, /* the notices, the sites, and the NULL that ends the list */
  SESSION_MIN = 16,                  /* characters of a session's name */
  SESSION_MAX = 64
};

struct options {
  const char *listen, *port;
  unsigned threads;
  struct farm_config farm;
};

static const char usage[] =
    "Usage: wind-farm [OPTION]...\n"
    "Streams the newest reading of each of twelve wind turbines to browsers, site by site.\n"
    "\n"
    "  --listen ADDRESS    address to listen on (127.0.0.1)\n"
    "  --port PORT         port to listen on; 0: any that is free (5000)\n"
    "  --interval SECONDS  time between two readings of a turbine, 0.001 to 3600 (0.25)\n"
    "  --service SECONDS   time between two turbines' going out for service, 0.1 to 3600 (16)\n"
    "  --threads N         threads that serve, 1 to 64 (1)\n"
    "  --help              show this and exit\n";

/* ---- HTTP ---- */

/*
 * A page names its session itself, at random, in the address of its stream and in its requests to
 * join and to leave. Whoever knows the name can change what that page gets, so it is long, and no
 * event has it. A program with logins would take its own session's name instead.
 *
 * The server keeps nothing about a session: joins end with the stream. A page that reconnects comes
 * back with the channels in its stream's address, and then asks for what it has joined since.
 */
static int is_session(const char *name) {
  size_t len = strspn(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
  return name[len] == '\0' && len >= SESSION_MIN && len <= SESSION_MAX;
}

/* The site of that name, or NULL: no request may name any other channel. */
static const char *find_site(const char *name) {
  for (size_t i = 0; i < FARM_SITES; i++)
    if (strcmp(farm_sites[i], name) == 0) return farm_sites[i];
  return NULL;
}

static void refuse(struct httpd_conn *conn, const char *why) {
  httpd_reply(conn, &(struct httpd_response){.status = 400, .text = why});
}

/* Adds the sites that the query names; 0 if one is no site, or is there twice. */
static int read_channels(const char **channels, const struct request *request) {
  for (size_t i = 0; i < request->params_count; i++) {
    if (strcmp(request->params[i].name, "channel") != 0) continue;
    const char *site = find_site(request->params[i].value);
    size_t count = 0;
    while (channels[count] && channels[count] != site) count++;
    if (!site || channels[count]) return 0;
    channels[count] = site;
  }
  return 1;
}

/* GET /stream/?session=NAME&channel=SITE&channel=SITE: the notices, and the sites named. */
static void stream(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  const char *session = request_param(request, "session");
  const char *channels[CHANNELS_MAX] = {farm_notices};
  if (!read_channels(channels, request)) {
    refuse(conn, "A channel is one of the sites, and none twice.\n");
    return;
  }
  if (session && !is_session(session)) {
    refuse(conn, "A session has 16 to 64 letters, digits and hyphens.\n");
    return;
  }
  httpd_stream(conn, request, &(sse_stream_config){.channels = channels, .tag = session});
}

/* How many streams it was done to; a page whose stream is not open, or not yet, sees none. */
static void reply_streams(struct httpd_conn *conn, int streams) {
  char text[32];
  if (streams < 0) {
    fprintf(stderr, "wind-farm: cannot join or leave: %s\n", sse_error_text(streams));
    httpd_reply(conn, &(struct httpd_response){.status = 503});
    return;
  }
  snprintf(text, sizeof text, "{\"streams\":%d}\n", streams);
  httpd_reply(conn, &(struct httpd_response){.status = streams > 0 ? 200 : 404,
                                             .type = "application/json",
                                             .text = text});
}

/* The session and the site of POST /join and /leave; 0 after a refusal. */
static int read_change(struct httpd_conn *conn, const struct request *request, const char **session,
                       const char **site) {
  const char *channel = request_param(request, "channel");
  *session = request_param(request, "session");
  *site = channel ? find_site(channel) : NULL;
  if (*session && is_session(*session) && *site) return 1;
  refuse(conn, "A session and one of the sites are wanted.\n");
  return 0;
}

/* Of a conflated channel the state comes first, here the site's newest readings; then live ones. */
static void join(struct httpd_conn *conn, const struct request *request, void *arg) {
  const char *session, *site;
  if (read_change(conn, request, &session, &site))
    reply_streams(conn, sse_hub_subscribe(arg, session, site, 0));
}

static void leave(struct httpd_conn *conn, const struct request *request, void *arg) {
  const char *session, *site;
  if (read_change(conn, request, &session, &site))
    reply_streams(conn, sse_hub_unsubscribe(arg, session, site));
}

static const struct httpd_route routes[] = {
    {"GET", "/stream/", stream},
    {"POST", "/join", join},
    {"POST", "/leave", leave},
    {NULL, NULL, NULL},
};

/* ---- Options ---- */

static const char program[] = "wind-farm";

static int64_t seconds_ns(const char *option, double min, const char *wanted) {
  return (int64_t)(1e9 * option_number(program, option, min, 3600, wanted));
}

static void parse_options(struct options *options, int argc, char **argv) {
  static const struct option names[] = {{"listen", required_argument, NULL, 'l'},
                                        {"port", required_argument, NULL, 'p'},
                                        {"interval", required_argument, NULL, 'i'},
                                        {"service", required_argument, NULL, 's'},
                                        {"threads", required_argument, NULL, 't'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  int option, index = 0;
  while ((option = getopt_long(argc, argv, "", names, &index)) != -1) {
    switch (option) {
    case 'l':
      options->listen = optarg;
      break;
    case 'p':
      option_whole_number(program, "port", 0, 65535, "a port is a number from 0 to 65535");
      options->port = optarg;
      break;
    case 'i':
      options->farm.interval_ns =
          seconds_ns("interval", 0.001, "an interval is 0.001 to 3600 seconds");
      break;
    case 's':
      options->farm.service_ns =
          seconds_ns("service", 0.1, "a service is due every 0.1 to 3600 seconds");
      break;
    case 't':
      options->threads = option_whole_number(program, "threads", 1, THREADS_MAX, "1 to 64 threads");
      break;
    case 'h':
      fputs(usage, stdout);
      exit(0);
    default:
      fputs("See wind-farm --help.\n", stderr);
      exit(2);
    }
  }
  if (optind < argc) {
    fprintf(stderr, "wind-farm: unexpected argument: %s; see --help\n", argv[optind]);
    exit(2);
  }
}

/* ---- The program ---- */

static int serve(const struct options *options, sse_hub *hub) {
  struct httpd *httpd = httpd_new(&(struct httpd_config){.name = "wind-farm",
                                                         .hub = hub,
                                                         .listen = options->listen,
                                                         .port = options->port,
                                                         .threads = options->threads,
                                                         .routes = routes,
                                                         .pages = pages,
                                                         .pages_count = pages_count,
                                                         .arg = hub});
  if (!httpd) return 1;
  struct farm *farm = farm_start(hub, &options->farm);
  int result = -1;
  if (farm) {
    printf("wind-farm: listening on %s\n", httpd_url(httpd));
    fflush(stdout);
    result = httpd_run(httpd);
    farm_stop(farm);
  }
  httpd_free(httpd);
  return result == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  struct options options = {.listen = "127.0.0.1",
                            .port = "5000",
                            .threads = 1,
                            .farm = {.interval_ns = INT64_C(250) * 1000 * 1000,
                                     .service_ns = INT64_C(16) * 1000 * 1000 * 1000}};
  parse_options(&options, argc, argv);
  sse_hub *hub;
  int error = sse_hub_new(&hub, NULL);
  if (error) {
    fprintf(stderr, "wind-farm: cannot make the hub: %s\n", sse_error_text(error));
    return 1;
  }
  int status = serve(&options, hub);
  error = sse_hub_free(hub);
  if (error) fprintf(stderr, "wind-farm: cannot free the hub: %s\n", sse_error_text(error));
  return error ? 1 : status;
}
