/* SPDX-License-Identifier: MIT */
/* nats_server.h: a NATS server of a test: started, stopped, killed, with and without its data. */
#ifndef TESTS_ENGINES_NATS_SERVER_H
#define TESTS_ENGINES_NATS_SERVER_H

#include "peer.h"

/* It listens on a free port of the loopback interface, and has its data in a new directory. */
struct nats_server {
  struct child child;
  char directory[64];
  char settings[256]; /* of its configuration */
  char url[96];
  int port;
};

static const char with_jetstream[] = "jetstream { store_dir: data }";

/* It says INFO to who connects, and listens only when it has recovered its streams. */
static inline int nats_server_answers(const struct nats_server *server) {
  char answer[8] = "";
  int fd = dial(server->port);
  if (fd < 0) return 0;
  if (!await(fd, POLLIN, now_ms() + PATIENCE_MS) || read(fd, answer, 4) != 4) *answer = '\0';
  close(fd);
  return strcmp(answer, "INFO") == 0;
}

/* Starts it with the data that it has. 0: there is no such program, or it has ended. */
static inline int nats_server_start(struct nats_server *server) {
  char path[96], port[16];
  int64_t until_ms = now_ms() + PATIENCE_MS;
  snprintf(path, sizeof path, "%s/conf", server->directory);
  snprintf(port, sizeof port, "%d", server->port);
  FILE *file = fopen(path, "w");
  if (!file) abort();
  const char *data = strstr(server->settings, "data");
  if (data)
    fprintf(file, "%.*s%s/%s\n", (int)(data - server->settings), server->settings,
            server->directory, data);
  else
    fprintf(file, "%s\n", server->settings);
  fclose(file);
  char log[96];
  snprintf(log, sizeof log, "%s/log", server->directory);
  if (!child_exec(
          &server->child, "nats-server",
          (const char *const[]){"-c", path, "-a", "127.0.0.1", "-p", port, "-l", log, NULL}))
    abort();
  while (now_ms() < until_ms) {
    if (nats_server_answers(server)) return 1;
    if (waitpid(server->child.pid, NULL, WNOHANG) == server->child.pid) break;
    usleep(5000);
  }
  close(server->child.out);
  server->child.pid = 0;
  return 0;
}

/* Starts a new one; settings: its configuration, such as with_jetstream. */
static inline int nats_server_make(struct nats_server *server, const char *settings) {
  const char *place = getenv("TMPDIR");
  *server = (struct nats_server){.port = free_port()};
  snprintf(server->directory, sizeof server->directory, "%.40s/sse-nats-XXXXXX",
           place ? place : "/tmp");
  if (server->port < 0 || !mkdtemp(server->directory)) abort();
  snprintf(server->settings, sizeof server->settings, "%s", settings);
  snprintf(server->url, sizeof server->url, "nats://127.0.0.1:%d", server->port);
  return nats_server_start(server);
}

static inline void nats_server_kill(struct nats_server *server) {
  if (server->child.pid <= 0) return;
  kill(server->child.pid, SIGKILL);
  waitpid(server->child.pid, NULL, 0);
  close(server->child.out);
  server->child.pid = 0;
}

/* All of its threads stand still when this returns. */
static inline void nats_server_pause(const struct nats_server *server) {
  kill(server->child.pid, SIGSTOP);
  waitpid(server->child.pid, NULL, WUNTRACED);
}

static inline void nats_server_continue(const struct nats_server *server) {
  kill(server->child.pid, SIGCONT);
}

/* Runs a command of the shell in its directory. */
static inline void nats_server_shell(const struct nats_server *server, const char *what) {
  char command[192];
  struct child child;
  snprintf(command, sizeof command, "cd %s && %s", server->directory, what);
  if (!child_exec(&child, "sh", (const char *const[]){"-c", command, NULL})) abort();
  waitpid(child.pid, NULL, 0);
  close(child.out);
}

static inline void nats_server_free(struct nats_server *server) {
  nats_server_kill(server);
  if (*server->directory) nats_server_shell(server, "rm -rf \"$PWD\"");
  *server->directory = '\0';
}

#endif
