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
 * Answers one request, by exactly one call of httpd_reply or httpd_stream before it returns. It
 * runs on a worker's thread, with others at the same time if there are several, and must not
 * block: all connections of the worker wait for it. The request is valid until it returns.
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
};

/*
 * Listens. NULL after one line on stderr that says why not.
 *
 * From here on SIGINT and SIGTERM are blocked in the calling thread and the threads it makes, and
 * SIGPIPE is ignored: signals are the host's in this program. The limit of open files is raised
 * to what the system allows.
 */
struct httpd *httpd_new(const struct httpd_config *config);

/* The address with the port that it really has: "http://127.0.0.1:5000/". */
const char *httpd_url(const struct httpd *httpd);

/* Serves until SIGINT or SIGTERM; then closes all connections and frees their streams. 0 or -1. */
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

#endif
