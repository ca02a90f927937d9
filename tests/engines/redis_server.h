/* SPDX-License-Identifier: MIT */
/* redis_server.h: a Redis server of a test: started, stopped, killed, with and without its data. */
#ifndef TESTS_ENGINES_REDIS_SERVER_H
#define TESTS_ENGINES_REDIS_SERVER_H

#include "peer.h"

/* It listens on a free port of the loopback interface, and has its data in a new directory. */
struct redis_server {
  struct child child;
  char directory[64];
  char settings[256]; /* further lines of its configuration */
  char url[96];
  int port;
};

/* Whether it serves; one that is loading its data does not yet. */
static inline int server_answers(const struct redis_server *server) {
  char answer[16] = "";
  int fd = dial(server->port);
  if (fd < 0) return 0;
  if (write(fd, "PING\r\n", 6) == 6 && await(fd, POLLIN, now_ms() + PATIENCE_MS) &&
      read(fd, answer, sizeof answer - 1) < 0)
    *answer = '\0';
  close(fd);
  return *answer == '+' || strncmp(answer, "-NOAUTH", 7) == 0;
}

/* Starts it with the data that it has, and does not wait until it serves. */
static inline void server_launch(struct redis_server *server) {
  char path[96];
  snprintf(path, sizeof path, "%s/redis.conf", server->directory);
  FILE *file = fopen(path, "w");
  if (!file) abort();
  fprintf(file, "bind 127.0.0.1\nport %d\ndir %s\nlogfile %s/log\nsave \"\"\n%s\n", server->port,
          server->directory, server->directory, server->settings);
  fclose(file);
  if (!child_exec(&server->child, "redis-server", (const char *const[]){path, NULL})) abort();
}

/* The same, and waits. 0: there is no such program, or it has ended. */
static inline int server_start(struct redis_server *server) {
  int64_t until_ms = now_ms() + PATIENCE_MS;
  server_launch(server);
  while (now_ms() < until_ms) {
    if (server_answers(server)) return 1;
    if (waitpid(server->child.pid, NULL, WNOHANG) == server->child.pid) break;
    usleep(5000);
  }
  close(server->child.out);
  server->child.pid = 0;
  return 0;
}

/* Starts a new one; settings: such as "appendonly yes". */
static inline int server_make(struct redis_server *server, const char *settings) {
  const char *place = getenv("TMPDIR");
  *server = (struct redis_server){.port = free_port()};
  snprintf(server->directory, sizeof server->directory, "%.40s/sse-redis-XXXXXX",
           place ? place : "/tmp");
  if (server->port < 0 || !mkdtemp(server->directory)) abort();
  snprintf(server->settings, sizeof server->settings, "%s", settings);
  snprintf(server->url, sizeof server->url, "redis://127.0.0.1:%d", server->port);
  return server_start(server);
}

static inline void server_kill(struct redis_server *server) {
  if (server->child.pid <= 0) return;
  kill(server->child.pid, SIGKILL);
  waitpid(server->child.pid, NULL, 0);
  close(server->child.out);
  server->child.pid = 0;
}

/* Removes its directory, or what is in it. */
static inline void server_remove(struct redis_server *server, const char *what) {
  char command[96];
  struct child child;
  snprintf(command, sizeof command, "rm -rf %s%s", server->directory, what);
  if (!child_exec(&child, "sh", (const char *const[]){"-c", command, NULL})) abort();
  waitpid(child.pid, NULL, 0);
  close(child.out);
}

static inline void server_free(struct redis_server *server) {
  server_kill(server);
  if (*server->directory) server_remove(server, "");
  *server->directory = '\0';
}

#endif
