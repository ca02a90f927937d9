/* SPDX-License-Identifier: MIT */
/* event_id.c: the hub's event ids, written and parsed. */
#include "wire/event_id.h"

#include <string.h>

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct sse__epoch sse__epoch_from(uint64_t bits) {
  struct sse__epoch epoch = {.len = SSE_EPOCH_BYTES_MAX};
  for (size_t i = 0; i < SSE_EPOCH_BYTES_MAX; i++, bits >>= 6) epoch.text[i] = base64url[bits & 63];
  return epoch;
}

/* The length of the epoch at the start of text; 0 if it is missing or too long. */
static size_t epoch_length(const char *text) {
  size_t len = 0;
  while (text[len] != '\0' && strchr(base64url, text[len])) len++;
  return len <= SSE_EPOCH_BYTES_MAX ? len : 0;
}

static void set_epoch(struct sse__epoch *epoch, const char *text, size_t len) {
  memset(epoch, 0, sizeof *epoch);
  memcpy(epoch->text, text, len);
  epoch->len = (uint8_t)len;
}

bool sse__epoch_parse(const char *text, struct sse__epoch *epoch) {
  size_t len = epoch_length(text);
  if (len == 0 || text[len] != '\0') return false;
  set_epoch(epoch, text, len);
  return true;
}

size_t sse__event_id_write(char *buf, const struct sse__epoch *epoch, uint64_t seq) {
  memcpy(buf, epoch->text, epoch->len);
  buf[epoch->len] = '.';
  return epoch->len + 1u + sse__number_write(buf + epoch->len + 1, seq);
}

/* Parses a number. Returns the end of its digits, or NULL. */
static const char *parse_number(const char *text, uint64_t *number) {
  uint64_t n = 0;
  const char *first = text;
  for (; *text >= '0' && *text <= '9'; text++) {
    unsigned digit = (unsigned)(*text - '0');
    if (n > UINT64_MAX / 10 || n * 10 > UINT64_MAX - digit) return NULL;
    n = n * 10 + digit;
  }
  *number = n;
  return text == first || (*first == '0' && text > first + 1) ? NULL : text;
}

bool sse__event_id_parse(const char *text, struct sse__event_id *id) {
  size_t len = epoch_length(text);
  if (len == 0 || text[len] != '.') return false;
  const char *end = parse_number(text + len + 1, &id->seq);
  if (!end) return false;
  id->unfinished = strcmp(end, SSE__EVENT_ID_UNFINISHED) == 0;
  if (*end != '\0' && !id->unfinished) return false;
  set_epoch(&id->epoch, text, len);
  return true;
}

bool sse__event_id_resembles(const char *text, const struct sse__epoch *epoch) {
  if (strncmp(text, epoch->text, epoch->len) != 0 || text[epoch->len] != '.') return false;
  const char *number = text + epoch->len + 1;
  size_t digits = strspn(number, "0123456789");
  return digits > 0 &&
         (number[digits] == '\0' || strcmp(number + digits, SSE__EVENT_ID_UNFINISHED) == 0);
}
