/* SPDX-License-Identifier: MIT */
/* site.h: the hosts of all hubs, the network, and what may happen. */
#ifndef LOGWORLD_SITE_H
#define LOGWORLD_SITE_H

#include "chain.h"

enum {
  CLIENTS = 5,
  STEPS_MAX = 120
};

/* What a history is like. */
typedef struct site {
  node nodes[NODES];
  chain clients[CLIENTS];
  unsigned nodes_count;
  bool states, several, ids, ephemerals, filters, bounds, lower_limits, positions_off, closes;
  bool subscribes, drains, ends, trims, loses, restarts, holes, forgets;
  unsigned feeding; /* in percent: how eagerly hubs read the log */
} site;

/* How a host serves a stream. */
typedef enum serve {
  SERVE_ALL,
  SERVE_SOME, /* leaves bytes in flight */
  SERVE_FLUSH /* by a transport that takes some bytes, or nothing */
} serve;

extern site the;

void site_begin(uint64_t *seed);
void site_end(void);
void site_restart(node *n, uint64_t *seed);
void site_settle(uint64_t *seed); /* all is read and given; every client comes back elsewhere */
void site_cut(chain *c);
void site_serve(chain *c, serve how, uint64_t *seed);
void site_round(node *n, int loop, uint64_t *seed);
void site_tick(node *n);
void site_open(chain *c, node *n, const terms *t);

void step(uint64_t seed); /* steps.c */
void step_nested(uint64_t *seed);
void step_return(chain *c, uint64_t *seed); /* the client comes back with its id */

#endif
