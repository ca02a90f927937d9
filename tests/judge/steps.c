/* SPDX-License-Identifier: MIT */
/* steps.c: what may happen in a history. */
#include "host.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const tag_names[STREAMS + GROUPS] = {"u0", "u1", "u2", "u3", "u4", "g0", "g1"};

static int filter(void *arg, const sse_filter_event *seen) {
  (void)arg;
  return seen->label != 0;
}

static int wake_stream(void *arg, unsigned why) {
  trial *t = arg;
  (void)why;
  t->wakes++;
  return 0;
}

static unsigned some_channels(uint64_t *seed) {
  unsigned set = 0, kind = draw_below(seed, 100);
  unsigned count = kind < 55 ? 1 : kind < 85 ? 2 : 3;
  while (count--) set |= 1u << draw_below(seed, the.states ? CHANNELS : FIRST_STATE);
  return set;
}

/* --- Publishing ------------------------------------------------------------------------------- */

static bool key_is_held(int channel, int key) {
  for (unsigned i = 0; i < ledger.count; i++)
    if (ledger.events[i].where[channel] == HELD && ledger.events[i].key == key) return true;
  return false;
}

/* A tombstone that is evicted as it enters its window: the manual leaves open which frame goes. */
static bool tombstone_is_clear(unsigned channels, int key) {
  for (int c = FIRST_STATE; c < CHANNELS; c++)
    if (channels >> c & 1 && !key_is_held(c, key)) return false;
  return true;
}

/* An event without a listener, not even one that is about to subscribe, takes no number. */
static void who_listens(const event *e) {
  for (int s = 0; s < STREAMS; s++) {
    trial *t = &the.trials[s];
    unsigned set = t->stream ? trial_relevant(t, e) : 0;
    if (!t->stream) continue;
    if (e->nowhere && set && !t->disconnected && !t->dismissed && !trial_ending(t))
      breaks(RULE_EPHEMERAL, "the event takes no number, but client %d listens", s);
    if (e->nowhere) t->marks[e - ledger.events] = EXCLUDED;
  }
}

static void publish(uint64_t *seed) {
  event *e = &ledger.events[ledger.count];
  bool state;
  if (ledger.count + 1 >= EVENTS_MAX) return;
  memset(e, 0, sizeof *e);
  do {
    e->channels = some_channels(seed);
  } while (!the.several && e->channels & (e->channels - 1));
  e->key = -1;
  e->marked = draw_percent(seed, 60);
  e->typed = draw_percent(seed, 20);
  e->commented = draw_percent(seed, 10);
  e->padding =
      draw_below(seed, ledger.limit >= MEMORY_CEILING || ledger.limit == MEMORY_BYTES ? 1000 : 50);
  e->ephemeral = the.ephemerals && draw_percent(seed, 15);
  if (the.ids && !e->ephemeral && draw_percent(seed, 30)) {
    snprintf(e->id, sizeof e->id, "id%u-%u", ledger.life,
             draw_percent(seed, 90) ? ledger.count : draw_below(seed, 20));
    if (draw_percent(seed, 90)) e->channels &= ~STATE_CHANNELS;
    if (!e->channels) e->channels = 1;
  }
  state = e->channels & STATE_CHANNELS;
  if (!e->ephemeral && (state ? !e->id[0] && draw_percent(seed, 98) : draw_percent(seed, 10))) {
    e->key = (int)draw_below(seed, KEYS);
    e->marked = e->key % 2;
    e->tombstone = state && draw_percent(seed, 25) && tombstone_is_clear(e->channels, e->key);
  }
  tell("  ");
  if (book_publish(e) == 0 && e->ephemeral) who_listens(e);
  host_check_wakes();
}

static void publish_some(uint64_t *seed) {
  unsigned count = draw_percent(seed, 80) ? 1 : 2 + draw_below(seed, 6);
  while (count-- && !found.found) publish(seed);
}

/* --- Streams ---------------------------------------------------------------------------------- */

static void forged_id(trial *t, uint64_t *seed) {
  unsigned long long head = book_wire(ledger.head), some = draw_below(seed, (unsigned)head + 1);
  char *id = t->last_id;
  size_t cap = sizeof t->last_id;
  switch (draw_below(seed, 9)) {
  case 0:
    snprintf(id, cap, "%s.%llu", ledger.epoch, head + 3);
    break;
  case 1:
    snprintf(id, cap, "%s.01", ledger.epoch);
    break;
  case 2:
    snprintf(id, cap, "zz.%llu", some);
    break;
  case 3:
    snprintf(id, cap, "id%u-%u", ledger.life, draw_below(seed, ledger.count + 2));
    break;
  case 4:
    snprintf(id, cap, "some-id");
    break;
  case 5:
    snprintf(id, cap, "%s.%llu~", ledger.epoch, some);
    break;
  case 6:
    snprintf(id, cap, "%s.99999999999999999999", ledger.epoch);
    break;
  default:
    snprintf(id, cap, "%s.%llu", ledger.epoch, some);
    break;
  }
}

static void choose_id(trial *t, uint64_t *seed) {
  const client *c = &the.clients[t->slot];
  unsigned kind = draw_below(seed, 100);
  if (kind < 65)
    memcpy(t->last_id, c->last_id, sizeof t->last_id);
  else if (kind < 75)
    memcpy(t->last_id, c->older_id, sizeof t->last_id);
  else if (kind < 90)
    forged_id(t, seed);
}

static void choose(trial *t, uint64_t *seed) {
  t->has = the.clients[t->slot].channels;
  if (!t->has || draw_percent(seed, 25)) t->has = some_channels(seed);
  the.clients[t->slot].channels = t->has;
  t->loop = the.loops_count && draw_percent(seed, 75)
                ? (int)draw_below(seed, (unsigned)the.loops_count)
                : -1;
  t->tags = 1u << t->slot;
  for (int g = 0; g < GROUPS; g++)
    if (draw_percent(seed, 50)) t->tags |= 1u << (STREAMS + g);
  t->start = (sse_start)draw_below(seed, 3);
  if (t->start == SSE_START_LAST) t->start_events = 1 + draw_below(seed, 5);
  t->lost = (sse_lost)draw_below(seed, 3);
  t->positions_off = the.positions_off && draw_percent(seed, 50);
  t->filtered = the.filters && draw_percent(seed, 50);
  t->slow = the.closes && draw_percent(seed, 50) ? SSE_SLOW_CLOSE : SSE_SLOW_SKIP;
  if (draw_percent(seed, 15) && the.limits)
    t->not_before = draw_below(seed, (unsigned)book_wire(ledger.head) + 1) * (uint64_t)PLACES;
  t->retry_ms = draw_percent(seed, 80) ? 2000 : draw_percent(seed, 50) ? SSE_NEVER : 1000;
  if (the.bounds && draw_percent(seed, 60)) {
    if (draw_percent(seed, 50)) t->lag_events_max = 1 + draw_below(seed, 4);
    if (draw_percent(seed, 40)) t->lag_bytes_max = 40 + draw_below(seed, 300);
    if (draw_percent(seed, 30)) t->lag_ms_max = 3 + (int32_t)draw_below(seed, 30);
  }
  choose_id(t, seed);
  t->headed = the.heads && draw_percent(seed, 60);
  t->chunked = t->headed && draw_percent(seed, 75);
}

static void tell_open(const trial *t, const char *not_before, int result) {
  static const char *const starts[] = {"NOW", "RETAINED", "LAST"};
  static const char *const losts[] = {"BY_RESULT", "REPLAY", "LIVE"};
  tell("  open(client %d, {%s}, last_id \"%s\"", t->slot, book_names(t->has), t->last_id);
  if (t->loop >= 0) tell(", loop %d", t->loop);
  if (t->start) tell(", start %s %u", starts[t->start], t->start_events);
  if (t->lost) tell(", lost %s", losts[t->lost]);
  if (t->headed) tell(t->chunked ? ", chunked" : ", head");
  if (t->positions_off) tell(", POSITION_OFF");
  if (t->filtered) tell(", filter");
  if (t->slow) tell(", SLOW_CLOSE");
  if (not_before[0]) tell(", not_before %s", not_before);
  if (t->lag_events_max) tell(", lag_events_max %u", t->lag_events_max);
  if (t->lag_bytes_max) tell(", lag_bytes_max %zu", t->lag_bytes_max);
  if (t->lag_ms_max) tell(", lag_ms_max %d", t->lag_ms_max);
  if (t->retry_ms != 2000) tell(", retry_ms %d", t->retry_ms);
  tell(", tags 0x%x) = %s", t->tags, sse_error_name(result));
  if (!result) tell(", result %d", (int)sse_stream_resume_result(t->stream));
  tell("\n");
}

void host_open(trial *t, uint64_t *seed) {
  const char *names[CHANNELS + 1], *tags[STREAMS + GROUPS + 1];
  char not_before[40] = "";
  static char heads[2][1024];
  sse_http_head head = {.origin = NULL};
  sse_stream_config config = {.user = t};
  int count = 0, slot = (int)(t - the.trials), result;
  memset(t, 0, offsetof(trial, judge));
  t->judge.last_id[0] = t->client.last_id[0] = 0;
  t->slot = slot;
  choose(t, seed);
  head.chunked = t->chunked;
  if (t->headed) {
    ssize_t len = sse_http_stream_head(heads[t->chunked], sizeof heads[0] - 1, &head);
    if (len <= 0 || len >= (ssize_t)sizeof heads[0] - 1)
      breaks(RULE_CALL, "%s", "sse_http_stream_head");
    config.head = &head;
  }
  for (int c = 0; c < CHANNELS; c++)
    if (t->has >> c & 1) names[count++] = channel_names[c];
  names[count] = NULL;
  count = 0;
  for (int g = 0; g < STREAMS + GROUPS; g++)
    if (t->tags >> g & 1) tags[count++] = tag_names[g];
  tags[count] = NULL;
  if (t->not_before)
    snprintf(not_before, sizeof not_before, "%s.%" PRIu64, ledger.epoch, book_wire(t->not_before));
  config.channels = names, config.tags = tags, config.last_id = t->last_id;
  config.start = t->start, config.start_events = t->start_events, config.lost = t->lost;
  config.slow = t->slow, config.retry_ms = t->retry_ms;
  config.position = t->positions_off ? SSE_POSITION_OFF : SSE_POSITION_EVENT;
  config.lag_events_max = t->lag_events_max, config.lag_bytes_max = t->lag_bytes_max;
  config.lag_ms_max = t->lag_ms_max;
  if (not_before[0]) config.not_before = not_before;
  if (t->filtered) config.filter = filter;
  if (t->loop >= 0)
    config.loop = the.loops[t->loop];
  else
    config.wake = wake_stream;
  snprintf(t->ids[0], sizeof t->ids[0], "%s", t->last_id);
  for (int i = 1; i < IDS_KEPT; i++) memcpy(t->ids[i], t->ids[0], sizeof t->ids[0]);
  memcpy(t->client.last_id, t->last_id, sizeof t->client.last_id);
  wire_reset(&t->judge);
  t->judge.alone = true;
  wire_reset(&t->client);
  body_begin(&t->judge_body, t->headed ? heads[t->chunked] : "", t->chunked);
  body_begin(&t->client_body, t->headed ? heads[t->chunked] : "", t->chunked);
  trial_open(t);
  result = sse_stream_open(&t->stream, ledger.hub, &config);
  tell_open(t, not_before, result);
  if (result) t->stream = NULL;
  trial_check_open(t, result);
  book_sync();
}

static trial *some_stream(uint64_t *seed) {
  trial *t = &the.trials[draw_below(seed, STREAMS)];
  return t->stream ? t : NULL;
}

static void open_one(uint64_t *seed) {
  trial *t = &the.trials[draw_below(seed, STREAMS)];
  if (!t->stream) host_open(t, seed);
}

static void read_one(uint64_t *seed, serve how) {
  trial *t = some_stream(seed);
  if (!t) return;
  tell("  client %d is read\n", t->slot);
  host_serve(t, how, seed);
}

static void cut(uint64_t *seed) {
  trial *t = some_stream(seed);
  unsigned lost = draw_percent(seed, 80) ? 0 : 1 + draw_below(seed, IDS_KEPT - 1);
  if (!t) return;
  /* A stream that is in the iteration may be freed, too. */
  tell("  client %d is cut off; the last %u blocks are lost on the way\n", t->slot, lost);
  if (draw_percent(seed, 30)) sse_stream_detach(t->stream);
  host_free(t, lost);
}

/* --- Administration --------------------------------------------------------------------------- */

typedef struct tagged {
  int surely, perhaps; /* streams with the tag, and those that may have ended */
  bool dismissed, full;
} tagged;

static tagged with_tag(unsigned tag) {
  tagged sum = {0, 0, false, false};
  for (int s = 0; s < STREAMS; s++) {
    const trial *t = &the.trials[s];
    if (!t->stream || !(t->tags >> tag & 1)) continue;
    sum.perhaps++;
    sum.surely += !t->disconnected && !trial_ending(t) && !t->dismissed;
    sum.dismissed = sum.dismissed || t->dismissed;
    sum.full =
        sum.full || t->sections_count + 2 > SECTIONS_MAX || t->intervals_count + 2 > INTERVALS_MAX;
  }
  return sum;
}

static void check_count(const char *call, int result, const tagged *sum) {
  if (result < sum->surely || result > sum->perhaps)
    breaks(RULE_CALL, "%s returned %d, streams with the tag: %d to %d", call, result, sum->surely,
           sum->perhaps);
}

static void subscribe(uint64_t *seed, bool on) {
  static const size_t amounts[] = {0, 0, 1, 2, 3, 5, SSE_BACKFILL_ALL, SSE_BACKFILL_ALL};
  unsigned tag = draw_below(seed, STREAMS + GROUPS);
  int channel = (int)draw_below(seed, CHANNELS);
  size_t amount = amounts[draw_below(seed, 8)];
  tagged sum = with_tag(tag);
  int result;
  if (sum.dismissed || sum.full || !the.subscribes) return;
  if (!the.states) channel %= FIRST_STATE;
  result = on ? sse_hub_subscribe(ledger.hub, tag_names[tag], channel_names[channel], amount)
              : sse_hub_unsubscribe(ledger.hub, tag_names[tag], channel_names[channel]);
  tell("  %ssubscribe(\"%s\", \"%s\"", on ? "" : "un", tag_names[tag], channel_names[channel]);
  if (on) tell(amount == SSE_BACKFILL_ALL ? ", all" : ", %zu", amount);
  tell(") = %d at %" PRIu64 "\n", result, book_wire(ledger.head));
  if (on) sum.surely = sum.perhaps;
  check_count(on ? "subscribe" : "unsubscribe", result, &sum);
  for (int s = 0; s < STREAMS && result >= 0; s++) {
    trial *t = &the.trials[s];
    if (!t->stream || !(t->tags >> tag & 1)) continue;
    if (on)
      trial_subscribe(t, channel, amount);
    else
      trial_unsubscribe(t, channel);
  }
  book_sync();
  host_check_wakes();
}

static void end_tagged(uint64_t *seed, bool gentle) {
  unsigned tag = draw_below(seed, STREAMS + GROUPS);
  tagged sum = with_tag(tag);
  int result;
  if (!gentle && !the.disconnects) return;
  result = gentle ? sse_hub_dismiss(ledger.hub, tag_names[tag])
                  : sse_hub_disconnect(ledger.hub, tag_names[tag]);
  tell("  %s(\"%s\") = %d at %" PRIu64 "\n", gentle ? "dismiss" : "disconnect", tag_names[tag],
       result, book_wire(ledger.head));
  check_count(gentle ? "dismiss" : "disconnect", result, &sum);
  for (int s = 0; s < STREAMS; s++) {
    trial *t = &the.trials[s];
    if (!t->stream || !(t->tags >> tag & 1)) continue;
    if (!gentle)
      t->disconnected = true;
    else if (!t->disconnected && !trial_ending(t))
      trial_dismiss(t);
  }
  host_check_wakes();
}

static void finish(uint64_t *seed) {
  int c = (int)draw_below(seed, the.dropping ? FIRST_STATE : CHANNELS), result;
  if (!the.finishing || draw_percent(seed, 60)) return;
  result = sse_hub_finish(ledger.hub, channel_names[c]);
  tell("  finish(\"%s\") = %s\n", channel_names[c], sse_error_name(result));
  if (result) breaks(RULE_CALL, "finish returned %s", sse_error_name(result));
  ledger.finished[c] = true;
  book_sync();
  host_check_wakes();
}

static void forget(uint64_t *seed) {
  int c = (int)draw_below(seed, FIRST_STATE), result;
  if (!the.dropping) return;
  result = sse_hub_forget(ledger.hub, channel_names[c]);
  tell("  forget(\"%s\") = %s\n", channel_names[c], sse_error_name(result));
  for (int s = 0; s < STREAMS; s++)
    if (!result && the.trials[s].stream && the.trials[s].has >> c & 1)
      breaks(RULE_CALL, "forget returned 0, client %d listens to %s", s, channel_names[c]);
  if (result && result != SSE_EBUSY && result != SSE_ENOTFOUND)
    breaks(RULE_CALL, "forget returned %s", sse_error_name(result));
  book_sync();
}

static void configure(uint64_t *seed) {
  int c = (int)draw_below(seed, CHANNELS), result;
  sse_channel_config config = {.window_frames_max = 1 + draw_below(seed, 8)};
  if (the.dropping && c < FIRST_STATE) return;
  if (c >= FIRST_STATE) config.conflate = SSE_YES;
  if (c >= FIRST_STATE && ledger.limit == MEMORY_AGE) config.window_age_ms_max = SSE_NEVER;
  result = sse_hub_configure_channel(ledger.hub, channel_names[c], &config);
  tell("  configure_channel(\"%s\", %zu frames) = %s\n", channel_names[c], config.window_frames_max,
       sse_error_name(result));
  if (result) breaks(RULE_CALL, "configure_channel returned %s", sse_error_name(result));
  ledger.frames_max[c] = config.window_frames_max;
  ledger.moment++;
  book_cut(c, ledger.frames_max[c]);
  book_sync();
}

static void pass_time(uint64_t *seed) {
  int ms = draw_percent(seed, 90) ? 1 + (int)draw_below(seed, 25) : 20000;
  ledger.now_ns += (int64_t)ms * 1000000;
  ledger.moment++;
  tell("  %d ms pass\n", ms);
  for (int i = 0; i < 100 && sse_hub_tick(ledger.hub) == 0; i++) continue;
  ledger.ticked = true;
  book_sync();
  for (unsigned i = 0; i < ledger.count && ledger.limit == MEMORY_AGE; i++)
    for (int c = 0; c < FIRST_STATE; c++)
      if (ledger.events[i].where[c] == HELD &&
          ledger.now_ns - ledger.events[i].at_ns > (ledger.age_ms_max + 1) * INT64_C(1000000))
        breaks(RULE_WINDOW, "event %" PRIu64 " of %s is retained, it is older than %d ms",
               book_wire(ledger.events[i].number), channel_names[c], ledger.age_ms_max);
}

static void drain(uint64_t *seed) {
  int over_ms = draw_percent(seed, 50) ? 0 : (int)draw_below(seed, 40);
  int64_t end = ledger.now_ns + over_ms * INT64_C(1000000);
  int result = sse_hub_drain(ledger.hub, over_ms);
  tell("  drain(%d ms) = %s\n", over_ms, sse_error_name(result));
  if (result) breaks(RULE_CALL, "drain returned %s", sse_error_name(result));
  if (!ledger.drains || end < ledger.drained_ns) ledger.drained_ns = end;
  ledger.drains = true;
  ledger.ticked = false;
  for (int s = 0; s < STREAMS; s++) the.trials[s].drained = the.trials[s].stream != NULL;
  host_check_wakes();
}

static void restart_or_drain(uint64_t *seed) {
  if (the.drains && draw_percent(seed, 60))
    drain(seed);
  else
    host_restart();
}

/* --- A step ----------------------------------------------------------------------------------- */

void step_nested(uint64_t *seed) {
  unsigned kind = draw_below(seed, 100);
  if (kind < 70)
    publish_some(seed);
  else if (kind < 80)
    cut(seed);
  else if (kind < 90)
    subscribe(seed, draw_percent(seed, 60));
  else
    end_tagged(seed, draw_percent(seed, 50));
}

static unsigned pick(uint64_t *seed) {
  unsigned sum = 0, at, kind = 0;
  for (unsigned k = 0; k < KINDS; k++) sum += the.weights[k];
  at = draw_below(seed, sum);
  while (at >= the.weights[kind]) at -= the.weights[kind++];
  return kind;
}

void step(uint64_t seed) {
  switch (pick(&seed)) {
  case 0:
  case 1:
  case 2:
    publish_some(&seed);
    break;
  case 3:
  case 4:
    open_one(&seed);
    break;
  case 5:
    read_one(&seed, SERVE_ALL);
    break;
  case 6:
    read_one(&seed, draw_percent(&seed, 80) ? SERVE_SOME : SERVE_PEEK);
    break;
  case 7:
  case 8:
    if (the.loops_count) host_round((int)draw_below(&seed, (unsigned)the.loops_count), &seed, true);
    break;
  case 9:
    subscribe(&seed, true);
    break;
  case 10:
    subscribe(&seed, false);
    break;
  case 11:
    if (draw_percent(&seed, 30)) end_tagged(&seed, draw_percent(&seed, 50));
    break;
  case 12:
    pass_time(&seed);
    break;
  case 13:
    cut(&seed);
    break;
  case 14:
    if (draw_percent(&seed, 30))
      configure(&seed);
    else if (draw_percent(&seed, 50))
      finish(&seed);
    else
      forget(&seed);
    break;
  default:
    if (draw_percent(&seed, ledger.drains ? 40 : 10))
      restart_or_drain(&seed);
    else if (draw_percent(&seed, 50))
      host_settle();
    break;
  }
}
