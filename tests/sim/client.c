/* SPDX-License-Identifier: MIT */
/* client.c: a model client. */
#include "client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standard.h"

/* ---- names and payloads ---- */

const char *client_channel(unsigned channel) {
  static const char *const names[CLIENT_CHANNELS] = {
      "a", "b\"quote\"", "c\\back\\", "d, e] and }", "\xc3\xa9t\xc3\xa9", "f"};
  return channel < CLIENT_CHANNELS ? names[channel] : NULL;
}

/* Some of it ends lines, so that one event has several. */
static char filler_at(uint64_t number, size_t place) {
  unsigned n = (unsigned)((number * 7 + place * 5) % 29);
  return n < 26 ? (char)('a' + n) : "\n :"[n - 26];
}

size_t client_payload(char *buf, size_t cap, uint64_t number, size_t filler) {
  int n = snprintf(buf, cap, "%" PRIu64 " %zu ", number, filler);
  size_t len = n > 0 ? (size_t)n : 0;
  for (size_t i = 0; i < filler && len + 1 < cap; i++) buf[len++] = filler_at(number, i);
  if (cap > 0) buf[len < cap ? len : cap - 1] = '\0';
  return len;
}

const char *client_type(uint64_t number) {
  static const char *const types[] = {NULL, "tick", "a type: \xc3\xa9"};
  return types[number % 3];
}

/* ---- life ---- */

static void accuse(struct client *client, const char *what) {
  if (!client->fault) client->fault = what;
}

static void keep_id(struct client *client, const char *id) {
  size_t len = strlen(id);
  if (len >= sizeof client->last_id) {
    accuse(client, "an id is too long");
    return;
  }
  memcpy(client->last_id, id, len + 1);
}

/* The id comes as an event's, because a parser cannot be created with one that no header carries. */
static void prime(sse_parser *parser, const char *last_id) {
  char block[CLIENT_TEXT_MAX + 8];
  const char *at = block;
  sse_parsed event;
  size_t len = (size_t)snprintf(block, sizeof block, "id: %s\n\n", last_id);
  if (len >= sizeof block || sse_parser_next(parser, &at, &len, &event)) abort();
}

void client_init(struct client *client, const char *last_id, client_saw_fn *saw, void *arg) {
  memset(client, 0, sizeof *client);
  client->saw = saw;
  client->arg = arg;
  if (sse_parser_new(&client->parser, NULL)) abort();
  if (last_id) prime(client->parser, last_id);
  client->second = standard_new(last_id ? last_id : "");
  keep_id(client, last_id ? last_id : "");
}

void client_free(struct client *client) {
  sse_parser_free(client->parser);
  standard_free(client->second);
  client->parser = NULL;
  client->second = NULL;
}

void client_connect(struct client *client, const sse_http_head *head) {
  sse_parser_reset(client->parser);
  standard_reset(client->second);
  client->in_head = head != NULL;
  client->chunked = head && head->chunked;
  client->body = (struct dechunk){.fault = NULL};
  client->ended = 0;
  client->line_len = 0;
  client->block = client->id_line = client->id_last = client->told = false;
}

/* ---- gaps ---- */

/* Reads a JSON string that stands at *at; false if there is none or it is too long. */
static bool json_string(const char **at, char *to, size_t cap) {
  size_t len = 0;
  const char *p = *at;
  if (*p++ != '"') return false;
  for (; *p != '"'; p++) {
    if (*p == '\\') p++;
    if (*p == '\0' || len + 1 >= cap) return false;
    to[len++] = *p;
  }
  to[len] = '\0';
  *at = p + 1;
  return true;
}

static bool skip(const char **at, const char *text) {
  size_t len = strlen(text);
  if (strncmp(*at, text, len) != 0) return false;
  *at += len;
  return true;
}

static bool json_channels(const char **at, unsigned *channels) {
  char name[CLIENT_TEXT_MAX];
  if (!skip(at, "[")) return false;
  do {
    unsigned i = 0;
    if (!json_string(at, name, sizeof name)) return false;
    while (i < CLIENT_CHANNELS && strcmp(name, client_channel(i)) != 0) i++;
    if (i == CLIENT_CHANNELS || (*channels & 1u << i)) return false;
    *channels |= 1u << i;
  } while (skip(at, ","));
  return skip(at, "]");
}

/* {"reason":"…","requested":"…","resume":"…","channels":[…],"lost":n}; two may be absent. */
static bool parse_gap(const char *data, struct client_item *item) {
  const char *at = data;
  char *end;
  if (!skip(&at, "{\"reason\":")) return false;
  if (!json_string(&at, item->reason, sizeof item->reason)) return false;
  if (skip(&at, ",\"requested\":") && !json_string(&at, item->requested, sizeof item->requested)) {
    return false;
  }
  if (!skip(&at, ",\"resume\":")) return false;
  if (!json_string(&at, item->resume, sizeof item->resume)) return false;
  if (!skip(&at, ",\"channels\":") || !json_channels(&at, &item->channels)) return false;
  if (skip(&at, ",\"lost\":")) {
    item->counted = true;
    item->lost = strtoull(at, &end, 10);
    if (end == at) return false;
    at = end;
  }
  return strcmp(at, "}") == 0;
}

/* ---- events ---- */

static bool parse_payload(const sse_parsed *event, struct client_item *item) {
  char expected[CLIENT_FILLER_MAX + CLIENT_TEXT_MAX];
  char *at;
  item->number = strtoull(event->data, &at, 10);
  size_t filler = strtoull(at, &at, 10);
  const char *type = client_type(item->number);
  if (item->number == 0 || filler > CLIENT_FILLER_MAX) return false;
  size_t len = client_payload(expected, sizeof expected, item->number, filler);
  return strcmp(event->type, type ? type : "message") == 0 && len == event->data_len &&
         memcmp(expected, event->data, len) == 0;
}

/* Asks the second reader for the same; NULL: an id alone. */
static void compare(struct client *client, const sse_parsed *event) {
  struct standard_event other;
  enum standard_kind kind = event ? STANDARD_EVENT : STANDARD_ID;
  bool same = standard_next(client->second, &other) && other.kind == kind;
  /* The id with which a forger came is not the parser's last one, but its events show it. */
  if (same && !sse_parser_last_id_error(client->parser))
    same = strcmp(other.id, sse_parser_last_id(client->parser)) == 0;
  if (same && event) {
    same = strcmp(other.type, event->type) == 0 && other.data_len == event->data_len &&
           memcmp(other.data, event->data, event->data_len) == 0 &&
           strcmp(other.id, event->id) == 0;
  }
  if (!same) accuse(client, "two readers read two things");
}

static void take_event(struct client *client, const sse_parsed *event, bool with_id) {
  compare(client, event);
  struct client_item item = {.kind = with_id ? CLIENT_EVENT : CLIENT_BARE, .id = event->id};
  if (strcmp(event->type, "gap") == 0) {
    item.kind = CLIENT_GAP;
    if (!parse_gap(event->data, &item)) accuse(client, "a gap event is not of its form");
  } else if (strcmp(event->type, "sse-position") == 0) {
    item.kind = CLIENT_POSITION;
    if (event->data_len > 0) accuse(client, "a position has data");
  } else if (!parse_payload(event, &item)) {
    accuse(client, "an event is not as it was published");
  }
  keep_id(client, event->id);
  if (!client->fault) client->saw(client->arg, &item);
}

/* A block without an event was closed; the id in it counts for most clients. */
static void take_id(struct client *client, const char *id) {
  compare(client, NULL);
  const struct client_item item = {.kind = CLIENT_POSITION, .id = id};
  if (!client->dispatched_ids) keep_id(client, id);
  if (!client->fault) client->saw(client->arg, &item);
}

/* ---- bytes ---- */

/*
 * Looks at the lines as they pass: some clients take an id when they read its line, so it has to be
 * the last one of its block. A heartbeat and a reconnection time are lines that no blank line
 * follows, because some clients dispatch a block without data, and stand between two blocks or
 * first in one. No event here has a comment. Returns whether a block with an id was closed.
 */
static bool watch_line(struct client *client) {
  bool closes = client->line_len == 0;
  if (client->line_len > 0 && *client->line == ':') {
    if (client->block) accuse(client, "a heartbeat stands inside a block");
    if (client->line_len > 1) accuse(client, "a heartbeat is not empty");
    client->line_len = 0;
    return false;
  }
  if (closes && !client->block) accuse(client, "a blank line ends no block");
  if (client->line_len > 6 && memcmp(client->line, "retry:", 6) == 0 && !client->block) {
    client->line_len = 0; /* it counts by itself */
    return false;
  }
  if (!closes) {
    client->id_last = client->line_len >= 3 && memcmp(client->line, "id:", 3) == 0;
    client->id_line = client->id_line || client->id_last;
    client->block = true;
    client->line_len = 0;
    return false;
  }
  bool with_id = client->id_line;
  if (client->id_line && !client->id_last)
    accuse(client, "an id is not the last line of its block");
  client->told = client->told || client->block;
  client->block = client->id_line = client->id_last = false;
  return with_id;
}

/* Bytes up to the end of a line, or all there are. */
static void feed_line(struct client *client, const char *bytes, size_t len) {
  sse_parsed event;
  struct standard_event more;
  standard_feed(client->second, bytes, len);
  bool whole = bytes[len - 1] == '\n', event_came = false;
  size_t text = whole ? len - 1 : len;
  for (size_t i = 0; i < text; i++, client->line_len++) {
    if (client->line_len < sizeof client->line) client->line[client->line_len] = bytes[i];
  }
  bool with_id = whole && watch_line(client);
  int result;
  while ((result = sse_parser_next(client->parser, &bytes, &len, &event)) > 0) {
    event_came = true;
    take_event(client, &event, with_id);
  }
  if (result < 0) accuse(client, sse_error_text(result));
  if (with_id && !event_came) take_id(client, sse_parser_last_id(client->parser));
  if (!client->fault && standard_next(client->second, &more)) {
    accuse(client, "one reader reads more than the other");
  }
}

/* How many bytes of these belong to the response head. */
static size_t pass_head(struct client *client, const char *bytes, size_t len) {
  static const char end[] = "\r\n\r\n";
  for (size_t i = 0; i < len; i++) {
    client->ended = bytes[i] == end[client->ended] ? client->ended + 1 : bytes[i] == '\r';
    if (client->ended < sizeof end - 1) continue;
    client->in_head = false;
    return i + 1;
  }
  return len;
}

static void feed_lines(struct client *client, const char *bytes, size_t len) {
  while (len > 0 && !client->fault) {
    const char *end = memchr(bytes, '\n', len);
    size_t part = end ? (size_t)(end - bytes) + 1 : len;
    feed_line(client, bytes, part);
    bytes += part;
    len -= part;
  }
}

static void feed_chunks(struct client *client, const char *bytes, size_t len) {
  char lines[512];
  while (len > 0 && !client->fault) {
    size_t part = len < sizeof lines ? len : sizeof lines;
    size_t given = dechunk_feed(&client->body, bytes, part, lines);
    feed_lines(client, lines, given);
    if (client->body.fault) accuse(client, client->body.fault);
    bytes += part;
    len -= part;
  }
}

void client_feed(struct client *client, const char *bytes, size_t len) {
  size_t head = client->in_head ? pass_head(client, bytes, len) : 0;
  if (client->chunked) {
    feed_chunks(client, bytes + head, len - head);
  } else {
    feed_lines(client, bytes + head, len - head);
  }
}
