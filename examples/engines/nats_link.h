/* SPDX-License-Identifier: MIT */
/* nats_link.h: a connection to a NATS server, for one thread that never waits without a limit. */
#ifndef NATS_LINK_H
#define NATS_LINK_H

#include <nats/nats.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "nats_url.h"

/*
 * nats.c would read on a thread of its own. It is told that an event loop has the socket, which is
 * the thread of the engine: it polls `fd` and calls link_exchange, which reads and writes as far as
 * that is possible without waiting. So nothing has to be handed over between threads. nats.c does
 * not connect again by itself either; the engine does, because the log must be compared first.
 *
 * There is an inbox for each kind of answer, since nats.c does not say which request it was that
 * nobody listens to (link_next): `acks` of appends, `answers` of requests, `messages` of the log.
 *
 * Functions that return an int return 0, or -1: the link is of no use any more, and `problem` has a
 * sentence.
 */
struct nats_link {
  const struct nats_url *url;
  natsConnection *connection;
  natsSubscription *acks, *answers, *messages;
  char inbox[40];     /* what the subjects of all inboxes begin with */
  int fd;             /* -1: closed */
  uint64_t requests;  /* that were given a number */
  int64_t heard_ms;   /* when the server has last sent something */
  size_t payload_max; /* bytes of a message that the server takes, with its headers */
  char problem[ENGINE_PROBLEM_MAX];
};

/* Connects and authenticates. The link is all zeros, or was closed. The name is random. */
int nats_link_open(struct nats_link *link, const struct nats_url *url, uint64_t name,
                   int64_t until_ms);
void nats_link_close(struct nats_link *link); /* also one that is closed, or all zeros */

/* Reads and writes what is possible without waiting. */
int nats_link_exchange(struct nats_link *link);
int nats_link_flush(struct nats_link *link);           /* only writes */
size_t nats_link_unsent(const struct nats_link *link); /* bytes */

/* Publishes a request whose answer goes to an inbox: 'p', 'a' or 'm'. */
int nats_link_send(struct nats_link *link, const char *subject, const char *body, char inbox,
                   uint64_t number);
/* The subject of an answer, of which the last part is the number of the request. */
void nats_link_inbox(const struct nats_link *link, char inbox, uint64_t number, char *subject,
                     size_t cap);
uint64_t nats_link_number(const natsMsg *answer);
/* Takes what has come to an inbox. 1: a message, which the caller destroys; 0: there is none yet.
 * -1 also if nobody has listened to a request, for which `nobody` is the sentence. */
int nats_link_next(struct nats_link *link, natsSubscription *inbox, natsMsg **message,
                   const char *nobody);

/* A request to JetStream, such as "STREAM.INFO.SSE", and its answer; NULL as -1 above. */
natsMsg *nats_link_ask(struct nats_link *link, int64_t until_ms, const char *what,
                       const char *body);
/* The number of the error in an answer of JetStream; 0: none. */
int nats_link_error(const natsMsg *answer);
/* Makes an error in an answer the problem of the link: -1. */
int nats_link_refused(struct nats_link *link, const char *what, const natsMsg *answer);
int nats_link_fail(struct nats_link *link, const char *sentence); /* -1 */

#endif
