/* SPDX-License-Identifier: MIT */
/* hub.c: a hub's configuration, its life, its channels and its timers. */
#include "hub/hub.h"

#include <string.h>

#include "hub/frame.h"
#include "util/os.h"
#include "wire/format.h"

#define TIMERS_A_RUN  256  /* timers that run under one hold of the lock */
#define EVICTED_A_RUN 512  /* no further one runs after one that evicted this many frames */
#define PART_MAX      512  /* default of sse_hub.part_max */
#define TICK_MS_MAX   1000 /* a stream opened after a tick may have an earlier timer */

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

#define DEFAULT_RETRY_MS 2000

#define DEFAULT(member, value)                                                                     \
  do {                                                                                             \
    if (!(member)) (member) = (value);                                                             \
  } while (0)

static const char heartbeat_bytes[] = ":\n";

int64_t sse__hub_now(const struct sse_hub *hub) {
  return sse__hub_now_ns(hub) / SSE__NS_PER_MS;
}

int64_t sse__hub_now_ns(const struct sse_hub *hub) {
  return hub->clock(hub->clock_arg);
}

/* splitmix64 (Steele, Lea, Flood 2014): good enough to spread times, not for secrets. */
uint32_t sse__random(uint64_t *state, uint32_t range) {
  uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  z ^= z >> 31;
  return range ? (uint32_t)(z % range) : 0;
}

int64_t sse__drain_time(uint64_t *random, int64_t now_ms, int64_t until_ms) {
  if (until_ms <= now_ms) return now_ms;
  return now_ms + (int64_t)sse__random(random, (uint32_t)(until_ms - now_ms) + 1);
}

uint32_t sse__hub_random(struct sse_hub *hub, uint32_t range) {
  SSE__HELD(hub);
  return sse__random(&hub->random, range);
}

int32_t sse__retry_spread(sse_hub *hub, int32_t retry_ms) {
  SSE__HELD(hub);
  if (retry_ms == SSE_NEVER) return SSE_NEVER;
  int64_t spread = retry_ms + (int64_t)sse__hub_random(hub, (uint32_t)retry_ms / 2);
  return spread > SSE_RETRY_MS_MAX ? SSE_RETRY_MS_MAX : (int32_t)spread;
}

int sse__hub_close_reason(const struct sse_hub *hub) {
  SSE__HELD(hub);
  return hub->draining ? SSE_EDRAINED : SSE_EAGED;
}

/* ---- configuration ---- */

int sse__detail(const char **detail, int error, const char *cause) {
  if (detail) *detail = error ? (cause ? cause : sse_error_text(error)) : NULL;
  return error;
}

bool sse__choice_valid(sse_choice choice) {
  return choice == SSE_DEFAULT || choice == SSE_YES || choice == SSE_NO;
}

/* In a hub's configuration it is the member `channel`. */
const char *sse__channel_config_problem(const sse_channel_config *config) {
  for (size_t i = 0; i < sizeof config->reserved / sizeof *config->reserved; i++) {
    if (config->reserved[i]) return "a reserved member of channel is not 0";
  }
  if (!sse__time_valid(config->window_age_ms_max)) {
    return "channel.window_age_ms_max is below SSE_NEVER";
  }
  if (!sse__choice_valid(config->conflate)) return "channel.conflate is not one of sse_choice";
  return sse__choice_valid(config->expire) ? NULL : "channel.expire is not one of sse_choice";
}

static void fill_limits(sse_hub_config *c) {
  DEFAULT(c->memory_bytes_max, 64 * MIB);
  DEFAULT(c->event_bytes_max,
          c->memory_bytes_max / 8 < 256 * KIB ? c->memory_bytes_max / 8 : 256 * KIB);
  DEFAULT(c->channels_max, 65536);
  DEFAULT(c->streams_max, 1048576);
  DEFAULT(c->stream_channels_max, 256);
  DEFAULT(c->ghosts_max, 65536);
  DEFAULT(c->tag_streams_max, UINT32_MAX);
  DEFAULT(c->channel.streams_max, UINT32_MAX);
  DEFAULT(c->channel.window_frames_max, 1024);
  DEFAULT(c->channel.window_bytes_max, 4 * MIB);
  DEFAULT(c->channel.window_age_ms_max, SSE_NEVER);
  DEFAULT(c->channel.conflate, SSE_NO);
  DEFAULT(c->channel.expire, SSE_YES);
}

static void fill_times(sse_hub_config *c) {
  DEFAULT(c->channel_idle_ms, 300000);
  DEFAULT(c->heartbeat_ms, 15000);
  DEFAULT(c->stall_ms, 60000);
  DEFAULT(c->age_ms_max, SSE_NEVER);
  DEFAULT(c->retry_ms, DEFAULT_RETRY_MS);
}

static void fill_callbacks(sse_hub_config *c) {
  DEFAULT(c->gap_type, "gap");
  DEFAULT(c->position_type, "sse-position");
  DEFAULT(c->clock, sse__os_clock);
  DEFAULT(c->random, sse__os_random);
}

/* A limit that is switched off is the highest that the hub can keep. */
static void bound_limits(sse_hub_config *c) {
  if (c->stream_channels_max == UINT32_MAX) c->stream_channels_max = UINT16_MAX;
  if (c->event_bytes_max == SIZE_MAX) {
    size_t eighth = c->memory_bytes_max / 8;
    c->event_bytes_max = eighth < SSE__FRAME_BYTES_MAX ? eighth : SSE__FRAME_BYTES_MAX;
  }
}

/* What is wrong with what a log of events needs, as a sentence; NULL: nothing. */
static const char *hub_numbers_problem(const sse_hub_config *c) {
  if (c->numbers != SSE_NUMBERS_OWN && c->numbers != SSE_NUMBERS_GIVEN) {
    return "numbers is not one of sse_numbers";
  }
  if (c->channel.start_after > 0)
    return "channel.start_after is not for the configuration of a hub";
  if (c->numbers == SSE_NUMBERS_GIVEN && !c->epoch) return "numbers that are given need an epoch";
  if (c->numbers == SSE_NUMBERS_OWN && c->start_after > 0) {
    return "start_after needs SSE_NUMBERS_GIVEN";
  }
  if (c->start_after == SSE_FROM_FIRST) {
    return "start_after is a number; SSE_FROM_FIRST is for a channel";
  }
  return NULL;
}

static const char *hub_times_problem(const sse_hub_config *c) {
  if (!sse__time_valid(c->channel_idle_ms)) return "channel_idle_ms is below SSE_NEVER";
  if (!sse__time_valid(c->heartbeat_ms)) return "heartbeat_ms is below SSE_NEVER";
  if (!sse__time_valid(c->stall_ms)) return "stall_ms is below SSE_NEVER";
  if (!sse__time_valid(c->age_ms_max)) return "age_ms_max is below SSE_NEVER";
  return sse__time_valid(c->retry_ms) ? NULL : "retry_ms is below SSE_NEVER";
}

/* What is wrong with a configuration, as a sentence; NULL: nothing. */
static const char *hub_config_problem(const sse_hub_config *c) {
  struct sse__epoch epoch;
  if (c->epoch && !sse__epoch_parse(c->epoch, &epoch)) {
    return "epoch is not 1 to 11 of A-Z, a-z, 0-9, _ and -";
  }
  if (sse__format_check_type(c->gap_type)) return "gap_type is not an event type";
  if (sse__format_check_type(c->position_type)) return "position_type is not an event type";
  if (c->event_bytes_max > c->memory_bytes_max / 8) {
    return "event_bytes_max is above an eighth of memory_bytes_max";
  }
  if (c->event_bytes_max > SSE__FRAME_BYTES_MAX) return "event_bytes_max is above 1 GiB";
  if (c->stream_channels_max > UINT16_MAX) return "stream_channels_max is above 65,535";
  if (c->finished_type && sse__format_check_type(c->finished_type)) {
    return "finished_type is not an event type";
  }
  if (!SSE__RESERVED_UNUSED(c) || c->reserved_int) return "a reserved member is not NULL";
  const char *problem = sse__channel_config_problem(&c->channel);
  if (!problem) problem = hub_numbers_problem(c);
  return problem ? problem : hub_times_problem(c);
}

int sse__hub_config_resolve(sse_hub_config *resolved, const sse_hub_config *config) {
  static const sse_hub_config defaults;
  *resolved = config ? *config : defaults;
  fill_limits(resolved);
  bound_limits(resolved);
  fill_times(resolved);
  fill_callbacks(resolved);
  const char *problem = hub_config_problem(resolved);
  return sse__detail(resolved->error_detail, problem ? SSE_EINVAL : SSE_OK, problem);
}

/* ---- life ---- */

static int copy_string(const struct sse__mem *mem, char **to, const char *from) {
  size_t size = strlen(from) + 1;
  *to = sse__mem_new(mem, size);
  if (!*to) return SSE_ENOMEM;
  memcpy(*to, from, size);
  return SSE_OK;
}

/* Allocates the parts of a hub; after a failure free_parts frees those that are there. */
static int make_parts(struct sse_hub *hub, const sse_hub_config *config) {
  int error = copy_string(&hub->mem, &hub->gap_type, config->gap_type);
  if (!error) error = copy_string(&hub->mem, &hub->position_type, config->position_type);
  if (!error && config->finished_type)
    error = copy_string(&hub->mem, &hub->finished_type, config->finished_type);
  if (error) return error;
  hub->heartbeat = sse__frame_new(&hub->mem, SSE__FRAME_SHARED, sizeof heartbeat_bytes);
  if (!hub->heartbeat) return SSE_ENOMEM;
  hub->heartbeat->len = sizeof heartbeat_bytes - 1;
  memcpy(hub->heartbeat->bytes, heartbeat_bytes, sizeof heartbeat_bytes);
  sse__frame_chunk(hub->heartbeat);
  hub->last_chunk = sse__frame_new(&hub->mem, SSE__FRAME_LAST, 0);
  if (!hub->last_chunk) return SSE_ENOMEM;
  sse__frame_chunk(hub->last_chunk);
  if (hub->admission.max > 0) {
    if (sse__timers_reserve(&hub->timers, &hub->mem)) return SSE_ENOMEM;
    sse__timers_add(&hub->timers, &hub->admission.timer, SSE__NEVER_MS);
  }
  error = sse__tags_init(&hub->tags, &hub->mem);
  return error ? error : sse__channels_init(&hub->channels);
}

static void free_parts(struct sse_hub *hub) {
  struct sse__mem mem = hub->mem;
  sse__mem_free(&mem, hub->spare);
  sse__tags_free(&hub->tags, &mem);
  sse__timers_free(&hub->timers, &mem);
  sse__mem_free(&mem, hub->heartbeat);
  sse__mem_free(&mem, hub->last_chunk);
  sse__timers_free(&hub->ahead, &mem);
  sse__mem_free(&mem, hub->finished_type);
  sse__mem_free(&mem, hub->position_type);
  sse__mem_free(&mem, hub->gap_type);
  sse__mem_free(&mem, hub);
}

static int make_locks(struct sse_hub *hub) {
  if (pthread_mutex_init(&hub->lock, NULL)) return SSE_ENOMEM;
  if (sse__os_cond_init(&hub->wakers.idle)) {
    pthread_mutex_destroy(&hub->lock);
    return SSE_ENOMEM;
  }
  hub->wakers.lock = &hub->lock;
  return SSE_OK;
}

static void destroy_locks(struct sse_hub *hub) {
  pthread_cond_destroy(&hub->wakers.idle);
  pthread_mutex_destroy(&hub->lock);
}

/* Draws all random bits of a hub at once. */
static int draw_random(struct sse_hub *hub, const sse_hub_config *config) {
  uint64_t bits[4];
  if (config->random(config->random_arg, bits, sizeof bits)) return SSE_ERANDOM;
  hub->channels.hash_seed[0] = hub->tags.hash_seed[0] = hub->store.ids.hash_seed[0] = bits[0];
  hub->channels.hash_seed[1] = hub->tags.hash_seed[1] = hub->store.ids.hash_seed[1] = bits[1];
  hub->random = bits[2];
  hub->epoch = sse__epoch_from(bits[3]);
  if (config->epoch) sse__epoch_parse(config->epoch, &hub->epoch);
  return SSE_OK;
}

void sse__hub_begin(struct sse_hub *hub, uint64_t number) {
  hub->head.number = number;
  if (number > 0) hub->head.seq++;
  hub->channels.history.start = hub->channels.floor = hub->head;
  hub->channels.state_floor = number > 0 ? hub->head : (struct sse__point){0, 0};
}

static void hub_set_limits(struct sse_hub *hub, const sse_hub_config *config) {
  hub->part_max = PART_MAX;
  hub->clock = config->clock;
  hub->clock_arg = config->clock_arg;
  hub->event_bytes_max = config->event_bytes_max;
  hub->streams_max = config->streams_max;
  hub->stream_channels_max = config->stream_channels_max;
  hub->tag_streams_max = config->tag_streams_max;
  hub->admission.max = config->concurrent_replays_max;
  hub->admission.timers = &hub->timers;
  hub->admission.timer.kind = SSE__TIMER_ADMISSION;
  hub->heartbeat_ms = config->heartbeat_ms;
  hub->stall_ms = config->stall_ms;
  hub->age_ms_max = config->age_ms_max;
  hub->retry_ms = config->retry_ms;
  hub->numbers_given = config->numbers == SSE_NUMBERS_GIVEN;
  hub->occupancy.fn = config->occupancy;
  hub->occupancy.arg = config->occupancy_arg;
  hub->store.mem = hub->store.ids.mem = &hub->mem;
  hub->store.bytes_max = config->memory_bytes_max;
  hub->channels.mem = &hub->mem;
  hub->channels.store = &hub->store;
  hub->channels.timers = &hub->timers;
  hub->channels.defaults = config->channel;
  hub->channels.max = config->channels_max;
  hub->channels.ghosts_max = config->ghosts_max;
  hub->channels.idle_ms = config->channel_idle_ms;
  if (config->start_after > 0) sse__hub_begin(hub, config->start_after);
}

/* In a child: the lock is as another thread left it, so nothing but this member is touched. */
static void hub_forked(struct sse__fork_watch *watch) {
  SSE__CONTAINER(watch, struct sse_hub, watch)->forked = true;
}

static int new_hub(sse_hub **hub, const sse_hub_config *config) {
  sse_hub_config resolved;
  int error = sse__hub_config_resolve(&resolved, config);
  if (error) return error;
  struct sse__mem mem = sse__mem(resolved.alloc, resolved.alloc_arg);
  struct sse_hub *h = sse__mem_zero(&mem, sizeof *h);
  if (!h) return SSE_ENOMEM;
  h->mem = mem;
  hub_set_limits(h, &resolved);
  error = draw_random(h, &resolved);
  if (!error) error = make_parts(h, &resolved);
  if (error) {
    free_parts(h);
    return error;
  }
  error = make_locks(h);
  bool locked = !error;
  if (locked && sse__fork_watch(&h->watch, hub_forked)) error = SSE_ENOMEM;
  if (error) {
    if (locked) destroy_locks(h);
    sse__channels_free(&h->channels);
    free_parts(h);
    return error;
  }
  *hub = h;
  return SSE_OK;
}

int sse_hub_new(sse_hub **hub, const sse_hub_config *config) {
  const char **detail = config ? config->error_detail : NULL;
  if (!hub) return sse__detail(detail, SSE_EINVAL, "hub is NULL");
  int error = new_hub(hub, config);
  return error == SSE_EINVAL ? error : sse__detail(detail, error, NULL);
}

int sse_hub_free(sse_hub *hub) {
  if (!hub) return SSE_OK;
  if (hub->forked) return SSE_EFORK;
  pthread_mutex_lock(&hub->lock);
  bool busy = hub->streams > 0 || hub->loops > 0;
  pthread_mutex_unlock(&hub->lock);
  if (busy) return SSE_EBUSY;
  sse__fork_unwatch(&hub->watch);
  destroy_locks(hub);
  sse__channels_free(&hub->channels);
  sse__id_index_free(&hub->store.ids);
  free_parts(hub);
  return SSE_OK;
}

/* ---- channels ---- */

int sse_hub_configure_channel(sse_hub *hub, const char *channel, const sse_channel_config *config) {
  static const sse_channel_config defaults;
  struct sse__channel *ch = NULL;
  size_t len;
  if (!config) config = &defaults;
  if (!hub || !channel || sse__channel_config_problem(config)) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  int error = sse__channel_name_check(channel, &len);
  if (error) return error;
  do {
    pthread_mutex_lock(&hub->lock);
    int64_t now_ms = sse__hub_now(hub);
    uint32_t made = hub->channels.made;
    error = sse__channels_get(&hub->channels, channel, len, now_ms, &ch);
    if (!error) error = sse__channel_bound(&hub->channels, ch, config, now_ms);
    if (error && ch) sse__channels_discard(&hub->channels, ch, made);
    pthread_mutex_unlock(&hub->lock);
  } while (error == SSE_EAGAIN);
  return error;
}

size_t sse_hub_count(sse_hub *hub, const char *channel) {
  size_t count = 0, len;
  if (!hub || hub->forked) return 0;
  if (channel && sse__channel_name_check(channel, &len)) return 0;
  pthread_mutex_lock(&hub->lock);
  if (channel) {
    const struct sse__channel *ch = sse__channels_find(&hub->channels, channel, len);
    if (ch) count = ch->streams;
  } else {
    count = hub->streams;
  }
  pthread_mutex_unlock(&hub->lock);
  return count;
}

/* ---- work in parts ---- */

void sse__hub_give_way(struct sse_hub *hub) {
  pthread_mutex_unlock(&hub->lock);
  pthread_mutex_lock(&hub->lock);
}

void sse__hub_pause(struct sse_hub *hub, struct sse__wake_list *list) {
  SSE__HELD(hub);
  if (list->first) {
    sse__wakers_call(&hub->wakers, list);
  } else {
    sse__hub_give_way(hub);
  }
}

void sse__hub_visit_standalones(struct sse_hub *hub, sse__visit_fn *visit, int64_t now_ms,
                                struct sse__wake_list *list) {
  SSE__HELD(hub);
  struct sse__walk walk;
  struct sse__subscriber *sub;
  sse__standalones_walk(&hub->standalones, &walk);
  for (uint32_t steps = 1; (sub = sse__standalones_walk_next(&hub->standalones, &walk)); steps++) {
    visit(hub, sub, now_ms, list);
    if (steps % hub->part_max == 0) sse__hub_pause(hub, list);
  }
}

/* ---- occupancy ---- */

/* The function never changes, so it is read without the lock. */
void sse__hub_notify_occupancy(struct sse_hub *hub) {
  if (!hub->occupancy.fn) return;
  pthread_mutex_lock(&hub->lock);
  sse__occupancy_run(&hub->occupancy, &hub->channels, &hub->lock, sse__hub_now(hub));
  pthread_mutex_unlock(&hub->lock);
}

int32_t sse_hub_retry_ms(sse_hub *hub) {
  if (!hub) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  pthread_mutex_lock(&hub->lock);
  int32_t retry_ms = hub->retry_ms == SSE_NEVER ? DEFAULT_RETRY_MS : hub->retry_ms;
  retry_ms = sse__retry_spread(hub, retry_ms);
  pthread_mutex_unlock(&hub->lock);
  return retry_ms;
}

/* ---- timers ---- */

void sse__hub_run_timers(struct sse_hub *hub, int64_t now_ms, struct sse__wake_list *list) {
  SSE__HELD(hub);
  uint64_t evicted = hub->store.evicted;
  for (int i = 0; i < TIMERS_A_RUN && sse__timers_due(&hub->timers) <= now_ms; i++) {
    if (hub->store.evicted - evicted >= EVICTED_A_RUN) break;
    struct sse__timer *timer = sse__timers_first(&hub->timers);
    if (timer->kind == SSE__TIMER_CHANNEL) {
      sse__channel_due(&hub->channels, SSE__CONTAINER(timer, struct sse__channel, timer), now_ms);
    } else if (timer->kind == SSE__TIMER_ADMISSION) {
      sse__admission_due(&hub->admission, now_ms, list);
    } else {
      sse__standalone_due(&hub->timers, SSE__CONTAINER(timer, struct sse__subscriber, live.timer),
                          sse__hub_close_reason(hub), now_ms, list);
    }
  }
}

/* The lock is taken again so that the result covers wakes that failed in this call. */
int32_t sse_hub_tick(sse_hub *hub) {
  struct sse__wake_list list = {NULL};
  if (!hub) return SSE_EINVAL;
  if (hub->forked) return SSE_EFORK;
  pthread_mutex_lock(&hub->lock);
  int64_t now_ms = sse__hub_now(hub);
  sse__hub_run_timers(hub, now_ms, &list);
  sse__wakers_retry(&hub->wakers, &list);
  sse__wakers_run(&hub->wakers, &list);
  pthread_mutex_lock(&hub->lock);
  int sleep_ms = sse__timers_sleep(sse__timers_due(&hub->timers), now_ms);
  sleep_ms = sse__wakers_sleep(&hub->wakers, sleep_ms);
  pthread_mutex_unlock(&hub->lock);
  return sleep_ms < 0 || sleep_ms > TICK_MS_MAX ? TICK_MS_MAX : sleep_ms;
}
