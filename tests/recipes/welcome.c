/* SPDX-License-Identifier: MIT */
/* welcome.c: a message that one client is given before the events of its channel. */
#include <stdio.h>
#include <sys/socket.h>

#include "host.h"

static sse_hub *hub;

/* [welcome] */
static void stream(const struct request *request, const char *user) {
  char text[64], bytes[1024];
  sse_stream *opened;
  const sse_event welcome = {.type = "welcome", .text = text};
  const sse_stream_config config = {.channel = "news",
                                    .last_id = request->last_id};
  if (sse_stream_open(&opened, hub, &config) < 0) return;
  ssize_t len = sse_http_stream_head(bytes, sizeof bytes, NULL);
  if (!*request->last_id) { /* not for a client that reconnects */
    snprintf(text, sizeof text, "Hello, %s", user);
    len += sse_format(bytes + len, sizeof bytes - (size_t)len, &welcome);
  }
  if (send(request->fd, bytes, (size_t)len, MSG_NOSIGNAL) == len)
    sse_stream_run(opened, request->fd);
  sse_stream_free(opened);
}
/* [/welcome] */

static void answer(const struct request *request) {
  char user[32];
  if (request_is(request, "GET", "/stream") &&
      request_param(request, "user", user, sizeof user))
    stream(request, user);
  else if (request_is(request, "POST", "/news"))
    request_answer(request,
                   sse_hub_publish_text(hub, "news", NULL, request->body)
                       ? 400
                       : 200,
                   "");
  else
    request_answer(request, 404, "");
}

int main(int argc, char **argv) {
  if (sse_hub_new(&hub, NULL)) return 1;
  host_run(argc, argv, hub, answer);
  return sse_hub_free(hub) != SSE_OK;
}
