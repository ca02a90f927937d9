/* SPDX-License-Identifier: MIT */
/* bench_fanout.c: events to many sockets: libsse on the example host, the floor, and the peers. */
/*
 * `make bench` runs all cases and prints the end of the table, in some minutes; `make bench
 * PEERS=1` also against nginx with nchan, the tutorial's gevent streamer and Node's better-sse, and
 * says what is missing of them. ARGS picks: cases (single, batch, channels, linger, stalled,
 * resume), a number of streams (100, 1000, 10000, 20000), rounds=15.
 *
 * Each server is a process with a load of its own, a process that opens the streams, publishes, and
 * checks that every stream got every event once, in order and intact. Loads have the last
 * processor, servers the others. All streams of all servers are open at once; then the servers take
 * turns, one round each, and a ratio is taken within a round. It is of the CPU time of the server's
 * processes per delivery, unless the line says something else; "last" is the time from a post to
 * the last delivery of it, p50 and p99 of all deliveries; all in milliseconds.
 *
 *   single publishes       one post with one event, the next when all streams have it
 *   16 waiting             one post with 16 events, so that there are 16 for each stream
 *   posts without waiting  all posts over one connection at once
 *
 * The floor is a loop of send() over all sockets of a channel, one for each event, or as many as
 * wait up to 16 or 64.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fanout_peer.h"
#include "fanout_side.h"
#include "report.h"

#define STREAMS_MAX 20000
#define SPARE_FDS   100 /* of the limit, for all that is not a stream */

static unsigned rounds;       /* 0: as many as suit the case */
static unsigned only_streams; /* 0: all */
static const char *const *words;

/* ---- who is compared ---- */

#define SERVER(...) ((const char *const[]){"bench_fanout", "serve", __VA_ARGS__, NULL})

static struct side floor_1 = {.name = "floor", .server = SERVER("floor", "1")};
static struct side floor_16 = {.name = "floor, 16", .server = SERVER("floor", "16")};
static struct side floor_64 = {.name = "floor, 64", .server = SERVER("floor", "64")};
static struct side libsse_1 = {.name = "libsse", .server = SERVER("libsse", "1", "0")};
static struct side libsse_2 = {.name = "libsse, 2 thr.", .server = SERVER("libsse", "2", "0")};
static struct side libsse_linger = {.name = "libsse, 10 ms", .server = SERVER("libsse", "1", "10")};
static struct side one_stalled = {
    .name = "with 1 stalled", .server = SERVER("libsse", "1", "0"), .stalled = 1};
static struct side ten_stalled = {
    .name = "with 10 stalled", .server = SERVER("libsse", "1", "0"), .stalled = 10};
static struct side nobody_stalled = {.name = "none stalled", .server = SERVER("libsse", "1", "0")};
static struct side peer_sides[SIDES_MAX];

static int serve(int argc, char **argv) {
  unsigned number = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
  if (strcmp(argv[2], "floor") == 0) return fanout_floor(number);
  return fanout_sse(number, argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0);
}

static void add_side(struct match *match, struct side *side) {
  match->sides[match->sides_count++] = side;
}

/* With PEERS=1 in the environment; what is not installed is named once. */
static void add_peers(struct match *match) {
  static unsigned found, looked;
  const char *wanted = getenv("PEERS");
  if (!wanted || strcmp(wanted, "1") != 0) return;
  for (; looked < peers_count; looked++) {
    const struct peer *peer = &peers[looked];
    if (!peer_installed(peer)) continue;
    peer_sides[found++] = (struct side){.name = peer->name, .server = peer->command, .peer = true};
  }
  for (unsigned i = 0; i < found; i++) add_side(match, &peer_sides[i]);
}

/* ---- cases ---- */

/* Without words all cases run; a word names a case, a number the streams. */
static bool wanted(const char *name) {
  bool any = false;
  for (const char *const *word = words; *word; word++) {
    if (strspn(*word, "0123456789") == strlen(*word) || strchr(*word, '=')) continue;
    if (strcmp(*word, name) == 0) return true;
    any = true;
  }
  return !any;
}

static unsigned streams_possible(unsigned streams) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max > streams + SPARE_FDS) return streams;
  return limit.rlim_max > SPARE_FDS ? (unsigned)limit.rlim_max - SPARE_FDS : 1;
}

/* So many that a round takes a tenth of a second or more on the floor. */
static unsigned events_for(unsigned streams, unsigned at_least) {
  unsigned events = 40000 / streams;
  return events < at_least ? at_least : events > 200 ? 200 : events;
}

static unsigned rounds_for(unsigned streams) {
  return rounds ? rounds : streams < 10000 ? 15 : 5;
}

/* Posts with `batch` events each, one after the other is delivered. */
static void run_waiting(struct match *match, unsigned bytes, unsigned batch,
                        const struct budget *budgets) {
  const unsigned posts = events_for(match->streams * batch, batch == 1 ? 5 : 3);
  const struct load_command command = {
      .what = LOAD_PUBLISH, .bytes = bytes, .events = posts * batch, .batch = batch};
  char name[32] = "single publishes";
  if (batch > 1) snprintf(name, sizeof name, "%u waiting", batch);
  match_run(match, name, &command, budgets, rounds_for(match->streams));
}

static void run_flood(struct match *match, unsigned bytes, const struct budget *budgets) {
  unsigned events = events_for(match->streams, match->streams < 10000 ? 64 : 20);
  const struct load_command command = {
      .what = LOAD_PUBLISH, .bytes = bytes, .events = events, .batch = 1, .flood = true};
  match_run(match, "posts without waiting", &command, budgets, rounds ? rounds : 5);
}

static void case_single(unsigned streams) {
  const bool judged = streams == 1000 || streams == 10000;
  const struct budget single[] = {
      {&libsse_1, &floor_1, METRIC_CPU, streams == 1000 ? "1.05" : "1.10"},
      {&libsse_1, &floor_1, METRIC_LAST, streams == 10000 ? "1.10" : NULL},
      {&libsse_1, &peer_sides[0], METRIC_CPU, "0.75"},
      {NULL, NULL, METRIC_CPU, NULL}};
  const struct budget burst[] = {{&libsse_1, &peer_sides[0], METRIC_CPU, "0.15"},
                                 {NULL, NULL, METRIC_CPU, NULL}};
  struct match match = {.streams = streams, .channels = 1};
  add_side(&match, &floor_1);
  add_side(&match, &libsse_1);
  add_side(&match, &libsse_2);
  if (judged) add_peers(&match);
  if (!match_open(&match)) return;
  match_memory(&match, &libsse_1, "1024");
  run_waiting(&match, 128, 1, judged ? single : NULL);
  run_flood(&match, 128, judged ? burst : NULL);
  if (judged) run_waiting(&match, 4096, 1, NULL);
  match_close(&match);
}

static void case_batch(unsigned streams) {
  const struct budget up_to_16[] = {{&libsse_1, &floor_1, METRIC_CPU, "0.18"},
                                    {NULL, NULL, METRIC_CPU, NULL}};
  const struct budget up_to_64[] = {{&libsse_1, &floor_1, METRIC_CPU, "0.08"},
                                    {NULL, NULL, METRIC_CPU, NULL}};
  struct match match = {.streams = streams, .channels = 1};
  add_side(&match, &floor_1);
  add_side(&match, &floor_16);
  add_side(&match, &floor_64);
  add_side(&match, &libsse_1);
  add_side(&match, &libsse_2);
  if (!match_open(&match)) return;
  run_waiting(&match, 128, 16, up_to_16);
  if (streams <= 10000) run_waiting(&match, 128, 64, up_to_64);
  if (streams == 1000) run_waiting(&match, 4096, 16, NULL);
  match_close(&match);
}

static void case_channels(void) {
  struct match match = {.streams = 10000, .channels = 1000};
  const struct load_command command = {
      .what = LOAD_PUBLISH, .bytes = 128, .events = 1000, .batch = 1, .rate = 1000};
  add_side(&match, &floor_1);
  add_side(&match, &libsse_1);
  add_side(&match, &libsse_2);
  if (!match_open(&match)) return;
  match_run(&match, "1,000 posts/s, 1,000 ch.", &command, NULL, rounds ? rounds : 5);
  match_close(&match);
}

/*
 * With so many streams that the processor is busy the server without linger gathers events, too,
 * because it is behind; so also with fewer.
 */
static void case_linger(unsigned streams, const char *at_most) {
  const struct budget budgets[] = {{&libsse_linger, &libsse_1, METRIC_CPU, at_most},
                                   {NULL, NULL, METRIC_CPU, NULL}};
  struct match match = {.streams = streams, .channels = 1};
  const struct load_command command = {
      .what = LOAD_PUBLISH, .bytes = 128, .events = 500, .batch = 1, .rate = 1000};
  add_side(&match, &libsse_1);
  add_side(&match, &libsse_linger);
  if (!match_open(&match)) return;
  match_run(&match, "1,000 posts/s", &command, budgets, rounds ? rounds : 5);
  match_close(&match);
}

/* First so much that the sockets of those that do not read are full. */
static void case_stalled(void) {
  const struct budget budgets[] = {{&one_stalled, &nobody_stalled, METRIC_P99, "1.1"},
                                   {NULL, NULL, METRIC_CPU, NULL}};
  struct match match = {.streams = 999, .channels = 1};
  const struct load_command fill = {.what = LOAD_PUBLISH, .bytes = 4096, .events = 512, .batch = 8};
  add_side(&match, &nobody_stalled);
  add_side(&match, &one_stalled);
  add_side(&match, &ten_stalled);
  if (!match_open(&match)) return;
  match_run(&match, "filling sockets", &fill, NULL, 1);
  run_waiting(&match, 128, 1, budgets);
  run_waiting(&match, 4096, 1, NULL);
  match_close(&match);
}

static void case_resume(void) {
  struct match match = {.streams = 1000, .channels = 1};
  const struct load_command command = {
      .what = LOAD_RESUME, .bytes = 128, .events = 1024, .batch = 16};
  add_side(&match, &floor_64);
  add_side(&match, &libsse_1);
  add_side(&match, &libsse_2);
  if (!match_open(&match)) return;
  match_run(&match, "1,024 events after resume", &command, NULL, rounds ? rounds : 5);
  match_close(&match);
}

static void read_words(int argc, char **argv) {
  (void)argc;
  words = (const char *const *)(uintptr_t)(argv + 1);
  for (const char *const *word = words; *word; word++) {
    if (strncmp(*word, "rounds=", 7) == 0) rounds = (unsigned)strtoul(*word + 7, NULL, 10) | 1;
    if (strspn(*word, "0123456789") == strlen(*word))
      only_streams = (unsigned)strtoul(*word, NULL, 10);
  }
  if (rounds > ROUNDS_MAX) rounds = ROUNDS_MAX;
}

int main(int argc, char **argv) {
  static const unsigned counts[] = {100, 1000, 10000, STREAMS_MAX};
  if (argc > 2 && strcmp(argv[1], "serve") == 0) return serve(argc, argv);
  read_words(argc, argv);
  report_head();
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    unsigned streams = streams_possible(counts[i]);
    if ((only_streams && only_streams != counts[i]) || (i > 0 && streams < counts[i - 1])) continue;
    if (wanted("single")) case_single(streams);
    if (wanted("batch")) case_batch(streams);
  }
  if (wanted("channels")) case_channels();
  if (wanted("linger")) {
    case_linger(100, NULL);
    case_linger(1000, "0.25");
  }
  if (wanted("stalled")) case_stalled();
  if (wanted("resume")) case_resume();
  if (match_faults()) printf("Events were lost, repeated or damaged: see the ends of the lines.\n");
  return EXIT_SUCCESS;
}
