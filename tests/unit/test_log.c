/* SPDX-License-Identifier: MIT */
/*
 * test_log.c: a hub that is fed from a log: numbers that are given, a head that moves without an
 * event, clients that are ahead, and a log that loses something or begins again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/hub.h"
#include "setting.h"

#define TAG         "me"
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])
#define MAX_NUMBER  "18446744073709551615"
#define GAP_AT_OPEN(reason, id, rest, resume)                                                      \
  GAP_OF(reason, "\"requested\":\"" id "\",\"resume\":" rest, resume)

static struct world world;

/* ---- the script ---- */

/* Each row is played with a standalone stream and with one of a loop. */
enum kind {
  END,
  PUBLISH, /* an event with a number; 0: an ephemeral one */
  ADVANCE,
  SKIP,
  RESET,
  CONFIGURE,
  FINISH,
  SUBSCRIBE, /* `number` events of backfill */
  UNSUBSCRIBE,
  DISMISS,
  DISCONNECT,
  DRAIN,
  PASS, /* milliseconds */
  OPEN, /* a stream, in place of the one that is there */
  TAKE, /* compares the first bytes, and leaves the rest in flight */
  FULL, /* what is in flight goes back: the client takes nothing */
  READ  /* compares all that it has */
};

struct step {
  enum kind kind;
  const char *channels; /* one letter for each */
  uint64_t number;
  const char *text, *key, *id;
  int result; /* what the call returns; of OPEN: what came of the id */
  sse_channel_config bounds;
  sse_stream_config config;
};

#define EVENTS(name, n, value)                                                                     \
  { .kind = PUBLISH, .channels = name, .number = n, .text = value }
#define SETS(name, n, k, value)                                                                    \
  { .kind = PUBLISH, .channels = name, .number = n, .text = value, .key = k }
#define OWN_ID(name, n, value, own)                                                                \
  { .kind = PUBLISH, .channels = name, .number = n, .text = value, .id = own }
#define REFUSED(name, n)                                                                           \
  { .kind = PUBLISH, .channels = name, .number = n, .text = "x", .result = SSE_ENUMBER }
#define FLEETS(name, value)                                                                        \
  { .kind = PUBLISH, .channels = name, .text = value }
#define MOVES(how, n)                                                                              \
  { .kind = how, .number = n }
#define BEGINS(epoch, n)                                                                           \
  { .kind = RESET, .text = epoch, .number = n }
#define BOUNDS(name, ...)                                                                          \
  {                                                                                                \
    .kind = CONFIGURE, .channels = name, .bounds = { __VA_ARGS__ }                                 \
  }
#define OPENS(name, last, outcome)                                                                 \
  {                                                                                                \
    .kind = OPEN, .channels = name, .result = outcome, .config = {.last_id = last }                \
  }
#define OPENS_WITH(name, outcome, ...)                                                             \
  {                                                                                                \
    .kind = OPEN, .channels = name, .result = outcome, .config = { __VA_ARGS__ }                   \
  }
#define JOINS(name, backfill)                                                                      \
  { .kind = SUBSCRIBE, .channels = name, .number = backfill, .result = 1 }
#define LEAVES(name)                                                                               \
  { .kind = UNSUBSCRIBE, .channels = name, .result = 1 }
#define ENDS(how, returned)                                                                        \
  { .kind = how, .result = returned }
#define TAKES(bytes)                                                                               \
  { .kind = TAKE, .text = bytes }
#define FULL_NOW                                                                                   \
  { .kind = FULL }
#define READS(bytes)                                                                               \
  { .kind = READ, .text = bytes }
#define OVER(bytes, code)                                                                          \
  { .kind = READ, .text = bytes, .result = code }

#define STEPS_MAX 15

struct row {
  const char *name;
  struct step steps[STEPS_MAX];
};

#define NONE    SSE_RESUME_NONE
#define RESUMED SSE_RESUME_RESUMED
#define AHEAD   SSE_RESUME_AHEAD
#define EVICTED SSE_RESUME_EVICTED
#define RESTART SSE_RESUME_RESTART

/* ---- the rows ---- */

static const struct row numbers[] = {
    {"ids have the numbers that are given, with holes",
     {OPENS("a", NULL, NONE), READS(POSITION("E.0")), EVENTS("a", 5, "x"), EVENTS("a", 70, "y"),
      READS(EVENT("x", "E.5") EVENT("y", "E.70")), OPENS("a", "E.5", RESUMED),
      READS(POSITION("E.5") EVENT("y", "E.70")), OPENS("a", "E.6", RESUMED),
      READS(POSITION("E.6") EVENT("y", "E.70")), OPENS("a", "E.70", RESUMED),
      READS(POSITION("E.70"))}},
    {"what is not above the head was published already",
     {EVENTS("a", 5, "x"), REFUSED("a", 5), REFUSED("b", 4), REFUSED("a", 0),
      OPENS("ab", "E.0", RESUMED), READS(POSITION("E.0") EVENT("x", "E.5"))}},
    {"the highest number",
     {OPENS("a", NULL, NONE), EVENTS("a", UINT64_MAX - 1, "x"), EVENTS("a", UINT64_MAX, "y"),
      REFUSED("a", UINT64_MAX),
      READS(POSITION("E.0") EVENT("x", "E.18446744073709551614") EVENT("y", "E." MAX_NUMBER)),
      OPENS("a", "E." MAX_NUMBER, RESUMED), READS(POSITION("E." MAX_NUMBER))}},
    {"an id above the head with the highest number stays ahead for good",
     {EVENTS("a", 5, "x"), OPENS("a", "E." MAX_NUMBER, AHEAD), READS(POSITION("E." MAX_NUMBER)),
      EVENTS("a", UINT64_MAX - 1, "y"), READS("")}},
    {"the application's ids",
     {OWN_ID("a", 5, "x", "one"), EVENTS("a", 9, "y"), OPENS("a", "one", RESUMED),
      READS(POSITION("E.5") EVENT("y", "E.9"))}},
    {"an application's id counts more than a lower not_before",
     {EVENTS("a", 5, "x"), OWN_ID("c", 7, "y", "one"), EVENTS("c", 9, "z"),
      OPENS_WITH("a", RESUMED, .last_id = "one", .not_before = "E.6"), READS(POSITION("E.7"))}},
    {"an ephemeral event has no number, and stands behind the head",
     {EVENTS("a", 5, "x"), OPENS("a", NULL, NONE), READS(POSITION("E.5")), FLEETS("a", "f"),
      FLEETS("a", "g"), EVENTS("a", 6, "y"), READS(EPHEMERAL("f") EPHEMERAL("g") EVENT("y", "E.6")),
      OPENS("a", "E.5", RESUMED), READS(POSITION("E.5") EVENT("y", "E.6"))}},
    {"an ephemeral event does not raise the position",
     {EVENTS("a", 5, "x"), OPENS_WITH("a", NONE, .heartbeat_ms = 1000), READS(POSITION("E.5")),
      FLEETS("a", "f"), READS(EPHEMERAL("f")), MOVES(PASS, 1000), READS(POSITION("E.5"))}},
    {"the head moves without an event, and the next position says so",
     {OPENS_WITH("a", NONE, .heartbeat_ms = 1000),
      READS(POSITION("E.0")),
      MOVES(ADVANCE, 8),
      READS(""),
      MOVES(PASS, 1000),
      READS(POSITION("E.8")),
      MOVES(ADVANCE, 8),
      {.kind = ADVANCE, .number = 7, .result = SSE_ENUMBER},
      REFUSED("a", 8),
      EVENTS("a", 9, "x"),
      READS(EVENT("x", "E.9"))}},
    {"also if an event was being sent",
     {OPENS_WITH("a", NONE, .heartbeat_ms = 1000), READS(POSITION("E.0")), EVENTS("a", 1, "x"),
      MOVES(ADVANCE, 2), TAKES("data"), FULL_NOW, READS(": x\nid: E.1\n\n"), MOVES(PASS, 1000),
      READS(POSITION("E.2"))}},
    {"a gap of a slow client counts, and its id is one below what is retained",
     {BOUNDS("a", .window_frames_max = 2), OPENS("a", NULL, NONE), READS(POSITION("E.0")),
      EVENTS("a", 10, "x"), EVENTS("a", 20, "y"), EVENTS("a", 30, "z"),
      READS(GAP_OF("slow", "\"resume\":\"E.19\",\"channels\":[\"a\"],\"lost\":1", "E.19")
                EVENT("y", "E.20") EVENT("z", "E.30"))}},
    {"what several channels have evicted is found by its number",
     {BOUNDS("a", .window_frames_max = 1), EVENTS("b", 70, "b"), EVENTS("a", 100, "x"),
      EVENTS("a", 110, "y"), OPENS("ab", "E.100", RESUMED),
      READS(POSITION("E.100") EVENT("y", "E.110")), OPENS("ab", "E.60", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.60", "\"E.69\",\"channels\":[\"a\"]", "E.69")
                EVENT("b", "E.70") EVENT("y", "E.110"))}},
    {"limits count events, not numbers",
     {OPENS_WITH("a", NONE, .lag_events_max = 2), READS(POSITION("E.0")), EVENTS("a", 100, "x"),
      EVENTS("a", 900, "y"), READS(EVENT("x", "E.100") EVENT("y", "E.900"))}},
};

/* Of a hub that has a start_after of 50. */
static const struct row starts[] = {
    {"what the hub had not at its start is gone",
     {OPENS("a", "E.50", RESUMED), READS(POSITION("E.50")), REFUSED("a", 50), EVENTS("a", 51, "x"),
      OPENS("a", "E.49", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.49", "\"E.50\",\"channels\":[\"a\"]", "E.50")
                EVENT("x", "E.51")),
      OPENS("new", "E.7", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.7", "\"E.51\",\"channels\":[\"n\",\"e\",\"w\"]", "E.51"))}},
    {"a channel of which nothing is missing",
     {BOUNDS("a", .start_after = SSE_FROM_FIRST), EVENTS("a", 60, "x"), OPENS("a", "E.7", RESUMED),
      READS(POSITION("E.7") EVENT("x", "E.60"))}},
    {"a channel of which less is missing",
     {BOUNDS("a", .start_after = 20), EVENTS("a", 60, "x"), OPENS("a", "E.20", RESUMED),
      READS(POSITION("E.20") EVENT("x", "E.60")), OPENS("a", "E.19", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.19", "\"E.59\",\"channels\":[\"a\"]", "E.59")
                EVENT("x", "E.60"))}},
    {"more than the hub lacks cannot be missing",
     {{.kind = CONFIGURE, .channels = "a", .bounds = {.start_after = 51}, .result = SSE_EINVAL}}},
    {"after a skip something is missing of each channel",
     {MOVES(SKIP, 60),
      {.kind = CONFIGURE,
       .channels = "a",
       .bounds = {.start_after = SSE_FROM_FIRST},
       .result = SSE_EINVAL}}},
    {"and after a reset, unless the log begins with it",
     {BEGINS("F", 9),
      {.kind = CONFIGURE,
       .channels = "a",
       .bounds = {.start_after = SSE_FROM_FIRST},
       .result = SSE_EINVAL},
      BEGINS("G", 0),
      BOUNDS("a", .start_after = SSE_FROM_FIRST)}},
    {"what is missing of each channel is what the client lacks",
     {BOUNDS("b", .start_after = SSE_FROM_FIRST), BOUNDS("c", .start_after = 49),
      OPENS("abc", "E.49", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.49", "\"E.50\",\"channels\":[\"a\"]", "E.50"))}},
    {"it is said before the first event",
     {EVENTS("a", 51, "x"),
      {.kind = CONFIGURE, .channels = "a", .bounds = {.start_after = 9}, .result = SSE_EBUSY}}},
    {"a state is incomplete, unless all of it was loaded",
     {BOUNDS("a", .conflate = SSE_YES),
      BOUNDS("b", .conflate = SSE_YES, .start_after = SSE_FROM_FIRST), SETS("a", 51, "k", "x"),
      SETS("b", 52, "k", "y"), OPENS("a", NULL, NONE),
      READS(GAP_OF("evicted", "\"resume\":\"E.52~\",\"channels\":[\"a\"]", "E.52~") EPHEMERAL("x")
                POSITION("E.52")),
      OPENS("b", NULL, NONE), READS(POSITION("E.52~") EPHEMERAL("y") POSITION("E.52"))}},
};

static const struct row ahead[] = {
    {"a client with an id above the head continues after it",
     {EVENTS("a", 5, "x"), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), EVENTS("a", 6, "y"),
      READS(""), EVENTS("a", 7, "z"), READS(""), EVENTS("a", 8, "w"), READS(EVENT("w", "E.8"))}},
    {"its number may be in a hole",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), EVENTS("a", 6, "y"), EVENTS("a", 9, "w"),
      READS(EVENT("w", "E.9"))}},
    {"it is told nothing while it is ahead but that the connection is alive",
     {OPENS_WITH("a", AHEAD, .last_id = "E.7", .heartbeat_ms = 1000), READS(POSITION("E.7")),
      MOVES(ADVANCE, 6), MOVES(PASS, 1000), READS(HEARTBEAT), MOVES(ADVANCE, 9), MOVES(PASS, 1000),
      READS(POSITION("E.9"))}},
    {"a loss is counted from its number on",
     {BOUNDS("a", .window_frames_max = 2), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")),
      EVENTS("a", 6, "x"), READS(""), EVENTS("a", 8, "x"), EVENTS("a", 9, "x"),
      EVENTS("a", 10, "y"), EVENTS("a", 11, "z"),
      READS(GAP_OF("slow", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9") EVENT("y", "E.10")
                EVENT("z", "E.11"))}},
    {"what was evicted below its number is no loss",
     {BOUNDS("a", .window_frames_max = 1), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")),
      EVENTS("a", 6, "x"), EVENTS("a", 7, "x"), EVENTS("a", 8, "y"), READS(EVENT("y", "E.8"))}},
    {"an ephemeral event below its number is not for it, and one behind it is",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), EVENTS("a", 6, "x"), FLEETS("a", "f"),
      READS(""), EVENTS("a", 7, "x"), FLEETS("a", "g"), READS(EPHEMERAL("g"))}},
    {"a channel that it joins begins at its number, once the head is there",
     {EVENTS("b", 3, "old"), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), JOINS("b", 0),
      READS(""), EVENTS("b", 6, "x"), EVENTS("b", 7, "x"), READS(POSITION("E.7")),
      EVENTS("b", 8, "y"), READS(EVENT("y", "E.8"))}},
    {"a backfill is what there is then, and its positions are the client's",
     {EVENTS("b", 3, "old"), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), JOINS("b", 2),
      READS(""), EVENTS("b", 7, "x"), EVENTS("b", 8, "y"),
      READS(POSITION("E.7~") EPHEMERAL("old") EPHEMERAL("x") POSITION("E.7") EVENT("y", "E.8"))}},
    {"a channel that it leaves gives nothing more",
     {OPENS("ab", "E.7", AHEAD), READS(POSITION("E.7")), LEAVES("b"), EVENTS("b", 8, "x"),
      EVENTS("a", 9, "y"), READS(EVENT("y", "E.9"))}},
    {"it leaves a channel that it waits to join",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), JOINS("b", 0), LEAVES("b"), READS(""),
      EVENTS("b", 8, "x"), EVENTS("a", 9, "y"), READS(EVENT("y", "E.9"))}},
    {"one whose client was cut off during a backfill begins again at the head",
     {EVENTS("a", 5, "x"), OPENS("a", "E.7~", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.7~", "\"E.5\",\"channels\":[\"a\"]", "E.5")),
      EVENTS("a", 6, "y"), READS(EVENT("y", "E.6"))}},
    {"nothing up to not_before is given, also above the head",
     {EVENTS("a", 5, "x"), OPENS_WITH("a", RESUMED, .last_id = "E.4", .not_before = "E.7"),
      READS(POSITION("E.7")), EVENTS("a", 6, "y"), EVENTS("a", 7, "z"), READS(""), JOINS("b", 0),
      READS(POSITION("E.7")), EVENTS("a", 8, "w"), READS(EVENT("w", "E.8"))}},
    {"a backfill has nothing up to not_before",
     {EVENTS("b", 5, "x"), EVENTS("b", 8, "y"), OPENS_WITH("a", NONE, .not_before = "E.7"),
      READS(POSITION("E.8")), JOINS("b", SSE_BACKFILL_ALL),
      READS(POSITION("E.8~") EPHEMERAL("y") POSITION("E.8"))}},
    {"a backfill has what there was at the call",
     {OPENS("b", "E.1", AHEAD), READS(POSITION("E.1")), EVENTS("c", 1, "x"), JOINS("c", 2),
      MOVES(ADVANCE, 6), EVENTS("c", 9, "y"),
      READS(POSITION("E.1~") EPHEMERAL("x") POSITION("E.1") EVENT("y", "E.9"))}},
    {"a state that lacks something says so, also if not_before was above the head",
     {BOUNDS("s", .window_frames_max = 1, .conflate = SSE_YES), EVENTS("c", 1, "x"),
      OPENS_WITH("c", NONE, .not_before = "E.4"), READS(POSITION("E.4")), SETS("s", 5, "p", "p5"),
      JOINS("s", 0), SETS("s", 6, "q", "q6"),
      READS(POSITION("E.5~") GAP_OF("evicted", "\"resume\":\"E.5\",\"channels\":[\"s\"]", "E.5")
                EVENT("q6", "E.6"))}},
    {"a state that it joins is that at its number, and updates follow",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), OPENS("a", "E.7", AHEAD),
      READS(POSITION("E.7")), JOINS("k", 0), SETS("k", 5, "y", "y5"), READS(""),
      SETS("k", 8, "x", "x8"),
      READS(POSITION("E.7~") EPHEMERAL("y5") POSITION("E.7") EVENT("x8", "E.8"))}},
    {"it is dismissed at once, but given a state that it joined before",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), OPENS("a", "E.7", AHEAD),
      READS(POSITION("E.7")), JOINS("k", 0), ENDS(DISMISS, 1),
      OVER(POSITION("E.7~") EPHEMERAL("x3") POSITION("E.7~"), SSE_EDISMISSED),
      SETS("k", 5, "x", "x5"), EVENTS("a", 8, "y"), OPENS("ak", "E.7~", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.7~", "\"E.7~\",\"channels\":[\"a\",\"k\"]", "E.7~")
                EPHEMERAL("x5") POSITION("E.7") EVENT("y", "E.8"))}},
    {"nor does it wait for a state that has nothing",
     {BOUNDS("k", .conflate = SSE_YES),
      OPENS_WITH("a", AHEAD, .last_id = "E.7", .position = SSE_POSITION_OFF), READS(""),
      JOINS("k", 0), JOINS("b", 1), ENDS(DISMISS, 1), OVER("", SSE_EDISMISSED)}},
    {"what a channel evicts after the dismissal is no loss",
     {BOUNDS("c", .window_frames_max = 1), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")),
      JOINS("c", 0), MOVES(ADVANCE, 7), ENDS(DISMISS, 1), EVENTS("c", 8, "x"), EVENTS("c", 9, "y"),
      OVER(POSITION("E.7"), SSE_EDISMISSED)}},
    {"but of a backfill it is",
     {BOUNDS("c", .window_frames_max = 1), OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")),
      JOINS("c", 1), EVENTS("c", 7, "w"), ENDS(DISMISS, 1), EVENTS("c", 8, "x"),
      EVENTS("c", 9, "y"),
      OVER(GAP_OF("evicted", "\"resume\":\"E.7\",\"channels\":[\"c\"]", "E.7"), SSE_EDISMISSED)}},
    {"nor is what was evicted of an earlier history",
     {EVENTS("c", 5, "w"), BEGINS("F", 0), OPENS_WITH("a", NONE, .not_before = "F.1"),
      READS(POSITION("F.1")), JOINS("c", 0), EVENTS("b", 1, "x"), EVENTS("c", 2, "y"),
      ENDS(DISMISS, 1), OVER(POSITION("F.1") EVENT("y", "F.2"), SSE_EDISMISSED)}},
    {"what it lost before it left a channel is reported",
     {BOUNDS("c", .window_frames_max = 2), OPENS("c", "E.1", AHEAD), READS(POSITION("E.1")),
      EVENTS("c", 1, "x"), EVENTS("c", 2, "x"), EVENTS("b", 3, "x"), LEAVES("c"),
      EVENTS("c", 4, "x"), EVENTS("c", 5, "x"), EVENTS("c", 6, "x"),
      READS(GAP_OF("slow", "\"resume\":\"E.3\",\"channels\":[\"c\"]", "E.3"))}},
    {"and before it joined another one",
     {BOUNDS("c", .window_frames_max = 2), OPENS("c", "E.1", AHEAD), READS(POSITION("E.1")),
      EVENTS("c", 5, "x"), JOINS("a", 0), EVENTS("c", 6, "x"), EVENTS("c", 7, "x"),
      READS(GAP_OF("slow", "\"resume\":\"E.5\",\"channels\":[\"c\"]", "E.5") POSITION("E.5")
                EVENT("x", "E.6") EVENT("x", "E.7"))}},
    {"and what the log lost",
     {OPENS("c", "E.2", AHEAD), READS(POSITION("E.2")), MOVES(SKIP, 4), EVENTS("c", 5, "x"),
      LEAVES("c"), MOVES(SKIP, 9),
      READS(GAP_OF("evicted", "\"resume\":\"E.4\",\"channels\":[\"c\"]", "E.4")
                EVENT("x", "E.5"))}},
    {"a finished channel ends it at once",
     {OPENS("a", "E.7", AHEAD),
      READS(POSITION("E.7")),
      {.kind = FINISH, .channels = "a"},
      OVER("", SSE_EFINISHED)}},
    {"it is dismissed at once",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), EVENTS("a", 6, "x"), ENDS(DISMISS, 1),
      OVER("", SSE_EDISMISSED)}},
    {"it is disconnected",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), ENDS(DISCONNECT, 1),
      OVER("", SSE_EDISCONNECTED)}},
    {"it is drained",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), ENDS(DRAIN, 0), MOVES(PASS, 1),
      OVER("", SSE_EDRAINED)}},
};

static const struct row losses[] = {
    {"what the log lost is reported at once, also to a client that was given everything",
     {EVENTS("a", 5, "x"),
      OPENS("a", "E.5", RESUMED),
      READS(POSITION("E.5")),
      MOVES(SKIP, 9),
      READS(GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9")),
      EVENTS("a", 10, "y"),
      READS(EVENT("y", "E.10")),
      {.kind = SKIP, .number = 10, .result = SSE_ENUMBER}}},
    {"what it still has of before follows the gap",
     {OPENS("a", NULL, NONE), READS(POSITION("E.0")), EVENTS("a", 5, "x"), MOVES(SKIP, 9),
      EVENTS("a", 10, "y"),
      READS(GAP_OF("evicted", "\"resume\":\"E.4\",\"channels\":[\"a\"]", "E.4") EVENT("x", "E.5")
                EVENT("y", "E.10"))}},
    {"one gap covers several losses",
     {OPENS("ab", NULL, NONE), READS(POSITION("E.0")), EVENTS("a", 5, "x"), MOVES(SKIP, 9),
      EVENTS("b", 10, "y"), MOVES(SKIP, 19), EVENTS("a", 20, "z"),
      READS(GAP_OF("evicted", "\"resume\":\"E.4\",\"channels\":[\"a\",\"b\"]", "E.4")
                EVENT("x", "E.5") EVENT("y", "E.10") EVENT("z", "E.20"))}},
    {"a client that is not slow is not closed for it",
     {OPENS_WITH("a", NONE, .slow = SSE_SLOW_CLOSE), READS(POSITION("E.0")), MOVES(SKIP, 9),
      READS(GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9"))}},
    {"a later loss is counted again",
     {BOUNDS("a", .window_frames_max = 1), OPENS("a", NULL, NONE), READS(POSITION("E.0")),
      MOVES(SKIP, 9), READS(GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9")),
      EVENTS("a", 10, "x"), EVENTS("a", 11, "y"),
      READS(GAP_OF("slow", "\"resume\":\"E.10\",\"channels\":[\"a\"],\"lost\":1", "E.10")
                EVENT("y", "E.11"))}},
    {"one that returns is told, on any channel",
     {EVENTS("a", 5, "x"), MOVES(SKIP, 9), OPENS("a", "E.5", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.5", "\"E.9\",\"channels\":[\"a\"]", "E.9")),
      OPENS("b", "E.8", EVICTED),
      READS(GAP_AT_OPEN("evicted", "E.8", "\"E.9\",\"channels\":[\"b\"]", "E.9")),
      OPENS("b", "E.9", RESUMED), READS(POSITION("E.9"))}},
    {"one that begins lost nothing",
     {EVENTS("a", 5, "x"), MOVES(SKIP, 9), EVENTS("a", 10, "y"),
      OPENS_WITH("a", NONE, .start = SSE_START_RETAINED),
      READS(POSITION("E.4") EVENT("x", "E.5") EVENT("y", "E.10"))}},
    {"what is evicted before it is given is reported once more, and counted",
     {BOUNDS("c", .window_frames_max = 2), OPENS("c", NULL, NONE), READS(POSITION("E.0")),
      EVENTS("c", 6, "x"), MOVES(SKIP, 8),
      READS(GAP_OF("evicted", "\"resume\":\"E.5\",\"channels\":[\"c\"]", "E.5") EVENT("x", "E.6")),
      EVENTS("c", 9, "y"), EVENTS("c", 10, "z"), EVENTS("c", 11, "w"),
      READS(GAP_OF("slow", "\"resume\":\"E.9\",\"channels\":[\"c\"],\"lost\":1", "E.9")
                EVENT("z", "E.10") EVENT("w", "E.11"))}},
    {"also if it was about to be sent",
     {BOUNDS("c", .window_frames_max = 2), OPENS("c", NULL, NONE), READS(POSITION("E.0")),
      EVENTS("c", 6, "x"), EVENTS("c", 7, "y"), MOVES(SKIP, 8),
      TAKES(GAP_OF("evicted", "\"resume\":\"E.5\",\"channels\":[\"c\"]", "E.5") EVENT("x", "E.6")),
      EVENTS("c", 9, "z"), EVENTS("c", 10, "w"), FULL_NOW,
      READS(GAP_OF("slow", "\"resume\":\"E.8\",\"channels\":[\"c\"],\"lost\":1", "E.8")
                EVENT("z", "E.9") EVENT("w", "E.10"))}},
    {"also if it was yet to be sent",
     {BOUNDS("c", .window_frames_max = 1), OPENS("ac", NULL, NONE), READS(POSITION("E.0")),
      EVENTS("a", 6, "x"), JOINS("b", 0), EVENTS("c", 7, "y"), MOVES(SKIP, 8),
      TAKES(GAP_OF("evicted", "\"resume\":\"E.5\",\"channels\":[\"a\",\"c\"]", "E.5")),
      EVENTS("c", 9, "z"), FULL_NOW,
      READS(GAP_OF("slow", "\"resume\":\"E.5\",\"channels\":[\"c\"],\"lost\":1", "E.5") EVENT(
          "x", "E.6") POSITION("E.6") GAP_OF("evicted", "\"resume\":\"E.8\",\"channels\":[\"b\"]",
                                             "E.8") EVENT("z", "E.9"))}},
    {"and a part was",
     {BOUNDS("c", .window_frames_max = 2), OPENS("c", NULL, NONE), READS(POSITION("E.0")),
      EVENTS("c", 6, "x"), JOINS("b", 0), EVENTS("c", 7, "y"), MOVES(SKIP, 8),
      TAKES(GAP_OF("evicted", "\"resume\":\"E.5\",\"channels\":[\"c\"]", "E.5")),
      EVENTS("c", 9, "z"), EVENTS("c", 10, "w"), FULL_NOW,
      READS(GAP_OF("slow", "\"resume\":\"E.6\",\"channels\":[\"c\"],\"lost\":2", "E.6")
                POSITION("E.6") GAP_OF("evicted", "\"resume\":\"E.8\",\"channels\":[\"b\"]", "E.8")
                    EVENT("z", "E.9") EVENT("w", "E.10"))}},
    {"also to one that began after the loss",
     {BOUNDS("a", .window_frames_max = 3), EVENTS("a", 1, "x"), EVENTS("a", 2, "y"), MOVES(SKIP, 5),
      OPENS_WITH("a", NONE, .start = SSE_START_RETAINED), EVENTS("a", 7, "z"), EVENTS("a", 8, "w"),
      READS(POSITION("E.0") GAP_OF("slow", "\"resume\":\"E.1\",\"channels\":[\"a\"],\"lost\":1",
                                   "E.1") EVENT("y", "E.2") EVENT("z", "E.7") EVENT("w", "E.8"))}},
    {"also of a state",
     {BOUNDS("k", .window_frames_max = 2, .conflate = SSE_YES), OPENS("k", NULL, NONE),
      READS(POSITION("E.0")), SETS("k", 1, "x", "x1"), SETS("k", 2, "y", "y2"), MOVES(SKIP, 5),
      SETS("k", 6, "z", "z6"),
      READS(GAP_OF("evicted", "\"resume\":\"E.1\",\"channels\":[\"k\"]", "E.1") EVENT("y2", "E.2")
                EVENT("z6", "E.6"))}},
    {"a stream that was about to look because of a request",
     {OPENS("bc", NULL, NONE), READS(POSITION("E.0")), LEAVES("b"), JOINS("b", 0), MOVES(SKIP, 1),
      READS(POSITION("E.0")
                GAP_OF("evicted", "\"resume\":\"E.1\",\"channels\":[\"c\",\"b\"]", "E.1"))}},
    {"one that is ahead of it lost nothing",
     {OPENS("a", "E.9", AHEAD), READS(POSITION("E.9")), MOVES(SKIP, 9), READS(""),
      EVENTS("a", 10, "y"), READS(EVENT("y", "E.10"))}},
    {"one that was ahead of a part of it lost the rest",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), MOVES(SKIP, 9),
      READS(GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9"))}},
    {"a channel that was left before lost nothing",
     {OPENS("ab", NULL, NONE), READS(POSITION("E.0")), LEAVES("b"), MOVES(SKIP, 9),
      READS(GAP_OF("evicted", "\"resume\":\"E.9\",\"channels\":[\"a\"]", "E.9"))}},
    {"every state is incomplete",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), MOVES(SKIP, 9),
      OPENS("k", NULL, NONE),
      READS(GAP_OF("evicted", "\"resume\":\"E.9~\",\"channels\":[\"k\"]", "E.9~") EPHEMERAL("x3")
                POSITION("E.9"))}},
    {"the gap stands where the channels have nothing more",
     {OPENS("a", NULL, NONE), READS(POSITION("E.0")), EVENTS("b", 4, "x"), MOVES(SKIP, 9),
      EVENTS("b", 10, "x"),
      READS(GAP_OF("evicted", "\"resume\":\"E.10\",\"channels\":[\"a\"]", "E.10"))}},
};

static const struct row restarts[] = {
    {"each stream is told that the log has begun again",
     {EVENTS("a", 5, "x"), OPENS("a", "E.5", RESUMED), READS(POSITION("E.5")), BEGINS("F", 0),
      READS(GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\"]", "F.0")),
      EVENTS("a", 1, "y"), READS(EVENT("y", "F.1"))}},
    {"before it is given anything of the new history, and nothing more of the old one",
     {OPENS("ab", NULL, NONE), READS(POSITION("E.0")), EVENTS("a", 5, "x"), BEGINS("F", 3),
      EVENTS("a", 4, "y"), EVENTS("b", 5, "z"),
      READS(GAP_OF("restart", "\"resume\":\"F.3\",\"channels\":[\"a\",\"b\"]", "F.3")
                EVENT("y", "F.4") EVENT("z", "F.5"))}},
    {"also one that is ahead",
     {OPENS("a", "E.7", AHEAD), READS(POSITION("E.7")), BEGINS("F", 2), EVENTS("a", 3, "x"),
      READS(GAP_OF("restart", "\"resume\":\"F.2\",\"channels\":[\"a\"]", "F.2")
                EVENT("x", "F.3"))}},
    {"a client that is slow to read is not closed for it",
     {OPENS_WITH("a", NONE, .slow = SSE_SLOW_CLOSE), READS(POSITION("E.0")), EVENTS("a", 5, "x"),
      BEGINS("F", 0), READS(GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\"]", "F.0"))}},
    {"one that returns with an id of before",
     {EVENTS("a", 5, "x"), BEGINS("F", 0), EVENTS("a", 1, "y"), OPENS("a", "E.5", RESTART),
      READS(GAP_AT_OPEN("restart", "E.5", "\"F.0\",\"channels\":[\"a\"]", "F.0") EVENT("y", "F.1")),
      OPENS("a", "F.0", RESUMED), READS(POSITION("F.0") EVENT("y", "F.1")),
      OPENS("a", "F.1", RESUMED), READS(POSITION("F.1"))}},
    {"up to its head all is gone",
     {EVENTS("a", 5, "x"), BEGINS("F", 10), OPENS("a", "F.9", EVICTED),
      READS(GAP_AT_OPEN("evicted", "F.9", "\"F.10\",\"channels\":[\"a\"]", "F.10")),
      OPENS("b", "F.10", RESUMED), READS(POSITION("F.10")), OPENS("a", "F.11", AHEAD),
      READS(POSITION("F.11"))}},
    {"what was given of it is no loss, after a skip either",
     {BOUNDS("c", .window_frames_max = 2), OPENS("ac", NULL, NONE), BEGINS("F", 0),
      EVENTS("a", 1, "w"), EVENTS("c", 2, "x"), EVENTS("c", 3, "y"), EVENTS("c", 4, "z"),
      READS(POSITION("E.0") GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\",\"c\"]",
                                   "F.0") EVENT("w", "F.1") EVENT("y", "F.3") EVENT("z", "F.4")),
      MOVES(SKIP, 5),
      READS(GAP_OF("evicted", "\"resume\":\"F.5\",\"channels\":[\"a\",\"c\"]", "F.5")),
      EVENTS("c", 6, "x"), EVENTS("c", 7, "x"), EVENTS("c", 8, "y"),
      READS(GAP_OF("slow", "\"resume\":\"F.6\",\"channels\":[\"c\"],\"lost\":1", "F.6")
                EVENT("x", "F.7") EVENT("y", "F.8"))}},
    {"one that begins is given the new history only",
     {EVENTS("a", 5, "x"), BEGINS("F", 0), EVENTS("a", 2, "y"),
      OPENS_WITH("a", NONE, .start = SSE_START_RETAINED), READS(POSITION("F.1") EVENT("y", "F.2")),
      OPENS_WITH("a", NONE, .start = SSE_START_LAST, .start_events = 9),
      READS(POSITION("F.1") EVENT("y", "F.2"))}},
    {"a skip of before does not count",
     {OPENS("a", NULL, NONE), READS(POSITION("E.0")), MOVES(SKIP, 9), BEGINS("F", 0),
      READS(GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\"]", "F.0")),
      OPENS("a", "F.0", RESUMED), READS(POSITION("F.0"))}},
    {"a backfill ends, and a later one begins",
     {EVENTS("b", 5, "x"), OPENS("a", "E.5", RESUMED), READS(POSITION("E.5")), JOINS("b", 1),
      BEGINS("F", 0),
      READS(GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\"]", "F.0") POSITION("F.0"))}},
    {"a channel that it waits to join lost nothing",
     {EVENTS("b", 5, "x"), OPENS("a", "E.5", RESUMED), READS(POSITION("E.5")), JOINS("b", 1),
      BEGINS("F", 3), EVENTS("b", 4, "y"),
      READS(GAP_OF("restart", "\"resume\":\"F.3\",\"channels\":[\"a\"]", "F.3") POSITION("F.3")
                EVENT("y", "F.4"))}},
    {"a loss of a channel that it waits to join counts nothing of before",
     {BOUNDS("b", .window_frames_max = 2), OPENS("a", NULL, NONE), READS(POSITION("E.0")),
      JOINS("b", 0), EVENTS("b", 4, "w"), EVENTS("b", 5, "x"), BEGINS("F", 0), EVENTS("b", 1, "y"),
      EVENTS("b", 2, "y"), EVENTS("b", 3, "z"),
      READS(GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\"]", "F.0") POSITION("F.0")
                GAP_OF("slow", "\"resume\":\"F.1\",\"channels\":[\"b\"]", "F.1") EVENT("y", "F.2")
                    EVENT("z", "F.3"))}},
    {"a state that it waits to join is incomplete if a part of the history is missing",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), OPENS("a", "E.3", RESUMED),
      READS(POSITION("E.3")), JOINS("k", 0), BEGINS("F", 4),
      READS(GAP_OF("restart", "\"resume\":\"F.4\",\"channels\":[\"a\"]", "F.4")
                GAP_OF("evicted", "\"resume\":\"F.4\",\"channels\":[\"k\"]", "F.4"))}},
    {"a state that it waits to join begins again",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), OPENS("a", "E.3", RESUMED),
      READS(POSITION("E.3")), JOINS("k", 0), BEGINS("F", 0), SETS("k", 1, "y", "y1"),
      READS(GAP_OF("restart", "\"resume\":\"F.0\",\"channels\":[\"a\"]", "F.0") POSITION("F.0")
                EVENT("y1", "F.1"))}},
    {"not_before excludes nothing of it",
     {EVENTS("a", 5, "x"), OPENS_WITH("a", NONE, .not_before = "E.5"), READS(POSITION("E.5")),
      BEGINS("F", 0), EVENTS("a", 2, "y"),
      READS(GAP_OF("restart", "\"resume\":\"F.1\",\"channels\":[\"a\"]", "F.1") EVENT("y", "F.2")),
      JOINS("b", 0), READS(POSITION("F.2"))}},
    {"a state begins again",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), BEGINS("F", 0),
      SETS("k", 1, "y", "y1"), OPENS("k", NULL, NONE),
      READS(POSITION("F.1~") EPHEMERAL("y1") POSITION("F.1"))}},
    {"and is incomplete if a part of its history is missing",
     {BOUNDS("k", .conflate = SSE_YES), SETS("k", 3, "x", "x3"), BEGINS("F", 4),
      SETS("k", 5, "y", "y5"), OPENS("k", NULL, NONE),
      READS(GAP_OF("evicted", "\"resume\":\"F.5~\",\"channels\":[\"k\"]", "F.5~") EPHEMERAL("y5")
                POSITION("F.5"))}},
    {"but not because of what was lost before",
     {BOUNDS("k", .window_frames_max = 1, .conflate = SSE_YES), SETS("k", 3, "x", "x3"),
      SETS("k", 4, "y", "y4"), BEGINS("F", 0), OPENS("a", NULL, NONE), READS(POSITION("F.0")),
      JOINS("k", 0), READS(POSITION("F.0"))}},
    {"the epoch must be another one",
     {{.kind = RESET, .text = "E", .result = SSE_EINVAL},
      {.kind = RESET, .text = "not one", .result = SSE_EINVAL},
      {.kind = RESET, .text = NULL, .result = SSE_EINVAL},
      OPENS("a", "E.0", RESUMED),
      READS(POSITION("E.0"))}},
    {"the application's ids are free again",
     {OWN_ID("a", 5, "x", "one"), OPENS("a", "E.0", RESUMED), BEGINS("F", 0),
      OWN_ID("a", 5, "y", "one"), OPENS("a", "one", RESUMED), READS(POSITION("F.5"))}},
    {"a finished channel stays finished",
     {{.kind = FINISH, .channels = "a"},
      BEGINS("F", 0),
      OPENS("a", "E.0", RESTART),
      OVER(GAP_AT_OPEN("restart", "E.0", "\"F.0\",\"channels\":[\"a\"]", "F.0"), SSE_EFINISHED)}},
};

/* ---- the player ---- */

static const char *const *names_of(const char *letters) {
  static char texts[4][2];
  static const char *names[5];
  size_t count = strlen(letters);
  assert_true(count < COUNT(names));
  for (size_t i = 0; i < count; i++) {
    texts[i][0] = letters[i];
    names[i] = texts[i];
  }
  names[count] = NULL;
  return names;
}

static int call(const struct step *step) {
  const sse_event event = {.text = step->text,
                           .key = step->key,
                           .id = step->id,
                           .number = step->number,
                           .flags = step->number || step->result ? 0 : SSE_EPHEMERAL};
  switch (step->kind) {
  case PUBLISH:
    return sse_hub_publish_to(world.hub, names_of(step->channels), &event);
  case ADVANCE:
    return sse_hub_advance(world.hub, step->number);
  case SKIP:
    return sse_hub_skip(world.hub, step->number);
  case RESET:
    return sse_hub_reset(world.hub, step->text, step->number);
  case CONFIGURE:
    return sse_hub_configure_channel(world.hub, step->channels, &step->bounds);
  case FINISH:
    return sse_hub_finish(world.hub, step->channels);
  case SUBSCRIBE:
    return sse_hub_subscribe(world.hub, TAG, step->channels, (size_t)step->number);
  case UNSUBSCRIBE:
    return sse_hub_unsubscribe(world.hub, TAG, step->channels);
  case DISMISS:
    return sse_hub_dismiss(world.hub, TAG);
  case DISCONNECT:
    return sse_hub_disconnect(world.hub, TAG);
  case DRAIN:
    return sse_hub_drain(world.hub, 0);
  case PASS:
    world.now_ms += (int64_t)step->number;
    return 0;
  case END:
  case OPEN:
  case TAKE:
  case FULL:
  case READ:
    break;
  }
  fail();
  return 0;
}

static sse_stream *open_stream(const struct step *step, sse_loop *loop) {
  sse_stream_config config = step->config;
  sse_stream *stream;
  config.channels = names_of(step->channels);
  config.tag = TAG;
  config.loop = loop;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  assert_int_equal(sse_stream_resume_result(stream), step->result);
  return stream;
}

/* Takes a part of what the stream has to give; the rest is in flight. */
static void take_some(const struct step *step, sse_stream *stream, sse_loop *loop) {
  struct iovec iov;
  const char *expected = step->text;
  while (sse_loop_next(loop)) {
  }
  while (*expected) {
    assert_int_equal(sse_stream_peek(stream, &iov, 1), 1);
    size_t left = strlen(expected), taken = iov.iov_len < left ? iov.iov_len : left;
    assert_memory_equal(iov.iov_base, expected, taken);
    sse_stream_consume(stream, taken);
    expected += taken;
  }
}

/* The transport of a client that reads nothing; it keeps nothing, either. */
static ssize_t write_nothing(void *io, const struct iovec *iov, int count) {
  (void)io, (void)iov, (void)count;
  return SSE_EAGAIN;
}

static void read_all(const struct step *step, sse_stream *stream, sse_loop *loop) {
  while (sse_loop_next(loop)) {
  }
  assert_string_equal(world_read(stream), step->text);
  assert_int_equal(world_read_result(), step->result);
}

static void play(const struct row *row, uint64_t start_after, bool in_loop) {
  sse_hub_config config = {
      .retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN, .start_after = start_after};
  struct wakes wakes = {0};
  sse_stream *stream = NULL;
  sse_loop *loop = NULL;
  print_message("  %s, %s\n", row->name, in_loop ? "in a loop" : "standalone");
  world_open(&world, &config);
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  if (in_loop) assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
  for (const struct step *step = row->steps; step->kind != END; step++) {
    if (step->kind == READ) {
      read_all(step, stream, loop);
    } else if (step->kind == TAKE) {
      take_some(step, stream, loop);
    } else if (step->kind == FULL) {
      assert_int_equal(sse_stream_flush(stream, write_nothing, NULL), SSE_EAGAIN);
    } else if (step->kind == OPEN) {
      sse_stream_free(stream);
      stream = open_stream(step, loop);
    } else {
      assert_int_equal(call(step), step->result);
    }
  }
  sse_stream_free(stream);
  while (sse_loop_next(loop)) {
  }
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

static void play_all(const struct row *rows, size_t count, uint64_t start_after) {
  for (size_t i = 0; i < count; i++) {
    play(&rows[i], start_after, false);
    play(&rows[i], start_after, true);
  }
}

static void test_numbers(void **state) {
  (void)state;
  play_all(numbers, COUNT(numbers), 0);
}

static void test_starts(void **state) {
  (void)state;
  play_all(starts, COUNT(starts), 50);
}

static void test_ahead(void **state) {
  (void)state;
  play_all(ahead, COUNT(ahead), 0);
}

static void test_losses(void **state) {
  (void)state;
  play_all(losses, COUNT(losses), 0);
}

static void test_restarts(void **state) {
  (void)state;
  play_all(restarts, COUNT(restarts), 0);
}

/* ---- single calls ---- */

static sse_stream *open_alone(const char *last_id, struct wakes *wakes, const char *not_before) {
  const sse_stream_config config = {.channel = "a",
                                    .last_id = last_id,
                                    .not_before = not_before,
                                    .wake = world_wake,
                                    .user = wakes};
  sse_stream *stream;
  assert_int_equal(sse_stream_open(&stream, world.hub, &config), SSE_OK);
  world_read(stream);
  return stream;
}

static void publish(const char *channel, uint64_t number) {
  const sse_event event = {.text = "x", .number = number};
  assert_int_equal(sse_hub_publish(world.hub, channel, &event), SSE_OK);
}

/* Once the head has come, publishes wake a standalone stream that was ahead, and still its fellows. */
static void test_woken_again(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  struct wakes was_ahead = {0}, ordinary = {0};
  world_open(&world, &config);
  sse_stream *streams[] = {open_alone("E.7", &was_ahead, NULL), open_alone(NULL, &ordinary, NULL)};
  assert_int_equal(sse_hub_advance(world.hub, 7), SSE_OK);
  assert_int_equal(was_ahead.count, 1);
  assert_string_equal(world_read(streams[0]), "");
  publish("a", 8);
  assert_int_equal(was_ahead.count, 2);
  assert_int_equal(ordinary.count, 1);
  for (size_t i = 0; i < COUNT(streams); i++) sse_stream_free(streams[i]);
  world_close(&world);
}

/* A standalone stream that a move of the head has woken counts until it is armed again. */
static void test_lag_of_moves(void **state) {
  (void)state;
  static const struct {
    const char *last_id;
    struct step move;
    uint64_t lag; /* at once */
  } rows[] = {
      {NULL, MOVES(SKIP, 9), 1},  {NULL, BEGINS("F", 1), 1},       {"E.9", MOVES(SKIP, 9), 1},
      {"E.9", BEGINS("F", 1), 1}, {"E.9", EVENTS("b", 9, "x"), 1}, {"E.9", MOVES(ADVANCE, 9), 0},
  };
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct wakes wakes = {0};
    world_open(&world, &config);
    sse_stream *stream = open_alone(rows[i].last_id, &wakes, NULL);
    assert_int_equal(call(&rows[i].move), SSE_OK);
    assert_int_equal(wakes.count, 1);
    assert_int_equal(sse_hub_lag(world.hub), rows[i].lag);
    for (uint64_t number = 20; number < 25; number++) publish("a", number);
    assert_int_equal(sse_hub_lag(world.hub), rows[i].lag + 5);
    world_read(stream);
    assert_int_equal(sse_hub_lag(world.hub), 0);
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* A stream that is ahead is not woken for what it is not given. */
static void test_wakes(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  struct wakes by_id = {0}, by_limit = {0}, far = {0};
  world_open(&world, &config);
  sse_stream *streams[] = {open_alone("E.7", &by_id, NULL), open_alone(NULL, &by_limit, "E.8"),
                           open_alone("E." MAX_NUMBER, &far, NULL)};
  for (uint64_t number = 1; number < 7; number++) publish("a", number);
  assert_int_equal(by_id.count + by_limit.count + far.count, 0);
  publish("b", 7);
  assert_int_equal(by_id.count, 1);
  assert_string_equal(world_read(streams[0]), "");
  publish("b", 8);
  assert_int_equal(by_id.count, 1);
  assert_int_equal(by_limit.count, 1);
  assert_string_equal(world_read(streams[1]), "");
  publish("a", 9);
  assert_int_equal(by_id.count, 2);
  assert_int_equal(by_limit.count, 2);
  assert_int_equal(sse_hub_skip(world.hub, 11), SSE_OK);
  assert_int_equal(far.count, 1);
  assert_string_equal(world_read(streams[2]), "");
  assert_int_equal(sse_hub_reset(world.hub, "F", 0), SSE_OK);
  assert_int_equal(far.count, 2);
  for (size_t i = 0; i < COUNT(streams); i++) sse_stream_free(streams[i]);
  assert_int_equal(world.hub->ahead.count, 0);
  world_close(&world);
}

/* A stream that is ahead is woken when its channel is finished. */
static void test_finished_wakes(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  struct wakes alone = {0}, wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  sse_loop *loop;
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
  sse_stream *streams[] = {open_alone("E.7", &alone, NULL), world_stream(&world, "a", "E.7", loop)};
  while (sse_loop_next(loop)) world_read(streams[1]);
  assert_int_equal(sse_hub_finish(world.hub, "a"), SSE_OK);
  assert_int_equal(alone.count, 1);
  assert_int_equal(wakes.count, 1);
  assert_ptr_equal(sse_loop_next(loop), streams[1]);
  for (size_t i = 0; i < COUNT(streams); i++) {
    assert_string_equal(world_read(streams[i]), "");
    assert_int_equal(world_read_result(), SSE_EFINISHED);
    sse_stream_free(streams[i]);
  }
  assert_null(sse_loop_next(loop));
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* A loop does not return a stream that is ahead, however much is published to its channel. */
static void test_a_loop_passes_it_over(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  struct wakes wakes = {0};
  const sse_loop_config waking = {.wake = world_wake, .wake_arg = &wakes};
  sse_loop *loop;
  world_open(&world, &config);
  assert_int_equal(sse_loop_new(&loop, world.hub, &waking), SSE_OK);
  sse_stream *stream = world_stream(&world, "a", "E.7", loop);
  assert_ptr_equal(sse_loop_next(loop), stream);
  world_read(stream);
  assert_null(sse_loop_next(loop));
  for (uint64_t number = 1; number < 7; number++) {
    publish("a", number);
    assert_null(sse_loop_next(loop));
  }
  publish("a", 9);
  assert_ptr_equal(sse_loop_next(loop), stream);
  assert_string_equal(world_read(stream), EVENT("x", "E.9"));
  assert_null(sse_loop_next(loop));
  sse_stream_free(stream);
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* What a stream has in flight, it is given in full before it is told that the log began again. */
static void test_in_flight(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  struct iovec iov;
  world_open(&world, &config);
  const sse_event named = {.text = "x", .id = "one", .number = 5};
  sse_stream *stream = world_stream(&world, "a", NULL, NULL);
  world_read(stream);
  assert_int_equal(sse_hub_publish(world.hub, "a", &named), SSE_OK);
  assert_int_equal(sse_stream_peek(stream, &iov, 1), 1);
  sse_stream_consume(stream, 1);
  assert_int_equal(sse_hub_reset(world.hub, "F", 0), SSE_OK);
  assert_int_equal(sse_hub_publish(world.hub, "a", &named), SSE_OK); /* the id is free again */
  assert_string_equal(world_read(stream), "ata: x\nid: one\n\n" GAP_OF(
                                              "restart", "\"resume\":\"F.4\",\"channels\":[\"a\"]",
                                              "F.4") EVENT("x", "one"));
  sse_stream_free(stream);
  world_close(&world);
}

/* The same in a loop whose snapshot was taken before the skip. */
static void test_full_in_a_round(void **state) {
  (void)state;
  const sse_hub_config config = {.retry_ms = SSE_NEVER, .numbers = SSE_NUMBERS_GIVEN};
  struct wakes wakes = {0};
  const sse_loop_config lingering = {.linger_ms = 100, .wake = world_wake, .wake_arg = &wakes};
  static const char *const names[] = {"c", NULL};
  struct iovec iov;
  sse_stream *stream;
  sse_loop *loop;
  world_open(&world, &config);
  sse_hub_configure_channel(world.hub, "c", &(sse_channel_config){.window_frames_max = 2});
  assert_int_equal(sse_loop_new(&loop, world.hub, &lingering), SSE_OK);
  const sse_stream_config opened = {.channels = names, .loop = loop};
  assert_int_equal(sse_stream_open(&stream, world.hub, &opened), SSE_OK);
  while (sse_loop_next(loop)) world_read(stream);
  for (uint64_t number = 6; number < 8; number++)
    sse_hub_publish(world.hub, "c", &(sse_event){.text = "x", .number = number});
  assert_int_equal(sse_hub_skip(world.hub, 8), SSE_OK);
  assert_ptr_equal(sse_loop_next(loop), stream);
  assert_true(sse_stream_peek(stream, &iov, 1) == 1);
  assert_int_equal(sse_stream_flush(stream, write_nothing, NULL), SSE_EAGAIN);
  assert_true(sse_stream_peek(stream, &iov, 1) == 1); /* the gap, which stays */
  sse_stream_consume(stream, iov.iov_len);
  sse_stream_peek(stream, &iov, 1);
  assert_int_equal(sse_stream_flush(stream, write_nothing, NULL), SSE_EAGAIN);
  assert_null(sse_loop_next(loop));
  for (uint64_t number = 9; number < 11; number++)
    sse_hub_publish(world.hub, "c", &(sse_event){.text = "z", .number = number});
  world.now_ms += 200;
  sse_loop_next(loop); /* it does not return a stream that has bytes in flight */
  assert_string_equal(world_read(stream),
                      GAP_OF("slow", "\"resume\":\"E.8\",\"channels\":[\"c\"],\"lost\":2", "E.8")
                          EVENT("z", "E.9") EVENT("z", "E.10"));
  sse_stream_free(stream);
  while (sse_loop_next(loop)) {
  }
  assert_int_equal(sse_loop_free(loop), SSE_OK);
  world_close(&world);
}

/* The ids that a publish and a hub give back, of both kinds of hubs. */
static void test_ids_given_back(void **state) {
  (void)state;
  static const struct {
    const char *name;
    sse_event event;
    const char *id, *position;
  } rows[] = {
      {"one of the hub", {.text = "x"}, "E.1", "E.1"},
      {"one of the application", {.text = "x", .id = "mine"}, "mine", "E.2"},
      {"none", {.text = "x", .flags = SSE_EPHEMERAL}, "", "E.3"},
  };
  char id[SSE_ID_BYTES_MAX + 1], position[SSE_ID_BYTES_MAX + 1];
  for (int given = 0; given < 2; given++) {
    const sse_hub_config config = {.numbers = given ? SSE_NUMBERS_GIVEN : SSE_NUMBERS_OWN};
    world_open(&world, &config);
    sse_stream *stream = world_stream(&world, "a", NULL, NULL); /* for the ephemeral one */
    for (size_t i = 0; i < COUNT(rows); i++) {
      sse_event event = rows[i].event;
      bool ephemeral = event.flags & SSE_EPHEMERAL;
      if (given && !ephemeral) event.number = i + 1;
      int error = sse_hub_publish_id(world.hub, CHANNELS("a", "b"), &event, id, sizeof id);
      assert_int_equal(error, SSE_OK);
      assert_string_equal(id, rows[i].id);
      assert_int_equal(sse_hub_position(world.hub, position, sizeof position), SSE_OK);
      assert_string_equal(position, given && ephemeral ? "E.2" : rows[i].position);
    }
    const sse_event refused = {.text = "x", .type = "a\nb"};
    assert_int_equal(sse_hub_publish_id(world.hub, CHANNELS("a"), &refused, id, sizeof id),
                     SSE_ELINE);
    assert_int_equal(
        sse_hub_publish_id(world.hub, CHANNELS("a"), &rows[0].event, id, sizeof id - 1),
        SSE_EINVAL);
    assert_int_equal(sse_hub_position(world.hub, position, sizeof position - 1), SSE_EINVAL);
    assert_string_equal(id, "");
    sse_stream_free(stream);
    world_close(&world);
  }
}

/* The calls of a log are refused by a hub that gives its own numbers. */
static void test_own_numbers(void **state) {
  (void)state;
  const sse_event numbered = {.text = "x", .number = 1};
  world_open(&world, NULL);
  assert_int_equal(sse_hub_publish(world.hub, "a", &numbered), SSE_EINVAL);
  assert_int_equal(sse_hub_advance(world.hub, 5), SSE_EINVAL);
  assert_int_equal(sse_hub_skip(world.hub, 5), SSE_EINVAL);
  assert_int_equal(sse_hub_reset(world.hub, "F", 5), SSE_EINVAL);
  assert_int_equal(
      sse_hub_configure_channel(world.hub, "a", &(const sse_channel_config){.start_after = 1}),
      SSE_EINVAL);
  world_close(&world);
}

/* The lag counts events, not numbers, and no moves of the head. */
static void test_lag(void **state) {
  (void)state;
  const sse_hub_config config = {.numbers = SSE_NUMBERS_GIVEN};
  struct wakes wakes = {0};
  world_open(&world, &config);
  sse_stream *stream = open_alone(NULL, &wakes, NULL);
  publish("a", 100);
  publish("b", 1000);
  assert_int_equal(sse_hub_advance(world.hub, 5000), SSE_OK);
  assert_int_equal(sse_hub_lag(world.hub), 2);
  sse_stream_free(stream);
  world_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_starts),
      cmocka_unit_test(test_ahead),
      cmocka_unit_test(test_losses),
      cmocka_unit_test(test_restarts),
      cmocka_unit_test(test_woken_again),
      cmocka_unit_test(test_wakes),
      cmocka_unit_test(test_finished_wakes),
      cmocka_unit_test(test_a_loop_passes_it_over),
      cmocka_unit_test(test_in_flight),
      cmocka_unit_test(test_full_in_a_round),
      cmocka_unit_test(test_ids_given_back),
      cmocka_unit_test(test_own_numbers),
      cmocka_unit_test(test_lag),
      cmocka_unit_test(test_lag_of_moves),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
