/* SPDX-License-Identifier: MIT */
/* publish_lines.c: many events in one request, each a line of NDJSON. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"

enum {
  LINES_MAX = 10000
};

struct batch;

struct line {
  struct batch *batch;
  struct outcome outcome;
  char *refusal; /* that the outcome has as its line; NULL: it has another one */
  char id[SSE_ID_BYTES_MAX + 1];
};

/* Lines whose outcomes come on any thread; the last one replies. */
struct batch {
  struct httpd_later *later;
  struct answer answer;
  atomic_size_t waiting; /* outcomes that are missing, and one for the handler */
  size_t count;
  struct line lines[];
};

static int status_of(const struct batch *batch) {
  size_t good = 0, busy = 0;
  for (size_t i = 0; i < batch->count; i++) {
    good += batch->lines[i].outcome.status == 200;
    busy += batch->lines[i].outcome.status == 503;
  }
  if (good == batch->count) return 200;
  return busy == batch->count ? 503 : 207;
}

static void add_line(struct text *text, const struct line *line) {
  const struct outcome *outcome = &line->outcome;
  text_add(text, "{");
  if (outcome->line) {
    text_add(text, "\"status\":%d,\"error\":", outcome->status);
    text_add_json(text, outcome->line, strlen(outcome->line));
  } else {
    outcome_add_json(text, outcome, line->id);
  }
  text_add(text, "}");
}

static void one_is_known(struct batch *batch) {
  if (atomic_fetch_sub(&batch->waiting, 1) > 1) return;
  struct text text = {.len = 0};
  int status = status_of(batch);
  text_add(&text, "{\"status\":\"%s\",\"events\":[", status == 200 ? "ok" : "error");
  for (size_t i = 0; i < batch->count; i++) {
    if (i > 0) text_add(&text, ",\n");
    add_line(&text, &batch->lines[i]);
  }
  text_add(&text, "]}\n");
  answer_json_later(batch->later, &batch->answer, status, &text);
  for (size_t i = 0; i < batch->count; i++) free(batch->lines[i].refusal);
  free(batch);
}

static void acknowledge(void *arg, int error, const char *id) {
  struct line *line = arg;
  line->outcome = outcome_of(error);
  /* A repeated event keeps the application's id, which is there. */
  if (!error) memcpy(line->id, id, strlen(id) + 1);
  one_is_known(line->batch);
}

/* Why a line is not published; a refusal is kept until the reply. */
static struct outcome refuse(struct line *line, const struct verdict *verdict) {
  line->refusal = strdup(verdict->line);
  return (struct outcome){.status = verdict->status,
                          .line = line->refusal ? line->refusal : "the caller may not do that"};
}

/* 0; or -1, and the line has its outcome. */
static int read_line(struct event *event, struct line *line, const struct caller *caller,
                     char *text, size_t len) {
  struct json_object object;
  struct verdict verdict = {.status = 0};
  const char *problem = json_read(&object, text, len);
  if (!problem) problem = event_from_json(event, &object);
  if (!problem) verdict = authorize_publish(caller, &event->channels);
  if (!problem && caller->server->options->prefixes) problem = event_add_prefixes(event);
  if (problem) line->outcome = (struct outcome){.status = 400, .line = problem};
  if (!problem && verdict.status) line->outcome = refuse(line, &verdict);
  return problem || verdict.status ? -1 : 0;
}

static void publish_line(const struct caller *caller, struct line *line, char *text, size_t len) {
  struct event event = {.prefixes = NULL};
  if (read_line(&event, line, caller, text, len) != 0) {
    free(event.prefixes);
    one_is_known(line->batch);
    return;
  }
  const char *id = event.event.id ? event.event.id : "";
  size_t id_len = strnlen(id, sizeof line->id - 1);
  memcpy(line->id, id, id_len);
  line->id[id_len] = '\0';
  int error =
      engine_submit(caller->server->engine, event.channels.names, &event.event, acknowledge, line);
  free(event.prefixes);
  if (error) acknowledge(line, error, "");
}

/* The next line that is not blank, without its end; `at` moves behind it. NULL: there is none. */
static char *next_line(char **at, char *end, size_t *len) {
  while (*at < end) {
    char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
    char *stop = newline ? newline : end;
    *at = stop + 1;
    *len = (size_t)(stop - line);
    for (size_t i = 0; i < *len; i++)
      if (!strchr(" \t\r", line[i]) || line[i] == '\0') return line;
  }
  return NULL;
}

static size_t count_lines(char *body, size_t body_len) {
  size_t count = 0, len;
  for (char *at = body, *end = body + body_len; next_line(&at, end, &len);) count++;
  return count;
}

static void publish_all(struct httpd_conn *conn, const struct caller *caller, char *body,
                        const struct answer *answer) {
  size_t body_len = caller->params->request->body_len;
  size_t count = count_lines(body, body_len), len;
  if (count == 0 || count > LINES_MAX) {
    if (count == 0) answer_line(conn, answer, 400, "the body has no line");
    if (count > 0) answer_line(conn, answer, 413, "at most 10,000 lines");
    return;
  }
  struct batch *batch = calloc(1, sizeof *batch + count * sizeof *batch->lines);
  if (batch) batch->later = httpd_defer(conn);
  if (!batch || !batch->later) {
    free(batch);
    answer_line(conn, answer, 503, sse_error_text(SSE_ENOMEM));
    return;
  }
  batch->answer = *answer;
  batch->count = count;
  atomic_init(&batch->waiting, count + 1);
  struct line *line = batch->lines;
  char *at = body, *text;
  /* NOLINTBEGIN(clang-analyzer-unix.Malloc): until the last call nobody frees it. */
  while ((text = next_line(&at, body + body_len, &len))) {
    line->batch = batch;
    publish_line(caller, line++, text, len);
  }
  one_is_known(batch);
  /* NOLINTEND(clang-analyzer-unix.Malloc) */
}

/* A copy, since the reader of JSON decodes in place. */
void publish_lines(struct httpd_conn *conn, const struct caller *caller,
                   const struct answer *answer) {
  const struct request *request = caller->params->request;
  size_t len = request->body_len;
  char *body = malloc(len + 1);
  if (!body) {
    answer_line(conn, answer, 503, sse_error_text(SSE_ENOMEM));
    return;
  }
  memcpy(body, request->body, len);
  body[len] = '\0';
  publish_all(conn, caller, body, answer);
  free(body);
}
