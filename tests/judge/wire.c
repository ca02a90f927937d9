/* SPDX-License-Identifier: MIT */
/* wire.c: reads text/event-stream line by line, as the HTML standard (9.2.6) says. */
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void clear_block(wire_block *block) {
  block->raw_len = block->data_len = 0;
  block->type[0] = block->data[0] = block->id[0] = 0;
  block->has_id = block->has_data = block->has_comment = block->has_retry = block->other = false;
  block->retry_ms = 0;
}

void wire_reset(wire *reader) {
  reader->line_len = 0;
  reader->after_cr = reader->begun = false;
  clear_block(&reader->block);
  memcpy(reader->id_buffer, reader->last_id, sizeof reader->id_buffer);
}

bool wire_between(const wire *reader) {
  return !reader->line_len && !reader->block.raw_len;
}

static bool digits(const char *text) {
  return *text && strspn(text, "0123456789") == strlen(text);
}

static void field(wire *reader, const char *name, const char *value) {
  wire_block *block = &reader->block;
  size_t len = strlen(value);
  if (!strcmp(name, "event")) {
    snprintf(block->type, sizeof block->type, "%s", value);
  } else if (!strcmp(name, "data")) {
    if (block->data_len + len + 2 > sizeof block->data) return;
    memcpy(block->data + block->data_len, value, len);
    block->data_len += len;
    block->data[block->data_len++] = '\n';
    block->has_data = true;
  } else if (!strcmp(name, "id")) {
    snprintf(block->id, sizeof block->id, "%s", value);
    memcpy(reader->id_buffer, block->id, sizeof block->id);
    block->has_id = true;
  } else if (!strcmp(name, "retry") && digits(value)) {
    block->retry_ms = strtoll(value, NULL, 10);
    block->has_retry = true;
  } else {
    block->other = true;
  }
}

static void blank_line(wire *reader, wire_fn *call, void *arg) {
  wire_block *block = &reader->block;
  memcpy(reader->last_id, reader->id_buffer, sizeof reader->last_id);
  if (block->data_len) block->data[--block->data_len] = 0;
  if (call) call(arg, block);
  clear_block(block);
}

static void end_line(wire *reader, wire_fn *call, void *arg) {
  char *colon;
  bool first;
  reader->line[reader->line_len] = 0;
  if (!reader->line_len) {
    blank_line(reader, call, arg);
    return;
  }
  first = reader->block.raw_len == reader->line_len + 1;
  reader->line_len = 0;
  colon = strchr(reader->line, ':');
  if (colon == reader->line) {
    reader->block.has_comment = true;
  } else if (colon) {
    *colon++ = 0;
    field(reader, reader->line, colon + (*colon == ' '));
  } else {
    field(reader, reader->line, "");
  }
  if (reader->alone && first && (reader->block.has_retry || !strcmp(reader->line, ":"))) {
    if (call) call(arg, &reader->block);
    clear_block(&reader->block);
  }
}

void wire_feed(wire *reader, const char *bytes, size_t len, wire_fn *block, void *arg) {
  for (size_t i = 0; i < len; i++) {
    char c = bytes[i];
    bool second = reader->after_cr && c == '\n';
    reader->after_cr = c == '\r';
    if (reader->block.raw_len < WIRE_RAW_MAX) reader->block.raw[reader->block.raw_len++] = c;
    if (second) {
      reader->block.raw_len = 0;
    } else if (c == '\n' || c == '\r') {
      end_line(reader, block, arg);
    } else if (reader->line_len + 1 < sizeof reader->line) {
      reader->line[reader->line_len++] = c;
    }
  }
}

/* --- The data of a gap ------------------------------------------------------------------------ */

static bool skip(const char **at, const char *text) {
  size_t len = strlen(text);
  if (strncmp(*at, text, len) != 0) return false;
  *at += len;
  return true;
}

static bool string(const char **at, char *to, size_t cap) {
  size_t len = 0;
  if (!skip(at, "\"")) return false;
  while (**at && **at != '"') {
    if (**at == '\\' && !*++*at) return false;
    if (len + 1 < cap) to[len++] = **at;
    ++*at;
  }
  to[len] = 0;
  return skip(at, "\"");
}

bool wire_parse_gap(const char *text, wire_gap *gap) {
  memset(gap, 0, sizeof *gap);
  if (!skip(&text, "{\"reason\":") || !string(&text, gap->reason, sizeof gap->reason)) return false;
  if (skip(&text, ",\"requested\":")) {
    gap->has_requested = true;
    if (!string(&text, gap->requested, sizeof gap->requested)) return false;
  }
  if (!skip(&text, ",\"resume\":") || !string(&text, gap->resume, sizeof gap->resume)) return false;
  if (!skip(&text, ",\"channels\":[")) return false;
  while (gap->names_count < WIRE_NAMES_MAX && *text == '"') {
    if (!string(&text, gap->names[gap->names_count], 64)) return false;
    gap->names_count++;
    if (!skip(&text, ",")) break;
  }
  if (!skip(&text, "]")) return false;
  if (skip(&text, ",\"lost\":")) {
    char *end;
    gap->has_lost = true;
    gap->lost = strtoull(text, &end, 10);
    if (end == text) return false;
    text = end;
  }
  return !strcmp(text, "}");
}
