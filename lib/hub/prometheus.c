/* SPDX-License-Identifier: MIT */
/* prometheus.c: the numbers of a hub and its channels in the text format of Prometheus. */
#include <stddef.h>
#include <string.h>

#include <sse/stats.h>
#include <sse/stream.h>

#include "hub/counters.h"
#include "wire/event_id.h"

struct out {
  char *buf;
  size_t cap, len; /* len counts what did not fit, too */
};

static void put(struct out *out, const char *bytes, size_t len) {
  if (out->len < out->cap) {
    size_t room = out->cap - out->len;
    memcpy(out->buf + out->len, bytes, len < room ? len : room);
  }
  out->len += len;
}

static void put_text(struct out *out, const char *text) {
  put(out, text, strlen(text));
}

static void put_number(struct out *out, uint64_t number) {
  char digits[SSE__NUMBER_MAX_BYTES];
  put(out, digits, sse__number_write(digits, number));
}

/* A number of units of which 10^places are one second; printf would ask the locale for the point.
 */
static void put_seconds(struct out *out, uint64_t units, unsigned places) {
  char digits[SSE__NUMBER_MAX_BYTES];
  uint64_t one = 1;
  for (unsigned i = 0; i < places; i++) one *= 10;
  put_number(out, units / one);
  if (units % one == 0) return;
  size_t len = sse__number_write(digits, one + units % one);
  digits[0] = '.'; /* in place of the 1 that kept the zeros behind it */
  while (digits[len - 1] == '0') len--;
  put(out, digits, len);
}

/* ---- a metric and its samples ---- */

enum form {
  FORM_NUMBER,
  FORM_MS,
  FORM_HISTOGRAM /* the latencies */
};

struct metric {
  const char *name, *type, *help;
  size_t at; /* in sse_stats */
  enum form form;
};

static void put_head(struct out *out, const char *name, const char *type, const char *help) {
  put_text(out, "# HELP ");
  put_text(out, name);
  put_text(out, " ");
  put_text(out, help);
  put_text(out, "\n# TYPE ");
  put_text(out, name);
  put_text(out, " ");
  put_text(out, type);
  put_text(out, "\n");
}

/* A label's value; the name of a channel has no control characters, so none is a newline. */
static void put_label(struct out *out, const char *name, const char *value) {
  put_text(out, name);
  put_text(out, "=\"");
  for (; *value; value++) {
    if (*value == '"' || *value == '\\') put_text(out, "\\");
    put(out, value, 1);
  }
  put_text(out, "\"");
}

/* All of a sample but its value; the channel may be NULL. */
static void put_series(struct out *out, const char *name, const char *suffix, const char *channel) {
  put_text(out, name);
  put_text(out, suffix);
  if (channel) {
    put_text(out, "{");
    put_label(out, "channel", channel);
    put_text(out, "}");
  }
  put_text(out, " ");
}

/* Up to the place, or of all of them. */
static void put_bucket(struct out *out, const char *name, const char *channel, unsigned place,
                       uint64_t count) {
  put_text(out, name);
  put_text(out, "_bucket{");
  if (channel) {
    put_label(out, "channel", channel);
    put_text(out, ",");
  }
  put_text(out, "le=\"");
  if (place < SSE_LATENCY_PLACES - 1) {
    put_seconds(out, UINT64_C(1) << place, 6);
  } else {
    put_text(out, "+Inf");
  }
  put_text(out, "\"} ");
  put_number(out, count);
  put_text(out, "\n");
}

static void put_histogram(struct out *out, const char *name, const char *channel,
                          const sse_stats *stats) {
  uint64_t count = 0;
  for (unsigned place = 0; place < SSE_LATENCY_PLACES; place++) {
    count += stats->latency[place];
    put_bucket(out, name, channel, place, count);
  }
  put_series(out, name, "_sum", channel);
  put_seconds(out, stats->latency_sum_ns, 9);
  put_text(out, "\n");
  put_series(out, name, "_count", channel);
  put_number(out, count);
  put_text(out, "\n");
}

static void put_metric(struct out *out, const struct metric *metric, const char *channel,
                       const sse_stats *stats) {
  uint64_t value;
  if (metric->form == FORM_HISTOGRAM) {
    put_histogram(out, metric->name, channel, stats);
    return;
  }
  memcpy(&value, (const char *)stats + metric->at, sizeof value);
  put_series(out, metric->name, "", channel);
  if (metric->form == FORM_MS) {
    put_seconds(out, value, 3);
  } else {
    put_number(out, value);
  }
  put_text(out, "\n");
}

/* ---- a hub ---- */

#define AT(subscription) offsetof(sse_stats, subscription), FORM_NUMBER
#define MS(subscription) offsetof(sse_stats, subscription), FORM_MS

static const struct metric of_hub[] = {
    {"libsse_published_events_total", "counter", "Events published.", AT(published_events)},
    {"libsse_published_bytes_total", "counter", "Encoded bytes of the events published.",
     AT(published_bytes)},
    {"libsse_delivered_events_total", "counter",
     "Events taken by the transports of clients, counted for each client.", AT(delivered_events)},
    {"libsse_delivered_bytes_total", "counter", "Bytes taken by the transports of clients.",
     AT(delivered_bytes)},
    {"libsse_evicted_frames_total", "counter", "Frames that windows let go.", AT(evicted_frames)},
    {"libsse_lost_events_total", "counter",
     "Events that clients were told they lost, where their number was known.", AT(lost_events)},
    {"libsse_publishes_full_total", "counter", "Publishes that failed at the memory ceiling.",
     AT(full)},
    {"libsse_heartbeats_total", "counter", "Heartbeat comments delivered.", AT(heartbeats)},
    {"libsse_positions_total", "counter", "Blocks delivered that only bring an id up to date.",
     AT(positions)},
    {"libsse_wakes_total", "counter", "Calls of wakes.", AT(wakes)},
    {"libsse_wakes_failed_total", "counter", "Calls of wakes that failed.", AT(wakes_failed)},
    {"libsse_streams", "gauge", "Streams that are open.", AT(streams)},
    {"libsse_channels", "gauge", "Channels.", AT(channels)},
    {"libsse_ghosts", "gauge", "Channels that went away and are remembered.", AT(ghosts)},
    {"libsse_loops", "gauge", "Loops.", AT(loops)},
    {"libsse_window_frames", "gauge", "Frames in windows.", AT(window_frames)},
    {"libsse_window_bytes", "gauge", "Memory of the frames in windows.", AT(window_bytes)},
    {"libsse_oldest_frame_seconds", "gauge", "Age of the oldest frame in a window.", MS(oldest_ms)},
    {"libsse_memory_bytes", "gauge", "Memory of all frames.", AT(memory_bytes)},
    {"libsse_memory_max_bytes", "gauge", "Ceiling on the memory of all frames.",
     AT(memory_max_bytes)},
    {"libsse_pinned_bytes", "gauge", "Memory of frames that are lent and in no window.",
     AT(pinned_bytes)},
    {"libsse_lag_seconds", "gauge",
     "How long the loop that is most behind has left new events waiting.", MS(lag_ms)},
    {"libsse_head", "gauge", "The last number given to an event.", AT(head)},
    {"libsse_latency_seconds", "histogram",
     "Time from an event's publish until a client's transport took its last byte.", 0,
     FORM_HISTOGRAM},
};

static void put_labelled(struct out *out, const char *name, const char *label, const char *value,
                         uint64_t count) {
  put_text(out, name);
  put_text(out, "{");
  put_label(out, label, value);
  put_text(out, "} ");
  put_number(out, count);
  put_text(out, "\n");
}

static void put_gaps(struct out *out, const sse_stats *stats) {
  static const char name[] = "libsse_gaps_total";
  put_head(out, name, "counter", "Gaps that clients were told of.");
#define GAP_SAMPLE(gap, value, reason) put_labelled(out, name, "reason", reason, stats->gaps[gap]);
  SSE_GAPS(GAP_SAMPLE)
#undef GAP_SAMPLE
}

static void put_opened(struct out *out, const sse_stats *stats) {
  static const char name[] = "libsse_streams_opened_total";
  static const char *const verdicts[] = {
      [SSE_RESUME_NONE] = "none",          [SSE_RESUME_RESUMED] = "resumed",
      [SSE_RESUME_EVICTED] = "evicted",    [SSE_RESUME_RESTART] = "restart",
      [SSE_RESUME_UNKNOWN] = "unknown",    [SSE_RESUME_FUTURE] = "future",
      [SSE_RESUME_MALFORMED] = "malformed"};
  put_head(out, name, "counter", "Streams opened, by the verdict on the client's last id.");
  for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
    put_labelled(out, name, "verdict", verdicts[i], stats->opened[i]);
  }
}

/* "SSE_ESTALLED" is "stalled". */
static void put_closed_by(struct out *out, const char *name, int code, uint64_t count) {
  const char *error = sse_error_name(-code) + sizeof "SSE_E" - 1;
  char reason[32] = "host";
  for (size_t i = 0; code && i < sizeof reason - 1; i++) {
    reason[i] = error[i];
    if (error[i] == '\0') break;
    if (error[i] >= 'A' && error[i] <= 'Z') reason[i] = (char)(error[i] - 'A' + 'a');
  }
  put_labelled(out, name, "reason", reason, count);
}

/* The usual ends are always there, so that a rate has a zero to start from. */
static void put_closed(struct out *out, const sse_stats *stats) {
  static const char name[] = "libsse_streams_closed_total";
  static const int8_t usual[SSE_STATS_CODES_MAX] = {[0] = 1,
                                                    [-SSE_EIO] = 1,
                                                    [-SSE_ECLOSED] = 1,
                                                    [-SSE_ECALLBACK] = 1,
                                                    [-SSE_ESTALLED] = 1,
                                                    [-SSE_EAGED] = 1,
                                                    [-SSE_EPINNED] = 1,
                                                    [-SSE_ESLOW] = 1};
  put_head(out, name, "counter", "Streams detached, by what ended them; host: nothing else did.");
  for (int code = 0; code < SSE_STATS_CODES_MAX; code++) {
    if (usual[code] || stats->closed[code]) put_closed_by(out, name, code, stats->closed[code]);
  }
}

static void put_hub(struct out *out, const sse_stats *stats) {
  for (size_t i = 0; i < sizeof of_hub / sizeof *of_hub; i++) {
    put_head(out, of_hub[i].name, of_hub[i].type, of_hub[i].help);
    put_metric(out, &of_hub[i], NULL, stats);
  }
  put_gaps(out, stats);
  put_opened(out, stats);
  put_closed(out, stats);
}

/* ---- channels ---- */

static const struct metric of_channel[] = {
    {"libsse_channel_published_events_total", "counter", "Events published to the channel.",
     AT(published_events)},
    {"libsse_channel_published_bytes_total", "counter", "Encoded bytes of these events.",
     AT(published_bytes)},
    {"libsse_channel_delivered_events_total", "counter",
     "Events of the channel taken by the transports of clients.", AT(delivered_events)},
    {"libsse_channel_delivered_bytes_total", "counter", "Encoded bytes of these events.",
     AT(delivered_bytes)},
    {"libsse_channel_evicted_frames_total", "counter", "Frames that the window let go.",
     AT(evicted_frames)},
    {"libsse_channel_streams", "gauge", "Streams that listen.", AT(streams)},
    {"libsse_channel_window_frames", "gauge", "Frames in the window.", AT(window_frames)},
    {"libsse_channel_window_bytes", "gauge", "Memory of the frames in the window.",
     AT(window_bytes)},
    {"libsse_channel_oldest_frame_seconds", "gauge", "Age of the oldest frame in the window.",
     MS(oldest_ms)},
    {"libsse_channel_lag_events", "gauge",
     "Events that the loop which is most behind has not begun to serve.", AT(lag_events)},
    {"libsse_channel_lag_seconds", "gauge", "Age of the oldest of these.", MS(lag_ms)},
    {"libsse_channel_latency_seconds", "histogram",
     "Time from an event's publish until a client's transport took its last byte.", 0,
     FORM_HISTOGRAM},
};

/* A series may be there once only. */
static bool is_repeated(const char *const *channels, size_t at) {
  for (size_t i = 0; i < at; i++) {
    if (strcmp(channels[i], channels[at]) == 0) return true;
  }
  return false;
}

/*
 * All samples of a metric stand together, so each channel is looked up once for each metric: there
 * is no bound on channels, and nothing is allocated for them.
 */
static void put_of_channels(struct out *out, const struct metric *metric, sse_hub *hub,
                            const char *const *channels) {
  sse_stats stats;
  bool headed = false;
  for (size_t i = 0; channels[i]; i++) {
    if (is_repeated(channels, i) || sse_hub_stats(hub, channels[i], &stats)) continue;
    if (!headed) put_head(out, metric->name, metric->type, metric->help);
    headed = true;
    put_metric(out, metric, channels[i], &stats);
  }
}

ssize_t sse_stats_prometheus(char *buf, size_t cap, sse_hub *hub, const char *const *channels) {
  struct out out = {buf, cap, 0};
  sse_stats stats;
  if (!hub || (!buf && cap > 0)) return SSE_EINVAL;
  sse_hub_stats(hub, NULL, &stats);
  put_hub(&out, &stats);
  for (size_t i = 0; channels && i < sizeof of_channel / sizeof *of_channel; i++) {
    put_of_channels(&out, &of_channel[i], hub, channels);
  }
  return (ssize_t)out.len;
}
