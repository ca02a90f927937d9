/* SPDX-License-Identifier: MIT */
/* trial.c: keeps what happened in one run. */
#include "trial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const gap_names[GAP_REASONS] = {"evicted", "restart", "unknown", "slow", "other"};

void trial_payload(int event, char payload[PAYLOAD_MAX]) {
  snprintf(payload, PAYLOAD_MAX, "event %d %.*s\nend", event, event % 60,
           "............................................................");
}

int trial_epoch(struct trial *trial, const char *name, size_t len) {
  for (int i = trial->epoch_count - 1; i >= 0; i--)
    if (strlen(trial->epochs[i]) == len && memcmp(trial->epochs[i], name, len) == 0) return i;
  if (trial->epoch_count == EPOCHS_MAX) abort();
  snprintf(trial->epochs[trial->epoch_count], EPOCH_BYTES, "%.*s", (int)len, name);
  return trial->epoch_count++;
}

int trial_read_id(struct trial *trial, const char *id, int *epoch, uint64_t *number) {
  const char *dot = strchr(id, '.');
  char *end;
  if (!dot || dot == id || dot - id >= EPOCH_BYTES || dot[1] < '0' || dot[1] > '9') return -1;
  *number = strtoull(dot + 1, &end, 10);
  if (*end != '\0') return -1;
  *epoch = trial_epoch(trial, id, (size_t)(dot - id));
  return 0;
}

/* Doubles a list that is full. */
static void *grown(void *list, int count, int *cap, size_t size) {
  if (count < *cap) return list;
  *cap = *cap ? 2 * *cap : 256;
  list = realloc(list, (size_t)*cap * size);
  if (!list) abort();
  return list;
}

struct sent *trial_add_event(struct trial *trial) {
  trial->events =
      grown(trial->events, trial->event_count, &trial->event_cap, sizeof *trial->events);
  struct sent *event = &trial->events[trial->event_count++];
  *event = (struct sent){.epoch = -1};
  return event;
}

void trial_add_note(struct witness *witness, const struct note *note) {
  witness->notes = grown(witness->notes, witness->count, &witness->cap, sizeof *witness->notes);
  witness->notes[witness->count++] = *note;
}

void trial_print(const struct trial *trial, const struct note *note, FILE *out) {
  static const char *const kinds[] = {
      "connects without an id", "returns", "position", "event", "gap", "what it should not get"};
  fprintf(out, "    %10.6f s  node %d  %s", (double)note->us / 1e6, note->node, kinds[note->kind]);
  if (note->kind == NOTE_GAP) fprintf(out, " %s of 0x%x", gap_names[note->reason], note->channels);
  if (note->event >= 0) {
    const struct sent *event = &trial->events[note->event];
    fprintf(out, " %d%s of 0x%x (sent %.6f, acknowledged %.6f, attempts %d)", note->event,
            event->has_own_id ? " with an own id" : "", event->channels,
            (double)event->sent_us / 1e6, (double)event->acked_us / 1e6, event->attempts);
  }
  if (note->epoch >= 0) fprintf(out, " id %s.%" PRIu64, trial->epochs[note->epoch], note->number);
  fputc('\n', out);
}

void trial_free(struct trial *trial) {
  for (int i = 0; i < trial->witness_count; i++) free(trial->witnesses[i].notes);
  free(trial->witnesses);
  free(trial->events);
}
