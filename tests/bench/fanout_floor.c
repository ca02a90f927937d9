/* SPDX-License-Identifier: MIT */
/* fanout_floor.c: the least that a server can do: a loop of send() over the sockets of a channel.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fanout.h"

#define FDS_MAX      32768
#define CHANNELS_MAX 4096
#define EVENTS_MAX   512
#define CONTROL_MAX  ((size_t)4 << 20)

/* Events in the order and the form in which every client gets them. */
struct log {
  char *bytes;
  size_t len, cap;
  size_t *ends; /* of each frame */
  unsigned frames, frames_cap;
  int *fds; /* of its streams */
  unsigned fds_count, fds_cap;
  bool dirty;
};

/* A stream, by its fd: how far it has come. */
struct place {
  size_t at;
  unsigned frame; /* the first that is not out whole */
  unsigned short channel;
  bool waiting; /* for its socket to have room */
  bool open;
};

static struct log logs[CHANNELS_MAX];
static struct place places[FDS_MAX];
static unsigned dirty[CHANNELS_MAX], dirty_count;
static char control[CONTROL_MAX];
static size_t control_len;
static int epoll_fd, batch_max;

static void watch(int how, int fd, unsigned events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll_fd, how, fd, &event) != 0) abort();
}

static void *grown(void *block, size_t *cap, size_t need, size_t size) {
  if (need <= *cap) return block;
  while (*cap < need) *cap = *cap ? *cap * 2 : 16;
  block = realloc(block, *cap * size);
  if (!block) abort();
  return block;
}

static void append_frame(struct log *log, const char *data, size_t len) {
  size_t cap = log->frames_cap;
  log->bytes = grown(log->bytes, &log->cap, log->len + len + 64, 1);
  log->ends = grown(log->ends, &cap, log->frames + 1, sizeof *log->ends);
  log->frames_cap = (unsigned)cap;
  char *to = log->bytes + log->len;
  memcpy(to, "data: ", 6);
  memcpy(to + 6, data, len);
  int tail = snprintf(to + 6 + len, 58, "\nid: AAAAAAAAAAA.%u\n\n", log->frames + 1);
  log->len += 6 + len + (size_t)tail;
  log->ends[log->frames++] = log->len;
}

static void close_stream(int fd) {
  struct log *log = &logs[places[fd].channel];
  unsigned i = 0;
  while (log->fds[i] != fd) i++;
  log->fds[i] = log->fds[--log->fds_count];
  places[fd].open = false;
  close(fd);
}

/* One send of up to `batch` frames that wait; false if the socket is full. */
static bool send_some(const struct log *log, int fd, unsigned batch) {
  struct place *place = &places[fd];
  unsigned upto = log->frames - place->frame < batch ? log->frames : place->frame + batch;
  size_t len = log->ends[upto - 1] - place->at;
  ssize_t sent = send(fd, log->bytes + place->at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) place->at += (size_t)sent;
  while (place->frame < upto && log->ends[place->frame] <= place->at) place->frame++;
  return sent == (ssize_t)len;
}

static void catch_up(int fd) {
  struct place *place = &places[fd];
  const struct log *log = &logs[place->channel];
  while (place->frame < log->frames) {
    if (send_some(log, fd, (unsigned)batch_max)) continue;
    if (!place->waiting) watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
    place->waiting = true;
    return;
  }
  if (place->waiting) watch(EPOLL_CTL_MOD, fd, EPOLLIN);
  place->waiting = false;
}

static void fan_out(const struct log *log) {
  for (unsigned i = 0; i < log->fds_count; i++) {
    if (!places[log->fds[i]].waiting) catch_up(log->fds[i]);
  }
}

static void fan_out_dirty(void) {
  for (unsigned i = 0; i < dirty_count; i++) {
    logs[dirty[i]].dirty = false;
    fan_out(&logs[dirty[i]]);
  }
  dirty_count = 0;
}

static unsigned channel_of(const char *head) {
  const char *line_end = strchr(head, '\r'), *at = strstr(head, "channel=");
  unsigned channel = at && at < line_end ? (unsigned)strtoul(at + 8, NULL, 10) : 0;
  if (channel >= CHANNELS_MAX) abort();
  return channel;
}

static void publish(unsigned channel, const char *at, const char *end) {
  struct log *log = &logs[channel];
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    append_frame(log, at, (size_t)(stop - at));
    at = stop + 1;
    /* One send per delivery is one round over all sockets for each event. */
    if (batch_max == 1) fan_out(log);
  }
  if (batch_max == 1 || log->dirty) return;
  log->dirty = true;
  dirty[dirty_count++] = channel;
}

static void open_stream(int fd, const char *head) {
  static const char reply[] =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\n";
  unsigned channel = channel_of(head);
  struct log *log = &logs[channel];
  size_t cap = log->fds_cap;
  log->fds = grown(log->fds, &cap, log->fds_count + 1, sizeof *log->fds);
  log->fds_cap = (unsigned)cap;
  log->fds[log->fds_count++] = fd;
  places[fd] = (struct place){log->len, log->frames, (unsigned short)channel, false, true};
  const char *last = strstr(head, "Last-Event-ID: AAAAAAAAAAA.");
  if (last) {
    places[fd].frame = (unsigned)strtoul(strchr(last, '.') + 1, NULL, 10);
    places[fd].at = places[fd].frame ? log->ends[places[fd].frame - 1] : 0;
  }
  if (send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL) < 0)
    close_stream(fd);
  else
    catch_up(fd);
}

/* Takes whole posts off the front of what came over the control connection. */
static void take_posts(int fd) {
  static const char reply[] = "HTTP/1.1 204 No Content\r\n\r\n";
  char *at = control, *end = control + control_len;
  for (char *body; (body = memmem(at, (size_t)(end - at), "\r\n\r\n", 4));) {
    body += 4;
    const char *length = strstr(at, "Content-Length: ");
    size_t len = length && length < body ? strtoul(length + 16, NULL, 10) : 0;
    if (len > (size_t)(end - body)) break;
    unsigned channel = channel_of(at);
    publish(channel, body, body + len);
    if (send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL) < 0) return;
    at = body + len;
  }
  control_len = (size_t)(end - at);
  memmove(control, at, control_len + 1);
}

/* A request for a stream comes whole; posts may be cut, and come over one connection at a time. */
static void read_from(int fd) {
  char dropped[512];
  if (places[fd].open) {
    if (recv(fd, dropped, sizeof dropped, 0) <= 0) close_stream(fd);
    return;
  }
  ssize_t got = recv(fd, control + control_len, sizeof control - control_len - 1, 0);
  if (got <= 0) {
    close(fd);
    control_len = 0;
    return;
  }
  control_len += (size_t)got;
  control[control_len] = '\0';
  if (control_len > 4 && memcmp(control, "GET ", 4) == 0) {
    control_len = 0;
    open_stream(fd, control);
  } else {
    take_posts(fd);
  }
}

static void accept_all(int listener) {
  int fd, on = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= FDS_MAX) abort();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(EPOLL_CTL_ADD, fd, EPOLLIN);
  }
}

static int listen_anywhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 4096) != 0) abort();
  getsockname(fd, (struct sockaddr *)&address, &len);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int fanout_floor(unsigned batch) {
  static struct epoll_event found[EVENTS_MAX];
  int listener = listen_anywhere();
  batch_max = (int)batch;
  epoll_fd = epoll_create1(0);
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);
  for (;;) {
    int count = epoll_wait(epoll_fd, found, EVENTS_MAX, -1);
    if (count < 0 && errno != EINTR) return EXIT_FAILURE;
    for (int i = 0; i < count; i++) {
      int fd = found[i].data.fd;
      if (fd == listener)
        accept_all(listener);
      else if (found[i].events & EPOLLIN)
        read_from(fd);
      else if (places[fd].open && (found[i].events & (EPOLLERR | EPOLLHUP)))
        close_stream(fd);
      else if (places[fd].open)
        catch_up(fd);
    }
    fan_out_dirty();
  }
}
