/* SPDX-License-Identifier: MIT */
/* ask.c: an open stream is asked to join or leave a channel. */
#include "ask.h"

#include "join.h"
#include "part.h"
#include "presence.h"
#include "recap.h"

/* ---- asking ---- */

/* How many channels a stream will have at most when all is done. */
static uint32_t channels_of(const struct sse__tag *tag) {
  uint32_t count = SSE__STREAM(tag->sub)->members_count;
  for (const struct sse__ask *ask = tag->asks; ask; ask = ask->next) count += ask->join;
  return count;
}

/* Whether a stream has a channel, or will; its own thread need not be asked. */
static bool has(const struct sse__tag *tag, const struct sse__channel *channel) {
  const struct sse__subscriber *sub = tag->sub;
  for (const struct sse__ask *ask = tag->asks; ask; ask = ask->next) {
    if (ask->join && ask->channel == channel) return true;
  }
  if (sub->alone) {
    const struct sse__lone *lone = sub->u.lone;
    for (uint32_t i = 0; i < lone->count; i++) {
      if (lone->members[i].channel == channel) return true;
    }
    return false;
  }
  const struct sse__feed *feed = channel->feeds;
  while (feed && feed->inbox != sub->u.inbox) feed = feed->next;
  for (uint32_t i = 0; feed && i < feed->count; i++) {
    if (feed->members[i]->sub == sub) return true;
  }
  return false;
}

/* Whether all streams of a tag may join: who has the channel already needs no place. */
static int admit(const struct sse__tag *first, const struct sse__channel *channel,
                 uint32_t channels_max) {
  size_t places = channel->streams + channel->joins, max = channel->bounds.streams_max;
  bool full = places + first->count > max;
  const struct sse__tag *tag = first;
  do {
    if ((full || channels_of(tag) >= channels_max) && !has(tag, channel)) {
      if (channels_of(tag) >= channels_max) return SSE_ECHANNELS;
      if (++places > max) return SSE_ECHANNELSTREAMS;
    }
    tag = tag->next;
  } while (tag != first);
  return SSE_OK;
}

static void free_list(const struct sse__mem *mem, struct sse__ask *asks) {
  for (struct sse__ask *next; asks; asks = next) {
    next = asks->next;
    sse__mem_free(mem, asks);
  }
}

/* So many copies, or NULL. */
static struct sse__ask *copies(const struct sse__mem *mem, const struct sse__ask *ask,
                               uint32_t count) {
  struct sse__ask *list = NULL;
  for (; count > 0; count--) {
    struct sse__ask *copy = sse__mem_new(mem, sizeof *copy);
    if (!copy) {
      free_list(mem, list);
      return NULL;
    }
    *copy = *ask;
    copy->next = list;
    list = copy;
  }
  return list;
}

static void post(struct sse__tag *tag, struct sse__wake_list *list) {
  struct sse__subscriber *sub = tag->sub;
  if (sub->alone) {
    bool armed = sub->u.lone->waker.armed;
    sse__lone_disarm(sub, sub->live.moved_ms);
    if (armed) sse__waker_post(&sub->u.lone->waker, SSE_WAKE_READY, true, list);
    return;
  }
  if (tag->asked) return;
  tag->asked = true;
  tag->asked_next = sub->u.inbox->asked;
  sub->u.inbox->asked = tag;
  sse__waker_post(&sub->u.inbox->waker, SSE_WAKE_READY, false, list);
}

static void append(struct sse__tag *tag, struct sse__ask *ask) {
  struct sse__ask **at = &tag->asks;
  while (*at) at = &(*at)->next;
  ask->next = NULL;
  *at = ask;
  ask->channel->asks++;
  ask->channel->joins += ask->join;
}

int sse__ask_all(struct sse__tag *first, const struct sse__mem *mem, const struct sse__ask *ask,
                 uint32_t channels_max, struct sse__wake_list *list) {
  struct sse__tag *tag = first;
  int error = ask->join ? admit(first, ask->channel, channels_max) : SSE_OK;
  if (error) return error;
  struct sse__ask *asks = copies(mem, ask, first->count);
  if (!asks) return SSE_ENOMEM;
  int count = 0;
  for (struct sse__ask *next; asks; asks = next, tag = tag->next, count++) {
    next = asks->next;
    append(tag, asks);
    post(tag, list);
  }
  return count;
}

struct sse__tag *sse__ask_collect(struct sse__inbox *inbox) {
  struct sse__tag *tag = inbox->asked;
  if (!tag) return NULL;
  inbox->asked = tag->asked_next;
  tag->asked = false;
  return tag;
}

/* ---- doing it ---- */

uint64_t sse__asks_due(const struct sse_stream *stream) {
  if (!(stream->parts & SSE__PART_TAG)) return UINT64_MAX;
  const struct sse__tag *tag = sse__part_tag((struct sse_stream *)(uintptr_t)stream);
  return tag->asks ? tag->asks->seq : UINT64_MAX;
}

static struct sse__member *member_of(const struct sse_stream *stream,
                                     const struct sse__channel *channel) {
  struct sse__member *members = sse__members(stream);
  for (uint32_t i = 0; i < stream->members_count; i++) {
    if (members[i].channel == channel) return &members[i];
  }
  return NULL;
}

/* Above which number the last so many events of a channel stand; all of what is kept by key. */
static uint64_t above_last(const struct sse__window *window, uint64_t cursor, size_t history) {
  struct sse__stretch slots = sse__window_stretch(window);
  size_t count = sse__stretch_after(&slots, cursor);
  if (window->keys || history >= count)
    return count > 0 ? sse__stretch_at(&slots, 0)->seq - 1 : cursor;
  return history > 0 ? sse__stretch_at(&slots, count - history)->seq - 1 : cursor;
}

/* What came before is not owed, but for the history that is wanted. */
static int join(struct sse_stream *stream, const struct sse__ask *ask, int64_t now_ms) {
  if (member_of(stream, ask->channel)) return SSE_OK;
  const struct sse__window *window = &ask->channel->window;
  uint64_t above = above_last(window, stream->cursor, ask->history);
  /* What a state of a later time has lost is told of when its turn comes. */
  bool lost = window->keys && window->state_lost > 0 && window->state_lost <= ask->seq;
  int error = sse__recap_add(stream, ask->channel, above, lost);
  if (error) return error;
  error = sse__join_more(stream, ask->channel, now_ms);
  if (error) {
    sse__recap_drop(stream, ask->channel);
    return error;
  }
  struct sse__member *member = &sse__members(stream)[stream->members_count - 1];
  member->had = ask->had;
  if (ask->seq > stream->since) stream->since = ask->seq;
  sse__presence_note(&stream->hub->presence, ask->channel);
  return SSE_OK;
}

static void leave(struct sse_stream *stream, const struct sse__ask *ask) {
  struct sse__member *member = member_of(stream, ask->channel);
  if (!member) return;
  sse__join_less(stream, member);
  sse__presence_note(&stream->hub->presence, ask->channel);
}

/* A channel that was only asked for goes away in time. */
static void drop_first(struct sse_stream *stream, struct sse__tag *tag, int64_t now_ms) {
  struct sse__ask *ask = tag->asks;
  tag->asks = ask->next;
  ask->channel->asks--;
  ask->channel->joins -= ask->join;
  sse__channel_touch(&stream->hub->channels, ask->channel, now_ms);
  sse__mem_free(&stream->hub->mem, ask);
}

int sse__asks_run(struct sse_stream *stream, int64_t now_ms) {
  struct sse__tag *tag = sse__part_tag(stream);
  if (stream->sub.alone) sse__lone_disarm(&stream->sub, now_ms);
  while (tag->asks && tag->asks->seq <= stream->cursor) {
    int error = SSE_OK;
    if (tag->asks->join) {
      error = join(stream, tag->asks, now_ms);
    } else {
      leave(stream, tag->asks);
    }
    if (error) return error;
    drop_first(stream, tag, now_ms);
  }
  return SSE_OK;
}

void sse__asks_drop(struct sse_stream *stream) {
  struct sse__tag *tag = sse__part_tag(stream);
  int64_t now_ms = sse__hub_now(stream->hub);
  while (tag->asks) drop_first(stream, tag, now_ms);
  if (!tag->asked) return;
  struct sse__tag **at = &stream->sub.u.inbox->asked;
  while (*at != tag) at = &(*at)->asked_next;
  *at = tag->asked_next;
  tag->asked = false;
}
