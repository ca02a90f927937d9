/* SPDX-License-Identifier: MIT */
/* entry.h: an entry of a log: one event with its channels, its number and its time. */
#ifndef ENGINE_ENTRY_H
#define ENGINE_ENTRY_H

#include <stdint.h>

#include "engine.h"

/*
 * An entry has every member of sse_event. It is one block of memory: the strings stand behind the
 * struct. The channels are a list that ends with NULL.
 */
struct entry {
  struct entry *next;
  sse_event event; /* its number is 0 until the log has given it one */
  const char *const *channels;
  int64_t at_ms;   /* when it was submitted, in ms since 1970 */
  int64_t nonce;   /* random; a log that has the entry's number twice is found out by it */
  size_t bytes;    /* memory of the block */
  int64_t due_ms;  /* the kind's: when it is answered at the latest, on the monotonic clock */
  uint64_t serial; /* the kind's: which command has appended it */
  engine_done_fn *done;
  void *arg;
};

/* A list of entries, in their order. All zeros is an empty one. */
struct entries {
  struct entry *first, *last;
  size_t count;
};

void entries_add(struct entries *entries, struct entry *entry);
struct entry *entries_take(struct entries *entries);                /* the first one; NULL: none */
void entries_append(struct entries *entries, struct entries *more); /* `more` is empty then */
void entries_free(struct entries *entries);

/* What a hub takes. */
struct entry_limits {
  size_t event_bytes_max;
};

struct entry_limits entry_limits_of(const sse_hub_config *hub);

/*
 * Refuses, before it is in a log, what sse_hub_publish_to would refuse whatever the state of the
 * hub: 0, or the same error. An id of the application must not look like one of any hub.
 */
int entry_check(const struct entry_limits *limits, const char *const *channels,
                const sse_event *ev);

/* A copy with the present time; NULL without memory. */
struct entry *entry_new(const char *const *channels, const sse_event *ev);

/* The names of the channels as one string, with a newline between two; NULL without memory. */
char *entry_join_names(const char *const *channels);
/* Ends each name in `names` and lists them; of more than any hub takes the list is empty. */
void entry_split_names(char *names, const char *list[SSE_PUBLISH_CHANNELS_MAX + 1]);

#endif
