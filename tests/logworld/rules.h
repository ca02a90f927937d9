/* SPDX-License-Identifier: MIT */
/* rules.h: the rules of the log world, and what is counted in it. */
#ifndef LOGWORLD_RULES_H
#define LOGWORLD_RULES_H

#include "../judge/verdict.h"

/* X(name, sentence of the headers or the manual). */
#define RULES(X)                                                                                   \
  X(CALL, "hub.h, stream.h: what the call returns")                                                \
  X(NUMBER, "format.h: number: above all earlier ones; 0 for an ephemeral event. hub.h: "          \
            "SSE_ENUMBER: nothing was changed")                                                    \
  X(HEAD, "hub.h: the number becomes the hub's head; a failed call changes nothing")               \
  X(WINDOW, "hub.h: The oldest frame is evicted as soon as one of the window's limits is "         \
            "exceeded.")                                                                           \
  X(WIRE, "sse(7): What the library writes")                                                       \
  X(ID, "hub.h: its id on the wire is `<epoch>.<number>`; the epoch names the log's history")      \
  X(RESULT, "stream.h: sse_resume: what the Last-Event-ID of a client led to")                     \
  X(FIRST, "sse(7): The first block carries a position; if events were lost, a gap event takes "   \
           "the place of the position.")                                                           \
  X(START, "stream.h: sse_start, sse_lost: where the stream begins")                               \
  X(AHEAD, "stream.h: SSE_RESUME_AHEAD: The stream continues exactly after the id, once the hub "  \
           "has reached it.")                                                                      \
  X(AHEAD_ID, "sse-log(7): while a stream is ahead, its positions carry the client's number")      \
  X(ORDER, "stream.h: it is given next the frame with the smallest number above its cursor")       \
  X(TWICE, "sse(7): a client that reconnects is given each event at most once")                    \
  X(FOREIGN, "stream.h: a stream is a set of channels and a cursor")                               \
  X(EXCLUDED, "stream.h: not_before, filter: which events are not for this stream")                \
  X(LOSS, "sse(7): a gap event at the exact place, before any later event or id")                  \
  X(MISSING, "hub.h: every stream of the channel will be given the event or a gap that reports "   \
             "its loss.")                                                                          \
  X(SKIP, "hub.h: sse_hub_skip: Each stream whose cursor is below the number is given a gap; "     \
          "retained events of before the call follow it.")                                         \
  X(RESET, "hub.h: sse_hub_reset: Each is given a gap (restart) before anything else.")            \
  X(GAP_CAUSE, "sse(7): gap: events that a stream should have been given and that are gone")       \
  X(GAP_FORM, "sse(7): The JSON object has these members, in this order")                          \
  X(GAP_CHANNELS, "sse(7): channels: those that lost something, or all")                           \
  X(GAP_LOST, "sse(7): lost: only if the number is known; never for a skip or start_after")        \
  X(GAP_RESUME, "sse(7): resume: the id of this block: what follows begins after it.")             \
  X(POSITION, "sse-log(7): a position claims no more than was given or reported")                  \
  X(ADVANCED, "hub.h: sse_hub_advance: Clients learn the new number with their next position, at " \
              "the latest after heartbeat_ms")                                                     \
  X(MARK, "sse(7): An id with the mark ~ means that a backfill or a state was begun.")             \
  X(BACKFILL, "hub.h: The backfill has the events that the channel retains at the time of the "    \
              "call.")                                                                             \
  X(SUBSCRIBED, "hub.h: The position after it tells the client that it is subscribed.")            \
  X(STATE, "sse(7): a state is given whole, or a gap reports that it is incomplete")               \
  X(EPHEMERAL, "sse(7): Ephemeral: it keeps its place; sse-log(7): not given while ahead")         \
  X(FINISHED, "hub.h: A stream ends with SSE_EFINISHED when all its channels are finished and it " \
              "has been given everything.")                                                        \
  X(END, "stream.h: sse_stream_peek: why the stream is over")                                      \
  X(WAKE, "stream.h: a stream that is armed is returned by its loop, or its wake is called")       \
  X(LAG, "hub.h: sse_hub_lag counts events, not numbers")

typedef enum rule {
  RULES(RULE_ENUM) RULE_COUNT
} rule;

/* X(name, text): what came to pass, counted, so that a test can tell whether it was worth its time.
 */
#define SEEN(X)                                                                                    \
  X(EVENTS, "events")                                                                              \
  X(BARE, "events without ids")                                                                    \
  X(EPHEMERAL, "ephemeral events")                                                                 \
  X(POSITIONS, "positions")                                                                        \
  X(HEARTBEATS, "heartbeats")                                                                      \
  X(RESUMED, "streams resumed")                                                                    \
  X(MOVED, "streams resumed at another hub")                                                       \
  X(EVICTED, "streams evicted")                                                                    \
  X(AHEAD, "streams ahead")                                                                        \
  X(CAUGHT, "events after ahead")                                                                  \
  X(AHEAD_JOINED, "subscriptions while ahead")                                                     \
  X(FOREIGN, "streams with a foreign id")                                                          \
  X(SKIPPED, "gaps of skips")                                                                      \
  X(RESET, "gaps of resets")                                                                       \
  X(SLOW, "gaps slow")                                                                             \
  X(SECTION, "gaps of backfills and states")                                                       \
  X(FULL, "full transports")                                                                       \
  X(CUT, "cuts within a block")                                                                    \
  X(AGAIN, "numbers refused")                                                                      \
  X(RESTARTS, "restarts")                                                                          \
  X(OWN_STARTS, "channels with a start_after")                                                     \
  X(FINISHED, "streams finished")                                                                  \
  X(DISMISSED, "streams dismissed")

typedef enum seen {
#define SEEN_ENUM(name, text) SEEN_##name,
  SEEN(SEEN_ENUM)
#undef SEEN_ENUM
  SEEN_COUNT
} seen;

extern uint64_t seen_counts[SEEN_COUNT];
void see(seen what);
const char *seen_text(seen what);

#endif
