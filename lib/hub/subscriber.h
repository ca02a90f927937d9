/* SPDX-License-Identifier: MIT */
/* subscriber.h: the part of a stream that the hub and other threads reach, and ending it from
 * there. */
#ifndef SSE_LIB_SUBSCRIBER_H
#define SSE_LIB_SUBSCRIBER_H

#include "hub/liveness.h"
#include "hub/subscription.h"

/* What a stream that stands alone has in place of a loop; guarded by the hub's lock. */
struct sse__standalone {
  struct sse__waker waker;
  struct sse__subscription *subscriptions;
  uint32_t count;
  bool deaf;              /* publishes do not concern it: it waits for its turn to replay */
  pthread_cond_t arrived; /* signalled to a thread in sse_stream_wait */
};

struct sse__subscriber {
  struct sse__liveness live;
  union {
    struct sse__inbox *inbox; /* of its loop */
    struct sse__standalone *standalone;
  } u;
  bool standalone; /* it has no loop */
  bool behind; /* it replays, or waits for its turn to; the owner's, and of a stream with that part
                */
  bool
      heartbeat_due; /* due: a position if the id has fallen behind, else a heartbeat; guarded as live */

  /* Guarded by the hub's lock. */
  int16_t end;                        /* why another thread ended it; 0 */
  struct sse__subscriber *ended_next; /* of its inbox */
  struct sse__link pin;               /* in the hub's list of those that hold frames */
  size_t pinned_bytes;                /* memory of the frames that it holds */
};

/* All with the hub's lock held. */

/* Whether a stream that ends for this reason lets the client take what was lent, and says when to
 * come back. Any other end is at once. */
bool sse__end_is_gentle(int reason);
/* Whether a reason takes the place of the present one (0: none): the first one counts, but a stream
 * that ends gently may yet meet another. */
bool sse__end_replaces(int reason, int present);

/* Ends it, unless it is ended already: a loop finds it in its inbox, a lone stream is woken. */
void sse__subscriber_end(struct sse__subscriber *sub, int reason, struct sse__wake_list *list);

/* Takes it out of its inbox. */
void sse__subscriber_forget_end(struct sse__subscriber *sub);

/* `pins` is the list of the subscribers that hold frames, by when they began to. */

/* It holds so many bytes of frames more, or less. */
void sse__subscriber_pin(struct sse__list *pins, struct sse__subscriber *sub, size_t bytes);
void sse__subscriber_unpin(struct sse__list *pins, struct sse__subscriber *sub, size_t bytes);

/* Ends those that pin longest, until the rest is within the share of the store that pins may take.
 */
void sse__pins_bound(struct sse__list *pins, const struct sse__store *store,
                     struct sse__wake_list *list);

/*
 * Arms a lone stream, which waits from then on, or disarms it, since when there is something to
 * take. Both may be called twice.
 */
void sse__standalone_arm(struct sse__standalone *standalone);
void sse__standalone_disarm(struct sse__subscriber *sub, int64_t now_ms);

/* A frame was appended to a channel: marks every feed, and gathers the wakes. */
void sse__channel_notify(struct sse__channel *channel, int64_t now_ms, struct sse__wake_list *list);

/* The timer of a lone stream came: wakes it if something is due, if only its end, `close_reason`.
 */
void sse__standalone_due(struct sse__timers *timers, struct sse__subscriber *sub, int close_reason,
                         int64_t now_ms, struct sse__wake_list *list);

#endif
