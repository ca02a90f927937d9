/* SPDX-License-Identifier: MIT */
/* roster.h: which channels have clients; the library reports them, and does not list them. */
#ifndef BROADCAST_ROSTER_H
#define BROADCAST_ROSTER_H

struct roster;

struct roster *roster_new(void); /* NULL: no memory */
void roster_free(struct roster *roster);

/* For sse_hub_config.occupancy; `arg` is the roster. */
void roster_note(void *arg, const char *channel, int occupied);

/*
 * Copies the names of the channels that have clients, in no order: a list that ends with NULL and is
 * one block of memory, for free(). NULL: no memory.
 */
char **roster_list(struct roster *roster);

#endif
