/* SPDX-License-Identifier: MIT */
/* worker.h: one thread of the host: its poller, its sse_loop, and its connections. */
#ifndef HTTPD_WORKER_H
#define HTTPD_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "deadline.h"
#include "httpd.h"

struct poller;
struct httpd_later;

struct worker {
  /* The worker's own; no other thread looks at them while it runs. */
  const struct httpd_config *config;
  struct poller *poller;
  sse_loop *loop;
  struct deadlines deadlines; /* every connection is in one of their rings */
  struct httpd_conn *closed;  /* connections to be freed when the batch of events is through */
  struct request *spare;      /* a request's memory for whoever is next */
  int64_t now_ms;             /* monotonic, as of the start of the round */
  size_t laters;              /* replies that are pending, of connections that are open */
  int stopping;

  /* Replies that any thread has given: a stack. */
  _Atomic(struct httpd_later *) given;

  /* Between the worker and the acceptor. */
  int inbox[2];     /* a pipe with file descriptors: new connections, or a stop */
  atomic_uint load; /* connections handed over and not closed yet */
  pthread_t thread;
};

/* 0, or -1 and then there is nothing to free. The config has no zero members any more. */
int worker_init(struct worker *worker, const struct httpd_config *config);
void worker_free(struct worker *worker);

int worker_start(struct worker *worker);

/* For the acceptor: hands a connection over, which is the worker's from then on. */
void worker_take(struct worker *worker, int fd);

/* Closes its connections, once their pending replies are sent or are late, and waits for its end. */
void worker_stop(struct worker *worker);

/* The worker whose thread this is, or NULL. */
struct worker *worker_current(void);

/* Memory for a request, and back. NULL: there is none. */
struct request *worker_borrow_request(struct worker *worker);
void worker_return_request(struct worker *worker, struct request *request);

#endif
