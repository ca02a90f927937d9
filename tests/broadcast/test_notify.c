/* SPDX-License-Identifier: MIT */
/* test_notify.c: what the broadcast server tells a service manager, on a socket of the test's. */
#include "client.h"

#include <sys/un.h>

#include "../../examples/broadcast/notify.h"

static char folder[] = "/tmp/broadcast-XXXXXX";
static char path[64];
static int manager = -1; /* the socket of the service manager */

static int manager_open(void **state) {
  (void)state;
  signal(SIGPIPE, SIG_IGN);
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/notify", folder);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, path, strlen(path) + 1);
  manager = socket(AF_UNIX, SOCK_DGRAM, 0);
  setenv("NOTIFY_SOCKET", path, 1);
  return manager >= 0 ? bind(manager, (struct sockaddr *)&address, sizeof address) : -1;
}

static int manager_close(void **state) {
  (void)state;
  close(manager);
  unlink(path);
  return rmdir(folder);
}

/* The next message, which has to come. */
static const char *told(void) {
  static char text[256];
  assert_true(await(manager, POLLIN, now_ms() + PATIENCE_MS));
  ssize_t len = recv(manager, text, sizeof text - 1, 0);
  assert_true(len >= 0);
  text[len] = '\0';
  return text;
}

static int is_silent(void) {
  char byte;
  return recv(manager, &byte, 1, MSG_DONTWAIT) < 0;
}

static void the_life_of_a_server_is_told(void **state) {
  (void)state;
  struct child child;
  unsetenv("WATCHDOG_USEC");
  server_start(&child, NULL);
  assert_string_equal(told(), "READY=1");
  kill(child.pid, SIGHUP);
  const char *reloading = told();
  assert_int_equal(strncmp(reloading, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
  assert_true(strtoll(reloading + 27, NULL, 10) / 1000 <= now_ms());
  assert_string_equal(told(), "READY=1");
  kill(child.pid, SIGTERM);
  assert_string_equal(told(), "STOPPING=1");
  assert_int_equal(child_wait(&child), 0);
  assert_true(is_silent());
}

static void a_server_that_answers_is_alive(void **state) {
  (void)state;
  static const char *const rows[][5] = {
      {"--threads", "2", NULL}, {"--host", "other", NULL}, {"--listen", "0.0.0.0", NULL}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct child child;
    setenv("WATCHDOG_USEC", "100000", 1);
    assert_true(child_run(&child, "broadcast",
                          (const char *const[]){"--port", "0", rows[i][0], rows[i][1], NULL}));
    unsetenv("WATCHDOG_USEC");
    int beats = 0, ready = 0;
    while (beats < 3 || !ready) {
      const char *text = told();
      beats += strcmp(text, "WATCHDOG=1") == 0;
      ready += strcmp(text, "READY=1") == 0;
    }
    assert_int_equal(child_stop(&child, SIGTERM), 0);
    while (!is_silent()) continue;
  }
}

static int accept_one(int listener) {
  assert_true(await(listener, POLLIN, now_ms() + PATIENCE_MS));
  int fd = accept(listener, NULL, NULL);
  assert_true(fd >= 0);
  return fd;
}

/* The test is the server here: no answer, another answer, and an answer. */
static void no_answer_is_no_life(void **state) {
  (void)state;
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
  assert_int_equal(listen(listener, 8), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
  char url[64], text[512];
  snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(address.sin_port));
  struct watchdog *watchdog;
  setenv("WATCHDOG_USEC", "100000", 1);
  assert_int_equal(watchdog_start(&watchdog, url), 0);
  assert_non_null(watchdog);
  static const char *const answers[] = {NULL, "", "no HTTP", "HTTP"};
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    int fd = accept_one(listener);
    if (answers[i]) {
      hear_until(fd, text, sizeof text, "\r\n\r\n");
      (void)!send(fd, answers[i], strlen(answers[i]), 0);
    } else { /* the next request comes when this one is over */
      assert_true(await(listener, POLLIN, now_ms() + PATIENCE_MS));
    }
    close(fd);
  }
  int fd = accept_one(listener);
  assert_true(is_silent());
  /* The interval may be over before this machine comes to it, and then there is another request. */
  for (int i = 0; i < 200; i++) {
    hear_until(fd, text, sizeof text, "\r\n\r\n");
    (void)!send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19, 0);
    if (await(manager, POLLIN, now_ms() + 100)) break;
    close(fd);
    fd = accept_one(listener);
  }
  assert_string_equal(told(), "WATCHDOG=1");
  watchdog_stop(watchdog);
  close(fd);
  close(listener);
  while (!is_silent()) continue;
}

/* Without a service manager, for another process, and with a limit that is none. */
static void nobody_is_told_without_being_asked(void **state) {
  (void)state;
  static const struct {
    const char *usec, *pid;
  } rows[] = {{NULL, NULL}, {"0", NULL}, {"-1", NULL}, {"soon", NULL}, {"100000", "1"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct watchdog *watchdog;
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (rows[i].usec) setenv("WATCHDOG_USEC", rows[i].usec, 1);
    if (rows[i].pid) setenv("WATCHDOG_PID", rows[i].pid, 1);
    assert_int_equal(watchdog_start(&watchdog, "http://127.0.0.1:1/"), 0);
    assert_null(watchdog);
  }
  unsetenv("WATCHDOG_USEC");
  unsetenv("WATCHDOG_PID");
  static const char *const names[] = {"", "@", "/", "relative", "/nonexistent/socket"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    setenv("NOTIFY_SOCKET", names[i], 1);
    notify_send("READY=1");
  }
  setenv("NOTIFY_SOCKET", path, 1);
  assert_true(is_silent());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_life_of_a_server_is_told),
      cmocka_unit_test(a_server_that_answers_is_alive),
      cmocka_unit_test(no_answer_is_no_life),
      cmocka_unit_test(nobody_is_told_without_being_asked),
  };
  return cmocka_run_group_tests_name("broadcast, notify", tests, manager_open, manager_close);
}
