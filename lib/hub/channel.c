/* SPDX-License-Identifier: MIT */
/* channel.c: the channels of a hub by name, ghosts of dropped ones, and the occupancy callback. */
#include "hub/channel.h"

#include <string.h>

#include "hub/names.h"
#include "util/hash.h"
#include "util/utf8.h"

#define EVICT_MAX            512 /* frames of one channel that are evicted under one hold of the lock */
#define FEW_NAMES            16    /* lists up to this length are compared name by name */
#define EPHEMERAL_FRAMES_MAX 256   /* ephemeral frames that a channel keeps for busy streams, */
#define EPHEMERAL_AGE_MS_MAX 60000 /* for this time at most */
#define DROP_AGAIN_MS        1000 /* the time until a channel is dropped again that lacked memory for it */

struct sse__ghost {
  struct sse__map_node node;    /* in the map, by the hash of the channel's name */
  struct sse__link link;        /* in the list of ghosts, the one that was noted last at its end */
  struct sse__point evicted;    /* sse__window.evicted of the channel */
  struct sse__point state_lost; /* sse__window.state_lost of the channel */
  bool finished;                /* the channel was finished */
};

int sse__channels_init(struct sse__channels *channels) {
  int error = sse__map_init(&channels->map, channels->mem);
  if (error) return error;
  error = sse__map_init(&channels->ghosts, channels->mem);
  if (error) sse__map_free(&channels->map, channels->mem);
  return error;
}

int sse__channel_name_check(const char *name, size_t *len) {
  unsigned char seen = 0;
  size_t n = 0;
  for (; name[n] != '\0'; n++) {
    unsigned char c = (unsigned char)name[n];
    if (n == SSE_CHANNEL_NAME_BYTES_MAX || c < 0x20 || c == 0x7f) return SSE_ENAME;
    seen |= c;
  }
  if (n == 0 || (seen >= 0x80 && !sse__utf8_valid(name, n))) return SSE_ENAME;
  *len = n;
  return SSE_OK;
}

int sse__channel_names_differ(const struct sse__channels *channels, const char *const *names,
                              uint32_t count) {
  struct sse__names set;
  uint32_t i = 0;
  if (count <= FEW_NAMES) {
    for (; i < count; i++) {
      for (uint32_t j = 0; j < i; j++) {
        if (strcmp(names[i], names[j]) == 0) return SSE_EINVAL;
      }
    }
    return SSE_OK;
  }
  if (sse__names_init(&set, channels->mem, channels->hash_seed, count)) return SSE_ENOMEM;
  while (i < count && sse__names_add(&set, names[i])) i++;
  sse__names_free(&set, channels->mem);
  return i < count ? SSE_EINVAL : SSE_OK;
}

static bool has_name(const struct sse__map_node *node, const char *name, size_t len) {
  const struct sse__channel *channel = SSE__CONTAINER(node, struct sse__channel, node);
  return channel->name_len == len && memcmp(channel->name, name, len) == 0;
}

static struct sse__channel *find_channel(const struct sse__channels *channels, uint64_t hash,
                                         const char *name, size_t len) {
  struct sse__map_node *node = sse__map_lookup(&channels->map, hash, has_name, name, len);
  return node ? SSE__CONTAINER(node, struct sse__channel, node) : NULL;
}

struct sse__channel *sse__channels_find(const struct sse__channels *channels, const char *name,
                                        size_t len) {
  return find_channel(channels, sse__hash(channels->hash_seed, name, len), name, len);
}

/* ---- ghosts ---- */

static struct sse__ghost *find_ghost(const struct sse__channels *channels, uint64_t hash) {
  struct sse__map_node *node = sse__map_lookup(&channels->ghosts, hash, NULL, NULL, 0);
  return node ? SSE__CONTAINER(node, struct sse__ghost, node) : NULL;
}

static struct sse__ghost *oldest_ghost(const struct sse__channels *channels) {
  return SSE__LIST_FIRST(&channels->ghosts_noted, struct sse__ghost, link);
}

static void raise_floor(struct sse__channels *channels, struct sse__point evicted) {
  if (evicted.seq > channels->floor.seq) channels->floor = evicted;
}

static void free_oldest_ghost(struct sse__channels *channels) {
  struct sse__ghost *ghost = oldest_ghost(channels);
  sse__map_remove(&channels->ghosts, &ghost->node);
  sse__list_remove(&channels->ghosts_noted, &ghost->link);
  sse__mem_free(channels->mem, ghost);
}

/* Adds what is known of a dropped channel to what the ghost knows of an earlier one. */
static void ghost_note(struct sse__ghost *ghost, const struct sse__channel *channel) {
  const struct sse__window *window = &channel->window;
  if (window->evicted.seq > ghost->evicted.seq) ghost->evicted = window->evicted;
  ghost->finished = ghost->finished || channel->finished;
  if (window->state_lost.seq > ghost->state_lost.seq) ghost->state_lost = window->state_lost;
}

/*
 * What the floor cannot express: the channel is finished, or has lost state, or will lose what it
 * retains of one.
 */
static bool needs_ghost(const struct sse__channel *channel) {
  const struct sse__window *window = &channel->window;
  return channel->finished || window->state_lost.seq > 0 || (window->keys && window->frames > 0);
}

/* The ghost of a channel, made if there is none; NULL without memory. */
static struct sse__ghost *get_ghost(struct sse__channels *channels, uint64_t hash) {
  struct sse__ghost *ghost = find_ghost(channels, hash);
  if (ghost) {
    sse__list_remove(&channels->ghosts_noted, &ghost->link);
  } else {
    ghost = sse__mem_zero(channels->mem, sizeof *ghost);
    if (!ghost) return NULL;
    ghost->node.hash = hash;
    sse__map_add(&channels->ghosts, channels->mem, &ghost->node);
  }
  sse__list_append(&channels->ghosts_noted, &ghost->link);
  return ghost;
}

/*
 * Keeps in a ghost what is known of a channel that is dropped, whose window is empty. Without a
 * ghost the floor rises instead: then other channels may report a false gap.
 */
static void leave_ghost(struct sse__channels *channels, const struct sse__channel *channel,
                        struct sse__ghost *ghost) {
  if (!ghost) {
    raise_floor(channels, channel->window.evicted);
    return;
  }
  ghost_note(ghost, channel);
  while (channels->ghosts.count > channels->ghosts_max) { /* a drop in parts may be given up */
    raise_floor(channels, oldest_ghost(channels)->evicted);
    free_oldest_ghost(channels);
  }
}

bool sse__channels_was_finished(const struct sse__channels *channels, const char *name,
                                size_t len) {
  const struct sse__ghost *ghost = find_ghost(channels, sse__hash(channels->hash_seed, name, len));
  return ghost && ghost->finished;
}

/* Gives a new channel what its ghost knows. The ghost stays, because hashes may collide. */
static void inherit_ghost(const struct sse__channels *channels, struct sse__channel *channel) {
  const struct sse__ghost *ghost = find_ghost(channels, channel->node.hash);
  bool above = ghost && ghost->evicted.seq > channels->floor.seq;
  channel->window.evicted = above ? ghost->evicted : channels->floor;
  channel->window.state_lost = ghost ? ghost->state_lost : channels->state_floor;
  channel->finished = ghost && ghost->finished;
}

/* ---- life of a channel ---- */

static bool channel_unused(const struct sse__channel *channel) {
  return channel->streams == 0 && channel->requests == 0 && !channel->feeds.first &&
         !channel->occupancy_queued && !channel->occupancy_notifying;
}

/* Whether the channel is dropped after the idle time without use. */
static bool channel_expires(const struct sse__channel *channel) {
  return channel_unused(channel) && (channel->bounds.expire == SSE_YES || channel->finished);
}

/* When the oldest ephemeral frame is too old; SSE__NEVER_MS: there is none. */
static int64_t ephemeral_due_at(const struct sse__channel *channel) {
  if (channel->ephemeral->frames == 0) return SSE__NEVER_MS;
  int64_t age_ms = channel->bounds.window_age_ms_max;
  if (age_ms == SSE_NEVER || age_ms > EPHEMERAL_AGE_MS_MAX) age_ms = EPHEMERAL_AGE_MS_MAX;
  return sse__frame_born_ms(sse__window_oldest(channel->ephemeral)) + age_ms;
}

/* When the timer is due: the oldest frame expires, or the channel is dropped. */
static int64_t channel_due_at(const struct sse__channels *channels,
                              const struct sse__channel *channel) {
  int64_t due = SSE__NEVER_MS;
  if (channel->window.frames > 0) {
    due = sse__time_after(sse__frame_born_ms(sse__window_oldest(&channel->window)),
                          channel->bounds.window_age_ms_max);
  }
  if (channel->ephemeral) {
    int64_t ephemeral = ephemeral_due_at(channel);
    if (ephemeral < due) due = ephemeral;
  }
  if (channel_expires(channel)) {
    int64_t idle = sse__time_after(channel->used_ms, channels->idle_ms);
    if (idle < due) due = idle;
  }
  return due;
}

/* Moves the timer nearer only. One that fires too early finds nothing due and is set again. */
static void set_channel_timer(struct sse__channels *channels, struct sse__channel *channel) {
  int64_t due = channel_due_at(channels, channel);
  if (due < channel->timer.due_ms) sse__timers_set(channels->timers, &channel->timer, due);
}

/* A window has frames with keys or without, never both, so its first event fixes `conflate`. */
static int set_conflate(struct sse__channels *channels, struct sse__channel *channel, bool wanted) {
  struct sse__window *window = &channel->window;
  if (wanted == (window->keys != NULL)) return SSE_OK;
  if (window->last_ordinal > 0) return SSE_EBUSY;
  if (!wanted) {
    sse__key_index_free(window->keys, channels->mem);
    window->keys = NULL;
    return SSE_OK;
  }
  window->keys = sse__key_index_new(channels->mem, channels->hash_seed);
  return window->keys ? SSE_OK : SSE_ENOMEM;
}

/*
 * Spares a channel that had no event yet what the hub had not at its start, or a part of it: the
 * floor's point stays, with a lower number. What a ghost knows is no longer the floor.
 */
static int set_start(const struct sse__channels *channels, struct sse__channel *channel,
                     uint64_t start_after) {
  struct sse__window *window = &channel->window;
  uint64_t number = start_after == SSE_FROM_FIRST ? 0 : start_after;
  if (start_after == 0 || window->evicted.number == number) return SSE_OK;
  bool skipped = channels->history.skipped.seq > 0; /* then something is missing in any case */
  if (number > channels->history.start.number || (number == 0 && skipped)) return SSE_EINVAL;
  bool begun = window->last_ordinal > 0 || channel->streams > 0;
  if (begun || window->evicted.seq != channels->history.start.seq) return SSE_EBUSY;
  window->evicted.number = window->state_lost.number = number;
  if (number == 0) window->evicted.seq = window->state_lost.seq = 0;
  return SSE_OK;
}

static struct sse__channel *make_channel(struct sse__channels *channels, uint64_t hash,
                                         const char *name, size_t len) {
  if (sse__timers_reserve(channels->timers, channels->mem)) return NULL;
  struct sse__channel *channel = sse__mem_zero(channels->mem, sizeof *channel + len + 1);
  if (!channel) return NULL;
  memcpy(channel->name, name, len);
  channel->name_len = (uint8_t)len;
  channel->node.hash = hash;
  channel->number = ++channels->made;
  channel->bounds = channels->defaults;
  channel->window.history = &channels->history;
  inherit_ghost(channels, channel);
  channel->timer.kind = SSE__TIMER_CHANNEL;
  if (set_conflate(channels, channel, channel->bounds.conflate == SSE_YES)) {
    sse__mem_free(channels->mem, channel);
    return NULL;
  }
  sse__timers_add(channels->timers, &channel->timer, SSE__NEVER_MS);
  sse__map_add(&channels->map, channels->mem, &channel->node);
  return channel;
}

int sse__channels_get(struct sse__channels *channels, const char *name, size_t len, int64_t now_ms,
                      struct sse__channel **channel) {
  uint64_t hash = sse__hash(channels->hash_seed, name, len);
  *channel = find_channel(channels, hash, name, len);
  if (*channel) return SSE_OK;
  if (channels->map.count >= channels->max) return SSE_ECHANNELS;
  *channel = make_channel(channels, hash, name, len);
  if (!*channel) return SSE_ENOMEM;
  sse__channel_touch(channels, *channel, now_ms);
  return SSE_OK;
}

static void empty_window(struct sse__channels *channels, struct sse__window *window) {
  while (window->frames > 0) sse__store_evict(channels->store, sse__window_victim(window));
}

static void free_passing(struct sse__channels *channels, struct sse__channel *channel) {
  if (!channel->ephemeral) return;
  empty_window(channels, channel->ephemeral);
  sse__window_free(channel->ephemeral, channels->mem);
  sse__mem_free(channels->mem, channel->ephemeral);
}

static void free_channel(struct sse__channels *channels, struct sse__channel *channel) {
  empty_window(channels, &channel->window);
  free_passing(channels, channel);
  sse__map_remove(&channels->map, &channel->node);
  sse__timers_remove(channels->timers, &channel->timer);
  sse__window_free(&channel->window, channels->mem);
  sse__mem_free(channels->mem, channel->delivered.latency);
  sse__mem_free(channels->mem, channel);
}

/* Empties a window, or evicts a limited number of frames: then false. */
static bool empty_window_partly(struct sse__channels *channels, struct sse__window *window) {
  for (int i = 0; i < EVICT_MAX && window->frames > 0; i++)
    sse__store_evict(channels->store, sse__window_victim(window));
  return window->frames == 0;
}

/*
 * Frees a channel without streams; its frames count as evicted. Without memory for a ghost that it
 * needs, it stays as it is: SSE_ENOMEM. SSE_EAGAIN: it has more frames than one hold of the lock
 * evicts; the rest is left, and the ghost is there.
 */
static int drop_channel(struct sse__channels *channels, struct sse__channel *channel) {
  const struct sse__window *window = &channel->window;
  bool needed = needs_ghost(channel);
  struct sse__ghost *ghost = NULL;
  if (needed || window->frames > 0 || window->evicted.seq > channels->floor.seq) {
    ghost = get_ghost(channels, channel->node.hash);
  }
  if (needed && !ghost) return SSE_ENOMEM;
  if (!empty_window_partly(channels, &channel->window)) return SSE_EAGAIN;
  leave_ghost(channels, channel, ghost);
  free_channel(channels, channel);
  return SSE_OK;
}

void sse__channels_discard(struct sse__channels *channels, struct sse__channel *channel,
                           uint32_t made) {
  uint32_t age = channels->made - channel->number; /* right even if `made` has wrapped */
  bool is_new = age < channels->made - made;
  bool empty = channel->window.last_ordinal == 0 && !channel->configured;
  /* Its ghost, if it has one, knows all that it knew. */
  if (is_new && empty && channel_unused(channel)) free_channel(channels, channel);
}

int sse__channels_forget(struct sse__channels *channels, struct sse__channel *channel) {
  return channel_unused(channel) ? drop_channel(channels, channel) : SSE_EBUSY;
}

void sse__channels_free(struct sse__channels *channels) {
  struct sse__map_node *node;
  for (size_t i = 0; i <= channels->map.mask; i++) {
    while ((node = sse__map_chain(&channels->map, i))) {
      free_channel(channels, SSE__CONTAINER(node, struct sse__channel, node));
    }
  }
  while (channels->ghosts_noted.first) free_oldest_ghost(channels);
  sse__map_free(&channels->map, channels->mem);
  sse__map_free(&channels->ghosts, channels->mem);
}

/* ---- its window ---- */

void sse__channel_touch(struct sse__channels *channels, struct sse__channel *channel,
                        int64_t now_ms) {
  channel->used_ms = now_ms;
  set_channel_timer(channels, channel);
}

bool sse__channel_too_old(const struct sse__channel *channel, const struct sse__frame *frame,
                          int64_t now_ms) {
  return sse__time_after(sse__frame_born_ms(frame), channel->bounds.window_age_ms_max) <= now_ms;
}

bool sse__channel_evict_old(struct sse__channels *channels, struct sse__channel *channel,
                            int64_t now_ms) {
  struct sse__window *window = &channel->window;
  for (int i = 0; window->frames > 0; i++) {
    if (!sse__channel_too_old(channel, sse__window_oldest(window), now_ms)) return true;
    if (i == EVICT_MAX) return false;
    sse__store_evict(channels->store, sse__window_oldest(window));
  }
  return true;
}

/* Whether a window with `frames` more frames would exceed its limits, `room` being that on bytes. */
static bool exceeds(const struct sse__channel *channel, size_t frames, size_t room) {
  const struct sse__window *window = &channel->window;
  return window->frames + frames > channel->bounds.window_frames_max || window->bytes > room;
}

/* Evicts until one more frame of `bytes` is within the limits. */
static void cut_window(struct sse__channels *channels, struct sse__channel *channel, size_t bytes) {
  struct sse__window *window = &channel->window;
  size_t max = channel->bounds.window_bytes_max, room = bytes < max ? max - bytes : 0;
  while (window->frames > 0 && exceeds(channel, 1, room)) {
    sse__store_evict(channels->store, sse__window_victim(window));
  }
}

void sse__channel_expire_ephemeral(struct sse__channels *channels, struct sse__channel *channel,
                                   int64_t now_ms) {
  while (ephemeral_due_at(channel) <= now_ms) {
    sse__store_evict(channels->store, sse__window_oldest(channel->ephemeral));
  }
}

/* Evicts until the window is within its limits; false if one hold of the lock is not enough. */
static bool cut_part(struct sse__channels *channels, struct sse__channel *channel) {
  struct sse__window *window = &channel->window;
  /* One frame is kept, however long. */
  for (int i = 0; window->frames > 1 && exceeds(channel, 0, channel->bounds.window_bytes_max);
       i++) {
    if (i >= EVICT_MAX) return false;
    sse__store_evict(channels->store, sse__window_victim(window));
  }
  return true;
}

/* The same for ephemeral frames, of which one more of `bytes` bytes comes. */
static void cut_ephemeral(struct sse__channels *channels, struct sse__channel *channel,
                          size_t bytes) {
  struct sse__window *window = channel->ephemeral;
  size_t max = channel->bounds.window_bytes_max, room = bytes < max ? max - bytes : 0;
  while (window->frames > 0 && (window->frames == EPHEMERAL_FRAMES_MAX || window->bytes > room)) {
    sse__store_evict(channels->store, sse__window_oldest(window));
  }
}

/* The first frame of a window above a number. Frames of before a reset may still be there. */
static struct sse__point first_above(const struct sse__history *history,
                                     const struct sse__window *window, uint64_t number) {
  struct sse__stretch slots = sse__window_stretch(window);
  size_t old = sse__stretch_after(&slots, history->start.seq);
  slots.first += old;
  slots.count -= old;
  const struct sse__frame *frame = sse__stretch_first_above(&slots, number);
  return frame ? (struct sse__point){frame->seq, frame->number} : (struct sse__point){0, 0};
}

/* Lowers `reached` below a point that is above the number. */
static void reach(uint64_t *reached, const struct sse__history *history, struct sse__point at,
                  uint64_t number) {
  if (at.seq >= history->start.seq && at.number > number && at.seq <= *reached)
    *reached = at.seq - 1;
}

uint64_t sse__channel_reached(const struct sse__channel *channel, uint64_t number) {
  const struct sse__history *history = channel->window.history;
  uint64_t reached = UINT64_MAX;
  reach(&reached, history, channel->window.evicted, number);
  reach(&reached, history, history->skipped, number);
  reach(&reached, history, first_above(history, &channel->window, number), number);
  if (!channel->ephemeral || number == 0) return reached;
  reach(&reached, history, first_above(history, channel->ephemeral, number - 1), number - 1);
  return reached;
}

int sse__channel_bound(struct sse__channels *channels, struct sse__channel *channel,
                       const sse_channel_config *bounds, int64_t now_ms) {
  sse_channel_config resolved = channels->defaults;
  if (bounds->window_frames_max) resolved.window_frames_max = bounds->window_frames_max;
  if (bounds->window_bytes_max) resolved.window_bytes_max = bounds->window_bytes_max;
  if (bounds->window_age_ms_max) resolved.window_age_ms_max = bounds->window_age_ms_max;
  if (bounds->streams_max) resolved.streams_max = bounds->streams_max;
  if (bounds->conflate) resolved.conflate = bounds->conflate;
  resolved.expire = bounds->expire ? bounds->expire : SSE_NO;
  int error = set_conflate(channels, channel, resolved.conflate == SSE_YES);
  if (!error) error = set_start(channels, channel, bounds->start_after);
  if (error) return error;
  sse_channel_config before = channel->bounds;
  channel->bounds = resolved;
  if (!cut_part(channels, channel) || !sse__channel_expire(channels, channel, now_ms)) {
    channel->bounds = before; /* so that a publish meanwhile does not have to evict the rest */
    return SSE_EAGAIN;
  }
  channel->configured = true;
  sse__channel_touch(channels, channel, now_ms);
  return SSE_OK;
}

int sse__channel_reserve(const struct sse__channels *channels, struct sse__channel *channel,
                         bool ephemeral) {
  struct sse__window *window = &channel->window;
  if (ephemeral) {
    if (!channel->ephemeral) {
      channel->ephemeral = sse__mem_zero(channels->mem, sizeof *channel->ephemeral);
    }
    window = channel->ephemeral;
    if (!window) return SSE_ENOMEM;
  }
  size_t max = ephemeral ? EPHEMERAL_FRAMES_MAX : channel->bounds.window_frames_max;
  if (window->frames >= max && !window->keys) return SSE_OK; /* one is evicted before */
  return sse__window_reserve(window, channels->mem);
}

void sse__channel_make_room(struct sse__channels *channels, struct sse__channel *channel,
                            struct sse__frame *frame) {
  sse__channel_expire(channels, channel, sse__frame_born_ms(frame));
  if (frame->ephemeral) {
    cut_ephemeral(channels, channel, sse__frame_weight(frame));
    return;
  }
  if (channel->window.keys) {
    struct sse__frame *old = sse__key_index_find(channel->window.keys, frame);
    if (old) sse__store_supersede(channels->store, old);
  }
  cut_window(channels, channel, sse__frame_weight(frame));
}

void sse__channel_append(struct sse__channels *channels, struct sse__channel *channel,
                         struct sse__frame *frame) {
  frame->channel = channel->number;
  sse__store_append(channels->store, frame->ephemeral ? channel->ephemeral : &channel->window,
                    frame);
  channel->published_events++;
  channel->published_bytes += frame->len;
  sse__channel_touch(channels, channel, sse__frame_born_ms(frame));
}

void sse__channel_due(struct sse__channels *channels, struct sse__channel *channel,
                      int64_t now_ms) {
  bool idle =
      channel_expires(channel) && sse__time_after(channel->used_ms, channels->idle_ms) <= now_ms;
  int error = idle ? drop_channel(channels, channel) : SSE_OK;
  if (idle && error != SSE_ENOMEM) return; /* it is dropped, or the timer is still due */
  sse__channel_expire(channels, channel, now_ms);
  sse__timers_set(channels->timers, &channel->timer,
                  idle ? now_ms + DROP_AGAIN_MS : channel_due_at(channels, channel));
}

/* ---- occupancy ---- */

static bool occupancy_settled(const struct sse__channel *channel) {
  return channel->occupied == (channel->streams > 0);
}

void sse__occupancy_note(struct sse__occupancy *occupancy, struct sse__channel *channel) {
  if (!occupancy->fn || channel->occupancy_queued || occupancy_settled(channel)) return;
  channel->occupancy_queued = true;
  channel->occupancy_next = NULL;
  if (occupancy->last) {
    occupancy->last->occupancy_next = channel;
  } else {
    occupancy->first = channel;
  }
  occupancy->last = channel;
}

static struct sse__channel *next_queued(struct sse__occupancy *occupancy) {
  struct sse__channel *channel = occupancy->first;
  occupancy->first = channel->occupancy_next;
  if (!occupancy->first) occupancy->last = NULL;
  channel->occupancy_queued = false;
  return channel;
}

/* A channel that changes during the call is queued again, at the end. */
static void notify_occupancy(struct sse__occupancy *occupancy, struct sse__channel *channel,
                             pthread_mutex_t *lock) {
  channel->occupied = channel->streams > 0;
  channel->occupancy_notifying = true;
  bool present = channel->occupied;
  pthread_mutex_unlock(lock);
  occupancy->fn(occupancy->arg, channel->name, present);
  pthread_mutex_lock(lock);
  channel->occupancy_notifying = false;
}

/* The timer may have fired while the channel was queued and not dropped it: it is set again. */
void sse__occupancy_run(struct sse__occupancy *occupancy, struct sse__channels *channels,
                        pthread_mutex_t *lock, int64_t now_ms) {
  SSE__HELD_LOCK(lock);
  if (occupancy->running) return;
  occupancy->running = true;
  while (occupancy->first) {
    struct sse__channel *channel = next_queued(occupancy);
    if (!occupancy_settled(channel)) notify_occupancy(occupancy, channel, lock);
    sse__channel_touch(channels, channel, now_ms);
  }
  occupancy->running = false;
}
