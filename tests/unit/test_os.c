/* SPDX-License-Identifier: MIT */
/* test_os.c: a system that refuses, or interrupts, as one that works does not: its calls are
 * wrapped. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "setting.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- locks that cannot be had ---- */

static struct {
  int mutex, attr, clock, cond; /* what each answers; 0: what the system does */
} refuses;

int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr) {
  return refuses.mutex ? refuses.mutex : __real_pthread_mutex_init(mutex, attr);
}

int __real_pthread_condattr_init(pthread_condattr_t *attr);
int __wrap_pthread_condattr_init(pthread_condattr_t *attr);
int __wrap_pthread_condattr_init(pthread_condattr_t *attr) {
  return refuses.attr ? refuses.attr : __real_pthread_condattr_init(attr);
}

int __real_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock) {
  return refuses.clock ? refuses.clock : __real_pthread_condattr_setclock(attr, clock);
}

int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr) {
  return refuses.cond ? refuses.cond : __real_pthread_cond_init(cond, attr);
}

/* Neither a hub nor a stream comes to be, and nothing is left of it. */
static void without_locks(void **state) {
  static const struct {
    const char *name;
    int mutex, attr, clock, cond;
    bool stream; /* a stream of its own needs it, too */
  } rows[] = {
      {"no mutex", EAGAIN, 0, 0, 0, false},
      {"no attributes", 0, ENOMEM, 0, 0, true},
      {"no clock", 0, 0, EINVAL, 0, true},
      {"no condition variable", 0, 0, 0, ENOMEM, true},
  };
  const sse_stream_config config = {.channel = "a"};
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct world world = {0};
    sse_hub_config hub_config = {.epoch = "E"};
    sse_hub *hub = NULL;
    sse_stream *stream = NULL;
    print_message("  %s\n", rows[i].name);
    world_open(&world, &hub_config);
    world_send(&world, "a", "x");
    size_t blocks = world_blocks();
    world_callbacks(&world, &hub_config);
    refuses.mutex = rows[i].mutex;
    refuses.attr = rows[i].attr;
    refuses.clock = rows[i].clock;
    refuses.cond = rows[i].cond;
    assert_int_equal(sse_hub_new(&hub, &hub_config), SSE_ENOMEM);
    assert_null(hub);
    int error = sse_stream_open(&stream, world.hub, &config);
    memset(&refuses, 0, sizeof refuses);
    assert_int_equal(error, rows[i].stream ? SSE_ENOMEM : SSE_OK);
    if (error) assert_null(stream);
    sse_stream_free(stream);
    assert_int_equal(world_blocks(), blocks);
    assert_int_equal(sse_hub_count(world.hub, NULL), 0);
    world_close(&world);
  }
}

/* ---- lengths that do not fit ---- */

static const char *endless; /* a text that is said to be so long */
static size_t endless_len;

size_t __real_strlen(const char *text);
size_t __wrap_strlen(const char *text);
size_t __wrap_strlen(const char *text) {
  return endless && text == endless ? endless_len : __real_strlen(text);
}

/* Where addresses have 32 bits, one long header that is there three times is more than a length. */
static void a_head_longer_than_a_length(void **state) {
  static const char header[] = "X-Long: x";
  const char *const headers[] = {header, header, header, NULL};
  const sse_http_head head = {.headers = headers};
  char buf[64] = "";
  (void)state;
  endless = header;
  endless_len = SSIZE_MAX / 2;
  ssize_t len = sse_http_stream_head(NULL, 0, &head);
  ssize_t cut = sse_http_stream_head(buf, 16, &head);
  endless = NULL;
  assert_int_equal(len, SSE_ETOOBIG);
  assert_int_equal(cut, SSE_ETOOBIG);
  assert_string_equal(buf, "HTTP/1.1 200 OK\r");
  assert_true(sse_http_stream_head(NULL, 0, &head) > 0);
}

/* A head that is a length, and still more than a frame holds, opens no stream. */
static void a_head_longer_than_a_frame(void **state) {
  static const char header[] = "X-Long: x";
  const char *const headers[] = {header, header, NULL};
  const sse_http_head head = {.headers = headers};
  const sse_stream_config config = {.channel = "a", .head = &head};
  struct world world = {0};
  sse_stream *stream = NULL;
  (void)state;
  world_open(&world, NULL);
  world_send(&world, "a", "x");
  size_t blocks = world_blocks();
  sse_stream_free(world_stream(&world, "a", NULL, NULL)); /* there is room for its timer */
  endless = header;
  endless_len = (size_t)1 << 29;
  int error = sse_stream_open(&stream, world.hub, &config);
  endless = NULL;
  assert_int_equal(error, SSE_ETOOBIG);
  assert_null(stream);
  assert_int_equal(world_blocks(), blocks);
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  assert_non_null(strstr(world_read(stream), "X-Long: x\r\nX-Long: x\r\n"));
  sse_stream_free(stream);
  world_close(&world);
}

/* ---- sockets ---- */

/* What a call answers next: an errno, events of poll, or DO: what the system does. */
#define DO      (-1)
#define NOTHING (-2) /* poll: its time is over */
#define STEPS   3

static struct {
  bool on;
  int send[STEPS], poll[STEPS], recv[STEPS];
  size_t sends, polls, recvs; /* steps taken */
  int timeout_ms;             /* of the last poll */
  short events;
  int pending;         /* the error of a socket; 0: what the system has */
  struct world *world; /* where something is published while poll waits for nothing */
} sockets;

static int next(const int *steps, size_t *at) {
  if (!sockets.on) return DO;
  assert_true(*at < STEPS);
  return steps[(*at)++];
}

ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags) {
  int step = next(sockets.send, &sockets.sends);
  if (step == DO) return __real_send(fd, buf, len, flags);
  errno = step;
  return -1;
}

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags) {
  int step = next(sockets.recv, &sockets.recvs);
  if (step == DO) return __real_recv(fd, buf, len, flags);
  errno = step;
  return step == 0 ? 0 : -1;
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
  int step = next(sockets.poll, &sockets.polls);
  if (step == DO) return __real_poll(fds, count, timeout_ms);
  sockets.timeout_ms = timeout_ms;
  sockets.events = fds->events;
  if (sockets.world) world_send(sockets.world, "a", "y");
  sockets.world = NULL;
  fds->revents = step == NOTHING ? 0 : (short)step;
  return step == NOTHING ? 0 : 1;
}

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len) {
  int result = __real_getsockopt(fd, level, name, value, len);
  if (name == SO_ERROR && sockets.pending) *(int *)value = sockets.pending;
  return result;
}

/*
 * A blocking run with one event to send. Each row is what its calls answer, in order; the last of
 * them ends the run. `arrives`: whether the client has the event by then.
 */
static const struct run_row {
  const char *name;
  int send[STEPS], poll[STEPS], recv[STEPS];
  size_t recvs; /* that it made; where poll told of an error there is nothing to read */
  int end;
  bool arrives;
  int pending; /* the error that the socket has */
} run_rows[] = {
    {"interrupted, and gone", {EINTR, EINTR, EPIPE}, {0}, {0}, 0, SSE_ECLOSED, false, 0},
    {"reset", {ECONNRESET}, {0}, {0}, 0, SSE_ECLOSED, false, 0},
    {"timed out", {ETIMEDOUT}, {0}, {0}, 0, SSE_ESTALLED, false, 0},
    {"broken", {ENOBUFS}, {0}, {0}, 0, SSE_EIO, false, 0},
    {"interrupted, and sent", {EINTR, DO}, {POLLERR}, {0}, 0, SSE_ECLOSED, true, 0},
    {"sent, and the socket is none", {DO}, {POLLNVAL}, {0}, 0, SSE_ECLOSED, true, 0},
    {"sent, and closed", {DO}, {POLLIN}, {0}, 1, SSE_ECLOSED, true, 0},
    {"sent, and broken", {DO}, {POLLIN}, {EIO}, 1, SSE_ECLOSED, true, 0},
    {"full, and an error", {EAGAIN}, {POLLERR}, {0}, 0, SSE_ECLOSED, false, 0},
    {"full, and the socket is none", {EAGAIN}, {POLLNVAL}, {0}, 0, SSE_ECLOSED, false, 0},
    {"full, and closed", {EAGAIN}, {POLLHUP}, {0}, 1, SSE_ECLOSED, false, 0},
    {"full, and it has said that it closes", {EAGAIN}, {POLLIN}, {0}, 1, SSE_ECLOSED, false, 0},
    {"full, and it says more", {EAGAIN, DO}, {POLLIN, POLLIN}, {DO, 0}, 2, SSE_ECLOSED, true, 0},
    {"full, and it said naught",
     {EAGAIN, DO},
     {POLLIN, POLLIN},
     {EAGAIN, 0},
     2,
     SSE_ECLOSED,
     true,
     0},
    {"full, and interrupted", {EAGAIN, DO}, {POLLIN, POLLIN}, {EINTR, 0}, 2, SSE_ECLOSED, true, 0},
    {"full, and room", {EAGAIN, DO}, {POLLOUT, POLLERR}, {0}, 0, SSE_ECLOSED, true, 0},
    {"full for long",
     {EAGAIN, EAGAIN, DO},
     {NOTHING, NOTHING, POLLERR},
     {0},
     0,
     SSE_ECLOSED,
     true,
     0},
    {"full, and timed out", {EAGAIN}, {POLLERR}, {0}, 0, SSE_ESTALLED, false, ETIMEDOUT},
    {"sent, and timed out", {DO}, {POLLERR}, {0}, 0, SSE_ESTALLED, true, ETIMEDOUT},
    {"sent, and reset", {DO}, {POLLERR}, {0}, 0, SSE_ECLOSED, true, ECONNRESET},
};

static void a_run(const struct run_row *row) {
  const sse_stream_config stream = {.channel = "a"};
  char got[64] = "";
  struct setting s;
  int pair[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  open_setting(&s, false, NULL, &stream);
  world_send(&s.world, "a", "x");
  assert_int_equal(send(pair[1], "GET", 3, 0), 3);
  memset(&sockets, 0, sizeof sockets);
  memcpy(sockets.send, row->send, sizeof row->send);
  memcpy(sockets.poll, row->poll, sizeof row->poll);
  memcpy(sockets.recv, row->recv, sizeof row->recv);
  sockets.pending = row->pending;
  sockets.on = true;
  int end = sse_stream_run(s.stream, pair[0]);
  sockets.on = false;
  assert_int_equal(end, row->end);
  if (end == SSE_ESTALLED) { /* it counts as one that the stall deadline ended */
    struct iovec iov;
    assert_int_equal(sse_stream_peek(s.stream, &iov, 1), SSE_ESTALLED);
  }
  for (size_t i = 0; i < STEPS; i++) { /* it took all that was there for it */
    if (row->send[i]) assert_true(i < sockets.sends);
    if (row->poll[i]) assert_true(i < sockets.polls);
  }
  assert_int_equal(sockets.recvs, row->recvs);
  ssize_t len = recv(pair[1], got, sizeof got - 1, MSG_DONTWAIT);
  assert_int_equal(len, row->arrives ? (ssize_t)strlen(EVENT("x", "E.1")) : -1);
  assert_string_equal(got, row->arrives ? EVENT("x", "E.1") : "");
  close(pair[0]);
  close(pair[1]);
  close_setting(&s);
}

static void every_run(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(run_rows); i++) {
    print_message("  %s\n", run_rows[i].name);
    a_run(&run_rows[i]);
  }
}

/* A full socket is waited for, and so is what the client says meanwhile; one with room is not. */
static void what_a_run_waits_for(void **state) {
  static const struct run_row full = {"full", {EAGAIN}, {POLLERR}, {0}, 0, SSE_ECLOSED, false, 0};
  static const struct run_row sent = {"sent", {DO}, {POLLERR}, {0}, 0, SSE_ECLOSED, true, 0};
  (void)state;
  a_run(&full);
  assert_int_equal(sockets.events, POLLIN | POLLOUT);
  assert_int_equal(sockets.timeout_ms, 1000);
  a_run(&sent);
  assert_int_equal(sockets.events, POLLIN);
  assert_int_equal(sockets.timeout_ms, 0);
}

/* A client that is there and says nothing has what comes later, too. */
static void a_run_goes_on(void **state) {
  const sse_stream_config stream = {.channel = "a"};
  char got[64] = "";
  struct setting s;
  int pair[2];
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  open_setting(&s, false, NULL, &stream);
  world_send(&s.world, "a", "x");
  memset(&sockets, 0, sizeof sockets);
  sockets.send[0] = sockets.send[1] = DO;
  sockets.poll[0] = NOTHING;
  sockets.poll[1] = POLLERR;
  sockets.world = &s.world;
  sockets.on = true;
  assert_int_equal(sse_stream_run(s.stream, pair[0]), SSE_ECLOSED);
  sockets.on = false;
  assert_int_equal(sockets.polls, 2);
  assert_true(recv(pair[1], got, sizeof got - 1, MSG_DONTWAIT) > 0);
  assert_string_equal(got, EVENT("x", "E.1") EVENT("y", "E.2"));
  close(pair[0]);
  close(pair[1]);
  close_setting(&s);
}

/* ---- sockets that are prepared ---- */

enum refusing {
  ONE,   /* this option */
  EACH,  /* whatever the option */
  RISING /* the same, with one errno more each time */
};

/* Options that are refused with an errno; 0: none. */
static struct {
  enum refusing what;
  int level, name, error;
  size_t calls; /* how many options were tried */
} deaf;

int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len) {
  deaf.calls++;
  if (!deaf.error || (deaf.what == ONE && (level != deaf.level || name != deaf.name)))
    return __real_setsockopt(fd, level, name, value, len);
  errno = deaf.error;
  if (deaf.what == RISING) deaf.error++;
  return -1;
}

/* A connection of TCP to this program, whose server's side is in pair[0]. */
static void open_connection(int pair[2]) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
  assert_int_equal(listen(listener, 1), 0);
  pair[1] = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(connect(pair[1], (struct sockaddr *)&at, sizeof at), 0);
  pair[0] = accept(listener, NULL, NULL);
  assert_true(pair[0] >= 0);
  close(listener);
}

static int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
  return value;
}

/* What a socket has afterwards. How much of the time is of which option differs between systems. */
static void every_option(void **state) {
  static const struct {
    const char *name;
    int32_t hub_ms, stream_ms; /* stall_ms; 0: the default */
    int keep_alive, idle_s, interval_s;
    int linux_ms; /* TCP_USER_TIMEOUT; elsewhere in seconds, rounded up */
  } rows[] = {
      {"the default", 0, 0, 1, 30, 10, 60000},
      {"the hub's", 12000, 0, 1, 6, 2, 12000},
      {"the stream's", 12000, 4000, 1, 2, 1, 4000},
      {"no whole seconds", 0, 6001, 1, 4, 2, 6001},
      {"the shortest", 0, 1, 1, 1, 1, 1},
      {"the longest", 0, INT32_MAX, 1, 32767, 32767, INT32_MAX},
      {"none", 0, SSE_NEVER, 0, 0, 0, 0},
      {"none, the hub's", SSE_NEVER, 0, 0, 0, 0, 0},
  };
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    const sse_hub_config hub = {.stall_ms = rows[i].hub_ms};
    const sse_stream_config stream = {.channel = "a", .stall_ms = rows[i].stream_ms};
    struct setting s;
    int pair[2];
    print_message("  %s\n", rows[i].name);
    open_connection(pair);
    open_setting(&s, i % 2, &hub, &stream);
    assert_int_equal(sse_stream_prepare_fd(s.stream, pair[0]), SSE_OK);
    assert_true(option_of(pair[0], IPPROTO_TCP, TCP_NODELAY));
    assert_int_equal(!!option_of(pair[0], SOL_SOCKET, SO_KEEPALIVE), rows[i].keep_alive);
#if defined(TCP_NOTSENT_LOWAT)
    assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 128 * 1024);
#endif
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
    if (rows[i].keep_alive) {
      assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_KEEPIDLE), rows[i].idle_s);
      assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_KEEPINTVL), rows[i].interval_s);
      assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_KEEPCNT), 3);
    }
#endif
#if defined(TCP_USER_TIMEOUT)
    assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_USER_TIMEOUT), rows[i].linux_ms);
#elif defined(TCP_MAXUNACKTIME)
    assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_MAXUNACKTIME),
                     (rows[i].linux_ms + INT64_C(999)) / 1000);
#endif
    close(pair[0]);
    close(pair[1]);
    close_setting(&s);
  }
}

#if defined(TCP_USER_TIMEOUT)

/* What the system refuses is reported, and all else is set. */
static void options_that_are_refused(void **state) {
  static const struct {
    const char *name;
    int level, option, error;
    enum refusing what;
    int result, kept; /* errno */
  } rows[] = {
      {"all there", 0, 0, 0, ONE, SSE_OK, 0},
      {"no deadline", IPPROTO_TCP, TCP_USER_TIMEOUT, ENOPROTOOPT, ONE, SSE_ENOTFOUND, ENOPROTOOPT},
      {"a deadline refused", IPPROTO_TCP, TCP_USER_TIMEOUT, EINVAL, ONE, SSE_EIO, EINVAL},
      {"keep-alive refused", SOL_SOCKET, SO_KEEPALIVE, ENOBUFS, ONE, SSE_EIO, ENOBUFS},
      {"a time refused", IPPROTO_TCP, TCP_KEEPIDLE, EINVAL, ONE, SSE_EIO, EINVAL},
      {"no limit on unsent bytes", IPPROTO_TCP, TCP_NOTSENT_LOWAT, ENOPROTOOPT, ONE, SSE_OK, 0},
      {"all refused, the first counts", 0, 0, 1, RISING, SSE_EIO, 1},
      {"none there", 0, 0, ENOPROTOOPT, EACH, SSE_ENOTFOUND, ENOPROTOOPT},
  };
  const sse_stream_config stream = {.channel = "a"};
  size_t all = 0;
  (void)state;
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct setting s;
    int pair[2];
    print_message("  %s\n", rows[i].name);
    open_connection(pair);
    open_setting(&s, false, NULL, &stream);
    deaf.level = rows[i].level;
    deaf.name = rows[i].option;
    deaf.error = rows[i].error;
    deaf.what = rows[i].what;
    deaf.calls = 0;
    errno = 0;
    assert_int_equal(sse_stream_prepare_fd(s.stream, pair[0]), rows[i].result);
    deaf.error = 0;
    if (rows[i].result) assert_int_equal(errno, rows[i].kept);
    if (i == 0) all = deaf.calls;
    assert_int_equal(deaf.calls, all);
    world_send(&s.world, "a", "x"); /* the stream goes on */
    assert_int_equal(sse_stream_flush_fd(s.stream, pair[0]), SSE_OK);
    close(pair[0]);
    close(pair[1]);
    close_setting(&s);
  }
}

#endif

/* What is no connection of TCP: with a deadline, and without. */
static void other_descriptors(void **state) {
  enum {
    UNIX = 0,
    PIPE = 2,
    CLOSED = 4,
    DATAGRAM,
    OTHER,
    ALL
  };
  static const struct {
    const char *name;
    int fd, bounded, unbounded, error;
  } rows[] = {
    {"a Unix-domain socket", UNIX, SSE_OK, SSE_OK, 0},
    {"a pipe", PIPE, SSE_EIO, SSE_EIO, ENOTSOCK},
    {"no descriptor", CLOSED, SSE_EIO, SSE_EIO, EBADF},
#if defined(AF_NETLINK)
    {"UDP", DATAGRAM, SSE_ENOTFOUND, SSE_OK, ENOPROTOOPT},
    {"another family", OTHER, SSE_ENOTFOUND, SSE_OK, ENOPROTOOPT},
#endif
  };
  int fds[ALL];
  (void)state;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds + UNIX), 0);
  assert_int_equal(pipe(fds + PIPE), 0);
  fds[CLOSED] = -1;
  fds[DATAGRAM] = socket(AF_INET, SOCK_DGRAM, 0);
#if defined(AF_NETLINK)
  fds[OTHER] = socket(AF_NETLINK, SOCK_RAW, 0);
#else
  fds[OTHER] = -1;
#endif
  for (size_t i = 0; i < 2 * COUNT(rows); i++) {
    const sse_stream_config stream = {.channel = "a", .stall_ms = i % 2 ? SSE_NEVER : 0};
    int want = i % 2 ? rows[i / 2].unbounded : rows[i / 2].bounded;
    struct setting s;
    if (i % 2 == 0) print_message("  %s\n", rows[i / 2].name);
    open_setting(&s, false, NULL, &stream);
    errno = 0;
    assert_int_equal(sse_stream_prepare_fd(s.stream, fds[rows[i / 2].fd]), want);
    if (want) assert_int_equal(errno, rows[i / 2].error);
    close_setting(&s);
  }
  for (int i = 0; i < ALL; i++)
    if (fds[i] >= 0) close(fds[i]);
}

/* A run prepares its socket before it sends. */
static void a_run_prepares(void **state) {
  const sse_stream_config stream = {.channel = "a", .stall_ms = 4000};
  struct setting s;
  int pair[2];
  (void)state;
  open_connection(pair);
  open_setting(&s, false, NULL, &stream);
  memset(&sockets, 0, sizeof sockets);
  sockets.poll[0] = POLLERR;
  sockets.on = true;
  assert_int_equal(sse_stream_run(s.stream, pair[0]), SSE_ECLOSED);
  sockets.on = false;
  assert_true(option_of(pair[0], SOL_SOCKET, SO_KEEPALIVE));
#if defined(TCP_USER_TIMEOUT)
  assert_int_equal(option_of(pair[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 4000);
#endif
  close(pair[0]);
  close(pair[1]);
  close_setting(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_locks),
    cmocka_unit_test(a_head_longer_than_a_length),
    cmocka_unit_test(a_head_longer_than_a_frame),
    cmocka_unit_test(every_run),
    cmocka_unit_test(what_a_run_waits_for),
    cmocka_unit_test(a_run_goes_on),
    cmocka_unit_test(every_option),
#if defined(TCP_USER_TIMEOUT)
    cmocka_unit_test(options_that_are_refused),
#endif
    cmocka_unit_test(other_descriptors),
    cmocka_unit_test(a_run_prepares),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
