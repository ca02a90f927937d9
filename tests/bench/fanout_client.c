/* SPDX-License-Identifier: MIT */
/* fanout_client.c: reads event streams, fast, and checks that every event came once and intact. */
#include "fanout_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "measure.h"

#define IO_BYTES ((size_t)256 << 10)

/* ---- what was published ---- */

const struct entry *ledger_event(struct ledger *ledger, unsigned channel, unsigned len,
                                 unsigned clients) {
  struct entry *entry = &ledger->entries[++ledger->number % LEDGER_EVENTS];
  entry->number = ledger->number;
  entry->ordinal = ++ledger->ordinals[channel];
  entry->left = clients;
  entry->len = len;
  entry->sent_ns = measure_now_ns();
  /* Number first, then what makes every event unlike all others. */
  int head = snprintf(entry->data, EVENT_MAX, "%010u %010u %020.0f ", entry->number, entry->ordinal,
                      entry->sent_ns);
  for (unsigned i = (unsigned)head; i < len; i++)
    entry->data[i] = (char)('a' + (entry->number + i) % 26);
  ledger->pending += clients;
  return entry;
}

/* ---- what came ---- */

static unsigned number_of(const char *data) {
  unsigned number = 0;
  for (int i = 0; i < 10; i++) number = number * 10 + (unsigned)(data[i] - '0');
  return number;
}

static void take_event(struct client *client, struct ledger *ledger, const char *data, size_t len,
                       double now_ns) {
  struct entry *entry = len < 42 ? NULL : &ledger->entries[number_of(data) % LEDGER_EVENTS];
  if (!entry || entry->len != len || memcmp(entry->data, data, len) != 0) {
    ledger->damaged++;
    return;
  }
  if (entry->ordinal < client->next || entry->left == 0) {
    ledger->repeated++;
    return;
  }
  client->next = entry->ordinal + 1;
  entry->left--;
  ledger->pending--;
  ledger->deliveries++;
  ledger->last_ns = now_ns;
  if (ledger->latencies_count < LATENCIES_MAX)
    ledger->latencies[ledger->latencies_count++] = (float)(now_ns - entry->sent_ns);
}

static bool starts(const char *line, size_t len, const char *with) {
  size_t with_len = strlen(with);
  return len >= with_len && memcmp(line, with, with_len) == 0;
}

static void note_id(struct ledger *ledger, const char *value, size_t len) {
  if (len >= sizeof ledger->last_id) len = sizeof ledger->last_id - 1;
  memcpy(ledger->last_id, value, len);
  ledger->last_id[len] = '\0';
}

/* Reads whole blocks; the bytes of the last one that is not whole are left over. */
static size_t take_blocks(struct client *client, struct ledger *ledger, const char *bytes,
                          size_t len) {
  const char *at = bytes, *block = bytes, *end = bytes + len, *stop, *data = NULL;
  double now_ns = measure_now_ns();
  size_t data_len = 0;
  bool message = true;
  for (; (stop = memchr(at, '\n', (size_t)(end - at))); at = stop + 1) {
    size_t line = (size_t)(stop - at);
    if (line > 0 && at[line - 1] == '\r') line--;
    if (line == 0) {
      if (data && message) take_event(client, ledger, data, data_len, now_ns);
      block = stop + 1;
      data = NULL;
      message = true;
    } else if (starts(at, line, "data:")) {
      size_t skip = line > 5 && at[5] == ' ' ? 6 : 5;
      data = at + skip;
      data_len = line - skip;
    } else if (starts(at, line, "event:")) {
      message = line >= 7 && memcmp(stop - 7, "message", 7) == 0;
    } else if (client->tells && starts(at, line, "id: ")) {
      note_id(ledger, at + 4, line - 4);
    }
  }
  return (size_t)(end - block);
}

/* Takes the framing of chunks out of bytes in their place; false if it is no such framing. */
static bool unchunk(struct client *client, char *bytes, size_t *len) {
  char *from = bytes, *to = bytes, *end = bytes + *len;
  while (from < end) {
    if (client->chunk == 0) {
      /* A size line that is cut in two is so rare here that it counts as a failure. */
      char *stop = memchr(from, '\n', (size_t)(end - from));
      if (!stop) return false;
      client->chunk = (unsigned)strtoul(from, NULL, 16) + 2;
      from = stop + 1;
      if (client->chunk == 2) return false;
    }
    size_t part = client->chunk < (size_t)(end - from) ? client->chunk : (size_t)(end - from);
    size_t body = client->chunk - part >= 2 ? part : client->chunk > 2 ? client->chunk - 2 : 0;
    memmove(to, from, body);
    to += body;
    from += part;
    client->chunk -= (unsigned)part;
  }
  *len = (size_t)(to - bytes);
  return true;
}

static bool keep(struct client *client, const char *bytes, size_t len) {
  if (len > 0) {
    char *kept = realloc(client->kept, len);
    if (!kept) return false;
    client->kept = kept;
    memmove(client->kept, bytes, len);
  } else if (client->kept) {
    free(client->kept);
    client->kept = NULL;
  }
  client->kept_len = (unsigned)len;
  return true;
}

/* True while the head is not whole, with 0 as its length; a head that is no stream is an end. */
static bool read_head(struct client *client, char *bytes, size_t len, size_t *head_len) {
  char *end = memmem(bytes, len, "\r\n\r\n", 4);
  *head_len = 0;
  if (!end) return true;
  *end = '\0';
  if (strncmp(bytes, "HTTP/1.1 200", 12) != 0) return false;
  client->chunked = strcasestr(bytes, "chunked") != NULL;
  client->phase = CLIENT_BODY;
  *head_len = (size_t)(end + 4 - bytes);
  return true;
}

bool client_read(struct client *client, struct ledger *ledger) {
  static char io[IO_BYTES];
  size_t old = client->kept_len, head = 0;
  memcpy(io, client->kept ? client->kept : "", old);
  ssize_t got = recv(client->fd, io + old, sizeof io - old, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return false;
  size_t len = (size_t)got;
  if (client->phase == CLIENT_HEAD) {
    if (!read_head(client, io, old + len, &head)) return false;
    if (head == 0) return keep(client, io, old + len);
    len = old + len - head;
    old = 0;
  }
  if (client->chunked && !unchunk(client, io + head + old, &len)) return false;
  size_t rest = take_blocks(client, ledger, io + head, old + len);
  return keep(client, io + head + old + len - rest, rest);
}
