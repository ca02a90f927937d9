/* SPDX-License-Identifier: MIT */
/* roster.c: which channels have clients: a tree to find one, and a ring to list all. */
#include "roster.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

struct place {
  struct place *prev, *next;
  const char *name; /* behind the struct */
};

struct roster {
  pthread_mutex_t lock;
  void *tree;
  struct place ring; /* its head, without a name */
  size_t count, bytes;
};

static int compare(const void *a, const void *b) {
  return strcmp(((const struct place *)a)->name, ((const struct place *)b)->name);
}

struct roster *roster_new(void) {
  struct roster *roster = calloc(1, sizeof *roster);
  if (!roster) return NULL;
  pthread_mutex_init(&roster->lock, NULL);
  roster->ring.prev = roster->ring.next = &roster->ring;
  return roster;
}

static void remove_place(struct roster *roster, struct place *place) {
  tdelete(place, &roster->tree, compare);
  place->prev->next = place->next;
  place->next->prev = place->prev;
  roster->count--;
  roster->bytes -= strlen(place->name) + 1;
  free(place);
}

void roster_free(struct roster *roster) {
  if (!roster) return;
  while (roster->ring.next != &roster->ring) remove_place(roster, roster->ring.next);
  pthread_mutex_destroy(&roster->lock);
  free(roster);
}

/* `place` has the name and is in neither tree nor ring: it goes in, unless the name is there. */
static void add_place(struct roster *roster, struct place *place) {
  struct place **at = tsearch(place, &roster->tree, compare);
  if (!at || *at != place) {
    free(place);
    return;
  }
  place->next = &roster->ring;
  place->prev = roster->ring.prev;
  place->prev->next = place->next->prev = place;
  roster->count++;
  roster->bytes += strlen(place->name) + 1;
}

/* Without memory a channel is missing in the list, and in nothing else. */
void roster_note(void *arg, const char *channel, int occupied) {
  struct roster *roster = arg;
  size_t len = strlen(channel) + 1;
  struct place *place = malloc(sizeof *place + len);
  if (!place) return;
  place->name = memcpy(place + 1, channel, len);
  pthread_mutex_lock(&roster->lock);
  if (occupied) {
    add_place(roster, place);
  } else {
    struct place **at = tfind(place, &roster->tree, compare);
    struct place *found = at ? *at : NULL;
    free(place);
    if (found) remove_place(roster, found);
  }
  pthread_mutex_unlock(&roster->lock);
}

char **roster_list(struct roster *roster) {
  pthread_mutex_lock(&roster->lock);
  char **list = malloc((roster->count + 1) * sizeof *list + roster->bytes);
  char **to = list, *name = list ? (char *)(list + roster->count + 1) : NULL;
  for (struct place *at = roster->ring.next; list && at != &roster->ring; at = at->next) {
    size_t len = strlen(at->name) + 1;
    *to++ = memcpy(name, at->name, len);
    name += len;
  }
  if (list) *to = NULL;
  pthread_mutex_unlock(&roster->lock);
  return list;
}
