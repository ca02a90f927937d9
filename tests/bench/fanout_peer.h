/* SPDX-License-Identifier: MIT */
/* fanout_peer.h: other people's servers, where they are installed. */
#ifndef FANOUT_PEER_H
#define FANOUT_PEER_H

#include <stdbool.h>
#include <sys/types.h>

struct peer {
  const char *name;
  const char *const *command; /* run with the environment variables PORT and PEERS_DIR */
  const char *test;           /* a shell command that tells whether it can run */
  const char *missing;        /* what to install if not */
};

extern const struct peer peers[];
extern const unsigned peers_count;

/* Whether it can run; if not, says on standard error what is missing. */
bool peer_installed(const struct peer *peer);

/* Starts one, pinned as servers are, and waits until it listens; its port, or -1. */
int peer_start(const char *const *command, pid_t *pid);

#endif
