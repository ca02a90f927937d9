/* SPDX-License-Identifier: MIT */
/* notice.h: reports to the streams of a channel that it has something new, in parts. */
#ifndef SSE_LIB_NOTICE_H
#define SSE_LIB_NOTICE_H

#include "hub/hub.h"

/*
 * An event of one or several channels, or the end of a channel, that streams must be woken for. Of
 * standalone streams there may be many. They are woken in parts, between which the hub's lock is
 * released: the armed ones of a channel are in the order in which they were armed, and a notice
 * concerns those that were armed before it. So all that a notice must keep meanwhile is its number:
 * streams may be armed again, leave and be woken by another notice, and a channel may be dropped.
 *
 * It lies on the stack of the thread that publishes. Guarded by the hub's lock.
 */
struct sse__notice {
  uint64_t given;  /* the number before that of the event, or the head */
  int64_t now_ms;  /* when it was published */
  uint64_t number; /* number of the notice; 0: no standalone stream waited for it so far */
  uint32_t left;   /* steps that this hold of the lock still may take */
  bool unfinished; /* standalone streams are left, and it is in the hub's list */
  struct sse__link link;
};

/* Makes a notice; `given` and `now_ms` are its members. */
static inline void sse__notice_init(struct sse__notice *notice, uint64_t given, int64_t now_ms) {
  notice->given = given;
  notice->now_ms = now_ms;
  notice->number = 0;
  notice->unfinished = false;
}

/* All functions below need the hub's lock. */

/*
 * Marks all feeds of a channel that has the hub's newest event, or that was finished, and posts the
 * wakes of loops and of standalone streams to the list, of the latter a limited number.
 */
void sse__notice_channel(struct sse_hub *hub, struct sse__notice *notice,
                         struct sse__channel *channel, struct sse__wake_list *list);
/*
 * Wakes the rest of the standalone streams of a notice that is unfinished; `names` are those of its
 * channels. Calls the wakes on the list, and releases the lock meanwhile.
 */
void sse__notice_finish(struct sse_hub *hub, struct sse__notice *notice, const char *const *names,
                        struct sse__wake_list *list);
/*
 * The number up to which the standalone streams have been given everything that are still to be
 * woken; UINT64_MAX: there are none. With a channel: those of the channel.
 */
uint64_t sse__notices_given(const struct sse__notices *notices, const struct sse__channel *channel);

#endif
