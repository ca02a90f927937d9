/* SPDX-License-Identifier: MIT */
/*
 * test_vanished.c: clients that vanish without FIN or RST, while little is sent to them.
 *
 * A client vanishes with a filter on its own socket, through which no packet comes: its system
 * acknowledges nothing from then on, and answers nothing. To the server that looks as a cable does
 * that was cut, and it needs neither root nor a network namespace.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../demo/peer.h"
#include "short.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* At the latest a client is let go after a heartbeat and the stall deadline; a server that probes
 * once a second, and a machine that is busy, need some more. Without a deadline it takes Linux 15
 * minutes. */
#define EARLIEST_MS (STALL_MS - 500)
#define LATEST_MS   (HEARTBEAT_MS + STALL_MS + 10000)

/* ---- Clients ---- */

static void vanish(int fd) {
  struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
  const struct sock_fprog filter = {.len = 1, .filter = &nothing};
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), 0);
}

/* Reads what has come, so that the client's buffer is not what fills up. */
static void hear(int fd) {
  char waste[4096];
  while (recv(fd, waste, sizeof waste, MSG_DONTWAIT) > 0) continue;
}

/* ---- Programs ---- */

static struct program {
  const char *name, *path;  /* in $SSE_BUILD */
  const char *arguments[9]; /* "PORT" becomes a free port */
  const char *target;
  struct child child;
  int fd; /* of its client; -1: it is not built */
  int sockets;
  int64_t let_go_ms; /* after the client vanished; -1: not yet */
} programs[] = {
#define HOST(host, tick_ms)                                                                        \
  .path = "examples/hosts/" host, .arguments = {"--port",     "PORT", "--tick-ms",      tick_ms,   \
                                                "--stall-ms", "4000", "--heartbeat-ms", "1000"},   \
  .target = "/stream"
    {.name = "minimal, 1 event/s",
     .path = "tests/vanished/minimal",
     .arguments = {"PORT"},
     .target = "/"},
    {.name = "dice-roll, heartbeats",
     .path = "tests/vanished/dice-roll",
     .arguments = {"--port", "PORT", "--interval", "3600"},
     .target = "/stream/"},
    {.name = "dice-roll, 5 events/s",
     .path = "tests/vanished/dice-roll",
     .arguments = {"--port", "PORT", "--interval", "0.2"},
     .target = "/stream/"},
    {.name = "poll, heartbeats", HOST("poll", "0")},
    {.name = "poll, 5 events/s", HOST("poll", "200")},
    {.name = "thread, heartbeats", HOST("thread", "0")},
    {.name = "thread, 5 events/s", HOST("thread", "200")},
    {.name = "libmicrohttpd, heartbeats", HOST("libmicrohttpd", "0")},
    {.name = "evhttp, heartbeats", HOST("evhttp", "0")},
    {.name = "libuv, heartbeats", HOST("libuv", "0")},
};

static int count_sockets(pid_t pid) {
  char path[64], link[64];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
  DIR *dir = opendir(path);
  if (!dir) return -1;
  for (const struct dirent *entry; (entry = readdir(dir));) {
    ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link);
    if (len > 7 && strncmp(link, "socket:", 7) == 0) count++;
  }
  closedir(dir);
  return count;
}

/* Starts the program, and opens a stream. */
static void open_program(struct program *program) {
  char path[4096], port[8], request[128], head[4096];
  const char *build = getenv("SSE_BUILD"), *arguments[9] = {NULL};
  const struct timespec moment = {.tv_nsec = 2000000};
  int64_t until = now_ms() + PATIENCE_MS;
  program->fd = -1;
  program->let_go_ms = -1;
  snprintf(path, sizeof path, "%s/%s", build ? build : "build", program->path);
  if (access(path, X_OK)) {
    print_message("  %s: left out, it is not built\n", program->name);
    return;
  }
  int number = free_port();
  assert_true(number > 0);
  snprintf(port, sizeof port, "%d", number);
  for (int i = 0; program->arguments[i]; i++)
    arguments[i] = strcmp(program->arguments[i], "PORT") == 0 ? port : program->arguments[i];
  assert_true(child_exec(&program->child, path, arguments));
  while ((program->fd = dial(number)) < 0 && now_ms() < until) nanosleep(&moment, NULL);
  assert_true(program->fd >= 0);
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", program->target);
  say(program->fd, request);
  assert_true(hear_until(program->fd, head, sizeof head, "sse-position"));
  program->sockets = count_sockets(program->child.pid);
  assert_true(program->sockets > 0);
}

static void look_at_program(struct program *program, int64_t since_ms) {
  if (program->fd < 0 || program->let_go_ms >= 0) return;
  int sockets = count_sockets(program->child.pid);
  assert_true(sockets >= 0); /* the program still runs */
  if (sockets < program->sockets) program->let_go_ms = now_ms() - since_ms;
}

static void close_program(struct program *program) {
  if (program->fd >= 0) close(program->fd);
  program->fd = -1;
  if (program->child.pid > 0) child_stop(&program->child, SIGTERM);
}

/* ---- The library's own calls, in threads ---- */

static sse_hub *hub;
static atomic_bool over; /* for the stream that nothing else ends */

static struct own {
  const char *name;
  bool prepared, run;
  int32_t heartbeat_ms;
  int fds[2]; /* the server's and the client's */
  sse_stream *stream;
  pthread_t thread;
  atomic_int end; /* what ended it; 0: nothing yet */
  int64_t let_go_ms;
} own_rows[] = {
    {.name = "sse_stream_run, no heartbeat",
     .prepared = true,
     .run = true,
     .heartbeat_ms = SSE_NEVER},
    {.name = "sse_stream_flush_fd, prepared", .prepared = true, .heartbeat_ms = HEARTBEAT_MS},
    {.name = "sse_stream_flush_fd, not prepared", .heartbeat_ms = HEARTBEAT_MS},
};

static void *serve(void *arg) {
  struct own *own = arg;
  int result = SSE_OK;
  if (own->prepared && !own->run) sse_stream_prepare_fd(own->stream, own->fds[0]);
  if (own->run) result = sse_stream_run(own->stream, own->fds[0]);
  while (!over && !sse_error_is_final(result)) {
    result = sse_stream_wait(own->stream, 100);
    if (result > 0) result = sse_stream_flush_fd(own->stream, own->fds[0]);
  }
  own->end = sse_error_is_final(result) ? result : 0;
  return NULL;
}

static void open_own(struct own *own, int listener, int port) {
  const sse_stream_config config = {.channel = "a", .heartbeat_ms = own->heartbeat_ms};
  char first[512];
  own->fds[1] = dial(port);
  own->fds[0] = accept(listener, NULL, NULL);
  assert_true(own->fds[0] >= 0 && own->fds[1] >= 0);
  own->let_go_ms = -1;
  assert_int_equal(sse_stream_open(&own->stream, hub, &config), SSE_OK);
  assert_int_equal(pthread_create(&own->thread, NULL, serve, own), 0);
  assert_true(hear_until(own->fds[1], first, sizeof first, "sse-position"));
}

static void open_all_own(void) {
  const sse_hub_config config = {.stall_ms = STALL_MS};
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
  assert_int_equal(listen(listener, 8), 0);
  assert_int_equal(sse_hub_new(&hub, &config), SSE_OK);
  for (size_t i = 0; i < COUNT(own_rows); i++) open_own(&own_rows[i], listener, ntohs(at.sin_port));
  close(listener);
}

static void close_all_own(void) {
  over = true;
  for (size_t i = 0; i < COUNT(own_rows); i++) {
    struct own *own = &own_rows[i];
    shutdown(own->fds[0], SHUT_RDWR); /* for a run that has not ended */
    pthread_join(own->thread, NULL);
    sse_stream_free(own->stream);
    close(own->fds[0]);
    close(own->fds[1]);
  }
  assert_int_equal(sse_hub_free(hub), SSE_OK);
}

/* ---- All at once: they wait more than they work ---- */

/* Which are still there that should not be. */
static size_t look_at_all(int64_t since_ms) {
  size_t left = 0;
  for (size_t i = 0; i < COUNT(programs); i++) {
    look_at_program(&programs[i], since_ms);
    left += programs[i].fd >= 0 && programs[i].let_go_ms < 0;
  }
  for (size_t i = 0; i < COUNT(own_rows); i++) {
    struct own *own = &own_rows[i];
    if (own->end && own->let_go_ms < 0) own->let_go_ms = now_ms() - since_ms;
    left += own->prepared && own->let_go_ms < 0;
  }
  return left;
}

/* Whether a client was let go in time; without a deadline it must not be, or the test is none. */
static size_t judge(const char *name, bool prepared, int64_t let_go_ms) {
  bool good = prepared ? let_go_ms >= EARLIEST_MS && let_go_ms <= LATEST_MS : let_go_ms < 0;
  if (let_go_ms < 0)
    printf("| %s | still open |%s\n", name, good ? "" : " WRONG");
  else
    printf("| %s | %.1f s |%s\n", name, (double)let_go_ms / 1000, good ? "" : " WRONG");
  return !good;
}

static void clients_that_vanish(void **state) {
  const struct timespec moment = {.tv_nsec = 20000000};
  size_t wrong = 0;
  (void)state;
  open_all_own();
  for (size_t i = 0; i < COUNT(programs); i++) open_program(&programs[i]);
  for (size_t i = 0; i < COUNT(programs); i++)
    if (programs[i].fd >= 0) hear(programs[i].fd), vanish(programs[i].fd);
  for (size_t i = 0; i < COUNT(own_rows); i++) hear(own_rows[i].fds[1]), vanish(own_rows[i].fds[1]);
  int64_t began = now_ms();
  /* The one that nothing ends is watched as long as the others, and longer than they may take. */
  while ((look_at_all(began) > 0 || now_ms() < began + HEARTBEAT_MS + STALL_MS + 2000) &&
         now_ms() < began + LATEST_MS)
    nanosleep(&moment, NULL);
  for (size_t i = 0; i < COUNT(programs); i++)
    if (programs[i].fd >= 0) wrong += judge(programs[i].name, true, programs[i].let_go_ms);
  for (size_t i = 0; i < COUNT(own_rows); i++)
    wrong += judge(own_rows[i].name, own_rows[i].prepared, own_rows[i].let_go_ms);
  assert_int_equal(wrong, 0);
  for (size_t i = 0; i < COUNT(own_rows); i++)
    if (own_rows[i].prepared) assert_int_equal(own_rows[i].end, SSE_ESTALLED);
}

static int tear_down(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(programs); i++) close_program(&programs[i]);
  if (hub) close_all_own();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(clients_that_vanish, tear_down)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
