/* SPDX-License-Identifier: MIT */
/* roster.c: who is present, as a list that every page keeps up to date. */
#include <stdio.h>
#include <string.h>

#include "host.h"

static sse_hub *hub;

/* [occupancy] */
/* Each user has a channel, to which all of the user's streams listen. */
static void on_occupancy(void *arg, const char *channel, int occupied) {
  char text[96];
  (void)arg;
  if (strncmp(channel, "user/", 5) != 0) return;
  const char *user = channel + 5;
  const sse_event event = {.type = "roster",
                           .key = user,
                           .text = text,
                           .flags = occupied ? 0 : SSE_TOMBSTONE};
  snprintf(text, sizeof text, "{\"user\":\"%s\",\"here\":%s}", user,
           occupied ? "true" : "false");
  int result = sse_hub_publish(hub, "roster", &event);
  if (result < 0) fprintf(stderr, "roster: %s\n", sse_error_text(result));
}
/* [/occupancy] */

/* [open] */
static void stream(const struct request *request, const char *user) {
  char channel[48];
  const char *channels[] = {"roster", channel, NULL};
  const sse_stream_config config = {.channels = channels, .tag = user};
  snprintf(channel, sizeof channel, "user/%s", user);
  request_serve(request, request_open(request, hub, &config));
}
/* [/open] */

/* [tags] */
static void list(const struct request *request) {
  enum {
    TAGS_MAX = 100
  };
  sse_tag_count tags[TAGS_MAX];
  char text[TAGS_MAX * 48] = "";
  size_t len = 0;
  int count = sse_hub_tags(hub, "roster", tags, TAGS_MAX);
  for (int i = 0; i < count && i < TAGS_MAX; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%s %u\n",
                            tags[i].tag, (unsigned)tags[i].streams);
  request_answer(request, 200, text);
}
/* [/tags] */

static void answer(const struct request *request) {
  char user[32];
  if (request_is(request, "GET", "/stream") &&
      request_param(request, "user", user, sizeof user))
    stream(request, user);
  else if (request_is(request, "GET", "/roster"))
    list(request);
  else
    request_answer(request, 400, "");
}

/* [main] */
int main(int argc, char **argv) {
  const sse_hub_config config = {.occupancy = on_occupancy};
  const sse_channel_config roster = {.conflate = SSE_YES,
                                     .window_frames_max = 10000};
  if (sse_hub_new(&hub, &config)) return 1;
  if (sse_hub_configure_channel(hub, "roster", &roster)) return 1;
  host_run(argc, argv, hub, answer);
  return sse_hub_free(hub) != SSE_OK;
}
/* [/main] */
