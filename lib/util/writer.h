/* SPDX-License-Identifier: MIT */
/* writer.h: text into a buffer of a given size, and the length of what did not fit. */
#ifndef SSE_LIB_WRITER_H
#define SSE_LIB_WRITER_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SSE__NUMBER_BYTES_MAX 20 /* digits of UINT64_MAX */
#define SSE__WRITER_LEN_MAX   ((size_t)SSIZE_MAX + 1)

/*
 * Writes the first cap bytes to buf, no byte beyond them and no NUL, and counts all bytes, as
 * snprintf does. The caller sets buf and cap, and len to 0; buf may be NULL if cap is 0.
 */
struct sse__writer {
  char *buf;
  size_t cap;
  /* Bytes put so far, also those that did not fit; SSE__WRITER_LEN_MAX: more than SSIZE_MAX. */
  size_t len;
};

/* For sse__writer_bytes: what does not fit, or just fits. */
void sse__writer_overflow(struct sse__writer *writer, const char *bytes, size_t len);

/*
 * Nearly all text fits, and its length is a constant, so these are inline. No text is longer than
 * SSIZE_MAX, so the sum does not overflow.
 */
static inline void sse__writer_bytes(struct sse__writer *writer, const char *bytes, size_t len) {
  if (writer->len + len >= writer->cap) { /* buf may be NULL if cap is 0 */
    sse__writer_overflow(writer, bytes, len);
    return;
  }
  memcpy(writer->buf + writer->len, bytes, len);
  writer->len += len;
}

static inline void sse__writer_text(struct sse__writer *writer, const char *text) {
  sse__writer_bytes(writer, text, strlen(text));
}

/* Writes decimal digits to the end of an array and returns where they begin. */
static inline const char *sse__number_digits(char digits[SSE__NUMBER_BYTES_MAX], uint64_t number) {
  char *at = digits + SSE__NUMBER_BYTES_MAX;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return at;
}

/* Writes decimal digits without a NUL and returns their count. buf has SSE__NUMBER_BYTES_MAX. */
static inline size_t sse__number_write(char *buf, uint64_t number) {
  char digits[SSE__NUMBER_BYTES_MAX];
  const char *at = sse__number_digits(digits, number);
  size_t len = (size_t)(digits + sizeof digits - at);
  memcpy(buf, at, len);
  return len;
}

/* Decimal digits. */
static inline void sse__writer_number(struct sse__writer *writer, uint64_t number) {
  char digits[SSE__NUMBER_BYTES_MAX];
  const char *at = sse__number_digits(digits, number);
  sse__writer_bytes(writer, at, (size_t)(digits + sizeof digits - at));
}

/* A JSON string with its quotes (RFC 8259, section 7). text must be UTF-8. */
void sse__writer_json(struct sse__writer *writer, const char *text);

#endif
