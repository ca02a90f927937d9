/* SPDX-License-Identifier: MIT */
/* nats_log.c: what an entry of a log in JetStream looks like. */
#include "nats_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

enum {
  NUMBER_BYTES = 24,
  NONCE_DIGITS = 16
};

static const char channel_header[] = "Sse-Channel", nonce_header[] = "Nats-Msg-Id";

/* ---- reading ---- */

/* Decodes a header in place, which is memory of the message: 1; 0: there is none; -1: invalid. */
static int read_text(natsMsg *message, const char *name, const char **text) {
  if (natsMsgHeader_Get(message, name, text) != NATS_OK) {
    *text = NULL;
    return 0;
  }
  return url_decode((char *)(uintptr_t)*text) ? -1 : 1;
}

static int read_channels(natsMsg *message, struct nats_entry *entry) {
  const char **values = NULL;
  int count = 0, invalid = 0;
  if (natsMsgHeader_Values(message, channel_header, &values, &count) != NATS_OK) return -1;
  if (count > SSE_PUBLISH_CHANNELS_MAX) invalid = 1;
  for (int i = 0; i < count && !invalid; i++) {
    invalid = url_decode((char *)(uintptr_t)values[i]);
    entry->channels[i] = values[i];
  }
  entry->channels[invalid ? 0 : count] = NULL;
  free((void *)(uintptr_t)values);
  return invalid ? -1 : 0;
}

static int parse_number(const char *text, uint64_t most, uint64_t *number) {
  char *end;
  if (*text < '0' || *text > '9') return -1;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno || *end || *number > most ? -1 : 0;
}

/* A number up to a limit: 0, also if there is none; or -1. */
static int read_number(natsMsg *message, const char *name, uint64_t most, uint64_t *number) {
  const char *text;
  *number = 0;
  if (natsMsgHeader_Get(message, name, &text) != NATS_OK) return 0;
  return parse_number(text, most, number);
}

/* One that may be negative. */
static int read_retry(natsMsg *message, int32_t *retry_ms) {
  const char *text;
  uint64_t number = 0;
  if (natsMsgHeader_Get(message, "Sse-Retry-Ms", &text) != NATS_OK) return 0;
  int is_negative = *text == '-';
  int error = parse_number(text + is_negative, INT32_MAX, &number);
  *retry_ms = is_negative ? -(int32_t)number : (int32_t)number;
  return error;
}

static void read_nonce(natsMsg *message, struct nats_entry *entry) {
  const char *text;
  if (natsMsgHeader_Get(message, nonce_header, &text) != NATS_OK) return;
  if (strlen(text) != NONCE_DIGITS || strspn(text, "0123456789abcdef") != NONCE_DIGITS) return;
  entry->entry.nonce = (int64_t)strtoull(text, NULL, 16);
  entry->has_nonce = 1;
}

static int read_members(natsMsg *message, struct nats_entry *entry) {
  sse_event *ev = &entry->entry.event;
  uint64_t at_ms, flags;
  int invalid = read_text(message, "Sse-Type", &ev->type) < 0;
  invalid |= read_text(message, "Sse-Id", &ev->id) < 0;
  invalid |= read_text(message, "Sse-Key", &ev->key) < 0;
  invalid |= read_text(message, "Sse-Comment", &ev->comment) < 0;
  invalid |= read_number(message, "Sse-At", INT64_MAX, &at_ms);
  invalid |= read_number(message, "Sse-Label", UINT64_MAX, &ev->label);
  invalid |= read_number(message, "Sse-Flags", INT32_MAX, &flags);
  invalid |= read_retry(message, &ev->retry_ms);
  entry->entry.at_ms = (int64_t)at_ms;
  ev->flags = (unsigned)flags;
  return invalid;
}

void nats_entry_read(natsMsg *message, const char *subject, struct nats_entry *entry) {
  entry->entry = (struct entry){.channels = entry->channels};
  entry->entry.event.data = natsMsg_GetData(message);
  entry->entry.event.data_len = (size_t)natsMsg_GetDataLength(message);
  if (!entry->entry.event.data) entry->entry.event.data = "";
  entry->has_nonce = 0;
  read_nonce(message, entry);
  int invalid = strcmp(natsMsg_GetSubject(message), subject) != 0;
  if (invalid || read_channels(message, entry) || read_members(message, entry))
    entry->channels[0] = NULL;
}

/* ---- writing ---- */

/* A message that is being made. The first failure is kept. */
struct draft {
  natsMsg *message;
  natsStatus status;
  size_t bytes;
};

static void add(struct draft *draft, const char *name, const char *value) {
  if (draft->status == NATS_OK) draft->status = natsMsgHeader_Add(draft->message, name, value);
  draft->bytes += strlen(name) + strlen(value) + sizeof ": \r\n" - 1;
}

static int is_plain(char byte) {
  return byte != '%' && byte != 0x7f && (byte > ' ' || byte < 0);
}

static void add_text(struct draft *draft, const char *name, const char *text) {
  static const char digits[] = "0123456789ABCDEF";
  if (!text) return;
  char *value = malloc(3 * strlen(text) + 1), *to = value;
  if (!value) {
    draft->status = NATS_NO_MEMORY;
    return;
  }
  for (; *text; text++) {
    if (is_plain(*text)) {
      *to++ = *text;
      continue;
    }
    *to++ = '%';
    *to++ = digits[(unsigned char)*text >> 4];
    *to++ = digits[*text & 15];
  }
  *to = '\0';
  add(draft, name, value);
  free(value);
}

/* Nothing for 0. */
static void add_number(struct draft *draft, const char *name, int is_negative, uint64_t number) {
  char text[NUMBER_BYTES];
  if (number == 0) return;
  snprintf(text, sizeof text, "%s%" PRIu64, is_negative ? "-" : "", number);
  add(draft, name, text);
}

natsMsg *nats_entry_write(const struct nats_url *url, const struct entry *entry, const char *reply,
                          size_t *bytes) {
  const sse_event *ev = &entry->event;
  char nonce[NUMBER_BYTES];
  struct draft draft = {.bytes = sizeof "NATS/1.0\r\n\r\n" - 1 + ev->data_len};
  draft.status = natsMsg_Create(&draft.message, url->subject, reply, ev->data, (int)ev->data_len);
  snprintf(nonce, sizeof nonce, "%016" PRIx64, (uint64_t)entry->nonce);
  add(&draft, nonce_header, nonce);
  add(&draft, "Nats-Expected-Stream", url->stream);
  for (size_t i = 0; entry->channels[i]; i++) add_text(&draft, channel_header, entry->channels[i]);
  add_text(&draft, "Sse-Type", ev->type);
  add_text(&draft, "Sse-Id", ev->id);
  add_text(&draft, "Sse-Key", ev->key);
  add_text(&draft, "Sse-Comment", ev->comment);
  add_number(&draft, "Sse-Retry-Ms", ev->retry_ms < 0,
             (uint64_t)(ev->retry_ms < 0 ? -(int64_t)ev->retry_ms : ev->retry_ms));
  add_number(&draft, "Sse-Label", 0, ev->label);
  add_number(&draft, "Sse-Flags", 0, ev->flags);
  add_number(&draft, "Sse-At", 0, (uint64_t)entry->at_ms);
  *bytes = draft.bytes;
  if (draft.status == NATS_OK) return draft.message;
  natsMsg_Destroy(draft.message);
  return NULL;
}
