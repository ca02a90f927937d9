/* SPDX-License-Identifier: MIT */
/* publish.c: publishes one event to one or several channels, under one number. */
#include <string.h>

#include "hub/log.h"
#include "hub/notice.h"

/*
 * Everything that can fail comes before the first change: the event is encoded before the lock is
 * taken; then the channels are found or made, and memory is reserved. Until a share is appended,
 * `next_share` links it to the next one, and `window` is the window that it is for.
 */

static struct sse__channel *channel_of(const struct sse__frame *share) {
  return SSE__CONTAINER(share->window, struct sse__channel, window);
}

/* ---- before the lock ---- */

static int check_publish(const sse_hub *hub, const sse_event *ev) {
  if (ev->flags & SSE_RESET_ID) return SSE_EINVAL;
  if (!ev->text && !ev->data) return SSE_ENODATA;
  return ev->number == 0 || hub->numbers_given ? SSE_OK : SSE_EINVAL;
}

static void free_shares(const struct sse__mem *mem, struct sse__frame *shares) {
  for (struct sse__frame *next; shares; shares = next) {
    next = shares->next_share;
    sse__mem_free(mem, shares);
  }
}

static void free_all(const struct sse__mem *mem, struct sse__frame *frame,
                     struct sse__frame *shares) {
  if (shares != frame) free_shares(mem, shares);
  sse__mem_free(mem, frame);
}

/* Makes a share for each channel; for a single channel it is the frame. NULL without memory. */
static struct sse__frame *make_shares(const struct sse__mem *mem, struct sse__frame *frame,
                                      uint32_t count) {
  if (count == 1) return frame;
  struct sse__frame *shares = NULL;
  frame->kind = SSE__FRAME_BODY;
  for (uint32_t i = 0; i < count; i++) {
    struct sse__frame *share = sse__frame_share(mem, frame);
    if (!share) {
      free_shares(mem, shares);
      return NULL;
    }
    share->next_share = shares;
    shares = share;
  }
  return shares;
}

/* ---- with the lock held ---- */

/* An application's id that looks like one of the hub would be taken for one when it returns. */
static int check_own_id(const struct sse_hub *hub, const char *id, size_t len) {
  SSE__HELD(hub);
  struct sse__event_id parsed;
  char text[SSE_ID_BYTES_MAX + 1];
  memcpy(text, id, len);
  text[len] = '\0';
  if (sse__event_id_parse(text, &parsed) || sse__event_id_resembles(text, &hub->epoch))
    return SSE_EID;
  return sse__id_index_find(&hub->store.ids, id, len) ? SSE_EIDUSED : SSE_OK;
}

/*
 * The channel for a share. An ephemeral event is only for channels that have streams, or that
 * streams are about to subscribe to; others: NULL, or SSE_EFINISHED as for any event.
 */
static int target_channel(struct sse_hub *hub, const char *name, const struct sse__frame *frame,
                          int64_t now_ms, struct sse__channel **channel) {
  SSE__HELD(hub);
  size_t len = strlen(name);
  if (!frame->ephemeral) {
    return sse__channels_get(&hub->channels, name, len, now_ms, channel);
  }
  *channel = sse__channels_find(&hub->channels, name, len);
  if (*channel && (*channel)->streams + (*channel)->pending_joins > 0) return SSE_OK;
  bool finished =
      *channel ? (*channel)->finished : sse__channels_was_finished(&hub->channels, name, len);
  *channel = NULL;
  return finished ? SSE_EFINISHED : SSE_OK;
}

/* Gives each share its channel and reserves a slot there; frees shares without a channel. */
static int place_shares(struct sse_hub *hub, const char *const *names,
                        const struct sse__frame *frame, int64_t now_ms,
                        struct sse__frame **shares) {
  for (struct sse__frame **at = shares, *share; (share = *at); names++) {
    struct sse__channel *channel;
    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): there is a name for each share. */
    int error = target_channel(hub, *names, frame, now_ms, &channel);
    if (error) return error;
    if (!channel) {
      *at = share->next_share;
      if (share != frame) sse__mem_free(&hub->mem, share);
      continue;
    }
    share->window = &channel->window;
    at = &share->next_share;
    if (channel->finished) return SSE_EFINISHED;
    if (channel->window.keys && !frame->ephemeral && (!frame->key_at || frame->id_len > 0)) {
      return SSE_EKEY;
    }
    error = sse__channel_reserve(&hub->channels, channel, frame->ephemeral);
    if (error) return error;
  }
  return SSE_OK;
}

/* The memory of all shares and their body. */
static size_t size_of(const struct sse__frame *shares) {
  if (!shares) return 0;
  size_t size = shares->size;
  if (!shares->body) return size;
  size += shares->body->size;
  while ((shares = shares->next_share)) size += shares->size;
  return size;
}

static int reserve_publish(struct sse_hub *hub, const char *const *names,
                           const struct sse__frame *frame, int64_t now_ms,
                           struct sse__frame **shares, size_t *size) {
  SSE__HELD(hub);
  const char *id = frame->id_len > 0 ? sse__frame_id_text(frame) : NULL;
  uint32_t made = hub->channels.made;
  int error = hub->numbers_given ? sse__log_check(hub, frame) : SSE_OK;
  if (!error && id) error = check_own_id(hub, id, frame->id_len);
  if (!error && id) error = sse__id_index_reserve(&hub->store.ids);
  if (!error) error = place_shares(hub, names, frame, now_ms, shares);
  *size = size_of(*shares);
  if (!error && !sse__store_has_room(&hub->store, *size) &&
      !sse__store_can_fit(&hub->store, *size)) {
    error = SSE_EFULL;
  }
  if (!error) return SSE_OK;
  for (struct sse__frame *share = *shares; share && share->window; share = share->next_share) {
    sse__channels_discard(&hub->channels, channel_of(share), made);
  }
  return error;
}

/*
 * Numbers the event and appends it under one hold of the lock, so that 6 never reaches a client
 * before 5. Room is made in each channel first, then in the hub for all shares together. On success
 * the hub owns the frames, and `frame` and `shares` are NULL. `size` is set to their memory.
 */
static int publish_shares(struct sse_hub *hub, const char *const *names, struct sse__frame **frame,
                          struct sse__frame **shares, size_t *size, struct sse__notice *notice,
                          struct sse__wake_list *list) {
  int64_t now_ns = sse__hub_now_ns(hub), now_ms = now_ns / SSE__NS_PER_MS;
  sse__notice_init(notice, hub->head.seq, now_ms);
  int error = reserve_publish(hub, names, *frame, now_ms, shares, size);
  if (error || !*shares) return error;
  (*frame)->born_ns = now_ns;
  if (hub->numbers_given) sse__log_reach(hub, *frame, now_ms, list);
  sse__frame_number(*frame, &hub->epoch, ++hub->head.seq);
  hub->counters.published_events++;
  hub->counters.published_bytes += (*frame)->len;
  for (struct sse__frame *share = *shares; share; share = share->next_share) {
    if (share->body) sse__frame_show(share);
    sse__channel_make_room(&hub->channels, channel_of(share), share);
  }
  if (!sse__store_has_room(&hub->store, *size)) sse__store_make_room(&hub->store, *size);
  if ((*frame)->id_len > 0) sse__id_index_add(&hub->store.ids, *frame);
  for (struct sse__frame *share = *shares, *next; share; share = next) {
    struct sse__channel *channel = channel_of(share);
    next = share->next_share;
    sse__channel_append(&hub->channels, channel, share);
    if (channel->feeds.first || channel->armed.first)
      sse__notice_channel(hub, notice, channel, list);
  }
  if ((*frame)->kind == SSE__FRAME_BODY) (*frame)->refs--; /* each share has a reference to it */
  *frame = *shares = NULL;
  return SSE_OK;
}

/* The id of the event that was just published, or that of the head. */
static void write_id(const struct sse_hub *hub, const sse_event *ev, char *id) {
  SSE__HELD(hub);
  size_t len = 0;
  if (ev && ev->id) {
    len = strnlen(ev->id, SSE_ID_BYTES_MAX);
    memcpy(id, ev->id, len);
  } else if (!ev || !(ev->flags & SSE_EPHEMERAL)) {
    len = sse__event_id_write(id, &hub->epoch, sse__hub_head(hub).number);
  }
  id[len] = '\0';
}

/* ---- the calls ---- */

/* `id` receives the event's id; NULL: it is not wanted. */
static int publish(sse_hub *hub, const char *const *channels, const sse_event *ev, char *id) {
  struct sse__frame *frame;
  struct sse__wake_list list = {NULL};
  struct sse__notice notice;
  uint32_t count;
  if (!hub || !channels || !ev) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = check_publish(hub, ev);
  if (!error)
    error = sse__channel_names_check(&hub->channels, channels, SSE_PUBLISH_CHANNELS_MAX, &count);
  if (!error) error = sse__frame_encode(&frame, &hub->mem, ev, hub->event_bytes_max);
  if (error) return error;
  struct sse__frame *shares = make_shares(&hub->mem, frame, count);
  if (!shares) {
    sse__mem_free(&hub->mem, frame);
    return SSE_ENOMEM;
  }
  size_t size;
  pthread_mutex_lock(&hub->lock);
  error = publish_shares(hub, channels, &frame, &shares, &size, &notice, &list);
  if (error == SSE_EFULL) {
    hub->counters.full++;
    sse__pins_bound_full(&hub->pins, &hub->store, size, sse__hub_now(hub), &list);
  } else if (!error && (id || hub->pins.bytes > 0)) {
    if (id) write_id(hub, ev, id);
    sse__pins_bound(&hub->pins, &hub->store, size, sse__hub_now(hub), &list);
  }
  if (hub->wakers.failed.first) sse__wakers_retry(&hub->wakers, &list);
  if (notice.unfinished) sse__notice_finish(hub, &notice, channels, &list);
  sse__wakers_run(&hub->wakers, &list);
  if (frame) free_all(&hub->mem, frame, shares);
  return error;
}

int sse_hub_publish_to(sse_hub *hub, const char *const *channels, const sse_event *ev) {
  return publish(hub, channels, ev, NULL);
}

int sse_hub_publish_id(sse_hub *hub, const char *const *channels, const sse_event *ev, char *id,
                       size_t cap) {
  return id && cap > SSE_ID_BYTES_MAX ? publish(hub, channels, ev, id) : SSE_EINVAL;
}

int sse_hub_position(sse_hub *hub, char *id, size_t cap) {
  if (!hub || !id || cap <= SSE_ID_BYTES_MAX) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  pthread_mutex_lock(&hub->lock);
  write_id(hub, NULL, id);
  pthread_mutex_unlock(&hub->lock);
  return SSE_OK;
}

int sse_hub_publish(sse_hub *hub, const char *channel, const sse_event *ev) {
  const char *const one[] = {channel, NULL};
  return channel ? publish(hub, one, ev, NULL) : SSE_EINVAL;
}

int sse_hub_publish_text(sse_hub *hub, const char *channel, const char *type, const char *text) {
  const sse_event event = {.type = type, .text = text};
  return sse_hub_publish(hub, channel, &event);
}
