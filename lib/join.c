/* SPDX-License-Identifier: MIT */
/* join.c: a stream joins a channel and leaves it. */
#include "join.h"

#include <string.h>

#include "loop.h"
#include "recap.h"

/* ---- one member ---- */

static int join_feed(struct sse_stream *stream, struct sse__member *member) {
  struct sse_loop *loop = SSE__LOOP(stream->sub.u.inbox);
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__feed *feed = sse__feed_get(member->channel, &loop->inbox, mem, stream->hub->head);
  if (!feed) return SSE_ENOMEM;
  int error = sse__round_reserve(&loop->round, mem, loop->inbox.feeds);
  if (!error) error = sse__member_join_feed(member, feed, mem);
  if (error) sse__feed_free_unused(feed, mem);
  return error;
}

int sse__join(struct sse_stream *stream, struct sse__member *member, struct sse__channel *channel,
              int64_t now_ms) {
  member->channel = channel;
  member->sub = &stream->sub;
  if (stream->sub.alone) {
    sse__member_join_alone(member);
  } else {
    int error = join_feed(stream, member);
    if (error) return error;
  }
  sse__channel_expire(&stream->hub->channels, channel, now_ms);
  sse__channel_touch(&stream->hub->channels, channel, now_ms);
  return SSE_OK;
}

void sse__unjoin(struct sse_stream *stream, struct sse__member *member) {
  if (stream->sub.alone) {
    sse__member_leave_alone(member);
  } else {
    sse__member_leave_feed(member);
    sse__feed_free_unused(member->u.in.feed, &stream->hub->mem);
  }
}

/* ---- the members of an open stream ---- */

/* Says where a member lies now. */
static void settle(const struct sse_stream *stream, struct sse__member *member) {
  if (!stream->sub.alone) member->u.in.feed->members[member->u.in.index] = member;
}

static void set_members(struct sse_stream *stream, struct sse__member *members, uint32_t count) {
  if (members != stream->own) {
    stream->own[0].u.moved = members;
    stream->moved = true;
  }
  stream->members_count = count;
  if (stream->sub.alone) {
    stream->sub.u.lone->members = members;
    stream->sub.u.lone->count = count;
  }
}

int sse__join_more(struct sse_stream *stream, struct sse__channel *channel, int64_t now_ms) {
  const struct sse__mem *mem = &stream->hub->mem;
  struct sse__member *old = sse__members(stream);
  uint32_t count = stream->members_count;
  struct sse__member *members = sse__mem_zero(mem, (count + 1) * sizeof *members);
  if (!members) return SSE_ENOMEM;
  int error = sse__join(stream, &members[count], channel, now_ms);
  if (error) {
    sse__mem_free(mem, members);
    return error;
  }
  memcpy(members, old, count * sizeof *members);
  for (uint32_t i = 0; i < count; i++) settle(stream, &members[i]);
  if (stream->moved) sse__mem_free(mem, old);
  set_members(stream, members, count + 1);
  return SSE_OK;
}

void sse__join_less(struct sse_stream *stream, struct sse__member *member) {
  struct sse__member *members = sse__members(stream), *last = &members[stream->members_count - 1];
  sse__recap_drop(stream, member->channel);
  sse__unjoin(stream, member);
  if (member != last) {
    *member = *last;
    settle(stream, member);
  }
  set_members(stream, members, stream->members_count - 1);
}
