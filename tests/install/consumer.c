/* SPDX-License-Identifier: MIT */
/* consumer.c: a C program of somebody else, built against the installed library. */
#include <sse/sse.h>

#include <stdio.h>
#include <string.h>

/* A whole round: publish, and read it back as a client would be sent it. */
static int publish_and_read(void) {
  sse_hub *hub = NULL;
  sse_stream *stream = NULL;
  const sse_stream_config config = {.channel = "news"};
  char bytes[4096];
  int error = sse_hub_new(&hub, NULL);
  if (!error) error = sse_stream_open(&stream, hub, &config);
  if (!error) error = sse_hub_publish_text(hub, "news", "greeting", "hello");
  size_t len = 0;
  ssize_t got = error;
  while (!error && len < sizeof bytes &&
         (got = sse_stream_read(stream, bytes + len, sizeof bytes - len)) > 0) {
    len += (size_t)got;
  }
  bytes[len < sizeof bytes ? len : sizeof bytes - 1] = '\0';
  sse_stream_free(stream);
  if (!error) error = got < 0 ? (int)got : sse_hub_free(hub);
  if (error) fprintf(stderr, "consumer: %s\n", sse_error_text(error));
  return error == 0 && strstr(bytes, "event: greeting\ndata: hello\n") != NULL;
}

int main(void) {
  static const char expected[] = "data: hello\n\n";
  const sse_event event = {.text = "hello"};
  char bytes[64];
  ssize_t len = sse_format(bytes, sizeof bytes, &event);
  if (strcmp(sse_version(), SSE_VERSION_STRING) != 0) return 1;
  if (len != (ssize_t)strlen(expected) || memcmp(bytes, expected, (size_t)len) != 0) return 2;
  if (!publish_and_read()) return 3;
  return 0;
}
