/* SPDX-License-Identifier: MIT */
/* rules.h: the rules of the second judge, each with the sentence of the manual it comes from. */
#ifndef JUDGE_RULES_H
#define JUDGE_RULES_H

#include "verdict.h"

/* X(name, sentence of the headers or the manual). */
#define RULES(X)                                                                                   \
  X(CALL, "sse_hub(3), sse_stream(3), RETURN VALUES and ERRORS of the call")                       \
  X(WINDOW, "hub.h: The oldest frame is evicted as soon as one of the window's limits is "         \
            "exceeded.")                                                                           \
  X(FULL, "hub.h: SSE_EFULL: the ceiling is reached by frames that are in flight.")                \
  X(WIRE, "format.h: The block consists of comment, retry, type, one `data:` line for each line "  \
          "of the payload, id, and a blank line.")                                                 \
  X(CONTROL, "sse(7): What the library writes: position, gap, heartbeat, retry block.")            \
  X(FLIGHT, "stream.h: Bytes in flight neither move nor shrink until they are consumed; another "  \
            "peek gives the same bytes again.")                                                    \
  X(RESULT, "stream.h: sse_resume: what the Last-Event-ID of a client led to.")                    \
  X(FIRST, "sse(7): The first block carries the reconnection time and a position; if events were " \
           "lost, a gap event takes the place of the position.")                                   \
  X(START, "stream.h: sse_start: with the newest start_events events of its channels taken "       \
           "together; with all events that its channels retain; with the events from now on.")     \
  X(RESUME, "sse(7): Within an epoch, a client that reconnects with its last id is given each "    \
            "event of its channels at most once, in the order of publishing.")                     \
  X(REPLAY, "stream.h: SSE_LOST_REPLAY: with all retained events that the client may not have "    \
            "received.")                                                                           \
  X(FOREIGN, "sse_hub_publish(3): every stream of the channel will be given the event; a stream "  \
             "is a set of channels.")                                                              \
  X(NOT_BEFORE, "stream.h: not_before: events up to it are not for this stream, and their absence" \
                " is not a loss.")                                                                 \
  X(FILTER, "sse_stream(3): The filter decides whether the stream is given an event.")             \
  X(UNSUBSCRIBED, "hub.h: A stream is still given what was published before this call, and "       \
                  "nothing of the channel that is published after it.")                            \
  X(DISMISSED, "hub.h: each is first given what was published before this call. Events that are "  \
               "published after the call are not given to the stream.")                            \
  X(SLOT, "sse_hub(3): concurrent_replays_max: further streams wait for a slot, in the order in "  \
          "which they came; until then they have their first bytes and nothing else.")             \
  X(DRAINED, "sse_hub(3): ends all streams of the hub gently, each at a random time within "       \
             "over_ms milliseconds from now; a further call may bring the end nearer.")            \
  X(DISCONNECTED, "hub.h: their next peek, read, wait or flush returns SSE_EDISCONNECTED, even "   \
                  "while bytes are in flight.")                                                    \
  X(TWICE, "sse(7): given each event of its channels at most once; a stream of several of the "    \
           "event's channels is given it once; only a backfill may repeat it.")                    \
  X(ORDER, "stream.h: What it is given next is always the frame with the smallest number above "   \
           "its cursor in any of its channels.")                                                   \
  X(LOSS, "sse(7): A client that falls behind the window is given a gap event, in the stream, at " \
          "the exact place, before any later event.")                                              \
  X(MISSING, "hub.h: every stream of the channel will be given the event or a gap that reports "   \
             "its loss.")                                                                          \
  X(EPHEMERAL, "sse(7): Ephemeral: a stream that lags is given it if it is among the last 256 of " \
               "its channel, not older than a minute or window_age_ms_max, and within "            \
               "window_bytes_max; a stream that is opened later is not given it.")                 \
  X(GAP_CAUSE, "sse(7): A client is slow when events that it has not been given are evicted from " \
               "a window, or when its stream exceeds one of its own limits.")                      \
  X(GAP_SKIPS, "sse(7): It is given a gap event slow, and then the retained events.")              \
  X(GAP_FORM, "sse(7): The JSON object has these members, in this order: reason, requested, "      \
              "resume, channels, lost.")                                                           \
  X(GAP_CHANNELS, "sse(7): channels: for evicted and slow the channels that lost something; for "  \
                  "the other reasons, and after a backfill or state that was cut off, all.")       \
  X(GAP_LOST, "sse(7): lost: how many events are gone; present only for slow, and only if the "    \
              "number is known; it is not known with a filter or for a conflated channel.")        \
  X(GAP_RESUME, "sse(7): resume: the id of this block: what follows begins after it.")             \
  X(POSITION, "sse.h: position: an id that is sent without an event, so that a client that "       \
              "reconnects continues at the right place.")                                          \
  X(POSITION_OFF, "sse(7): With SSE_POSITION_OFF no position is written, and there are no marks.") \
  X(MARK, "sse(7): An id with the mark ~ means that a backfill or a state was begun and has not "  \
          "been completed.")                                                                       \
  X(BACKFILL, "sse_hub(3): backfill is how many of the channel's latest retained events a stream " \
              "is given first. They come without ids, contiguous, and between two positions.")     \
  X(SUBSCRIBED, "sse_hub(3): The position after the backfill tells the client that it is "         \
                "subscribed; it comes also without a backfill.")                                   \
  X(STATE, "sse(7): A client without an id is first given the present state, whatever start says," \
           " unless a replay contains it.")                                                        \
  X(STATE_LOST, "sse(7): from then on, every client that is given the state is also given a gap "  \
                "event with reason evicted.")                                                      \
  X(BOUND_START, "sse(7): If the stream has limits on its lag, it begins with the newest events "  \
                 "that are within them.")                                                          \
  X(BOUND, "sse(7): The limits count the retained events above the cursor; a stream that exceeds " \
           "them continues with the newest events that are within them.")                          \
  X(SLOW, "stream.h: SSE_SLOW_CLOSE: its stream ends with SSE_ESLOW, and four times the usual "    \
          "reconnection time.")                                                                    \
  X(FINISHED, "hub.h: A stream ends gently with SSE_EFINISHED when all its channels are finished " \
              "and it has been given everything.")                                                 \
  X(END, "sse_stream(3): A stream that ends gently first gives the bytes in flight, and then a "   \
         "retry block.")                                                                           \
  X(BODY,                                                                                          \
    "sse(7): If the head says chunked, the library also frames the body as chunks. A gentle "      \
    "end closes the body with the last chunk. After any other end the body is incomplete.")        \
  X(RETRY, "hub.h: retry_ms: each is sent a random value between this and one and a half times "   \
           "this.")                                                                                \
  X(ARMED, "sse(7): armed: As soon as there is something, its loop returns it, or its wake is "    \
           "called once.")                                                                         \
  X(STATS, "sse_hub_stats(3): published_events, delivered_events, lost_events, gaps.")

typedef enum rule {
  RULES(RULE_ENUM) RULE_COUNT
} rule;

/* Whether histories shall do without something: a word of JUDGE_WITHOUT. */
bool without(const char *feature);

#endif
