/* SPDX-License-Identifier: MIT */
/* trial.h: what publishers did and what clients received in one run, for the judge. */
#ifndef TESTS_CHAOS_TRIAL_H
#define TESTS_CHAOS_TRIAL_H

#include <stdint.h>
#include <stdio.h>

enum {
  CHANNELS = 8,
  EPOCHS_MAX = 512,
  EPOCH_BYTES = 12,
  TRIMS_MAX = 512,
  PAYLOAD_MAX = 128,
  LATE_US = 15 * 1000 * 1000 /* a node may append a request this long after its client gave up */
};

/* An event that a publisher has sent. All times are of one clock, in microseconds. */
struct sent {
  int64_t sent_us;   /* before the first attempt */
  int64_t acked_us;  /* after the answer 200; 0: none came */
  int64_t ended_us;  /* end of the last attempt */
  uint64_t number;   /* in the id of the answer; 0: the id is the application's, or there is none */
  int epoch;         /* of that id */
  int attempts;      /* requests that may have reached a node */
  unsigned channels; /* bit set */
  int has_own_id;    /* the application gave its id, which is app-INDEX */
};

enum note_kind {
  NOTE_FRESH,    /* a connection without a last id */
  NOTE_RETURN,   /* a connection with a last id; `event` if that is one of the application */
  NOTE_POSITION, /* also the header of an empty poll */
  NOTE_EVENT,
  NOTE_GAP,
  NOTE_STRANGE /* what no client should be sent */
};

enum gap_reason {
  GAP_EVICTED,
  GAP_RESTART,
  GAP_UNKNOWN,
  GAP_SLOW,
  GAP_OTHER, /* future and malformed: no client here sends such an id */
  GAP_REASONS
};

extern const char *const gap_names[GAP_REASONS];

/* One block that a client received, or one connection that it began. */
struct note {
  int64_t us;
  uint64_t number;  /* of the id, if it is of the hub's form */
  int32_t event;    /* index; -1: none */
  int16_t epoch;    /* index; -1: the id is not of the hub's form */
  uint8_t kind;     /* enum note_kind */
  uint8_t reason;   /* enum gap_reason */
  uint8_t channels; /* bit set that a gap names */
  uint8_t node;
};

struct witness {
  unsigned channels; /* bit set */
  struct note *notes;
  int count, cap;
};

struct trim {
  int64_t from_us, to_us;
};

struct trial {
  struct sent *events;
  int event_count, event_cap;
  struct witness *witnesses;
  int witness_count;
  char epochs[EPOCHS_MAX][EPOCH_BYTES];
  int epoch_count;
  struct trim trims[TRIMS_MAX]; /* when the log was cut off by hand */
  int trim_count;
};

/* The message of an event. */
void trial_payload(int event, char payload[PAYLOAD_MAX]);

/* The index of an epoch; a new one is added. */
int trial_epoch(struct trial *trial, const char *name, size_t len);

/* Reads "epoch.number": 0, or -1 if the id has another form. */
int trial_read_id(struct trial *trial, const char *id, int *epoch, uint64_t *number);

struct sent *trial_add_event(struct trial *trial);
void trial_add_note(struct witness *witness, const struct note *note);

/* Prints one note in a line. */
void trial_print(const struct trial *trial, const struct note *note, FILE *out);
void trial_free(struct trial *trial);

#endif
