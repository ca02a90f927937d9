/* SPDX-License-Identifier: MIT */
/* entry.c: checks and copies the events that go to a log. */
#include "entry.h"

#include <stdlib.h>
#include <string.h>

#include "timing.h"

/* ---- lists ---- */

void entries_add(struct entries *entries, struct entry *entry) {
  entry->next = NULL;
  if (entries->last)
    entries->last->next = entry;
  else
    entries->first = entry;
  entries->last = entry;
  entries->count++;
}

struct entry *entries_take(struct entries *entries) {
  struct entry *entry = entries->first;
  if (!entry) return NULL;
  entries->first = entry->next;
  if (!entries->first) entries->last = NULL;
  entries->count--;
  return entry;
}

void entries_append(struct entries *entries, struct entries *more) {
  for (struct entry *entry; (entry = entries_take(more));) entries_add(entries, entry);
}

void entries_free(struct entries *entries) {
  for (struct entry *entry; (entry = entries_take(entries));) free(entry);
}

/* ---- checks ---- */

enum {
  MEMORY_BYTES = 64 * 1024 * 1024, /* defaults of sse_hub_config */
  EVENT_BYTES = 256 * 1024,
  EVENT_BYTES_HIGHEST = 1024 * 1024 * 1024,
  /* The longest end of an event in a hub: "id: ", epoch, dot, 20 digits and two newlines. */
  END_BYTES_MAX = 4 + SSE_EPOCH_BYTES_MAX + 1 + 20 + 2
};

struct entry_limits entry_limits_of(const sse_hub_config *hub) {
  size_t eighth = (hub->memory_bytes_max ? hub->memory_bytes_max : MEMORY_BYTES) / 8;
  size_t most = hub->event_bytes_max ? hub->event_bytes_max : EVENT_BYTES;
  if (most == SIZE_MAX && eighth > EVENT_BYTES_HIGHEST) most = EVENT_BYTES_HIGHEST;
  return (struct entry_limits){.event_bytes_max = most < eighth ? most : eighth};
}

/* Names are UTF-8 as types are, so that the library looks at them. */
static int check_name(const char *name) {
  size_t len = strnlen(name, SSE_CHANNEL_NAME_BYTES_MAX + 1);
  if (len == 0 || len > SSE_CHANNEL_NAME_BYTES_MAX) return SSE_ENAME;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return SSE_ENAME;
  const sse_event as_comment = {.text = "", .comment = name};
  return sse_format(NULL, 0, &as_comment) < 0 ? SSE_ENAME : 0;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_channels(const char *const *channels) {
  const char *sorted[SSE_PUBLISH_CHANNELS_MAX];
  size_t count = 0;
  for (; channels[count]; count++) {
    if (count == SSE_PUBLISH_CHANNELS_MAX) return SSE_ECHANNELS;
    int error = check_name(channels[count]);
    if (error) return error;
    sorted[count] = channels[count];
  }
  if (count == 0) return SSE_EINVAL;
  qsort(sorted, count, sizeof *sorted, compare_names);
  for (size_t i = 1; i < count; i++)
    if (strcmp(sorted[i - 1], sorted[i]) == 0) return SSE_EINVAL;
  return 0;
}

/* Whether an id is an epoch, a dot and digits, with or without the tilde of the library. */
static int is_of_a_hub(const char *id) {
  size_t epoch = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
  if (epoch == 0 || epoch > SSE_EPOCH_BYTES_MAX || id[epoch] != '.') return 0;
  const char *number = id + epoch + 1;
  size_t digits = strspn(number, "0123456789");
  return digits > 0 && (number[digits] == '\0' || strcmp(number + digits, "~") == 0);
}

static int check_size(const struct entry_limits *limits, const sse_event *ev) {
  ssize_t bytes = sse_format(NULL, 0, ev);
  if (bytes < 0) return (int)bytes;
  size_t longest = (size_t)bytes;
  if (!ev->id && !(ev->flags & SSE_EPHEMERAL)) longest += END_BYTES_MAX - 1;
  return longest > limits->event_bytes_max ? SSE_ETOOBIG : 0;
}

int entry_check(const struct entry_limits *limits, const char *const *channels,
                const sse_event *ev) {
  if (!channels || !ev || ev->number != 0 || (ev->flags & SSE_RESET_ID)) return SSE_EINVAL;
  if (!ev->text && !ev->data) return SSE_ENODATA;
  if (ev->key) {
    size_t len = strnlen(ev->key, SSE_KEY_BYTES_MAX + 1);
    if (len == 0 || len > SSE_KEY_BYTES_MAX) return SSE_EKEY;
  }
  if (ev->id && is_of_a_hub(ev->id)) return SSE_EID;
  int error = check_channels(channels);
  return error ? error : check_size(limits, ev);
}

/* ---- copies ---- */

static size_t string_bytes(const char *text) {
  return text ? strlen(text) + 1 : 0;
}

static const char *copy_string(char **at, const char *text) {
  if (!text) return NULL;
  size_t bytes = strlen(text) + 1;
  char *copy = memcpy(*at, text, bytes);
  *at += bytes;
  return copy;
}

/* The copy's payload is bytes with a length, whatever form it had. */
struct entry *entry_new(const char *const *channels, const sse_event *ev) {
  size_t count = 0;
  size_t data_len = ev->text ? strlen(ev->text) : ev->data_len;
  size_t bytes = sizeof(struct entry) + data_len + 1 + string_bytes(ev->type) +
                 string_bytes(ev->id) + string_bytes(ev->comment) + string_bytes(ev->key);
  for (; channels[count]; count++) bytes += string_bytes(channels[count]);
  bytes += (count + 1) * sizeof *channels;
  struct entry *entry = malloc(bytes);
  if (!entry) return NULL;
  const char **names = (const char **)(entry + 1);
  char *at = (char *)(names + count + 1);
  *entry = (struct entry){.event = *ev, .channels = names, .bytes = bytes, .at_ms = present_ms()};
  for (size_t i = 0; i < count; i++) names[i] = copy_string(&at, channels[i]);
  names[count] = NULL;
  entry->event.type = copy_string(&at, ev->type);
  entry->event.id = copy_string(&at, ev->id);
  entry->event.comment = copy_string(&at, ev->comment);
  entry->event.key = copy_string(&at, ev->key);
  if (ev->text || ev->data) {
    entry->event.data = at;
    if (data_len > 0) memcpy(at, ev->text ? ev->text : ev->data, data_len);
  }
  entry->event.data_len = data_len;
  entry->event.text = NULL;
  return entry;
}

/* ---- names, as a log stores them ---- */

char *entry_join_names(const char *const *channels) {
  size_t bytes = 1;
  for (size_t i = 0; channels[i]; i++) bytes += strlen(channels[i]) + 1;
  char *names = malloc(bytes), *at = names;
  for (size_t i = 0; names && channels[i]; i++) {
    size_t len = strlen(channels[i]);
    memcpy(at, channels[i], len);
    at += len;
    *at++ = channels[i + 1] ? '\n' : '\0';
  }
  return names;
}

void entry_split_names(char *names, const char *list[SSE_PUBLISH_CHANNELS_MAX + 1]) {
  size_t count = 0;
  char *at = names;
  for (; at && count < SSE_PUBLISH_CHANNELS_MAX; count++) {
    char *newline = strchr(at, '\n');
    if (newline) *newline = '\0';
    list[count] = at;
    at = newline ? newline + 1 : NULL;
  }
  list[at ? 0 : count] = NULL;
}
