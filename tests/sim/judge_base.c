/* SPDX-License-Identifier: MIT */
/* judge_base.c: what all rules of the judge ask. */
#include "judge_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void judge_accuse(struct judge *judge, const char *rule, const char *format, ...) {
  va_list args;
  if (judge->fault) return;
  judge->fault = rule;
  va_start(args, format);
  vsnprintf(judge->detail, sizeof judge->detail, format, args);
  va_end(args);
}

/* ---- what a stream has, and what it was told ---- */

/* Whether the events of a channel with this number were for the stream. */
bool judge_member(const struct judge *judge, unsigned channel, uint64_t number) {
  bool joined = judge->terms.channels & 1u << channel;
  for (unsigned i = 0; i < judge->changes_count && judge->changes[i].at < number; i++) {
    if (judge->changes[i].channel == channel) joined = judge->changes[i].join;
  }
  return joined;
}

bool judge_has(const struct judge *judge, unsigned channel) {
  return judge_member(judge, channel, JUDGE_NONE);
}

bool judge_published_to(const struct ledger_event *event, unsigned channel) {
  return event->channels & 1u << channel;
}

bool judge_spared(const struct judge *judge, const struct ledger_event *event) {
  return judge->terms.filter >= 0 && event->label == (unsigned)judge->terms.filter;
}

bool judge_was_told(const struct judge *judge, uint64_t number, unsigned char bit) {
  return number < judge->told_cap && judge->told[number] & bit;
}

void judge_note_told(struct judge *judge, uint64_t number, unsigned char bit) {
  if (number >= judge->told_cap) {
    uint64_t cap = number + 128;
    judge->told = realloc(judge->told, cap);
    if (!judge->told) abort();
    memset(judge->told + judge->told_cap, 0, cap - judge->told_cap);
    judge->told_cap = cap;
  }
  judge->told[number] |= bit;
}

void judge_forget(struct judge *judge) {
  if (judge->told_cap > 0) memset(judge->told, 0, judge->told_cap);
}

void judge_free(struct judge *judge) {
  free(judge->told);
  judge->told = NULL;
  judge->told_cap = 0;
}

/* ---- ids ---- */

/* The number of an id of this hub, JUDGE_NONE if it is none; whether it has the mark. */
uint64_t judge_number_of(const struct ledger *ledger, const char *id, bool *unfinished) {
  size_t len = strlen(ledger->epoch);
  char canonical[CLIENT_TEXT_MAX];
  *unfinished = false;
  if (strncmp(id, ledger->epoch, len) != 0 || id[len] != '.') return JUDGE_NONE;
  uint64_t number = strtoull(id + len + 1, NULL, 10);
  snprintf(canonical, sizeof canonical, "%s.%" PRIu64, ledger->epoch, number);
  if (strcmp(id, canonical) == 0) return number;
  *unfinished = true;
  strcat(canonical, "~");
  return strcmp(id, canonical) == 0 ? number : JUDGE_NONE;
}
