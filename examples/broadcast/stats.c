/* SPDX-License-Identifier: MIT */
/* stats.c: what operators ask: numbers, channels, who listens, and the position. */
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "authorize.h"
#include "subscription.h"

enum {
  METRICS_BYTES = 32 * 1024 /* what the library writes without channels, with room to spare */
};

static void answer_no_memory(struct httpd_conn *conn, const struct answer *answer) {
  answer_line(conn, answer, 503, sse_error_text(SSE_ENOMEM));
}

/* ---- Channels ---- */

/*
 * Pairs [channel, clients], as cyclone-sse gives them; or objects. sse_hub_stats would know more, but
 * measures the latency of each channel that it was asked for, from then on.
 */
static void list_channels(struct httpd_conn *conn, const struct request *request,
                          struct server *server, int as_pairs) {
  struct answer answer;
  struct text text = {.len = 0};
  answer_init(&answer, server, request);
  char **names = roster_list(server->roster);
  if (!names) {
    answer_no_memory(conn, &answer);
    return;
  }
  text_add(&text, "[");
  for (char **name = names; *name; name++) {
    size_t clients = sse_hub_count(server->hub, *name);
    if (clients == 0) continue;
    if (text.len > 1) text_add(&text, ",\n");
    text_add(&text, as_pairs ? "[" : "{\"channel\":");
    text_add_json(&text, *name, strlen(*name));
    text_add(&text, as_pairs ? ",%zu]" : ",\"clients\":%zu}", clients);
  }
  text_add(&text, "]\n");
  free(names);
  answer_json(conn, &answer, &text);
}

void tell_stats(struct httpd_conn *conn, const struct request *request, void *arg) {
  list_channels(conn, request, arg, 1);
}

void tell_channels(struct httpd_conn *conn, const struct request *request, void *arg) {
  list_channels(conn, request, arg, 0);
}

/* ---- Who listens ---- */

static void add_tags(struct text *text, const sse_tag_count *tags, int count) {
  int first = 1;
  for (int i = 0; i < count; i++) {
    if (subscription_is_session(tags[i].tag)) continue; /* whoever knows it can change it */
    text_add(text, first ? "" : ",\n");
    text_add_json(text, tags[i].tag, strlen(tags[i].tag));
    text_add(text, ":%u", tags[i].streams);
    first = 0;
  }
}

/* The number of tags may grow between the two calls; what came late is not in the answer. */
static void add_presence(struct text *text, sse_hub *hub, const char *channel) {
  int count = sse_hub_tags(hub, channel, NULL, 0);
  size_t max = count > 0 ? (size_t)count : 0;
  sse_tag_count *tags = malloc((max + 1) * sizeof *tags);
  if (!tags) {
    text->failed = 1;
    return;
  }
  count = sse_hub_tags(hub, channel, tags, max);
  if (count > (int)max) count = (int)max;
  text_add(text, "{\"clients\":%zu,\"tags\":{", sse_hub_count(hub, channel));
  add_tags(text, tags, count);
  text_add(text, "}}\n");
  free(tags);
}

void tell_presence(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct params params = {.request = request};
  struct caller caller;
  struct answer answer;
  struct text text = {.len = 0};
  answer_init(&answer, server, request);
  caller_read(&caller, server, &params);
  struct verdict verdict = authorize_operate(&caller);
  caller_free(&caller);
  const char *channel = params_get(&params, "channel");
  if (verdict.status) {
    answer_refusal(conn, &answer, verdict.status, verdict.line, verdict.header);
  } else if (channel && sse_hub_tags(server->hub, channel, NULL, 0) < 0) {
    answer_line(conn, &answer, 400, sse_error_text(SSE_ENAME));
  } else {
    add_presence(&text, server->hub, channel);
    answer_json(conn, &answer, &text);
  }
}

/* ---- The position ---- */

/* All channels share one sequence of numbers, so the position is the same for each of them. */
void tell_position(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct answer answer;
  struct text text = {.len = 0};
  char id[SSE_ID_BYTES_MAX + 1];
  answer_init(&answer, server, request);
  sse_hub_position(server->hub, id, sizeof id);
  text_add(&text, "{\"id\":");
  text_add_json(&text, id, strlen(id));
  text_add(&text, "}\n");
  answer_json(conn, &answer, &text);
}

/* ---- Prometheus ---- */

static void add_metric(struct text *text, const char *name, const char *type, const char *help,
                       uint64_t value) {
  text_add(text, "# HELP broadcast_engine_%s %s\n# TYPE broadcast_engine_%s %s\n", name, help, name,
           type);
  text_add(text, "broadcast_engine_%s %llu\n", name, (unsigned long long)value);
}

static void add_engine(struct text *text, struct engine *engine) {
  struct engine_status status;
  engine_status(engine, &status);
  text_add(text,
           "# HELP broadcast_engine_info The kind of the engine.\n"
           "# TYPE broadcast_engine_info gauge\nbroadcast_engine_info{kind=\"%s\"} 1\n",
           status.kind);
  add_metric(text, "failing", "gauge", "1 if the last use of the log failed.",
             (uint64_t)status.failing);
  add_metric(text, "head", "gauge", "Number of the newest entry that the hub was given.",
             status.head);
  add_metric(text, "behind", "gauge", "Entries of the log that the hub was not given yet.",
             status.behind);
  add_metric(text, "appended_total", "counter", "Events that the log has confirmed.",
             status.appended);
  add_metric(text, "failed_total", "counter", "Events that the log has not confirmed.",
             status.failed);
  add_metric(text, "writes_total", "counter", "Writes that the confirmed events have shared.",
             status.writes);
  add_metric(text, "refused_total", "counter", "Entries that are no valid events.", status.refused);
  add_metric(text, "skipped_total", "counter", "Entries that the hub could not take.",
             status.skipped);
  add_metric(text, "histories_total", "counter", "New histories of the log.", status.histories);
  add_metric(text, "waiting_events", "gauge", "Events that wait for their outcome.",
             status.waiting);
  add_metric(text, "waiting_bytes", "gauge", "Memory of the events that wait.",
             status.waiting_bytes);
}

void tell_metrics(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct text text = {.len = 0};
  struct answer answer;
  const char *headers[ANSWER_HEADERS_MAX];
  answer_init(&answer, server, request);
  char *at = text_room(&text, METRICS_BYTES);
  ssize_t len = at ? sse_stats_prometheus(at, METRICS_BYTES, server->hub, NULL) : -1;
  if (len < 0 || len > METRICS_BYTES) {
    text_free(&text);
    answer_no_memory(conn, &answer);
    return;
  }
  text.len = (size_t)len;
  add_engine(&text, server->engine);
  answer_headers(&answer, headers, NULL);
  if (text.failed)
    answer_no_memory(conn, &answer);
  else
    httpd_reply(
        conn, &(struct httpd_response){
                  .type = SSE_STATS_TYPE, .body = text.bytes, .len = text.len, .headers = headers});
  text_free(&text);
}
