/* SPDX-License-Identifier: MIT */
/* proxy.h: stands between an engine and its server, and holds back or cuts what passes. */
#ifndef TESTS_ENGINES_PROXY_H
#define TESTS_ENGINES_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"

enum {
  PAIRS_MAX = 64
};

struct pair {
  int client, server;     /* -1: there is none */
  int hold_up, hold_down; /* what comes from the client or from the server waits in the kernel */
};

/* One thread moves bytes; the test changes what it does. */
struct proxy {
  pthread_t thread;
  pthread_mutex_t lock; /* guards the pairs */
  struct pair pairs[PAIRS_MAX];
  int listener, port;
  atomic_int server_port;
  atomic_int is_away; /* new connections are closed at once */
  atomic_int ended;
};

static inline void pair_close(struct pair *pair) {
  close(pair->client);
  close(pair->server);
  *pair = (struct pair){.client = -1, .server = -1};
}

/* 0: the connection has ended. */
static inline int pair_move(int from, int to) {
  char bytes[65536];
  ssize_t len = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
  if (len < 0) return errno == EAGAIN;
  if (len == 0) return 0;
  return send(to, bytes, (size_t)len, MSG_NOSIGNAL) == len;
}

static inline void proxy_accept(struct proxy *proxy) {
  /* A server that is started later must not have them, too: they would stay open. */
  int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC), i = 0;
  if (client < 0) return;
  while (i < PAIRS_MAX && proxy->pairs[i].client >= 0) i++;
  int server = proxy->is_away || i == PAIRS_MAX ? -1 : dial(proxy->server_port);
  if (server >= 0) fcntl(server, F_SETFD, FD_CLOEXEC);
  if (server < 0)
    close(client);
  else
    proxy->pairs[i] = (struct pair){.client = client, .server = server};
}

static inline void *proxy_serve(void *arg) {
  struct proxy *proxy = arg;
  while (!proxy->ended) {
    struct pollfd fds[2 * PAIRS_MAX + 1];
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < PAIRS_MAX; i++) {
      const struct pair *pair = &proxy->pairs[i];
      fds[2 * i] = (struct pollfd){.fd = pair->hold_up ? -1 : pair->client, .events = POLLIN};
      fds[2 * i + 1] = (struct pollfd){.fd = pair->hold_down ? -1 : pair->server, .events = POLLIN};
    }
    pthread_mutex_unlock(&proxy->lock);
    fds[2 * PAIRS_MAX] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
    poll(fds, 2 * PAIRS_MAX + 1, 2);
    pthread_mutex_lock(&proxy->lock);
    for (int i = 0; i < PAIRS_MAX; i++) {
      struct pair *pair = &proxy->pairs[i];
      if (pair->client < 0) continue;
      if ((!pair->hold_up && !pair_move(pair->client, pair->server)) ||
          (!pair->hold_down && !pair_move(pair->server, pair->client)))
        pair_close(pair);
    }
    if (fds[2 * PAIRS_MAX].revents) proxy_accept(proxy);
    pthread_mutex_unlock(&proxy->lock);
  }
  return NULL;
}

static inline void proxy_start(struct proxy *proxy, int server_port) {
  const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in at;
  socklen_t len = sizeof at;
  *proxy = (struct proxy){.lock = PTHREAD_MUTEX_INITIALIZER, .server_port = server_port};
  for (int i = 0; i < PAIRS_MAX; i++) proxy->pairs[i] = (struct pair){.client = -1, .server = -1};
  proxy->listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(proxy->listener, (const struct sockaddr *)&any, sizeof any) ||
      listen(proxy->listener, 16) || getsockname(proxy->listener, (struct sockaddr *)&at, &len) ||
      pthread_create(&proxy->thread, NULL, proxy_serve, proxy))
    abort();
  proxy->port = ntohs(at.sin_port);
}

/* Holds back, or lets pass, what the connections of this moment carry; later ones are free. */
static inline void proxy_hold(struct proxy *proxy, int up, int down) {
  pthread_mutex_lock(&proxy->lock);
  for (int i = 0; i < PAIRS_MAX; i++) {
    proxy->pairs[i].hold_up = up;
    proxy->pairs[i].hold_down = down;
  }
  pthread_mutex_unlock(&proxy->lock);
}

static inline void proxy_cut(struct proxy *proxy) {
  pthread_mutex_lock(&proxy->lock);
  for (int i = 0; i < PAIRS_MAX; i++)
    if (proxy->pairs[i].client >= 0) pair_close(&proxy->pairs[i]);
  pthread_mutex_unlock(&proxy->lock);
}

static inline void proxy_stop(struct proxy *proxy) {
  proxy->ended = 1;
  pthread_join(proxy->thread, NULL);
  proxy_cut(proxy);
  close(proxy->listener);
  proxy->port = 0;
}

#endif
