/* SPDX-License-Identifier: MIT */
/* conn.h: one connection, from its first byte to its last. */
#ifndef HTTPD_CONN_H
#define HTTPD_CONN_H

#include <sys/uio.h>

#include "deadline.h"
#include "httpd.h"

struct worker;
struct collect;

enum conn_phase {
  CONN_READING,    /* a request, or waiting for one; replies may be pending */
  CONN_REPLYING,   /* the client has not taken the whole response yet */
  CONN_COLLECTING, /* a stream's blocks, for a response */
  CONN_STREAMING,  /* to the end: the stream's bytes end with the connection */
  CONN_LINGERING,  /* all is said; waits for the client to close */
  CONN_CLOSED      /* to be freed at the end of the round */
};

/* The rest of a response. */
struct output {
  size_t len, sent;
  char bytes[];
};

/* Small, since there may be ten thousand: what a phase needs is allocated for that phase. */
struct httpd_conn {
  struct deadline deadline; /* first: conn_of */
  struct worker *worker;
  union {
    sse_stream *stream;             /* CONN_STREAMING */
    struct collect *collect;        /* CONN_COLLECTING */
    struct output *output;          /* CONN_REPLYING */
    struct httpd_conn *next_closed; /* CONN_CLOSED */
  };
  struct request *request;        /* NULL while there are no bytes of one */
  struct httpd_later *last_later; /* of the pending replies, a ring in their order; NULL: none */
  size_t later_bytes;             /* of the bodies of their requests */
  int fd;
  unsigned dropped;          /* bytes that a streaming client sent for nothing */
  unsigned char phase;       /* enum conn_phase */
  unsigned char waiting_for; /* in the poller: POLLER_READ, POLLER_WRITE */
  unsigned char answered;    /* the handler has replied */
  unsigned char head_only;   /* HEAD: the response goes without its body */
  unsigned char keep_alive;  /* of the request that was read last; 0: no more are read */
  unsigned char held;        /* the request is whole and waits for its turn */
  unsigned char used;        /* the request was answered and is to be dropped */
  unsigned short laters;     /* pending replies */
};

static inline struct httpd_conn *conn_of(struct deadline *deadline) {
  return (struct httpd_conn *)deadline;
}

/* Takes over a socket. If there is no memory it is closed. */
void conn_open(struct worker *worker, int fd);

/* The poller found something (POLLER_READ and the like). */
void conn_event(struct httpd_conn *conn, unsigned what);

/* The loop found something to send. */
void conn_flush(struct httpd_conn *conn);

/* Its deadline has passed. */
void conn_overdue(struct httpd_conn *conn);

/* Frees its stream and closes; the connection itself is freed at the end of the round. */
void conn_close(struct httpd_conn *conn);

/* The worker ends: closes the connection, or lets it end with its last pending reply. */
void conn_stop(struct httpd_conn *conn);

/* Goes on with what waited: replies that were given, and then requests. */
void conn_go_on(struct httpd_conn *conn);

/* Sends a whole response. What the socket does not take is copied. */
void conn_send(struct httpd_conn *conn, const struct iovec *parts, int count);

/* For reply.c: from here on the connection belongs to the stream. */
void conn_start_stream(struct httpd_conn *conn, sse_stream *stream);

/* For collect.c: waits for the stream of a response; while it does, it sees the client's end. */
void conn_start_collecting(struct httpd_conn *conn, struct collect *collect);

/* In route.c: finds who answers, a handler or a page, or refuses. */
void route_request(struct httpd_conn *conn, const struct request *request);

/* In route.c: the handler that would answer; NULL: none does. */
httpd_handler *route_handler(const struct httpd_conn *conn, const struct request *request);

/* In reply.c: a response as it goes over the wire; `parts` point into it and to the body. */
struct reply {
  struct iovec parts[2];
  int count;
  char words[64];
  char head[2048];
};

/* In reply.c: 0, or -1 if the head is too long. The response stays in use. */
int reply_write(struct reply *reply, const struct httpd_response *response, int keep_alive,
                int head_only);

#endif
