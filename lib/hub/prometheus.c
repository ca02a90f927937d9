/* SPDX-License-Identifier: MIT */
/* prometheus.c: the statistics of a hub and its channels, in the text format of Prometheus. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <sse/stats.h>
#include <sse/stream.h>

#include "hub/counters.h"
#include "hub/hub.h"
#include "hub/names.h"
#include "util/writer.h"

/* 10^places units are one second. printf would take the decimal point from the locale. */
static void put_seconds(struct sse__writer *out, uint64_t units, unsigned places) {
  char digits[SSE__NUMBER_BYTES_MAX];
  uint64_t one = 1;
  for (unsigned i = 0; i < places; i++) one *= 10;
  sse__writer_number(out, units / one);
  if (units % one == 0) return;
  size_t len = sse__number_write(digits, one + units % one);
  digits[0] = '.'; /* replaces the 1, which kept the leading zeros */
  while (digits[len - 1] == '0') len--;
  sse__writer_bytes(out, digits, len);
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

static void put_help(struct sse__writer *out, const char *name, const char *type,
                     const char *help) {
  sse__writer_text(out, "# HELP ");
  sse__writer_text(out, name);
  sse__writer_text(out, " ");
  sse__writer_text(out, help);
  sse__writer_text(out, "\n# TYPE ");
  sse__writer_text(out, name);
  sse__writer_text(out, " ");
  sse__writer_text(out, type);
  sse__writer_text(out, "\n");
}

/* A newline need not be escaped: no value has one, and channel names have no control characters. */
static void put_label(struct sse__writer *out, const char *name, const char *value) {
  sse__writer_text(out, name);
  sse__writer_text(out, "=\"");
  for (; *value; value++) {
    if (*value == '"' || *value == '\\') sse__writer_text(out, "\\");
    sse__writer_bytes(out, value, 1);
  }
  sse__writer_text(out, "\"");
}

/* A sample without its value. channel may be NULL. */
static void put_series(struct sse__writer *out, const char *name, const char *suffix,
                       const char *channel) {
  sse__writer_text(out, name);
  sse__writer_text(out, suffix);
  if (channel) {
    sse__writer_text(out, "{");
    put_label(out, "channel", channel);
    sse__writer_text(out, "}");
  }
  sse__writer_text(out, " ");
}

/* The count of all latencies up to that of a place; of all latencies for the last place. */
static void put_bucket(struct sse__writer *out, const char *name, const char *channel,
                       unsigned place, uint64_t count) {
  sse__writer_text(out, name);
  sse__writer_text(out, "_bucket{");
  if (channel) {
    put_label(out, "channel", channel);
    sse__writer_text(out, ",");
  }
  sse__writer_text(out, "le=\"");
  if (place < SSE_LATENCY_BUCKETS - 1) {
    put_seconds(out, UINT64_C(1) << place, 6);
  } else {
    sse__writer_text(out, "+Inf");
  }
  sse__writer_text(out, "\"} ");
  sse__writer_number(out, count);
  sse__writer_text(out, "\n");
}

static void put_histogram(struct sse__writer *out, const char *name, const char *channel,
                          const sse_stats *stats) {
  uint64_t count = 0;
  for (unsigned place = 0; place < SSE_LATENCY_BUCKETS; place++) {
    count += stats->latency[place];
    put_bucket(out, name, channel, place, count);
  }
  put_series(out, name, "_sum", channel);
  put_seconds(out, stats->latency_sum_ns, 9);
  sse__writer_text(out, "\n");
  put_series(out, name, "_count", channel);
  sse__writer_number(out, count);
  sse__writer_text(out, "\n");
}

static void put_metric(struct sse__writer *out, const struct metric *metric, const char *channel,
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
    sse__writer_number(out, value);
  }
  sse__writer_text(out, "\n");
}

/* ---- a hub ---- */

#define AT(member) offsetof(sse_stats, member), FORM_NUMBER
#define MS(member) offsetof(sse_stats, member), FORM_MS

static const struct metric of_hub[] = {
    {"libsse_published_events_total", "counter", "Events published.", AT(published_events)},
    {"libsse_published_bytes_total", "counter", "Encoded bytes of the events published.",
     AT(published_bytes)},
    {"libsse_delivered_events_total", "counter",
     "Events taken by the transports of clients, counted for each client.", AT(delivered_events)},
    {"libsse_delivered_bytes_total", "counter", "Bytes taken by the transports of clients.",
     AT(delivered_bytes)},
    {"libsse_evicted_frames_total", "counter", "Frames evicted from windows.", AT(evicted_frames)},
    {"libsse_lost_events_total", "counter",
     "Lost events reported to clients, where their number was known.", AT(lost_events)},
    {"libsse_publishes_full_total", "counter", "Publishes that failed at the memory ceiling.",
     AT(full)},
    {"libsse_heartbeats_total", "counter", "Heartbeat comments delivered.", AT(heartbeats)},
    {"libsse_positions_total", "counter",
     "Position blocks delivered, which only update a client's id.", AT(positions)},
    {"libsse_wakes_total", "counter", "Wake calls.", AT(wakes)},
    {"libsse_wakes_failed_total", "counter", "Wake calls that failed.", AT(wakes_failed)},
    {"libsse_streams", "gauge", "Streams that are open.", AT(streams)},
    {"libsse_channels", "gauge", "Channels.", AT(channels)},
    {"libsse_ghosts", "gauge", "Removed channels that are remembered.", AT(ghosts)},
    {"libsse_loops", "gauge", "Loops.", AT(loops)},
    {"libsse_window_frames", "gauge", "Frames in windows.", AT(window_frames)},
    {"libsse_window_bytes", "gauge", "Memory of the frames in windows.", AT(window_bytes)},
    {"libsse_oldest_frame_seconds", "gauge", "Age of the oldest frame in a window.", MS(oldest_ms)},
    {"libsse_memory_bytes", "gauge", "Memory of all frames.", AT(memory_bytes)},
    {"libsse_memory_max_bytes", "gauge", "Ceiling on the memory of all frames.",
     AT(memory_bytes_max)},
    {"libsse_pinned_bytes", "gauge", "Memory of frames that are in flight and in no window.",
     AT(pinned_bytes)},
    {"libsse_lag_events", "gauge",
     "Events that the slowest loop, or standalone stream that keeps up, was not given yet.",
     AT(lag_events)},
    {"libsse_lag_seconds", "gauge", "Time for which the slowest loop has left new events waiting.",
     MS(lag_ms)},
    {"libsse_head", "gauge", "Number of the newest event.", AT(head)},
    {"libsse_latency_seconds", "histogram",
     "Time from an event's publish until a client's transport took its last byte.", 0,
     FORM_HISTOGRAM},
};

static void put_labelled(struct sse__writer *out, const char *name, const char *label,
                         const char *value, uint64_t count) {
  sse__writer_text(out, name);
  sse__writer_text(out, "{");
  put_label(out, label, value);
  sse__writer_text(out, "} ");
  sse__writer_number(out, count);
  sse__writer_text(out, "\n");
}

static void put_gaps(struct sse__writer *out, const sse_stats *stats) {
  static const char name[] = "libsse_gaps_total";
  put_help(out, name, "counter", "Gaps reported to clients.");
#define GAP_SAMPLE(gap, value, reason) put_labelled(out, name, "reason", reason, stats->gaps[gap]);
  SSE_GAPS(GAP_SAMPLE)
#undef GAP_SAMPLE
}

static void put_opened(struct sse__writer *out, const sse_stats *stats) {
  static const char name[] = "libsse_streams_opened_total";
  static const char *const results[] = {
      [SSE_RESUME_NONE] = "none",           [SSE_RESUME_RESUMED] = "resumed",
      [SSE_RESUME_EVICTED] = "evicted",     [SSE_RESUME_RESTART] = "restart",
      [SSE_RESUME_UNKNOWN] = "unknown",     [SSE_RESUME_FUTURE] = "future",
      [SSE_RESUME_MALFORMED] = "malformed", [SSE_RESUME_AHEAD] = "ahead"};
  put_help(out, name, "counter", "Streams opened, by the resume result of the client's last id.");
  for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
    put_labelled(out, name, "verdict", results[i], stats->opened[i]);
  }
}

/* The reason is the name of the code: SSE_ESTALLED is "stalled". */
static void put_closed_by(struct sse__writer *out, const char *name, int code, uint64_t count) {
  const char *error = sse_error_name(-code) + sizeof "SSE_E" - 1;
  char reason[32] = "host";
  for (size_t i = 0; code && i < sizeof reason - 1; i++) {
    reason[i] = error[i];
    if (error[i] == '\0') break;
    if (error[i] >= 'A' && error[i] <= 'Z') reason[i] = (char)(error[i] - 'A' + 'a');
  }
  put_labelled(out, name, "reason", reason, count);
}

/* The usual reasons are always written, so that a rate has a zero to start from. */
static void put_closed(struct sse__writer *out, const sse_stats *stats) {
  static const char name[] = "libsse_streams_closed_total";
  static const int8_t usual[SSE_STATS_CODES_MAX] = {[0] = 1,
                                                    [-SSE_EIO] = 1,
                                                    [-SSE_ECLOSED] = 1,
                                                    [-SSE_ECALLBACK] = 1,
                                                    [-SSE_ESTALLED] = 1,
                                                    [-SSE_EAGED] = 1,
                                                    [-SSE_EPINNED] = 1,
                                                    [-SSE_ESLOW] = 1};
  put_help(out, name, "counter", "Streams detached, by reason; host: only the host ended them.");
  for (int code = 0; code < SSE_STATS_CODES_MAX; code++) {
    if (usual[code] || stats->closed[code]) put_closed_by(out, name, code, stats->closed[code]);
  }
}

static void put_hub(struct sse__writer *out, const sse_stats *stats) {
  for (size_t i = 0; i < sizeof of_hub / sizeof *of_hub; i++) {
    put_help(out, of_hub[i].name, of_hub[i].type, of_hub[i].help);
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
    {"libsse_channel_evicted_frames_total", "counter", "Frames evicted from the window.",
     AT(evicted_frames)},
    {"libsse_channel_streams", "gauge", "Streams that are subscribed.", AT(streams)},
    {"libsse_channel_window_frames", "gauge", "Frames in the window.", AT(window_frames)},
    {"libsse_channel_window_bytes", "gauge", "Memory of the frames in the window.",
     AT(window_bytes)},
    {"libsse_channel_oldest_frame_seconds", "gauge", "Age of the oldest frame in the window.",
     MS(oldest_ms)},
    {"libsse_channel_lag_events", "gauge",
     "Events that the slowest loop, or standalone stream that keeps up, was not given yet.",
     AT(lag_events)},
    {"libsse_channel_lag_seconds", "gauge", "Age of the oldest of these.", MS(lag_ms)},
    {"libsse_channel_latency_seconds", "histogram",
     "Time from an event's publish until a client's transport took its last byte.", 0,
     FORM_HISTOGRAM},
};

/*
 * The format allows each series once. Makes a list of the channels without repeated ones: 0 or
 * SSE_ENOMEM.
 */
static int list_once(const char ***once, const sse_hub *hub, const char *const *channels) {
  struct sse__names names;
  size_t count = 0, kept = 0;
  while (channels[count]) count++;
  if (sse__names_init(&names, &hub->mem, hub->channels.hash_seed, count)) return SSE_ENOMEM;
  *once = sse__mem_new(&hub->mem, (count + 1) * sizeof **once);
  for (size_t i = 0; *once && i < count; i++) {
    if (sse__names_add(&names, channels[i])) (*once)[kept++] = channels[i];
  }
  sse__names_free(&names, &hub->mem);
  if (!*once) return SSE_ENOMEM;
  (*once)[kept] = NULL;
  return SSE_OK;
}

/*
 * The format wants all samples of a metric together. Each channel is looked up once per metric,
 * because the number of channels has no bound, and their statistics are not kept.
 */
static void put_of_channels(struct sse__writer *out, const struct metric *metric, sse_hub *hub,
                            const char *const *channels) {
  sse_stats stats;
  bool headed = false;
  for (size_t i = 0; channels[i]; i++) {
    if (sse_hub_stats(hub, channels[i], &stats)) continue;
    if (!headed) put_help(out, metric->name, metric->type, metric->help);
    headed = true;
    put_metric(out, metric, channels[i], &stats);
  }
}

ssize_t sse_stats_prometheus(char *buf, size_t cap, sse_hub *hub, const char *const *channels) {
  struct sse__writer out = {buf, cap, 0};
  sse_stats stats;
  const char **once = NULL;
  if (!hub || (!buf && cap > 0)) return SSE_EINVAL;
  int error = sse_hub_stats(hub, NULL, &stats);
  if (error) return error;
  if (channels && list_once(&once, hub, channels)) return SSE_ENOMEM;
  put_hub(&out, &stats);
  for (size_t i = 0; once && i < sizeof of_channel / sizeof *of_channel; i++) {
    put_of_channels(&out, &of_channel[i], hub, once);
  }
  sse__mem_free(&hub->mem, once);
  return (ssize_t)out.len;
}
