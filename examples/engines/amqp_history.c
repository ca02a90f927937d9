/* SPDX-License-Identifier: MIT */
/* amqp_history.c: finds out whether a log in RabbitMQ is still the one that was read. */
#include "amqp_history.h"

#include <stdio.h>
#include <string.h>

enum {
  PREFETCH_FEW = 50, /* messages that the server sends ahead while the log is compared */
  PREFETCH = 1000,   /* and while it is read */
  PRECONDITION_FAILED = 406
};

/* ---- consumers ---- */

static int set_prefetch(struct amqp_link *link, int64_t until_ms, uint16_t count) {
  amqp_basic_qos_t qos = {.prefetch_count = count};
  return amqp_link_ask(link, until_ms, AMQP_BASIC_QOS_METHOD, &qos, AMQP_BASIC_QOS_OK_METHOD);
}

/* Without a reply, because the first entries may come before it. */
static int consume(struct amqp_link *link, const char *tag, amqp_field_value_t from) {
  amqp_table_entry_t offset = {.key = amqp_cstring_bytes("x-stream-offset"), .value = from};
  amqp_basic_consume_t consume = {.queue = amqp_cstring_bytes(link->url->queue),
                                  .consumer_tag = amqp_cstring_bytes(tag),
                                  .nowait = 1,
                                  .arguments = {.num_entries = 1, .entries = &offset}};
  link->doing = "to read the queue";
  return amqp_link_put(link, AMQP_BASIC_CONSUME_METHOD, &consume);
}

static int consume_from(struct amqp_link *link, const char *tag, uint64_t offset) {
  return consume(link, tag,
                 (amqp_field_value_t){.kind = AMQP_FIELD_KIND_I64, .value.i64 = (int64_t)offset});
}

/* Entries that come from now on. The consumer is there when the server replies to what follows. */
static int consume_new(struct amqp_link *link, int64_t until_ms, const char *tag) {
  return consume(link, tag,
                 (amqp_field_value_t){.kind = AMQP_FIELD_KIND_UTF8,
                                      .value.bytes = amqp_cstring_bytes("next")}) ||
                 set_prefetch(link, until_ms, PREFETCH_FEW)
             ? -1
             : 0;
}

static int cancel(struct amqp_link *link, int64_t until_ms, const char *tag) {
  amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes(tag)};
  return amqp_link_ask(link, until_ms, AMQP_BASIC_CANCEL_METHOD, &cancel,
                       AMQP_BASIC_CANCEL_OK_METHOD);
}

int amqp_history_ack(struct amqp_link *reading, uint64_t delivery) {
  amqp_basic_ack_t ack = {.delivery_tag = delivery, .multiple = 1};
  return amqp_link_put(reading, AMQP_BASIC_ACK_METHOD, &ack);
}

int amqp_history_is_of(const struct amqp_heard *heard, const char *tag) {
  if (heard->id != AMQP_BASIC_DELIVER_METHOD) return 0;
  const amqp_basic_deliver_t *deliver = heard->method;
  return deliver->consumer_tag.len == strlen(tag) &&
         memcmp(deliver->consumer_tag.bytes, tag, strlen(tag)) == 0;
}

/* Waits for the next entry of a consumer. */
static int next_entry(struct amqp_link *link, int64_t until_ms, const char *tag,
                      struct amqp_entry *entry) {
  struct amqp_heard heard;
  do {
    if (amqp_link_hear(link, until_ms, &heard)) return -1;
    if (heard.id == AMQP_BASIC_CANCEL_METHOD)
      return amqp_link_fail(link, "the queue was deleted in RabbitMQ");
  } while (!amqp_history_is_of(&heard, tag));
  if (amqp_log_read(&heard, entry))
    return amqp_link_fail(link, "an entry in RabbitMQ has no offset, so its queue is no stream");
  return amqp_history_ack(link, ((const amqp_basic_deliver_t *)heard.method)->delivery_tag);
}

/* ---- the end ---- */

static int append_mark(struct amqp_link *link, int64_t until_ms, const struct amqp_rules *rules) {
  struct amqp_heard heard;
  link->doing = "to append";
  if (amqp_log_mark(link, rules->begins, rules->writer, rules->nonce)) return -1;
  do {
    if (amqp_link_hear(link, until_ms, &heard)) return -1;
    if (heard.id == AMQP_BASIC_RETURN_METHOD || heard.id == AMQP_BASIC_NACK_METHOD)
      return amqp_link_fail(link, "the queue was deleted in RabbitMQ");
  } while (heard.id != AMQP_BASIC_ACK_METHOD);
  return 0;
}

static int find_end(struct amqp_link *reading, int64_t until_ms, const struct amqp_rules *rules,
                    struct amqp_entry *entry, uint64_t *end) {
  do
    if (next_entry(reading, until_ms, "end", entry)) return -1;
  while (!entry->has_nonce || entry->entry.nonce != rules->nonce);
  *end = entry->offset;
  return cancel(reading, until_ms, "end");
}

/* ---- the name ---- */

/* Reads from the begin what tells the name of the history; `first` is where the log begins. */
static int find_name(struct amqp_link *reading, int64_t until_ms, struct amqp_entry *entry,
                     struct amqp_state *state, uint64_t *first) {
  int is_whole = 0;
  *state->epoch = '\0';
  if (consume_from(reading, "begin", 0)) return -1;
  for (int i = 0;; i++) {
    if (next_entry(reading, until_ms, "begin", entry)) return -1;
    if (i == 0) *first = entry->offset;
    if (i == 0) is_whole = entry->offset == 0;
    if (*entry->begins && !*state->epoch) memcpy(state->epoch, entry->begins, sizeof state->epoch);
    if (*entry->epoch && !is_whole) memcpy(state->epoch, entry->epoch, sizeof state->epoch);
    if (is_whole ? *state->epoch : *entry->epoch || entry->offset >= state->end) break;
  }
  return cancel(reading, until_ms, "begin");
}

/* ---- comparing ---- */

/* The name is the same, and the end is not. No name would tell the numbers that come again from those
 * that were given, so it takes an operator to begin a new history. */
static int refuse_lost(struct amqp_link *link) {
  snprintf(link->problem, sizeof link->problem,
           "the queue %.80s in RabbitMQ has lost entries that were in it, or is an older copy; "
           "delete it, and a new history begins",
           link->url->queue);
  return -1;
}

static int check_tail(struct amqp_link *reading, int64_t until_ms, const struct amqp_have *have,
                      struct amqp_entry *entry, struct amqp_state *state) {
  state->lost = strcmp(have->epoch, state->epoch) != 0;
  if (state->lost) return 0;
  if (have->next > state->end) return refuse_lost(reading);
  if (!have->has_nonce) return 0;
  if (consume_from(reading, "check", have->offset) || next_entry(reading, until_ms, "check", entry))
    return -1;
  if (entry->offset == have->offset && (!entry->has_nonce || entry->entry.nonce != have->nonce))
    return refuse_lost(reading);
  return cancel(reading, until_ms, "check");
}

static int check(struct amqp_link *reading, struct amqp_link *writing, int64_t until_ms,
                 const struct amqp_have *have, const struct amqp_rules *rules,
                 struct amqp_entry *entry, struct amqp_state *state) {
  uint64_t first;
  if (set_prefetch(reading, until_ms, PREFETCH_FEW) || consume_new(reading, until_ms, "end") ||
      append_mark(writing, until_ms, rules) ||
      find_end(reading, until_ms, rules, entry, &state->end) ||
      find_name(reading, until_ms, entry, state, &first) ||
      check_tail(reading, until_ms, have, entry, state))
    return -1;
  state->start = state->end > rules->load_max ? state->end - rules->load_max : 0;
  if (first > state->start) state->start = first;
  return set_prefetch(reading, until_ms, PREFETCH) ||
                 consume_from(reading, "log", state->lost ? state->start : have->next)
             ? -1
             : 0;
}

int amqp_history_check(struct amqp_link *reading, struct amqp_link *writing, int64_t until_ms,
                       const struct amqp_have *have, const struct amqp_rules *rules,
                       struct amqp_state *state) {
  struct amqp_entry entry = {0};
  int error = check(reading, writing, until_ms, have, rules, &entry, state);
  /* Only a stream takes this argument. */
  if (error && reading->code == PRECONDITION_FAILED && strstr(reading->problem, "x-stream-offset"))
    snprintf(reading->problem, sizeof reading->problem,
             "the queue %.100s in RabbitMQ is not a stream; choose another one with ?queue=NAME",
             reading->url->queue);
  amqp_log_free(&entry);
  return error;
}
