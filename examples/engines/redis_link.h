/* SPDX-License-Identifier: MIT */
/* redis_link.h: a connection to a Redis server that never waits without a limit. */
#ifndef REDIS_LINK_H
#define REDIS_LINK_H

#include <hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "engine.h"
#include "redis_url.h"

/*
 * Of hiredis it uses the reader of replies and the writer of commands; the socket is its own, and
 * does not block. Commands are put into a buffer, sent by link_flush, and answered in their order:
 * link_fetch takes what the socket has, link_reply gives one reply. link_ask does all this for one
 * command, up to a moment of clock_ms. One thread uses a link at a time.
 *
 * Functions that return an int return 0, or -1: the link is of no use any more, and `problem` has a
 * sentence.
 */
struct redis_link {
  const struct redis_url *url;
  int fd; /* -1: closed */
  redisReader *reader;
  char *out; /* commands that are not sent yet: from `sent` to `len` */
  size_t sent, len, cap;
  size_t unanswered;       /* commands that were put and have no reply yet */
  int64_t silent_since_ms; /* when the server last sent something, or was first asked after that */
  size_t fetched;          /* bytes, since it was opened */
  int loading;             /* the problem is that the server still loads its data, which passes */
  char problem[ENGINE_PROBLEM_MAX];
};

/* Connects, authenticates, and selects the database. The link is all zeros, or was closed. */
int link_open(struct redis_link *link, const struct redis_url *url, int64_t until_ms);
void link_close(struct redis_link *link); /* also one that is closed, or all zeros */

int link_put(struct redis_link *link, int argc, const char **argv, const size_t *lens);
size_t link_unsent(const struct redis_link *link); /* bytes */
int link_flush(struct redis_link *link);
int link_fetch(struct redis_link *link);
/* 1: a reply, which the caller frees; 0: there is none yet. */
int link_reply(struct redis_link *link, redisReply **reply);

#define COMMAND(...) ((const char *[]){__VA_ARGS__, NULL})

/* Puts a command of strings. */
int link_put_strings(struct redis_link *link, const char **command);
/* Sends what was put, and waits for the next reply, which may be an error of the server; NULL as -1
 * above. */
redisReply *link_await(struct redis_link *link, int64_t until_ms);
/* Puts a command and waits for its reply, where no other one is unanswered. */
redisReply *link_ask(struct redis_link *link, int64_t until_ms, const char **command);
/* As link_ask, and an error of the server counts as well. */
redisReply *link_get(struct redis_link *link, int64_t until_ms, const char **command);
/* Makes the server's error the problem of the link; or that it still loads its data. */
void link_refused(struct redis_link *link, const char *command, const redisReply *error);
void link_loads(struct redis_link *link);

#endif
