/* SPDX-License-Identifier: MIT */
/*
 * chaos.c: nodes on one log, with publishers and clients that move between them, while all that can
 * break does. At the end the judge holds what clients received against the manual.
 *
 * chaos [--engine redis|sqlite|memory] [--seconds N] [--clients N] [--seed N] [--break WHAT]
 *
 * --break breaks the connection of one client, or one publish, on purpose: the judge must notice.
 * The status is 0, 1 if the judge has found a breach, and 2 if there was nothing to judge.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "judge.h"
#include "run.h"

enum {
  PATIENCE_US = 60 * 1000 * 1000 /* for all to be well again, once nothing breaks any more */
};

static volatile sig_atomic_t is_interrupted;
static struct trial trial;
static uint64_t random_state;

static void interrupt(int number) {
  (void)number;
  is_interrupted = 1;
}

int64_t now_us(void) {
  static int64_t begin;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
  if (begin == 0) begin = us - 1;
  return us - begin;
}

int random_below(int limit) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (int)((random_state >> 33) % (uint64_t)limit);
}

int dial_at_once(int port) {
  const struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (connect(fd, (const struct sockaddr *)&at, sizeof at) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

static void step(int with_faults) {
  struct pollfd fds[SOCKETS_MAX];
  world_tick(with_faults);
  int clients = clients_watch(fds), publishers = publishers_watch(fds + clients);
  nfds_t count = (nfds_t)clients + (nfds_t)publishers;
  poll(fds, count, 10);
  clients_serve(fds, clients);
  publishers_serve(fds + clients, publishers);
}

/* ---- the phases ---- */

/* Steps until it holds: 1; 0: it does not come, or there was an interrupt. */
static int step_until(int (*holds)(void), const char *what) {
  int64_t until = now_us() + PATIENCE_US;
  while (!is_interrupted && !holds()) {
    step(0);
    if (now_us() < until) continue;
    printf("chaos: CONVERGE: %s within %d s\n", what, PATIENCE_US / 1000000);
    return 0;
  }
  return !is_interrupted;
}

static int last[CHANNELS];
static char position[NODES][128];

static int nodes_are_one(void) {
  static int64_t next;
  if (now_us() < next) return 0; /* asking waits for an answer */
  next = now_us() + 100000;
  return world_is_one(position);
}

static int clients_have_all(void) {
  return clients_are_done(last);
}

/* 0: all has settled; 1: it has not; 2: interrupted. */
static int settle(void) {
  publishers_stop();
  world_mend();
  clients_settle();
  int well = step_until(publishers_are_idle, "publishers are not answered") &&
             step_until(nodes_are_one, "nodes have not one position");
  if (well) publishers_say_last(last);
  well = well && step_until(publishers_are_idle, "the last events are not acknowledged") &&
         step_until(nodes_are_one, "nodes have not one position at the end") &&
         step_until(clients_have_all, "clients have not their last events");
  return is_interrupted ? 2 : !well;
}

static void print_counts(const struct verdict *verdict) {
  printf("chaos: %ld acknowledged, %ld delivered, %ld covered by gaps, %ld again after a gap, "
         "%ld returns with an id of two places, %ld trimmed on their way\n",
         verdict->acked, verdict->delivered, verdict->covered, verdict->again, verdict->ambiguous,
         verdict->trimmed);
  printf("chaos: gaps:");
  for (int i = 0; i < GAP_REASONS; i++) printf(" %ld %s", verdict->gaps[i], gap_names[i]);
  printf("; %d histories\n", trial.epoch_count);
  printf("chaos: nodes: %d kills; stops: %d; Redis: %d restarts, %d without data, %d flushes, "
         "%d trims, %d cuts\n",
         counts.kills, counts.stops, counts.restarts, counts.losses, counts.flushes, counts.trims,
         counts.cuts);
}

static int run(const struct options *options) {
  struct verdict verdict;
  publishers_init(&trial, options);
  clients_init(&trial, options);
  int64_t until = now_us() + (int64_t)options->seconds * 1000000;
  int with_faults = options->breakage == BREAK_NOTHING || options->breakage == BREAK_GAP;
  while (!is_interrupted && now_us() < until) step(with_faults);
  int status = settle();
  clients_end();
  if (status == 2) return 2;
  judge(&trial, &verdict, stdout);
  print_counts(&verdict);
  for (int i = 0; i < RULES; i++)
    if (verdict.breaches[i]) printf("chaos: %d x %s\n", verdict.breaches[i], rule_names[i]);
  if (verdict.delivered == 0) return 2;
  return status || verdict.total > 0;
}

/* ---- the command line ---- */

static int read_breakage(const char *name) {
  for (int i = 0; i < BREAKAGES; i++)
    if (strcmp(break_names[i], name) == 0) return i;
  return -1;
}

static int read_options(struct options *options, int argc, char **argv) {
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];
    int breakage = -1;
    if (!value) return -1;
    if (strcmp(name, "--engine") == 0)
      options->engine = value;
    else if (strcmp(name, "--seconds") == 0)
      options->seconds = (int)strtol(value, NULL, 10);
    else if (strcmp(name, "--clients") == 0)
      options->clients = (int)strtol(value, NULL, 10);
    else if (strcmp(name, "--seed") == 0)
      options->seed = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(name, "--break") == 0 && (breakage = read_breakage(value)) >= 0)
      options->breakage = (enum breakage)breakage;
    else
      return -1;
  }
  int known = strcmp(options->engine, "redis") == 0 || strcmp(options->engine, "sqlite") == 0 ||
              strcmp(options->engine, "memory") == 0;
  return known && options->seconds > 0 && options->clients > 0 && options->clients <= CLIENTS_MAX
             ? 0
             : -1;
}

int main(int argc, char **argv) {
  const char *build = getenv("SSE_BUILD");
  struct options options = {.engine = "redis",
                            .build = build ? build : "build",
                            .seconds = 60,
                            .clients = 120,
                            .seed = (unsigned)time(NULL) % 1000000};
  const struct sigaction act = {.sa_handler = interrupt};
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (read_options(&options, argc, argv)) {
    fprintf(stderr, "chaos: see the begin of tests/chaos/chaos.c for the options\n");
    return 2;
  }
  sigaction(SIGINT, &act, NULL);
  sigaction(SIGTERM, &act, NULL);
  sigaction(SIGHUP, &act, NULL);
  signal(SIGPIPE, SIG_IGN);
  random_state = options.seed;
  printf("chaos: SEED=%u ENGINE=%s SECONDS=%d, %d clients, breaks %s\n", options.seed,
         options.engine, options.seconds, options.clients, break_names[options.breakage]);
  int status = world_start(&trial, &options) ? 2 : run(&options);
  int keep = status == 1 && options.breakage == BREAK_NOTHING;
  if (keep) printf("chaos: FAILED with SEED=%u; logs are in %s\n", options.seed, world_folder());
  world_end(keep);
  trial_free(&trial);
  return status;
}
