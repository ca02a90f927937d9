/* SPDX-License-Identifier: MIT */
/* graphite.h: sends the number of clients of each channel to Graphite, as cyclone-sse did. */
#ifndef BROADCAST_GRAPHITE_H
#define BROADCAST_GRAPHITE_H

#include "server.h"

/*
 * A thread that sends UDP lines of the form `<path>.<channel> <clients> <unix seconds>`, at fixed
 * times. Characters of a channel's name that such a line cannot have become underscores.
 */
struct graphite;

/* Starts as the options say; *graphite is NULL if there is nothing to export. 0; or -1 after a line
 * on stderr. */
int graphite_start(struct graphite **graphite, const struct server *server);
void graphite_stop(struct graphite *graphite);

#endif
