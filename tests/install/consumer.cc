/* SPDX-License-Identifier: MIT */
/* consumer.cc: a C++ program of somebody else, built against the installed library. */
#include <sse/sse.h>

#include <cstdio>
#include <string>

static int wake(void *, unsigned) {
  return 0;
}

static std::string publish_and_read() {
  sse_hub *hub = nullptr;
  sse_loop *loop = nullptr;
  sse_stream *stream = nullptr;
  sse_stream_config config = sse_stream_config();
  std::string bytes;
  char piece[64];
  ssize_t len = sse_hub_new(&hub, nullptr);
  sse_loop_config looping = {};
  looping.wake = wake;
  if (len == 0) len = sse_loop_new(&loop, hub, &looping);
  config.channel = "news";
  config.loop = loop;
  if (len == 0) len = sse_stream_open(&stream, hub, &config);
  if (len == 0) len = sse_hub_publish_text(hub, "news", nullptr, "hello");
  if (len == 0) {
    while ((len = sse_stream_read(stream, piece, sizeof piece)) > 0) {
      bytes.append(piece, static_cast<std::size_t>(len));
    }
  }
  sse_stream_free(stream);
  sse_loop_free(loop);
  if (len == 0) len = sse_hub_free(hub);
  if (len < 0) std::fprintf(stderr, "consumer: %s\n", sse_error_text(static_cast<int>(len)));
  return len == 0 ? bytes : std::string();
}

int main() {
  if (std::string(sse_version()) != SSE_VERSION_STRING) return 1;
  return publish_and_read().find("data: hello\n") != std::string::npos ? 0 : 2;
}
