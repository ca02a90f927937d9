/* SPDX-License-Identifier: MIT */
/* nats_log.h: what an entry of a log in JetStream looks like. */
#ifndef NATS_LOG_H
#define NATS_LOG_H

#include <nats/nats.h>

#include "entry.h"
#include "nats_link.h"

/*
 * The payload of a message is the event's data, its headers are the rest:
 *
 *   Sse-Channel          the name of a channel; several channels: several such headers
 *   Sse-Type, Sse-Id, Sse-Key, Sse-Comment, Sse-Retry-Ms, Sse-Label, Sse-Flags   as in sse_event
 *   Sse-At               when it was submitted, in ms since 1970
 *   Nats-Msg-Id          the nonce, 16 hex digits, by which JetStream refuses to store it twice
 *   Nats-Expected-Stream the stream, so that no other one takes it
 *
 * Values are percent-encoded where they have a control character, a space or a percent sign.
 */
struct nats_entry {
  struct entry entry; /* if it is no valid event, it has no channel, and any hub refuses it */
  int has_nonce;
  const char *channels[SSE_PUBLISH_CHANNELS_MAX + 1];
};

/* Reads a message of the stream, whose headers are changed; all of it points into the message. */
void nats_entry_read(natsMsg *message, const char *subject, struct nats_entry *entry);

/* The message for an entry, or NULL without memory; *bytes: how long it is for the server. */
natsMsg *nats_entry_write(const struct nats_url *url, const struct entry *entry, const char *reply,
                          size_t *bytes);

#endif
