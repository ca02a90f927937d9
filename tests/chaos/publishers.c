/* SPDX-License-Identifier: MIT */
/* publishers.c: publishers that try an event with an id of the application until it is answered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

enum {
  ATTEMPTS_MAX = 30
};

struct publisher {
  int fd, event; /* -1: none */
  int is_last;   /* its event is tried for ever */
  int64_t begin_us, until_us;
  char request[512], reply[1024];
  size_t unsent, len;
};

static struct publisher publishers[PUBLISHERS];
static struct trial *the_trial;
static const struct options *the_options;
static int is_stopped, has_lied;

void publishers_init(struct trial *trial, const struct options *options) {
  the_trial = trial;
  the_options = options;
  for (int i = 0; i < PUBLISHERS; i++)
    publishers[i] = (struct publisher){
        .fd = -1, .event = -1, .begin_us = now_us() + 1000000 + random_below(100000)};
}

static void begin(struct publisher *publisher, unsigned channels, int has_own_id) {
  struct sent *event = trial_add_event(the_trial);
  publisher->event = the_trial->event_count - 1;
  event->channels = channels;
  event->has_own_id = has_own_id;
  event->sent_us = event->ended_us = now_us();
}

static void write_request(struct publisher *publisher) {
  const struct sent *event = &the_trial->events[publisher->event];
  char payload[PAYLOAD_MAX], target[256] = "";
  size_t len = 0;
  trial_payload(publisher->event, payload);
  for (int i = 0; i < CHANNELS; i++)
    if (event->channels >> i & 1)
      len += (size_t)snprintf(target + len, sizeof target - len, "channel=c%d&", i);
  if (event->has_own_id) snprintf(target + len, sizeof target - len, "id=app-%d", publisher->event);
  publisher->unsent =
      (size_t)snprintf(publisher->request, sizeof publisher->request,
                       "POST /publish?%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                       "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s",
                       target, strlen(payload), payload);
}

static void rest(struct publisher *publisher, int pause_us) {
  if (publisher->fd >= 0) close(publisher->fd);
  publisher->fd = -1;
  publisher->begin_us = now_us() + pause_us;
}

/* The attempt has failed. Without an id of its own, an event is not tried again. */
static void fail(struct publisher *publisher) {
  struct sent *event = &the_trial->events[publisher->event];
  event->ended_us = now_us();
  if (!publisher->is_last && (!event->has_own_id || event->attempts >= ATTEMPTS_MAX))
    publisher->event = -1;
  rest(publisher, 50000 + random_below(150000));
}

static void acknowledge(struct publisher *publisher, const char *id) {
  struct sent *event = &the_trial->events[publisher->event];
  event->acked_us = event->ended_us = now_us();
  if (!event->has_own_id && trial_read_id(the_trial, id, &event->epoch, &event->number) != 0) {
    fprintf(stderr, "chaos: a publish was answered with the id \"%s\"\n", id);
    abort();
  }
  publisher->event = -1;
  rest(publisher, 40000 + random_below(80000));
}

static void try_event(struct publisher *publisher) {
  if (publisher->event < 0) {
    unsigned channels = 1u << random_below(CHANNELS);
    if (random_below(16) == 0) channels |= 1u << random_below(CHANNELS);
    /* The last channel retains so little that an id could be free before it is tried again. */
    begin(publisher, channels, !(channels >> (CHANNELS - 1) & 1) && random_below(2));
  }
  struct sent *event = &the_trial->events[publisher->event];
  if (the_options->breakage == BREAK_LIE && !has_lied && event->has_own_id &&
      publisher->event > 100) {
    has_lied = 1;
    event->attempts = 1;
    acknowledge(publisher, "");
    return;
  }
  publisher->fd = dial_at_once(world_port(random_below(NODES)));
  if (publisher->fd < 0) {
    rest(publisher, 50000 + random_below(100000));
    return;
  }
  event->attempts++;
  publisher->len = 0;
  publisher->until_us = now_us() + 500000 + random_below(2500000);
  write_request(publisher);
}

static void receive(struct publisher *publisher) {
  char id[200] = "";
  ssize_t got = recv(publisher->fd, publisher->reply + publisher->len,
                     sizeof publisher->reply - 1 - publisher->len, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) {
    publisher->len += (size_t)got;
    return;
  }
  publisher->reply[publisher->len] = '\0';
  const char *body = strstr(publisher->reply, "{\"status\":\"ok\",\"id\":\"");
  if (strncmp(publisher->reply, "HTTP/1.1 200 ", 13) == 0 && body && strchr(body, '}')) {
    snprintf(id, sizeof id, "%.*s", (int)strcspn(body + 21, "\""), body + 21);
    acknowledge(publisher, id);
  } else {
    fail(publisher);
  }
}

static void send_request(struct publisher *publisher) {
  if (send(publisher->fd, publisher->request, publisher->unsent, MSG_NOSIGNAL) !=
      (ssize_t)publisher->unsent)
    fail(publisher);
  else
    publisher->unsent = 0;
}

int publishers_watch(struct pollfd *fds) {
  for (int i = 0; i < PUBLISHERS; i++) {
    struct publisher *publisher = &publishers[i];
    if (publisher->fd < 0 && now_us() >= publisher->begin_us &&
        (publisher->event >= 0 || !is_stopped))
      try_event(publisher);
    fds[i] = (struct pollfd){.fd = publisher->fd, .events = publisher->unsent ? POLLOUT : POLLIN};
  }
  return PUBLISHERS;
}

void publishers_serve(const struct pollfd *fds, int count) {
  for (int i = 0; i < count; i++) {
    struct publisher *publisher = &publishers[i];
    if (publisher->fd < 0 || publisher->fd != fds[i].fd) continue;
    if (fds[i].revents && publisher->unsent)
      send_request(publisher);
    else if (fds[i].revents)
      receive(publisher);
    if (publisher->fd >= 0 && now_us() > publisher->until_us) fail(publisher);
  }
}

void publishers_stop(void) {
  is_stopped = 1;
}

int publishers_are_idle(void) {
  int busy = 0;
  for (int i = 0; i < PUBLISHERS; i++) busy += publishers[i].event >= 0;
  return busy == 0;
}

void publishers_say_last(int last[CHANNELS]) {
  for (int i = 0; i < CHANNELS; i++) {
    begin(&publishers[i], 1u << i, 1);
    publishers[i].is_last = 1;
    last[i] = publishers[i].event;
  }
}
