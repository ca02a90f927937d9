/* SPDX-License-Identifier: MIT */
/* test_signed.c: lists of channels that are signed with HMAC-SHA256. */
#if defined(BROADCAST_CRYPTO)

#include <sys/stat.h>

#include "sign.h"

#define SECRET "signing-secret-of-32-bytes-or-more"
#define OLDER  "an-older-secret-of-32-bytes-or-more"

/* For 2100 and the channels café, news and orders/42: by PHP, Python and openssl alike, as in the
 * examples of broadcast(1). */
#define SIGNED                                                                                     \
  "expires=4102444800&signature=925a88749a3b06af1a4287334eeea8641f6ab6a8c15cfb2a78d4b89bd3f15da7"

static char secret_file[] = "/tmp/broadcast-signed-XXXXXX";
static struct child server;

static void write_secrets(const char *text) {
  FILE *to = fopen(secret_file, "w");
  assert_non_null(to);
  fputs(text, to);
  assert_int_equal(fclose(to), 0);
}

static int start_server(void **state) {
  (void)state;
  int fd = mkstemp(secret_file);
  if (fd < 0) return -1;
  close(fd);
  write_secrets(SECRET "\n# the one before\n" OLDER "\n");
  server_start(&server, (const char *const[]){"--sign-secret-file", secret_file, NULL});
  return 0;
}

static int stop_server(void **state) {
  (void)state;
  unlink(secret_file);
  return child_stop(&server, SIGTERM);
}

/* The parameters for a text that is signed with a secret. */
static const char *sign(const char *secret, double expires, const char *channels) {
  static char params[256], text[1024];
  unsigned char digest[32];
  snprintf(text, sizeof text, "subscribe\n%.0f\n%s", expires, channels);
  sign_hmac(digest, secret, text);
  int len = snprintf(params, sizeof params, "expires=%.0f&signature=", expires);
  for (int i = 0; i < 32; i++) sprintf(params + len + (size_t)2 * (size_t)i, "%02x", digest[i]);
  return params;
}

static void judge(const char *target, int wanted, const char *text) {
  int status = request(&server, target, "", "");
  if (status != wanted) fail_msg("%s: want %d, got %d: %s", target, wanted, status, answer);
  if (text && !strstr(answer, text)) fail_msg("%s: want %s: %s", target, text, answer);
  if ((strstr(answer, "WWW-Authenticate: Bearer\r\n") != NULL) != (status == 401))
    fail_msg("%s: %s", target, answer);
}

#define POLL     "GET /poll?timeout=0&"
#define MISSING  "a parameter is missing: signature or expires\n"
#define MISMATCH "the signature does not match expires and the channels\n"

static void each_list_is_judged(void **state) {
  (void)state;
  static const struct {
    const char *target;
    int status;
    const char *want;
  } rows[] = {
      {POLL SIGNED "&channel=caf%C3%A9&channel=news&channel=orders/42", 200, NULL},
      {POLL SIGNED "&channels=orders/42&channel=news&channel=caf%C3%A9", 200, NULL},
      {POLL SIGNED "&channel=news&channel=caf%C3%A9&channel=news&channel=orders/42", 200, NULL},
      {POLL "expires=4102444800&channel=caf%C3%A9&channel=news&channel=orders/42&signature="
            "925A88749A3B06AF1A4287334EEEA8641F6AB6A8C15CFB2A78D4B89BD3F15DA7",
       200, NULL},
      {POLL "channel=news", 401, MISSING},
      {POLL "channel=news&expires=4102444800", 401, MISSING},
      {POLL "channel=news&signature=00", 401, MISSING},
      {POLL SIGNED "&channel=caf%C3%A9&channel=news", 401, MISMATCH},
      {POLL SIGNED "&channel=caf%C3%A9&channel=news&channel=orders/42&channel=x", 401, MISMATCH},
      {POLL SIGNED "&channel=cafe&channel=news&channel=orders/42", 401, MISMATCH},
      {POLL "channel=news&expires=4102444800&signature=", 401, MISMATCH},
      {POLL "channel=news&expires=4102444800&signature=925a", 401, MISMATCH},
      {POLL "expires=4102444801&channel=caf%C3%A9&channel=news&channel=orders/42&signature="
            "925a88749a3b06af1a4287334eeea8641f6ab6a8c15cfb2a78d4b89bd3f15da7",
       401, MISMATCH},
      {POLL "expires=4102444800&channel=caf%C3%A9&channel=news&channel=orders/42&signature="
            "925a88749a3b06af1a4287334eeea8641f6ab6a8c15cfb2a78d4b89bd3f15da8",
       401, MISMATCH},
      {POLL "expires=4102444800&channel=caf%C3%A9&channel=news&channel=orders/42&signature="
            "925a88749a3b06af1a4287334eeea8641f6ab6a8c15cfb2a78d4b89bd3f15da70",
       401, MISMATCH},
      {POLL "expires=4102444800&channel=caf%C3%A9&channel=news&channel=orders/42&signature="
            "925a88749a3b06af1a4287334eeea8641f6ab6a8c15cfb2a78d4b89bd3f15dag",
       401, MISMATCH},
      {POLL "channel=news&expires=&signature=00", 401, "a whole number\n"},
      {POLL "channel=news&expires=-1&signature=00", 401, "a whole number\n"},
      {POLL "channel=news&expires=1e9&signature=00", 401, "a whole number\n"},
      {POLL "channel=news&expires=99999999999&signature=00", 401, "a whole number\n"},
      {POLL "channel=a%0ab&expires=4102444800&signature=00", 400, "control characters"},
      {"GET /position", 200, NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    judge(rows[i].target, rows[i].status, rows[i].want);
  /* Publishing has its own secrets, and here none. */
  publish(&server, "channel=news&message=m");
}

static void a_list_expires(void **state) {
  (void)state;
  char target[512];
  const double now = (double)time(NULL);
  const struct {
    const char *secret;
    double expires;
    int status;
    const char *want;
  } rows[] = {{SECRET, now + 3600, 200, NULL},
              {OLDER, now + 3600, 200, NULL},
              {"some-other-secret-of-32-bytes-or-more", now + 3600, 401, MISMATCH},
              {SECRET, now - 1, 401, "the signed list has expired\n"},
              {SECRET, 0, 401, "the signed list has expired\n"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(target, sizeof target, POLL "channel=a&%s",
             sign(rows[i].secret, rows[i].expires, "a\n"));
    judge(target, rows[i].status, rows[i].want);
  }
}

static void a_stream_ends_with_its_list(void **state) {
  (void)state;
  struct listener listener;
  static char target[512], text[65536];
  snprintf(target, sizeof target, "GET /?channel=a&%s",
           sign(SECRET, (double)time(NULL) + 2, "a\n"));
  stream_open(&listener, &server, target, "", "");
  assert_true(hear_all(listener.fd, text, sizeof text) > 0);
  const char *first = strstr(text, "retry: ");
  assert_non_null(strstr(text, "HTTP/1.1 200 "));
  assert_non_null(first);
  assert_non_null(strstr(first + 1, "retry: "));
  listener_close(&listener);
}

/* A change of an open stream needs a signature of the channels that it adds. */
static void an_open_stream_is_changed_by_list(void **state) {
  (void)state;
  struct listener listener;
  char target[512];
  const double later = (double)time(NULL) + 3600;
  snprintf(target, sizeof target, "GET /?channel=a&session=abcdefgh&%s",
           sign(SECRET, later, "a\n"));
  stream_open(&listener, &server, target, "", "");
  await_clients(&server, "a", 1);
  judge("POST /subscribe?session=abcdefgh&channel=b", 401, MISSING);
  snprintf(target, sizeof target, "POST /subscribe?session=abcdefgh&channel=b&%s",
           sign(SECRET, later, "a\nb\n"));
  judge(target, 401, MISMATCH);
  snprintf(target, sizeof target, "POST /subscribe?session=abcdefgh&channel=b&%s",
           sign(SECRET, later, "b\n"));
  judge(target, 200, NULL);
  await_clients(&server, "b", 1);
  listener_close(&listener);
  await_clients(&server, "a", 0);
}

static void reload(const char *wanted) {
  char line[512];
  kill(server.pid, SIGHUP);
  do assert_true(read_line(server.out, line, sizeof line));
  while (!strstr(line, "reloaded"));
  assert_string_equal(line, wanted);
}

/* The last test: it changes the secrets. */
static void secrets_are_rotated(void **state) {
  (void)state;
  char target[512];
  const double later = (double)time(NULL) + 3600;
  write_secrets(SECRET "\n");
  reload("broadcast: secrets, origins and limits are reloaded\n");
  snprintf(target, sizeof target, POLL "channel=a&%s", sign(OLDER, later, "a\n"));
  judge(target, 401, MISMATCH);
  write_secrets("short\n");
  reload("broadcast: nothing is reloaded\n");
  write_secrets("");
  reload("broadcast: nothing is reloaded\n");
  snprintf(target, sizeof target, POLL "channel=a&%s", sign(SECRET, later, "a\n"));
  judge(target, 200, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_list_is_judged),
      cmocka_unit_test(a_list_expires),
      cmocka_unit_test(a_stream_ends_with_its_list),
      cmocka_unit_test(an_open_stream_is_changed_by_list),
      cmocka_unit_test(secrets_are_rotated),
  };
  return cmocka_run_group_tests_name("broadcast, signed lists", tests, start_server, stop_server);
}

#else

#include "client.h"

/* Without libcrypto the option is refused. */
static void the_option_needs_libcrypto(void **state) {
  (void)state;
  char text[1024];
  assert_int_equal(child_outcome("broadcast",
                                 (const char *const[]){"--sign-secret-file", "x", NULL}, text,
                                 sizeof text),
                   2);
  assert_non_null(strstr(text, "this program was built without libcrypto"));
}

static void lists_are_read(void **state) {
  (void)state;
  print_message("libcrypto is missing; Debian has it in libssl-dev: make deps-broadcast\n");
  skip();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_option_needs_libcrypto),
                                     cmocka_unit_test(lists_are_read)};
  return cmocka_run_group_tests_name("broadcast, signed lists", tests, NULL, NULL);
}

#endif
