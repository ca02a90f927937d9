/* SPDX-License-Identifier: MIT */
/* nats_url.h: the URL that says where a log in NATS JetStream is. */
#ifndef NATS_URL_H
#define NATS_URL_H

enum {
  STREAM_BYTES_MAX = 64,
  SUBJECT_BYTES_MAX = 128
};

/*
 *   nats://[user:password@|token@]host[:port][/STREAM][?subject=NAME&replicas=N]
 *
 * Bytes may be percent-encoded. An IPv6 address stands in brackets.
 */
struct nats_url {
  char *memory;         /* what the strings below point into */
  const char *host;     /* default: localhost */
  const char *port;     /* default: 4222 */
  const char *user;     /* NULL: none; without a password it is a token */
  const char *password; /* NULL: none */
  const char *stream;   /* default: SSE */
  const char *subject;  /* default: the stream's name in lower case and ".log" */
  const char *replicas; /* of a stream that is created, in a cluster; default: 1 */
  char own_subject[STREAM_BYTES_MAX + 8];
};

/* 0; or -1, and `problem` is a sentence that has nothing of the URL's password. NULL is refused. */
int nats_url_parse(struct nats_url *url, const char *text, const char **problem);
void nats_url_free(struct nats_url *url);

#endif
