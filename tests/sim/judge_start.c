/* SPDX-License-Identifier: MIT */
/* judge_start.c: the rules for how a connection begins, and for changes of its channels. */
#include "judge_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What an id that is not of this hub looks like. */
static sse_resume judge_foreign(const struct ledger *ledger, const char *id) {
  static const char base64url[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  size_t len = strlen(id), epoch = strspn(id, base64url), digits = 0;
  bool dotted = epoch > 0 && epoch <= SSE_EPOCH_BYTES_MAX && id[epoch] == '.';
  if (dotted) digits = strspn(id + epoch + 1, "0123456789");
  if (digits > 0) {
    const char *number = id + epoch + 1;
    bool small = digits < 20 || (digits == 20 && strncmp(number, "18446744073709551615", 20) <= 0);
    bool canonical = small && (*number != '0' || digits == 1);
    bool whole = number[digits] == '\0' || strcmp(number + digits, "~") == 0;
    bool ours = epoch == strlen(ledger->epoch) && memcmp(id, ledger->epoch, epoch) == 0;
    if (canonical && whole) return SSE_RESUME_RESTART;
    if (ours && whole) return SSE_RESUME_MALFORMED;
  }
  bool outer = strchr(" \t", id[0]) || strchr(" \t", id[len - 1]);
  for (size_t i = 0; i < len; i++) {
    if (((unsigned char)id[i] < ' ' && id[i] != '\t') || id[i] == 0x7f) return SSE_RESUME_MALFORMED;
  }
  return outer || len > SSE_ID_BYTES_MAX ? SSE_RESUME_MALFORMED : SSE_RESUME_UNKNOWN;
}

/* Where the connection starts; the verdict that its id must have. */
static sse_resume judge_id(const struct judge *judge, uint64_t *start) {
  const struct ledger *ledger = judge->ledger;
  const struct judge_terms *terms = &judge->terms;
  const char *id = terms->last_id;
  bool unfinished;
  uint64_t number = judge_number_of(ledger, id, &unfinished), own = ledger_find(ledger, id);
  *start = ledger->head;
  if (*id == '\0') return SSE_RESUME_NONE;
  if (own && terms->verdict != SSE_RESUME_UNKNOWN) {
    *start = own;
    return SSE_RESUME_RESUMED;
  }
  if (number == JUDGE_NONE) {
    sse_resume verdict = judge_foreign(ledger, id);
    if (verdict == SSE_RESUME_RESTART) *start = 0;
    if (verdict == SSE_RESUME_UNKNOWN) *start = terms->gone;
    return verdict;
  }
  if (number > ledger->head) return SSE_RESUME_FUTURE;
  *start = number;
  return unfinished ? SSE_RESUME_EVICTED : SSE_RESUME_RESUMED;
}

static bool evicted_since(const struct judge *judge, uint64_t number) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (judge_member(judge, i, JUDGE_NONE) && judge->ledger->of[i].evicted > number) return true;
  }
  return false;
}

/* Whether an event with an id of the application's is still retained somewhere. */
static bool is_retained(const struct ledger *ledger, uint64_t number) {
  for (unsigned i = 0; number && i < CLIENT_CHANNELS; i++) {
    if (ledger_event(ledger, number)->in[i].fate == FATE_RETAINED) return true;
  }
  return false;
}

static void judge_verdict(struct judge *judge, sse_resume expected, uint64_t start) {
  sse_resume verdict = judge->terms.verdict;
  bool may_be_evicted = judge->ledger->inexact || judge->terms.bounded;
  uint64_t lowest = start > judge->terms.not_before ? start : judge->terms.not_before;
  if (expected == SSE_RESUME_RESUMED && evicted_since(judge, lowest)) {
    expected = SSE_RESUME_EVICTED;
  }
  if (verdict == SSE_RESUME_UNKNOWN &&
      is_retained(judge->ledger, ledger_find(judge->ledger, judge->terms.last_id))) {
    judge_accuse(judge, "an id is forgotten whose event is there", "%s", judge->terms.last_id);
  }
  if (expected == verdict) return;
  if (may_be_evicted && expected == SSE_RESUME_RESUMED && verdict == SSE_RESUME_EVICTED) return;
  judge_accuse(judge, "the verdict is wrong", "'%s' at head %" PRIu64 ": %d, expected %d",
               judge->terms.last_id, judge->ledger->head, (int)verdict, (int)expected);
}

bool judge_lost_nothing(const struct judge *judge) {
  return judge->terms.verdict == SSE_RESUME_NONE || judge->terms.verdict == SSE_RESUME_RESUMED;
}

bool judge_starts_live(const struct judge *judge) {
  const struct judge_terms *terms = &judge->terms;
  bool live = terms->verdict == SSE_RESUME_FUTURE || terms->verdict == SSE_RESUME_MALFORMED;
  return !judge_lost_nothing(judge) &&
         (terms->lost == SSE_LOST_LIVE || (live && terms->lost == SSE_LOST_BY_RESULT));
}

/* What was asked for is what is told at most: so many events, and no less if there are as many. */
static void judge_tail(struct judge *judge, uint64_t start) {
  const struct ledger *ledger = judge->ledger;
  uint64_t max = judge->terms.start == SSE_START_LAST ? judge->terms.start_events : UINT64_MAX;
  uint64_t above = 0, next = 0;
  for (uint64_t n = ledger->head; n > 0; n--) {
    bool here = false;
    for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
      here = here || (judge_member(judge, i, JUDGE_NONE) &&
                      ledger_event(ledger, n)->in[i].fate == FATE_RETAINED);
    }
    if (n > start) above += here;
    if (n <= start && n > judge->terms.not_before && !next) next = here;
  }
  bool fewer = next > 0 && above + next <= max && !judge->terms.bounded;
  if (above > max || fewer) {
    judge_accuse(judge, "a stream starts elsewhere than it was asked to",
                 "behind %" PRIu64 " with %" PRIu64 " for %" PRIu64, start, above, max);
  }
}

static uint64_t judge_start(struct judge *judge) {
  const struct judge_terms *terms = &judge->terms;
  uint64_t start;
  sse_resume expected = judge_id(judge, &start);
  judge_verdict(judge, expected, start);
  if (terms->verdict == SSE_RESUME_NONE && terms->start != SSE_START_NOW) {
    start = terms->cursor;
    judge_tail(judge, start);
  }
  judge->has = start < terms->not_before ? terms->not_before : start;
  if (judge_starts_live(judge)) start = judge->ledger->head;
  bool replays = expected == SSE_RESUME_FUTURE || expected == SSE_RESUME_MALFORMED ||
                 expected == SSE_RESUME_UNKNOWN;
  if (replays && terms->lost == SSE_LOST_REPLAY) start = 0;
  return start < terms->not_before ? terms->not_before : start;
}

/* The state of conflated channels is told to all but those who go on where they were. */
static void expect_state(struct judge *judge, uint64_t start) {
  bool unfinished;
  judge_number_of(judge->ledger, judge->terms.last_id, &unfinished);
  bool goes_on = judge->terms.verdict == SSE_RESUME_RESUMED ||
                 (judge->terms.verdict == SSE_RESUME_EVICTED && !unfinished &&
                  judge->terms.lost != SSE_LOST_LIVE);
  judge->state_lost = false;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    bool wanted = !goes_on && judge_member(judge, i, JUDGE_NONE) && judge->ledger->of[i].conflated;
    judge->state_lost =
        judge->state_lost || (wanted && judge->ledger->of[i].state_lost > judge->terms.not_before);
    judge->of[i].recap = (struct judge_recap){.wanted = wanted,
                                              .above = judge->terms.not_before,
                                              .upto = start,
                                              .history = SIZE_MAX,
                                              .asked = judge->ledger->moment,
                                              .born_min_ms = INT64_MIN,
                                              .at_once = true};
  }
}

void judge_open(struct judge *judge, const struct ledger *ledger, const struct judge_terms *terms) {
  judge->ledger = ledger;
  judge->terms = *terms;
  snprintf(judge->requested, sizeof judge->requested, "%s", terms->last_id);
  judge->terms.last_id = judge->requested;
  judge->changes_count = 0;
  judge->lost = judge->missing = 0;
  judge->uncounted = judge->unfinished = judge->dismissed = false;
  bool again = terms->verdict == SSE_RESUME_UNKNOWN && terms->lost == SSE_LOST_REPLAY;
  if (ledger != judge->life || !*terms->last_id || again) judge_forget(judge);
  judge->life = ledger;
  for (uint64_t n = 0; n < judge->told_cap; n++) judge->told[n] &= JUDGE_TOLD;
  uint64_t start = judge_start(judge);
  judge->opening = terms->position != SSE_POSITION_OFF || !judge_lost_nothing(judge);
  judge->opened = ledger->head;
  judge->moment = ledger->moment;
  judge->id = judge->last = judge->done = start;
  judge->bare = 0;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    judge->of[i].covered = 0;
  }
  expect_state(judge, start);
}

void judge_change(struct judge *judge, unsigned channel, bool join, size_t history,
                  int64_t born_min_ms) {
  uint64_t head = judge->ledger->head;
  bool has = judge_member(judge, channel, JUDGE_NONE);
  if (judge->changes_count == JUDGE_CHANGES_MAX || has == join) return;
  judge->changes[judge->changes_count].at = head;
  judge->changes[judge->changes_count].channel = channel;
  judge->changes[judge->changes_count++].join = join;
  if (!join) {
    judge->of[channel].recap.optional = true;
    return;
  }
  for (uint64_t n = 0; n < judge->told_cap; n++) {
    judge->told[n] = (unsigned char)(judge->told[n] & ~(1u << channel));
  }
  judge->of[channel].recap = (struct judge_recap){
      .wanted = true,
      .above = judge->terms.not_before,
      .not_whole = judge->ledger->of[channel].state_lost > judge->terms.not_before,
      .upto = head,
      .history = history,
      .asked = judge->ledger->moment,
      .born_min_ms = born_min_ms};
}

/* What a stream opens with: one that lost nothing with its position, any other with the gap. */
void judge_opening(struct judge *judge, const struct client_item *item, uint64_t number) {
  bool whole = judge_lost_nothing(judge), fresh = judge->terms.verdict == SSE_RESUME_NONE;
  if (fresh && judge->state_lost) whole = judge->ledger->inexact && item->kind != CLIENT_GAP;
  if (whole == (item->kind == CLIENT_GAP)) {
    judge_accuse(judge, "a connection opens with what it is not", "verdict %d, kind %d",
                 (int)judge->terms.verdict, (int)item->kind);
  } else if (whole && (item->kind != CLIENT_POSITION || number != judge->id)) {
    judge_accuse(judge, "a connection does not open with its position",
                 "kind %d, %" PRIu64 " for %" PRIu64, (int)item->kind, number, judge->id);
  } else if (judge_starts_live(judge) && number != judge->id) {
    judge_accuse(judge, "a live start is not the head", "%" PRIu64 " for %" PRIu64, number,
                 judge->id);
  }
}
