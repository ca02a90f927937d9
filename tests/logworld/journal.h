/* SPDX-License-Identifier: MIT */
/* journal.h: the log that all hubs read, with its histories. */
#ifndef LOGWORLD_JOURNAL_H
#define LOGWORLD_JOURNAL_H

#include <stddef.h>

#include "rules.h"

/* Channels from FIRST_STATE on are conflated. */
enum {
  CHANNELS = 5,
  FIRST_STATE = 3,
  KEYS = 4,
  ENTRIES_MAX = 160,
  HISTORIES_MAX = 4,
  PAYLOAD_MAX = 128
};
#define STATE_CHANNELS 0x18u

typedef struct entry {
  uint64_t number;
  unsigned channels; /* a set of bits; 0: it is for other readers of the log */
  int key;           /* -1: none */
  bool tombstone, marked;
  char id[24];   /* of the application; "": none */
  unsigned name; /* of the payload; it differs in all histories, unless they share the entry */
} entry;

/* Every entry that the log ever had under one epoch, those included that were trimmed. */
typedef struct history {
  char epoch[12];
  entry entries[ENTRIES_MAX];
  unsigned count;
  uint64_t trimmed; /* nothing up to here can be read any more */
  uint64_t end;     /* the last number, which may be that of no entry */
} history;

typedef struct log_book {
  history histories[HISTORIES_MAX];
  unsigned count; /* the present one is the last */
  unsigned names;
  bool finished[CHANNELS]; /* no entry of it is appended any more */
} log_book;

extern log_book journal;
extern const char *const channel_names[CHANNELS];
extern const char *const key_names[KEYS];

void journal_begin(uint64_t first);
history *journal_now(void);
void journal_append(const entry *e, unsigned hole); /* takes the number after a hole */
void journal_trim(uint64_t upto);
/* Loses what is above a number; the log goes on under a new epoch. */
bool journal_lose(uint64_t above);
int journal_find(int in, unsigned name);                   /* the index of an entry; -1: none */
uint64_t journal_last(int in, int channel, uint64_t upto); /* its last number; 0: none */
void journal_payload(char *to, char kind, unsigned name);
const char *journal_set(unsigned channels); /* their names */
/* Reads an id of the form epoch.number; the index of the history, -1: none. */
int journal_id(const char *id, uint64_t *number, bool *marked);

#endif
