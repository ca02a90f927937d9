/* SPDX-License-Identifier: MIT */
/* metrics.c: prints the metrics of a hub that has something of everything, for promtool to read. */
#include <stdio.h>
#include <stdlib.h>

#include <sse/sse.h>

static void must(int result) {
  if (result >= 0) return;
  fprintf(stderr, "metrics: %s\n", sse_error_text(result));
  exit(1);
}

static int wake(void *arg, unsigned why) {
  (void)arg;
  (void)why;
  return -1; /* so that some have failed */
}

static void drain(sse_stream *stream) {
  char buf[4096];
  while (sse_stream_read(stream, buf, sizeof buf) > 0) continue;
}

static void run_round(sse_loop *loop) {
  for (sse_stream *stream; (stream = sse_loop_next(loop));) drain(stream);
}

int main(void) {
  /* All that the text format has to escape, and what looks like its own signs. */
  static const char careful[] = "\"quoted\" \\n {le=\"1\"} # \xc3\xa4\\";
  static const char *const channels[] = {"a", careful, "none such", "a", NULL};
  static char text[1 << 16];
  sse_hub *hub;
  sse_loop *loop;
  sse_stream *streams[2];
  sse_stats stats;
  must(sse_hub_new(&hub, &(sse_hub_config){.channel.window_frames_max = 2}));
  must(sse_loop_new(&loop, hub, &(const sse_loop_config){.wake = wake}));
  must(sse_stream_open(&streams[0], hub,
                       &(sse_stream_config){.channel = "a", .loop = loop, .last_id = "no.1"}));
  must(sse_stream_open(&streams[1], hub, &(sse_stream_config){.channel = careful}));
  must(sse_hub_stats(hub, "a", &stats));
  drain(streams[1]);
  run_round(loop);
  for (int i = 0; i < 5; i++) {
    must(sse_hub_publish_text(hub, "a", NULL, "x"));
    must(sse_hub_publish_text(hub, careful, NULL, "y"));
  }
  run_round(loop);
  drain(streams[1]);
  ssize_t len = sse_stats_prometheus(text, sizeof text, hub, channels);
  if (len > (ssize_t)sizeof text) return 1;
  must((int)len);
  fwrite(text, 1, (size_t)len, stdout);
  for (int i = 0; i < 2; i++) sse_stream_free(streams[i]);
  must(sse_loop_free(loop));
  must(sse_hub_free(hub));
  return fflush(stdout) ? 1 : 0;
}
