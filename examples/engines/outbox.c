/* SPDX-License-Identifier: MIT */
/* outbox.c: entries on their way to a log in a server, each of which is answered exactly once. */
#include "outbox.h"

#include <stdio.h>

#include "timing.h"

int64_t outbox_nonce(struct outbox *outbox) {
  return (int64_t)((uint64_t)outbox->nonce + (uint64_t)outbox->nonces++);
}

int outbox_take(struct outbox *outbox, struct queue *queue) {
  struct entries fresh = {0};
  size_t taken;
  int is_open;
  do { /* until there is nothing, since only then a further entry wakes the thread */
    is_open = queue_take(queue, &fresh, SIZE_MAX, 0);
    taken = fresh.count;
    int64_t due_ms = clock_ms() + outbox->wait_max_ms;
    for (struct entry *entry; (entry = entries_take(&fresh));) {
      entry->due_ms = due_ms;
      entry->nonce = outbox_nonce(outbox);
      entries_add(&outbox->unsent, entry);
    }
  } while (taken > 0);
  return is_open;
}

int outbox_is_empty(const struct outbox *outbox) {
  return !outbox->unsent.first && !outbox->sent.first && !outbox->confirmed.first;
}

void outbox_answer(struct outbox *outbox, struct entry *entry, int error) {
  char own[SSE_ID_BYTES_MAX + 1];
  snprintf(own, sizeof own, "%s.%llu", outbox->epoch, (unsigned long long)entry->event.number);
  engine_answer(outbox->engine, entry, error, entry->event.id ? entry->event.id : own);
}

/* Takes an entry out of a list; those before it stay. */
static struct entry *claim_from(struct entries *entries, int64_t nonce) {
  struct entry **at = &entries->first, *before = NULL;
  while (*at && (*at)->nonce != nonce) {
    before = *at;
    at = &before->next;
  }
  struct entry *found = *at;
  if (!found) return NULL;
  *at = found->next;
  if (entries->last == found) entries->last = before;
  entries->count--;
  return found;
}

struct entry *outbox_sent(const struct outbox *outbox, uint64_t serial) {
  struct entry *entry = outbox->sent.first;
  while (entry && entry->serial < serial) entry = entry->next;
  return entry && entry->serial == serial ? entry : NULL;
}

static void note_success(struct outbox *outbox) {
  if (outbox->is_refused) engine_problem(outbox->engine, NULL);
  outbox->is_refused = 0;
}

void outbox_reply(struct outbox *outbox, struct entry *entry, uint64_t number) {
  note_success(outbox);
  if (!entry) return;
  claim_from(&outbox->sent, entry->nonce);
  entry->event.number = number;
  entries_add(&outbox->confirmed, entry);
}

void outbox_refuse(struct outbox *outbox, struct entry *entry, const char *problem) {
  outbox->is_refused = 1;
  engine_problem(outbox->engine, problem);
  if (!entry) return;
  claim_from(&outbox->sent, entry->nonce);
  outbox_answer(outbox, entry, ENGINE_ELOG);
}

static struct entry *claim(struct outbox *outbox, int64_t nonce) {
  uint64_t which = (uint64_t)nonce - (uint64_t)outbox->nonce;
  if (which >= (uint64_t)outbox->nonces) return NULL;
  struct entry *found = claim_from(&outbox->confirmed, nonce);
  return found ? found : claim_from(&outbox->sent, nonce);
}

void outbox_read(struct outbox *outbox, const struct entry *read, int error) {
  struct entry *entry = claim(outbox, read->nonce);
  if (!entry) return;
  note_success(outbox);
  entry->event.number = read->event.number;
  outbox_answer(outbox, entry, error);
}

void outbox_confirm(struct outbox *outbox, uint64_t number) {
  struct entry *entry;
  while ((entry = outbox->confirmed.first) && entry->event.number <= number)
    outbox_answer(outbox, entries_take(&outbox->confirmed), 0);
}

void outbox_doubt(struct outbox *outbox, uint64_t serial) {
  struct entry *entry;
  while ((entry = outbox->confirmed.first) && entry->event.number == 0)
    outbox_answer(outbox, entries_take(&outbox->confirmed), ENGINE_ELOG);
  while ((entry = outbox->sent.first) && entry->serial <= serial)
    outbox_answer(outbox, entries_take(&outbox->sent), ENGINE_ELOG);
}

void outbox_resume(struct outbox *outbox) {
  struct entries again = {0};
  entries_append(&again, &outbox->confirmed);
  entries_append(&again, &outbox->sent);
  entries_append(&again, &outbox->unsent);
  outbox->unsent = again;
}

/* One without a number has no id to answer with, although the log may have it. */
static int64_t expire(struct outbox *outbox, struct entries *entries, int64_t now_ms,
                      int is_confirmed) {
  while (entries->first && entries->first->due_ms <= now_ms) {
    struct entry *entry = entries_take(entries);
    outbox_answer(outbox, entry, is_confirmed && entry->event.number > 0 ? 0 : ENGINE_ELOG);
  }
  return entries->first ? entries->first->due_ms : INT64_MAX;
}

int64_t outbox_expire(struct outbox *outbox, int64_t now_ms) {
  int64_t confirmed = expire(outbox, &outbox->confirmed, now_ms, 1);
  int64_t sent = expire(outbox, &outbox->sent, now_ms, 0);
  int64_t unsent = expire(outbox, &outbox->unsent, now_ms, 0);
  int64_t next = confirmed < sent ? confirmed : sent;
  return next < unsent ? next : unsent;
}

void outbox_end(struct outbox *outbox) {
  outbox_expire(outbox, INT64_MAX);
}
