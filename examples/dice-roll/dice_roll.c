/* SPDX-License-Identifier: MIT */
/* dice_roll.c: rolls two dice every so often and streams the results to every browser. */
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"
#include "httpd.h"
#include "options.h"
#include "pace.h"
#include "pages.h"

static const char channel[] = "dice";

enum {
  ROLL_MAX = 64,            /* bytes of an event without padding */
  PAYLOAD_MAX = 200 * 1024, /* below the hub's longest event */
  THREADS_MAX = 64,
  HOSTS_MAX = 16,
  METRICS_MAX = 32 * 1024, /* bytes: twice what it is when all numbers are long */
  LATE_MAX_NS = 1000000000,
  STORED_ROLLS = 100000
};

struct options {
  const char *listen, *port;
  const char *hosts[HOSTS_MAX + 1]; /* ended by NULL; the first is NULL: any */
  unsigned hosts_count;
  unsigned threads;
  int64_t interval_ns;
  size_t payload_bytes; /* events are padded to so many bytes: for load tests */
  const char *store;    /* the file of the log; NULL: there is none */
  int32_t heartbeat_ms;
};

static const char usage[] =
    "Usage: dice-roll [OPTION]...\n"
    "Rolls a six-sided and a twenty-sided die and streams the results to browsers.\n"
    "\n"
    "  --listen ADDRESS    address to listen on (127.0.0.1)\n"
    "  --port PORT         port to listen on; 0: any that is free (5000)\n"
    "  --host NAME         answer to this name only, without a port; up to 16 times (any)\n"
    "  --interval SECONDS  time between two rolls, 0.001 to 3600 (0.2)\n"
    "  --threads N         threads that serve, 1 to 64 (1)\n"
    "  --heartbeat SECONDS silence after which a stream gets a heartbeat, 0.1 to 3600 (15)\n"
    "  --store FILE        keep the rolls in this file, so that a restart is no gap (none)\n"
    "  --payload BYTES     pad each event to so many bytes, for load tests (0)\n"
    "  --help              show this and exit\n";

/* ---- Dice ---- */

/* xorshift64* by Vigna: good dice need no secrets. The state is never 0. */
struct dice {
  uint64_t state;
};

static uint64_t next_random(struct dice *dice) {
  uint64_t x = dice->state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  dice->state = x;
  return x * 0x2545f4914f6cdd1du;
}

/*
 * A remainder alone would favour low faces, since 2^32 is no multiple of 6 or 20. So numbers beyond
 * the last whole multiple are thrown away and drawn again.
 */
static unsigned roll(struct dice *dice, uint32_t faces) {
  uint32_t whole = UINT32_MAX - UINT32_MAX % faces;
  uint32_t drawn;
  do drawn = (uint32_t)(next_random(dice) >> 32);
  while (drawn >= whole);
  return drawn % faces + 1;
}

/* ---- The publisher ---- */

struct publisher {
  struct engine *engine;
  const struct options *options;
  struct dice dice;
  char *text; /* room for one event */
  int error;  /* of the last publish */
  pthread_t thread;
  int stop[2]; /* a pipe whose write end is closed to stop it */
};

/* Says once that something is wrong, and not at each roll. */
static void tell_outcome(struct publisher *publisher, int error) {
  struct engine_status status;
  engine_status(publisher->engine, &status);
  if (error && error != publisher->error)
    fprintf(stderr, "dice-roll: cannot publish: %s\n",
            error == ENGINE_ELOG ? status.problem : engine_error_text(error));
  publisher->error = error;
}

static void publish_roll(struct publisher *publisher) {
  size_t padding = publisher->options->payload_bytes;
  unsigned d6 = roll(&publisher->dice, 6), d20 = roll(&publisher->dice, 20);
  char *text = publisher->text;
  int len = snprintf(text, ROLL_MAX, "{\"1D6\": %u, \"1D20\": %u}", d6, d20);
  /* White space behind a JSON value is part of the payload and of no consequence. */
  if (padding > (size_t)len) memset(text + len, ' ', padding - (size_t)len);
  sse_event event = {.data = text, .data_len = padding > (size_t)len ? padding : (size_t)len};
  const char *const channels[] = {channel, NULL};
  tell_outcome(publisher, engine_publish(publisher->engine, channels, &event, NULL));
}

/* Rolls at fixed times, so that the time that a roll takes does not add up. */
static void *publish_rolls(void *arg) {
  struct publisher *publisher = arg;
  int64_t due_ns = pace_now_ns();
  while (!pace_sleep_until(publisher->stop[0], due_ns)) {
    publish_roll(publisher);
    due_ns += publisher->options->interval_ns;
    /* A machine that was asleep does not make up for it. */
    if (due_ns < pace_now_ns() - LATE_MAX_NS) due_ns = pace_now_ns();
  }
  return NULL;
}

static int publisher_start(struct publisher *publisher, struct engine *engine,
                           const struct options *options) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint64_t seed = (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec;
  *publisher = (struct publisher){.engine = engine,
                                  .options = options,
                                  .dice = {.state = seed | 1},
                                  .text = malloc(options->payload_bytes + ROLL_MAX)};
  if (publisher->text && pipe(publisher->stop) == 0 &&
      pthread_create(&publisher->thread, NULL, publish_rolls, publisher) == 0)
    return 0;
  fputs("dice-roll: cannot start the publisher\n", stderr);
  return -1;
}

static void publisher_stop(struct publisher *publisher) {
  close(publisher->stop[1]);
  pthread_join(publisher->thread, NULL);
  close(publisher->stop[0]);
  free(publisher->text);
}

/* ---- HTTP ---- */

static void stream_rolls(struct httpd_conn *conn, const struct request *request, void *arg) {
  (void)arg;
  httpd_stream(conn, request, &(sse_stream_config){.channel = channel});
}

static void tell_metrics(struct httpd_conn *conn, const struct request *request, void *arg) {
  const char *const channels[] = {channel, NULL};
  char text[METRICS_MAX];
  ssize_t len = sse_stats_prometheus(text, sizeof text, arg, channels);
  (void)request;
  if (len < 0 || len > METRICS_MAX) {
    httpd_reply(conn, &(struct httpd_response){.status = 500});
    return;
  }
  httpd_reply(conn,
              &(struct httpd_response){.type = SSE_STATS_TYPE, .body = text, .len = (size_t)len});
}

static const struct httpd_route routes[] = {
    {"GET", "/stream/", stream_rolls},
    {"GET", "/metrics", tell_metrics},
    {NULL, NULL, NULL},
};

/* ---- Options ---- */

static const char program[] = "dice-roll";

static double seconds(const char *option, double min, const char *wanted) {
  return option_number(program, option, min, 3600, wanted);
}

static void parse_options(struct options *options, int argc, char **argv) {
  static const struct option names[] = {
      {"listen", required_argument, NULL, 'l'},  {"port", required_argument, NULL, 'p'},
      {"host", required_argument, NULL, 'o'},    {"interval", required_argument, NULL, 'i'},
      {"threads", required_argument, NULL, 't'}, {"heartbeat", required_argument, NULL, 'e'},
      {"store", required_argument, NULL, 's'},   {"payload", required_argument, NULL, 'b'},
      {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
  int option, index = 0;
  while ((option = getopt_long(argc, argv, "", names, &index)) != -1) {
    switch (option) {
    case 'l':
      options->listen = optarg;
      break;
    case 'p':
      option_whole_number(program, "port", 0, 65535, "a port is a number from 0 to 65535");
      options->port = optarg;
      break;
    case 'o':
      if (options->hosts_count == HOSTS_MAX) {
        fputs("dice-roll: at most 16 hosts\n", stderr);
        exit(2);
      }
      options->hosts[options->hosts_count++] = optarg;
      break;
    case 'i':
      options->interval_ns =
          (int64_t)(1e9 * seconds("interval", 0.001, "an interval is 0.001 to 3600 seconds"));
      break;
    case 't':
      options->threads = option_whole_number(program, "threads", 1, THREADS_MAX, "1 to 64 threads");
      break;
    case 'e':
      options->heartbeat_ms =
          (int32_t)(1e3 * seconds("heartbeat", 0.1, "a heartbeat is 0.1 to 3600 seconds"));
      break;
    case 's':
      options->store = optarg;
      break;
    case 'b':
      options->payload_bytes =
          option_whole_number(program, "payload", 0, PAYLOAD_MAX, "at most 204800");
      break;
    case 'h':
      fputs(usage, stdout);
      exit(0);
    default:
      fputs("See dice-roll --help.\n", stderr);
      exit(2);
    }
  }
  if (optind < argc) {
    fprintf(stderr, "dice-roll: unexpected argument: %s; see --help\n", argv[optind]);
    exit(2);
  }
}

/* ---- The program ---- */

static int serve(const struct options *options, struct engine *engine) {
  sse_hub *hub = engine_hub(engine);
  struct httpd *httpd =
      httpd_new(&(struct httpd_config){.name = "dice-roll",
                                       .hub = hub,
                                       .listen = options->listen,
                                       .port = options->port,
                                       .threads = options->threads,
                                       .hosts = options->hosts_count ? options->hosts : NULL,
                                       .routes = routes,
                                       .arg = hub,
                                       .pages = pages,
                                       .pages_count = pages_count});
  if (!httpd) return 1;
  struct publisher publisher;
  int result = publisher_start(&publisher, engine, options);
  if (result == 0) {
    printf("dice-roll: listening on %s\n", httpd_url(httpd));
    fflush(stdout);
    result = httpd_run(httpd);
    publisher_stop(&publisher);
  }
  engine_stop(engine);
  httpd_free(httpd);
  return result == 0 ? 0 : 1;
}

static const struct engine_kind *kind_of(const struct options *options) {
  const struct engine_kind *kind = engine_find(options->store ? "sqlite" : "memory");
  if (kind) return kind;
  fputs("dice-roll: --store: this program was built without SQLite\n", stderr);
  exit(2);
}

static struct engine *open_engine(const struct options *options) {
  struct engine *engine;
  char problem[ENGINE_PROBLEM_MAX];
  const sse_hub_config hub = {.heartbeat_ms = options->heartbeat_ms};
  const struct engine_config config = {
      .where = options->store, .hub = &hub, .entries_max = STORED_ROLLS};
  if (engine_open(&engine, kind_of(options), &config, problem) == 0) {
    if (engine_start(engine) == 0) return engine;
    struct engine_status status;
    engine_status(engine, &status);
    memcpy(problem, status.problem, sizeof problem);
    engine_free(engine);
  }
  fprintf(stderr, "dice-roll: %s: %s\n", options->store ? options->store : "the hub", problem);
  return NULL;
}

int main(int argc, char **argv) {
  struct options options = {
      .listen = "127.0.0.1", .port = "5000", .threads = 1, .interval_ns = 200 * 1000 * 1000};
  parse_options(&options, argc, argv);
  struct engine *engine = open_engine(&options);
  if (!engine) return 1;
  int status = serve(&options, engine);
  int error = engine_free(engine);
  if (error) fprintf(stderr, "dice-roll: cannot free the hub: %s\n", sse_error_text(error));
  return error ? 1 : status;
}
