/* SPDX-License-Identifier: MIT */
/* sim.h: a hub, its loops and its clients in one random history: the network and the host.
 *
 * All that happens is drawn from the seed. What the clients read is held against what was published
 * (judge.h); the first fault is kept in the struct, and the history ends with it.
 */
#ifndef SIM_H
#define SIM_H

#include "judge.h"
#include "world.h"

#define SIM_CLIENTS     6
#define SIM_LOOPS       2
#define SIM_HOARD       24 /* streams of a greedy client that opens many */
#define SIM_STREAMS     (SIM_CLIENTS + SIM_HOARD)
#define SIM_LIVES       4
#define SIM_TAGS        3
#define SIM_STEPS_MAX   1024
#define SIM_WIRE_MAX    4096
#define SIM_EXPECT_MAX  64
#define SIM_PATIENCE_MS 3000 /* the stall deadline of every stream */
#define SIM_GREED_MS    2400 /* how long before it a greedy client takes a byte */
#define SIM_AGE_MS      9000
#define SIM_LINGER_MS   60
#define SIM_IDLE_MS     700  /* the idle time of channels, where they have one */
#define SIM_BEAT_MS     1000 /* the longest heartbeat of a hub or a stream */

/* What can happen; a history has a weight for each. */
enum sim_op {
  PUBLISH,
  BURST,
  OPEN,
  CUT,
  HALF_CLOSE,
  RECEIVE,
  HOST,
  WAIT,
  JUMP,
  FREEZE,
  CONFIGURE,
  FORGET,
  TICK,
  LOOP,
  RESTART,
  JOIN,
  LEAVE,
  KICK,
  DISMISS,
  ROSTER,
  LAG,
  DRAIN,
  FINISH,
  HOARD,
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
  WRITE_ESTALLED,
  WRITE_NOTHING, /* 0 */
  WRITE_MORE,    /* more than it was offered */
  WRITES
};

struct sim;

/* A loop, or a lone stream that was armed, was woken for an event and has not been served since. */
struct sim_owed {
  bool is;
  uint64_t from; /* the number before the event's */
  int64_t since_ms;
};

/* What a history is to be; the rest is drawn. */
struct sim_plan {
  void (*mix)(struct sim *sim); /* sets config, weights and what else says so in struct sim */
  const void *arg;              /* mix's own */
  bool trace;                   /* print all that happens */
  const bool *skipped;          /* SIM_STEPS_MAX of them: steps to be left out; NULL: none */
  const unsigned char *input;   /* draws from here, and ends with it; NULL: from the seed */
  size_t input_len;
  size_t fail_alloc; /* so many allocations after the hub was made one fails; 0: none */
  size_t fail_write; /* the same for calls of transports */
  enum sim_write how;
  bool onwards; /* and all after it, until everything becomes fair */
};

/* What came to pass in a history, counted, so that a test can tell whether it was worth its time.
 */
enum sim_seen {
  SEEN_EVENT,
  SEEN_BARE,
  SEEN_GAP,
  SEEN_POSITION,
  SEEN_RESUMED,
  SEEN_EVICTED, /* a resume that begins with a gap */
  SEEN_FOREIGN, /* an id that is none of this hub's */
  SEEN_IN_LOOP,
  SEEN_ALONE,
  SEEN_SEVERAL,    /* channels on one stream */
  SEEN_SHARED,     /* an event for several channels */
  SEEN_EPHEMERAL,  /* published */
  SEEN_SUPERSEDED, /* likewise */
  SEEN_OWN_ID,     /* likewise */
  SEEN_FULL,       /* a publish that the ceiling has no room for */
  SEEN_DETACHED,
  SEEN_CONFIGURED,
  SEEN_FORGOTTEN,
  SEEN_JOINED,
  SEEN_LEFT,
  SEEN_KICKED,
  SEEN_DISMISSED, /* streams that ended so */
  SEEN_LISTED,    /* tags */
  SEEN_LAG,       /* that a publisher asked for */
  SEEN_DRAINED,
  SEEN_FINISHED,
  SEEN_SLOW,    /* a stream that was ended for it */
  SEEN_GONE,    /* channels that went away, and left a ghost */
  SEEN_NOMEM,   /* calls that failed for want of memory */
  SEEN_WRITES,  /* calls of transports */
  SEEN_CLOSED,  /* chunked bodies with their last chunk */
  SEEN_HOARDED, /* streams of a greedy client that opens many */
  SEEN_WAITED,  /* for a turn to replay while nobody read */
  SEEN_KINDS
};

/* A client, its connection and what is under way on it. */
struct conn {
  struct client client;
  struct judge judge;
  struct sim *sim;
  sse_stream *stream, *leaving; /* and one that is detached, whose bytes are still lent */
  struct sim_loop *loop;        /* NULL: it stands alone */
  unsigned tags;                /* bit i: it has tag i */
  unsigned filter;              /* events with this label are left out */
  bool closes, kicked;          /* it is closed when it is slow; it was kicked */
  bool armed, woken;            /* alone: it waits for its wake; the wake came */
  bool blocked;                 /* the host has to go on with it as soon as there is room */
  bool polled;                  /* alone and without a wake */
  struct sim_owed owed;         /* alone */
  bool frozen;                  /* the client does not read */
  bool greedy;  /* it takes one byte shortly before each deadline, and holds all that it is lent */
  int must_end; /* the reason that its transport has given; 0 */
  int64_t opened_ms, moved_ms;
  char old_id[CLIENT_TEXT_MAX]; /* one that it had at some time */
  char wire[SIM_WIRE_MAX];      /* accepted, and not yet read by the client */
  size_t on_wire, wire_cap;
  char expect[SIM_EXPECT_MAX]; /* what the next bytes have to be: they were lent before */
  size_t expect_len;
};

/* One of many streams of a greedy client. What it is given is not judged. */
struct hoarded {
  sse_stream *stream; /* NULL: none */
  int64_t opened_ms;
  int64_t moved_ms; /* when it took its last byte */
};

struct sim_loop {
  sse_loop *loop;
  struct sim *sim;
  bool woken;
  int64_t sleep_ms;           /* it sleeps until then */
  struct sim_owed owed, next; /* and what came within a round, for the next one */
  unsigned failing;           /* so many wakes fail */
};

/* One history. The mix is what its plan says: config, weights, channels and the percents. */
struct sim {
  struct sim_plan plan;
  uint64_t seed;
  size_t seen[SEEN_KINDS];
  struct world world;
  struct ledger lives[SIM_LIVES];
  struct ledger *life;
  size_t lives_count;
  struct sim_loop loops[SIM_LOOPS];
  struct conn conns[SIM_CLIENTS];
  struct hoarded hoard[SIM_HOARD];
  int present[CLIENT_CHANNELS]; /* what the host was told of each channel */
  sse_hub_config config;
  size_t length; /* so many steps before the end; 0: drawn */
  size_t steps;  /* that were taken, left out ones included */
  unsigned weights[OPS];
  unsigned channels, eagain, held, tiny, failing;      /* the last four in percent */
  unsigned shared, ephemeral, own_ids, tagged, choosy; /* in percent */
  unsigned conflated;                                  /* bit i: channel i is */
  bool fair;       /* the end: everything works, and everybody reads */
  unsigned greedy; /* in percent: clients that are */
  size_t bytes;    /* of memory before the hub */
  bool nested;     /* within a round of a loop */
  bool besieged;   /* near the end: the clients that are there stay, and no others come */
  const char *fault;
  char detail[320];
};

/*
 * Runs one history, from its first hub to an end at which everybody has had everything, and all
 * memory is given back. False if anything was wrong, which is kept in the struct.
 */
bool sim_run(struct sim *sim, uint64_t seed, const struct sim_plan *plan);
/*
 * Repeats a history that fails with ever fewer steps, as long as it fails in the same way, and then
 * prints what is left of it. The struct is what it was after the last.
 */
void sim_shrink(struct sim *sim, uint64_t seed, const struct sim_plan *plan);
/* A mix of all there is: for sim_plan. */
void sim_mix(struct sim *sim);

uint64_t sim_draw(struct sim *sim, uint64_t n);
/* Never at the end, when all is fair. */
bool sim_chance(struct sim *sim, unsigned percent);
/* The same of a host that has other things to do first; not in a siege, where it must keep up. */
bool sim_delays(struct sim *sim, unsigned percent);
/* Prints what happens, where it is asked for. */
void sim_note(const struct sim *sim, const char *format, ...);
/* Keeps the first fault. */
void sim_accuse(struct sim *sim, const char *fault, const char *format, ...);
/* Memory is there again, or fails as the plan says. */
void sim_restore_memory(const struct sim *sim);
/* Takes note of what the hub has let go, and judges its counts. */
void sim_observe(struct sim *sim);

/* ---- sim.c: the network and the host ---- */

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

/* ---- hoard.c: a greedy client that opens many streams ---- */

/* The streams of all clients, hoarded ones included, from 0 to below SIM_STREAMS; NULL: none. */
sse_stream *sim_stream(const struct sim *sim, unsigned i);
/* Whether a greedy client takes another byte after the one that it took then. */
bool sim_greed_due(const struct sim *sim, int64_t moved_ms);
/* Some more are opened. */
void hoard_open(struct sim *sim);
/* The host looks at one of them; NULL: at all. */
void hoard_serve(struct sim *sim, const sse_stream *stream);
/* They leave. */
void hoard_free(struct sim *sim);

/* ---- bounds.c: what a hub may hold ---- */

/* At any time. */
void sim_judge_bounds(struct sim *sim);
/* After a tick. */
void sim_judge_timers(struct sim *sim);

/* ---- siege.c: nobody reads any more ---- */

/* Publishing and replays go on all the same. */
void sim_besiege(struct sim *sim);

/* ---- life.c ---- */

/* The host looks at all that has something for it, most of the time. */
void sim_host(struct sim *sim);

/* ---- calls.c: what the host does besides ---- */

/* Whether a channel is conflated; one that is not there yet will be as the hub says. */
bool sim_conflated(const struct sim *sim, unsigned channel);
/* The name of a tag. */
const char *sim_tag(unsigned tag);
/* Something is published, to this channel and perhaps to others. */
void sim_publish(struct sim *sim, unsigned channel);
void sim_configure(struct sim *sim);
void sim_forget(struct sim *sim);
void sim_finish(struct sim *sim);
void sim_join(struct sim *sim);
void sim_leave(struct sim *sim);
void sim_kick(struct sim *sim);
void sim_dismiss(struct sim *sim);
void sim_roster(struct sim *sim);
void sim_lag(struct sim *sim);
void sim_drain(struct sim *sim);

/* ---- arrive.c: clients that come, and come back ---- */

/* A client that comes for the first time, some with an id that is none. */
void conn_renew(struct conn *conn);
void conn_open(struct conn *conn);
/* Some channels for a stream, as a list of names and a bit for each. */
unsigned sim_draw_channels(struct sim *sim, const char *names[CLIENT_CHANNELS + 1]);
/* A code that an open may be refused with, or 0. */
int sim_refusal(const struct sim *sim, unsigned channels, int result);

/* A call that failed had a cause, and has left everything as it was before; `expected`: 0, or a
 * code that is right. */
struct picture;
void sim_judge_failure(struct sim *sim, const struct picture *before, int result, int expected);
/* Lets memory fail in the next call, now and then, and has it back after that. */
void sim_fail_some(struct sim *sim);
void sim_fail_no_more(const struct sim *sim);

#endif
