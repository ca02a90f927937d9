/* SPDX-License-Identifier: MIT */
/* history.c: what was published, and the judge of what a client was told of it. */
#include "history.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub.h"

#define NONE UINT64_MAX /* no number */

/* ---- what was published ---- */

void history_init(struct history *history, const char *epoch) {
  memset(history, 0, sizeof *history);
  snprintf(history->epoch, sizeof history->epoch, "%s", epoch);
}

void history_free(struct history *history) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) free(history->channels[i].numbers);
}

void history_publish(struct history *history, unsigned channel) {
  struct history_channel *ch = &history->channels[channel];
  if (ch->count == ch->cap) {
    ch->cap = ch->cap ? ch->cap * 2 : 64;
    ch->numbers = realloc(ch->numbers, ch->cap * sizeof *ch->numbers);
    if (!ch->numbers) abort();
  }
  ch->numbers[ch->count++] = ++history->head;
}

/* How many events of a channel have a number up to this. */
static uint64_t count_to(const struct history *history, unsigned channel, uint64_t number) {
  const struct history_channel *ch = &history->channels[channel];
  uint64_t low = 0, high = ch->count;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    if (ch->numbers[middle] <= number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

const char *history_observe(struct history *history, const sse_hub *hub, unsigned channels) {
  for (unsigned i = 0; i < channels; i++) {
    const char *name = client_channel(i);
    const struct sse__channel *channel = sse__channels_find(&hub->channels, name, strlen(name));
    uint64_t evicted = count_to(history, i, channel ? channel->window.evicted : hub->head);
    if (evicted > history->channels[i].evicted) history->channels[i].evicted = evicted;
  }
  if (hub->channels.floor > 0) history->inexact = true;
  if (hub->head != history->head) return "a number was taken without an event";
  return hub->store.bytes > hub->store.bytes_max ? "over the ceiling" : NULL;
}

/* The number of an id of any hub, NONE if it has not the form. */
static uint64_t number_in(const char *id) {
  const char *digits = strchr(id, '.');
  char *end;
  if (!digits || digits == id || *++digits < '0' || *digits > '9') return NONE;
  if (*digits == '0' && digits[1]) return NONE;
  uint64_t number = strtoull(digits, &end, 10);
  return *end ? NONE : number;
}

/* The same, NONE also if it is another hub's. */
static uint64_t number_of(const struct history *history, const char *id) {
  size_t len = strlen(history->epoch);
  return strncmp(id, history->epoch, len) == 0 && id[len] == '.' ? number_in(id) : NONE;
}

/* ---- the judge ---- */

static void accuse(struct chain *chain, const char *rule, const char *format, ...) {
  va_list args;
  if (chain->fault) return;
  chain->fault = rule;
  va_start(args, format);
  vsnprintf(chain->detail, sizeof chain->detail, format, args);
  va_end(args);
}

static bool joined(const struct chain *chain, unsigned channel) {
  return chain->channels & 1u << channel;
}

/* The client holds this id now: nothing up to it may be left behind. */
static void pass_id(struct chain *chain, uint64_t number) {
  if (number == NONE || number > chain->history->head) {
    accuse(chain, "an id is none of this hub's", "head %" PRIu64, chain->history->head);
    return;
  }
  if (number < chain->id) {
    accuse(chain, "ids only grow", "%" PRIu64 " after %" PRIu64, number, chain->id);
  }
  chain->id = number;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    uint64_t upto = count_to(chain->history, i, number);
    if (!joined(chain, i) || upto <= chain->of[i].done || upto <= chain->of[i].gone) continue;
    accuse(chain, "an id leaves an event behind",
           "id %" PRIu64 ", channel %u: told up to %" PRIu64 ", announced to %" PRIu64
           ", published before the id %" PRIu64,
           number, i, chain->of[i].done, chain->of[i].gone, upto);
  }
}

/* ---- the start of a connection ---- */

static bool evicted_since(const struct chain *chain) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (joined(chain, i) && chain->history->channels[i].evicted > chain->of[i].done) return true;
  }
  return false;
}

/* Where the connection starts; the verdict that the id must have. */
static sse_verdict judge_id(const struct chain *chain, const char *last_id, uint64_t *start) {
  const struct history *history = chain->history;
  uint64_t number = number_of(history, last_id);
  *start = history->head;
  if (*last_id == '\0') return SSE_VERDICT_NONE;
  if (number_in(last_id) == NONE && strchr(last_id, '.')) return SSE_VERDICT_MALFORMED;
  if (number == NONE) {
    *start = 0;
    return strchr(last_id, '.') ? SSE_VERDICT_RESTART : SSE_VERDICT_UNKNOWN;
  }
  if (number > history->head) return SSE_VERDICT_FUTURE;
  *start = number;
  return SSE_VERDICT_RESUMED;
}

static bool lost_nothing(const struct chain *chain) {
  return chain->verdict == SSE_VERDICT_NONE || chain->verdict == SSE_VERDICT_RESUMED;
}

void chain_open(struct chain *chain, const struct history *history, unsigned channels,
                const char *last_id, sse_verdict verdict, sse_position position) {
  uint64_t start;
  chain->history = history;
  chain->channels = channels;
  chain->verdict = verdict;
  chain->position = position;
  chain->opening = position != SSE_POSITION_OFF || !lost_nothing(chain);
  chain->lost = 0;
  chain->uncounted = false;
  snprintf(chain->requested, sizeof chain->requested, "%s", last_id);
  sse_verdict expected = judge_id(chain, last_id, &start);
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    chain->of[i].done = count_to(history, i, start);
    chain->of[i].gone = 0;
    chain->of[i].owed = false;
  }
  chain->id = start;
  if (expected == SSE_VERDICT_RESUMED && evicted_since(chain)) expected = SSE_VERDICT_EVICTED;
  if (expected == verdict) return;
  if (history->inexact && expected == SSE_VERDICT_RESUMED && verdict == SSE_VERDICT_EVICTED) return;
  accuse(chain, "the verdict is wrong", "'%s' at head %" PRIu64 ": %d, expected %d", last_id,
         history->head, (int)verdict, (int)expected);
}

/* A stream that lost nothing opens with its position, any other with the gap. */
static void judge_opening(struct chain *chain, const struct client_item *item, uint64_t number) {
  bool whole = lost_nothing(chain);
  bool live = chain->verdict == SSE_VERDICT_FUTURE || chain->verdict == SSE_VERDICT_MALFORMED;
  if (whole == (item->kind == CLIENT_GAP)) {
    accuse(chain, "a connection opens with what it is not", "verdict %d, kind %d",
           (int)chain->verdict, (int)item->kind);
  } else if (whole && (item->kind != CLIENT_POSITION || number != chain->id)) {
    accuse(chain, "a connection does not open with its position",
           "kind %d, %" PRIu64 " for %" PRIu64, (int)item->kind, number, chain->id);
  } else if (live && number != chain->id) {
    accuse(chain, "a live start is not the head", "%" PRIu64 " for %" PRIu64, number, chain->id);
  }
}

/* ---- events ---- */

/* Once each channel that lost something has gone on, as many are missing as the gaps said. */
static void settle(struct chain *chain) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (chain->of[i].owed) return;
  }
  if (!chain->uncounted && chain->lost != 0) {
    accuse(chain, "a gap counts wrong", "%" PRId64 " too many", (int64_t)chain->lost);
  }
  chain->lost = 0;
  chain->uncounted = false;
}

static void take_event(struct chain *chain, const struct client_item *item, uint64_t number) {
  unsigned channel = item->channel;
  const struct history_channel *ch = &chain->history->channels[channel];
  uint64_t before = item->serial - 1;
  if (!joined(chain, channel)) {
    accuse(chain, "an event of a channel not asked for", "channel %u", channel);
    return;
  }
  if (before >= ch->count || ch->numbers[before] != number) {
    accuse(chain, "an event has another's number", "channel %u, serial %" PRIu64 ", id %" PRIu64,
           channel, item->serial, number);
    return;
  }
  if (before < chain->of[channel].done) {
    accuse(chain, "an event comes twice", "channel %u, serial %" PRIu64, channel, item->serial);
    return;
  }
  if (before > chain->of[channel].done && before > chain->of[channel].gone) {
    accuse(chain, "events are missing",
           "channel %u, serial %" PRIu64 " after %" PRIu64 ", announced to %" PRIu64, channel,
           item->serial, chain->of[channel].done, chain->of[channel].gone);
    return;
  }
  chain->lost -= before - chain->of[channel].done;
  chain->of[channel].done = item->serial;
  chain->of[channel].gone = 0;
  chain->of[channel].owed = false;
  settle(chain);
}

/* ---- gaps ---- */

static const char *reason_of(const struct chain *chain) {
  if (!chain->opening) return "slow";
  switch (chain->verdict) {
  case SSE_VERDICT_RESTART:
    return "restart";
  case SSE_VERDICT_UNKNOWN:
    return "unknown";
  case SSE_VERDICT_FUTURE:
    return "future";
  case SSE_VERDICT_MALFORMED:
    return "malformed";
  default:
    return "evicted";
  }
}

static void judge_gap(struct chain *chain, const struct client_item *item) {
  const char *reason = reason_of(chain);
  bool all = chain->opening && chain->verdict != SSE_VERDICT_EVICTED;
  bool said = chain->opening && chain->verdict != SSE_VERDICT_MALFORMED;
  if (strcmp(item->reason, reason) != 0) {
    accuse(chain, "a gap has another's reason", "%s for %s", item->reason, reason);
  }
  if (strcmp(item->requested, said ? chain->requested : "") != 0) {
    accuse(chain, "a gap names another request", "%s", item->requested);
  }
  if (strcmp(item->resume, item->id) != 0) {
    accuse(chain, "a gap names another id than it has", "%s, %s", item->resume, item->id);
  }
  if ((item->channels & ~chain->channels) || (all && item->channels != chain->channels)) {
    accuse(chain, "a gap names other channels", "%x of %x", item->channels, chain->channels);
  }
}

/*
 * What was gone when the gap was written is not known here, only what is gone by now. So a gap that
 * tells again what another told already shows in its count alone.
 */
static void take_gap(struct chain *chain, const struct client_item *item) {
  bool live = chain->opening &&
              (chain->verdict == SSE_VERDICT_FUTURE || chain->verdict == SSE_VERDICT_MALFORMED);
  bool all = chain->opening &&
             (chain->verdict == SSE_VERDICT_RESTART || chain->verdict == SSE_VERDICT_UNKNOWN);
  judge_gap(chain, item);
  for (unsigned i = 0; i < CLIENT_CHANNELS && !live; i++) {
    uint64_t evicted = chain->history->channels[i].evicted;
    if (!(item->channels & 1u << i)) continue;
    if (evicted > chain->of[i].done) {
      chain->of[i].gone = evicted;
      chain->of[i].owed = true;
    } else if (!all && !chain->history->inexact) {
      accuse(chain, "a gap where nothing was lost", "channel %u, id %s", i, item->id);
    }
  }
  if (item->counted && item->lost == 0 && !chain->history->inexact) {
    accuse(chain, "a gap where nothing was lost", "id %s", item->id);
  }
  chain->lost += item->lost;
  chain->uncounted = chain->uncounted || !item->counted;
  settle(chain);
}

void chain_take(void *arg, const struct client_item *item) {
  struct chain *chain = arg;
  uint64_t number = number_of(chain->history, item->id);
  if (chain->fault) return;
  if (chain->opening) judge_opening(chain, item, number);
  if (item->kind == CLIENT_EVENT) {
    take_event(chain, item, number);
  } else if (item->kind == CLIENT_GAP) {
    take_gap(chain, item);
  }
  chain->opening = false;
  pass_id(chain, number);
}

void chain_complete(struct chain *chain) {
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    uint64_t count = chain->history->channels[i].count;
    if (!joined(chain, i) || count <= chain->of[i].done || count <= chain->of[i].gone) continue;
    accuse(chain, "a stream that has no more left events behind",
           "channel %u: told up to %" PRIu64 " of %" PRIu64, i, chain->of[i].done, count);
  }
}
