/* SPDX-License-Identifier: MIT */
/* picture.c: all that a hub and a stream are. */
#include "picture.h"

#include <string.h>

#include "stream/stream_priv.h"

/*
 * An empty channel that nobody uses goes away sooner or later, also in a call that fails, and makes
 * no difference. Returns whether the channel's frames have an age.
 */
static bool take_channel(struct picture *picture, const sse_hub *hub, unsigned i) {
  const char *name = client_channel(i);
  const struct sse__channel *channel = sse__channels_find(&hub->channels, name, strlen(name));
  if (!channel) return false;
  if (channel->streams == 0 && !channel->configured && channel->window.last_ordinal == 0) {
    picture->channels_count--;
    picture->timers--;
    return false;
  }
  picture->channels[i].exists = true;
  picture->channels[i].configured = channel->configured;
  picture->channels[i].streams = channel->streams;
  picture->channels[i].last_ordinal = channel->window.last_ordinal;
  if (channel->bounds.window_age_ms_max != SSE_NEVER) return true;
  picture->channels[i].frames = channel->window.frames;
  picture->channels[i].bytes = channel->window.bytes;
  picture->channels[i].evicted = channel->window.evicted.seq;
  return false;
}

static void take_stream(struct picture *picture, const sse_stream *stream) {
  picture->stream.cursor = stream->cursor;
  picture->stream.id_behind = stream->id_behind;
  picture->stream.lent = stream->outq.count;
  picture->stream.offset = stream->outq.offset;
  picture->stream.pinned_bytes = stream->sub.pinned_bytes;
  picture->stream.reason = stream->reason;
  for (uint32_t i = 0; i < stream->subscription_count && i < CLIENT_CHANNELS; i++) {
    picture->stream.announced[i] = sse__subscriptions(stream)[i].gap_reported;
    picture->stream.had[i] = sse__subscriptions(stream)[i].delivered_count;
  }
}

void picture_take(struct picture *picture, const sse_hub *hub, const sse_stream *stream) {
  bool aging = false;
  memset(picture, 0, sizeof *picture);
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) aging = take_channel(picture, hub, i) || aging;
  picture->head = hub->head.seq;
  picture->floor = hub->channels.floor.seq;
  picture->bytes = aging ? 0 : hub->store.bytes;
  picture->window_bytes = aging ? 0 : hub->store.window_bytes;
  picture->streams = hub->streams;
  picture->loops = hub->loops;
  picture->channels_count += hub->channels.map.count;
  picture->ghosts = hub->channels.ghosts.count;
  picture->timers += hub->timers.count;
  if (stream) take_stream(picture, stream);
}

/* The memory was cleared before, so what lies between the members is the same. */
bool picture_same(const struct picture *a, const struct picture *b) {
  /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): see above */
  return memcmp(a, b, sizeof *a) == 0;
}
