/* SPDX-License-Identifier: MIT */
/* test_minimal.c: the README's program, run as its reader would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer.h"

static struct child child;

/* The program takes a port and says nothing, so a free one is looked up and then awaited. */
static int free_port(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
  close(fd);
  return ntohs(at.sin_port);
}

static void await_port(int port) {
  const struct timespec moment = {.tv_nsec = 2000000};
  int64_t until = now_ms() + PATIENCE_MS;
  int fd;
  while ((fd = dial(port)) < 0 && now_ms() < until) nanosleep(&moment, NULL);
  assert_true(fd >= 0);
  close(fd);
}

static int set_up(void **state) {
  char port[8];
  (void)state;
  snprintf(port, sizeof port, "%d", free_port());
  assert_true(child_run(&child, "minimal", (const char *const[]){port, NULL}));
  child.port = (int)strtol(port, NULL, 10);
  await_port(child.port);
  return 0;
}

/* It has no orderly end of its own: the signal ends it, so there is no exit status. */
static int tear_down(void **state) {
  (void)state;
  return child_stop(&child, SIGTERM) == -1 ? 0 : -1;
}

static void hear_time(struct listener *listener) {
  int hour, minute, second, end = 0;
  assert_true(hear_event(listener));
  assert_string_equal(listener->type, "message");
  assert_int_equal(sscanf(listener->data, "%2d:%2d:%2d%n", &hour, &minute, &second, &end), 3);
  assert_int_equal(end, 8);
  assert_int_equal(listener->data[end], '\0');
}

static void two_clients_hear_the_time(void **state) {
  (void)state;
  struct listener first, second;
  assert_true(listener_open(&first, child.port, NULL, 4096));
  assert_true(listener_open(&second, child.port, NULL, 4096));
  hear_time(&first);
  hear_time(&second);
  /* It may tick between the two openings. */
  while (first.seq != second.seq) hear_time(first.seq < second.seq ? &first : &second);
  for (int i = 0; i < 2; i++) {
    assert_string_equal(first.id, second.id);
    hear_time(&first);
    hear_time(&second);
  }
  assert_ptr_equal(strstr(first.head, "HTTP/1.1 200 OK\r\n"), first.head);
  listener_close(&first);
  listener_close(&second);
}

static void who_comes_back_goes_on(void **state) {
  (void)state;
  struct listener listener;
  char id[64];
  assert_true(listener_open(&listener, child.port, NULL, 4096));
  hear_time(&listener);
  snprintf(id, sizeof id, "%s", listener.id);
  unsigned long long seq = listener.seq;
  hear_time(&listener);
  listener_close(&listener);
  assert_true(listener_open(&listener, child.port, id, 4096));
  hear_time(&listener);
  assert_int_equal(listener.seq, seq + 1);
  listener_close(&listener);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(two_clients_hear_the_time, set_up, tear_down),
      cmocka_unit_test_setup_teardown(who_comes_back_goes_on, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
