/* SPDX-License-Identifier: MIT */
/* trial.c: judges each block that a stream gives. */
#include "trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tally counts;

static size_t index_of(const event *e) {
  return (size_t)(e - ledger.events);
}

rule trial_rule(const trial *t, rule broken) {
  if (!t->lag_events_max && !t->lag_bytes_max && !t->lag_ms_max) return broken;
  return t->cursor > t->head_at_open ? RULE_BOUND : RULE_BOUND_START;
}

bool trial_filter(const event *e) {
  return e->marked;
}

unsigned trial_relevant(const trial *t, const event *e) {
  unsigned set = 0;
  for (unsigned i = 0; i < t->intervals_count; i++) {
    const interval *in = &t->intervals[i];
    if (e->channels >> in->channel & 1 && e->number > in->from && e->number <= in->to)
      set |= 1u << in->channel;
  }
  return set;
}

unsigned trial_left_states(const trial *t) {
  unsigned set = 0;
  for (unsigned i = 0; i < t->intervals_count; i++) {
    const interval *in = &t->intervals[i];
    if (in->channel < FIRST_STATE || in->to == UINT64_MAX) continue;
    for (unsigned k = 0; k < ledger.count; k++)
      if (ledger.events[k].where[in->channel] == EVICTED) set |= 1u << in->channel;
  }
  return set;
}

/* Whether what replaced an event in a channel is not for the stream. */
static bool is_orphan(const trial *t, const event *e, int channel) {
  const event *newer = book_newer(e, channel);
  return newer && !(trial_relevant(t, newer) >> channel & 1);
}

fate trial_fate(const trial *t, const event *e, unsigned channels, uint64_t cursor) {
  unsigned rest = channels;
  fate became;
  for (int c = 0; c < CHANNELS; c++)
    if (channels >> c & 1 && ((e->where[c] == EVICTED && (e->evicted_at[c] <= t->opened_at ||
                                                          t->reported[index_of(e)] >> c & 1)) ||
                              (e->where[c] == SUPERSEDED && is_orphan(t, e, c))))
      rest &= ~(1u << c);
  became = book_fate(e, rest, cursor);
  return became == FATE_SUPERSEDED && rest != channels && !e->ephemeral ? FATE_SOFT : became;
}

mark trial_mark(const trial *t, const event *e) {
  uint8_t noted = t->marks[index_of(e)];
  if (noted != PENDING && noted != OPTIONAL) return (mark)noted;
  if (e->number <= t->not_before || (t->filtered && !trial_filter(e)) || !trial_relevant(t, e))
    return EXCLUDED;
  return (mark)noted;
}

bool trial_parse_id(const char *id, uint64_t *number, bool *marked) {
  size_t len = strlen(ledger.epoch);
  char *end;
  if (strncmp(id, ledger.epoch, len) != 0 || id[len] != '.') return false;
  id += len + 1;
  if (*id < '0' || *id > '9' || (*id == '0' && id[1] >= '0' && id[1] <= '9')) return false;
  *number = strtoull(id, &end, 10) * PLACES;
  *marked = *end == '~';
  return !end[*marked];
}

unsigned trial_channel_set(const wire_gap *gap) {
  unsigned set = 0;
  for (unsigned i = 0; i < gap->names_count; i++) {
    int c = 0;
    while (c < CHANNELS && strcmp(gap->names[i], channel_names[c]) != 0) c++;
    if (c == CHANNELS || set >> c & 1)
      breaks(RULE_GAP_CHANNELS, "the gap names \"%s\", or names it twice", gap->names[i]);
    else
      set |= 1u << c;
  }
  return set;
}

/* --- Events ----------------------------------------------------------------------------------- */

static void pass_one(trial *t, const event *e, const char *by) {
  unsigned set = trial_relevant(t, e);
  mark now = trial_mark(t, e);
  fate became;
  if (now != PENDING) {
    if (now == OPTIONAL || now == MAYBE_LOST) t->marks[index_of(e)] = EXCLUDED;
    return;
  }
  became = trial_fate(t, e, set, t->cursor);
  t->marks[index_of(e)] = EXCLUDED;
  if (e->ephemeral && book_is_old(e)) return;
  if (e->ephemeral) {
    breaks(RULE_EPHEMERAL, "ephemeral event %" PRIu64 " of {%s} was passed over by %s",
           book_wire(e->number), book_names(set), by);
  } else if (became == FATE_GONE) {
    breaks(trial_rule(t, RULE_LOSS),
           "event %" PRIu64 " of {%s} was evicted and passed over by %s without a gap",
           book_wire(e->number), book_names(set), by);
  } else if (became == FATE_HELD) {
    breaks(trial_rule(t, RULE_MISSING),
           "event %" PRIu64 " of {%s} is retained and was passed over by %s", book_wire(e->number),
           book_names(set), by);
  }
}

void trial_pass_events(trial *t, uint64_t number, const char *by) {
  for (unsigned i = 0; i < ledger.count; i++)
    if (ledger.events[i].number <= number) pass_one(t, &ledger.events[i], by);
}

void trial_pass(trial *t, uint64_t number, const char *by) {
  section *s;
  trial_pass_events(t, number, by);
  while ((s = trial_section(t)) && s->at <= number) {
    if (t->positions_off || (s->covered && !s->begun && !trial_section_wants(s))) {
      trial_section_close(t, s->at, NULL);
    } else {
      breaks(RULE_SUBSCRIBED, "%s passes the subscription of {%s} at %" PRIu64, by,
             book_names(s->channels), book_wire(s->at));
      s->closed = true;
    }
  }
}

/* Which rule forbids an event that is not for the stream at all. */
static void foreign(const trial *t, const event *e) {
  unsigned long long n = (unsigned long long)e->number;
  if (e->number <= t->not_before)
    breaks(RULE_NOT_BEFORE, "event %llu was given, not_before is %llu", n,
           (unsigned long long)book_wire(t->not_before));
  else if (t->filtered && !trial_filter(e))
    breaks(RULE_FILTER, "event %llu was given, and the filter leaves it out", n);
  else if (t->dismissed && e->number > t->dismissed_at)
    breaks(RULE_DISMISSED, "event %llu was given, dismissed at %llu", n,
           (unsigned long long)book_wire(t->dismissed_at));
  else if (e->channels & t->ever)
    breaks(RULE_UNSUBSCRIBED,
           "event %llu of {%s} was given, the stream did not have a channel then", n,
           book_names(e->channels));
  else
    breaks(RULE_FOREIGN, "event %llu of {%s} was given to a stream of {%s}", n,
           book_names(e->channels), book_names(t->ever));
}

static void give(trial *t, const event *e) {
  mark now = trial_mark(t, e);
  uint8_t noted = t->marks[index_of(e)];
  unsigned long long n = (unsigned long long)e->number;
  section *s = trial_section(t);
  if (t->retry_seen) breaks(RULE_END, "event %llu follows the retry block of the end", n);
  if (noted == GIVEN) breaks(RULE_TWICE, "event %llu was given twice", n);
  if (noted == LOST) breaks(RULE_GAP_LOST, "event %llu was given, a gap had reported it", n);
  if (now == EXCLUDED) {
    if (noted == PENDING || noted == OPTIONAL) foreign(t, e);
    if (e->ephemeral && e->number <= t->head_at_open)
      breaks(RULE_EPHEMERAL, "ephemeral event %llu is older than the stream", n);
    breaks(e->number <= t->head_at_open ? RULE_START : RULE_ORDER,
           "event %llu was given, the stream begins or was already after it (cursor %llu)", n,
           (unsigned long long)book_wire(t->cursor));
  }
  if (e->number <= t->cursor)
    breaks(RULE_ORDER, "event %llu was given after %llu", n,
           (unsigned long long)book_wire(t->cursor));
  if (s && s->begun && !t->positions_off)
    breaks(RULE_BACKFILL, "event %llu with its place lies inside a backfill or state", n);
  trial_pass(t, e->number - 1, "a later event");
  if (t->lag_must && !e->ephemeral)
    breaks(RULE_BOUND, "event %llu was given although the stream exceeds a limit", n);
  t->marks[index_of(e)] = GIVEN;
  t->cursor = e->number;
}

static void event_block(trial *t, const wire_block *block) {
  char expected[ENCODED_MAX];
  const event *e = book_find(block->data);
  size_t len;
  if (!e) {
    breaks(RULE_WIRE, "the payload was never published in this life: %.60s", block->data);
    return;
  }
  len = book_encode(e, expected, block->has_id);
  if (len != block->raw_len || memcmp(expected, block->raw, len) != 0)
    breaks(RULE_WIRE, "event %" PRIu64 " has other bytes than it should: %.80s",
           book_wire(e->number), block->raw);
  if (e->ephemeral && block->has_id)
    breaks(RULE_WIRE, "ephemeral event %" PRIu64 " has an id", book_wire(e->number));
  if (!t->first_done) trial_first(t, NULL, NULL, 0, false);
  if (!block->has_id && !e->ephemeral)
    trial_section_event(t, e);
  else
    give(t, e);
}

/* --- Gaps ------------------------------------------------------------------------------------- */

/* What a gap of a slow client may and must say. */
typedef struct slow_gap {
  uint64_t below, beyond, soft_below, soft_beyond; /* lost events by their place, and doubtful */
  bool doubtful;                                   /* a filter, or events in other windows */
  bool unclear;       /* a window evicted events of before the stream, too */
  unsigned must, may; /* channels */
} slow_gap;

static unsigned evicted_from(const trial *t, const event *e, unsigned channels) {
  unsigned set = 0;
  for (int c = 0; c < CHANNELS; c++)
    if (channels >> c & 1 && (e->where[c] == EVICTED ||
                              (e->where[c] == SUPERSEDED && !e->ephemeral && is_orphan(t, e, c))))
      set |= 1u << c;
  return set;
}

static void weigh(trial *t, const event *e, uint64_t number, unsigned named, slow_gap *sum) {
  unsigned set = trial_relevant(t, e), out = evicted_from(t, e, set);
  mark now = trial_mark(t, e);
  fate became = trial_fate(t, e, set, t->cursor);
  if ((e->channels & (e->channels - 1)) && e->channels & t->ever) sum->unclear = true;
  if (e->ephemeral || e->number <= t->cursor) return;
  if (now != PENDING && now != MAYBE_LOST && now != OPTIONAL) {
    sum->unclear = sum->unclear || (out && t->marks[index_of(e)] == EXCLUDED);
    if (t->filtered && !trial_filter(e)) {
      sum->doubtful = sum->doubtful || out;
      sum->may |= out | (t->lag_may && e->number <= number ? set : 0);
    }
    return;
  }
  sum->may |= out;
  if (out && became == FATE_HELD) sum->doubtful = sum->unclear = true;
  if (now != PENDING || became == FATE_SOFT) {
    if (became == FATE_GONE || became == FATE_SOFT || (t->lag_may && e->number <= number)) {
      if (e->number <= number) {
        sum->soft_below++;
        sum->may |= t->lag_may ? set : 0;
      } else if (out & named)
        sum->soft_beyond++;
    }
  } else if (became == FATE_GONE) {
    for (int c = 0; c < CHANNELS && e->number <= number; c++)
      if ((out & ~t->reported[index_of(e)]) >> c & 1 && e->where[c] == EVICTED &&
          e->evicted_at[c] > t->opened_at)
        sum->must |= 1u << c;
    if (e->number <= number)
      sum->below++;
    else if (out & named)
      sum->beyond++;
  } else if (became == FATE_HELD && e->number <= number) {
    if (!t->lag_may)
      breaks(trial_rule(t, RULE_GAP_SKIPS),
             "the gap at %" PRIu64 " skips event %" PRIu64 ", which is retained", book_wire(number),
             book_wire(e->number));
    sum->below++;
    sum->may |= set;
  }
}

/* Notes what a gap reported: all up to its number, and the number of lost events beyond; -1: unknown. */
static void settle(trial *t, uint64_t number, unsigned named, int64_t beyond) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    unsigned out;
    mark now = trial_mark(t, e);
    fate became = trial_fate(t, e, trial_relevant(t, e), t->cursor);
    if (now != PENDING && now != OPTIONAL && now != MAYBE_LOST) continue;
    out = evicted_from(t, e, trial_relevant(t, e)) & named;
    t->reported[i] |= (uint8_t)out;
    if (e->number <= number) {
      t->marks[i] = e->ephemeral || became == FATE_SUPERSEDED ? EXCLUDED : LOST;
    } else if (!e->ephemeral && (became == FATE_GONE || became == FATE_SOFT) && beyond && out) {
      bool lost = beyond > 0 && became == FATE_GONE;
      t->marks[i] = lost ? LOST : MAYBE_LOST;
      beyond -= lost;
    }
  }
}

/* The number of lost events; returns how many of them lie beyond the gap, -1: that is not clear. */
static int64_t check_lost(const trial *t, const wire_gap *gap, const slow_gap *sum) {
  uint64_t soft = sum->soft_below + sum->soft_beyond, all = sum->below + sum->beyond;
  if (!gap->has_lost) {
    if (!t->filtered && !(t->ever & STATE_CHANNELS) && !sum->unclear && !t->unclear)
      breaks(RULE_GAP_LOST, "lost is missing, %" PRIu64 " events are gone", all);
    return -1;
  }
  if (t->filtered) breaks(RULE_GAP_LOST, "lost is given in a stream with a filter");
  if (gap->lost < sum->below || gap->lost > all + soft)
    breaks(trial_rule(t, RULE_GAP_LOST),
           "lost is %" PRIu64 ", up to resume there are %" PRIu64 ", in all %" PRIu64
           " to %" PRIu64,
           gap->lost, sum->below, all, all + soft);
  if (soft || (gap->lost > sum->below && gap->lost < all)) return -1;
  return (int64_t)(gap->lost - sum->below);
}

static void slow(trial *t, const wire_gap *gap, uint64_t number) {
  slow_gap sum = {.below = 0};
  unsigned set = trial_channel_set(gap);
  for (unsigned i = 0; i < ledger.count; i++) weigh(t, &ledger.events[i], number, set, &sum);
  sum.may |= trial_left_states(t);
  sum.doubtful = sum.doubtful || trial_left_states(t);
  if (t->slow == SSE_SLOW_CLOSE) breaks(RULE_SLOW, "a slow gap in a stream that is to be closed");
  if (!sum.below && !sum.beyond && !sum.soft_below && !sum.soft_beyond && !sum.doubtful &&
      !t->lag_may)
    breaks(trial_rule(t, RULE_GAP_CAUSE),
           "a slow gap at %" PRIu64 " (cursor %" PRIu64 "), nothing is lost", book_wire(number),
           book_wire(t->cursor));
  if ((set & sum.must) != sum.must || set & ~sum.may || !set)
    breaks(trial_rule(t, RULE_GAP_CHANNELS),
           "the gap names {%s}; lost something: {%s}, may have: {%s}", book_names(set),
           book_names(sum.must), book_names(sum.may));
  settle(t, number, set, check_lost(t, gap, &sum));
  counts.lost_peeked += gap->lost;
  t->lag_must = false;
}

static void gap_block(trial *t, const wire_block *block) {
  wire_gap gap;
  uint64_t number = 0;
  bool marked = false;
  section *s;
  if (!wire_parse_gap(block->data, &gap)) {
    breaks(RULE_GAP_FORM, "the gap's data: %.200s", block->data);
    return;
  }
  if (strcmp(gap.resume, block->id) != 0 || !trial_parse_id(block->id, &number, &marked) ||
      number > ledger.head)
    breaks(RULE_GAP_RESUME, "resume is %s, the id is %s", gap.resume, block->id);
  if (marked && t->positions_off) breaks(RULE_POSITION_OFF, "a gap has the mark: %s", block->id);
  counts.gaps_peeked++;
  if (gap.has_lost && strcmp(gap.reason, "slow") != 0)
    breaks(RULE_GAP_LOST, "lost is given for %s", gap.reason);
  if (!t->first_done && t->positions_off && !t->opening.gap_must &&
      (number > t->head_at_open || !t->sections_count || !t->sections[0].opening ||
       trial_channel_set(&gap) & ~t->sections[0].channels))
    trial_first(t, NULL, NULL, 0, false);
  if (!t->first_done && strcmp(gap.reason, "slow") != 0) {
    trial_first(t, block, &gap, number, marked);
    return;
  }
  if (!t->first_done) trial_first(t, NULL, NULL, 0, false);
  if (gap.has_requested) breaks(RULE_GAP_FORM, "requested in a gap of an open stream");
  if (book_after(number) < t->cursor)
    breaks(RULE_GAP_RESUME, "resume is %s, the cursor is %" PRIu64, gap.resume,
           book_wire(t->cursor));
  s = trial_section(t);
  if (!strcmp(gap.reason, "slow")) {
    slow(t, &gap, number);
  } else if (s && s->opening && t->positions_off && number >= t->opening.low && number < s->at) {
    s->at = number; /* where it begins was open until now */
  } else if (strcmp(gap.reason, "evicted") != 0 || !s || s->at > book_after(number)) {
    breaks(RULE_GAP_CAUSE, "a gap %s in an open stream", gap.reason);
    return;
  }
  t->cursor = number > t->cursor ? number : t->cursor;
  trial_section_skip(t, number);
  s = trial_section(t);
  if (!s) return;
  if (strcmp(gap.reason, "evicted") == 0) trial_section_for(t, number, trial_channel_set(&gap));
  s = trial_section(t);
  if (!s) return;
  if (marked)
    trial_section_mark(t, number, &gap);
  else if (s->begun || strcmp(gap.reason, "evicted") == 0)
    trial_section_close(t, number, &gap);
  else if (s->at <= book_after(number))
    s->covered = true;
}

/* --- Positions and the rest ------------------------------------------------------------------- */

static void position_block(trial *t, const wire_block *block) {
  uint64_t number = 0;
  bool marked = false;
  section *s;
  if (t->positions_off) breaks(RULE_POSITION_OFF, "a position was written: %s", block->id);
  if (!trial_parse_id(block->id, &number, &marked) || number > ledger.head)
    breaks(RULE_POSITION, "the position's id is %s", block->id);
  if (!t->first_done) {
    trial_first(t, block, NULL, number, marked);
    return;
  }
  if (book_after(number) < t->cursor)
    breaks(RULE_POSITION, "position %s, the cursor is %" PRIu64, block->id, book_wire(t->cursor));
  trial_section_skip(t, number);
  s = trial_section(t);
  if (marked) {
    trial_section_mark(t, number, NULL);
  } else if (s && s->begun) {
    trial_section_close(t, number, NULL);
  } else if (s && book_wire(s->at) == book_wire(number)) {
    trial_pass_events(t, number, "a position");
    trial_section_cover(t);
  } else {
    trial_pass(t, number, "a position");
  }
  t->cursor = number > t->cursor ? number : t->cursor;
}

static void retry_line(trial *t, const wire_block *block) {
  char expected[64];
  snprintf(expected, sizeof expected, "retry: %" PRId64 "\n", block->retry_ms);
  if (strlen(expected) != block->raw_len || memcmp(expected, block->raw, block->raw_len) != 0)
    breaks(RULE_CONTROL, "a retry line: %.60s", block->raw);
  if (t->retry_ms == SSE_NEVER) breaks(RULE_RETRY, "a retry line without retry_ms");
  if (!t->first_done && !t->first_retry) {
    t->first_retry = true;
    t->first_retry_ms = block->retry_ms;
    return;
  }
  if (!t->first_done) trial_first(t, NULL, NULL, 0, false);
  if (t->retry_seen) breaks(RULE_END, "a second retry line at the end");
  t->retry_seen = true;
  t->retry_given = (int32_t)block->retry_ms;
}

/* The bytes of a block that the library writes, from its parts. */
static void control(const wire_block *block) {
  char expected[WIRE_RAW_MAX];
  int len = snprintf(expected, sizeof expected, "event: %s\ndata:%s%s\nid: %s\n\n", block->type,
                     block->data_len ? " " : "", block->data, block->id);
  if ((size_t)len != block->raw_len || memcmp(expected, block->raw, (size_t)len) != 0)
    breaks(RULE_CONTROL, "the block is: %.200s", block->raw);
}

void trial_block(void *arg, const wire_block *block) {
  trial *t = arg;
  if (found.found) return;
  /* An event, or anything but a heartbeat after the first block. */
  t->begun = t->begun ||
             (block->has_data && (t->first_done || (strcmp(block->type, "gap") != 0 &&
                                                    strcmp(block->type, "sse-position") != 0)));
  tell("      client %d: %.*s%s", t->slot, block->raw_len > 200 ? 60 : (int)block->raw_len,
       block->raw, block->raw_len > 200 ? "...\n\n" : "");
  if (!strcmp(block->type, "gap") || !strcmp(block->type, "sse-position")) {
    control(block);
    if (*block->type == 'g')
      gap_block(t, block);
    else
      position_block(t, block);
  } else if (block->has_data) {
    event_block(t, block);
  } else if (block->has_retry) {
    retry_line(t, block);
  } else if (block->raw_len != 2 || memcmp(block->raw, ":\n", 2) != 0) {
    breaks(RULE_CONTROL, "a block that is none: %.60s", block->raw);
  }
}
