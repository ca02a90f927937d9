/* SPDX-License-Identifier: MIT */
/* fanout_load.c: opens streams, publishes, and waits until every client has every event. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fanout_client.h"
#include "measure.h"

#define FOUND_MAX    512
#define GIVE_UP_NS   10e9  /* without any progress */
#define PER_ADDRESS  16384 /* streams from one address; there are some 28,000 ports */
#define CONTROL      UINT32_MAX
#define STALLED_ROOM 4096

struct load {
  pid_t server;
  int port, epoll;
  struct client *clients;
  unsigned count, channels, ready, *per_channel;
  int *stalled, control;
  unsigned stalled_count;
  char *out; /* posts that are on their way */
  size_t out_len, out_sent, out_cap;
  struct ledger ledger;
  double failed;
};

static void give_up(const char *what) {
  fprintf(stderr, "fanout load: %s: %s\n", what, strerror(errno));
  exit(EXIT_FAILURE);
}

static void *must_have(void *block) {
  if (!block) give_up("memory");
  return block;
}

/* ---- connections ---- */

/* Several addresses of the loopback network, so that ports do not run out. */
static int connect_from(const struct load *load, unsigned index, int room) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)load->port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in from = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(0x7f000101u + index / PER_ADDRESS)};
  const struct linger reset = {.l_onoff =
                                   1}; /* closes without a port that lies idle for a minute */
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) give_up("socket");
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (room) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) give_up("bind");
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) give_up("connect");
  if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) give_up("fcntl");
  return fd;
}

static void watch(const struct load *load, int how, int fd, uint32_t index, unsigned events) {
  struct epoll_event event = {.events = events, .data.u32 = index};
  if (epoll_ctl(load->epoll, how, fd, &event) != 0) give_up("epoll_ctl");
}

static void ask_for_stream(int fd, unsigned channel, const char *last_id) {
  char request[512];
  int len = snprintf(
      request, sizeof request,
      "GET /stream?channel=%u HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n"
      "%s%s%s\r\n",
      channel, last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
  if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) give_up("request");
}

static void break_off(struct load *load, struct client *client) {
  if (client->phase == CLIENT_BROKEN) return;
  close(client->fd);
  client->phase = CLIENT_BROKEN;
  load->failed++;
}

/* ---- one look at all sockets ---- */

static void send_posts(struct load *load) {
  size_t left = load->out_len - load->out_sent;
  ssize_t sent = left ? send(load->control, load->out + load->out_sent, left, MSG_NOSIGNAL) : 0;
  if (sent < 0 && errno != EAGAIN) give_up("post");
  if (sent > 0) load->out_sent += (size_t)sent;
  bool more = load->out_sent < load->out_len;
  if (left) watch(load, EPOLL_CTL_MOD, load->control, CONTROL, EPOLLIN | (more ? EPOLLOUT : 0u));
}

static void read_answers(const struct load *load) {
  static char answers[65536];
  ssize_t got = recv(load->control, answers, sizeof answers - 1, 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) give_up("publishing connection");
  if (got < 0) return;
  answers[got] = '\0';
  if (strstr(answers, "HTTP/1.1 4") || strstr(answers, "HTTP/1.1 5"))
    fprintf(stderr, "fanout load: refused: %.200s\n", answers);
}

static void look(struct load *load, int timeout_ms) {
  static struct epoll_event found[FOUND_MAX];
  int count = epoll_wait(load->epoll, found, FOUND_MAX, timeout_ms);
  for (int i = 0; i < count; i++) {
    if (found[i].data.u32 == CONTROL) {
      read_answers(load);
      if (found[i].events & EPOLLOUT) send_posts(load);
      continue;
    }
    struct client *client = &load->clients[found[i].data.u32];
    bool reads_head = client->phase == CLIENT_HEAD;
    if (!client_read(client, &load->ledger)) break_off(load, client);
    if (reads_head && client->phase == CLIENT_BODY) load->ready++;
  }
}

/*
 * Until nothing is owed any more, or nothing has come for long. It never sleeps: to wake a client
 * up costs the server's processor as much as the send itself, and how often a client sleeps hangs
 * on how far ahead of the server it is, which is not what is to be measured.
 */
static void look_until_delivered(struct load *load) {
  uint64_t pending = load->ledger.pending;
  double since = measure_now_ns();
  while (load->ledger.pending > 0) {
    look(load, 0);
    double now = measure_now_ns();
    if (load->ledger.pending < pending) since = now;
    pending = load->ledger.pending;
    if (now - since > GIVE_UP_NS) return;
  }
}

/* ---- opening ---- */

static void close_all(struct load *load) {
  for (unsigned i = 0; i < load->count; i++) {
    if (load->clients[i].phase != CLIENT_BROKEN) close(load->clients[i].fd);
    free(load->clients[i].kept);
  }
  for (unsigned i = 0; i < load->stalled_count; i++) close(load->stalled[i]);
  load->count = load->ready = load->stalled_count = 0;
}

static void open_client(struct load *load, unsigned index) {
  struct client *client = &load->clients[index];
  unsigned channel = index % load->channels;
  *client = (struct client){.fd = connect_from(load, index, 0),
                            .channel = channel,
                            .next = load->ledger.ordinals[channel] + 1,
                            .tells = index == 0};
  load->per_channel[channel]++;
  watch(load, EPOLL_CTL_ADD, client->fd, index, EPOLLIN);
}

static void await_heads(struct load *load) {
  double start = measure_now_ns();
  while (load->ready + load->failed < load->count && measure_now_ns() - start < GIVE_UP_NS)
    look(load, 100);
  load->failed = load->count - load->ready;
}

/* What the server sends on opening, and what it frees after, is not to be measured. */
static void settle(const struct load *load) {
  double before, now = process_cpu_ns(load->server);
  int turns = 0;
  do {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    before = now;
    now = process_cpu_ns(load->server);
  } while (now > before && ++turns < 200);
}

static void open_all(struct load *load, const struct load_command *command) {
  close_all(load);
  settle(load);
  load->channels = command->channels ? command->channels : 1;
  load->clients = must_have(realloc(load->clients, command->streams * sizeof *load->clients));
  free(load->per_channel);
  load->per_channel = must_have(calloc(load->channels, sizeof *load->per_channel));
  if (!load->ledger.ordinals)
    load->ledger.ordinals = must_have(calloc(65536, sizeof *load->ledger.ordinals));
  load->failed = 0;
  for (unsigned i = 0; i < command->streams; i++) {
    open_client(load, i);
    ask_for_stream(load->clients[i].fd, load->clients[i].channel, NULL);
    load->count++;
    if (i % 64 == 0) look(load, 0);
  }
  await_heads(load);
  load->stalled = must_have(realloc(load->stalled, (command->stalled + 1) * sizeof(int)));
  for (; load->stalled_count < command->stalled; load->stalled_count++) {
    load->stalled[load->stalled_count] = connect_from(load, 0, STALLED_ROOM);
    ask_for_stream(load->stalled[load->stalled_count], 0, NULL);
  }
  settle(load);
  look(load, 0);
}

/* ---- publishing ---- */

static void write_out(struct load *load, const char *bytes, size_t len) {
  if (load->out_len + len > load->out_cap) {
    load->out_cap = 2 * (load->out_len + len);
    load->out = must_have(realloc(load->out, load->out_cap));
  }
  memcpy(load->out + load->out_len, bytes, len);
  load->out_len += len;
}

static void write_post(struct load *load, unsigned channel, unsigned bytes, unsigned batch) {
  char head[160];
  int len =
      snprintf(head, sizeof head,
               "POST /publish?channel=%u HTTP/1.1\r\nHost: bench\r\nContent-Length: %u\r\n\r\n",
               channel, batch * (bytes + 1) - 1);
  write_out(load, head, (size_t)len);
  for (unsigned i = 0; i < batch; i++) {
    const struct entry *entry =
        ledger_event(&load->ledger, channel, bytes, load->per_channel[channel]);
    write_out(load, entry->data, bytes);
    if (i + 1 < batch) write_out(load, "\n", 1);
  }
}

/* One post after the other is delivered, or at the given rate, or all posts at once. */
static size_t publish_all(struct load *load, const struct load_command *command, double *last_ns) {
  double start = measure_now_ns();
  size_t posts = (command->events + command->batch - 1) / command->batch;
  for (size_t i = 0; i < posts; i++) {
    while (command->rate && measure_now_ns() < start + (double)i * 1e9 / command->rate)
      look(load, 0);
    if (load->out_sent == load->out_len) load->out_len = load->out_sent = 0;
    unsigned channel = command->rate ? (unsigned)i % load->channels : 0;
    double sent = measure_now_ns();
    write_post(load, channel, command->bytes, command->batch);
    if (!command->flood) send_posts(load);
    if (command->flood || command->rate) continue;
    look_until_delivered(load);
    last_ns[i] = load->ledger.last_ns - sent;
    /* What is lost once is lost again, and each loss takes long to be sure of. */
    if (load->ledger.pending > 0) return i + 1;
  }
  if (command->flood) send_posts(load);
  look_until_delivered(load);
  if (!command->flood && !command->rate) return posts;
  last_ns[0] = load->ledger.last_ns - start;
  return 1;
}

static int by_latency(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void measure_start(struct load *load) {
  struct ledger *ledger = &load->ledger;
  ledger->deliveries = ledger->repeated = ledger->damaged = 0;
  ledger->latencies_count = 0;
  ledger->pending = 0;
}

static void measure_end(struct load *load, struct load_result *result) {
  struct ledger *ledger = &load->ledger;
  size_t count = ledger->latencies_count;
  result->deliveries = ledger->deliveries;
  result->repeated = ledger->repeated;
  result->damaged = ledger->damaged;
  result->lost = (double)ledger->pending;
  result->failed = load->failed;
  if (count == 0) return;
  qsort(ledger->latencies, count, sizeof *ledger->latencies, by_latency);
  result->p50_ns = (double)ledger->latencies[count / 2];
  result->p99_ns = (double)ledger->latencies[count * 99 / 100];
}

static void publish(struct load *load, const struct load_command *command,
                    struct load_result *result) {
  double *last_ns = must_have(calloc(command->events, sizeof *last_ns));
  measure_start(load);
  double cpu = process_cpu_ns(load->server), start = measure_now_ns();
  size_t count = publish_all(load, command, last_ns);
  result->wall_ns = load->ledger.last_ns - start;
  settle(load);
  result->cpu_ns = process_cpu_ns(load->server) - cpu;
  result->last_ns = measure_median(last_ns, count);
  free(last_ns);
  measure_end(load, result);
}

/* ---- resuming ---- */

/* All come at once: the connections are there, and the requests go out together. */
static void resume(struct load *load, const struct load_command *command,
                   struct load_result *result) {
  char last_id[sizeof load->ledger.last_id];
  struct load_command one = *command;
  one.events = one.batch = 1;
  publish(load, &one, result);
  memcpy(last_id, load->ledger.last_id, sizeof last_id);
  unsigned count = load->count;
  publish(load, command, result);
  close_all(load);
  memset(load->per_channel, 0, load->channels * sizeof *load->per_channel);
  settle(load);
  for (unsigned i = 0; i < count; i++) open_client(load, i);
  load->count = count;
  load->failed = 0;
  settle(load);
  measure_start(load);
  for (unsigned i = 0; i < command->events; i++) {
    unsigned number = load->ledger.number - i;
    load->ledger.entries[number % LEDGER_EVENTS].left = count;
    load->ledger.pending += count;
  }
  double cpu = process_cpu_ns(load->server), start = measure_now_ns();
  for (unsigned i = 0; i < count; i++) {
    load->clients[i].next -= command->events;
    ask_for_stream(load->clients[i].fd, 0, last_id);
  }
  look_until_delivered(load);
  result->last_ns = result->wall_ns = load->ledger.last_ns - start;
  settle(load);
  result->cpu_ns = process_cpu_ns(load->server) - cpu;
  measure_end(load, result);
}

/* ---- commands ---- */

static bool read_whole(int fd, void *to, size_t size) {
  ssize_t got = read(fd, to, size);
  return got == (ssize_t)size;
}

static void open_load(struct load *load) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  load->epoll = epoll_create1(EPOLL_CLOEXEC);
  load->ledger.entries = must_have(calloc(LEDGER_EVENTS, sizeof *load->ledger.entries));
  load->ledger.latencies = must_have(calloc(LATENCIES_MAX, sizeof *load->ledger.latencies));
  load->control = connect_from(load, 0, 0);
  watch(load, EPOLL_CTL_ADD, load->control, CONTROL, EPOLLIN);
}

void fanout_load(pid_t server, int port, int in, int out) {
  struct load load = {.server = server, .port = port};
  struct load_command command;
  open_load(&load);
  while (read_whole(in, &command, sizeof command) && command.what != LOAD_END) {
    if (!load.clients && command.what != LOAD_CONNECT) break;
    struct load_result result = {0};
    if (command.what == LOAD_CONNECT) {
      open_all(&load, &command);
      result.failed = load.failed;
    } else if (command.what == LOAD_PUBLISH) {
      publish(&load, &command, &result);
    } else {
      resume(&load, &command, &result);
    }
    result.resident_bytes = process_resident_bytes(server);
    if (write(out, &result, sizeof result) != sizeof result) break;
  }
  exit(EXIT_SUCCESS);
}
