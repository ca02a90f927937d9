/* SPDX-License-Identifier: MIT */
/* ledger.c: what was published in one hub's life, and what became of it. */
#include "ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"

void ledger_init(struct ledger *ledger, const char *epoch) {
  memset(ledger, 0, sizeof *ledger);
  snprintf(ledger->epoch, sizeof ledger->epoch, "%s", epoch);
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) ledger->of[i].oldest = 1;
}

void ledger_free(struct ledger *ledger) {
  free(ledger->events);
  ledger->events = NULL;
}

const struct ledger_event *ledger_event(const struct ledger *ledger, uint64_t number) {
  return &ledger->events[number];
}

const char *ledger_id(const struct ledger *ledger, uint64_t number) {
  static char id[CLIENT_TEXT_MAX];
  if (ledger->events[number].own_id) {
    snprintf(id, sizeof id, "%s/%" PRIu64, ledger->epoch, number);
  } else {
    snprintf(id, sizeof id, "%s.%" PRIu64, ledger->epoch, number);
  }
  return id;
}

uint64_t ledger_find(const struct ledger *ledger, const char *id) {
  const char *digits = strchr(id, '/');
  uint64_t number = digits ? strtoull(digits + 1, NULL, 10) : 0;
  if (number == 0 || number > ledger->head || !ledger->events[number].own_id) return 0;
  return strcmp(id, ledger_id(ledger, number)) == 0 ? number : 0;
}

unsigned ledger_label(uint64_t number, int key) {
  return (unsigned)(key < 0 ? number : (uint64_t)key) % 3;
}

/* ---- what happens ---- */

/* The event of a channel that one with this key supersedes, 0 if there is none. */
static uint64_t find_key(const struct ledger *ledger, unsigned channel, int key) {
  for (uint64_t n = ledger->head; n >= ledger->of[channel].oldest; n--) {
    const struct ledger_event *event = &ledger->events[n];
    if (event->in[channel].fate == FATE_RETAINED && event->key == key) return n;
  }
  return 0;
}

void ledger_publish(struct ledger *ledger, const struct ledger_event *event) {
  if (ledger->head + 1 >= ledger->cap) {
    ledger->cap = ledger->cap ? ledger->cap * 2 : 128;
    ledger->events = realloc(ledger->events, ledger->cap * sizeof *ledger->events);
    if (!ledger->events) abort();
  }
  uint64_t number = ledger->head + 1;
  struct ledger_event *e = &ledger->events[number];
  *e = *event;
  e->label = ledger_label(number, event->key);
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (!(event->channels & 1u << i) || event->ephemeral) continue;
    uint64_t old = ledger->of[i].conflated ? find_key(ledger, i, event->key) : 0;
    if (old) {
      ledger->events[old].in[i].fate = FATE_SUPERSEDED;
      ledger->events[old].in[i].by = number;
    }
    e->in[i].fate = FATE_RETAINED;
    ledger->of[i].superseded = old;
  }
  ledger->head = number;
}

/* ---- what the hub has ---- */

static void let_go(struct ledger *ledger, unsigned channel, uint64_t number) {
  struct ledger_event *event = &ledger->events[number];
  event->in[channel].fate = FATE_GONE;
  event->in[channel].by = 0;
  event->in[channel].left = ledger->moment;
  bool value = ledger->of[channel].conflated && !event->tombstone;
  if (value && number > ledger->of[channel].state_lost) ledger->of[channel].state_lost = number;
  if (number > ledger->of[channel].evicted) ledger->of[channel].evicted = number;
}

/* What the newest event superseded may have been over its age before, and so let go. */
static void check_superseded(struct ledger *ledger, unsigned i,
                             const struct sse__channel *channel) {
  uint64_t number = ledger->of[i].superseded;
  int32_t age_ms = channel->bounds.window_age_ms_max;
  ledger->of[i].superseded = 0;
  if (!number || age_ms == SSE_NEVER) return;
  int64_t lived_ms = ledger->events[ledger->head].born_ms - ledger->events[number].born_ms;
  if (lived_ms >= age_ms) let_go(ledger, i, number);
}

/* All that is retained by the ledger and stands in no slot is gone. NULL: the channel is. */
static const char *compare(struct ledger *ledger, unsigned i, const struct sse__channel *channel) {
  const struct sse__window *window = channel ? &channel->window : NULL;
  struct sse__stretch slots = {NULL, 0, 0, 0};
  size_t at = 0, bytes = 0, frames = 0;
  uint64_t oldest = 0;
  if (window) slots = sse__window_stretch(window);
  for (uint64_t n = ledger->of[i].oldest; n <= ledger->head; n++) {
    if (ledger->events[n].in[i].fate != FATE_RETAINED) continue;
    while (at < slots.count && sse__stretch_at(&slots, at)->seq < n) at++;
    const struct sse__slot *slot = at < slots.count ? sse__stretch_at(&slots, at) : NULL;
    if (slot && slot->seq == n && slot->frame) {
      bytes += sse__frame_weight(slot->frame);
      frames++;
      if (!oldest) oldest = n;
    } else {
      let_go(ledger, i, n);
    }
  }
  ledger->of[i].oldest = oldest ? oldest : ledger->head + 1;
  if (!window) return NULL;
  if (frames != window->frames) return "a window has what nobody put there";
  if (bytes != window->bytes) return "a window counts its bytes wrong";
  check_superseded(ledger, i, channel);
  if (!ledger->inexact && window->evicted.seq != ledger->of[i].evicted) {
    return "a window let go of something else";
  }
  return NULL;
}

static const char *look(struct ledger *ledger, const sse_hub *hub, unsigned i) {
  const char *name = client_channel(i);
  const struct sse__channel *channel = sse__channels_find(&hub->channels, name, strlen(name));
  const struct sse__window *window = channel ? &channel->window : NULL;
  uint64_t frames = window ? window->frames : 0, appended = window ? window->last_ordinal : 0;
  uint64_t gone = window ? window->evicted.seq : 0;
  if (ledger->of[i].seen.frames == frames && ledger->of[i].seen.appended == appended &&
      ledger->of[i].seen.gone == gone) {
    return NULL;
  }
  const char *fault = compare(ledger, i, channel);
  ledger->of[i].seen.frames = frames;
  ledger->of[i].seen.appended = appended;
  ledger->of[i].seen.gone = gone;
  return fault;
}

const char *ledger_observe(struct ledger *ledger, const sse_hub *hub, unsigned channels) {
  const char *fault = NULL;
  if (hub->channels.floor.seq > 0) ledger->inexact = true;
  if (hub->head.seq != ledger->head) return "a number was taken without an event";
  ledger->moment++;
  for (unsigned i = 0; i < channels && !fault; i++) fault = look(ledger, hub, i);
  if (fault) return fault;
  return hub->store.bytes > hub->store.bytes_max ? "over the ceiling" : NULL;
}
