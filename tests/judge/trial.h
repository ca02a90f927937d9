/* SPDX-License-Identifier: MIT */
/* trial.h: what one stream must be given, may be given, and must not be given. */
#ifndef JUDGE_TRIAL_H
#define JUDGE_TRIAL_H

#include "body.h"
#include "book.h"
#include "wire.h"

enum {
  INTERVALS_MAX = 24,
  SECTIONS_MAX = 24,
  FLIGHT_MAX = 1 << 17,
  IDS_KEPT = 4
};

/* What is still to happen to an event in a stream. */
typedef enum mark {
  PENDING = 0, /* it must be given, or reported as lost */
  OPTIONAL,    /* it may be given; the manual leaves open where the stream begins */
  EXCLUDED,    /* it must not be given */
  GIVEN,
  LOST,      /* a gap reported it */
  MAYBE_LOST /* a gap without a number may have reported it */
} mark;

typedef enum want {
  WANT_NO,
  WANT_MAY,
  WANT_MUST
} want;

/* Events at or below a number that come without ids: the state at the opening, or a backfill. */
typedef struct section {
  uint64_t at;
  unsigned channels;
  bool opening, state, empty_asked; /* empty_asked: no backfill was asked for */
  bool begun, closed, gap_seen, other_gap, reported_lost;
  bool settled; /* without positions: all was given, and later evictions are no matter */
  int lost_then;
  unsigned made_at; /* the moment of the opening or the call */
  bool withdrawn;   /* the stream unsubscribed at the same number */
  bool covered;     /* a gap of a slow client took the place of its position */
  uint8_t wants[EVENTS_MAX];
  bool given[EVENTS_MAX];
  uint64_t last[CHANNELS]; /* the order within a channel */
} section;

typedef struct interval {
  int channel;
  uint64_t from, to; /* events with from < number <= to */
} interval;

/* What the first block must be. */
typedef struct first {
  sse_resume results;  /* if one only */
  unsigned result_set; /* bits of sse_resume */
  bool gap_must, gap_may;
  bool state_must, state_may;
  uint64_t low, high;           /* the cursor */
  unsigned gone_must, gone_may; /* channels that lost something */
  char requested[WIRE_ID_MAX];
} first;

typedef struct trial {
  sse_stream *stream;
  int slot, loop;  /* loop -1: standalone */
  unsigned has;    /* its channels after all calls */
  unsigned opened; /* those that it was opened with */
  unsigned ever;   /* all that it ever had */
  unsigned tags;   /* a set of bits */
  bool positions_off, filtered, headed, chunked;
  sse_start start;
  sse_lost lost;
  sse_slow slow;
  uint32_t start_events;
  uint32_t lag_events_max;
  size_t lag_bytes_max;
  int32_t lag_ms_max;
  uint64_t not_before;
  int32_t retry_ms; /* SSE_NEVER: none */
  char last_id[WIRE_ID_MAX];
  first opening;
  bool first_done;
  bool first_retry; /* a retry line came before the first block */
  int64_t first_retry_ms;
  uint64_t head_at_open;
  unsigned opened_at; /* the moment */
  interval intervals[INTERVALS_MAX];
  unsigned intervals_count;
  section sections[SECTIONS_MAX];
  unsigned sections_count, section_next;
  uint8_t marks[EVENTS_MAX];
  uint8_t reported[EVENTS_MAX]; /* channels that a gap named when they had evicted the event */
  uint64_t cursor;              /* of the bytes that were peeked */
  uint64_t caught_up;           /* the head when it was last given everything */
  uint64_t sent_cursor;         /* of the bytes that were consumed */
  bool armed;
  bool cut_short;     /* the last peek had no room for more pieces */
  unsigned looked_at; /* the moment of the last look */
  bool unclear;       /* windows had lost events above its cursor when it was opened */
  int wakes;          /* since it was armed */
  bool disconnected, dismissed, drained;
  bool replays; /* it has not yet been seen to reach the newest event */
  bool begun;   /* it was given something beyond its first bytes */
  uint64_t dismissed_at;
  bool retry_seen; /* the retry block of a gentle end */
  int32_t retry_given;
  uint64_t read_head;     /* everything up to here must be given now */
  bool lag_must, lag_may; /* a bound was exceeded when this look began */
  bool close_cause;       /* the client has not kept up since it was given everything */
  size_t flight_len;
  char ids[IDS_KEPT][WIRE_ID_MAX]; /* what the client's id was, the newest first */
  body judge_body, client_body;    /* around the two below */
  wire judge;                      /* reads what was peeked */
  wire client;                     /* reads what was consumed */
  char flight[FLIGHT_MAX];
} trial;

/* What the judge counted in one life of a hub. */
typedef struct tally {
  uint64_t delivered, unsure, lost_peeked, lost_sent;
  uint64_t gaps_peeked, gaps_sent, gaps_unread;
} tally;

extern tally counts;

rule trial_rule(const trial *t, rule broken); /* BOUND if the stream has limits */
bool trial_filter(const event *e); /* what the filter of a filtered stream lets through */
/* What became of an event for a stream: an eviction before its opening may be no loss to it. */
fate trial_fate(const trial *t, const event *e, unsigned channels, uint64_t cursor);
/* Conflated channels that it left and that evicted something: a gap may report them. */
unsigned trial_left_states(const trial *t);
unsigned trial_relevant(const trial *t, const event *e); /* its channels by which it is given e */
mark trial_mark(const trial *t, const event *e); /* with what not_before and the filter exclude */
bool trial_justified(trial *t, const event *e);  /* it may be passed over without a gap */

void trial_open(trial *t); /* computes what the opening must lead to; before sse_stream_open */
int trial_check_open(trial *t, int result);
void trial_first(trial *t, const wire_block *block, const wire_gap *gap, uint64_t number,
                 bool marked);

void trial_subscribe(trial *t, int channel, size_t backfill);
void trial_unsubscribe(trial *t, int channel);
void trial_dismiss(trial *t);
bool trial_section_wants(const section *s);         /* events of it must still be given */
section *trial_section(trial *t);                   /* the next one; NULL: none */
void trial_section_skip(trial *t, uint64_t number); /* those that may give nothing */
void trial_section_cover(trial *t); /* a position that may be those of all at one number */
void trial_section_for(trial *t, uint64_t number,
                       unsigned named); /* skips those that a gap is not about */
void trial_section_event(trial *t, const event *e);
void trial_section_mark(trial *t, uint64_t number, const wire_gap *gap);
void trial_section_close(trial *t, uint64_t number, const wire_gap *gap);
void trial_pass(trial *t, uint64_t number, const char *by); /* all below must be settled */
void trial_pass_events(trial *t, uint64_t number, const char *by);
void trial_state_wants(const trial *t, section *s);

void trial_block(void *arg, const wire_block *block);
void trial_look(trial *t, bool inside);    /* before a peek, in an iteration or not */
void trial_nothing(trial *t, bool inside); /* a peek found nothing, in an iteration or not */
bool trial_waits(const trial *t);          /* it may wait for a slot to replay */
bool trial_ending(const trial *t);         /* it was given the bytes of a gentle end */
void trial_replayed(trial *t);
bool trial_drained(void); /* the time of a drain is over */
void trial_over(trial *t, int code);
bool trial_complete(const trial *t, uint64_t up, char *why, size_t cap);
bool trial_parse_id(const char *id, uint64_t *number, bool *marked); /* of this life */
unsigned trial_channel_set(const wire_gap *gap);

#endif
