/* SPDX-License-Identifier: MIT */
/* judge_parts.h: what the parts of the judge share. */
#ifndef JUDGE_PARTS_H
#define JUDGE_PARTS_H

#include "judge.h"

#define JUDGE_NONE UINT64_MAX /* no number */
#define JUDGE_TOLD 0x80u      /* in judge.told */

/* Keeps the first rule that was broken, and where. */
void judge_accuse(struct judge *judge, const char *rule, const char *format, ...);
/* Whether the events of a channel with this number are for the stream. */
bool judge_member(const struct judge *judge, unsigned channel, uint64_t number);
bool judge_published_to(const struct ledger_event *event, unsigned channel);
/* Whether the stream's filter leaves an event out. */
bool judge_spared(const struct judge *judge, const struct ledger_event *event);
/* Whether an event was told: JUDGE_TOLD, or bit i in a history of channel i. */
bool judge_was_told(const struct judge *judge, uint64_t number, unsigned char bit);
void judge_note_told(struct judge *judge, uint64_t number, unsigned char bit);
/* The number of an id of this hub, JUDGE_NONE if it is none; whether it has the mark. */
uint64_t judge_number_of(const struct ledger *ledger, const char *id, bool *unfinished);

/* ---- judge_start.c ---- */

bool judge_lost_nothing(const struct judge *judge);
/* Whether a connection whose id leads nowhere goes on at the head. */
bool judge_starts_live(const struct judge *judge);
/* The first thing that it is told. */
void judge_opening(struct judge *judge, const struct client_item *item, uint64_t number);

/* ---- judge_history.c ---- */

/* An event without an id. */
void judge_take_history(struct judge *judge, const struct client_item *item);
/* The client holds a whole id; `was_unfinished`: the one before had the mark. */
void judge_close_histories(struct judge *judge, bool was_unfinished);
/* The stream rests: none is to come any more. */
void judge_complete_histories(struct judge *judge);

#endif
