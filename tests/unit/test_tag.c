/* SPDX-License-Identifier: MIT */
/* test_tag.c: streams by their tags: the ring, kicking, and what a tag costs. */
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

/* Each letter is the tag of one stream; they leave in the order of `leave`. */
static const struct {
  const char *name, *tags, *leave;
} rings[] = {
    {"one", "a", "0"},
    {"different ones", "abc", "120"},
    {"the first leaves first", "aaa", "012"},
    {"the first leaves last", "aaa", "210"},
    {"the middle, then the first", "aaaa", "1032"},
    {"two rings", "ababab", "024135"},
};

static uint32_t count_of(const struct sse__tags *tags, char letter) {
  const struct sse__tag *first = sse__tags_find(tags, &letter, 1);
  uint32_t count = 0;
  if (!first) return 0;
  for (const struct sse__tag *tag = first->next; tag != first; tag = tag->next) {
    assert_ptr_equal(tag->next->prev, tag);
    assert_int_equal(tag->text[0], letter);
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
    struct sse__tag *all[TAGGED] = {NULL};
    uint32_t there['c' + 1] = {0};
    print_message("  %s\n", rings[i].name);
    assert_int_equal(sse__tags_init(&tags, &mem), SSE_OK);
    for (size_t t = 0; rings[i].tags[t]; t++) {
      all[t] = sse__mem_zero(&mem, sizeof **all + 1);
      assert_non_null(all[t]);
      all[t]->len = 1;
      all[t]->text[0] = rings[i].tags[t];
      sse__tags_add(&tags, &mem, all[t]);
      there[(unsigned char)rings[i].tags[t]]++;
    }
    for (const char *at = rings[i].leave; *at; at++) {
      for (int c = 'a'; c <= 'c'; c++) assert_int_equal(count_of(&tags, (char)c), there[c]);
      struct sse__tag *tag = all[*at - '0'];
      sse__tags_remove(&tags, &mem, tag);
      there[(unsigned char)tag->text[0]]--;
      sse__mem_free(&mem, tag);
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
    {"none", NULL, SSE_EINVAL, {false, false, false, false}},
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
  assert_int_equal(sse_hub_disconnect(world.hub, "eve"), 1); /* it is still open */
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

/* The parts of a stream neither overlap nor lie askew, and who has none pays nothing. */
static void parts_lie_behind_the_members(void **state) {
  (void)state;
  for (unsigned parts = 0; parts <= (SSE__HAS_STANDALONE | SSE__HAS_SLOT | SSE__HAS_TAG); parts++) {
    for (uint32_t members = 1; members <= 3; members++) {
      size_t bare = sizeof(struct sse_stream) + members * sizeof(struct sse__subscription);
      size_t size = sse__stream_size(parts, members, 3);
      struct sse_stream *stream = calloc(1, size);
      assert_non_null(stream);
      stream->subscription_count = members;
      stream->own_count = (uint16_t)members;
      stream->has = (uint8_t)parts;
      char *end = (char *)&sse__subscriptions(stream)[members];
      struct sse__standalone *lone = sse__stream_standalone(stream);
      struct sse__admission_slot *turn = sse__stream_slot(stream);
      struct sse__tag *tag = sse__stream_tag(stream);
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
        assert_int_equal((uintptr_t)tag % _Alignof(struct sse__tag), 0);
        end = tag->text + 3;
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
    struct sse__tag *all[2];
    assert_int_equal(sse__tags_init(&tags, &mem), SSE_OK);
    for (size_t t = 0; t < 2; t++) {
      all[t] = sse__mem_zero(&mem, sizeof **all + 2);
      assert_non_null(all[t]);
      const char *text = t ? "a" : others[i];
      all[t]->len = (uint8_t)strlen(text);
      memcpy(all[t]->text, text, all[t]->len);
      all[t]->prev = all[t]->next = all[t];
    }
    all[0]->node.hash = sse__hash(tags.hash_seed, "a", 1);
    sse__map_add(&tags.map, &mem, &all[0]->node);
    assert_null(sse__tags_find(&tags, "a", 1));
    sse__tags_add(&tags, &mem, all[1]);
    assert_ptr_equal(sse__tags_find(&tags, "a", 1), all[1]);
    assert_int_equal(all[1]->count, 1);
    sse__tags_free(&tags, &mem);
    for (size_t t = 0; t < 2; t++) sse__mem_free(&mem, all[t]);
  }
}

static void a_kick_without_a_hub(void **state) {
  (void)state;
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
      cmocka_unit_test(parts_lie_behind_the_members),
      cmocka_unit_test(tags_of_one_hash),
      cmocka_unit_test(a_kick_without_a_hub),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
