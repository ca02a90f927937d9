/* SPDX-License-Identifier: MIT */
/* calls.c: what the host asks of its hub besides streams: events, bounds, and who has what. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/dirty.h"
#include "picture.h"
#include "sim.h"
#include "stream/loop.h"

/* ---- calls that fail ---- */

void sim_fail_some(struct sim *sim) {
  if (sim_chance(sim, sim->failing)) world_fail(1 + sim_draw(sim, 6), sim_draw(sim, 2));
}

/* Memory is there again, unless the plan says otherwise. */
void sim_fail_no_more(const struct sim *sim) {
  if (sim->failing > 0) world_fail(0, false);
}

void sim_judge_failure(struct sim *sim, const struct picture *before, int result, int expected) {
  struct picture after;
  bool scarce = result == SSE_ENOMEM || result == SSE_EFULL || result == SSE_ETOOBIG;
  if (result == SSE_ENOMEM) sim->seen[SEEN_NOMEM]++;
  if (result == SSE_EFULL) sim->seen[SEEN_FULL]++;
  if ((expected == SSE_OK || result != expected) && (sim->fair || !scarce)) {
    sim_accuse(sim, "a call fails without cause", "%s", sse_error_name(result));
  }
  picture_take(&after, sim->world.hub, NULL);
  if (!picture_same(before, &after)) {
    sim_accuse(sim, "a call that fails changes something", "%s", sse_error_name(result));
  }
}

/* ---- events ---- */

static struct sse__channel *channel_of(const struct sim *sim, unsigned i) {
  const char *name = client_channel(i);
  return sse__channels_find(&sim->world.hub->channels, name, strlen(name));
}

bool sim_conflated(const struct sim *sim, unsigned i) {
  const struct sse__channel *channel = channel_of(sim, i);
  return channel ? channel->window.keys != NULL : sim->config.channel.conflate == 1;
}

/* What is to be published next, to be found out before it is: its payload has its number. */
struct draft {
  struct ledger_event event;
  const char *names[CLIENT_CHANNELS + 1];
  int expected; /* what must be the answer; 0 */
  char payload[CLIENT_FILLER_MAX], id[CLIENT_TEXT_MAX], key[2];
};

/* One channel, or now and then some more. */
static unsigned draw_targets(struct sim *sim, unsigned channel) {
  unsigned channels = 1u << channel;
  if (!sim_chance(sim, sim->shared)) return channels;
  for (uint64_t more = 1 + sim_draw(sim, 3); more > 0; more--) {
    channels |= 1u << sim_draw(sim, sim->channels);
  }
  return channels;
}

/* Lists the names of channels; whether one of them is conflated. */
static bool list_names(const struct sim *sim, unsigned channels, const char **names) {
  bool conflated = false;
  for (unsigned i = 0; i < sim->channels; i++) {
    if (!(channels & 1u << i)) continue;
    *names++ = client_channel(i);
    conflated = conflated || sim_conflated(sim, i);
  }
  *names = NULL;
  return conflated;
}

/* Its key and its id. Where a channel is conflated an id of its own is wrong, and tried sometimes.
 */
static void draw_identity(struct sim *sim, struct draft *draft, bool conflated) {
  struct ledger_event *event = &draft->event;
  bool finished = event->channels & sim->life->finished;
  bool wrong = conflated && !finished && sim_chance(sim, 2);
  event->own_id = wrong || (!conflated && sim_chance(sim, sim->own_ids));
  if (wrong) draft->expected = SSE_EKEY;
  if (!conflated && !sim_chance(sim, 10)) return;
  event->key = (int)sim_draw(sim, 5);
  event->tombstone = sim_chance(sim, 20);
}

static void draw_draft(struct sim *sim, unsigned channel, struct draft *draft) {
  memset(draft, 0, sizeof *draft);
  draft->event = (struct ledger_event){.channels = draw_targets(sim, channel), .key = -1};
  bool conflated = list_names(sim, draft->event.channels, draft->names);
  draft->event.ephemeral = sim_chance(sim, sim->ephemeral);
  if (!draft->event.ephemeral) draw_identity(sim, draft, conflated);
  if (draft->event.channels & sim->life->finished) draft->expected = SSE_EFINISHED;
}

static sse_event event_of(struct sim *sim, struct draft *draft) {
  uint64_t number = sim->life->head + 1;
  size_t filler = sim_draw(sim, 8) ? sim_draw(sim, 40) : sim_draw(sim, 400);
  client_payload(draft->payload, sizeof draft->payload, number, sim->fair ? 1 : filler);
  snprintf(draft->id, sizeof draft->id, "%s/%" PRIu64, sim->life->epoch, number);
  draft->key[0] = (char)('k' + draft->event.key);
  return (sse_event){.type = client_type(number),
                     .text = draft->payload,
                     .id = draft->event.own_id ? draft->id : NULL,
                     .key = draft->event.key < 0 ? NULL : draft->key,
                     .label = ledger_label(number, draft->event.key),
                     .flags = (draft->event.ephemeral ? SSE_EPHEMERAL : 0) |
                              (draft->event.tombstone ? SSE_TOMBSTONE : 0)};
}

/* That a channel is finished is forgotten when it went away and there are too many such. */
static bool may_forget(const struct sim *sim) {
  return sim->config.ghosts_max > 0;
}

/* Whether a stream has one of an event's channels, or is about to subscribe to one. */
static bool is_listened_to(const struct sim *sim, const struct ledger_event *event) {
  for (unsigned i = 0; i < sim->channels; i++) {
    const struct sse__channel *channel = channel_of(sim, i);
    bool here = channel && channel->streams + channel->pending_joins > 0;
    if (here && event->channels & 1u << i) return true;
  }
  return false;
}

static void published(struct sim *sim, struct draft *draft) {
  const struct ledger_event *event = &draft->event;
  struct ledger *life = sim->life;
  if (!event->ephemeral) life->finished &= ~event->channels;
  bool counts = sim->world.hub->head.seq > life->head;
  if (event->ephemeral && counts != is_listened_to(sim, event)) {
    sim_accuse(sim, counts ? "an ephemeral event to nobody" : "an ephemeral event is lost", "%x",
               event->channels);
  }
  if (event->ephemeral && !counts) return;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    if (event->channels & 1u << i) life->of[i].conflated = sim_conflated(sim, i);
  }
  draft->event.born_ms = sim->world.now_ms;
  ledger_publish(life, event);
  sim->seen[SEEN_SHARED] += draft->names[1] != NULL;
  sim->seen[SEEN_EPHEMERAL] += event->ephemeral;
  sim->seen[SEEN_OWN_ID] += event->own_id;
  for (unsigned i = 0; i < CLIENT_CHANNELS; i++) {
    sim->seen[SEEN_SUPERSEDED] += life->of[i].superseded > 0;
  }
  sim_note(sim, "    number %" PRIu64, life->head);
}

static bool is_on(const sse_stream *stream, const struct sse__channel *channel);

/* Whether a lone stream waits, so that a publish wakes it. */
static bool waits_alone(const sse_stream *stream) {
  return stream && stream->sub.standalone && stream->sub.u.standalone->waker.armed;
}

static unsigned list_waiting(const struct sim *sim) {
  unsigned waiting = 0;
  for (unsigned i = 0; i < SIM_CLIENTS; i++)
    waiting |= (unsigned)waits_alone(sim->conns[i].stream) << i;
  return waiting;
}

static void owe(struct sim *sim, struct sim_owed *owed) {
  if (!owed->is) *owed = (struct sim_owed){true, sim->life->head - 1, sim->world.now_ms};
}

/* Notes who is to be served for the event with the head's number; `waited` lone streams did. */
static void owe_event(struct sim *sim, const struct draft *draft, unsigned waited) {
  for (unsigned c = 0; c < SIM_CLIENTS; c++) {
    struct conn *conn = &sim->conns[c];
    if (waited & 1u << c && !waits_alone(conn->stream)) owe(sim, &conn->owed);
    for (unsigned i = 0; i < sim->channels && conn->stream && conn->loop; i++) {
      const struct sse__channel *channel = channel_of(sim, i);
      if (!channel || !(draft->event.channels & 1u << i) || !is_on(conn->stream, channel)) continue;
      owe(sim, conn->loop->loop->running ? &conn->loop->next : &conn->loop->owed);
    }
  }
}

void sim_publish(struct sim *sim, unsigned channel) {
  struct picture before;
  struct draft draft;
  unsigned waited = list_waiting(sim);
  sim_observe(sim);
  draw_draft(sim, channel, &draft);
  sse_event event = event_of(sim, &draft);
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result = draft.names[1] ? sse_hub_publish_to(sim->world.hub, draft.names, &event)
                              : sse_hub_publish(sim->world.hub, draft.names[0], &event);
  sim_fail_no_more(sim);
  sim_note(sim, "  publish to %x%s%s, key %d%s: %s", draft.event.channels,
           draft.event.own_id ? ", own id" : "", draft.event.ephemeral ? ", ephemeral" : "",
           draft.event.key, draft.event.tombstone ? ", tombstone" : "", sse_error_name(result));
  if (result != SSE_OK) {
    bool crowded = result == SSE_ECHANNELS && sim->config.channels_max;
    sim_judge_failure(sim, &before, result, crowded ? result : draft.expected);
  } else if (draft.expected && !(draft.expected == SSE_EFINISHED && may_forget(sim))) {
    sim_accuse(sim, "what is to fail does not", "%s", sse_error_name(draft.expected));
  } else {
    uint64_t head = sim->life->head;
    published(sim, &draft);
    if (sim->life->head > head) owe_event(sim, &draft, waited);
  }
  sim_observe(sim);
}

/* ---- channels ---- */

void sim_configure(struct sim *sim) {
  unsigned i = (unsigned)sim_draw(sim, sim->channels);
  sim_observe(sim);
  const struct sse__channel *channel = channel_of(sim, i);
  bool late = channel && channel->window.last_ordinal > 0;
  sse_channel_config config = {.window_frames_max = sim_draw(sim, 6),
                               .window_bytes_max = sim_draw(sim, 2) * sim_draw(sim, 1000),
                               .window_age_ms_max =
                                   (int32_t)(sim_draw(sim, 2) * sim_draw(sim, 2000))};
  config.expire = (sse_choice)sim_draw(sim, 3);
  config.conflate = sim_conflated(sim, i) != sim_chance(sim, 20) ? SSE_YES : SSE_NO;
  bool changes = (config.conflate == 1) != sim_conflated(sim, i);
  struct picture before;
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result = sse_hub_configure_channel(sim->world.hub, client_channel(i), &config);
  sim_fail_no_more(sim);
  sim_note(sim, "  configure %u, %s: %s", i, config.conflate == 1 ? "conflated" : "a log",
           sse_error_name(result));
  int expected = late && changes ? SSE_EBUSY : SSE_OK;
  if (result == SSE_ECHANNELS && sim->config.channels_max) expected = result;
  if (result) sim_judge_failure(sim, &before, result, expected);
  sim->life->of[i].conflated = sim_conflated(sim, i);
  sim->seen[SEEN_CONFIGURED] += result == SSE_OK;
  sim_observe(sim);
}

/*
 * What must be the answer to a call that removes a channel. Streams are counted by the clients that
 * have one; what loops and requests still hold is looked up.
 */
static int forget_answer(const struct sim *sim, unsigned i) {
  const struct sse__channel *channel = channel_of(sim, i);
  if (!channel) return SSE_ENOTFOUND;
  for (unsigned s = 0; s < SIM_STREAMS; s++) {
    const sse_stream *stream = sim_stream(sim, s);
    if (stream && is_on(stream, channel)) return SSE_EBUSY;
  }
  return channel->requests > 0 || channel->feeds.first ? SSE_EBUSY : SSE_OK;
}

/* From now on the hub's own windows, which sim_observe looks at, have nothing of it. */
void sim_forget(struct sim *sim) {
  unsigned i = (unsigned)sim_draw(sim, sim->channels);
  struct picture before;
  sim_observe(sim);
  int expected = forget_answer(sim, i);
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result = sse_hub_forget(sim->world.hub, client_channel(i));
  sim_fail_no_more(sim);
  sim_note(sim, "  forget %u: %s", i, sse_error_name(result));
  if (result != expected && !(result == SSE_ENOMEM && expected == SSE_OK)) {
    sim_accuse(sim, "a channel is forgotten, or not", "channel %u: %s", i, sse_error_name(result));
  }
  if (result) {
    sim_judge_failure(sim, &before, result, expected);
  } else if (channel_of(sim, i)) {
    sim_accuse(sim, "a forgotten channel is there", "channel %u", i);
  }
  sim->seen[SEEN_FORGOTTEN] += result == SSE_OK;
  sim_observe(sim);
}

void sim_finish(struct sim *sim) {
  unsigned i = (unsigned)sim_draw(sim, sim->channels);
  struct picture before;
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result = sse_hub_finish(sim->world.hub, client_channel(i));
  sim_fail_no_more(sim);
  sim_note(sim, "  finish %u: %s", i, sse_error_name(result));
  if (result == SSE_OK) {
    sim->life->finished |= 1u << i;
    sim->seen[SEEN_FINISHED]++;
  } else {
    bool crowded = result == SSE_ECHANNELS && sim->config.channels_max;
    sim_judge_failure(sim, &before, result, crowded ? result : SSE_OK);
  }
  sim_observe(sim);
}

/* ---- streams by tag ---- */

const char *sim_tag(unsigned tag) {
  static const char *const tags[SIM_TAGS] = {"alice", "bob", "an \xc3\xa9 tag"};
  return tags[tag];
}

/* How many open streams have a tag; a history of a channel that one of them still waits for. */
static bool has_tag(const struct conn *conn, unsigned tag) {
  return conn->stream && conn->tags & 1u << tag;
}

static int count_tagged(const struct sim *sim, unsigned tag, unsigned channel, bool join,
                        bool *waits) {
  int count = 0;
  *waits = false;
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    const struct conn *conn = &sim->conns[i];
    if (!has_tag(conn, tag)) continue;
    count++;
    *waits = *waits || (join && conn->judge.of[channel].recap.wanted) ||
             conn->judge.changes_count == JUDGE_CHANGES_MAX;
  }
  return count;
}

/* Whether a stream ends and hears no more. A dismissal may still take the place of a gentle end. */
static bool takes_leave(const struct conn *conn) {
  if (!conn->stream) return false;
  int reason = conn->stream->reason;
  bool replaceable = sse_end_is_gentle(reason) && !conn->stream->outq.retry_sent;
  return conn->judge.dismissed || (reason && !replaceable);
}

static void change(struct sim *sim, bool join) {
  static const size_t histories[] = {0, 0, 1, 3, SSE_BACKFILL_ALL};
  unsigned channel = (unsigned)sim_draw(sim, sim->channels);
  unsigned tag = (unsigned)sim_draw(sim, SIM_TAGS);
  size_t history = histories[sim_draw(sim, sizeof histories / sizeof *histories)];
  struct picture before;
  bool waits;
  int count = count_tagged(sim, tag, channel, join, &waits);
  if (waits) return;
  sim_observe(sim);
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result =
      join ? sse_hub_subscribe(sim->world.hub, sim_tag(tag), client_channel(channel), history)
           : sse_hub_unsubscribe(sim->world.hub, sim_tag(tag), client_channel(channel));
  sim_fail_no_more(sim);
  sim_note(sim, "  tag %u %s %u, history %zu: %d", tag, join ? "joins" : "leaves", channel, history,
           result);
  if (result < 0) {
    bool crowded = (result == SSE_ECHANNELS && sim->config.channels_max) ||
                   (result == SSE_ECHANNELSTREAMS && sim->config.channel.streams_max);
    sim_judge_failure(sim, &before, result, crowded ? result : SSE_OK);
    return;
  }
  if (result != count) sim_accuse(sim, "a tag has other streams", "%d for %d", result, count);
  sim->seen[join ? SEEN_JOINED : SEEN_LEFT] += (size_t)result;
  sim->life->of[channel].conflated = sim_conflated(sim, channel);
  sim_observe(sim);
  int32_t age_ms =
      channel_of(sim, channel) ? channel_of(sim, channel)->bounds.window_age_ms_max : SSE_NEVER;
  int64_t born_min_ms = age_ms == SSE_NEVER ? INT64_MIN : sim->world.now_ms - age_ms + 1;
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    struct conn *conn = &sim->conns[i];
    if (has_tag(conn, tag) && !takes_leave(conn)) {
      judge_change(&conn->judge, channel, join, history, born_min_ms);
    }
  }
  sim_observe(sim);
}

void sim_join(struct sim *sim) {
  change(sim, true);
}

void sim_leave(struct sim *sim) {
  change(sim, false);
}

/* Whether a stream has ended already, for a reason that is not gentle. */
static bool has_ended(const sse_stream *stream) {
  int reason = stream->reason, end = stream->sub.end;
  return (reason && !sse_end_is_gentle(reason)) || (end && !sse_end_is_gentle(end));
}

/* The next look at a stream that was disconnected says so, wherever its host looks. */
static void look_at_kicked(struct sim *sim, const struct conn *conn) {
  struct iovec iov;
  int result = sse_stream_peek(conn->stream, &iov, 1);
  if (result != SSE_EDISCONNECTED) sim_accuse(sim, "a disconnected stream goes on", "%d", result);
}

/* Now and then all streams of the hub. */
void sim_kick(struct sim *sim) {
  unsigned tag = (unsigned)sim_draw(sim, SIM_TAGS);
  bool all = sim_draw(sim, 8) == 0;
  int count = 0;
  bool ends[SIM_CLIENTS];
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    const struct conn *conn = &sim->conns[i];
    ends[i] = conn->stream && (all || has_tag(conn, tag)) && !has_ended(conn->stream);
    count += ends[i];
  }
  for (unsigned i = SIM_CLIENTS; all && i < SIM_STREAMS; i++) {
    const sse_stream *stream = sim_stream(sim, i);
    count += stream && !has_ended(stream);
  }
  int result = sse_hub_disconnect(sim->world.hub, all ? NULL : sim_tag(tag));
  sim_note(sim, "  kick %u%s: %d", tag, all ? " and all others" : "", result);
  if (result != count) sim_accuse(sim, "others were ended", "%d for %d", result, count);
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    if (sim->conns[i].stream && (all || has_tag(&sim->conns[i], tag))) sim->conns[i].kicked = true;
    if (ends[i] && sim_chance(sim, 30)) look_at_kicked(sim, &sim->conns[i]);
  }
  sim->seen[SEEN_KICKED] += (size_t)result;
}

/* Those of a tag that have not ended, nor are about to: a retry block is the last that they give. */
static unsigned may_dismiss(const struct sim *sim, unsigned tag) {
  unsigned some = 0;
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    const struct conn *conn = &sim->conns[i];
    if (!has_tag(conn, tag) || has_ended(conn->stream)) continue;
    if (!conn->judge.dismissed && !conn->stream->outq.retry_sent) some |= 1u << i;
  }
  return some;
}

void sim_dismiss(struct sim *sim) {
  unsigned tag = (unsigned)sim_draw(sim, SIM_TAGS), some = may_dismiss(sim, tag);
  struct picture before;
  int count = 0;
  picture_take(&before, sim->world.hub, NULL);
  sim_fail_some(sim);
  int result = sse_hub_dismiss(sim->world.hub, sim_tag(tag));
  sim_fail_no_more(sim);
  sim_note(sim, "  dismiss %u: %d", tag, result);
  if (result < 0) {
    sim_judge_failure(sim, &before, result, SSE_OK);
    return;
  }
  for (unsigned i = 0; i < SIM_CLIENTS; i++) {
    if (!(some & 1u << i)) continue;
    judge_dismiss(&sim->conns[i].judge);
    count++;
  }
  if (result != count) sim_accuse(sim, "others were dismissed", "%d for %d", result, count);
}

/* Whether a stream has a channel now; NULL: any. */
static bool is_on(const sse_stream *stream, const struct sse__channel *channel) {
  for (uint32_t i = 0; channel && i < stream->subscription_count; i++) {
    if (sse__subscriptions(stream)[i].channel == channel) return true;
  }
  return !channel;
}

/* Lists the tags of a channel or of the hub, and counts them once more by the streams. */
void sim_roster(struct sim *sim) {
  sse_tag_count found[SIM_TAGS + 1];
  unsigned i = (unsigned)sim_draw(sim, sim->channels + 1);
  const char *name = i < sim->channels ? client_channel(i) : NULL;
  const struct sse__channel *channel = name ? channel_of(sim, i) : NULL;
  int count = 0, result = sse_hub_tags(sim->world.hub, name, found, SIM_TAGS + 1);
  sim_note(sim, "  tags of %s: %d", name ? name : "the hub", result);
  for (unsigned tag = 0; tag < SIM_TAGS && result >= 0; tag++) {
    uint32_t streams = 0, told = 0;
    for (unsigned c = 0; c < SIM_CLIENTS; c++) {
      const struct conn *conn = &sim->conns[c];
      streams += has_tag(conn, tag) && (channel || !name) && is_on(conn->stream, channel);
    }
    for (int t = 0; t < result && t <= SIM_TAGS; t++) {
      if (strcmp(found[t].tag, sim_tag(tag)) == 0) told += found[t].streams;
    }
    count += streams > 0;
    if (told != streams) sim_accuse(sim, "a tag is miscounted", "%u for %u", told, streams);
  }
  if (result != count) sim_accuse(sim, "other tags are listed", "%d for %d", result, count);
  sim->seen[SEEN_LISTED] += (size_t)count;
}

/* By how much one that was not served since is behind. A lone stream counts for a second. */
static uint64_t lag_of(const struct sim *sim, const struct sim_owed *owed, bool alone) {
  bool late = alone && sim->world.now_ms - owed->since_ms >= SSE__LAG_MS_MAX;
  return owed->is && !late ? sim->life->head - owed->from : 0;
}

/* Whether all wait, so that nobody is behind. */
static bool all_wait(const struct sim *sim) {
  for (unsigned i = 0; i < SIM_LOOPS; i++) {
    const struct sse_loop *loop = sim->loops[i].loop;
    if (loop->running || sse__dirty_first(&loop->inbox)) return false;
  }
  for (unsigned i = 0; i < SIM_STREAMS; i++) {
    const sse_stream *stream = sim_stream(sim, i);
    if (stream && stream->sub.standalone && !waits_alone(stream)) return false;
  }
  return true;
}

/* The lag is at least what is known here, and 0 if nothing is behind. */
void sim_lag(struct sim *sim) {
  sse_stats stats;
  uint64_t lag = sse_hub_lag(sim->world.hub), least = 0;
  for (unsigned i = 0; i < SIM_LOOPS + SIM_CLIENTS; i++) {
    bool alone = i >= SIM_LOOPS;
    uint64_t one =
        lag_of(sim, alone ? &sim->conns[i - SIM_LOOPS].owed : &sim->loops[i].owed, alone);
    if (one > least) least = one;
  }
  sim_note(sim, "  lag %" PRIu64 ", at least %" PRIu64, lag, least);
  if (lag < least) sim_accuse(sim, "a lag is too low", "%" PRIu64 " for %" PRIu64, lag, least);
  if (lag > sim->life->head || (lag > 0 && all_wait(sim))) {
    sim_accuse(sim, "a lag where nobody is behind", "%" PRIu64, lag);
  }
  if (sse_hub_stats(sim->world.hub, NULL, &stats) || stats.lag_events != lag) {
    sim_accuse(sim, "a lag differs from the hub's numbers", "%" PRIu64, lag);
  }
  sim->seen[SEEN_LAG] += lag > 0;
}

void sim_drain(struct sim *sim) {
  int32_t over_ms = (int32_t)sim_draw(sim, 3000);
  sim_note(sim, "  drain over %d", over_ms);
  if (sse_hub_drain(sim->world.hub, over_ms)) sim_accuse(sim, "a drain fails", "%s", "");
  sim->life->drained = true;
  sim->seen[SEEN_DRAINED]++;
}
