/* SPDX-License-Identifier: MIT */
/* fuzz_id.c: ids have one form, and whatever a client sends as its last one gets a true answer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sse/sse.h>

#include "json.h"
#include "standard.h"
#include "wire/event_id.h"

#define CHANNEL   "a \"\\\xc3\xa9"
#define HEAD      12 /* the events of the hub */
#define EVICTED   8  /* the last that is gone */
#define EPOCH     "E"
#define READ_MAX  65536
#define READ_STEP 100

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static void require(int holds) {
  if (!holds) abort();
}

/* The form -------------------------------------------------------------------------------------*/

/* An id by the rule: 1 to 11 of [A-Za-z0-9_-], a dot, a number, and perhaps a tilde. */
struct plain {
  bool resembles; /* the number may be any digits, and the epoch is the hub's */
  bool legal;     /* the number is below 2^64, and begins with 0 only if it is 0 */
  bool unfinished;
  size_t epoch_len;
  uint64_t seq;
};

static bool is_epoch(const char *text, size_t len) {
  if (len < 1 || len > 11) return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
  }
  return true;
}

static struct plain read_plain(const char *text) {
  struct plain plain = {.legal = false};
  const char *dot = strchr(text, '.');
  if (!dot || !is_epoch(text, (size_t)(dot - text))) return plain;
  const char *number = dot + 1, *behind = number + strspn(number, "0123456789");
  size_t digits = (size_t)(behind - number);
  plain.epoch_len = (size_t)(dot - text);
  plain.unfinished = strcmp(behind, "~") == 0;
  plain.resembles = digits > 0 && (*behind == '\0' || plain.unfinished) &&
                    strncmp(text, EPOCH ".", sizeof EPOCH) == 0;
  bool canonical = digits == 1 || (digits > 1 && *number != '0');
  bool fits = digits < 20 || (digits == 20 && strncmp(number, "18446744073709551615", 20) <= 0);
  plain.legal = canonical && fits && (*behind == '\0' || plain.unfinished);
  if (plain.legal) plain.seq = strtoull(number, NULL, 10);
  return plain;
}

static void check_form(const char *text, const struct plain *plain) {
  struct sse__event_id id;
  struct sse__epoch epoch;
  require(sse__epoch_parse(text, &epoch) == is_epoch(text, strlen(text)));
  require(sse__epoch_parse(EPOCH, &epoch) &&
          sse__event_id_resembles(text, &epoch) == plain->resembles);
  require(sse__event_id_parse(text, &id) == plain->legal);
  if (!plain->legal) return;
  require(id.seq == plain->seq && id.unfinished == plain->unfinished);
  require(id.epoch.len == plain->epoch_len && strlen(id.epoch.text) == plain->epoch_len);
  char again[SSE__EVENT_ID_BYTES_MAX + 2];
  size_t len = sse__event_id_write(again, &id.epoch, id.seq);
  require(len <= SSE__EVENT_ID_BYTES_MAX);
  strcpy(again + len, id.unfinished ? "~" : "");
  require(strcmp(again, text) == 0);
}

/* The random bits that an epoch was made of, the lowest first. */
static uint64_t bits_of(const char *epoch) {
  static const char base64url[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint64_t bits = 0;
  for (unsigned i = 0; epoch[i] != '\0'; i++) {
    const char *found = strchr(base64url, epoch[i]);
    require(found != NULL);
    bits |= (uint64_t)(found - base64url) << 6 * i;
  }
  return bits;
}

/* Any random bits and any number make an id that is read back, and no bit is lost. */
static void check_written(const uint8_t *input, size_t size) {
  uint64_t numbers[2] = {0, 0};
  char text[SSE__EVENT_ID_BYTES_MAX + 1];
  struct sse__event_id id;
  if (size > 0) memcpy(numbers, input, size < sizeof numbers ? size : sizeof numbers);
  struct sse__epoch epoch = sse__epoch_from(numbers[0]);
  text[sse__event_id_write(text, &epoch, numbers[1])] = '\0';
  require(sse__event_id_parse(text, &id) && !id.unfinished);
  require(id.seq == numbers[1] && strcmp(id.epoch.text, epoch.text) == 0);
  require(read_plain(text).legal && bits_of(epoch.text) == numbers[0]);
}

/* The hub --------------------------------------------------------------------------------------*/

/* Events that have ids of their own; the first is gone. Two of them look like the hub's. */
static const struct {
  uint64_t seq;
  const char *id;
} own[] = {{3, "gone.03"}, {9, "\xc3\xa9 \"9\"\\"}, {10, "own.010"}};

static int64_t still(void *arg) {
  (void)arg;
  return 1000000000;
}

static int no_random(void *arg, void *buf, size_t len) {
  (void)arg;
  memset(buf, 7, len);
  return 0;
}

/* Made once: opening a stream and freeing it again leaves it as it was. */
static sse_hub *the_hub(void) {
  static sse_hub *hub;
  if (hub) return hub;
  const sse_hub_config config = {.epoch = EPOCH,
                                 .channel = {.window_frames_max = HEAD - EVICTED},
                                 .clock = still,
                                 .random = no_random};
  require(sse_hub_new(&hub, &config) == 0);
  for (uint64_t seq = 1; seq <= HEAD; seq++) {
    char text[8];
    snprintf(text, sizeof text, "%u", (unsigned)seq);
    sse_event event = {.text = text};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
      if (own[i].seq == seq) event.id = own[i].id;
    require(sse_hub_publish(hub, CHANNEL, &event) == 0);
  }
  return hub;
}

/* The verdict ----------------------------------------------------------------------------------*/

/* What was published up to here is not for the stream. */
static uint64_t floor_of(const char *not_before) {
  struct plain plain = {.legal = false};
  if (not_before) plain = read_plain(not_before);
  if (!plain.legal || strncmp(not_before, EPOCH ".", 2) != 0) return 0;
  return plain.seq < HEAD ? plain.seq : HEAD;
}

/* Whether it could have been an event's: a line of UTF-8 that a header brings back as it is. */
static bool could_be_said(const char *text) {
  size_t len = strlen(text);
  for (const char *p = text; *p; p++)
    if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f) return false;
  if (len < 1 || len > 128 || !json_utf8(text, len)) return false;
  return !strchr(" \t", text[0]) && !strchr(" \t", text[len - 1]);
}

/* The verdict, and for SSE_RESUME_RESUMED the number behind which the stream goes on. */
static sse_resume judge(const char *text, const struct plain *plain, uint64_t floor,
                        uint64_t *after) {
  *after = 0;
  if (*text == '\0') return SSE_RESUME_NONE;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (own[i].seq > EVICTED && strcmp(own[i].id, text) == 0) *after = own[i].seq;
  if (*after == 0 && !plain->legal) {
    bool nearly = plain->resembles || !could_be_said(text);
    return nearly ? SSE_RESUME_MALFORMED : SSE_RESUME_UNKNOWN;
  }
  if (plain->legal) {
    if (plain->epoch_len != 1 || *text != 'E') return SSE_RESUME_RESTART;
    if (plain->seq > HEAD) return SSE_RESUME_FUTURE;
    *after = plain->seq;
  }
  if (*after < floor) *after = floor;
  return plain->unfinished || *after < EVICTED ? SSE_RESUME_EVICTED : SSE_RESUME_RESUMED;
}

static void check_gap(const struct standard_event *event, sse_resume verdict, const char *text) {
  static const char *const reasons[] = {NULL,      NULL,     "evicted",  "restart",
                                        "unknown", "future", "malformed"};
  char *value = malloc(event->data_len + 1);
  require(value && strcmp(event->type, "gap") == 0);
  require(json_valid(event->data, event->data_len));
  require(json_string(event->data, event->data_len, "reason", value) == 1);
  require(strcmp(value, reasons[verdict]) == 0);
  require(json_string(event->data, event->data_len, "resume", value) == 1);
  require(strcmp(value, event->id) == 0 && read_plain(value).legal);
  size_t requested = json_string(event->data, event->data_len, "requested", value);
  require(requested == (verdict != SSE_RESUME_MALFORMED));
  if (requested) require(could_be_said(text) && strcmp(value, text) == 0);
  free(value);
}

/* The stream -----------------------------------------------------------------------------------*/

/* Reads all that the stream has, in pieces. */
static void read_all(sse_stream *stream, struct standard *standard) {
  char piece[READ_STEP];
  size_t total = 0;
  ssize_t len;
  while ((len = sse_stream_read(stream, piece, sizeof piece)) > 0) {
    standard_feed(standard, piece, (size_t)len);
    total += (size_t)len;
    require(total < READ_MAX);
  }
  require(len == 0);
}

/* First the gap, if there is one; then events up to the newest, or none. Returns how many. */
static unsigned check_items(struct standard *standard, sse_resume verdict, const char *text) {
  struct standard_event event;
  unsigned count = 0, number = 0;
  bool gap = verdict > SSE_RESUME_RESUMED;
  while (standard_next(standard, &event)) {
    if (gap) check_gap(&event, verdict, text);
    gap = false;
    if (event.kind == STANDARD_ID || strcmp(event.type, "message") != 0) {
      require(count == 0); /* the opening comes before all events */
      continue;
    }
    unsigned next = (unsigned)strtoul(event.data, NULL, 10);
    require(next > EVICTED && (count == 0 || next == number + 1));
    number = next;
    count++;
  }
  require(!gap && (count == 0 || number == HEAD));
  return count;
}

/* A client that has read all comes back, and has missed nothing. */
static void come_back(sse_stream_config *config, const char *last_id) {
  sse_stream *stream;
  struct standard *standard = standard_new("");
  config->last_id = last_id;
  config->start = SSE_START_NOW;
  config->start_events = 0;
  require(sse_stream_open(&stream, the_hub(), config) == 0);
  sse_resume want = *last_id ? SSE_RESUME_RESUMED : SSE_RESUME_NONE;
  require(sse_stream_resume_result(stream) == want);
  read_all(stream, standard);
  require(check_items(standard, want, last_id) == 0);
  sse_stream_free(stream);
  standard_free(standard);
}

static void check_stream(sse_stream_config *config, const struct plain *plain) {
  const char *text = config->last_id, *not_before = config->not_before;
  sse_stream *stream = NULL;
  uint64_t after;
  int rc = sse_stream_open(&stream, the_hub(), config);
  bool opens = !not_before || read_plain(not_before).legal;
  require(rc == (opens ? 0 : SSE_EINVAL));
  if (rc < 0) return;
  struct standard *standard = standard_new(text);
  sse_resume verdict = judge(text, plain, floor_of(not_before), &after);
  require(sse_stream_resume_result(stream) == verdict);
  read_all(stream, standard);
  unsigned count = check_items(standard, verdict, text);
  if (verdict == SSE_RESUME_RESUMED) require(count == HEAD - after);
  require(standard_retry_ms(standard) >= 2000 && standard_retry_ms(standard) <= 3000);
  sse_stream_free(stream);
  come_back(config, standard_last_id(standard));
  standard_free(standard);
}

/* Memory of exactly its size. */
static char *copy(const uint8_t *bytes, size_t len) {
  char *text = malloc(len + 1);
  require(text != NULL);
  if (len > 0) memcpy(text, bytes, len);
  text[len] = '\0';
  return text;
}

/* The input is a byte of configuration ('@' is the default) and the id; a NUL and not_before. */
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
  check_written(input, size);
  if (size == 0) return 0;
  const uint8_t *text_at = input + 1, *nul = memchr(text_at, 0, size - 1);
  size_t len = nul ? (size_t)(nul - text_at) : size - 1;
  char *text = copy(text_at, len), *not_before = nul ? copy(nul + 1, size - len - 2) : NULL;
  struct plain plain = read_plain(text);
  check_form(text, &plain);
  sse_stream_config config = {.channel = CHANNEL,
                              .last_id = text,
                              .not_before = not_before,
                              .position = (sse_position)(input[0] & 1),
                              .start = (sse_start)((input[0] >> 2 & 3) % 3),
                              .start_events = (input[0] >> 2 & 3) == 2 ? 3 : 0,
                              .lost = (sse_lost)((input[0] >> 4 & 3) % 3)};
  check_stream(&config, &plain);
  free(text);
  free(not_before);
  return 0;
}
