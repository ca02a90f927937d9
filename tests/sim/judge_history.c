/* SPDX-License-Identifier: MIT */
/* judge_history.c: the rules for what comes without ids, between two positions. */
#include "judge_parts.h"

#include <inttypes.h>

static bool in_history(const struct judge *judge, unsigned channel, uint64_t number) {
  const struct judge_recap *recap = &judge->of[channel].recap;
  const struct ledger_event *event = ledger_event(judge->ledger, number);
  bool conflated = judge->ledger->of[channel].conflated, deletes = event->tombstone && conflated;
  return (conflated || recap->history > 0) && number > recap->above && number <= recap->upto &&
         event->in[channel].fate != FATE_NONE && !deletes && !judge_spared(judge, event);
}

/* Whether so many events of the channel follow in a history that this one need not be in it. */
static bool too_old(const struct judge *judge, unsigned channel, uint64_t number) {
  const struct judge_recap *recap = &judge->of[channel].recap;
  size_t later = 0;
  if (judge->ledger->of[channel].conflated) return false;
  for (uint64_t n = number + 1; n <= recap->upto; n++) {
    later += ledger_event(judge->ledger, n)->in[channel].fate != FATE_NONE;
  }
  return later >= recap->history;
}

/* A history of a channel is over: all that was there was told, in one piece. */
static void close_history(struct judge *judge, unsigned channel) {
  struct judge_recap *recap = &judge->of[channel].recap;
  bool begun = false, conflated = judge->ledger->of[channel].conflated;
  recap->wanted = false;
  if (recap->optional) return;
  if (conflated && recap->not_whole && !recap->lost && !judge->ledger->inexact) {
    judge_accuse(judge, "a state that is not whole is told as if it were", "channel %u", channel);
  }
  for (uint64_t n = recap->above + 1; n <= recap->upto; n++) {
    const struct ledger_event *event = ledger_event(judge->ledger, n);
    if (!in_history(judge, channel, n)) continue;
    bool told = judge_was_told(judge, n, (unsigned char)(1u << channel));
    begun = begun || (told && event->channels == 1u << channel); /* or it may be another's */
    if (told || recap->lost || event->in[channel].fate == FATE_SUPERSEDED) continue;
    bool there = event->in[channel].fate == FATE_RETAINED && !too_old(judge, channel, n);
    bool was_there =
        event->in[channel].left > recap->asked && (recap->at_once || !too_old(judge, channel, n));
    bool too_old_then = event->born_ms < recap->born_min_ms;
    if (!too_old_then && (there || was_there || (begun && !conflated))) {
      judge_accuse(judge, "a history is not whole", "number %" PRIu64 ", channel %u", n, channel);
    }
  }
}

/*
 * The client holds a whole id: what was begun before is over. One for which a stream joined may be
 * still to come, as long as the number is the one at which it was asked.
 */
void judge_close_histories(struct judge *judge, bool was_unfinished) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    const struct judge_recap *recap = &judge->of[i].recap;
    bool ends = was_unfinished && judge->id == recap->upto && recap->at_once;
    if (recap->wanted && (ends || judge->id > recap->upto)) close_history(judge, i);
  }
}

/* Whether an event may come in a channel's history. */
static bool may_come(const struct judge *judge, unsigned channel, uint64_t number) {
  const struct judge_recap *recap = &judge->of[channel].recap;
  const struct ledger_event *event = ledger_event(judge->ledger, number);
  if (!recap->wanted || !in_history(judge, channel, number)) return false;
  if (event->in[channel].fate == FATE_GONE) return event->in[channel].left > recap->asked;
  uint64_t by = event->in[channel].by;
  return by == 0 || by > (recap->at_once ? judge->opened : recap->upto);
}

/* Which channel's history it is that goes on is not said, so it counts for all that it may be. */
void judge_take_history(struct judge *judge, const struct client_item *item) {
  bool known = false;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (!may_come(judge, i, item->number)) continue;
    known = true;
    judge_note_told(judge, item->number, (unsigned char)(1u << i));
  }
  if (!known) {
    judge_accuse(judge, "an event without an id is of no history", "number %" PRIu64, item->number);
  }
  if (item->number <= judge->bare && judge->terms.position != SSE_POSITION_OFF) {
    judge_accuse(judge, "a history is not in order", "%" PRIu64 " after %" PRIu64, item->number,
                 judge->bare);
  }
  judge->bare = item->number;
}

void judge_complete_histories(struct judge *judge) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (judge->of[i].recap.wanted) close_history(judge, i);
  }
}
