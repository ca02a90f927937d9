/* SPDX-License-Identifier: MIT */
/* writer.c: text into a buffer of a given size, and the length of what did not fit. */
#include "util/writer.h"

void sse__writer_overflow(struct sse__writer *writer, const char *bytes, size_t len) {
  if (writer->len > SSIZE_MAX || len > (size_t)SSIZE_MAX - writer->len) {
    writer->len = SSE__WRITER_LEN_MAX;
    return;
  }
  if (writer->len < writer->cap) {
    size_t room = writer->cap - writer->len;
    memcpy(writer->buf + writer->len, bytes, len < room ? len : room);
  }
  writer->len += len;
}

void sse__writer_json(struct sse__writer *writer, const char *text) {
  static const char hex[] = "0123456789abcdef";
  sse__writer_text(writer, "\"");
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20) {
      const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
      sse__writer_bytes(writer, escape, sizeof escape);
      continue;
    }
    if (c == '"' || c == '\\') sse__writer_text(writer, "\\");
    sse__writer_bytes(writer, text, 1);
  }
  sse__writer_text(writer, "\"");
}
