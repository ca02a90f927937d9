/* SPDX-License-Identifier: MIT */
/* app.h: the application that every host serves: options, a hub, a ticker thread, an orderly end.
 */
#ifndef APP_H
#define APP_H

#include <stddef.h>

#include <sse/sse.h>

/*
 * What does not differ between hosts stands here, so that each host's file shows only how that host
 * and libsse meet. Every program takes the same options, serves the same two paths, and is held to
 * the same tests:
 *
 *   - GET /stream?channel=a&channel=b is the stream, resumed by Last-Event-ID; without a channel it
 *     is that of "tick";
 *   - POST /publish?channel=a publishes the body as one event and gives 204.
 *
 * HEAD of the stream gives its headers, OPTIONS of both gives 204 with Allow, and any other method
 * gives 405 with Allow.
 */

#define APP_CHANNELS_MAX 16
#define APP_BODY_MAX     (64 * 1024) /* longest body of a publish; over it: 413 */
#define APP_PAUSE_MS     50          /* after an accept that failed, until the next one */

struct app {
  const char *name; /* of the program */
  sse_hub *hub;
  int port;                       /* asked for; 0: any */
  int32_t heartbeat_ms, stall_ms; /* of the hub */
  int stop_fd;                    /* readable once the program shall end (SIGINT, SIGTERM) */
};

/*
 * Reads the options, blocks SIGINT and SIGTERM in this and all later threads, ignores SIGPIPE,
 * makes the hub and starts a thread that publishes "1", "2", ... to the channel "tick" and runs the
 * hub's timers. Ends the program on bad options. They are:
 *
 *   - --port N: 8080; 0 is any;
 *   - --tick-ms N: 1000; 0 is no ticks;
 *   - --ticks N: the ticks begin with the first client, and after N of them the channel is finished,
 *     which ends its streams; 0 is no end;
 *   - --streams-max N: of the hub; the library's default;
 *   - --heartbeat-ms N, --stall-ms N, --window-bytes N: the library's defaults;
 *   - --help.
 */
void app_start(struct app *app, int argc, char **argv);

/* Says on standard output, in one line, where the host listens: the tests and people read it. */
void app_listening(const struct app *app, int port);

/* Ends the ticker; to be called before the host's last streams are freed. */
void app_stop_ticker(struct app *app);

/*
 * Frees the hub, after the host's streams and loops, and gives the exit status: 0; 1 if something
 * of the host's was not freed, and then it says so.
 */
int app_end(struct app *app);

/* The channels that a query string asks for, percent-decoded: what sse_stream_config.channels
 * takes. */
struct app_channels {
  const char *list[APP_CHANNELS_MAX + 1]; /* ended by NULL */
  char text[1024];
};

/* Reads them; query may be NULL. 0, or the HTTP status to refuse it with (400). */
int app_channels(struct app_channels *channels, const char *query);

/* What app_route returns if the request is not yet dealt with. */
enum {
  APP_STREAM, /* open a stream with the channels */
  APP_PUBLISH /* call app_publish with the body */
};

/*
 * What becomes of a request. Else it is the status of an answer without a body, with the headers
 * that app_headers gives: 200 for HEAD of the stream, 204 for OPTIONS, 400, 404, 405. path is
 * without the query, which may be NULL. The channels are read for the stream only.
 */
int app_route(const char *method, const char *path, const char *query,
              struct app_channels *channels);

/* Gives the headers of such an answer, those of its framing excepted. path may be NULL. 0, or not
 * 0 if add failed. */
int app_headers(int status, const char *path, sse_http_header_fn *add, void *arg);

/* Publishes a body to the first channel of a query. The HTTP status: 204, 400, 413 or 503. */
int app_publish(struct app *app, const char *query, const void *body, size_t len);

/*
 * How many connections a host may have, for servers that try to accept again and again, with all of
 * a processor, when there is no descriptor left: wanted, or as many as there are descriptors for.
 */
int app_conns_max(int wanted);

/* Opens a stand-alone TCP listener on 127.0.0.1 for hosts that bring none; its port in *port. Exits
   on failure with one line. */
int app_listen(const struct app *app, int *port);

#endif
