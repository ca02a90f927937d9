/* SPDX-License-Identifier: MIT */
/* limits.c: what channels retain, and how many streams they may have, by patterns. */
#include "limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "channels.h"
#include "pattern.h"

struct limits {
  pthread_rwlock_t lock;
  struct limit_list list;
  int was_used; /* there were limits before these, which channels may still have */
};

/* ---- Reading ---- */

struct unit {
  const char *name;
  double factor;
};

/* A whole number above 0, with a unit: 0 or -1. */
static int read_amount(const char *text, const struct unit *units, double max, double *amount) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 15) return -1;
  for (const struct unit *unit = units; unit->name; unit++) {
    if (strcmp(text + digits, unit->name) != 0) continue;
    *amount = strtod(text, NULL) * unit->factor;
    return *amount >= 1 && *amount <= max ? 0 : -1;
  }
  return -1;
}

static const struct unit counts[] = {{"", 1}, {NULL, 0}};
static const struct unit sizes[] = {
    {"", 1}, {"K", 1024}, {"M", 1024.0 * 1024}, {"G", 1024.0 * 1024 * 1024}, {NULL, 0}};
static const struct unit times[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

static const struct {
  const char *name;
  const struct unit *units;
  double max;
  const char *wanted;
} amounts[] = {{"window", counts, 1e9, "a window is 1 to 1000000000 events"},
               {"bytes", sizes, 1e9, "bytes are a whole number, with K, M or G, below 1000000000"},
               {"age", times, INT32_MAX, "an age is a whole number with ms, s, m, h or d, to 24d"},
               {"streams", counts, 1e9, "streams are 1 to 1000000000"}};

static void store(sse_channel_config *config, char initial, double amount) {
  switch (initial) {
  case 'w':
    config->window_frames_max = (size_t)amount;
    break;
  case 'b':
    config->window_bytes_max = (size_t)amount;
    break;
  case 'a':
    config->window_age_ms_max = (int32_t)amount;
    break;
  default:
    config->streams_max = (uint32_t)amount;
  }
}

/* One setting, whose value is NULL if it has no equals sign. */
static const char *read_setting(sse_channel_config *config, const char *name, const char *value) {
  double amount;
  if (strcmp(name, "conflate") == 0 && !value) {
    config->conflate = SSE_YES;
    return NULL;
  }
  for (size_t i = 0; i < sizeof amounts / sizeof *amounts && value; i++) {
    if (strcmp(name, amounts[i].name) != 0) continue;
    if (read_amount(value, amounts[i].units, amounts[i].max, &amount) != 0)
      return amounts[i].wanted;
    store(config, *name, amount);
    return NULL;
  }
  return "a setting is window=N, bytes=N, age=TIME, streams=N or conflate";
}

/* Takes the pattern over, whatever it returns. */
static const char *add(struct limit_list *list, struct limit limit) {
  for (size_t i = 0; i < list->count; i++) {
    if (strcmp(list->items[i].pattern, limit.pattern) != 0) continue;
    free(limit.pattern);
    return "there is a limit for this already";
  }
  struct limit *bigger = realloc(list->items, (list->count + 1) * sizeof *bigger);
  if (!bigger) {
    free(limit.pattern);
    return "out of memory";
  }
  list->items = bigger;
  list->items[list->count++] = limit;
  return NULL;
}

const char *limit_add(struct limit_list *list, const char *text) {
  struct limit limit = {.pattern = strdup(text), .config = {.expire = SSE_YES}};
  if (!limit.pattern) return "out of memory";
  char *colon = strrchr(limit.pattern, ':'), *rest = NULL;
  const char *problem = NULL;
  if (!colon || colon == limit.pattern || colon[1] == '\0')
    problem = "a limit is PATTERN:SETTING,SETTING";
  else
    *colon = '\0';
  char *at = problem ? NULL : strtok_r(colon + 1, ",", &rest);
  for (; at && !problem; at = strtok_r(NULL, ",", &rest)) {
    char *equals = strchr(at, '=');
    if (equals) *equals = '\0';
    problem = read_setting(&limit.config, at, equals ? equals + 1 : NULL);
  }
  if (!problem) return add(list, limit);
  free(limit.pattern);
  return problem;
}

const char *limit_add_conflated(struct limit_list *list, const char *channel) {
  for (size_t i = 0; i < list->count; i++) {
    if (strcmp(list->items[i].pattern, channel) != 0) continue;
    list->items[i].config.conflate = SSE_YES;
    list->items[i].config.expire = SSE_NO;
    return NULL;
  }
  struct limit limit = {.pattern = strdup(channel),
                        .config = {.conflate = SSE_YES, .expire = SSE_NO}};
  return limit.pattern ? add(list, limit) : "out of memory";
}

void limit_list_free(struct limit_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->items[i].pattern);
  free(list->items);
  *list = (struct limit_list){.items = NULL};
}

/* ---- Those in force ---- */

struct limits *limits_new(void) {
  struct limits *limits = calloc(1, sizeof *limits);
  if (limits && pthread_rwlock_init(&limits->lock, NULL) != 0) {
    free(limits);
    return NULL;
  }
  return limits;
}

void limits_free(struct limits *limits) {
  if (!limits) return;
  limit_list_free(&limits->list);
  pthread_rwlock_destroy(&limits->lock);
  free(limits);
}

void limits_set(struct limits *limits, struct limit_list *list) {
  pthread_rwlock_wrlock(&limits->lock);
  struct limit_list old = limits->list;
  limits->list = *list;
  limits->was_used |= old.count > 0;
  pthread_rwlock_unlock(&limits->lock);
  *list = (struct limit_list){.items = NULL};
  limit_list_free(&old);
}

static const struct limit *find_limit(const struct limit_list *list, const char *channel) {
  const struct limit *best = NULL;
  int best_prefix = 0;
  for (size_t i = 0; i < list->count; i++) {
    const struct limit *limit = &list->items[i];
    int prefix = pattern_prefix(limit->pattern);
    if ((best && prefix > 0 && prefix <= best_prefix) || !pattern_covers(limit->pattern, channel))
      continue;
    if (prefix == 0) return limit;
    best = limit;
    best_prefix = prefix;
  }
  return best;
}

/* A channel that cannot be configured is used as it is; what uses it meets the same error. */
static void configure(sse_hub *hub, const char *channel, sse_channel_config config) {
  if (sse_hub_configure_channel(hub, channel, &config) != SSE_EBUSY) return;
  config.conflate = config.conflate == SSE_YES ? SSE_NO : SSE_YES;
  sse_hub_configure_channel(hub, channel, &config);
}

void limits_prepare(void *arg, sse_hub *hub, const char *const *channels) {
  static const sse_channel_config as_the_hub = {.expire = SSE_YES};
  struct limits *limits = arg;
  pthread_rwlock_rdlock(&limits->lock);
  int is_needed = limits->list.count > 0 || limits->was_used;
  for (; is_needed && *channels; channels++) {
    if (strcmp(*channels, CHANNEL_CONTROL) == 0) continue;
    const struct limit *limit = find_limit(&limits->list, *channels);
    if (limit || limits->was_used) configure(hub, *channels, limit ? limit->config : as_the_hub);
  }
  pthread_rwlock_unlock(&limits->lock);
}
