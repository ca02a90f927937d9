/* SPDX-License-Identifier: MIT */
/* redis_link.c: a connection to a Redis server that never waits without a limit. */
#include "redis_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "socket.h"
#include "timing.h"

enum {
  FETCH_BYTES = 16 * 1024, /* on the stack of a thread, which is small on some systems */
  FETCHES_MAX = 64,        /* of one link_fetch, so that the caller sees to other things, too */
  ARGUMENTS_MAX = 16
};

/* ---- problems ---- */

static int failed(struct redis_link *link, const char *doing, const char *why) {
  const struct redis_url *url = link->url;
  const char *at = url->path ? url->path : url->host;
  snprintf(link->problem, sizeof link->problem, "cannot %s Redis at %.80s%s%s: %s", doing, at,
           url->path ? "" : ":", url->path ? "" : url->port, why);
  return -1;
}

static int failed_errno(struct redis_link *link, const char *doing, int error) {
  return failed(link, doing, strerror(error));
}

void link_loads(struct redis_link *link) {
  snprintf(link->problem, sizeof link->problem, "the Redis server still loads its data");
  link->loading = 1;
}

void link_refused(struct redis_link *link, const char *command, const redisReply *error) {
  snprintf(link->problem, sizeof link->problem, "Redis refused %s: %.180s", command, error->str);
  if (strncmp(error->str, "LOADING", 7) == 0) link_loads(link);
}

/* ---- connecting ---- */

static int ask_for_nothing(struct redis_link *link, int64_t until_ms, const char **command) {
  redisReply *reply = link_get(link, until_ms, command);
  if (!reply) return -1;
  freeReplyObject(reply);
  return 0;
}

static int greet(struct redis_link *link, int64_t until_ms) {
  const struct redis_url *url = link->url;
  int error = 0;
  if (url->user)
    error = ask_for_nothing(link, until_ms, COMMAND("AUTH", url->user, url->password));
  else if (url->password)
    error = ask_for_nothing(link, until_ms, COMMAND("AUTH", url->password));
  if (!error && strcmp(url->database, "0") != 0)
    error = ask_for_nothing(link, until_ms, COMMAND("SELECT", url->database));
  return error;
}

int link_open(struct redis_link *link, const struct redis_url *url, int64_t until_ms) {
  *link = (struct redis_link){.url = url, .fd = -1};
  link->reader = redisReaderCreate();
  if (!link->reader) return failed(link, "connect to", "out of memory");
  const char *doing, *why;
  link->fd = url->path ? socket_connect_unix(url->path, until_ms, &doing, &why)
                       : socket_connect(url->host, url->port, until_ms, &doing, &why);
  return link->fd < 0 ? failed(link, doing, why) : greet(link, until_ms);
}

void link_close(struct redis_link *link) {
  if (!link->url) return;
  if (link->fd >= 0) close(link->fd);
  if (link->reader) redisReaderFree(link->reader);
  free(link->out);
  link->fd = -1;
  link->reader = NULL;
  link->out = NULL;
  link->sent = link->len = link->cap = link->unanswered = 0;
}

/* ---- commands and replies ---- */

static int reserve(struct redis_link *link, size_t bytes) {
  if (link->cap - link->len >= bytes) return 0;
  if (link->sent > 0) memmove(link->out, link->out + link->sent, link->len - link->sent);
  link->len -= link->sent;
  link->sent = 0;
  if (link->cap - link->len >= bytes) return 0;
  size_t cap = 2 * (link->len + bytes);
  char *out = realloc(link->out, cap);
  if (!out) return failed(link, "ask", "out of memory");
  link->out = out;
  link->cap = cap;
  return 0;
}

int link_put(struct redis_link *link, int argc, const char **argv, const size_t *lens) {
  char *command = NULL;
  int len = redisFormatCommandArgv(&command, argc, argv, lens);
  if (len < 0) return failed(link, "ask", "out of memory");
  int error = reserve(link, (size_t)len);
  if (!error) {
    memcpy(link->out + link->len, command, (size_t)len);
    link->len += (size_t)len;
    if (link->unanswered++ == 0) link->silent_since_ms = clock_ms();
  }
  redisFreeCommand(command);
  return error;
}

int link_put_strings(struct redis_link *link, const char **command) {
  size_t lens[ARGUMENTS_MAX];
  int argc = 0;
  for (; command[argc]; argc++) lens[argc] = strlen(command[argc]);
  return link_put(link, argc, command, lens);
}

size_t link_unsent(const struct redis_link *link) {
  return link->len - link->sent;
}

int link_flush(struct redis_link *link) {
  while (link->sent < link->len) {
    ssize_t sent = send(link->fd, link->out + link->sent, link->len - link->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : failed_errno(link, "ask", errno);
    link->sent += (size_t)sent;
  }
  link->sent = link->len = 0;
  return 0;
}

int link_fetch(struct redis_link *link) {
  char bytes[FETCH_BYTES];
  for (int i = 0; i < FETCHES_MAX; i++) {
    ssize_t len = recv(link->fd, bytes, sizeof bytes, 0);
    if (len < 0 && errno == EINTR) continue;
    if (len < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : failed_errno(link, "read from", errno);
    if (len == 0) return failed(link, "read from", "it has closed the connection");
    if (redisReaderFeed(link->reader, bytes, (size_t)len) != REDIS_OK)
      return failed(link, "read from", link->reader->errstr);
    link->silent_since_ms = clock_ms();
    link->fetched += (size_t)len;
    if ((size_t)len < sizeof bytes) return 0;
  }
  return 0;
}

int link_reply(struct redis_link *link, redisReply **reply) {
  void *got = NULL;
  if (redisReaderGetReply(link->reader, &got) != REDIS_OK)
    return failed(link, "read from", link->reader->errstr);
  *reply = got;
  if (got && link->unanswered > 0) link->unanswered--;
  return got != NULL;
}

redisReply *link_await(struct redis_link *link, int64_t until_ms) {
  redisReply *reply = NULL;
  int result;
  while ((result = link_reply(link, &reply)) == 0) {
    short what = link_unsent(link) > 0 ? POLLIN | POLLOUT : POLLIN;
    if (link_flush(link)) return NULL;
    if (socket_wait(link->fd, what, until_ms) <= 0)
      return failed(link, "ask", "no answer in time"), NULL;
    if (link_fetch(link)) return NULL;
  }
  return result > 0 ? reply : NULL;
}

redisReply *link_ask(struct redis_link *link, int64_t until_ms, const char **command) {
  return link_put_strings(link, command) ? NULL : link_await(link, until_ms);
}

redisReply *link_get(struct redis_link *link, int64_t until_ms, const char **command) {
  redisReply *reply = link_ask(link, until_ms, command);
  if (!reply || reply->type != REDIS_REPLY_ERROR) return reply;
  link_refused(link, command[0], reply);
  freeReplyObject(reply);
  return NULL;
}
