/* SPDX-License-Identifier: MIT */
/* standard.c: a second reader of text/event-stream. What is quoted is the HTML standard's, 9.2.5
 * and 9.2.6. */
#include "standard.h"

#include <stdlib.h>
#include <string.h>

/* A string that may have NULs in it, and has one behind it. */
struct text {
  char *bytes;
  size_t len, cap;
};

struct standard {
  struct text stream; /* all bytes of this connection */
  size_t at;          /* where the next line begins */

  /* "a data buffer, an event type buffer, and a last event ID buffer" */
  struct text data, type, id_buffer;
  bool id_set; /* since the last blank line */

  struct text last_id; /* "the last event ID string of the event source" */
  int64_t retry_ms;

  struct text given_type, given_data; /* of the event that was handed out last */
};

static void append(struct text *text, const char *bytes, size_t len) {
  if (text->len + len >= text->cap) {
    text->cap = 2 * (text->len + len) + 16;
    text->bytes = realloc(text->bytes, text->cap);
    if (!text->bytes) abort();
  }
  if (len > 0) memcpy(text->bytes + text->len, bytes, len);
  text->len += len;
  text->bytes[text->len] = '\0';
}

static void set(struct text *text, const char *bytes, size_t len) {
  text->len = 0;
  append(text, bytes, len);
}

static void clear(struct text *text) {
  set(text, "", 0);
}

static bool is(const struct text *text, const char *name) {
  return text->len == strlen(name) && memcmp(text->bytes, name, text->len) == 0;
}

struct standard *standard_new(const char *last_id) {
  struct standard *s = calloc(1, sizeof *s);
  if (!s) abort();
  s->retry_ms = -1;
  set(&s->last_id, last_id, strlen(last_id));
  clear(&s->given_type);
  clear(&s->given_data);
  standard_reset(s);
  return s;
}

void standard_free(struct standard *s) {
  if (!s) return;
  struct text *all[] = {&s->stream,  &s->data,       &s->type,      &s->id_buffer,
                        &s->last_id, &s->given_type, &s->given_data};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->bytes);
  free(s);
}

/*
 * "Once the end of the file is reached, any pending data must be discarded." By the letter the last
 * event ID buffer of a new stream is empty, too, and an event without an id would take the last one
 * away. Browsers do not do so: the buffer begins with the last event id.
 */
void standard_reset(struct standard *s) {
  clear(&s->stream);
  s->at = 0;
  clear(&s->data);
  clear(&s->type);
  set(&s->id_buffer, s->last_id.bytes, s->last_id.len);
  s->id_set = false;
}

void standard_feed(struct standard *s, const char *bytes, size_t len) {
  append(&s->stream, bytes, len);
}

/*
 * Takes the next line that has ended, without its end. "Lines must be separated by either a U+000D
 * CARRIAGE RETURN U+000A LINE FEED (CRLF) character pair, a single U+000A LINE FEED (LF) character,
 * or a single U+000D CARRIAGE RETURN (CR) character." A CR ends a line before it is known whether a
 * LF comes: the LF is then passed over where the next line would begin.
 */
static bool next_line(struct standard *s, struct text *line) {
  const char *bytes = s->stream.bytes;
  size_t start = s->at;
  if (start > 0 && start < s->stream.len && bytes[start - 1] == '\r' && bytes[start] == '\n') {
    start++;
  }
  size_t end = start;
  while (end < s->stream.len && bytes[end] != '\r' && bytes[end] != '\n') end++;
  if (end == s->stream.len) return false;
  s->at = end + 1;
  /* "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any." */
  if (start == 0 && end >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) start = 3;
  set(line, bytes + start, end - start);
  return true;
}

/* "If the field value consists of only ASCII digits, then interpret the field value as an integer
 * in base ten": one without any digit is no integer. */
static void set_retry(struct standard *s, const struct text *value) {
  int64_t ms = 0;
  if (value->len == 0) return;
  for (size_t i = 0; i < value->len; i++) {
    char c = value->bytes[i];
    if (c < '0' || c > '9') return;
    int digit = c - '0';
    ms = ms > (INT64_MAX - digit) / 10 ? INT64_MAX : ms * 10 + digit;
  }
  s->retry_ms = ms;
}

/* "The steps to process the field given a field name and a field value" */
static void process_field(struct standard *s, const struct text *name, const struct text *value) {
  if (is(name, "event")) {
    set(&s->type, value->bytes, value->len);
  } else if (is(name, "data")) {
    append(&s->data, value->bytes, value->len);
    append(&s->data, "\n", 1);
  } else if (is(name, "id")) {
    if (memchr(value->bytes, '\0', value->len)) return;
    set(&s->id_buffer, value->bytes, value->len);
    s->id_set = true;
  } else if (is(name, "retry")) {
    set_retry(s, value);
  }
}

/* A line that is not empty. */
static void process_line(struct standard *s, const struct text *line) {
  const char *colon = memchr(line->bytes, ':', line->len);
  struct text name = {0}, value = {0};
  /* "If the line starts with a U+003A COLON character (:): Ignore the line." */
  if (colon == line->bytes) return;
  if (colon) {
    /* "Collect the characters on the line before the first U+003A COLON character (:), and let
     * field be that string. Collect the characters on the line after [it], and let value be that
     * string. If value starts with a U+0020 SPACE character, remove it from value." */
    const char *after = colon + 1, *end = line->bytes + line->len;
    if (after < end && *after == ' ') after++;
    set(&name, line->bytes, (size_t)(colon - line->bytes));
    set(&value, after, (size_t)(end - after));
  } else {
    /* "using the whole line as the field name, and the empty string as the field value" */
    set(&name, line->bytes, line->len);
    clear(&value);
  }
  process_field(s, &name, &value);
  free(name.bytes);
  free(value.bytes);
}

static void hand_out(struct standard *s, enum standard_kind kind, struct standard_event *event) {
  *event = (struct standard_event){.kind = kind,
                                   .type = s->given_type.bytes,
                                   .data = s->given_data.bytes,
                                   .id = s->last_id.bytes,
                                   .type_len = s->given_type.len,
                                   .data_len = s->given_data.len,
                                   .id_len = s->last_id.len};
}

/* "When the user agent is required to dispatch the event" at a blank line: true if there is one, or
 * an id to tell of. */
static bool dispatch(struct standard *s, struct standard_event *event) {
  bool id_set = s->id_set;
  s->id_set = false;
  /* "Set the last event ID string of the event source to the value of the last event ID buffer. The
   * buffer does not get reset." */
  set(&s->last_id, s->id_buffer.bytes, s->id_buffer.len);
  /* "If the data buffer is an empty string, set the data buffer and the event type buffer to the
   * empty string and return." */
  if (s->data.len == 0) {
    clear(&s->type);
    clear(&s->given_type);
    clear(&s->given_data);
    if (id_set) hand_out(s, STANDARD_ID, event);
    return id_set;
  }
  /* "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the last
   * character from the data buffer." Each data line has put one there. */
  set(&s->given_data, s->data.bytes, s->data.len - 1);
  /* "the type [is] message"; "If the event type buffer has a value other than the empty string,
   * change the type of the newly created event to equal the value of the event type buffer." */
  if (s->type.len > 0)
    set(&s->given_type, s->type.bytes, s->type.len);
  else
    set(&s->given_type, "message", 7);
  /* "Set the data buffer and the event type buffer to the empty string." */
  clear(&s->data);
  clear(&s->type);
  hand_out(s, STANDARD_EVENT, event);
  return true;
}

bool standard_next(struct standard *s, struct standard_event *event) {
  struct text line = {0};
  bool given = false;
  while (!given && next_line(s, &line)) {
    if (line.len == 0)
      given = dispatch(s, event);
    else
      process_line(s, &line);
  }
  free(line.bytes);
  return given;
}

const char *standard_last_id(const struct standard *s) {
  return s->last_id.bytes;
}

int64_t standard_retry_ms(const struct standard *s) {
  return s->retry_ms;
}
