/* SPDX-License-Identifier: MIT */
/* writer.h: text into a buffer of a given size, and the length of what did not fit. */
#ifndef SSE_LIB_WRITER_H
#define SSE_LIB_WRITER_H

#include <stddef.h>
#include <stdint.h>

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

void sse__writer_bytes(struct sse__writer *writer, const char *bytes, size_t len);
void sse__writer_text(struct sse__writer *writer, const char *text);
/* Decimal digits. */
void sse__writer_number(struct sse__writer *writer, uint64_t number);
/* A JSON string with its quotes (RFC 8259, section 7). text must be UTF-8. */
void sse__writer_json(struct sse__writer *writer, const char *text);

/* Writes decimal digits without a NUL and returns their count. buf has SSE__NUMBER_BYTES_MAX. */
size_t sse__number_write(char *buf, uint64_t number);

#endif
