/* SPDX-License-Identifier: MIT */
/* book.c: keeps the windows as the manual says that a hub does. */
#include "book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

book ledger;
const char *const channel_names[CHANNELS] = {"a", "b", "c", "s", "t"};
static const char *const key_names[KEYS] = {"k0", "k1", "k2", "k3"};

const char *book_names(unsigned channels) {
  static char text[4][64];
  static unsigned next;
  char *to = text[next++ % 4];
  size_t len = 0;
  to[0] = 0;
  for (int c = 0; c < CHANNELS; c++)
    if (channels >> c & 1)
      len += (size_t)snprintf(to + len, 64 - len, "%s%s", len ? "," : "", channel_names[c]);
  return to;
}

uint64_t book_wire(uint64_t at) {
  return at / PLACES;
}

uint64_t book_after(uint64_t at) {
  return at | (PLACES - 1);
}

void book_id(char *to, size_t cap, const event *e) {
  if (e->id[0])
    snprintf(to, cap, "%s", e->id);
  else
    snprintf(to, cap, "%s.%llu", ledger.epoch, (unsigned long long)book_wire(e->number));
}

static size_t payload(const event *e, char *buf) {
  size_t len = (size_t)sprintf(buf, "%u:%u.", ledger.life, (unsigned)(e - ledger.events));
  memset(buf + len, 'x', e->padding);
  buf[len + e->padding] = 0;
  return len + e->padding;
}

static sse_event as_event(const event *e, char *text) {
  sse_event ev = {.text = text};
  payload(e, text);
  if (e->typed) ev.type = "note";
  if (e->commented) ev.comment = "a comment";
  return ev;
}

size_t book_encode(const event *e, char *buf, bool with_id) {
  static char text[ENCODED_MAX], id[64];
  sse_event ev = as_event(e, text);
  ssize_t len;
  book_id(id, sizeof id, e);
  if (with_id && !e->ephemeral) ev.id = id;
  len = sse_format(buf, ENCODED_MAX, &ev);
  return len < 0 ? 0 : (size_t)len;
}

const event *book_find(const char *data) {
  unsigned life, index;
  char text[ENCODED_MAX];
  if (sscanf(data, "%u:%u.", &life, &index) != 2) return NULL;
  if (life != ledger.life || index >= ledger.count) return NULL;
  payload(&ledger.events[index], text);
  return strcmp(text, data) ? NULL : &ledger.events[index];
}

/* --- Windows ---------------------------------------------------------------------------------- */

const event *book_newer(const event *e, int channel) {
  for (const event *f = e + 1; f < ledger.events + ledger.count; f++)
    if (f->where[channel] != NOWHERE && !f->ephemeral && f->key == e->key) return f;
  return NULL;
}

/* Whether a reader up to the cursor has a value of this key of the channel. */
static bool has_value(const event *tombstone, int channel, uint64_t cursor) {
  for (const event *f = tombstone - 1; f >= ledger.events; f--)
    if (f->number <= cursor && f->where[channel] != NOWHERE && f->key == tombstone->key)
      return !f->tombstone;
  return false;
}

fate book_fate(const event *e, unsigned channels, uint64_t cursor) {
  fate worst = FATE_SUPERSEDED;
  for (int c = 0; c < CHANNELS; c++) {
    if (!(channels >> c & 1)) continue;
    if (e->where[c] == HELD) return FATE_HELD;
    if (e->where[c] != EVICTED) continue;
    if (c >= FIRST_STATE && (book_newer(e, c) || (e->tombstone && !has_value(e, c, cursor)))) {
      if (worst != FATE_GONE) worst = FATE_SOFT;
    } else {
      worst = FATE_GONE;
    }
  }
  return worst;
}

static size_t held(int channel) {
  size_t count = 0;
  for (unsigned i = 0; i < ledger.count; i++) count += ledger.events[i].where[channel] == HELD;
  return count;
}

/* The oldest tombstone of a conflated channel, else the oldest frame. */
static event *next_to_go(int channel) {
  event *oldest = NULL;
  for (unsigned i = 0; i < ledger.count; i++) {
    event *e = &ledger.events[i];
    if (e->where[channel] != HELD) continue;
    if (!oldest) oldest = e;
    /* An event is in the window when its publish returns. */
    if (channel >= FIRST_STATE && e->tombstone && !(ledger.publishing && i + 1 == ledger.count))
      return e;
  }
  return oldest;
}

void book_cut(int channel, size_t frames) {
  for (size_t count = held(channel); count > frames; count--) {
    event *e = next_to_go(channel);
    double age = (double)(ledger.now_ns - e->at_ns) / 1e6;
    if (ledger.limit == MEMORY_AGE && ledger.age_ms_max &&
        held(channel) <= ledger.frames_max[channel] && channel < FIRST_STATE &&
        age < ledger.age_ms_max && !ledger.dropped[channel])
      breaks(RULE_WINDOW, "event %llu of %s was evicted at an age of %.0f ms, the limit is %d ms",
             (unsigned long long)book_wire(e->number), channel_names[channel], age,
             ledger.age_ms_max);
    e->where[channel] = EVICTED;
    e->evicted_at[channel] = ledger.moment;
  }
}

static void drop(int channel) {
  if (!ledger.exists[channel]) return;
  ledger.exists[channel] = false;
  ledger.dropped[channel] = true;
  for (unsigned i = 0; i < ledger.count; i++)
    if (ledger.events[i].where[channel] == HELD) {
      ledger.events[i].where[channel] = EVICTED;
      ledger.events[i].evicted_at[channel] = ledger.moment;
    }
  if (ledger.finished[channel] && ledger.few_ghosts) {
    ledger.finished[channel] = false;
    ledger.maybe_finished[channel] = true;
  }
}

void book_sync(void) {
  sse_stats stats;
  for (int c = 0; c < CHANNELS && !found.found; c++) {
    size_t model = held(c);
    if (sse_hub_stats(ledger.hub, channel_names[c], &stats)) {
      drop(c);
      continue;
    }
    ledger.exists[c] = true;
    if (stats.window_frames > model && !ledger.had_ephemeral[c])
      breaks(RULE_WINDOW, "%s has %llu frames, at most %zu are retained", channel_names[c],
             (unsigned long long)stats.window_frames, model);
    if (stats.window_frames >= model) continue;
    if (ledger.limit == MEMORY_FREE || (ledger.limit == MEMORY_BYTES && !stats.window_frames))
      breaks(RULE_WINDOW, "%s has %llu frames, %zu must be retained", channel_names[c],
             (unsigned long long)stats.window_frames, model);
    book_cut(c, (size_t)stats.window_frames);
  }
}

bool book_is_old(const event *e) {
  return ledger.now_ns - e->at_ns >= INT64_C(60000000000);
}

static void enter(event *e) {
  for (int c = 0; c < CHANNELS; c++) {
    if (!(e->channels >> c & 1)) continue;
    e->where[c] = e->ephemeral ? SUPERSEDED : HELD;
    if (e->ephemeral) {
      ledger.had_ephemeral[c] = true;
      continue;
    }
    for (event *f = ledger.events; c >= FIRST_STATE && f < e; f++)
      if (f->where[c] == HELD && f->key == e->key) f->where[c] = SUPERSEDED;
  }
  ledger.count++;
  for (int c = 0; c < CHANNELS; c++)
    if (e->where[c] == HELD) book_cut(c, ledger.frames_max[c]);
}

/* --- Publishing ------------------------------------------------------------------------------- */

static bool id_is(const event *e, bool *retained) {
  bool known = false;
  *retained = false;
  for (unsigned i = 0; e->id[0] && i < ledger.count; i++) {
    const event *f = &ledger.events[i];
    if (strcmp(f->id, e->id) != 0) continue;
    known = true;
    for (int c = 0; c < CHANNELS; c++) *retained = *retained || f->where[c] == HELD;
  }
  return known;
}

static void check_result(const event *e, int result) {
  bool retained, known = id_is(e, &retained), finished = false, maybe = false, key;
  for (int c = 0; c < CHANNELS; c++) {
    finished = finished || (e->channels >> c & 1 && ledger.finished[c]);
    maybe = maybe || (e->channels >> c & 1 && ledger.maybe_finished[c]);
  }
  key = !e->ephemeral && e->channels & STATE_CHANNELS && (e->key < 0 || e->id[0]);
  if (result == 0 && (finished || retained || key))
    breaks(RULE_CALL, "publish to %s returned 0; %s", book_names(e->channels),
           finished   ? "a channel is finished"
           : retained ? "the id is retained"
                      : "key");
  if (result == SSE_EFULL && ledger.limit == MEMORY_CEILING) {
    if (!ledger.in_flight) breaks(RULE_FULL, "SSE_EFULL, and no byte is in flight");
  } else if (result && !(result == SSE_EFINISHED && (finished || maybe)) &&
             !(result == SSE_EKEY && key) &&
             !(result == SSE_EIDUSED && (retained || (known && ledger.in_flight)))) {
    breaks(RULE_CALL, "publish to %s returned %s", book_names(e->channels), sse_error_name(result));
  }
}

int book_publish(event *e) {
  static char text[ENCODED_MAX], encoded[ENCODED_MAX];
  const char *names[CHANNELS + 1];
  unsigned count = 0;
  sse_event ev = as_event(e, text);
  sse_stats stats;
  int result;
  ledger.moment++;
  ledger.publishing = true;
  for (int c = 0; c < CHANNELS; c++)
    if (e->channels >> c & 1) names[count++] = channel_names[c];
  names[count] = NULL;
  if (e->key >= 0) ev.key = key_names[e->key];
  if (e->id[0]) ev.id = e->id;
  ev.label = e->marked;
  ev.flags = (e->ephemeral ? SSE_EPHEMERAL : 0) | (e->tombstone ? SSE_TOMBSTONE : 0);
  result = count == 1 ? sse_hub_publish(ledger.hub, names[0], &ev)
                      : sse_hub_publish_to(ledger.hub, names, &ev);
  check_result(e, result);
  if (result == 0) {
    sse_hub_stats(ledger.hub, NULL, &stats);
    e->nowhere = e->ephemeral && stats.head == book_wire(ledger.head);
    ledger.published += !e->nowhere; /* "it goes nowhere" */
    ledger.head = e->nowhere ? ledger.head + 1 : (ledger.head / PLACES + 1) * PLACES;
    e->number = ledger.head;
    e->at_ns = ledger.now_ns;
    e->bytes = book_encode(e, encoded, true);
    enter(e);
  }
  sse_hub_stats(ledger.hub, NULL, &stats);
  if (stats.head != ledger.head / PLACES)
    breaks(RULE_CALL, "the head is %llu after publish returned %s, it should be %llu",
           (unsigned long long)stats.head, sse_error_name(result),
           (unsigned long long)book_wire(ledger.head));
  tell("publish({%s}, \"%.12s\"%s%s%s%s%s%s, %zu bytes) = %s", book_names(e->channels), text,
       e->key >= 0 ? ", key " : "", e->key >= 0 ? key_names[e->key] : "",
       e->tombstone ? ", tombstone" : "", e->ephemeral ? ", ephemeral" : "",
       e->id[0] ? ", id " : "", e->id, e->bytes, sse_error_name(result));
  if (!result && !e->nowhere) tell(", number %llu", (unsigned long long)book_wire(e->number));
  tell("\n");
  book_sync();
  ledger.publishing = false;
  return result;
}
