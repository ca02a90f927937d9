/* SPDX-License-Identifier: MIT */
/* amqp_url.h: the URL that says where a log in RabbitMQ is. */
#ifndef AMQP_URL_H
#define AMQP_URL_H

/*
 *   amqp://[user:password@]host[:port][/vhost][?queue=NAME&max-bytes=NUMBER&segment-bytes=NUMBER]
 *
 * Bytes may be percent-encoded. An IPv6 address stands in brackets. The two numbers are used when
 * the queue is declared for the first time: the server removes whole segments.
 */
struct amqp_url {
  char *memory;            /* what the strings below point into */
  const char *host;        /* default: localhost */
  const char *port;        /* default: 5672 */
  const char *user;        /* default: guest; NULL: the URL has a password only */
  const char *password;    /* default: guest */
  const char *vhost;       /* default: / */
  const char *queue;       /* default: sse-log */
  long long max_bytes;     /* of the log; default: 1,000,000,000 */
  long long segment_bytes; /* default: a sixteenth of max_bytes */
};

/* 0; or -1, and `problem` is a sentence that has nothing of the URL's password. NULL is refused. */
int amqp_url_parse(struct amqp_url *url, const char *text, const char **problem);
void amqp_url_free(struct amqp_url *url);

#endif
