/* SPDX-License-Identifier: MIT */
/* cases.h: event streams and what they say, to hold each reader of them to; and a log of that. */
#ifndef CASES_H
#define CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_MAX 4096
#define BOM     "\xef\xbb\xbf"

/*
 * What a stream gave, as a text: an event as [type|data|id], an id alone as (id), and at the end
 * the last id and the reconnection time. An LF is \n there, and a NUL is \0. All zeros is an empty
 * one.
 */
struct log {
  char text[LOG_MAX];
  size_t len;
};

void log_bytes(struct log *log, const char *bytes, size_t len);
/* Asserts that each of the three has a NUL behind it, and the id none before. */
void log_event(struct log *log, const char *type, size_t type_len, const char *data,
               size_t data_len, const char *id, size_t id_len);
void log_end(struct log *log, const char *last_id, int64_t retry_ms);

/* A stream, and the log of it. */
struct stream_case {
  const char *name, *stream;
  size_t len;
  const char *want;
};

#define CASE(name, stream, want)                                                                   \
  { name, stream, sizeof(stream) - 1, want }

/* How the streams are read. */
struct case_reader {
  bool ids;           /* it tells of an id alone; else none is wanted of it */
  const void *config; /* for open, which gives the reader that the others are called with */
  void *(*open)(const void *config);
  /* Logs what the bytes complete; gives 0, or the error that ended the stream. */
  int (*feed)(void *reader, const char *bytes, size_t len, struct log *log);
  /* Logs the end, the error being the last answer of feed, and frees the reader. */
  void (*close)(void *reader, int error, struct log *log);
};

/* Reads a stream in pieces of this size, and logs it anew. */
void case_read(const struct case_reader *reader, const char *stream, size_t len, size_t step,
               struct log *log);

/* Reads the stream in pieces of each size, and cut at every one and two places, and asserts that
 * the log is the same each time. */
void case_check(const struct case_reader *reader, const struct stream_case *row);

/* The same for all streams that there are here: any reader has to say this of them. */
void case_check_all(const struct case_reader *reader);

#endif
