/* SPDX-License-Identifier: MIT */
/* run.h: what the parts of one run share. One thread does all, but the proxy has its own. */
#ifndef TESTS_CHAOS_RUN_H
#define TESTS_CHAOS_RUN_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "trial.h"

enum {
  NODES = 3,
  CLIENTS_MAX = 200,
  PUBLISHERS = 16,
  SOCKETS_MAX = CLIENTS_MAX + PUBLISHERS
};

/* What is broken on purpose, to see that the judge notices. */
enum breakage {
  BREAK_NOTHING,
  BREAK_DROP,   /* between node and client: an event is dropped */
  BREAK_SWAP,   /* two events change places */
  BREAK_REPEAT, /* an event comes twice */
  BREAK_GAP,    /* gap events are dropped */
  BREAK_LIE,    /* a publish is answered 200, and nothing is appended */
  BREAKAGES
};

extern const char *const break_names[BREAKAGES];

struct options {
  const char *engine; /* redis, sqlite or memory */
  const char *build;
  int seconds, clients;
  unsigned seed;
  enum breakage breakage;
};

int64_t now_us(void);
int random_below(int limit);

/* Connects to a port of the loopback interface without waiting; -1. */
int dial_at_once(int port);

/* ---- clients.c ---- */

void clients_init(struct trial *trial, const struct options *options);
int clients_watch(struct pollfd *fds); /* returns how many */
void clients_serve(const struct pollfd *fds, int count);
void clients_settle(void); /* from now on all keep their streams */
/* Whether each client has the last event of each of its channels, or a gap event after it. */
int clients_are_done(const int last[CHANNELS]);
void clients_end(void);

/* ---- publishers.c ---- */

void publishers_init(struct trial *trial, const struct options *options);
int publishers_watch(struct pollfd *fds);
void publishers_serve(const struct pollfd *fds, int count);
void publishers_stop(void); /* what is open is tried on; nothing is begun */
int publishers_are_idle(void);
/* Sends the last event of each channel; they are idle again when all are acknowledged. */
void publishers_say_last(int last[CHANNELS]);

/* ---- world.c: nodes and the log's server ---- */

struct counts {
  int kills, stops, restarts, losses, cuts, flushes, trims;
};

extern struct counts counts;

int world_start(struct trial *trial, const struct options *options); /* 0 or -1 */
int world_port(int node);
void world_tick(int with_faults);            /* what is due, and a new fault now and then */
void world_mend(void);                       /* all runs again */
int world_is_one(char position[NODES][128]); /* all nodes serve, and have the same position */
const char *world_folder(void);
void world_end(int keep);

#endif
