/* SPDX-License-Identifier: MIT */
/* sim.h: a hub, its loops and its clients in one random history: the network and the host.
 *
 * All that happens is drawn from the seed. What the clients read is held against what was published
 * (history.h); the first fault is kept in the struct, and the history ends with it.
 */
#ifndef SIM_H
#define SIM_H

#include "history.h"
#include "world.h"

#define SIM_CLIENTS     6
#define SIM_LOOPS       2
#define SIM_LIVES       4
#define SIM_WIRE_MAX    4096
#define SIM_EXPECT_MAX  64
#define SIM_PATIENCE_MS 3000 /* the stall deadline of every stream */
#define SIM_AGE_MS      9000

/* What can happen; a history has a weight for each. */
enum sim_op {
  PUBLISH,
  BURST,
  OPEN,
  CUT,
  RECEIVE,
  HOST,
  WAIT,
  JUMP,
  FREEZE,
  CONFIGURE,
  TICK,
  LOOP,
  RESTART,
  OPS
};

/* What a call of the transport may do, in place of what it would. */
enum sim_write {
  WRITE_EAGAIN,
  WRITE_EHELD,
  WRITE_SHORT, /* all but one byte */
  WRITE_ONE,   /* one byte */
  WRITE_ECLOSED,
  WRITE_EIO,
  WRITE_NOTHING, /* 0 */
  WRITE_MORE,    /* more than it was offered */
  WRITES
};

struct sim;

/* What a history is to be; the rest is drawn. */
struct sim_plan {
  void (*mix)(struct sim *sim); /* sets config, weights and what else says so in struct sim */
  const void *arg;              /* mix's own */
  bool trace;                   /* print all that happens */
  size_t fail_alloc;            /* so many allocations after the hub was made one fails; 0: none */
  size_t fail_write;            /* the same for calls of transports */
  enum sim_write how;
  bool onwards; /* and all after it, until everything becomes fair */
};

/* What came to pass in a history, counted, so that a test can tell whether it was worth its time.
 */
enum sim_seen {
  SEEN_EVENT,
  SEEN_GAP,
  SEEN_POSITION,
  SEEN_RESUMED,
  SEEN_EVICTED, /* a resume that begins with a gap */
  SEEN_IN_LOOP,
  SEEN_ALONE,
  SEEN_SEVERAL, /* channels on one stream */
  SEEN_FULL,    /* a publish that the ceiling has no room for */
  SEEN_DETACHED,
  SEEN_CONFIGURED,
  SEEN_GONE,   /* channels that went away, and left a ghost */
  SEEN_NOMEM,  /* calls that failed for want of memory */
  SEEN_WRITES, /* calls of transports */
  SEEN_KINDS
};

/* A client, its connection and what is under way on it. */
struct conn {
  struct client client;
  struct chain chain;
  struct sim *sim;
  sse_stream *stream, *leaving; /* and one that is detached, whose bytes are still lent */
  struct sim_loop *loop;        /* NULL: it stands alone */
  bool armed, woken;            /* alone: it waits for its wake; the wake came */
  bool blocked;                 /* the host has to go on with it as soon as there is room */
  bool polled;                  /* alone and without a wake */
  bool frozen;                  /* the client does not read */
  int must_end;                 /* the reason that its transport has given; 0 */
  int64_t opened_ms, moved_ms;
  char wire[SIM_WIRE_MAX]; /* accepted, and not yet read by the client */
  size_t on_wire, wire_cap;
  char expect[SIM_EXPECT_MAX]; /* what the next bytes have to be: they were lent before */
  size_t expect_len;
};

struct sim_loop {
  sse_loop *loop;
  struct sim *sim;
  bool woken;
  int64_t sleep_ms; /* it sleeps until then */
  unsigned failing; /* so many wakes fail */
};

/* One history. The mix is what its plan says: config, weights, channels and the percents. */
struct sim {
  struct sim_plan plan;
  size_t seen[SEEN_KINDS];
  struct world world;
  struct history lives[SIM_LIVES];
  struct history *life;
  size_t lives_count;
  struct sim_loop loops[SIM_LOOPS];
  struct conn conns[SIM_CLIENTS];
  sse_hub_config config;
  size_t length; /* so many things happen before the end; 0: drawn */
  unsigned weights[OPS];
  unsigned channels, eagain, held, tiny, failing; /* the last four in percent */
  bool fair;    /* the end: everything works, and everybody reads */
  size_t bytes; /* of memory before the hub */
  bool nested;  /* within a round of a loop */
  const char *fault;
  char detail[320];
};

/*
 * Runs one history, from its first hub to an end at which everybody has had everything, and all
 * memory is given back. False if anything was wrong, which is printed.
 */
bool sim_run(struct sim *sim, uint64_t seed, const struct sim_plan *plan);

uint64_t sim_draw(struct sim *sim, uint64_t n);
/* Never at the end, when all is fair. */
bool sim_chance(struct sim *sim, unsigned percent);
/* Prints what happens, where it is asked for. */
void sim_note(const struct sim *sim, const char *format, ...);
/* Keeps the first fault. */
void sim_accuse(struct sim *sim, const char *fault, const char *format, ...);
/* Memory is there again, or fails as the plan says. */
void sim_restore_memory(const struct sim *sim);
/* Takes note of what the hub has let go, and judges its counts. */
void sim_observe(struct sim *sim);

int conn_name(const struct conn *conn);
/* What a client is told; arg is the conn. */
void sim_saw(void *arg, const struct client_item *item);
/* The client reads so many of the bytes that are on the wire. */
void conn_receive(struct conn *conn, size_t len);
/* The connection ends, and what is on the wire is lost. */
void conn_cut(struct conn *conn, const char *why);
/* The host looks at a stream that has something, or whose transport has room. */
void conn_serve(struct conn *conn);

/* Wakes of loops and of lone streams: sse_wake_fn. */
int sim_wake_loop(void *arg, unsigned why);
int sim_wake_conn(void *arg, unsigned why);

#endif
