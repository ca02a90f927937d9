/* SPDX-License-Identifier: MIT */
/* notify.c: notifications to one user, beside the news for all. */
#include <stdio.h>

#include "host.h"

static sse_hub *hub;

/* [open] */
static void stream(const struct request *request, const char *user) {
  char channel[48];
  const char *channels[] = {"news", channel, NULL};
  const sse_stream_config config = {.channels = channels, .tag = user};
  snprintf(channel, sizeof channel, "user/%s", user);
  request_serve(request, request_open(request, hub, &config));
}
/* [/open] */

/* [notify] */
/* 1: the user has a page open; 0: none, so send an e-mail as well. */
static int notify(const char *user, const char *text) {
  char channel[48];
  snprintf(channel, sizeof channel, "user/%s", user);
  int result = sse_hub_publish_text(hub, channel, "notification", text);
  return result < 0 ? result : sse_hub_count(hub, channel) > 0;
}
/* [/notify] */

/* [follow] */
/* The open pages of the user are given all that is known of an order. */
static int follow(const char *user, const char *order) {
  char channel[48];
  snprintf(channel, sizeof channel, "order/%s", order);
  return sse_hub_subscribe(hub, user, channel, SSE_BACKFILL_ALL);
}
/* [/follow] */

static int update_order(const char *order, const char *text) {
  char channel[48];
  snprintf(channel, sizeof channel, "order/%s", order);
  return sse_hub_publish_text(hub, channel, "order", text);
}

static void answer(const struct request *request) {
  char user[32] = "", order[32] = "", text[16] = "";
  int result = SSE_EINVAL;
  request_param(request, "user", user, sizeof user);
  request_param(request, "order", order, sizeof order);
  if (request_is(request, "GET", "/stream") && *user) {
    stream(request, user);
    return;
  }
  if (request_is(request, "POST", "/news"))
    result = sse_hub_publish_text(hub, "news", NULL, request->body);
  if (request_is(request, "POST", "/notify") && *user)
    result = notify(user, request->body);
  if (request_is(request, "POST", "/follow") && *user && *order)
    result = follow(user, order);
  if (request_is(request, "POST", "/order") && *order)
    result = update_order(order, request->body);
  if (result > 0) snprintf(text, sizeof text, "%d\n", result);
  request_answer(request, result < 0 ? 400 : 200,
                 result < 0 ? sse_error_text(result) : text);
}

int main(int argc, char **argv) {
  if (sse_hub_new(&hub, NULL)) return 1;
  host_run(argc, argv, hub, answer);
  return sse_hub_free(hub) != SSE_OK;
}
