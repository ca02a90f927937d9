/* SPDX-License-Identifier: MIT */
/* writer.h: text into a buffer of a given size, and the length of what did not fit. */
#ifndef SSE_LIB_WRITER_H
#define SSE_LIB_WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SSE__NUMBER_BYTES_MAX 20 /* digits of UINT64_MAX */

/*
 * Writes the first cap bytes to buf, no byte beyond them and no NUL, and counts all bytes, as
 * snprintf does. The caller sets buf and cap, and len to 0; buf may be NULL if cap is 0.
 */
struct sse__writer {
  char *buf;
  size_t cap;
  size_t len; /* bytes put so far, also those that did not fit; SIZE_MAX: more than SSIZE_MAX */
};

/* For sse__writer_bytes: what does not fit. */
void sse__writer_overflow(struct sse__writer *writer, const char *bytes, size_t len);

/* Nearly all text fits, and its length is a constant, so these are inline. */
static inline void sse__writer_bytes(struct sse__writer *writer, const char *bytes, size_t len) {
  if (len > writer->cap || writer->len > writer->cap - len) {
    sse__writer_overflow(writer, bytes, len);
    return;
  }
  memcpy(writer->buf + writer->len, bytes, len);
  writer->len += len;
}

static inline void sse__writer_text(struct sse__writer *writer, const char *text) {
  sse__writer_bytes(writer, text, strlen(text));
}

/* Writes decimal digits without a NUL and returns their count. buf has SSE__NUMBER_BYTES_MAX. */
static inline size_t sse__number_write(char *buf, uint64_t number) {
  char digits[SSE__NUMBER_BYTES_MAX];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  memcpy(buf, digits + at, sizeof digits - at);
  return sizeof digits - at;
}

/* Decimal digits. */
static inline void sse__writer_number(struct sse__writer *writer, uint64_t number) {
  char digits[SSE__NUMBER_BYTES_MAX];
  sse__writer_bytes(writer, digits, sse__number_write(digits, number));
}

/* A JSON string with its quotes (RFC 8259, section 7). text must be UTF-8. */
void sse__writer_json(struct sse__writer *writer, const char *text);

#endif
