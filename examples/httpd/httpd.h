/* SPDX-License-Identifier: MIT */
/* httpd.h: the tiny HTTP/1.1 host that the demos share. */
#ifndef HTTPD_H
#define HTTPD_H

#include <sse/sse.h>

#include "request.h"

/*
 * A host is: the main thread, which accepts connections and waits for SIGINT and SIGTERM, and one
 * or more worker threads, each with its poller, its sse_loop and its share of the connections. A
 * connection stays with its worker for life, so nothing of it needs a lock. Streams live for
 * hours: the acceptor therefore hands each connection to the worker that has the fewest. With
 * SO_REUSEPORT or a listening socket in every poller the kernel would choose, by a hash or by who
 * wakes first, and the former would also let a second program take the same port unnoticed.
 */
struct httpd;
struct httpd_conn;
struct page; /* page.h */

/*
 * Answers one request, by exactly one call of httpd_reply, httpd_stream, httpd_defer or a successful
 * httpd_collect before it returns. It runs on a worker's thread, with others at the same time if
 * there are several, and must not block: all connections of the worker wait for it. The request is
 * valid until it returns.
 */
typedef void httpd_handler(struct httpd_conn *conn, const struct request *request, void *arg);

/* GET also answers HEAD: the host leaves out the body. OPTIONS without its own route gives 204
 * and the methods, and any other method 405 and the methods. */
struct httpd_route {
  const char *method, *path; /* the path exactly; a list of routes ends with a NULL path */
  httpd_handler *handler;
};

/* Zero is the default of every member except name and hub. All is borrowed until httpd_free. */
struct httpd_config {
  const char *name;          /* of the program, for messages */
  sse_hub *hub;              /* whose streams are served */
  const char *listen, *port; /* "127.0.0.1", "5000"; port "0": any that is free */
  unsigned threads;          /* workers; 1 */
  const char *const *hosts; /* names without a port that it answers to, a list ended by NULL; to any
                               other it answers 421, so that a page of another site cannot reach it
                               by a name that it has pointed here (DNS rebinding); NULL: any */
  const struct httpd_route *routes; /* looked at before the pages */
  const struct page *pages;
  size_t pages_count;
  void *arg;             /* passed to handlers */
  size_t body_max_bytes; /* of a request; 64 KiB */
  int request_ms;        /* from the first byte of a request to its last; 10,000 */
  int idle_ms;           /* between two requests; 30,000 */
  int send_ms;           /* for the client to take a response; 30,000 */
  int linger_ms;         /* events may wait so long, to go out with later ones; 0 */
  /* At the end: the time over which streams end gently (sse_hub_drain), while requests of open
   * connections are still answered; 0: they end at once. */
  int drain_ms;
  /* Called for SIGHUP, on the thread of httpd_run; NULL: SIGHUP is not the host's. */
  void (*hangup)(void *arg);
  void (*stopping)(void *arg); /* called once when the end begins, on the same thread; NULL: none */
};

/*
 * Listens. NULL after one line on stderr that says why not.
 *
 * From here on SIGINT and SIGTERM, and with `hangup` SIGHUP, are blocked in the calling thread and
 * the threads it makes, and SIGPIPE is ignored: signals are the host's in this program. The limit of
 * open files is raised to what the system allows.
 */
struct httpd *httpd_new(const struct httpd_config *config);

/* The address with the port that it really has: "http://127.0.0.1:5000/". */
const char *httpd_url(const struct httpd *httpd);

/*
 * Serves until SIGINT or SIGTERM. Then it accepts no more connections, drains the hub over drain_ms
 * unless a second signal comes, gives replies that are pending five seconds, closes all connections
 * and frees their streams. 0 or -1.
 */
int httpd_run(struct httpd *httpd);

/* Frees the host and its loops; the hub can then be freed. */
void httpd_free(struct httpd *httpd);

struct httpd_response {
  int status;                 /* 0: 200 */
  const char *type;           /* Content-Type; NULL: text/plain in UTF-8 */
  const char *text;           /* the body as a C string, */
  const void *body;           /* or as bytes; copied as far as need be */
  size_t len;                 /* of body */
  const char *const *headers; /* more headers, "Name: value", a list ended by NULL; 1 KiB at most */
};

/* Answers a request. A body that is missing is the status in words. */
void httpd_reply(struct httpd_conn *conn, const struct httpd_response *response);

/*
 * Answers a request with a stream. The config says what the handler wants to say; the host fills
 * in loop, user, head and, unless it is given, last_id from the Last-Event-ID header or else from the
 * parameter lastEventId or last_event_id of the query. Of the config's head it keeps all but origin
 * and chunked.
 *
 * If the stream cannot be opened, the request is answered all the same: a hub that is full tells
 * the client to come back later. 0, or the error of sse_stream_open.
 */
int httpd_stream(struct httpd_conn *conn, const struct request *request,
                 const sse_stream_config *config);

/* ---- Replies that are given later ---- */

#define HTTPD_LATER_MAX 512 /* replies of one connection that may be pending */

struct httpd_later;

/*
 * Defers the reply, so that the handler may return without one. NULL: there is no memory, and the
 * handler replies.
 *
 * The next requests of the connection are served meanwhile if they have the same handler, up to
 * HTTPD_LATER_MAX with bodies of body_max_bytes together; such a handler must not open streams. All
 * other requests wait until no reply is pending. Replies are sent in the order of the requests,
 * whatever the order in which they are given. A pending reply has no deadline.
 */
struct httpd_later *httpd_defer(struct httpd_conn *conn);

/*
 * Gives a deferred reply, exactly once, on any thread and before httpd_free. It never blocks. The
 * handler may still be running, and the connection may have closed; the reply is then dropped. If
 * there is no memory, the connection is closed.
 */
void httpd_give(struct httpd_later *later, const struct httpd_response *response);

/* ---- A stream as a finite response ---- */

/* How the blocks of a stream become a response. Zero is the default of every member. */
struct httpd_collect {
  const char *type;           /* Content-Type, a literal; NULL: text/event-stream */
  const char *const *headers; /* as in httpd_response; copied */
  int wait_ms;                /* longest wait for something to give; 0: none */
  size_t bytes_max;           /* of blocks, after which the response ends; 1 MiB. One block may
                                 exceed it, and so may a state or a backfill. */
  /* Makes the body of the blocks; the result is from malloc. -1: no memory. NULL: they are it. */
  int (*encode)(const char *blocks, size_t len, char **body, size_t *body_len);
};

/*
 * Answers a request with what a stream has, and frees the stream: with the events, gaps and
 * positions that are there now; if these are only positions, with what comes first within wait_ms;
 * at its end with the positions. A header Last-Event-ID has the last id of the blocks, which is in
 * the response whenever the hub writes positions. The blocks end behind a whole one. What did not
 * fit is given to a request with that id.
 *
 * The config is that of httpd_stream, without head, heartbeat_ms and retry_ms. 0; or the error of
 * sse_stream_open, and then the handler replies.
 */
int httpd_collect(struct httpd_conn *conn, const struct request *request,
                  const sse_stream_config *config, const struct httpd_collect *how);

/* The request's Last-Event-ID, as httpd_stream finds it; NULL: none. */
const char *httpd_last_event_id(const struct request *request);

#endif
