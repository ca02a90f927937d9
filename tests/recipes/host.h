/* SPDX-License-Identifier: MIT */
/* host.h: what the recipes share: a listener, a thread for each connection, and its request. */
#ifndef HOST_H
#define HOST_H

#include <stddef.h>

#include <sse/sse.h>

/* The smallest server that does; a real host has its own. */
struct request {
  int fd;
  char method[8], path[64], query[512];
  char last_id
      [SSE_ID_BYTES_MAX +
       1]; /* header, or parameter last_id of the query; "": none */
  char bytes[8192]; /* the request, ended by NUL */
  const char *body; /* in bytes */
};

typedef void request_fn(const struct request *request);

int request_is(const struct request *request, const char *method,
               const char *path);

/* A parameter of the query, made of letters, digits and ._~- only; 0 if there is none of that. */
int request_param(const struct request *request, const char *name,
                  char *value, size_t cap);

/* Writes a whole answer that is not a stream. */
void request_answer(const struct request *request, int status,
                    const char *text);

/* Opens a stream with the request's id and a response head; if it is refused, answers and returns
 * NULL. */
sse_stream *request_open(const struct request *request, sse_hub *hub,
                         const sse_stream_config *wanted);

/* Serves a stream to its end, and frees it; NULL is ignored. */
void request_serve(const struct request *request, sse_stream *stream);

/*
 * Listens on 127.0.0.1, at the port that is the program's first argument (default 5000; 0: any),
 * prints the address, and calls answer in a thread for each connection. On SIGINT and SIGTERM it
 * drains the hub, waits for the threads and returns.
 */
void host_run(int argc, char **argv, sse_hub *hub, request_fn *answer);

/* A number among the program's arguments, or the default. */
int host_number(int argc, char **argv, int which, int otherwise);

#endif
