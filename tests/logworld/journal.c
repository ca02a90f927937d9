/* SPDX-License-Identifier: MIT */
/* journal.c: the log that all hubs read, with its histories. */
#include "journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

log_book journal;
const char *const channel_names[CHANNELS] = {"a", "b", "c", "s", "t"};
const char *const key_names[KEYS] = {"k0", "k1", "k2", "k3"};

static void name_epoch(unsigned index) {
  snprintf(journal.histories[index].epoch, sizeof journal.histories[index].epoch, "log-%u", index);
}

void journal_begin(uint64_t first) {
  memset(&journal, 0, sizeof journal);
  journal.count = 1;
  journal.histories[0].end = first;
  name_epoch(0);
}

history *journal_now(void) {
  return &journal.histories[journal.count - 1];
}

void journal_append(const entry *e, unsigned hole) {
  history *h = journal_now();
  entry *to = &h->entries[h->count++];
  *to = *e;
  to->number = h->end + 1 + hole;
  to->name = journal.names++;
  if (to->id[0]) snprintf(to->id, sizeof to->id, "app-%u", to->name);
  h->end = to->number;
}

void journal_trim(uint64_t upto) {
  history *h = journal_now();
  if (upto > h->trimmed) h->trimmed = upto;
}

bool journal_lose(uint64_t above) {
  history *old = journal_now(), *h = old + 1;
  if (journal.count == HISTORIES_MAX) return false;
  *h = *old;
  name_epoch(journal.count++);
  while (h->count && h->entries[h->count - 1].number > above) h->count--;
  h->end = above;
  if (h->trimmed > above) h->trimmed = above;
  return true;
}

int journal_find(int in, unsigned name) {
  const history *h = &journal.histories[in];
  for (unsigned i = 0; i < h->count; i++)
    if (h->entries[i].name == name) return (int)i;
  return -1;
}

uint64_t journal_last(int in, int channel, uint64_t upto) {
  const history *h = &journal.histories[in];
  uint64_t last = 0;
  for (unsigned i = 0; i < h->count; i++)
    if (h->entries[i].channels >> channel & 1 && h->entries[i].number <= upto)
      last = h->entries[i].number;
  return last;
}

void journal_payload(char *to, char kind, unsigned name) {
  size_t len = (size_t)sprintf(to, "%c%u.", kind, name);
  memset(to + len, 'x', name * 7 % 40);
  to[len + name * 7 % 40] = 0;
}

const char *journal_set(unsigned channels) {
  static char text[4][32];
  static unsigned next;
  char *to = text[next++ % 4];
  size_t len = 0;
  to[0] = 0;
  for (int c = 0; c < CHANNELS; c++)
    if (channels >> c & 1)
      len += (size_t)sprintf(to + len, "%s%s", len ? "," : "", channel_names[c]);
  return to;
}

int journal_id(const char *id, uint64_t *number, bool *marked) {
  for (unsigned i = 0; i < journal.count; i++) {
    const char *epoch = journal.histories[i].epoch;
    size_t len = strlen(epoch);
    char again[64];
    if (strncmp(id, epoch, len) != 0 || id[len] != '.') continue;
    *number = strtoull(id + len + 1, NULL, 10);
    *marked = id[strlen(id) - 1] == '~';
    snprintf(again, sizeof again, "%s.%" PRIu64 "%s", epoch, *number, *marked ? "~" : "");
    if (!strcmp(again, id)) return (int)i;
  }
  return -1;
}
