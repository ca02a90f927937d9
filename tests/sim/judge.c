/* SPDX-License-Identifier: MIT */
/* judge.c: holds what a client was told against what was published. */
#include "judge_parts.h"

#include <inttypes.h>
#include <string.h>

/* ---- loss ---- */

/* One channel's part of an event that was not told: whether it is a loss, which a gap announced. */
static bool is_lost_in(struct judge *judge, uint64_t number, unsigned channel) {
  const struct ledger_event *event = ledger_event(judge->ledger, number);
  enum fate fate = event->in[channel].fate;
  bool covered = number <= judge->of[channel].covered;
  bool before = fate == FATE_GONE && event->in[channel].left <= judge->moment;
  if (fate == FATE_SUPERSEDED) return false;
  if (before && judge->terms.verdict == SSE_RESUME_NONE) return false; /* it was not the client's */
  if (fate == FATE_RETAINED && !(judge->terms.bounded && covered)) {
    judge_accuse(judge, "an event is left behind that is still there",
                 "number %" PRIu64 ", channel %u", number, channel);
  } else if (!covered) {
    judge_accuse(judge, "an event is missing, and no gap says so",
                 "number %" PRIu64 ", channel %u, announced to %" PRIu64, number, channel,
                 judge->of[channel].covered);
  }
  return true;
}

/* Nothing may be left behind up to this number. */
static void account(struct judge *judge, uint64_t upto) {
  for (; judge->done < upto; judge->done++) {
    uint64_t number = judge->done + 1;
    const struct ledger_event *event = ledger_event(judge->ledger, number);
    bool lost = false;
    if (event->ephemeral || judge_spared(judge, event)) continue;
    if (judge_was_told(judge, number, JUDGE_TOLD)) continue;
    for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
      if (!judge_published_to(event, i) || !judge_member(judge, i, number)) continue;
      lost = is_lost_in(judge, number, i) || lost;
    }
    judge->missing += lost;
  }
}

/* Once all that gaps announced is accounted for, as many are missing as the gaps said. */
static void settle(struct judge *judge) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (judge->of[i].covered > judge->done) return;
  }
  bool exact = !judge->uncounted && judge->terms.filter < 0;
  if (exact && judge->lost != judge->missing) {
    judge_accuse(judge, "a gap counts wrong", "%" PRIu64 " for %" PRIu64, judge->lost,
                 judge->missing);
  }
  judge->lost = judge->missing = 0;
  judge->uncounted = false;
}

/* ---- ids ---- */

/* The client holds this id now. */
static void pass_id(struct judge *judge, const struct client_item *item, uint64_t number,
                    bool unfinished) {
  if (number == JUDGE_NONE || number > judge->ledger->head) {
    judge_accuse(judge, "an id is none of this hub's", "%s", item->id);
    return;
  }
  if (judge->dismissed && number > judge->last_wanted) {
    judge_accuse(judge, "a dismissed stream goes on", "%" PRIu64 " after %" PRIu64, number,
                 judge->last_wanted);
  }
  if (number < judge->id || number < judge->last) {
    judge_accuse(judge, "ids only grow", "%" PRIu64 " after %" PRIu64 " and %" PRIu64, number,
                 judge->id, judge->last);
  }
  judge->id = number;
  account(judge, number);
  if (!unfinished) judge_close_histories(judge, judge->unfinished);
  judge->unfinished = unfinished;
}

/* ---- events ---- */

static bool is_for(const struct judge *judge, uint64_t number) {
  const struct ledger_event *event = ledger_event(judge->ledger, number);
  if (judge_spared(judge, event)) return false;
  if (judge->dismissed && number > judge->last_wanted) return false;
  if (event->ephemeral && number <= judge->opened) return false;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (judge_published_to(event, i) && judge_member(judge, i, number)) return true;
  }
  return false;
}

static void take_event(struct judge *judge, const struct client_item *item) {
  uint64_t number = item->number;
  if (!is_for(judge, number)) {
    judge_accuse(judge, "an event is not for this stream", "number %" PRIu64, number);
  } else if (judge_was_told(judge, number, JUDGE_TOLD)) {
    judge_accuse(judge, "an event comes twice", "number %" PRIu64, number);
  } else if (number <= judge->last || number <= judge->id) {
    judge_accuse(judge, "an event comes late", "number %" PRIu64 " after %" PRIu64 " and %" PRIu64,
                 number, judge->last, judge->id);
  } else if (judge->unfinished && judge->terms.position != SSE_POSITION_OFF) {
    judge_accuse(judge, "a history is not in one piece", "number %" PRIu64, number);
  }
  if (judge->fault) return;
  judge_note_told(judge, number, JUDGE_TOLD);
  account(judge, number);
  judge->last = number;
  settle(judge);
}

/* ---- gaps ---- */

static const char *reason_of(const struct judge *judge) {
  switch (judge->terms.verdict) {
  case SSE_RESUME_RESTART:
    return "restart";
  case SSE_RESUME_UNKNOWN:
    return "unknown";
  case SSE_RESUME_FUTURE:
    return "future";
  case SSE_RESUME_MALFORMED:
    return "malformed";
  default:
    return "evicted";
  }
}

/* What a gap says besides its channels. */
static void judge_words(struct judge *judge, const struct client_item *item, bool of_history) {
  sse_resume verdict = judge->terms.verdict;
  const char *reason = judge->opening ? reason_of(judge) : of_history ? "evicted" : "slow";
  bool said = judge->opening && verdict != SSE_RESUME_MALFORMED && verdict != SSE_RESUME_NONE;
  if (strcmp(item->reason, reason) != 0) {
    judge_accuse(judge, "a gap has another's reason", "%s for %s", item->reason, reason);
  }
  if (strcmp(item->requested, said ? judge->requested : "") != 0) {
    judge_accuse(judge, "a gap names another request", "%s", item->requested);
  }
  if (strcmp(item->resume, item->id) != 0) {
    judge_accuse(judge, "a gap names another id than it has", "%s, %s", item->resume, item->id);
  }
  if (judge->terms.filter >= 0 && item->counted) {
    judge_accuse(judge, "a gap counts what a filter may have left out", "%" PRIu64, item->lost);
  }
  if (item->counted && item->lost == 0 && !judge->ledger->inexact) {
    judge_accuse(judge, "a gap where nothing was lost", "id %s", item->id);
  }
}

/* The highest number of a channel that was let go and was for the stream. */
static uint64_t highest_gone(const struct judge *judge, unsigned channel) {
  uint64_t number = judge->ledger->of[channel].evicted;
  while (number > 0 && !(ledger_event(judge->ledger, number)->in[channel].fate == FATE_GONE &&
                         judge_member(judge, channel, number))) {
    number--;
  }
  return number;
}

/*
 * Whether the stream left a conflated channel before it had all of it: when such a channel evicts
 * something later, the library cannot tell whether the stream lost something.
 */
static bool leaves_conflated(const struct judge *judge, unsigned channel) {
  bool left = false, conflated = false;
  for (unsigned i = 0; i < judge->changes_count; i++)
    left = left || (judge->changes[i].channel == channel && !judge->changes[i].join);
  for (uint64_t n = judge->done + 1; n <= judge->ledger->head; n++) {
    const struct ledger_event *event = ledger_event(judge->ledger, n);
    bool here = judge_published_to(event, channel);
    conflated =
        conflated || (here && (event->tombstone || event->in[channel].fate == FATE_SUPERSEDED));
  }
  return left && conflated;
}

/* Whether a channel is one that this gap may name. */
static void judge_named(struct judge *judge, unsigned channel, uint64_t number, bool exact) {
  bool has = judge_member(judge, channel, number + 1) || judge_member(judge, channel, number);
  if (!has && !judge->of[channel].recap.wanted) {
    judge_accuse(judge, "a gap names a channel that the stream has not", "channel %u", channel);
  } else if (exact && highest_gone(judge, channel) <= judge->done && !judge->terms.bounded &&
             !judge->ledger->inexact && !leaves_conflated(judge, channel)) {
    judge_accuse(judge, "a gap where nothing was lost", "channel %u, up to %" PRIu64, channel,
                 highest_gone(judge, channel));
  }
}

/* What was gone when the gap was written is not known here, only what is gone by now. */
static void cover(struct judge *judge, unsigned channel, uint64_t number) {
  uint64_t upto = highest_gone(judge, channel);
  if (judge->terms.bounded && number > upto) upto = number;
  if (upto > judge->of[channel].covered) judge->of[channel].covered = upto;
}

/*
 * Whether a gap is about a history: it ends one. Without positions nobody can tell its end, and of
 * an empty state that is not whole there is the end alone.
 */
static bool is_of_history(const struct judge *judge, const struct client_item *item) {
  if (judge->opening) return false;
  bool empty = false;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    bool lost = judge->of[i].recap.wanted && judge->ledger->of[i].state_lost;
    empty = empty || (lost && item->channels == 1u << i);
  }
  bool either = empty || judge->terms.position == SSE_POSITION_OFF;
  return either ? strcmp(item->reason, "evicted") == 0 : judge->unfinished;
}

/* Whether a live start passes over an event of a channel, or one was let go, after the client's id. */
static bool lost_by_live(const struct judge *judge, unsigned channel) {
  uint64_t after = judge->has;
  for (uint64_t n = after + 1; n <= judge->opened; n++) {
    enum fate fate = ledger_event(judge->ledger, n)->in[channel].fate;
    uint64_t by = ledger_event(judge->ledger, n)->in[channel].by;
    bool later = fate == FATE_SUPERSEDED && by > judge->opened;
    bool lost = fate == FATE_RETAINED || fate == FATE_GONE || later;
    if (lost && judge->terms.channels & 1u << channel) return true;
  }
  return false;
}

static void take_gap(struct judge *judge, const struct client_item *item, uint64_t number) {
  bool of_history = is_of_history(judge, item);
  bool all = judge->opening && judge->terms.verdict != SSE_RESUME_EVICTED &&
             judge->terms.verdict != SSE_RESUME_NONE;
  bool exact = !judge->opening || judge->terms.verdict == SSE_RESUME_EVICTED;
  if (judge->opening && strchr(judge->requested, '~')) exact = false, all = true;
  bool live = judge->opening && judge->terms.lost == SSE_LOST_LIVE && exact;
  judge_words(judge, item, of_history);
  /* What its limits pass over of a state is given as a state. */
  for (unsigned i = 0; judge->opening && i < CLIENT_CHANNELS; i++) {
    struct judge_recap *recap = &judge->of[i].recap;
    if (recap->at_once && recap->upto < number) recap->upto = number;
  }
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    bool named = item->channels & 1u << i;
    if (live && !judge->ledger->inexact && named != lost_by_live(judge, i)) {
      judge_accuse(judge, "a live start names other channels than those that lost", "%u", i);
    }
    if (all && !named && judge_member(judge, i, number)) {
      judge_accuse(judge, "a gap does not name a channel", "%u", i);
    }
    if (!named) continue;
    judge_named(judge, i, number, exact && !of_history && !live);
    if (of_history) {
      judge->of[i].recap.lost = true;
    } else {
      cover(judge, i, number);
    }
  }
  if (of_history) return;
  judge->lost += item->lost;
  judge->uncounted = judge->uncounted || !item->counted;
}

/* ---- all ---- */

static bool is_known(struct judge *judge, const struct client_item *item) {
  bool event = item->kind == CLIENT_EVENT || item->kind == CLIENT_BARE;
  if (!event) return true;
  if (item->number == 0 || item->number > judge->ledger->head) {
    judge_accuse(judge, "an event that was never published", "number %" PRIu64, item->number);
  } else if (item->kind == CLIENT_EVENT &&
             strcmp(item->id, ledger_id(judge->ledger, item->number)) != 0) {
    judge_accuse(judge, "an event has another's id", "%s for number %" PRIu64, item->id,
                 item->number);
  } else if (item->kind == CLIENT_EVENT && ledger_event(judge->ledger, item->number)->ephemeral) {
    judge_accuse(judge, "an ephemeral event has an id", "%s", item->id);
  }
  return !judge->fault;
}

void judge_take(void *arg, const struct client_item *item) {
  struct judge *judge = arg;
  bool unfinished = false;
  if (judge->fault || !is_known(judge, item)) return;
  if (strchr(item->id, '~') && judge->terms.position == SSE_POSITION_OFF &&
      item->kind == CLIENT_GAP)
    judge_accuse(judge, "a mark without positions", "%s", item->id);
  uint64_t number = item->kind == CLIENT_EVENT
                        ? item->number
                        : judge_number_of(judge->ledger, item->id, &unfinished);
  if (judge->opening) judge_opening(judge, item, number);
  switch (item->kind) {
  case CLIENT_EVENT:
    take_event(judge, item);
    break;
  case CLIENT_BARE:
    if (ledger_event(judge->ledger, item->number)->ephemeral) {
      take_event(judge, item);
    } else {
      judge_take_history(judge, item);
    }
    break;
  case CLIENT_GAP:
    take_gap(judge, item, number);
    break;
  case CLIENT_POSITION:
    break;
  }
  /* Without positions there is no mark, and a state may follow the gap all the same. */
  if (judge->opening && judge->terms.position == SSE_POSITION_OFF) unfinished = true;
  judge->opening = false;
  if (item->kind != CLIENT_BARE) judge->bare = 0;
  if (item->kind != CLIENT_BARE) pass_id(judge, item, number, unfinished);
  if (item->kind == CLIENT_GAP) settle(judge);
}

void judge_dismiss(struct judge *judge) {
  judge->dismissed = true;
  judge->last_wanted = judge->ledger->head;
}

void judge_complete(struct judge *judge) {
  account(judge, judge->dismissed ? judge->last_wanted : judge->ledger->head);
  judge_complete_histories(judge);
}

void judge_end_body(struct judge *judge, enum judge_body end, bool last_chunk) {
  if (end == JUDGE_GENTLE && !last_chunk) {
    judge_accuse(judge, "a gentle end leaves a body open", "id %" PRIu64, judge->id);
  } else if (end == JUDGE_CUT && last_chunk) {
    judge_accuse(judge, "a body that was cut has its last chunk", "id %" PRIu64, judge->id);
  }
}
