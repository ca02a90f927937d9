/* SPDX-License-Identifier: MIT */
/* test_crash.c: a program that publishes is killed again and again; nothing that it has
 * acknowledged is missing, and clients go on exactly.
 *
 * Each round starts the program, with a client that reads the program's stream, and kills it after
 * a random number of acknowledged events and a random time. Then the file is opened again, in this
 * process, and the client goes on there. All rounds together are one history of the client, which
 * has to have everything that was acknowledged, in order and once, without a gap. What was not
 * acknowledged may be there. SSE_CRASHES is the number of rounds, SSE_CRASH_SEED their seed.
 *
 * This shows what a crash of the process leaves. What a machine without power leaves is SQLite's
 * promise (synchronous=FULL), and the disk's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common.h"
#include "crash.h"
#include "peer.h"

enum {
  ROUNDS = 200,
  ACKS_MAX = 50, /* events of each thread after which a round ends, at most */
  LONG_ACKS_MAX =
      400, /* in every eighth round: SQLite moves its log to the file in some of these */
  DELAY_MAX_US = 3000, /* and the time after that, at most */
  OUTPUT_MAX = 1 << 20
};

struct crash {
  const char *file;
  struct client client;
  uint64_t random;
  unsigned threads, first;           /* of this round */
  unsigned acked[CRASH_THREADS_MAX]; /* serials from `first` on that this round acknowledged */
  size_t judged;                     /* events of the client */
  unsigned long long total, live;    /* acknowledged; events that the program's own stream gave */
};

static uint64_t draw(struct crash *crash, uint64_t n) {
  crash->random = crash->random * 6364136223846793005u + 1442695040888963407u;
  return (crash->random >> 33) % n;
}

/* ---- the program ---- */

struct victim {
  pid_t pid;
  int out, stream;
};

static void start(struct crash *crash, struct victim *victim) {
  char path[4096], threads[16], first[16];
  int out[2], stream[2];
  const char *build = getenv("SSE_BUILD");
  snprintf(path, sizeof path, "%s/tests/engines/publisher", build ? build : "build");
  snprintf(threads, sizeof threads, "%u", crash->threads);
  snprintf(first, sizeof first, "%u", crash->first);
  assert_int_equal(pipe(out), 0);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, stream), 0);
  victim->pid = fork();
  if (victim->pid == 0) {
    child_bound();
    dup2(out[1], STDOUT_FILENO);
    if (stream[1] != 3) dup2(stream[1], 3);
    for (int fd = 4; fd < 64; fd++) close(fd);
    execl(path, path, crash->file, threads, first, client_last_id(&crash->client), (char *)NULL);
    _exit(127);
  }
  close(out[1]);
  close(stream[1]);
  victim->out = out[0];
  victim->stream = stream[0];
}

/* What is acknowledged: lines of one thread come in the order of its events. */
static void note_line(struct crash *crash, const char *line) {
  unsigned thread, serial;
  if (strcmp(line, "started") == 0) return;
  if (sscanf(line, "%u %u", &thread, &serial) != 2 || thread >= crash->threads)
    fail_msg("the publisher says \"%s\"", line);
  assert_int_equal(serial, crash->first + crash->acked[thread]);
  crash->acked[thread]++;
  crash->total++;
}

static size_t take_lines(struct crash *crash, char *text) {
  size_t lines = 0;
  char *at = text, *newline;
  for (; (newline = strchr(at, '\n')); at = newline + 1, lines++) {
    *newline = '\0';
    note_line(crash, at);
  }
  memmove(text, at, strlen(at) + 1);
  return lines;
}

/* Reads what the program says until there are this many lines, or to its end. */
static void read_lines(struct crash *crash, struct victim *victim, char *text, size_t wanted) {
  int64_t until = now_ms() + PATIENCE_MS;
  struct pollfd fds[] = {{.fd = victim->out, .events = POLLIN},
                         {.fd = victim->stream, .events = POLLIN}};
  char bytes[65536];
  while (wanted > 0) {
    size_t len = strlen(text);
    assert_true(now_ms() < until);
    if (poll(fds, 2, PATIENCE_MS) <= 0) continue;
    if (fds[1].revents) {
      ssize_t got = read(victim->stream, bytes, sizeof bytes);
      if (got > 0) client_feed(&crash->client, bytes, (size_t)got);
      if (got <= 0) fds[1].fd = -1;
    }
    if (!fds[0].revents) continue;
    ssize_t got = read(victim->out, text + len, OUTPUT_MAX - 1 - len);
    if (got <= 0) break;
    text[len + (size_t)got] = '\0';
    size_t lines = take_lines(crash, text);
    wanted -= lines < wanted ? lines : wanted;
  }
}

/* What was sent before the end still arrives; a half event is thrown away. */
static void read_stream_to_its_end(struct crash *crash, struct victim *victim) {
  char bytes[65536];
  ssize_t got;
  while ((got = read(victim->stream, bytes, sizeof bytes)) > 0)
    client_feed(&crash->client, bytes, (size_t)got);
  sse_parser_reset(crash->client.parser);
}

/* Some time; or until the client is given something, which a crash must not take back then. */
static void wait_a_little(struct crash *crash, struct victim *victim) {
  struct pollfd stream = {.fd = victim->stream, .events = POLLIN};
  if (draw(crash, 2) > 0)
    usleep((useconds_t)draw(crash, DELAY_MAX_US));
  else
    poll(&stream, 1, DELAY_MAX_US / 1000);
}

static void run_and_kill(struct crash *crash) {
  static char text[OUTPUT_MAX];
  struct victim victim;
  int status;
  size_t before = crash->client.count;
  *text = '\0';
  start(crash, &victim);
  size_t most = (draw(crash, 8) > 0 ? ACKS_MAX : LONG_ACKS_MAX) * crash->threads;
  size_t wanted = 1 + (size_t)draw(crash, most);
  /* Now and then it dies while it starts. */
  if (draw(crash, 8) > 0) read_lines(crash, &victim, text, wanted);
  wait_a_little(crash, &victim);
  kill(victim.pid, SIGKILL);
  assert_int_equal(waitpid(victim.pid, &status, 0), victim.pid);
  assert_true(WIFSIGNALED(status)); /* it has not ended by itself */
  read_lines(crash, &victim, text, SIZE_MAX);
  read_stream_to_its_end(crash, &victim);
  crash->live += crash->client.count - before;
  close(victim.out);
  close(victim.stream);
}

/* ---- the judge ---- */

/* The client goes on at an engine of this process, and reads all that there is. */
static void go_on(struct crash *crash) {
  const sse_hub_config hub = crash_hub;
  struct engine *engine =
      engine_up("sqlite", &(struct engine_config){.where = crash->file,
                                                  .hub = &hub,
                                                  .entries_max = CRASH_ENTRIES_MAX,
                                                  .load_max = CRASH_ENTRIES_MAX});
  client_open(&crash->client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  /* It was given nothing that the file does not have. */
  assert_int_equal(sse_stream_resume_result(crash->client.stream), SSE_RESUME_RESUMED);
  client_read(&crash->client);
  client_close(&crash->client);
  engine_down(engine);
}

/*
 * Of this round, the client has each thread's events from the first on, in order and once: all that
 * were acknowledged, and at most one more, which was under way.
 */
static void judge(struct crash *crash) {
  unsigned given[CRASH_THREADS_MAX] = {0};
  if (crash->client.gaps > 0) fail_msg("a gap");
  for (; crash->judged < crash->client.count; crash->judged++) {
    const struct seen *seen = &crash->client.seen[crash->judged];
    unsigned thread, serial;
    if (sscanf(seen->data, "%u %u", &thread, &serial) != 2 || thread >= crash->threads)
      fail_msg("an event of nobody: \"%s\"", seen->data);
    if (serial != crash->first + given[thread]++)
      fail_msg("thread %u: event %u instead of %u", thread, serial,
               crash->first + given[thread] - 1);
    /* No transaction was taken back, so there is no hole. */
    assert_int_equal(seen->number, crash->judged + 1);
  }
  for (unsigned i = 0; i < crash->threads; i++)
    if (given[i] < crash->acked[i] || given[i] > crash->acked[i] + 1)
      fail_msg("thread %u: %u events acknowledged, %u given", i, crash->acked[i], given[i]);
}

static void play_round(struct crash *crash) {
  crash->threads = 1 + (unsigned)draw(crash, CRASH_THREADS_MAX);
  memset(crash->acked, 0, sizeof crash->acked);
  run_and_kill(crash);
  go_on(crash);
  judge(crash);
  crash->first += 1000000;
}

static unsigned long setting(const char *name, unsigned long otherwise) {
  const char *value = getenv(name);
  return value ? strtoul(value, NULL, 10) : otherwise;
}

static void nothing_acknowledged_is_lost(void **state) {
  (void)state;
  struct crash crash = {.file = fresh_file(), .random = setting("SSE_CRASH_SEED", 1)};
  unsigned long rounds = setting("SSE_CRASHES", ROUNDS);
  client_init(&crash.client);
  /* So that the client has an id before the first round. */
  const sse_hub_config hub = crash_hub;
  struct engine *engine =
      engine_up("sqlite", &(struct engine_config){.where = crash.file, .hub = &hub});
  client_open(&crash.client, engine_hub(engine), &(sse_stream_config){.channel = "a"});
  client_read(&crash.client);
  client_close(&crash.client);
  engine_down(engine);
  for (unsigned long i = 0; i < rounds; i++) play_round(&crash);
  printf(
      "| %lu crashes, %llu events acknowledged, %zu given, %llu of them by streams that were cut "
      "off\n",
      rounds, crash.total, crash.client.count, crash.live);
  if (rounds >= ROUNDS) assert_true(crash.client.count > CRASH_ENTRIES_MAX);
  client_free(&crash.client);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  remove_files();
  return failed;
}
