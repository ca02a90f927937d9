/* SPDX-License-Identifier: MIT */
/* health.c: whether the process lives, and whether it should get clients. */
#include <stdio.h>

#include "answer.h"

enum {
  LAG_MS_MAX = 10000,           /* of the slowest loop */
  BEHIND_MAX = 10000,           /* entries that the log has and the hub has not */
  WAITING_MAX = 8 * 1024 * 1024 /* bytes that wait for the log: half of what the engine takes */
};

void tell_live(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct answer answer;
  answer_init(&answer, arg, request);
  answer_line(conn, &answer, 200, "live");
}

void tell_ready(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct answer answer;
  struct engine_status status;
  sse_stats stats = {.lag_ms = 0};
  char line[ENGINE_PROBLEM_MAX + 64];
  answer_init(&answer, server, request);
  engine_status(server->engine, &status);
  sse_hub_stats(server->hub, NULL, &stats);
  if (status.failing) {
    snprintf(line, sizeof line, "the engine fails: %s", status.problem);
    answer_line(conn, &answer, 503, line);
  } else if (status.waiting_bytes > WAITING_MAX) {
    answer_line(conn, &answer, 503, "the log is behind");
  } else if (status.behind > BEHIND_MAX) {
    answer_line(conn, &answer, 503, "this node is behind the log");
  } else if (stats.lag_ms > LAG_MS_MAX) {
    answer_line(conn, &answer, 503, "the streams are behind");
  } else {
    answer_line(conn, &answer, 200, "ready");
  }
}
