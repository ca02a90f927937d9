/* SPDX-License-Identifier: MIT */
/* publisher.c: publishes to an SQLite log from several threads until it is killed; for test_crash.
 *
 *   publisher FILE THREADS FIRST LAST_ID
 *
 * Each thread publishes "THREAD SERIAL" with serials from FIRST on. Descriptor 3 is the stream of a
 * client that comes with LAST_ID. Standard output has a line for each event that was acknowledged,
 * and one for the start. After CRASH_EVENTS_MAX events it only waits.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "crash.h"

static struct engine *engine;

struct thread {
  unsigned index, first, count;
  pthread_t thread;
};

/* One write for each line, which a pipe takes whole. */
static void say(const char *line) {
  if (write(STDOUT_FILENO, line, strlen(line)) < 0) _exit(1);
}

/* Payloads of different lengths, some longer than a page. */
static void *publish(void *arg) {
  const struct thread *thread = arg;
  static const char padding[CRASH_PADDING_MAX] = "";
  char text[CRASH_PADDING_MAX + 64], line[64];
  for (unsigned serial = thread->first; serial < thread->first + thread->count; serial++) {
    int len = snprintf(text, sizeof text, "%u %u", thread->index, serial);
    size_t padded = (size_t)len + serial * 7919u % sizeof padding;
    memset(text + len, ' ', padded - (size_t)len);
    const sse_event event = {.data = text, .data_len = padded};
    int error = engine_publish(engine, NAMES("a"), &event, NULL);
    snprintf(line, sizeof line, error ? "%u failed\n" : "%u %u\n", thread->index, serial);
    say(line);
    if (error) return NULL;
  }
  for (;;) pause();
}

static void *serve(void *arg) {
  sse_stream_run(arg, 3);
  return NULL;
}

int main(int argc, char **argv) {
  struct thread threads[CRASH_THREADS_MAX];
  pthread_t server;
  sse_stream *stream;
  if (argc != 5) return 2;
  unsigned count = (unsigned)strtoul(argv[2], NULL, 10);
  const sse_hub_config hub = crash_hub;
  engine = engine_up("sqlite", &(struct engine_config){.where = argv[1],
                                                       .hub = &hub,
                                                       .entries_max = CRASH_ENTRIES_MAX,
                                                       .load_max = CRASH_ENTRIES_MAX});
  const sse_stream_config config = {.channel = "a", .last_id = argv[4]};
  if (sse_stream_open(&stream, engine_hub(engine), &config)) return 1;
  say("started\n");
  pthread_create(&server, NULL, serve, stream);
  for (unsigned i = 0; i < count; i++) {
    threads[i] = (struct thread){.index = i,
                                 .first = (unsigned)strtoul(argv[3], NULL, 10),
                                 .count = CRASH_EVENTS_MAX / count};
    pthread_create(&threads[i].thread, NULL, publish, &threads[i]);
  }
  for (unsigned i = 0; i < count; i++) pthread_join(threads[i].thread, NULL);
  return 1;
}
