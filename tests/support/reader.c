/* SPDX-License-Identifier: MIT */
/* reader.c: a client for tests with threads. */
#include "reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is published ---- */

const char *reader_channel(unsigned channel) {
  static const char *const names[READER_CHANNELS] = {"c0", "c1", "c2", "c3"};
  return names[channel];
}

int reader_publish(sse_hub *hub, unsigned publisher, unsigned channel, unsigned serial) {
  char text[64];
  snprintf(text, sizeof text, "%u %u %u", publisher, channel, serial);
  return sse_hub_publish_text(hub, reader_channel(channel), NULL, text);
}

/* ---- life ---- */

void reader_init(struct reader *reader, unsigned channels) {
  memset(reader, 0, sizeof *reader);
  reader->channels = channels;
  if (sse_parser_new(&reader->parser, NULL)) abort();
}

void reader_free(struct reader *reader) {
  sse_parser_free(reader->parser);
  free(reader->seen);
  memset(reader, 0, sizeof *reader);
}

void reader_names(const struct reader *reader, const char *names[READER_CHANNELS + 1]) {
  unsigned count = 0;
  for (unsigned i = 0; i < READER_CHANNELS; i++) {
    if (reader->channels & 1u << i) names[count++] = reader_channel(i);
  }
  names[count] = NULL;
}

const char *reader_connect(struct reader *reader, bool chunked) {
  reader->chunked = chunked;
  reader->head_ended = 0;
  reader->body = (struct dechunk){.fault = NULL};
  sse_parser_reset(reader->parser);
  return sse_parser_last_id(reader->parser);
}

bool reader_done(const struct reader *reader) {
  return reader->ended == reader->channels;
}

/* ---- reading ---- */

static void accuse(struct reader *reader, const char *fault) {
  if (!reader->fault) reader->fault = fault;
}

static uint64_t number_of(struct reader *reader, const char *id) {
  const char *digits = strchr(id, '.');
  if (!digits) {
    accuse(reader, "an id has no number");
    return 0;
  }
  return strtoull(digits + 1, NULL, 10);
}

static void record(struct reader *reader, const struct seen *seen) {
  if (reader->count == reader->cap) {
    reader->cap = reader->cap ? reader->cap * 2 : 1024;
    reader->seen = realloc(reader->seen, reader->cap * sizeof *reader->seen);
    if (!reader->seen) abort();
  }
  reader->seen[reader->count++] = *seen;
}

/* A connection that goes on begins where the last one stood. */
static void take_position(struct reader *reader, uint64_t number) {
  uint64_t last = reader->count ? reader->seen[reader->count - 1].number : reader->start;
  if (reader->started && number < last) accuse(reader, "a position goes back");
  if (!reader->started) reader->start = number;
  reader->started = true;
}

static void take_event(struct reader *reader, const char *data, struct seen *seen) {
  char *at;
  seen->publisher = (unsigned)strtoul(data, &at, 10);
  seen->channel = (unsigned)strtoul(at, &at, 10);
  seen->serial = (unsigned)strtoul(at, &at, 10);
  if (*at || seen->channel >= READER_CHANNELS || seen->publisher >= READER_PUBLISHERS) {
    accuse(reader, "an event is not as it was published");
    return;
  }
  if (seen->serial == 0) reader->ended |= 1u << seen->channel;
  record(reader, seen);
}

static void feed_events(struct reader *reader, const char *bytes, size_t len) {
  sse_parsed event;
  int result;
  while ((result = sse_parser_next(reader->parser, &bytes, &len, &event)) > 0) {
    struct seen seen = {.number = number_of(reader, event.id)};
    if (strcmp(event.type, "sse-position") == 0) {
      take_position(reader, seen.number);
    } else if (strcmp(event.type, "gap") == 0) {
      const char *lost = strstr(event.data, "\"lost\":");
      seen.gap = true;
      seen.lost = lost ? strtoull(lost + strlen("\"lost\":"), NULL, 10) : UINT64_MAX;
      record(reader, &seen);
    } else {
      take_event(reader, event.data, &seen);
    }
  }
  if (result < 0) accuse(reader, sse_error_text(result));
}

void reader_feed(struct reader *reader, const char *bytes, size_t len) {
  static const char end[] = "\r\n\r\n";
  char events[512];
  if (!reader->chunked) {
    feed_events(reader, bytes, len);
    return;
  }
  for (; len > 0 && reader->head_ended < sizeof end - 1; bytes++, len--) {
    bool next = *bytes == end[reader->head_ended];
    reader->head_ended = next ? reader->head_ended + 1 : *bytes == '\r';
  }
  while (len > 0) {
    size_t part = len < sizeof events ? len : sizeof events;
    feed_events(reader, events, dechunk_feed(&reader->body, bytes, part, events));
    if (reader->body.fault) accuse(reader, reader->body.fault);
    bytes += part;
    len -= part;
  }
}

/* ---- judging ---- */

const char *reader_judge_exact(const struct reader *reader, const struct reader *log) {
  size_t at = 0;
  if (reader->fault) return reader->fault;
  for (size_t i = 0; i < log->count; i++) {
    const struct seen *expected = &log->seen[i];
    if (expected->number <= reader->start) continue;
    if (!(reader->channels & 1u << expected->channel)) continue;
    if (at == reader->count) return reader_done(reader) ? "events are missing at the end" : NULL;
    const struct seen *seen = &reader->seen[at++];
    if (seen->gap) return "a gap where nothing was lost";
    if (seen->number > expected->number) return "an event is missing";
    if (seen->number < expected->number) return "an event comes twice or late";
    if (seen->publisher != expected->publisher || seen->channel != expected->channel ||
        seen->serial != expected->serial) {
      return "an event has another's number";
    }
  }
  return at == reader->count ? NULL : "more events than there were";
}

/* Numbers grow, and so do the serials of each publisher. */
static const char *judge_growth(const struct reader *reader) {
  unsigned last[READER_PUBLISHERS] = {0};
  uint64_t number = reader->start;
  if (reader->fault) return reader->fault;
  for (size_t i = 0; i < reader->count; i++) {
    const struct seen *seen = &reader->seen[i];
    if (seen->gap ? seen->number < number : seen->number <= number) return "numbers do not grow";
    number = seen->number;
    if (seen->gap) continue;
    if (!(reader->channels & 1u << seen->channel)) return "an event of a channel not asked for";
    if (seen->serial == 0) continue;
    if (seen->serial <= last[seen->publisher]) return "a publisher's events are out of order";
    last[seen->publisher] = seen->serial;
  }
  return NULL;
}

const char *reader_judge_gaps(const struct reader *reader, uint64_t published) {
  const char *fault = judge_growth(reader);
  uint64_t sum = 0;
  bool counted = true;
  if (fault) return fault;
  for (size_t i = 0; i < reader->count; i++) {
    const struct seen *seen = &reader->seen[i];
    if (seen->gap && seen->lost == UINT64_MAX) {
      counted = false;
    } else {
      sum += seen->gap ? seen->lost : 1;
    }
  }
  if (sum > published) return "more was told and announced than was published";
  return sum == published || !counted ? NULL : "told and announced are not what was published";
}

static bool same_event(const struct seen *a, const struct seen *b) {
  return a->publisher == b->publisher && a->channel == b->channel && a->serial == b->serial;
}

const char *reader_learn(const struct reader *reader, struct seen *known, uint64_t known_max) {
  for (size_t i = 0; i < reader->count; i++) {
    const struct seen *seen = &reader->seen[i];
    if (seen->gap) continue;
    if (seen->number > known_max) return "a number that was never given";
    struct seen *there = &known[seen->number];
    if (there->number && !same_event(there, seen)) return "one number for two events";
    *there = *seen;
  }
  return NULL;
}

/* The channels of the known events between two numbers, both left out. */
static unsigned channels_between(const struct seen *known, uint64_t from, uint64_t to) {
  unsigned channels = 0;
  for (uint64_t number = from + 1; number < to; number++) {
    if (known[number].number) channels |= 1u << known[number].channel;
  }
  return channels;
}

const char *reader_judge_order(const struct reader *reader, const struct seen *known,
                               uint64_t known_max) {
  const char *fault = judge_growth(reader);
  unsigned told = 0; /* channels of which a gap was told since their last event */
  uint64_t number = reader->start;
  if (fault) return fault;
  for (size_t i = 0; i < reader->count; i++) {
    const struct seen *seen = &reader->seen[i];
    if (seen->gap) {
      told = reader->channels;
      continue;
    }
    unsigned holes = channels_between(known, number, seen->number) & reader->channels;
    if (holes & ~told) return "an event is missing, and no gap says so";
    told &= ~(1u << seen->channel);
    number = seen->number;
  }
  bool holes = channels_between(known, number, known_max + 1) & reader->channels & ~told;
  return holes && reader_done(reader) ? "events are missing at the end" : NULL;
}
