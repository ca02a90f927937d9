/* SPDX-License-Identifier: MIT */
/* farm.c: weather, turbines, and the thread that publishes their readings. */
#include "farm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pace.h"

const char *const farm_sites[FARM_SITES] = {"north", "south", "east"};
const char farm_notices[] = "notices";

enum {
  TEXT_MAX = 128,
  PER_SITE = FARM_TURBINES / FARM_SITES,
  RATED_KW = 3000,
  LATE_MAX_NS = 1000000000,
  SERVICE_STEP = 5 /* no divisor in common with FARM_TURBINES, so that each has its turn */
};

struct turbine {
  char name[8]; /* N1: the key of its readings */
  const char *site;
  double usual_wind, wind; /* m/s */
  uint64_t readings;
  int out; /* for service */
};

struct farm {
  sse_hub *hub;
  struct farm_config config;
  struct turbine turbines[FARM_TURBINES];
  uint64_t random;
  size_t next_to_report, next_to_service;
  pthread_t thread;
  int stop[2]; /* a pipe whose write end is closed to stop it */
};

/* ---- Weather ---- */

/* Between -1 and 1; xorshift64* by Vigna, whose state is never 0. */
static double random_between(struct farm *farm) {
  uint64_t x = farm->random;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  farm->random = x;
  return (double)((x * 0x2545f4914f6cdd1du) >> 11) / (double)(UINT64_C(1) << 52) - 1;
}

/* Gusts: a step at random, and a pull back to what is usual there. */
static void blow(struct farm *farm, struct turbine *turbine) {
  turbine->wind += (turbine->usual_wind - turbine->wind) * 0.05 + random_between(farm) * 0.5;
  if (turbine->wind < 0) turbine->wind = 0;
}

/* Nothing below 3 m/s, all that the generator can at 13 m/s, and a smooth curve in between. */
static unsigned power_kw(double wind) {
  double part = (wind - 3) / 10;
  if (part <= 0) return 0;
  if (part >= 1) return RATED_KW;
  return (unsigned)(RATED_KW * part * part * (3 - 2 * part));
}

/* ---- Publishing ---- */

static void publish(struct farm *farm, const char *channel, const sse_event *event) {
  int error = sse_hub_publish(farm->hub, channel, event);
  if (error) fprintf(stderr, "wind-farm: cannot publish: %s\n", sse_error_text(error));
}

/* The key makes this the turbine's newest reading, and the one before it superfluous. */
static void report(struct farm *farm, struct turbine *turbine) {
  char text[TEXT_MAX];
  blow(farm, turbine);
  turbine->readings++;
  snprintf(text, sizeof text,
           "{\"site\":\"%s\",\"turbine\":\"%s\",\"reading\":%llu,\"kw\":%u,\"wind\":%.1f}",
           turbine->site, turbine->name, (unsigned long long)turbine->readings,
           power_kw(turbine->wind), turbine->wind);
  publish(farm, turbine->site, &(sse_event){.type = "reading", .text = text, .key = turbine->name});
}

static void notify(struct farm *farm, const struct turbine *turbine, const char *what) {
  char text[TEXT_MAX];
  snprintf(text, sizeof text, "{\"site\":\"%s\",\"turbine\":\"%s\",\"service\":\"%s\"}",
           turbine->site, turbine->name, what);
  publish(farm, farm_notices, &(sse_event){.type = "service", .text = text});
}

/* The tombstone goes to those who listen, and takes the key out of what new ones get first. */
static void take_out(struct farm *farm, struct turbine *turbine) {
  char text[TEXT_MAX];
  turbine->out = 1;
  snprintf(text, sizeof text, "{\"site\":\"%s\",\"turbine\":\"%s\"}", turbine->site, turbine->name);
  publish(farm, turbine->site,
          &(sse_event){.type = "gone", .text = text, .key = turbine->name, .flags = SSE_TOMBSTONE});
  notify(farm, turbine, "begins");
}

static void put_back(struct farm *farm, struct turbine *turbine) {
  turbine->out = 0;
  notify(farm, turbine, "ends");
}

/* ---- The thread ---- */

/* One turbine after the other, so that not all of them report at the same moment. */
static void report_next(struct farm *farm) {
  struct turbine *turbine = &farm->turbines[farm->next_to_report];
  farm->next_to_report = (farm->next_to_report + 1) % FARM_TURBINES;
  if (!turbine->out) report(farm, turbine);
}

/* The same turbine goes out and comes back; then it is the turn of one of another site. */
static void service_next(struct farm *farm) {
  struct turbine *turbine = &farm->turbines[farm->next_to_service];
  if (!turbine->out) {
    take_out(farm, turbine);
    return;
  }
  put_back(farm, turbine);
  farm->next_to_service = (farm->next_to_service + SERVICE_STEP) % FARM_TURBINES;
}

static void *run(void *arg) {
  struct farm *farm = arg;
  int64_t report_ns = pace_now_ns(), service_ns = report_ns + farm->config.service_ns / 2;
  while (!pace_sleep_until(farm->stop[0], report_ns < service_ns ? report_ns : service_ns)) {
    int64_t now_ns = pace_now_ns();
    if (report_ns <= now_ns) {
      report_next(farm);
      report_ns += farm->config.interval_ns / FARM_TURBINES;
      /* A machine that was asleep does not make up for it. */
      if (report_ns < now_ns - LATE_MAX_NS) report_ns = now_ns;
    }
    if (service_ns <= now_ns) {
      service_next(farm);
      service_ns = now_ns + farm->config.service_ns / 2;
    }
  }
  return NULL;
}

/* ---- Beginning and end ---- */

static void build(struct farm *farm) {
  static const double usual_winds[FARM_SITES] = {11, 8.5, 6.5};
  for (size_t i = 0; i < FARM_TURBINES; i++) {
    size_t site = i / PER_SITE;
    struct turbine *turbine = &farm->turbines[i];
    turbine->site = farm_sites[site];
    turbine->usual_wind = turbine->wind = usual_winds[site] + random_between(farm);
    snprintf(turbine->name, sizeof turbine->name, "%c%zu", turbine->site[0] - 'a' + 'A',
             i % PER_SITE + 1);
  }
}

/* Once configured, the channels of the sites stay, and with them the state that new ones get. */
static int configure(sse_hub *hub) {
  int error = 0;
  for (size_t i = 0; i < FARM_SITES && !error; i++)
    error =
        sse_hub_configure_channel(hub, farm_sites[i], &(sse_channel_config){.conflate = SSE_YES});
  if (error) fprintf(stderr, "wind-farm: cannot configure: %s\n", sse_error_text(error));
  return error;
}

struct farm *farm_start(sse_hub *hub, const struct farm_config *config) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (configure(hub)) return NULL;
  struct farm *farm = malloc(sizeof *farm);
  if (farm) {
    *farm = (struct farm){.hub = hub, .config = *config, .stop = {-1, -1}};
    farm->random = ((uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec) | 1;
    build(farm);
    if (pipe(farm->stop) == 0 && pthread_create(&farm->thread, NULL, run, farm) == 0) return farm;
  }
  fputs("wind-farm: cannot start the farm\n", stderr);
  free(farm);
  return NULL;
}

void farm_stop(struct farm *farm) {
  close(farm->stop[1]);
  pthread_join(farm->thread, NULL);
  close(farm->stop[0]);
  free(farm);
}
