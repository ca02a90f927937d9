/* SPDX-License-Identifier: MIT */
/* test_wide.c: a stream of many channels: which it has, and what they give it, in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "setting.h"
#include "stream/loop.h"
#include "stream/wide.h"

enum {
  WIDE = 90,     /* channels, c0 to c89 */
  EVENTS = 1500, /* more than a step passes over */
  BATCH = 64
};

static char names[WIDE][8];
static const char *all[WIDE + 1];

static void make_names(void) {
  for (size_t i = 0; i < WIDE; i++) {
    snprintf(names[i], sizeof names[i], "c%zu", i);
    all[i] = names[i];
  }
}

/* ---- subscriptions by channel ---- */

static uint32_t number_of(struct setting *s, size_t channel) {
  const char *name = names[channel];
  pthread_mutex_lock(&s->world.hub->lock);
  const struct sse__channel *found =
      sse__channels_find(&s->world.hub->channels, name, strlen(name));
  pthread_mutex_unlock(&s->world.hub->lock);
  assert_non_null(found);
  return found->number;
}

static void assert_has(struct setting *s, const bool *has) {
  for (size_t i = 0; i < WIDE; i++) {
    uint32_t number = number_of(s, i);
    const struct sse__subscription *found = sse__subscription_of(s->stream, number);
    assert_int_equal(found != NULL, has[i]);
    if (found) assert_int_equal(found->channel->number, number);
  }
}

/* So that the numbers of a stream's channels are not in a row, and fall on the same places. */
static void make_others(struct setting *s, size_t channel) {
  char name[24];
  uint64_t count = world_random(&s->world, 16);
  for (uint64_t i = 0; i < count; i++) {
    snprintf(name, sizeof name, "other-%zu-%u", channel, (unsigned)i);
    world_send(&s->world, name, "0");
  }
}

/* Channels come and go at random; what the stream has is found, and nothing else. */
static void each_channel_is_found(void **state) {
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER};
  const sse_stream_config few = {.channel = "x", .tag = "me"};
  const sse_stream_config many = {.channels = all, .tag = "me"};
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    struct setting s;
    bool has[WIDE];
    open_setting(&s, kind % 2, &config, &few);
    for (size_t i = 0; i < WIDE; i++) {
      has[i] = kind / 2;
      make_others(&s, i);
      world_send(&s.world, names[i], "0");
    }
    s.config = kind / 2 ? many : few;
    if (kind % 2) s.config.loop = s.loop;
    reopen(&s, NULL);
    round_of(&s);
    for (int step = 0; step < 400; step++) {
      size_t i = (size_t)world_random(&s.world, WIDE);
      if (has[i] && step < 200) continue; /* the channels become many, and then come and go */
      int asked = has[i] ? sse_hub_unsubscribe(s.world.hub, "me", names[i])
                         : sse_hub_subscribe(s.world.hub, "me", names[i], 0);
      assert_int_equal(asked, 1);
      has[i] = !has[i];
      if (world_random(&s.world, 4) > 0) continue;
      round_of(&s);
      assert_has(&s, has);
    }
    close_setting(&s);
  }
}

/* ---- what is read ---- */

/*
 * A client, which gets events of which each has its number as its text, and counts what gaps
 * report. Its transport takes `room` pieces of what it is offered, and is then full.
 */
struct client {
  unsigned long last, given, lost;
  int room;
  char text[1024]; /* the block that has not ended */
};

static void read_block(struct client *client, const char *block) {
  unsigned long number, lost;
  const char *field = strstr(block, "\"lost\":");
  if (field) {
    assert_int_equal(sscanf(field, "\"lost\":%lu", &lost), 1);
    client->lost += lost;
  } else if (sscanf(block, "data: %lu", &number) == 1) {
    assert_true(number > client->last);
    client->last = number;
    client->given++;
  }
}

static void read_piece(struct client *client, const struct iovec *piece) {
  size_t len = strlen(client->text);
  assert_true(len + piece->iov_len < sizeof client->text);
  memcpy(client->text + len, piece->iov_base, piece->iov_len);
  client->text[len + piece->iov_len] = '\0';
  for (char *end; (end = strstr(client->text, "\n\n"));) {
    read_block(client, client->text);
    memmove(client->text, end + 2, strlen(end + 2) + 1);
  }
}

static ssize_t take_some(void *arg, const struct iovec *iov, int count) {
  struct client *client = arg;
  ssize_t bytes = 0;
  if (client->room == 0) return SSE_EAGAIN;
  for (int i = 0; i < count && client->room > 0; i++, client->room--) {
    read_piece(client, &iov[i]);
    bytes += (ssize_t)iov[i].iov_len;
  }
  return bytes;
}

/* Takes what is in flight, so that nothing is taken back. */
static void take_batch(struct setting *s, struct client *client) {
  struct iovec iov[BATCH];
  size_t bytes = 0;
  while (s->loop && sse_loop_next(s->loop)) continue;
  int count = sse_stream_peek(s->stream, iov, BATCH);
  for (int i = 0; i < count; i++) {
    read_piece(client, &iov[i]);
    bytes += iov[i].iov_len;
  }
  sse_stream_consume(s->stream, bytes);
}

/* The transport has so much room: the host flushes, and runs a round of its loop. */
static void take(struct setting *s, struct client *client, int room) {
  client->room = room;
  sse_stream_flush(s->stream, take_some, client);
  while (s->loop && sse_loop_next(s->loop)) sse_stream_flush(s->stream, take_some, client);
}

/* Publishes the next number to a random channel. */
static void send_number(struct setting *s, unsigned long *number) {
  char text[16];
  snprintf(text, sizeof text, "%lu", ++*number);
  world_send(&s->world, names[world_random(&s->world, WIDE)], text);
}

static void open_behind(struct setting *s, bool in_loop, const sse_hub_config *config,
                        unsigned long *number) {
  const sse_stream_config one = {.channel = "x"};
  open_setting(s, in_loop, config, &one);
  round_of(s);
  for (*number = 0; *number < EVENTS;) send_number(s, number);
  s->config.channel = NULL;
  s->config.channels = all;
  s->config.start = SSE_START_RETAINED;
  reopen(s, NULL);
}

/* ---- replays ---- */

static const sse_hub_config roomy = {
    .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER, .channel.window_frames_max = EVENTS * 2};

/* All is given in order, however little a transport takes of it, and what is published meanwhile. */
static void replayed_in_order(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    struct client client = {.last = 0};
    struct setting s;
    unsigned long number;
    open_behind(&s, kind % 2, &roomy, &number);
    while (client.last < number) {
      take(&s, &client, kind / 2 ? 1 + (int)world_random(&s.world, 2 * BATCH) : BATCH * 16);
      if (number < EVENTS * 2 - 20) send_number(&s, &number);
    }
    assert_int_equal(client.given, number);
    assert_int_equal(client.lost, 0);
    close_setting(&s);
  }
}

/* Without memory for the order, each event is searched for. */
static void replayed_without_memory(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct client client = {.last = 0};
    struct setting s;
    unsigned long number;
    open_behind(&s, in_loop, &roomy, &number);
    take(&s, &client, 1);
    assert_int_equal(client.given, 0);
    while (client.last < number) {
      world_fail(1, true);
      take(&s, &client, BATCH);
      world_fail(0, false);
    }
    assert_int_equal(client.given, number);
    close_setting(&s);
  }
}

/* What is evicted during a replay is not given, and reported before what follows, with the count. */
static void evicted_meanwhile(void **state) {
  const sse_hub_config small = {
      .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER, .channel.window_frames_max = 12};
  const sse_stream_config stream = {.channels = all};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct client client = {.last = 0};
    struct setting s;
    unsigned long number = 0;
    open_setting(&s, in_loop, &small, &stream);
    round_of(&s);
    while (number < EVENTS) send_number(&s, &number);
    while (client.last < number) {
      take_batch(&s, &client);
      for (int i = 0; i < BATCH - 4 && number < 3 * EVENTS; i++) send_number(&s, &number);
    }
    assert_true(client.lost > 0);
    assert_int_equal(client.given + client.lost, number);
    close_setting(&s);
  }
}

/* A channel that lost what comes next is found out when its turn comes, with the count. */
static void lost_at_its_turn(void **state) {
  const sse_hub_config config = {
      .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER, .channel.window_frames_max = 100};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct client client = {.last = 0};
    struct setting s;
    unsigned long number = 0;
    const sse_stream_config stream = {.channels = all};
    open_setting(&s, in_loop, &config, &stream);
    round_of(&s);
    for (size_t i = 0; i < (size_t)10 * WIDE; i++) {
      char text[16];
      snprintf(text, sizeof text, "%lu", ++number);
      world_send(&s.world, names[i % WIDE], text);
    }
    for (int i = 0; i < 2; i++) take_batch(&s, &client);
    assert_int_equal(client.given, 2 * BATCH);
    const sse_channel_config one = {.window_frames_max = 1};
    assert_int_equal(sse_hub_configure_channel(s.world.hub, names[30], &one), SSE_OK);
    while (client.last < number) take_batch(&s, &client);
    assert_int_equal(client.lost, 7);
    assert_int_equal(client.given, number - 7);
    close_setting(&s);
  }
}

/* An event of several channels is given once, and counts in each of them. */
static void of_several_channels(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct client client = {.last = 0};
    struct setting s;
    char text[16];
    const sse_stream_config stream = {.channels = all};
    open_setting(&s, in_loop, &roomy, &stream);
    round_of(&s);
    for (unsigned long number = 1; number <= EVENTS; number++) {
      const char *const both[] = {names[number % WIDE], names[number * 7 % WIDE], NULL};
      snprintf(text, sizeof text, "%lu", number);
      const sse_event event = {.text = text};
      bool one = both[0] == both[1];
      assert_int_equal(one ? sse_hub_publish(s.world.hub, both[0], &event)
                           : sse_hub_publish_to(s.world.hub, both, &event),
                       SSE_OK);
    }
    while (client.last < EVENTS) take(&s, &client, 1 + (int)world_random(&s.world, 3 * BATCH));
    assert_int_equal(client.given, EVENTS);
    for (size_t i = 0; i < WIDE; i++) {
      const struct sse__subscription *has = sse__subscription_of(s.stream, number_of(&s, i));
      assert_int_equal(has->delivered_count, has->channel->window.last_ordinal);
    }
    close_setting(&s);
  }
}

/* What a newer event of its key replaced leaves a hole in the window, which is passed over. */
static void superseded_meanwhile(void **state) {
  const sse_channel_config conflated = {.conflate = SSE_YES};
  const char *const keys[] = {"a", "b", "b", "b"};
  const sse_stream_config stream = {.channels = all};
  (void)state;
  for (int in_loop = 0; in_loop < 2; in_loop++) {
    struct setting s;
    open_setting(&s, in_loop, &roomy, &(const sse_stream_config){.channel = "x"});
    assert_int_equal(sse_hub_configure_channel(s.world.hub, names[0], &conflated), SSE_OK);
    s.config.channel = NULL;
    s.config.channels = stream.channels;
    reopen(&s, NULL);
    round_of(&s);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
      const sse_event event = {.text = "x", .key = keys[i]};
      assert_int_equal(sse_hub_publish(s.world.hub, names[0], &event), SSE_OK);
    }
    world_send(&s.world, names[1], "y");
    assert_string_equal(round_of(&s), EVENT("x", "E.1") EVENT("x", "E.4") EVENT("y", "E.5"));
    close_setting(&s);
  }
}

/* ---- rounds ---- */

static ssize_t take_one(void *arg, const struct iovec *iov, int count) {
  (void)count;
  read_piece(arg, &iov[0]);
  return (ssize_t)iov[0].iov_len;
}

/* A flush that has had its turns goes on in the next round, whose snapshot is another one. */
static void over_several_rounds(void **state) {
  struct client client = {.last = 0};
  const sse_stream_config stream = {.channels = all};
  struct setting s;
  unsigned long number = 0;
  (void)state;
  open_setting(&s, true, &roomy, &stream);
  round_of(&s);
  while (number < 4 * BATCH) send_number(&s, &number);
  for (int round = 0; round < 20; round++) {
    while (sse_loop_next(s.loop)) sse_stream_flush(s.stream, take_one, &client);
  }
  assert_int_equal(client.last, number);
  assert_int_equal(client.given, number);
  close_setting(&s);
}

/* What a channel lost before the snapshot was taken is reported in its round. */
static void lost_before_a_round(void **state) {
  const sse_hub_config small = {
      .retry_ms = SSE_NEVER, .heartbeat_ms = SSE_NEVER, .channel.window_frames_max = 12};
  const sse_stream_config stream = {.channels = all};
  struct client client = {.last = 0, .room = BATCH};
  struct setting s;
  (void)state;
  open_setting(&s, true, &small, &stream);
  round_of(&s);
  for (int i = 0; i < 14; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i + 1);
    world_send(&s.world, "c0", text);
  }
  while (sse_loop_next(s.loop)) sse_stream_flush(s.stream, take_some, &client);
  assert_int_equal(client.lost, 2);
  assert_int_equal(client.given, 12);
  close_setting(&s);
}

/*
 * While frames linger, the snapshot is an old one. The stream is above it, but below the first
 * event of a channel that it has just joined.
 */
static void joined_above_the_snapshot(void **state) {
  const sse_stream_config stream = {.channels = all, .tag = "me"};
  struct client client = {.last = 0};
  struct setting s;
  (void)state;
  open_setting(&s, true, &roomy, &stream);
  round_of(&s);
  s.loop->linger_ms = 1000;
  world_send(&s.world, "c0", "1");
  assert_int_equal(sse_hub_subscribe(s.world.hub, "me", "new", 0), 1);
  world_send(&s.world, "new", "2");
  client.room = BATCH;
  while (sse_loop_next(s.loop)) sse_stream_flush(s.stream, take_some, &client);
  assert_int_equal(client.last, 2);
  close_setting(&s);
}

/* ---- states ---- */

/* The state of many channels is in the order of the numbers, each event once. */
static void state_of_many(void **state) {
  sse_hub_config config = roomy;
  (void)state;
  config.channel.conflate = SSE_YES;
  for (int kind = 0; kind < 4; kind++) {
    struct client client = {.last = 0};
    struct setting s;
    unsigned long last = 0;
    open_setting(&s, kind % 2, &config, &(const sse_stream_config){.channel = "x"});
    for (unsigned long number = 1; number <= EVENTS; number++) {
      char text[16], key[16];
      size_t i = number % WIDE;
      const char *const both[] = {names[i], names[(i + 1) % WIDE], NULL};
      snprintf(text, sizeof text, "%lu", number);
      snprintf(key, sizeof key, "%lu", number % 5 ? number : 0);
      const sse_event event = {.text = text, .key = key};
      assert_int_equal(sse_hub_publish_to(s.world.hub, both, &event), SSE_OK);
      if (number % 5) last++;
    }
    s.config.channel = NULL;
    s.config.channels = all;
    reopen(&s, NULL);
    for (int look = 0; look < 2 * EVENTS && client.last < EVENTS; look++)
      take(&s, &client, kind / 2 ? 1 + (int)world_random(&s.world, BATCH) : BATCH);
    assert_true(client.given >= last);
    assert_true(client.given <= last + WIDE);
    close_setting(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_channel_is_found),
                                     cmocka_unit_test(replayed_in_order),
                                     cmocka_unit_test(replayed_without_memory),
                                     cmocka_unit_test(evicted_meanwhile),
                                     cmocka_unit_test(lost_at_its_turn),
                                     cmocka_unit_test(of_several_channels),
                                     cmocka_unit_test(superseded_meanwhile),
                                     cmocka_unit_test(over_several_rounds),
                                     cmocka_unit_test(lost_before_a_round),
                                     cmocka_unit_test(joined_above_the_snapshot),
                                     cmocka_unit_test(state_of_many)};
  make_names();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
