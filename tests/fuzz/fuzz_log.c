/* SPDX-License-Identifier: MIT */
/*
 * fuzz_log.c: a hub that is fed from a log, and a client with any id: what is given follows the id,
 * in order, once, and what is missing is reported before the next event or id.
 *
 * The input is a byte of configuration and lines, of which each is a call:
 *
 *   p<number>  publishes to the channel a       q<number>  to the channel b
 *   e          publishes an ephemeral event to a
 *   a<number>  advances                         s<number>  skips
 *   r<epoch>.<number>  resets                   f          finishes a
 *   o<id>, or o<id> <not_before>  opens a stream of a in place of the one that is there
 *   w<id>, or w<id> <not_before>  of a and b
 *   t          lets a heartbeat's time pass
 *
 * After each call the host reads, if it was woken.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sse/sse.h>

#include "json.h"
#include "standard.h"
#include "wire/event_id.h"

#define ENTRIES_MAX 600
#define LINES_MAX   400
#define LINE_BYTES  80
#define KEPT        4 /* events that a channel retains */
#define EPOCH       "E"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void require(bool holds) {
  if (!holds) abort();
}

/* ---- the log, as the hub was told of it ---- */

struct entry {
  uint64_t number;
  char channel;
  bool reported; /* to the client, as lost */
};

static struct {
  char epoch[SSE_EPOCH_BYTES_MAX + 1];
  uint64_t head, missing; /* all up to `missing` may be missing */
  struct entry entries[ENTRIES_MAX];
  size_t count;
  bool finished;
} history;

/* The highest number of a channel that is no longer retained. */
static uint64_t gone(char channel) {
  size_t kept = 0;
  for (size_t i = history.count; i > 0; i--) {
    if (history.entries[i - 1].channel == channel && kept++ == KEPT)
      return history.entries[i - 1].number;
  }
  return 0;
}

/* ---- the client ---- */

static struct {
  sse_stream *stream;
  struct standard *standard;
  const char *channels; /* a letter for each */
  uint64_t after;       /* nothing up to here is for it */
  uint64_t has;         /* the number of its last id */
  uint64_t told;        /* what the head was when it was opened, or reset */
  size_t next;          /* the first entry that it may still be given */
  unsigned ephemeral;   /* events of that kind that it may be given */
  bool opening;         /* its first block has not come */
  bool lost;            /* a gap must come: of a skip, or of its id */
  bool restarted;       /* the gap of a reset must come */
  sse_resume result;
} client;

static bool woken;
static int64_t now_ms;
static sse_hub *hub;
static sse_loop *loop; /* NULL: the stream stands alone */

static bool is_for_client(const struct entry *entry) {
  bool is = strchr(client.channels, entry->channel) && entry->number > client.after;
  return is && !entry->reported;
}

/* The next entry that is owed to the client up to a number; NULL: none. */
static const struct entry *owed(uint64_t upto) {
  for (; client.next < history.count; client.next++) {
    const struct entry *entry = &history.entries[client.next];
    if (entry->number > upto) return NULL;
    if (is_for_client(entry)) return entry;
  }
  return NULL;
}

/* The number of an id of the present history. */
static uint64_t number_of(const char *id) {
  struct sse__event_id parsed;
  require(sse__event_id_parse(id, &parsed) && !parsed.unfinished);
  require(strcmp(parsed.epoch.text, history.epoch) == 0);
  return parsed.seq;
}

/* A gap reports what its channels have lost, also above its id. Returns whether there is any. */
static bool report_lost(void) {
  bool any = false;
  for (size_t i = client.next; i < history.count; i++) {
    struct entry *entry = &history.entries[i];
    if (!is_for_client(entry) || entry->number > gone(entry->channel)) continue;
    any = entry->reported = true;
  }
  return any;
}

/* A gap is there for something. */
static void take_gap(const struct standard_event *event) {
  char *value = malloc(event->data_len + 1);
  uint64_t number = number_of(event->id);
  require(value && json_valid(event->data, event->data_len));
  require(json_string(event->data, event->data_len, "resume", value) == 1);
  require(strcmp(value, event->id) == 0);
  require(json_string(event->data, event->data_len, "reason", value) == 1);
  bool requested = json_string(event->data, event->data_len, "requested", value) == 1;
  require(!requested || client.opening);
  free(value);
  bool lost = report_lost();
  require(lost || client.lost || client.restarted);
  require(!owed(number) || client.opening);
  while (owed(number)) client.next++;
  require(number <= (client.opening && client.after > history.head ? client.after : history.head));
  client.lost = client.restarted = client.opening = false;
  client.has = number;
}

/* A position says that nothing is missing up to there. */
static void take_position(const char *id) {
  uint64_t number = number_of(id);
  require(!client.lost && !client.restarted && !owed(number));
  require(number >= client.has || client.opening);
  require(number <= (client.after > history.head ? client.after : history.head));
  require(number >= client.after);
  if (client.opening && client.result == SSE_RESUME_AHEAD) require(number == client.after);
  client.opening = false;
  client.has = number;
}

static void take_event(const struct standard_event *event) {
  require(!client.opening && !client.lost && !client.restarted);
  if (*event->data == 'e') {
    require(client.ephemeral > 0);
    client.ephemeral--;
    return;
  }
  uint64_t number = number_of(event->id);
  const struct entry *entry = owed(UINT64_MAX);
  require(entry && entry->number == number && entry->channel == *event->data);
  require(number > client.has || client.has == 0);
  client.next++;
  client.has = number;
}

static void take_all(void) {
  struct standard_event event;
  while (standard_next(client.standard, &event)) {
    if (event.kind == STANDARD_ID || strcmp(event.type, "sse-position") == 0) {
      take_position(event.id);
    } else if (strcmp(event.type, "gap") == 0) {
      take_gap(&event);
    } else {
      take_event(&event);
    }
  }
}

/* ---- the host ---- */

static int wake(void *arg, unsigned why) {
  (void)arg, (void)why;
  woken = true;
  return 0;
}

static void close_stream(void) {
  sse_stream_free(client.stream);
  if (client.standard) standard_free(client.standard);
  client.stream = NULL;
  client.standard = NULL;
}

static bool ends(int result) {
  require(result == SSE_EFINISHED && history.finished && strcmp(client.channels, "a") == 0);
  require(!client.lost && !client.restarted && !owed(UINT64_MAX));
  close_stream();
  return true;
}

/* Reads until the stream is armed, or over. */
static void read_stream(void) {
  char bytes[64];
  ssize_t len;
  while ((len = sse_stream_read(client.stream, bytes, sizeof bytes)) > 0) {
    standard_feed(client.standard, bytes, (size_t)len);
  }
  take_all();
  if (len < 0) ends((int)len);
}

/* A host that is not woken does not read: then nothing is owed, either. */
static void serve(void) {
  if (!client.stream) return;
  if (loop) {
    do {
      while (client.stream && sse_loop_next(loop)) read_stream();
    } while (client.stream && sse_loop_timeout(loop) == 0);
  } else if (woken) {
    woken = false;
    read_stream();
  }
  if (!client.stream) return;
  require(!client.opening && !client.lost && !client.restarted && !owed(UINT64_MAX));
}

/* ---- opening ---- */

/* What an id says of a number in the present history: false if it has none there. */
static bool number_here(const char *text, struct sse__event_id *id) {
  return sse__event_id_parse(text, id) && strcmp(id->epoch.text, history.epoch) == 0;
}

/* The result that an id must have. Sets where the stream then goes on, as far as that is known. */
static sse_resume judge(const char *text, uint64_t floor) {
  struct sse__event_id id;
  client.after = floor;
  client.lost = false;
  if (*text == '\0') return SSE_RESUME_NONE;
  client.lost = true;
  if (!sse__event_id_parse(text, &id)) {
    struct sse__epoch epoch;
    require(sse__epoch_parse(history.epoch, &epoch));
    bool nearly = sse__event_id_resembles(text, &epoch);
    return nearly ? SSE_RESUME_MALFORMED : SSE_RESUME_UNKNOWN;
  }
  if (!number_here(text, &id)) return SSE_RESUME_RESTART;
  if (id.unfinished) return SSE_RESUME_EVICTED;
  if (id.seq > floor) client.after = id.seq;
  client.lost = history.missing > client.after;
  for (const char *c = client.channels; *c; c++) client.lost |= gone(*c) > client.after;
  if (id.seq > history.head) client.lost = false;
  if (id.seq > history.head) return SSE_RESUME_AHEAD;
  return client.lost ? SSE_RESUME_EVICTED : SSE_RESUME_RESUMED;
}

/* A stream without an id begins at the head; after an illegal one, too. */
static void set_next(sse_resume result) {
  bool live = result == SSE_RESUME_NONE || result == SSE_RESUME_MALFORMED;
  for (size_t i = 0; i < history.count; i++) history.entries[i].reported = false;
  client.next = live ? history.count : 0;
  client.opening = true;
  client.restarted = false;
  client.has = 0;
  client.ephemeral = 0;
}

/* Which bytes an id may have is a matter of fuzz_id.c. */
static bool is_plain(const char *text) {
  for (; *text; text++)
    if (*text < ' ' || *text > '~') return false;
  return true;
}

static void open_stream(char *ids, const char *channels) {
  static const char *const both[] = {"a", "b", NULL};
  char *not_before = strchr(ids, ' ');
  struct sse__event_id id;
  if (!is_plain(ids)) return;
  if (not_before) *not_before++ = '\0';
  close_stream();
  uint64_t floor = not_before && number_here(not_before, &id) ? id.seq : 0;
  client.channels = channels;
  client.result = judge(ids, floor);
  set_next(client.result);
  sse_stream_config config = {.last_id = ids, .not_before = not_before, .loop = loop};
  if (channels[1])
    config.channels = both;
  else
    config.channel = "a";
  if (!loop) config.wake = wake;
  int error = sse_stream_open(&client.stream, hub, &config);
  if (not_before && !sse__event_id_parse(not_before, &id)) {
    require(error == SSE_EINVAL);
    return;
  }
  if (error == SSE_EFINISHED) {
    require(history.finished && !channels[1] && !client.lost && !owed(UINT64_MAX));
    return;
  }
  require(error == SSE_OK && sse_stream_resume_result(client.stream) == client.result);
  client.standard = standard_new("");
  woken = true;
}

/* ---- calls ---- */

static void add_entry(uint64_t number, char channel) {
  require(history.count < ENTRIES_MAX);
  history.entries[history.count++] = (struct entry){number, channel, false};
  history.head = number;
}

static void publish(uint64_t number, char channel) {
  const char name[] = {channel, '\0'};
  const sse_event event = {.text = name, .number = number};
  int error = sse_hub_publish(hub, name, &event);
  bool fits = number > history.head, finished = history.finished && channel == 'a';
  require(error == (!fits ? SSE_ENUMBER : finished ? SSE_EFINISHED : SSE_OK));
  if (!error) add_entry(number, channel);
}

static void publish_ephemeral(void) {
  const sse_event event = {.text = "e", .flags = SSE_EPHEMERAL};
  int error = sse_hub_publish(hub, "a", &event);
  require(error == (history.finished ? SSE_EFINISHED : SSE_OK));
  bool reached = client.stream && client.after <= history.head;
  if (!error && reached) client.ephemeral++;
}

static void skip(uint64_t number) {
  bool fits = number > history.head;
  require(sse_hub_skip(hub, number) == (fits ? SSE_OK : SSE_ENUMBER));
  if (!fits) return;
  history.head = history.missing = number;
  if (client.stream && client.after < number) client.lost = true;
}

static void reset(const char *text, uint64_t number) {
  struct sse__epoch epoch;
  bool fits = sse__epoch_parse(text, &epoch) && strcmp(text, history.epoch) != 0;
  require(sse_hub_reset(hub, text, number) == (fits ? SSE_OK : SSE_EINVAL));
  if (!fits) return;
  strcpy(history.epoch, text);
  history.head = history.missing = number;
  history.count = client.next = client.ephemeral = 0;
  client.after = client.has = 0;
  client.lost = false;
  client.restarted = client.stream != NULL;
}

/* A number, or 0; above the highest one, the highest. */
static uint64_t read_number(const char *text) {
  errno = 0;
  return *text >= '0' && *text <= '9' ? strtoull(text, NULL, 10) : 0;
}

static void run_line(char *line) {
  char *rest = line + 1, *dot = strchr(rest, '.');
  switch (line[0]) {
  case 'p':
  case 'q':
    if (read_number(rest) > 0) publish(read_number(rest), line[0] == 'p' ? 'a' : 'b');
    break;
  case 'e':
    publish_ephemeral();
    break;
  case 'a': {
    uint64_t number = read_number(rest);
    require(sse_hub_advance(hub, number) == (number < history.head ? SSE_ENUMBER : SSE_OK));
    if (number > history.head) history.head = number;
    break;
  }
  case 's':
    skip(read_number(rest));
    break;
  case 'r':
    if (!dot) break;
    *dot = '\0';
    reset(rest, read_number(dot + 1));
    break;
  case 'f':
    require(sse_hub_finish(hub, "a") == SSE_OK);
    history.finished = true;
    break;
  case 'o':
  case 'w':
    open_stream(rest, line[0] == 'o' ? "a" : "ab");
    break;
  case 't':
    now_ms += 15000;
    sse_hub_tick(hub);
    break;
  default:
    break;
  }
}

/* ---- the play ---- */

static int64_t clock_of_hub(void *arg) {
  (void)arg;
  return now_ms * 1000000;
}

static int no_random(void *arg, void *buf, size_t len) {
  (void)arg;
  memset(buf, 7, len);
  return 0;
}

static void open_hub(uint8_t choice) {
  static const uint64_t starts[] = {0, 7, UINT64_MAX - 5, UINT64_MAX - 1};
  const sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN,
                                 .epoch = EPOCH,
                                 .start_after = starts[choice >> 1 & 3],
                                 .retry_ms = SSE_NEVER,
                                 .stall_ms = SSE_NEVER,
                                 .channel_idle_ms = SSE_NEVER,
                                 .channel = {.window_frames_max = KEPT},
                                 .clock = clock_of_hub,
                                 .random = no_random};
  const sse_loop_config waking = {.wake = wake};
  now_ms = 1000;
  loop = NULL;
  memset(&client, 0, sizeof client);
  memset(&history, 0, sizeof history);
  strcpy(history.epoch, EPOCH);
  history.head = history.missing = config.start_after;
  require(sse_hub_new(&hub, &config) == SSE_OK);
  if (choice & 1) require(sse_loop_new(&loop, hub, &waking) == SSE_OK);
}

static void close_hub(void) {
  close_stream();
  require(sse_loop_free(loop) == SSE_OK);
  require(sse_hub_free(hub) == SSE_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  if (size == 0) return 0;
  open_hub(input[0]);
  const uint8_t *at = input + 1, *end = input + size;
  for (int lines = 0; at < end && lines < LINES_MAX; lines++) {
    const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
    size_t len = (size_t)((newline ? newline : end) - at);
    char line[LINE_BYTES] = "";
    if (len > 0 && len < sizeof line && !memchr(at, 0, len)) {
      memcpy(line, at, len);
      run_line(line);
      serve();
    }
    at = newline ? newline + 1 : end;
  }
  close_hub();
  return 0;
}
