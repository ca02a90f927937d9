/* SPDX-License-Identifier: MIT */
/* redis_url.h: the URL that says where a log in Redis is. */
#ifndef REDIS_URL_H
#define REDIS_URL_H

/*
 *   redis://[user:password@]host[:port][/database][?key=NAME&durable=1]
 *   redis+unix:///path/of/the/socket[?key=NAME&db=DATABASE&durable=1]
 *
 * Bytes may be percent-encoded. A password without a user is ":password@". An IPv6 address stands
 * in brackets.
 */
struct redis_url {
  char *memory;         /* what the strings below point into */
  const char *path;     /* of a Unix socket; NULL: host and port */
  const char *host;     /* default: localhost */
  const char *port;     /* default: 6379 */
  const char *user;     /* NULL: Redis's default user */
  const char *password; /* NULL: none */
  const char *database; /* its number; default: 0 */
  const char *key;      /* of the stream; default: sse-log */
  int durable;          /* the server never loses what it has confirmed */
};

/* 0; or -1, and `problem` is a sentence that has nothing of the URL's password. NULL is refused. */
int redis_url_parse(struct redis_url *url, const char *text, const char **problem);
void redis_url_free(struct redis_url *url);

#endif
