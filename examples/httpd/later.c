/* SPDX-License-Identifier: MIT */
/* later.c: replies that are pending. */
#include "later.h"

#include <stdlib.h>
#include <string.h>

#include "poller.h"
#include "worker.h"

enum {
  ROOM = 320, /* bytes of a short reply */
  PARTS = 64  /* replies in one write */
};

struct httpd_later {
  struct httpd_later *next;       /* in the ring; the last one's is the first */
  struct httpd_later *next_given; /* on the worker's stack */
  struct worker *worker;
  struct httpd_conn *conn; /* NULL: it is closed */
  httpd_handler *handler;
  unsigned char keep_alive, head_only; /* of the request */
  unsigned char given;                 /* for the worker: the bytes are there */
  unsigned char failed;                /* there was no memory for them */
  size_t body_len;                     /* of the request */
  size_t len;
  char *bytes; /* room, or from malloc */
  char room[ROOM];
};

/* ---- The ring ---- */

static struct httpd_later *add_place(struct httpd_conn *conn) {
  struct httpd_later *later = malloc(sizeof *later);
  if (!later) return NULL;
  struct httpd_later *last = conn->last_later;
  later->worker = conn->worker;
  later->conn = conn;
  later->handler = last ? last->handler : NULL;
  later->keep_alive = conn->keep_alive;
  later->head_only = conn->head_only;
  later->given = later->failed = 0;
  later->bytes = NULL;
  later->body_len = conn->request ? conn->request->body_len : 0;
  conn->later_bytes += later->body_len;
  later->next = last ? last->next : later;
  if (last) last->next = later;
  conn->last_later = later;
  conn->laters++;
  conn->worker->laters++;
  conn->answered = 1;
  return later;
}

static struct httpd_later *take_first(struct httpd_conn *conn) {
  struct httpd_later *first = conn->last_later->next;
  conn->last_later->next = first->next;
  if (first == conn->last_later) conn->last_later = NULL;
  conn->laters--;
  conn->later_bytes -= first->body_len;
  conn->worker->laters--;
  return first;
}

static void free_later(struct httpd_later *later) {
  if (later->bytes != later->room) free(later->bytes);
  free(later);
}

static int copy_reply(struct httpd_later *later, const struct reply *reply) {
  later->len = 0;
  for (int i = 0; i < reply->count; i++) later->len += reply->parts[i].iov_len;
  later->bytes = later->len <= ROOM ? later->room : malloc(later->len);
  if (!later->bytes) return -1;
  char *at = later->bytes;
  for (int i = 0; i < reply->count; i++) {
    memcpy(at, reply->parts[i].iov_base, reply->parts[i].iov_len);
    at += reply->parts[i].iov_len;
  }
  return 0;
}

int later_add(struct httpd_conn *conn, const struct reply *reply) {
  struct httpd_later *later = add_place(conn);
  if (!later) return -1;
  later->given = 1;
  later->failed = copy_reply(later, reply) != 0;
  return 0;
}

httpd_handler *later_handler(const struct httpd_conn *conn) {
  return conn->last_later->handler;
}

void later_abandon(struct httpd_conn *conn) {
  while (conn->last_later) {
    struct httpd_later *later = take_first(conn);
    later->conn = NULL;
    if (later->given) free_later(later);
  }
}

/* Takes the given replies at the head, up to one that closes the connection. */
static int take_ready(struct httpd_conn *conn, struct httpd_later **ready) {
  int count = 0;
  while (count < PARTS && conn->last_later && conn->last_later->next->given) {
    ready[count++] = take_first(conn);
    if (ready[count - 1]->failed) break;
  }
  return count;
}

void later_send(struct httpd_conn *conn) {
  struct httpd_later *ready[PARTS];
  struct iovec parts[PARTS];
  int count;
  while (conn->phase == CONN_READING && (count = take_ready(conn, ready)) > 0) {
    int failed = ready[count - 1]->failed;
    for (int i = 0; i < count - failed; i++) {
      /* NOLINTNEXTLINE(clang-analyzer-core.*): the first `count` are set. */
      parts[i] = (struct iovec){ready[i]->bytes, ready[i]->len};
    }
    if (count > failed) conn_send(conn, parts, count - failed);
    for (int i = 0; i < count; i++) free_later(ready[i]);
    if (failed) conn_close(conn);
  }
}

/* ---- Giving ---- */

struct httpd_later *httpd_defer(struct httpd_conn *conn) {
  if (conn->answered) return NULL;
  struct httpd_later *later = add_place(conn);
  if (later && !later->handler) later->handler = route_handler(conn, conn->request);
  return later;
}

/* On the worker's own thread no wake is needed: it takes what was given before it sleeps. */
static void put_on_stack(struct httpd_later *later) {
  struct worker *worker = later->worker;
  struct httpd_later *top = atomic_load(&worker->given);
  do later->next_given = top;
  while (!atomic_compare_exchange_weak(&worker->given, &top, later));
  if (!top && worker_current() != worker) poller_wake(worker->poller);
}

void httpd_give(struct httpd_later *later, const struct httpd_response *response) {
  struct reply reply;
  int error = reply_write(&reply, response, later->keep_alive, later->head_only);
  later->failed = error != 0 || copy_reply(later, &reply) != 0;
  put_on_stack(later);
}

/* Marks what was given; what is left of the list are the first ones, one of each connection. */
static struct httpd_later *mark_given(struct httpd_later *list) {
  struct httpd_later *firsts = NULL;
  for (struct httpd_later *later = list, *next; later; later = next) {
    next = later->next_given;
    later->given = 1;
    if (!later->conn) {
      free_later(later);
    } else if (later->conn->last_later->next == later) {
      later->next_given = firsts;
      firsts = later;
    }
  }
  return firsts;
}

void later_take(struct worker *worker) {
  struct httpd_later *list;
  while ((list = atomic_exchange(&worker->given, NULL))) {
    for (struct httpd_later *later = mark_given(list), *next; later; later = next) {
      next = later->next_given;
      conn_go_on(later->conn);
    }
  }
}

void later_free_given(struct worker *worker) {
  for (struct httpd_later *later = atomic_exchange(&worker->given, NULL), *next; later;
       later = next) {
    next = later->next_given;
    free_later(later);
  }
}
