/* SPDX-License-Identifier: MIT */
/* clients.c: clients that move between nodes with their last id, by streams and by polls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"

enum {
  SILENCE_US = 4 * 1000 * 1000, /* a node that says nothing for so long is left */
  BREAK_AFTER = 20              /* events of the client whose connection is broken */
};

struct client {
  struct witness *witness;
  int fd, node, is_poll, is_past_head, has_body_id;
  int64_t silent_us, leave_us, return_us;
  char request[512]; /* what is not sent yet */
  size_t unsent;
  char *bytes;
  size_t len, cap;
  long body; /* bytes of a poll's body; -1: not known */
  char last_id[200];
  int events;
  char *kept; /* a block that waits for the next one, to change places */
};

static struct client clients[CLIENTS_MAX];
static int client_count, is_settled, broken;
static struct trial *the_trial;
static const struct options *the_options;

const char *const break_names[BREAKAGES] = {"nothing", "drop", "swap", "repeat", "gap", "lie"};

static unsigned channels_of(int number) {
  unsigned one = 1u << (number % CHANNELS);
  return number % 5 == 4 ? one | 1u << ((number / 5) % CHANNELS) : one;
}

void clients_init(struct trial *trial, const struct options *options) {
  the_trial = trial;
  the_options = options;
  client_count = options->clients;
  trial->witness_count = client_count;
  trial->witnesses = calloc((size_t)client_count, sizeof *trial->witnesses);
  if (!trial->witnesses) abort();
  for (int i = 0; i < client_count; i++) {
    trial->witnesses[i].channels = channels_of(i);
    clients[i] = (struct client){.witness = &trial->witnesses[i], .fd = -1};
    clients[i].return_us = now_us() + random_below(500000);
  }
}

/* ---- blocks ---- */

static void note(struct client *client, struct note note) {
  note.us = now_us();
  note.node = (uint8_t)client->node;
  trial_add_note(client->witness, &note);
}

static void strange(struct client *client) {
  note(client, (struct note){.kind = NOTE_STRANGE, .event = -1, .epoch = -1});
}

static unsigned channels_in(const char *json) {
  unsigned channels = 0;
  const char *list = strstr(json, "\"channels\":[");
  for (int i = 0; list && i < CHANNELS; i++) {
    char name[8];
    snprintf(name, sizeof name, "\"c%d\"", i);
    if (strstr(list, name)) channels |= 1u << i;
  }
  return channels;
}

static enum gap_reason reason_in(const char *json) {
  for (int i = 0; i < GAP_OTHER; i++) {
    char text[32];
    snprintf(text, sizeof text, "\"reason\":\"%s\"", gap_names[i]);
    if (strstr(json, text)) return (enum gap_reason)i;
  }
  return GAP_OTHER;
}

/* The event with this message; -1: nobody has sent it. */
static int event_of(const char *data) {
  int event = -1;
  char payload[PAYLOAD_MAX];
  if (sscanf(data, "event %d ", &event) != 1 || event < 0 || event >= the_trial->event_count)
    return -1;
  trial_payload(event, payload);
  return strcmp(payload, data) == 0 ? event : -1;
}

/* An event with an id of the application, "app-INDEX". */
static int is_own_id(const char *id, int event) {
  char own[32];
  snprintf(own, sizeof own, "app-%d", event);
  return strcmp(own, id) == 0;
}

static void take_event(struct client *client, const char *type, const char *data, const char *id) {
  struct note what = {.event = -1, .epoch = -1};
  int epoch = -1;
  if (*id && trial_read_id(the_trial, id, &epoch, &what.number) == 0) what.epoch = (int16_t)epoch;
  if (strcmp(type, "gap") == 0) {
    what.kind = NOTE_GAP;
    what.reason = (uint8_t)reason_in(data);
    what.channels = (uint8_t)channels_in(data);
  } else if (strcmp(type, "sse-position") == 0) {
    what.kind = epoch >= 0 ? NOTE_POSITION : NOTE_STRANGE;
  } else {
    what.event = event_of(data);
    client->events++;
    what.kind = what.event >= 0 && *id && (epoch >= 0 || is_own_id(id, what.event)) ? NOTE_EVENT
                                                                                    : NOTE_STRANGE;
  }
  note(client, what);
  if (*id) snprintf(client->last_id, sizeof client->last_id, "%s", id);
}

/* One block, as the standard reads it. */
static void read_block(struct client *client, const char *block) {
  char type[32] = "message", id[200] = "", data[4096] = "";
  size_t data_len = 0;
  int has_data = 0;
  for (const char *line = block; *line;) {
    size_t len = strcspn(line, "\n");
    if (strncmp(line, "event: ", 7) == 0) {
      snprintf(type, sizeof type, "%.*s", (int)(len - 7), line + 7);
    } else if (strncmp(line, "id: ", 4) == 0) {
      snprintf(id, sizeof id, "%.*s", (int)(len - 4), line + 4);
    } else if (strncmp(line, "data:", 5) == 0 && data_len + len < sizeof data) {
      size_t skip = line[5] == ' ' ? 6 : 5;
      if (has_data) data[data_len++] = '\n';
      memcpy(data + data_len, line + skip, len - skip);
      data_len += len - skip;
      data[data_len] = '\0';
      has_data = 1;
    }
    line += len + (line[len] == '\n');
  }
  if (has_data) take_event(client, type, data, id);
}

/* Whether the block is the one to break: an event that is not among the first. */
static int is_to_break(const struct client *client, int is_event) {
  enum breakage breakage = the_options->breakage;
  return (breakage == BREAK_DROP || breakage == BREAK_SWAP || breakage == BREAK_REPEAT) &&
         client == clients && is_event && !broken && client->events >= BREAK_AFTER;
}

/* Stands between the node and the client, and breaks what it was told to. */
static void pass_block(struct client *client, const char *block) {
  enum breakage breakage = the_options->breakage;
  int is_event = strstr(block, "data: event ") != NULL;
  if (breakage == BREAK_GAP && client == clients && strstr(block, "event: gap\n")) return;
  if (is_to_break(client, is_event)) {
    broken = 1;
    if (breakage == BREAK_SWAP) client->kept = strdup(block);
    for (int i = 0; breakage == BREAK_REPEAT && i < 2; i++) read_block(client, block);
    return;
  }
  read_block(client, block);
  if (!client->kept || !is_event) return;
  read_block(client, client->kept);
  free(client->kept);
  client->kept = NULL;
}

/* Passes on all whole blocks; what is not whole stays. */
static void read_blocks(struct client *client) {
  char *at = client->bytes, *end;
  while ((end = strstr(at, "\n\n"))) {
    *end = '\0';
    pass_block(client, at);
    at = end + 2;
  }
  client->len -= (size_t)(at - client->bytes);
  memmove(client->bytes, at, client->len + 1);
}

/* ---- connections ---- */

static void leave(struct client *client, int pause_us) {
  if (client->fd >= 0) close(client->fd);
  client->fd = -1;
  client->return_us = now_us() + pause_us;
}

static void write_request(struct client *client) {
  char names[64] = "";
  size_t len = 0;
  for (int i = 0; i < CHANNELS; i++)
    if (client->witness->channels >> i & 1)
      len += (size_t)snprintf(names + len, sizeof names - len, "channel=c%d&", i);
  client->unsent = (size_t)snprintf(
      client->request, sizeof client->request,
      "GET /%s?%s%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n%s%s%s\r\n",
      client->is_poll ? "poll" : "stream", names, client->is_poll ? "timeout=1" : "",
      *client->last_id ? "Last-Event-ID: " : "", client->last_id, *client->last_id ? "\r\n" : "");
}

static void connect_client(struct client *client) {
  client->node = random_below(NODES);
  client->is_poll = !is_settled && random_below(4) == 0;
  client->fd = dial_at_once(world_port(client->node));
  if (client->fd < 0) {
    leave(client, 50000 + random_below(100000));
    return;
  }
  client->len = 0;
  client->body = -1;
  client->is_past_head = 0;
  client->silent_us = now_us() + SILENCE_US;
  client->leave_us = now_us() + 100000 + random_below(random_below(4) ? 1500000 : 8000000);
  write_request(client);
}

/* Only a connection that was answered tells the judge where the client stood. */
static void note_begin(struct client *client) {
  struct note what = {
      .kind = *client->last_id ? NOTE_RETURN : NOTE_FRESH, .event = -1, .epoch = -1};
  if (strncmp(client->last_id, "app-", 4) == 0)
    what.event = (int32_t)strtol(client->last_id + 4, NULL, 10);
  note(client, what);
}

/* 1: the head is read; 0: not yet; -1: this is no answer. */
static int read_head(struct client *client) {
  char *end = strstr(client->bytes, "\r\n\r\n");
  if (!end) return 0;
  *end = '\0';
  if (strncmp(client->bytes, "HTTP/1.1 200 ", 13) != 0) return -1;
  const char *length = strstr(client->bytes, "\r\nContent-Length: ");
  if (length) client->body = strtol(length + 18, NULL, 10);
  const char *header = strstr(client->bytes, "\r\nLast-Event-ID: ");
  char id[200] = "";
  if (header) snprintf(id, sizeof id, "%.*s", (int)strcspn(header + 17, "\r"), header + 17);
  client->len -= (size_t)(end + 4 - client->bytes);
  memmove(client->bytes, end + 4, client->len + 1);
  client->is_past_head = 1;
  note_begin(client);
  /* Kept in `request`, which was sent, until the body is whole. */
  snprintf(client->request, sizeof client->request, "%s", id);
  return 1;
}

static void read_poll(struct client *client) {
  if (client->body < 0 || (long)client->len < client->body) return;
  read_blocks(client);
  /* The header has the last id of the body; if the body is empty, it is the id to go on with. */
  if (the_options->breakage == BREAK_NOTHING && *client->request &&
      strcmp(client->request, client->last_id) != 0)
    strange(client);
  leave(client, random_below(100000));
}

static void receive(struct client *client) {
  if (client->cap < client->len + 65536) {
    client->cap = client->len + 262144;
    client->bytes = realloc(client->bytes, client->cap);
    if (!client->bytes) abort();
  }
  ssize_t got = recv(client->fd, client->bytes + client->len, client->cap - client->len - 1, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    leave(client, random_below(200000));
    return;
  }
  client->len += (size_t)got;
  client->bytes[client->len] = '\0';
  client->silent_us = now_us() + SILENCE_US;
  int has_head = client->is_past_head ? 1 : read_head(client);
  if (has_head < 0)
    leave(client, 100000 + random_below(200000));
  else if (has_head && client->is_poll)
    read_poll(client);
  else if (has_head)
    read_blocks(client);
}

static void send_request(struct client *client) {
  ssize_t put = send(client->fd, client->request, client->unsent, MSG_NOSIGNAL);
  if (put == (ssize_t)client->unsent)
    client->unsent = 0;
  else
    leave(client, 50000 + random_below(100000));
}

int clients_watch(struct pollfd *fds) {
  for (int i = 0; i < client_count; i++) {
    if (clients[i].fd < 0 && now_us() >= clients[i].return_us) connect_client(&clients[i]);
    fds[i] = (struct pollfd){.fd = clients[i].fd, .events = clients[i].unsent ? POLLOUT : POLLIN};
  }
  return client_count;
}

void clients_serve(const struct pollfd *fds, int count) {
  for (int i = 0; i < count; i++) {
    struct client *client = &clients[i];
    if (client->fd < 0) continue;
    if (fds[i].revents && client->unsent)
      send_request(client);
    else if (fds[i].revents)
      receive(client);
    int64_t now = now_us();
    if (client->fd >= 0 &&
        (now > client->silent_us || (!is_settled && !client->is_poll && now > client->leave_us)))
      leave(client, random_below(20) || is_settled ? random_below(50000) : random_below(6000000));
  }
}

void clients_settle(void) {
  is_settled = 1;
}

static int is_done(const struct client *client, int channel, int last, int64_t sent_us) {
  for (int i = client->witness->count - 1; i >= 0; i--) {
    const struct note *what = &client->witness->notes[i];
    if (what->us < sent_us) break;
    if (what->kind == NOTE_EVENT && what->event == last) return 1;
    if (what->kind == NOTE_GAP && (what->channels >> channel & 1)) return 1;
  }
  return 0;
}

int clients_are_done(const int last[CHANNELS]) {
  int left = 0;
  for (int i = 0; i < client_count; i++)
    for (int channel = 0; channel < CHANNELS; channel++)
      if (clients[i].witness->channels >> channel & 1)
        left +=
            !is_done(&clients[i], channel, last[channel], the_trial->events[last[channel]].sent_us);
  return left == 0;
}

void clients_end(void) {
  for (int i = 0; i < client_count; i++) {
    leave(&clients[i], 0);
    free(clients[i].bytes);
    free(clients[i].kept);
  }
}
