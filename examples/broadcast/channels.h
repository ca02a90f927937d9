/* SPDX-License-Identifier: MIT */
/* channels.h: the channels that a request names. */
#ifndef BROADCAST_CHANNELS_H
#define BROADCAST_CHANNELS_H

#include <stddef.h>

#include "params.h"

#define CHANNELS_MAX 256 /* of one event, and of one stream */

/* The channel of what operators do, which requests cannot name (control.h). */
#define CHANNEL_CONTROL "broadcast:control"

/* Names without repetition; the list ends with NULL, and its strings are borrowed. */
struct channels {
  const char *names[CHANNELS_MAX + 1];
  size_t count;
};

/* Adds a name of `len` bytes unless it is there. NULL, or what is wrong: a literal. */
const char *channels_add(struct channels *channels, const char *name, size_t len);

/* Reads the parameters `channel` and `channels`; NULL, or what is wrong, also if there are none. */
const char *channels_read(struct channels *channels, const struct params *params);

#endif
