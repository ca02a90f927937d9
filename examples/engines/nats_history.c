/* SPDX-License-Identifier: MIT */
/* nats_history.c: finds out whether a log in JetStream is still the one that was read. */
#include "nats_history.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nats_json.h"

enum {
  NO_STREAM = 10059, /* errors of JetStream */
  NAME_IN_USE = 10058,
  SUBJECT_IN_USE = 10065,
  NO_MESSAGE = 10037,
  ATTEMPTS_MAX = 32,
  MOMENT_MS = 10,
  BODY_BYTES = 1024,
  DESCRIPTION_BYTES = 4096 + 1, /* JetStream takes 4 KiB */
  WINDOW_S = 120                /* of the streams that are made here */
};

static const uint64_t second_ns = UINT64_C(1000000000);
static const char mark[] = " sse-history=";

int nats_is_missing(const natsMsg *answer) {
  return nats_link_error(answer) == NO_STREAM;
}

/* ---- time ---- */

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
  if (month <= 2) {
    year--;
    month += 12;
  }
  int64_t of_year = (153 * (month - 3) + 2) / 5 + day - 1;
  return 365 * year + year / 4 - year / 100 + year / 400 + of_year - 719468;
}

/* Reads a number with this many digits, and the byte behind it; NULL: there is none. */
static const char *parse_part(const char *text, int digits, char behind, int64_t *number) {
  *number = 0;
  for (; digits > 0; digits--, text++) {
    if (*text < '0' || *text > '9') return NULL;
    *number = 10 * *number + (*text - '0');
  }
  return behind == '\0' ? text : *text == behind ? text + 1 : NULL;
}

/* Nanoseconds since 1970 of "2026-11-30T17:41:43.123456789Z"; 0: it is no such time. */
static uint64_t parse_time(const char *text) {
  static const char behind[] = "--T::";
  int64_t parts[6];
  const char *at = text;
  for (int i = 0; at && i < 6; i++) at = parse_part(at, i == 0 ? 4 : 2, behind[i], &parts[i]);
  if (!at || parts[0] < 1970 || parts[0] > 2500) return 0;
  int64_t seconds =
      days_of(parts[0], parts[1], parts[2]) * 86400 + parts[3] * 3600 + parts[4] * 60 + parts[5];
  uint64_t fraction = 0, unit = second_ns;
  if (*at == '.')
    for (at++; *at >= '0' && *at <= '9'; at++) {
      unit /= 10;
      fraction += unit * (uint64_t)(*at - '0');
    }
  return strcmp(at, "Z") == 0 ? (uint64_t)seconds * second_ns + fraction : 0;
}

static uint64_t time_at(const char *json, const char *path) {
  char text[64];
  json_string(json, path, text, sizeof text);
  return parse_time(text);
}

/* ---- the stream ---- */

static int strange(struct nats_link *link, const char *what) {
  snprintf(link->problem, sizeof link->problem, "JetStream gave an unexpected answer to %s", what);
  return -1;
}

static int is_word(const char *json, const char *path, const char *word) {
  char text[32];
  json_string(json, path, text, sizeof text);
  return strcmp(text, word) == 0;
}

/* Whether the stream can be a log: where the URL's subject goes, from which nobody takes away. */
static int check_config(struct nats_link *link, const char *json) {
  const struct nats_url *url = link->url;
  if (!json_has(json, "config.subjects", url->subject)) {
    snprintf(link->problem, sizeof link->problem,
             "the stream %.64s in NATS does not have the subject %.100s", url->stream,
             url->subject);
    return -1;
  }
  if (is_word(json, "config.retention", "limits")) return 0;
  snprintf(link->problem, sizeof link->problem,
           "the stream %.64s in NATS removes what was read; a log has the retention policy limits",
           url->stream);
  return -1;
}

int nats_state_read(struct nats_link *link, const natsMsg *answer, struct nats_state *state) {
  char description[DESCRIPTION_BYTES];
  const char *json = natsMsg_GetData(answer);
  uint64_t window_ns = 0;
  if (nats_link_error(answer)) return nats_link_refused(link, "STREAM.INFO", answer);
  *state = (struct nats_state){.created_ns = time_at(json, "created")};
  if (state->created_ns == 0 || !json_number(json, "state.first_seq", &state->first) ||
      !json_number(json, "state.last_seq", &state->last))
    return strange(link, "STREAM.INFO");
  json_number(json, "config.duplicate_window", &window_ns);
  state->window_ms = (int64_t)(window_ns / 1000000);
  json_string(json, "config.description", description, sizeof description);
  const char *generation = strstr(description, mark);
  if (generation) state->generation = strtoull(generation + sizeof mark - 1, NULL, 10);
  return check_config(link, json);
}

static natsMsg *ask_stream(struct nats_link *link, int64_t until_ms, const char *verb,
                           const char *body) {
  char what[STREAM_BYTES_MAX + 32];
  snprintf(what, sizeof what, "STREAM.%s.%s", verb, link->url->stream);
  return nats_link_ask(link, until_ms, what, body);
}

/* 0; or -1. That another node was faster is no failure. */
static int create(struct nats_link *link, int64_t until_ms, const struct nats_rules *rules) {
  char body[BODY_BYTES], most[24] = "-1";
  const struct nats_url *url = link->url;
  uint64_t age_s = rules->age_max_s, window_s = WINDOW_S;
  if (rules->entries_max < INT64_MAX) snprintf(most, sizeof most, "%" PRIu64, rules->entries_max);
  if (age_s > INT64_MAX / second_ns) age_s = 0;
  if (age_s > 0 && window_s > age_s) window_s = age_s;
  snprintf(body, sizeof body,
           "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"retention\":\"limits\",\"max_consumers\":-1,"
           "\"max_msgs\":%s,\"max_bytes\":-1,\"max_age\":%" PRIu64 ",\"max_msg_size\":-1,"
           "\"discard\":\"old\",\"storage\":\"file\",\"num_replicas\":%s,"
           "\"duplicate_window\":%" PRIu64 "}",
           url->stream, url->subject, most, age_s * second_ns, url->replicas, window_s * second_ns);
  natsMsg *answer = ask_stream(link, until_ms, "CREATE", body);
  if (!answer) return -1;
  int code = nats_link_error(answer), error = 0;
  if (code != 0 && code != NAME_IN_USE)
    error = nats_link_refused(link, "to create the stream", answer);
  /* It may be the stream itself that has the subject, while another node creates it. */
  if (code == SUBJECT_IN_USE) error = poll(NULL, 0, MOMENT_MS);
  natsMsg_Destroy(answer);
  return error;
}

/* ---- comparing ---- */

/* 1: the message at the node's number is the one that it has read, or was deleted; 0: it is another
 * one; or -1. */
static int is_own_entry(struct nats_link *link, int64_t until_ms, const struct nats_have *have) {
  char body[64];
  snprintf(body, sizeof body, "{\"seq\":%" PRIu64 "}", have->number);
  natsMsg *answer = ask_stream(link, until_ms, "MSG.GET", body);
  if (!answer) return -1;
  int code = nats_link_error(answer), result = 1;
  if (code == 0)
    result = time_at(natsMsg_GetData(answer), "message.time") == (uint64_t)have->at_ns;
  else if (code != NO_MESSAGE)
    result = nats_link_refused(link, "STREAM.MSG.GET", answer);
  natsMsg_Destroy(answer);
  return result;
}

/* Whether what the node has read is lost although the stream is the same: 1 or 0, or -1. */
static int has_lost(struct nats_link *link, int64_t until_ms, const struct nats_have *have,
                    const struct nats_state *state) {
  if (state->generation < have->generation || state->last < have->number) return 1;
  if (have->at_ns == 0 || have->number < state->first) return 0;
  int is_own = is_own_entry(link, until_ms, have);
  return is_own < 0 ? -1 : !is_own;
}

/* The length of a description, in its JSON, without what libsse has added. */
static size_t own_length(const char *text, size_t len) {
  for (size_t i = 0; i + sizeof mark - 1 <= len; i++)
    if (memcmp(text + i, mark, sizeof mark - 1) == 0) return i;
  return len;
}

/* The stream's configuration, as it was answered, with another description; NULL: out of memory. */
static char *describe(const char *json, uint64_t generation) {
  static const char key[] = "\"description\":";
  size_t len = 0, old_len = 0;
  const char *config = json_find(json, "config", &len), *end = config + len;
  const char *old = json_find(json, "config.description", &old_len);
  char *body = malloc(len + BODY_BYTES);
  if (!body) return NULL;
  int text_len = old ? (int)own_length(old + 1, old_len - 2) : 0;
  int begun = snprintf(body, len + BODY_BYTES, "{%s\"%.*s%s%" PRIu64 "\",", key, text_len,
                       old ? old + 1 : "", mark, generation);
  char *to = body + begun;
  const char *rest = config + 1;
  if (old && memcmp(old - (sizeof key - 1), key, sizeof key - 1) == 0 && old[old_len] == ',') {
    size_t before = (size_t)(old - rest) - (sizeof key - 1);
    memcpy(to, rest, before);
    to += before;
    rest = old + old_len + 1;
  }
  memcpy(to, rest, (size_t)(end - rest));
  to[end - rest] = '\0';
  return body;
}

static int raise_generation(struct nats_link *link, int64_t until_ms, const natsMsg *info,
                            uint64_t generation) {
  char *body = describe(natsMsg_GetData(info), generation);
  if (!body) return nats_link_fail(link, "out of memory");
  natsMsg *answer = ask_stream(link, until_ms, "UPDATE", body);
  free(body);
  if (!answer) return -1;
  int error = nats_link_error(answer);
  if (error) nats_link_refused(link, "to begin a new history", answer);
  natsMsg_Destroy(answer);
  return error ? -1 : 0;
}

static void find_start(uint64_t load_max, struct nats_state *state) {
  uint64_t before = state->first > 0 ? state->first - 1 : 0;
  state->is_new = 1;
  state->start = state->last > load_max ? state->last - load_max : 0;
  if (before > state->start) state->start = before;
}

/* 1: compared; 0: once more, since it was changed; or -1. */
static int compare(struct nats_link *link, int64_t until_ms, const struct nats_have *have,
                   const struct nats_rules *rules, const natsMsg *info, struct nats_state *state) {
  if (nats_state_read(link, info, state)) return -1;
  int is_same = state->created_ns == have->created_ns && state->generation <= have->generation;
  int lost = is_same ? has_lost(link, until_ms, have, state) : 0;
  if (lost < 0) return -1;
  if (lost) return raise_generation(link, until_ms, info, have->generation + 1);
  if (!is_same) find_start(rules->load_max, state);
  return 1;
}

/* While another node creates the stream, JetStream answers with the year 1. */
static int is_being_made(const char *json) {
  char text[8];
  json_string(json, "created", text, sizeof text);
  return strncmp(text, "0001-", 5) == 0;
}

int nats_history_check(struct nats_link *link, int64_t until_ms, const struct nats_have *have,
                       const struct nats_rules *rules, struct nats_state *state) {
  *link->problem = '\0';
  for (int i = 0; i < ATTEMPTS_MAX; i++) {
    natsMsg *info = ask_stream(link, until_ms, "INFO", "");
    int result = 0;
    if (!info) return -1;
    if (nats_is_missing(info))
      result = create(link, until_ms, rules);
    else if (is_being_made(natsMsg_GetData(info)))
      poll(NULL, 0, MOMENT_MS);
    else
      result = compare(link, until_ms, have, rules, info, state);
    natsMsg_Destroy(info);
    if (result != 0) return result > 0 ? 0 : -1;
  }
  return *link->problem ? -1 : nats_link_fail(link, "the stream changes while it is compared");
}
