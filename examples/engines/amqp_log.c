/* SPDX-License-Identifier: MIT */
/* amqp_log.c: what an entry of a log in RabbitMQ looks like. */
#include "amqp_log.h"

#include <stdlib.h>
#include <string.h>

#include "timing.h"

enum {
  FIELDS_MAX = 16,
  FIELD_BYTES = 32 /* of a field, beside its text: its name, its kind and a number */
};

/* ---- writing ---- */

struct fields {
  amqp_table_entry_t all[FIELDS_MAX];
  int count;
  size_t bytes;
};

static void add_text(struct fields *fields, const char *name, const char *text) {
  if (!text) return;
  fields->all[fields->count++] = (amqp_table_entry_t){
      .key = amqp_cstring_bytes(name),
      .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
  fields->bytes += FIELD_BYTES + strlen(text);
}

static void add_number(struct fields *fields, const char *name, int64_t number) {
  fields->all[fields->count++] = (amqp_table_entry_t){
      .key = amqp_cstring_bytes(name), .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = number}};
  fields->bytes += FIELD_BYTES;
}

static void add_unless_0(struct fields *fields, const char *name, int64_t number) {
  if (number != 0) add_number(fields, name, number);
}

static int publish(struct amqp_link *link, struct fields *fields, const char *data, size_t len) {
  const amqp_table_t table = {.num_entries = fields->count, .entries = fields->all};
  return amqp_link_publish(link, table, fields->bytes, data, len);
}

size_t amqp_log_strings(const struct entry *entry) {
  const sse_event *ev = &entry->event;
  const char *const texts[] = {ev->type, ev->id, ev->key, ev->comment};
  size_t bytes = 0;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (texts[i]) bytes += strlen(texts[i]);
  for (size_t i = 0; entry->channels[i]; i++) bytes += strlen(entry->channels[i]) + 1;
  return bytes;
}

int amqp_log_append(struct amqp_link *link, const struct entry *entry, const char *epoch,
                    int64_t writer) {
  const sse_event *ev = &entry->event;
  struct fields fields = {.count = 0};
  char *names = entry->channels[1] ? entry_join_names(entry->channels) : NULL;
  if (entry->channels[1] && !names) return amqp_link_fail(link, "out of memory");
  add_text(&fields, "epoch", epoch);
  add_number(&fields, "writer", writer);
  add_number(&fields, "nonce", entry->nonce);
  add_number(&fields, "at", entry->at_ms);
  add_text(&fields, "channels", names ? names : entry->channels[0]);
  add_text(&fields, "type", ev->type);
  add_text(&fields, "id", ev->id);
  add_text(&fields, "key", ev->key);
  add_text(&fields, "comment", ev->comment);
  add_unless_0(&fields, "retry_ms", ev->retry_ms);
  add_unless_0(&fields, "label", (int64_t)ev->label);
  add_unless_0(&fields, "flags", (int64_t)ev->flags);
  int error = publish(link, &fields, ev->data, ev->data_len);
  free(names);
  return error;
}

int amqp_log_mark(struct amqp_link *link, const char *begins, int64_t writer, int64_t nonce) {
  struct fields fields = {.count = 0};
  add_text(&fields, "begins", begins);
  add_number(&fields, "writer", writer);
  add_number(&fields, "nonce", nonce);
  add_number(&fields, "at", present_ms());
  return publish(link, &fields, "", 0);
}

/* ---- reading ---- */

static int is_text(const amqp_field_value_t *value) {
  return value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES;
}

static int read_number(const amqp_field_value_t *value, int64_t *number) {
  switch (value->kind) {
  case AMQP_FIELD_KIND_I32:
    *number = value->value.i32;
    return 0;
  case AMQP_FIELD_KIND_I64:
    *number = value->value.i64;
    return 0;
  default:
    return -1;
  }
}

/* A copy that ends with NUL, in the memory of the entry, which has room; NULL: it has a NUL. */
static char *copy_text(char **at, const amqp_field_value_t *value) {
  const amqp_bytes_t *text = &value->value.bytes;
  char *copy = *at;
  if (text->len > 0) memcpy(copy, text->bytes, text->len);
  copy[text->len] = '\0';
  *at += text->len + 1;
  return text->len == 0 || !memchr(copy, '\0', text->len) ? copy : NULL;
}

static void read_epoch(char to[SSE_EPOCH_BYTES_MAX + 1], const char *text) {
  size_t len = strlen(text);
  if (len <= SSE_EPOCH_BYTES_MAX) memcpy(to, text, len + 1);
}

static int read_text_field(struct amqp_entry *entry, const char *name, size_t len, char *text) {
  sse_event *ev = &entry->entry.event;
  const struct {
    const char *name;
    const char **to;
  } texts[] = {{"type", &ev->type}, {"id", &ev->id}, {"key", &ev->key}, {"comment", &ev->comment}};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (strlen(texts[i].name) == len && memcmp(texts[i].name, name, len) == 0) {
      *texts[i].to = text;
      return text ? 0 : -1;
    }
  if (!text) return 0;
  if (len == 8 && memcmp(name, "channels", len) == 0) entry_split_names(text, entry->channels);
  if (len == 5 && memcmp(name, "epoch", len) == 0) read_epoch(entry->epoch, text);
  if (len == 6 && memcmp(name, "begins", len) == 0) read_epoch(entry->begins, text);
  return 0;
}

static int read_number_field(struct amqp_entry *entry, const char *name, size_t len,
                             int64_t number) {
  static const char *const names[] = {"x-stream-offset", "writer",   "nonce", "at",
                                      "label",           "retry_ms", "flags"};
  size_t which = 0;
  while (which < 7 && (strlen(names[which]) != len || memcmp(names[which], name, len) != 0))
    which++;
  switch (which) {
  case 0:
    entry->offset = (uint64_t)number;
    return 0;
  case 1:
    entry->writer = number;
    return 0;
  case 2:
    entry->entry.nonce = number;
    entry->has_nonce = 1;
    return 0;
  case 3:
    entry->entry.at_ms = number;
    return 0;
  case 4:
    entry->entry.event.label = (uint64_t)number;
    return 0;
  case 5:
    entry->entry.event.retry_ms = (int32_t)number;
    return number >= INT32_MIN && number <= INT32_MAX ? 0 : -1;
  case 6:
    entry->entry.event.flags = (unsigned)number;
    return number >= 0 && number <= INT32_MAX ? 0 : -1;
  default:
    return 0;
  }
}

static int reserve(struct amqp_entry *entry, size_t bytes) {
  if (bytes <= entry->memory_bytes) return 0;
  char *memory = realloc(entry->memory, bytes);
  if (!memory) return -1;
  entry->memory = memory;
  entry->memory_bytes = bytes;
  return 0;
}

int amqp_log_read(const struct amqp_heard *heard, struct amqp_entry *entry) {
  const amqp_table_t none = {0}, *headers = &none;
  size_t bytes = 1;
  int64_t number;
  int invalid = 0;
  if (heard->properties->_flags & AMQP_BASIC_HEADERS_FLAG) headers = &heard->properties->headers;
  for (int i = 0; i < headers->num_entries; i++)
    if (is_text(&headers->entries[i].value)) bytes += headers->entries[i].value.value.bytes.len + 1;
  if (reserve(entry, bytes)) return -1;
  char *at = entry->memory;
  entry->entry = (struct entry){.channels = entry->channels};
  entry->entry.event.data = heard->body_len > 0 ? heard->body : "";
  entry->entry.event.data_len = heard->body_len;
  entry->offset = UINT64_MAX;
  entry->has_nonce = 0;
  entry->writer = 0;
  entry->channels[0] = NULL;
  *entry->epoch = *entry->begins = '\0';
  for (int i = 0; i < headers->num_entries; i++) {
    const amqp_table_entry_t *field = &headers->entries[i];
    if (is_text(&field->value))
      invalid |=
          read_text_field(entry, field->key.bytes, field->key.len, copy_text(&at, &field->value));
    else if (read_number(&field->value, &number) == 0)
      invalid |= read_number_field(entry, field->key.bytes, field->key.len, number);
  }
  if (entry->offset >= INT64_MAX) return -1;
  if (invalid) entry->channels[0] = NULL;
  entry->entry.event.number = entry->offset + 1;
  return 0;
}

void amqp_log_free(struct amqp_entry *entry) {
  free(entry->memory);
  *entry = (struct amqp_entry){0};
}
