/* SPDX-License-Identifier: MIT */
/* amqp_link.h: a connection to a RabbitMQ server that never waits without a limit. */
#ifndef AMQP_LINK_H
#define AMQP_LINK_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stddef.h>
#include <stdint.h>

#include "amqp_url.h"
#include "engine.h"

/* A piece of what the server sends: a method, with its message if it has one. It is valid until the
 * next one. */
struct amqp_heard {
  amqp_method_number_t id;
  void *method;
  amqp_basic_properties_t *properties; /* NULL: it has no message */
  const char *body;
  size_t body_len;
};

/*
 * Of librabbitmq it uses the coding of frames, methods and tables; the socket is its own, and does
 * not block. The library's own calls that send wait for a server that does not read, without a
 * limit, and RabbitMQ does not read from those who publish while its memory is short.
 *
 * What is put goes into a buffer, and is sent by amqp_link_flush. amqp_link_fetch takes what the
 * socket has, and amqp_link_next gives it in pieces. amqp_link_hear and amqp_link_ask wait for a
 * piece, up to a moment of clock_ms. A link has one channel. One thread uses it at a time.
 *
 * Functions that return an int return 0, or -1: the link is of no use any more, and `problem` has a
 * sentence.
 */
struct amqp_link {
  const struct amqp_url *url;
  const char *doing; /* what the server refuses if it closes the channel or the connection */
  int fd;            /* -1: closed */
  amqp_connection_state_t codec;
  char *in; /* what was fetched and not decoded: from `decoded` to `fetched` */
  size_t decoded, fetched;
  char *out; /* what is not sent yet: from `sent` to `len` */
  size_t sent, len, cap;
  struct amqp_heard coming; /* what is not complete yet */
  char *body;               /* of it */
  size_t body_len, body_cap;
  int64_t heard_ms, spoke_ms; /* when the server last sent something, and this side */
  int heartbeat_ms;           /* agreed; each side sends something after half of it */
  size_t frame_max;
  int is_blocked; /* the server does not read what is published on this link */
  int code;       /* with which the server has closed it; 0: it has not */
  char reason[128];
  char problem[ENGINE_PROBLEM_MAX];
};

enum {
  AMQP_LINK_CHANNEL = 1
};

/* Connects, logs in, and opens the channel. The link is all zeros, or was closed. The resolver of
 * names waits as long as it is configured to. */
int amqp_link_open(struct amqp_link *link, const struct amqp_url *url, int64_t until_ms);
void amqp_link_close(struct amqp_link *link); /* also one that is closed, or all zeros */

int amqp_link_put(struct amqp_link *link, amqp_method_number_t id, void *method);
/* Puts basic.publish to the queue of the URL; without the queue, the server sends basic.return. */
int amqp_link_publish(struct amqp_link *link, amqp_table_t headers, size_t headers_bytes,
                      const char *body, size_t body_len);
size_t amqp_link_unsent(const struct amqp_link *link); /* bytes */
/* Also sends a heartbeat if one is due. */
int amqp_link_flush(struct amqp_link *link);

/* 1: there was something, and there may be more; 0: no more now. */
int amqp_link_fetch(struct amqp_link *link);
/* 1: a piece; 0: there is none yet. */
int amqp_link_next(struct amqp_link *link, struct amqp_heard *heard);
/* Sends what was put, and waits for the next piece. */
int amqp_link_hear(struct amqp_link *link, int64_t until_ms, struct amqp_heard *heard);
/* Puts a method, and waits for its reply; other pieces that come before it are dropped. */
int amqp_link_ask(struct amqp_link *link, int64_t until_ms, amqp_method_number_t id, void *method,
                  amqp_method_number_t reply);
/* Whether the server has been silent for too long. */
int amqp_link_is_dead(struct amqp_link *link, int patience_ms);
/* Makes a sentence the problem: -1. */
int amqp_link_fail(struct amqp_link *link, const char *sentence);

#endif
