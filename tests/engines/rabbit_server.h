/* SPDX-License-Identifier: MIT */
/* rabbit_server.h: a RabbitMQ server of a test: started, stopped, killed, with and without its data. */
#ifndef TESTS_ENGINES_RABBIT_SERVER_H
#define TESTS_ENGINES_RABBIT_SERVER_H

#include "peer.h"

/* Its ports are free ones of the loopback interface, and its data is in a new directory. Erlang's
 * port mapper is one of its own, too. */
struct rabbit_server {
  struct child child, mapper;
  char directory[64];
  char url[96];
  int port;
};

enum {
  RABBIT_PATIENCE_MS = 120000 /* for a start, which takes some seconds of both cores */
};

/* A program with up to five arguments, which has what names this server in its environment. The
 * alarm that ends children of tests is not for a server that all tests of a program use. */
static inline int rabbit_exec(struct child *child, const char *command) {
  char line[256];
  snprintf(line, sizeof line, "trap '' ALRM; exec %s", command);
  return child_exec(child, "sh", (const char *const[]){"-c", line, NULL});
}

static inline void rabbit_environment(const struct rabbit_server *server) {
  static const struct {
    const char *name, *path; /* in its directory */
  } paths[] = {{"HOME", ""},
               {"RABBITMQ_MNESIA_BASE", "/data"},
               {"RABBITMQ_LOG_BASE", "/log"},
               {"RABBITMQ_CONFIG_FILE", "/rabbitmq"},
               {"RABBITMQ_CONF_ENV_FILE", "/none"},
               {"RABBITMQ_GENERATED_CONFIG_DIR", "/generated"},
               {"RABBITMQ_FEATURE_FLAGS_FILE", "/data/flags"},
               {"RABBITMQ_ENABLED_PLUGINS_FILE", "/plugins"},
               {"RABBITMQ_PID_FILE", "/pid"}};
  char text[128];
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    snprintf(text, sizeof text, "%s%s", server->directory, paths[i].path);
    setenv(paths[i].name, text, 1);
  }
  snprintf(text, sizeof text, "sse-%d@localhost", server->port);
  setenv("RABBITMQ_NODENAME", text, 1);
  snprintf(text, sizeof text, "%d", server->port);
  setenv("RABBITMQ_NODE_PORT", text, 1);
  setenv("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1", 1);
  snprintf(text, sizeof text, "%d", server->mapper.port);
  setenv("ERL_EPMD_PORT", text, 1);
  setenv("ERL_EPMD_ADDRESS", "127.0.0.1", 1);
  snprintf(text, sizeof text, "%d", free_port());
  setenv("RABBITMQ_DIST_PORT", text, 1);
  setenv("RABBITMQ_ALLOW_INPUT", "1", 1); /* the shell script becomes the server */
}

static inline void rabbit_write(const struct rabbit_server *server, const char *name,
                                const char *text) {
  char path[96];
  snprintf(path, sizeof path, "%s/%s", server->directory, name);
  FILE *file = fopen(path, "w");
  if (!file) abort();
  fputs(text, file);
  fclose(file);
}

/* Starts it with the data that it has, and waits until it serves. 0: there is no such program. */
static inline int rabbit_start(struct rabbit_server *server) {
  int64_t until_ms = now_ms() + RABBIT_PATIENCE_MS;
  rabbit_environment(server);
  if (!rabbit_exec(&server->child,
                   "/usr/lib/rabbitmq/bin/rabbitmq-server -noinput </dev/null >$HOME/out 2>&1"))
    abort();
  while (now_ms() < until_ms) {
    int fd = dial(server->port);
    if (fd >= 0) close(fd);
    if (fd >= 0) return 1;
    if (waitpid(server->child.pid, NULL, WNOHANG) == server->child.pid) break;
    usleep(20000);
  }
  close(server->child.out);
  server->child.pid = 0;
  return 0;
}

/* Starts a new one. */
static inline int rabbit_make(struct rabbit_server *server) {
  const char *place = getenv("TMPDIR");
  char command[64];
  *server = (struct rabbit_server){.port = free_port()};
  if (access("/usr/lib/rabbitmq/bin/rabbitmq-server", X_OK)) return 0;
  snprintf(server->directory, sizeof server->directory, "%.40s/sse-rabbit-XXXXXX",
           place ? place : "/tmp");
  if (server->port < 0 || !mkdtemp(server->directory)) abort();
  snprintf(server->url, sizeof server->url, "amqp://127.0.0.1:%d", server->port);
  rabbit_write(server, "rabbitmq.conf",
               "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 1MB\n");
  rabbit_write(server, "plugins", "[].\n");
  int mapper_port = free_port();
  snprintf(command, sizeof command, "epmd -port %d -address 127.0.0.1", mapper_port);
  if (!rabbit_exec(&server->mapper, command)) abort();
  server->mapper.port = mapper_port;
  return rabbit_start(server);
}

static inline void rabbit_end_child(struct child *child) {
  if (child->pid <= 0) return;
  kill(child->pid, SIGKILL);
  waitpid(child->pid, NULL, 0);
  close(child->out);
  child->pid = 0;
}

static inline void rabbit_kill(struct rabbit_server *server) {
  rabbit_end_child(&server->child);
}

/* Shuts it down in order. */
static inline void rabbit_stop(struct rabbit_server *server) {
  kill(server->child.pid, SIGTERM);
  waitpid(server->child.pid, NULL, 0);
  close(server->child.out);
  server->child.pid = 0;
}

/* Stops all of its threads, until SIGCONT. */
static inline void rabbit_pause(const struct rabbit_server *server) {
  int status;
  kill(server->child.pid, SIGSTOP);
  while (waitpid(server->child.pid, &status, WUNTRACED) == 0) continue;
}

/* Runs a command of the shell in the environment of the server, and waits: its exit status. */
static inline int rabbit_run(const char *command) {
  struct child child;
  int status;
  if (!child_exec(&child, "sh", (const char *const[]){"-c", command, NULL})) abort();
  waitpid(child.pid, &status, 0);
  close(child.out);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Removes its data, or all of its directory. */
static inline void rabbit_remove(const struct rabbit_server *server, const char *what) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s%s", server->directory, what);
  rabbit_run(command);
}

static inline void rabbit_free(struct rabbit_server *server) {
  rabbit_kill(server);
  rabbit_end_child(&server->mapper);
  if (*server->directory) rabbit_remove(server, "");
  *server->directory = '\0';
}

#endif
