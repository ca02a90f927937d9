/* SPDX-License-Identifier: MIT */
/* fanout_peer.c: starts other people's servers. */
#include "fanout_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fanout.h"

#define DIR_OF_PEERS "tests/bench/peers"
#define WAIT_MS      5000

#define COMMAND(...) ((const char *const[]){__VA_ARGS__, NULL})

const struct peer peers[] = {
    {"nginx, nchan", COMMAND("sh", DIR_OF_PEERS "/nchan.sh"), "sh " DIR_OF_PEERS "/nchan.sh test",
     "nginx with nchan (Debian: nginx-light libnginx-mod-nchan)"},
    {"gevent, Flask", COMMAND("/usr/bin/python3", DIR_OF_PEERS "/streamer.py"),
     "/usr/bin/python3 -c 'import flask, gevent'",
     "gevent and Flask for /usr/bin/python3 (Debian: python3-gevent python3-flask)"},
    {"better-sse", COMMAND("node", DIR_OF_PEERS "/better_sse.cjs"),
     "node -e 'require.resolve(\"better-sse\", {paths: [process.cwd()].concat(module.paths)})'",
     "Node with better-sse (npm install better-sse, NODE_PATH if it is elsewhere)"},
};
const unsigned peers_count = sizeof peers / sizeof *peers;

bool peer_installed(const struct peer *peer) {
  char command[512];
  snprintf(command, sizeof command, "{ %s; } >/dev/null 2>&1 </dev/null", peer->test);
  if (system(command) == 0) return true;
  fprintf(stderr, "%s: left out; it needs %s\n", peer->name, peer->missing);
  return false;
}

static int free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0) return -1;
  getsockname(fd, (struct sockaddr *)&address, &len);
  close(fd);
  return ntohs(address.sin_port);
}

static bool listens(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bool yes = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
  if (fd >= 0) close(fd);
  return yes;
}

static void run(const char *const *command, int port) {
  char text[16];
  snprintf(text, sizeof text, "%d", port);
  setenv("PORT", text, 1);
  server_becomes_child();
  int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  execvp(command[0], (char *const *)(uintptr_t)command);
  _exit(EXIT_FAILURE);
}

int peer_start(const char *const *command, pid_t *pid) {
  int port = free_port();
  if (port < 0) return -1;
  *pid = fork();
  if (*pid == 0) run(command, port);
  for (int waited = 0; *pid > 0 && waited < WAIT_MS; waited += 20) {
    if (listens(port)) return port;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  return -1;
}
