/* SPDX-License-Identifier: MIT */
/* test_tag.c: streams by their tags: the ring, disconnecting, listing, and what a tag costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream/stream_priv.h"
#include "util/hash.h"
#include "world.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct world world;
static struct wakes loop_wakes;
static sse_loop *loop;

static int set_up(void **state) {
  (void)state;
  world = (struct world){.hub = NULL};
  loop_wakes = (struct wakes){0};
  world_open(&world, NULL);
  return sse_loop_new(&loop, world.hub,
                      &(const sse_loop_config){.wake = world_wake, .wake_arg = &loop_wakes});
}

static int tear_down(void **state) {
  (void)state;
  world_fail(0, false);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
  return 0;
}

static sse_stream *open_tagged(const char *tag, bool in_loop, struct wakes *wakes) {
  const sse_stream_config config = {.channel = "a",
                                    .tag = tag,
                                    .loop = in_loop ? loop : NULL,
                                    .wake = in_loop ? NULL : world_wake,
                                    .user = wakes};
  sse_stream *stream = NULL;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  return stream;
}

/* ---- the map ---- */

enum {
  TAGGED = 6
};

/* Each word is the tags of one stream; they leave in the order of `leave`. */
static const struct {
  const char *name, *tags[TAGGED], *leave;
} rings[] = {
    {"one", {"a"}, "0"},
    {"different ones", {"a", "b", "c"}, "120"},
    {"the first leaves first", {"a", "a", "a"}, "012"},
    {"the first leaves last", {"a", "a", "a"}, "210"},
    {"the middle, then the first", {"a", "a", "a", "a"}, "1032"},
    {"two rings", {"a", "b", "a", "b", "a", "b"}, "024135"},
    {"one stream in three rings", {"abc"}, "0"},
    {"streams in several rings", {"ab", "bc", "ca", "b"}, "0213"},
    {"the first of two rings leaves", {"ab", "ba", "ab"}, "012"},
};

/* A part with one tag for each letter. */
static struct sse__tagged *new_tagged(const struct sse__mem *mem, const char *letters) {
  char texts[TAGGED][2];
  const char *list[TAGGED + 1] = {NULL};
  size_t count = strlen(letters);
  for (size_t i = 0; i < count; i++) {
    texts[i][0] = letters[i];
    texts[i][1] = '\0';
    list[i] = texts[i];
  }
  struct sse__tagged *tagged =
      sse__mem_zero(mem, sizeof *tagged + count * (sizeof tagged->tags[0] + 1));
  assert_non_null(tagged);
  sse__tagged_init(tagged, NULL, list);
  return tagged;
}

static uint32_t count_of(const struct sse__tags *tags, char letter) {
  const struct sse__tag *first = sse__tags_find(tags, &letter, 1);
  uint32_t count = 0;
  if (!first) return 0;
  for (const struct sse__tag *tag = first->next; tag != first; tag = tag->next) {
    assert_ptr_equal(tag->next->prev, tag);
    assert_int_equal(sse__tag_text(tag)[0], letter);
    count++;
  }
  assert_int_equal(first->count, count + 1);
  return count + 1;
}

static void streams_come_and_leave(void **state) {
  const struct sse__mem mem = sse__mem(world_alloc, NULL);
  (void)state;
  for (size_t i = 0; i < COUNT(rings); i++) {
    struct sse__tags tags = {.hash_seed = {1, 2}};
    struct sse__tagged *all[TAGGED] = {NULL};
    uint32_t there['c' + 1] = {0};
    print_message("  %s\n", rings[i].name);
    assert_int_equal(sse__tags_init(&tags, &mem), SSE_OK);
    for (size_t t = 0; t < TAGGED && rings[i].tags[t]; t++) {
      all[t] = new_tagged(&mem, rings[i].tags[t]);
      sse__tags_add(&tags, &mem, all[t]);
      for (const char *c = rings[i].tags[t]; *c; c++) there[(unsigned char)*c]++;
    }
    for (const char *at = rings[i].leave; *at; at++) {
      for (int c = 'a'; c <= 'c'; c++) assert_int_equal(count_of(&tags, (char)c), there[c]);
      struct sse__tagged *tagged = all[*at - '0'];
      sse__tags_remove(&tags, &mem, tagged);
      for (const char *c = rings[i].tags[*at - '0']; *c; c++) there[(unsigned char)*c]--;
      sse__mem_free(&mem, tagged);
    }
    assert_int_equal(tags.map.count, 0);
    sse__tags_free(&tags, &mem);
  }
}

/* ---- kicking ---- */

static const struct {
  const char *name, *kicked;
  int result;
  bool ends[4]; /* of "eve" alone, "eve" in the loop, "eves" in the loop, none in the loop */
} kicks[] = {
    {"all of a tag", "eve", 2, {true, true, false, false}},
    {"one that is longer", "eves", 1, {false, false, true, false}},
    {"nobody", "ev", 0, {false, false, false, false}},
    {"empty", "", SSE_EINVAL, {false, false, false, false}},
    {"all of the hub", NULL, 4, {true, true, true, true}},
};

static void a_kick_ends_all_with_the_tag(void **state) {
  static const char *const tags[4] = {"eve", "eve", "eves", NULL};
  (void)state;
  for (size_t i = 0; i < COUNT(kicks); i++) {
    struct wakes wakes = {0};
    sse_stream *streams[4], *ended;
    size_t in_loop = 0;
    struct iovec iov[1];
    print_message("  %s\n", kicks[i].name);
    loop_wakes = (struct wakes){0};
    for (size_t s = 0; s < 4; s++) {
      streams[s] = open_tagged(tags[s], s > 0, s > 0 ? NULL : &wakes);
      world_read(streams[s]);
      if (s > 0 && kicks[i].ends[s]) in_loop++;
    }
    while (sse_loop_next(loop)) continue;
    assert_int_equal(sse_hub_disconnect(world.hub, kicks[i].kicked), kicks[i].result);
    assert_int_equal(wakes.count, kicks[i].ends[0] ? 1 : 0);
    assert_int_equal(loop_wakes.count, in_loop > 0 ? 1 : 0);
    if (in_loop > 0) assert_int_equal(loop_wakes.why, SSE_WAKE_ENDED);
    while ((ended = sse_loop_next(loop))) {
      in_loop--;
      assert_int_equal(sse_stream_peek(ended, iov, 1), SSE_EDISCONNECTED);
    }
    assert_int_equal(in_loop, 0);
    for (size_t s = 0; s < 4; s++) {
      assert_int_equal(sse_stream_peek(streams[s], iov, 1),
                       kicks[i].ends[s] ? SSE_EDISCONNECTED : 0);
      sse_stream_free(streams[s]);
    }
  }
}

/* It is no gentle end: what is lent stays where it is and is not gone on with. */
static void a_kick_is_at_once(void **state) {
  struct wakes wakes = {0};
  struct iovec iov[1];
  (void)state;
  sse_stream *stream = open_tagged("eve", false, &wakes);
  assert_int_equal(sse_stream_peek(stream, iov, 1), 1);
  assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 1);
  assert_int_equal(sse_stream_peek(stream, iov, 1), SSE_EDISCONNECTED);
  assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 0); /* it has ended already */
  sse_stream_detach(stream);
  assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 0);
  assert_int_equal(sse_stream_peek(stream, iov, 1), SSE_EDETACHED);
  sse_stream_free(stream);
}

/* ---- opening ---- */

static void which_tags_are_refused(void **state) {
  char text[SSE_TAG_BYTES_MAX + 2];
  sse_stream *stream = NULL;
  (void)state;
  memset(text, 't', sizeof text);
  for (size_t len = 0; len <= SSE_TAG_BYTES_MAX + 1; len++) {
    text[len] = '\0';
    const sse_stream_config config = {.channel = "a", .tag = text};
    int want = len == 0 || len > SSE_TAG_BYTES_MAX ? SSE_EINVAL : SSE_OK;
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), want);
    if (!want) {
      char kicked[SSE_TAG_BYTES_MAX + 1];
      memcpy(kicked, text, len + 1);
      memset(text, 'x', len); /* it was copied */
      assert_int_equal(sse_hub_disconnect(world.hub, kicked), 1);
      memset(text, 't', len);
      sse_stream_free(stream);
    }
    text[len] = 't';
  }
}

static void every_allocation_failed(void **state) {
  (void)state;
  for (int in_loop = 0; in_loop <= 1; in_loop++) {
    for (size_t n = 1;; n++) {
      sse_stream *stream = NULL;
      const sse_stream_config config = {
          .channel = "a", .tag = "eve", .loop = in_loop ? loop : NULL};
      world_fail(n, false);
      int error = sse_stream_open(&stream, world.hub, &config);
      world_fail(0, false);
      if (!error) {
        assert_true(n > 2);
        sse_stream_free(stream);
        break;
      }
      assert_int_equal(error, SSE_ENOMEM);
      assert_null(stream);
      assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 0);
      assert_int_equal(sse_hub_count(world.hub, "a"), 0);
      assert_int_equal(sse_hub_count(world.hub, NULL), 0);
    }
  }
}

/* ---- several tags ---- */

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A list of tags, or both forms, and what an open says. */
static const struct {
  const char *name, *tag;
  const char *const *tags;
  int result;
} lists[] = {
    {"none", NULL, LIST(NULL), SSE_OK},
    {"one", NULL, LIST("a"), SSE_OK},
    {"as many as there may be", NULL,
     LIST("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"), SSE_OK},
    {"too many", NULL,
     LIST("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"),
     SSE_EINVAL},
    {"one twice", NULL, LIST("a", "b", "a"), SSE_EINVAL},
    {"an empty one", NULL, LIST("a", ""), SSE_EINVAL},
    {"one that begins as another", NULL, LIST("a", "ab", "abc"), SSE_OK},
    {"both forms", "a", LIST("b"), SSE_EINVAL},
    {"both forms, and no tag in the list", "a", LIST(NULL), SSE_EINVAL},
};

static void which_lists_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT(lists); i++) {
    const sse_stream_config config = {
        .channel = "a", .tag = lists[i].tag, .tags = lists[i].tags, .loop = i % 2 ? loop : NULL};
    sse_stream *stream = NULL;
    print_message("  %s\n", lists[i].name);
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), lists[i].result);
    if (lists[i].result == SSE_OK) {
      int count = 0;
      while (lists[i].tags[count]) count++;
      assert_int_equal(sse_hub_tags(world.hub, NULL, NULL, 0), count);
      sse_stream_free(stream);
    }
    assert_int_equal(sse_hub_tags(world.hub, NULL, NULL, 0), 0);
  }
}

/* Each of its tags leads to a stream, in each of the calls that take one. */
static void a_stream_is_found_by_each_of_its_tags(void **state) {
  static const char *const tags[] = {"user", "session", "room", NULL};
  (void)state;
  for (int i = 0; i < 6; i++) {
    const char *tag = tags[i % 3];
    const sse_stream_config config = {
        .channel = "a", .tags = tags, .loop = i / 3 ? loop : NULL, .heartbeat_ms = SSE_NEVER};
    sse_stream *stream;
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    world_read(stream);
    assert_int_equal(sse_hub_subscribe(world.hub, tag, "b", 0), 1);
    while (sse_loop_next(loop)) continue;
    world_read(stream);
    assert_int_equal(sse_hub_count(world.hub, "b"), 1);
    assert_int_equal(sse_hub_unsubscribe(world.hub, tag, "b"), 1);
    while (sse_loop_next(loop)) continue;
    world_read(stream);
    assert_int_equal(sse_hub_count(world.hub, "b"), 0);
    assert_int_equal(sse_hub_dismiss(world.hub, tag), 1);
    assert_int_equal(sse_hub_dismiss(world.hub, tags[(i + 1) % 3]), 0);
    assert_int_equal(sse_hub_disconnect(world.hub, tag), 1);
    assert_int_equal(sse_hub_disconnect(world.hub, tags[(i + 1) % 3]), 0);
    sse_stream_free(stream);
  }
}

/* The limit is one on each tag; an open that fails takes no place under any of them. */
static void a_limit_for_each_tag(void **state) {
  const sse_hub_config config = {.tag_streams_max = 2};
  struct world small = {0};
  sse_stream *streams[3], *refused = NULL;
  (void)state;
  world_open(&small, &config);
  const sse_stream_config configs[] = {
      {.channel = "a", .tags = LIST("x", "y")},
      {.channel = "a", .tags = LIST("y", "z")},
      {.channel = "a", .tags = LIST("x", "z")},
  };
  for (size_t i = 0; i < COUNT(configs); i++) {
    assert_int_equal(sse_stream_open(&streams[i], small.hub, &configs[i]), SSE_OK);
  }
  const sse_stream_config more = {.channel = "a", .tags = LIST("new", "y")};
  assert_int_equal(sse_stream_open(&refused, small.hub, &more), SSE_ETAGSTREAMS);
  assert_null(refused);
  assert_int_equal(sse_hub_tags(small.hub, NULL, NULL, 0), 3);
  sse_stream_free(streams[0]);
  assert_int_equal(sse_stream_open(&streams[0], small.hub, &more), SSE_OK);
  for (size_t i = 0; i < COUNT(configs); i++) sse_stream_free(streams[i]);
  world_close(&small);
}

/* ---- what a disconnect counts ---- */

/* A stream that ends gently counts when it ends immediately after all, until the host is told. */
static void a_gentle_end_becomes_another(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    bool in_loop = i % 2, told = i / 2;
    struct iovec iov[1];
    const sse_stream_config config = {.channel = "a",
                                      .tag = "eve",
                                      .loop = in_loop ? loop : NULL,
                                      .age_ms_max = 1000,
                                      .retry_ms = told ? SSE_NEVER : 0};
    sse_stream *stream;
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    world_read(stream);
    world.now_ms += 1000;
    sse_hub_tick(world.hub);
    while (sse_loop_next(loop)) continue;
    assert_int_equal(sse_stream_peek(stream, iov, 1), told ? SSE_EAGED : 1);
    assert_int_equal(sse_hub_disconnect(world.hub, "eve"), !told);
    assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 0);
    while (sse_loop_next(loop)) continue;
    assert_int_equal(sse_stream_peek(stream, iov, 1), told ? SSE_EAGED : SSE_EDISCONNECTED);
    sse_stream_free(stream);
  }
}

/* One whose client stalled has ended, also before its host looks at it; so has one that erred. */
static void what_has_ended_does_not_count(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    bool in_loop = i % 2, stalls = i / 2;
    struct iovec iov[1];
    const sse_stream_config config = {
        .channel = "a", .tag = "eve", .loop = in_loop ? loop : NULL, .stall_ms = 1000};
    sse_stream *stream;
    assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
    assert_int_equal(sse_stream_peek(stream, iov, 1), 1);
    if (stalls) world.now_ms += 1000;
    sse_hub_tick(world.hub);
    while (sse_loop_next(loop)) continue;
    if (!stalls) sse_stream_consume(stream, iov[0].iov_len + 1);
    assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 0);
    assert_int_equal(sse_hub_dismiss(world.hub, "eve"), 0);
    assert_int_equal(sse_stream_peek(stream, iov, 1), stalls ? SSE_ESTALLED : SSE_ECALLBACK);
    sse_stream_free(stream);
  }
}

/* ---- listing ---- */

enum {
  LISTED = 5
};

/* Streams of these tags on the channels of these letters, of which the third and on are in a loop. */
static const struct {
  const char *const *tags;
  const char *const *channels;
} listed[LISTED] = {
    {LIST("ann", "s1"), LIST("a", "b")},
    {LIST("ann", "s2"), LIST("b")},
    {LIST("bob", "s3"), LIST("a")},
    {LIST("ann"), LIST("a", "b")},
    {LIST(NULL), LIST("a")},
};

static const struct {
  const char *name, *channel;
  int result;
  uint32_t ann, bob, s1, s2, s3; /* streams with these tags */
} rosters[] = {
    {"the hub", NULL, 5, 3, 1, 1, 1, 1},
    {"a channel", "a", 4, 2, 1, 1, 0, 1},
    {"another", "b", 3, 3, 0, 1, 1, 0},
    {"one without streams", "empty", 0, 0, 0, 0, 0, 0},
    {"one that is not there", "none", 0, 0, 0, 0, 0, 0},
    {"no name", "", SSE_ENAME, 0, 0, 0, 0, 0},
};

static uint32_t streams_of(const sse_tag_count *found, int count, const char *tag) {
  uint32_t streams = 0;
  for (int i = 0; i < count; i++) {
    if (strcmp(found[i].tag, tag) == 0) streams += found[i].streams;
  }
  return streams;
}

static void who_is_there_is_listed(void **state) {
  sse_stream *streams[LISTED];
  sse_tag_count found[8];
  (void)state;
  for (size_t i = 0; i < LISTED; i++) {
    const sse_stream_config config = {
        .channels = listed[i].channels, .tags = listed[i].tags, .loop = i >= 2 ? loop : NULL};
    assert_int_equal(sse_stream_open(&streams[i], world.hub, &config), SSE_OK);
  }
  world_send(&world, "empty", "x");
  for (size_t i = 0; i < COUNT(rosters); i++) {
    print_message("  %s\n", rosters[i].name);
    for (int max = 0; max <= 8; max++) {
      memset(found, 0xff, sizeof found);
      int result = sse_hub_tags(world.hub, rosters[i].channel, max ? found : NULL, (size_t)max);
      assert_int_equal(result, rosters[i].result);
      int given = result < max ? result : max;
      for (int t = 0; t < given; t++) assert_in_range(found[t].streams, 1, LISTED);
      if (given < 8) assert_int_equal(found[given > 0 ? given : 0].streams, UINT32_MAX);
    }
    int count = rosters[i].result;
    assert_int_equal(streams_of(found, count, "ann"), rosters[i].ann);
    assert_int_equal(streams_of(found, count, "bob"), rosters[i].bob);
    assert_int_equal(streams_of(found, count, "s1"), rosters[i].s1);
    assert_int_equal(streams_of(found, count, "s2"), rosters[i].s2);
    assert_int_equal(streams_of(found, count, "s3"), rosters[i].s3);
  }
  assert_int_equal(sse_hub_tags(NULL, "a", found, 8), SSE_EINVAL);
  assert_int_equal(sse_hub_tags(world.hub, "a", NULL, 1), SSE_EINVAL);
  for (size_t i = 0; i < LISTED; i++) sse_stream_detach(streams[i]);
  assert_int_equal(sse_hub_tags(world.hub, NULL, NULL, 0), 0);
  for (size_t i = 0; i < LISTED; i++) sse_stream_free(streams[i]);
}

/* ---- memory ---- */

/* A stream without a tag pays nothing; one pays little for its first, and less for each other. */
static void what_tags_cost(void **state) {
  (void)state;
  size_t bare = sse__stream_size(0, 1, 0);
  assert_true(bare <= 256);
  assert_true(sse__stream_size(SSE__HAS_TAG, 1, sizeof(struct sse__tag)) - bare <= 96);
  assert_true(sizeof(struct sse__tag) <= 48);
}

/* The parts of a stream neither overlap nor lie askew, and who has none pays nothing. */
static void parts_lie_behind_the_members(void **state) {
  (void)state;
  for (unsigned parts = 0; parts <= (SSE__HAS_STANDALONE | SSE__HAS_SLOT | SSE__HAS_TAG); parts++) {
    for (uint32_t members = 1; members <= 3; members++) {
      size_t bare = sizeof(struct sse_stream) + members * sizeof(struct sse__subscription) +
                    sse__wide_size(members);
      size_t size = sse__stream_size(parts, members, 3);
      struct sse_stream *stream = calloc(1, size);
      assert_non_null(stream);
      stream->subscription_count = (uint16_t)members;
      stream->own_count = (uint16_t)members;
      stream->has = (uint8_t)parts;
      char *end = (char *)&sse__subscriptions(stream)[members];
      struct sse__standalone *lone = sse__stream_standalone(stream);
      struct sse__admission_slot *turn = sse__stream_slot(stream);
      struct sse__tagged *tag = sse__stream_tagged(stream);
      assert_int_equal(lone != NULL, (parts & SSE__HAS_STANDALONE) != 0);
      assert_int_equal(turn != NULL, (parts & SSE__HAS_SLOT) != 0);
      assert_int_equal(tag != NULL, (parts & SSE__HAS_TAG) != 0);
      if (parts == 0) assert_int_equal(size, bare);
      if (lone) {
        assert_true((char *)lone >= end);
        assert_int_equal((uintptr_t)lone % _Alignof(struct sse__standalone), 0);
        end = (char *)(lone + 1);
      }
      if (turn) {
        assert_true((char *)turn >= end);
        assert_int_equal((uintptr_t)turn % _Alignof(struct sse__admission_slot), 0);
        end = (char *)(turn + 1);
      }
      if (tag) {
        assert_true((char *)tag >= end);
        assert_int_equal((uintptr_t)tag % _Alignof(struct sse__tagged), 0);
        end = (char *)(tag + 1) + 3;
      }
      assert_true(end <= (char *)stream + size);
      free(stream);
    }
  }
}

/* Two tags may have one hash: they are told apart by their bytes, and by how many there are. */
static void tags_of_one_hash(void **state) {
  static const char *const others[] = {"x", "ab"};
  const struct sse__mem mem = sse__mem(world_alloc, NULL);
  (void)state;
  for (size_t i = 0; i < COUNT(others); i++) {
    struct sse__tags tags = {.hash_seed = {1, 2}};
    struct sse__tagged *all[2];
    assert_int_equal(sse__tags_init(&tags, &mem), SSE_OK);
    for (size_t t = 0; t < 2; t++) {
      all[t] = sse__mem_zero(&mem, sizeof **all + sizeof(struct sse__tag) + 2);
      assert_non_null(all[t]);
      sse__tagged_init(all[t], NULL, (const char *const[]){t ? "a" : others[i], NULL});
      struct sse__tag *tag = all[t]->tags;
      tag->prev = tag->next = tag;
    }
    struct sse__tag *other = all[0]->tags;
    other->node.hash = sse__hash(tags.hash_seed, "a", 1);
    sse__map_add(&tags.map, &mem, &other->node);
    assert_null(sse__tags_find(&tags, "a", 1));
    sse__tags_add(&tags, &mem, all[1]);
    assert_ptr_equal(sse__tags_find(&tags, "a", 1), all[1]->tags);
    assert_int_equal(all[1]->tags[0].count, 1);
    sse__tags_free(&tags, &mem);
    for (size_t t = 0; t < 2; t++) sse__mem_free(&mem, all[t]);
  }
}

/* ---- all streams ---- */

/* What one of the streams is; its name says the rest. */
static const struct {
  const char *name;
  bool in_loop, tagged, several, left, busy, detached;
} of_all[] = {
    {"standalone", .tagged = false},
    {"standalone, tagged", .tagged = true},
    {"standalone, several channels, busy", .several = true, .busy = true},
    {"standalone, has left its channel", .tagged = true, .left = true},
    {"standalone, detached", .detached = true},
    {"in a loop", .in_loop = true},
    {"in a loop, tagged", .in_loop = true, .tagged = true},
    {"in a loop, several channels, busy", .in_loop = true, .several = true, .busy = true},
    {"in a loop, has left its channel", .in_loop = true, .tagged = true, .left = true},
    {"in a loop, detached", .in_loop = true, .detached = true},
};

static sse_stream *open_of_all(size_t i) {
  static const char *const one[] = {"a", NULL}, *const two[] = {"a", "b", NULL};
  const char name[] = {(char)('A' + i), '\0'};
  const sse_stream_config config = {.channels = of_all[i].several ? two : one,
                                    .tag = of_all[i].tagged ? name : NULL,
                                    .loop = of_all[i].in_loop ? loop : NULL};
  struct iovec iov;
  sse_stream *stream = NULL;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  if (of_all[i].busy) assert_int_equal(sse_stream_peek(stream, &iov, 1), 1);
  if (!of_all[i].busy) world_read(stream);
  if (of_all[i].left) assert_int_equal(sse_hub_unsubscribe(world.hub, name, "a"), 1);
  if (of_all[i].detached) sse_stream_detach(stream);
  return stream;
}

static void all_streams_of_a_hub(void **state) {
  sse_stream *streams[COUNT(of_all)];
  struct iovec iov;
  int open = 0;
  (void)state;
  assert_int_equal(sse_hub_disconnect(world.hub, NULL), 0);
  for (size_t i = 0; i < COUNT(of_all); i++) {
    streams[i] = open_of_all(i);
    open += !of_all[i].detached;
  }
  while (sse_loop_next(loop)) continue;
  for (size_t i = 0; i < COUNT(of_all); i++) {
    if (of_all[i].left) world_read(streams[i]);
  }
  while (sse_loop_next(loop)) continue;
  int wakes = loop_wakes.count;
  assert_int_equal(sse_hub_disconnect(world.hub, NULL), open);
  assert_int_equal(loop_wakes.count, wakes + 1);
  assert_int_equal(sse_hub_disconnect(world.hub, NULL), 0);
  int returned = 0;
  while (sse_loop_next(loop)) returned++;
  assert_int_equal(returned, open / 2);
  for (size_t i = 0; i < COUNT(of_all); i++) {
    int end = of_all[i].detached ? SSE_EDETACHED : SSE_EDISCONNECTED;
    if (sse_stream_peek(streams[i], &iov, 1) != end) fail_msg("%s", of_all[i].name);
    sse_stream_free(streams[i]);
  }
  sse_stream_free(open_of_all(0)); /* the hub goes on */
}

/* Whichever place a channel has in the table. */
static void all_streams_of_many_channels(void **state) {
  enum {
    MANY = 64
  };
  sse_stream *streams[MANY];
  (void)state;
  for (int i = 0; i < MANY; i++) {
    const char name[] = {'c', (char)('0' + i), '\0'};
    streams[i] = world_stream(&world, name, NULL, loop);
  }
  assert_int_equal(sse_hub_disconnect(world.hub, NULL), MANY);
  for (int i = 0; i < MANY; i++) sse_stream_free(streams[i]);
}

static void a_kick_without_a_hub(void **state) {
  (void)state;
  assert_int_equal(sse_hub_count(NULL, NULL), 0);
  assert_int_equal(sse_hub_count(NULL, "a"), 0);
  assert_int_equal(sse_hub_disconnect(NULL, "eve"), SSE_EINVAL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(streams_come_and_leave),
      TEST(a_kick_ends_all_with_the_tag),
      TEST(a_kick_is_at_once),
      TEST(which_tags_are_refused),
      TEST(every_allocation_failed),
      TEST(which_lists_are_refused),
      TEST(a_stream_is_found_by_each_of_its_tags),
      cmocka_unit_test(a_limit_for_each_tag),
      TEST(a_gentle_end_becomes_another),
      TEST(what_has_ended_does_not_count),
      TEST(all_streams_of_a_hub),
      TEST(all_streams_of_many_channels),
      TEST(who_is_there_is_listed),
      cmocka_unit_test(what_tags_cost),
      cmocka_unit_test(parts_lie_behind_the_members),
      cmocka_unit_test(tags_of_one_hash),
      cmocka_unit_test(a_kick_without_a_hub),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
