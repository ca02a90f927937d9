/* SPDX-License-Identifier: MIT */
/* stage.h: a hub, those who act on it, and hosts with streams, each on a thread of the scheduler.
 */
#ifndef STAGE_H
#define STAGE_H

#include "sched.h"
#include "world.h"

enum {
  ACTORS_MAX = 3,
  HOSTS_MAX = 3,
  CLIENTS_MAX = 2, /* of one host */
  TOLD_MAX = 32
};

/* How a host drives its streams; each keeps to the rules of sse/loop.h and sse/stream.h. */
enum host_kind {
  HOST_NONE,
  HOST_LOOP,   /* a loop, which sleeps until its wake or its timeout */
  HOST_WAKE,   /* one stream that stands alone, and sleeps until its wake */
  HOST_SECOND, /* the same, which looks once more by sse_stream_wait before it sleeps */
  HOST_EITHER, /* the same, which is in sse_stream_wait until it has had its first event */
  HOST_WAIT    /* one stream that stands alone, in sse_stream_wait */
};

/* When a host gives up streams that go on. */
enum leaves {
  LEAVES_AT_THE_END, /* when they have had all */
  LEAVES_AT_ONCE,    /* all of them after the first look */
  LEAVES_UNREAD,     /* all of them before it */
  LEAVES_SELF,       /* the first one, in a round, when it has had an event */
  LEAVES_OTHER,      /* the first one, in a round, when the second has had an event */
  LEAVES_READY       /* the second one, in the round in which both are ready from the start */
};

/*
 * What happens at the same time. An actor is a row of letters, each one thing that it does:
 *
 *   a to z  publishes the letter to the channel x, which all streams have
 *   A to Z  publishes the letter to the channel y
 *   0 to 9  publishes the figure to both, under one number
 *   !       kicks all streams
 *   &       disconnects all streams of the hub
 *   %       dismisses all streams
 *   #       drains
 *   $       finishes x
 *   + -     asks all streams to join y, to leave it
 *   ^       ticks
 *   ~       lets a second pass, and ticks
 *   *       ticks from time to time, as the result of the tick says
 *   ( )     opens a stream of its own, and frees it
 *   = >     advances a log by one number, skips one
 *   <       resets a log: it has the epoch F from then on
 */
struct scene {
  const char *name;
  const char *before; /* acted before there are streams, which start with what is retained */
  const char *actors[ACTORS_MAX];
  enum host_kind hosts[HOSTS_MAX];
  unsigned streams;     /* of the first host, if it is a loop; 0: one, as others have */
  enum leaves leaves;   /* of the first host */
  const char *owed;     /* what each stream is told, if it was published, until it leaves; a gap is
                           told as the letter of the call that it is of */
  const char *unwanted; /* what no stream is told; or NULL */
  int end;              /* why each stream ends at last; 0: its host ends it when it has had all */
  bool filtered; /* the second host's stream gets no events, and is kicked when others are over */
  bool both;     /* streams have both channels from the start */
  bool late;     /* hosts open their streams on their own threads, with what is retained */
  bool presence; /* the host wants to be told of presence */
  bool parts;    /* work in parts: the lock is released after each stream */
  bool timed;    /* timers are part of it; else one that comes is a fault */
  int fails;     /* so many wakes of each target fail */
  int full;      /* so many writes of each client find its transport full */
  bool log;      /* the hub has the numbers of a log, which begin at 1 */
  const char *last_ids[HOSTS_MAX]; /* of the streams of each host; NULL: none */
  unsigned wakes;                  /* of a host that stands alone, at most; 0: any number */
  uint32_t concurrent_replays_max;
  int32_t heartbeat_ms, linger_ms; /* 0: none */
  unsigned preemptions;            /* 0: as many as two, three or four threads allow */
};

/* What a wake is for: a loop, or a stream that stands alone. */
struct target {
  bool bell;
  bool dead;      /* no wake may come any more */
  bool busy;      /* one is under way */
  bool looking;   /* its host is in a call that may arm it */
  unsigned arms;  /* how often it was armed */
  unsigned woken; /* how often it was told that it is ready */
  unsigned rung;  /* how often it was called */
  int fails;      /* so many calls are still to fail */
};

/* One stream, and what its client was told. */
struct client {
  sse_stream *stream;
  struct target *target; /* of a stream that stands alone; NULL: of a loop */
  int over;              /* why it has ended; 0 */
  bool left;             /* it was given up before it had all */
  bool blocked;          /* its transport was full */
  int full;              /* so many writes still find it so */
  char line[256], told[TOLD_MAX];
  unsigned line_len, told_len, taken;
  uint64_t number; /* of the last event */
  uint64_t id;     /* of this block */
  char epoch;      /* of the last id */
  bool gap;        /* this block is one */
  char letter;     /* of this block; 0: none */
};

struct host {
  const struct scene *scene;
  enum host_kind kind;
  enum leaves leaves;
  const char *owed; /* as in the scene, as is the end */
  int end;
  bool filtered;
  sse_loop *loop;
  struct target target;
  const char *last_id;
  unsigned wakes; /* most that may come; 0: any number */
  struct client clients[CLIENTS_MAX];
  unsigned count;
  unsigned long turns; /* when its loop was last looked at */
  bool over;
};

struct stage {
  const struct scene *scene;
  struct world world;
  size_t blocks; /* of the allocator, before */
  struct host hosts[HOSTS_MAX];
  unsigned hosts_count;
  sse_stream *own[ACTORS_MAX]; /* streams of actors */
  bool sent[128];              /* what was published */
  uint64_t number;             /* of the log's last entry */
  bool telling;                /* presence, at this moment */
  int present[2];              /* of x and of y, as it was told last */
};

extern struct stage stage;

/* The play of a scene, for sched_explore. */
struct sched_play stage_play(const struct scene *scene);

/* ---- hosts.c ---- */

/* Makes a host of a kind, with its loop; its streams, unless they come late. */
void host_open(struct host *host);
void host_open_streams(struct host *host);
/* The body of its thread. */
void host_run(void *arg);

#endif
