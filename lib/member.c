/* SPDX-License-Identifier: MIT */
/* member.c: who listens to a channel, and how a publish reaches them. */
#include "member.h"

#define FIRST_MEMBERS 4

/* ---- feeds ---- */

static struct sse__feed *find_feed(const struct sse__channel *channel,
                                   const struct sse__inbox *inbox) {
  struct sse__feed *feed = channel->feeds;
  while (feed && feed->inbox != inbox) feed = feed->next;
  return feed;
}

struct sse__feed *sse__feed_get(struct sse__channel *channel, struct sse__inbox *inbox,
                                const struct sse__mem *mem, uint64_t head) {
  struct sse__feed *feed = find_feed(channel, inbox);
  if (feed) return feed;
  feed = sse__mem_zero(mem, sizeof *feed);
  if (!feed) return NULL;
  feed->inbox = inbox;
  feed->channel = channel;
  feed->base = head;
  feed->finished = channel->finished;
  feed->next = channel->feeds;
  if (feed->next) feed->next->prev = feed;
  channel->feeds = feed;
  inbox->feeds++;
  return feed;
}

void sse__feed_free(struct sse__feed *feed, const struct sse__mem *mem) {
  if (feed->prev) {
    feed->prev->next = feed->next;
  } else {
    feed->channel->feeds = feed->next;
  }
  if (feed->next) feed->next->prev = feed->prev;
  feed->inbox->feeds--;
  sse__mem_free(mem, feed->delivered.latency);
  sse__mem_free(mem, feed->members);
  sse__mem_free(mem, feed);
}

void sse__feed_free_unused(struct sse__feed *feed, const struct sse__mem *mem) {
  if (feed->count == 0 && !feed->dirty && !feed->in_round) sse__feed_free(feed, mem);
}

static int reserve_member(struct sse__feed *feed, const struct sse__mem *mem) {
  if (feed->count < feed->cap) return SSE_OK;
  uint32_t cap = feed->cap ? feed->cap + feed->cap / 2 : FIRST_MEMBERS;
  struct sse__member **members = sse__mem_grow(mem, feed->members, cap, sizeof *members);
  if (!members) return SSE_ENOMEM;
  feed->members = members;
  feed->cap = cap;
  return SSE_OK;
}

int sse__member_join_feed(struct sse__member *member, struct sse__feed *feed,
                          const struct sse__mem *mem) {
  int error = reserve_member(feed, mem);
  if (error) return error;
  member->u.in.feed = feed;
  member->u.in.index = feed->count;
  feed->members[feed->count++] = member;
  feed->channel->streams++;
  return SSE_OK;
}

/*
 * The last member takes the free place. A round visits members from the last to the first, so one
 * that moves was visited already, and none is passed over.
 */
void sse__member_leave_feed(struct sse__member *member) {
  struct sse__feed *feed = member->u.in.feed;
  struct sse__member *last = feed->members[--feed->count];
  feed->members[member->u.in.index] = last;
  last->u.in.index = member->u.in.index;
  feed->channel->streams--;
}

/* ---- streams that stand alone ---- */

void sse__member_join_alone(struct sse__member *member) {
  member->channel->streams++;
}

void sse__member_leave_alone(struct sse__member *member) {
  member->channel->streams--;
}

void sse__member_arm(struct sse__member *member) {
  struct sse__member *next = member->channel->armed;
  member->u.alone.prev = NULL;
  member->u.alone.next = next;
  if (next) next->u.alone.prev = member;
  member->channel->armed = member;
}

void sse__member_disarm(struct sse__member *member) {
  struct sse__member *prev = member->u.alone.prev, *next = member->u.alone.next;
  if (prev) {
    prev->u.alone.next = next;
  } else {
    member->channel->armed = next;
  }
  if (next) next->u.alone.prev = prev;
}
