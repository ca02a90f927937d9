#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""promises.py: breaks each promise of the delivery contract once, and sees the tests notice.

usage: promises.py BUILD [part of a name]

A promise is a name, what to break (a file of lib/, the text and what becomes of it), and the
programs that have to notice: each of them. What is broken is a copy, BUILD/promises/tree.
"""
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True  # nothing is built beside the sources
from mutate import PLAIN, Tree


def source_of(root, file):
    """Where a file of the library lies, whatever its wing."""
    return next(pathlib.Path(root, "lib").glob("*/" + file))


SIM, FOUND, RULES = "sim/test_sim", "sim/test_found", "unit/test_rules"
CHUNKED, CONTRACT = "unit/test_chunked", "unit/test_contract"

PROMISES = [
    # Order and loss
    ("an event comes at most once", "open.c", "  *cursor = id.seq;\n",
     "  *cursor = id.seq ? id.seq - 1 : 0;\n", [SIM, "unit/test_stream"]),
    ("in the order of the numbers, over all channels", "cursor.c", "if (slot->seq >= next.limit)",
     "if (slot->seq > next.limit)", [SIM]),
    ("number and append are one critical section", "publish.c",
     "  hub->counters.published_events++;\n",
     "  hub->counters.published_events++;\n  pthread_mutex_unlock(&hub->lock);\n"
     "  pthread_mutex_lock(&hub->lock);\n", ["interleave/test_interleave"]),
    ("what is missing is announced", "cursor.c",
     "if (sse__gap_due(stream, floor)) error", "if (0) error", [SIM, RULES]),
    ("what is missing is announced, in a round", "cursor.c",
     "        (feed->keyed || feed->evicted > subscriptions[i].gap_reported)) {", "        false) {", [SIM]),
    ("a publish that fails takes no number", "publish.c",
     "  if (error || !*shares) return error;\n",
     "  if (error || !*shares) {\n    hub->head += error != 0;\n    return error;\n  }\n", [SIM]),
    # Chunked bodies
    ("a chunked body is framed", "frame.c", "  sse__chunk_write(own->bytes, own->len);\n", "",
     [SIM, CHUNKED]),
    ("a chunked body is framed, in a round", "loop.c",
     "if (loop->chunked_streams > 0) sse__snapshot_chunk", "if (0) sse__snapshot_chunk",
     [SIM, CHUNKED]),
    ("a chunked body is framed, opened within a round", "cursor.c",
     "(stream->live_only || stream->queued)", "stream->live_only", [CHUNKED]),
    ("a chunked body's last chunk comes at a gentle end", "stream.c",
     ".last = stream->outq.chunked", ".last = false", [SIM, CHUNKED]),
    ("a chunked body's last chunk comes only at a gentle end", "stream_priv.h",
     "  if (!sse__end_is_gentle(stream->reason)) return true;\n", "", [SIM, CHUNKED]),
    ("a chunked body's last chunk is kept by a full transport", "outq.c",
     "frames[0]->kind == SSE__FRAME_LAST", "false", [CHUNKED]),
    # Ids and verdicts
    ("an id is the last line before the blank one", "control.c",
     "    put_id(out, stream, block);\n    sse__writer_text(out, \"\\n\\n\");\n",
     "    put_id(out, stream, block);\n    sse__writer_text(out, \"\\nx:\\n\\n\");\n", [SIM]),
    ("an id of the application can be a header's value", "format.c",
     "  return sse__format_fits_header(id, *len) ? SSE_OK : SSE_EID;\n", "  return SSE_OK;\n",
     ["unit/test_format", "unit/test_publish"]),
    ("an id of the application has no control character", "format.c",
     "if ((c < 0x20 && c != '\\t') || c == 0x7f) return false;", "(void)c;",
     ["unit/test_format", "unit/test_publish", SIM]),
    ("without positions the client's ids are the application's", "control.c",
     "(block->position && stream->position != SSE_POSITION_OFF)", "block->position",
     ["unit/test_stream"]),
    ("an id of another epoch is a restart", "open.c",
     "if (!same_epoch(&id.epoch, &stream->hub->epoch)) {\n    *cursor = 0;",
     "if (0) {\n    *cursor = 0;",
     [SIM]),
    ("an id above the head is of the future", "open.c", "id.seq > stream->hub->head", "0", [SIM]),
    ("what was evicted since is a verdict", "open.c",
     "if (result == SSE_RESUME_RESUMED && sse__gap_due(stream, bound)) {", "if (0) {", [SIM]),
    # The step
    ("(m) S moves to the head only when nothing is left", "cursor.c",
     "if (all && stream->cursor < head)", "if (stream->cursor < head)", [SIM, RULES]),
    ("(m) S moves to the head of the same snapshot", "cursor.c",
     "stream->cursor < head) stream->cursor = head;",
     "stream->cursor < head) stream->cursor = stream->hub->head;", [SIM]),
    ("(m) a gap is due above S", "subscription.c",
     "subscription->gap_reported > cursor ? subscription->gap_reported : cursor", "subscription->gap_reported", [SIM]),
    ("(m) a gap is due above what was announced", "subscription.c",
     "subscription->gap_reported > cursor ? subscription->gap_reported : cursor", "cursor", [SIM, RULES]),
    ("(m) the gap test of a round is by its snapshot", "cursor.c",
     "if (feed->in_round && feed->evicted > stream->cursor &&\n"
     "        (feed->keyed || feed->evicted > subscriptions[i].gap_reported)) {",
     "if (feed->channel->window.evicted > stream->cursor) {", [RULES]),
    ("what goes after a higher number is announced", "subscription.c",
     "window->evicted_out_of_order > cursor && (", "0 && (", [FOUND]),
    ("what a bound passes over is announced", "subscription.c",
     "  return floor > cursor && passed_over(window, cursor, floor, false);", "  return false;",
     [FOUND, SIM]),
    # Several channels, and changes of channels
    ("an event of several channels counts once in a limit", "backlog.c",
     "    if (number == highest) {\n      below = number - 1;\n", "    if (number == highest) {\n", [CONTRACT]),
    ("a superseded value does not count in a limit", "backlog.c",
     "  return exact ? search_start(stream, backlog, from) : count_start(stream, backlog, from);",
     "  return search_start(stream, backlog, from);", [CONTRACT]),
    ("an event of several channels counts once in a loss", "subscription.c",
     "  if (shared && !alone) return SSE__UNKNOWN;\n", "  (void)shared;\n  (void)alone;\n", [CONTRACT, SIM]),
    ("a channel that comes later counts, too", "gap.c",
     " && sse__request_due(stream) == UINT64_MAX;", ";", [FOUND]),
    ("what a channel evicts later is not lost to a stream that left it", "subscription.c",
     "  return end ? smaller(window->evicted, end->last) : window->evicted;",
     "  return end && !window->evicted ? end->last : window->evicted;", [CONTRACT, SIM]),
    ("a limit ends where the stream leaves", "backlog.c",
     "  if (end) slots.count = sse__stretch_after(&slots, end->last);\n", "  (void)end;\n", [CONTRACT]),
    ("a backfill is fixed by its call", "membership.c",
     "  int error = sse__backfill_add(stream, &request->backfill, request->above);",
     "  struct sse__backfill_part now = sse__backfill_part(request->channel);\n"
     "  int error = sse__backfill_add(stream, &now, request->above);", [CONTRACT, SIM]),
    ("not_before holds for later subscriptions", "open.c",
     "  if (floor > 0) sse__stream_limits(stream)->not_before = floor;\n", "", [CONTRACT, SIM]),
    ("a state of several channels has an event once", "backfill.c",
     "    if (has_state(stream, channel, above))\n"
     "      backfill->parts[backfill->count++] = sse__backfill_part(channel);",
     "    backfill->parts[0] = sse__backfill_part(channel);\n    backfill->count = 1;", [CONTRACT, SIM]),
    ("there is no mark without positions", "control.c",
     " && stream->position != SSE_POSITION_OFF;", ";", [CONTRACT, SIM]),
    ("SSE_LOST_REPLAY gives all after an unknown id", "open.c",
     " || result == SSE_RESUME_UNKNOWN;", ";", [CONTRACT, SIM]),
    ("a live start names what it passes over", "open.c",
     ".floor = live ? stream->hub->head : bound};", ".floor = bound};", [CONTRACT, SIM]),
    ("an ephemeral event reaches who is about to subscribe", "publish.c",
     "(*channel)->streams + (*channel)->pending_joins == 0", "(*channel)->streams == 0", [CONTRACT, SIM]),
    ("an end is seen at the next look", "stream.c",
     "  if (stream->reason | end) return look_ended(stream, end);",
     "  if (stream->reason) return look_ended(stream, end);", [CONTRACT]),
    # The gap event
    ("(m) a gap's id is below the smallest that is retained", "gap.c",
     "    if (below < lowest) lowest = below;\n", "", [SIM, RULES]),
    ("(m) no priming before a gap", "open.c",
     "if (gap.reason) return sse__gap_new(stream, &gap, &block, frame);",
     "", [SIM]),
    ("a gap counts what it stands for", "subscription.c",
     "gone_ordinal(subscription, floor, end) - subscription->delivered_count;",
     "gone_ordinal(subscription, floor, end) - subscription->delivered_count + 1;", [SIM, RULES]),
    ("a gap names the channels that lost", "control.c",
     "  return sse__subscription_lost(subscription, gap->above, gap->floor,\n                                sse__request_end(stream, channel));\n",
     "  return true;\n", [SIM]),
    # Positions
    ("(m) a position is where the stream is, not the hub", "cursor.c",
     ".position = true, .seq = stream->cursor};", ".position = true, .seq = stream->hub->head};",
     [SIM, RULES]),
    ("(m) an id that has fallen behind is told again", "cursor.c",
     "bool due = stream->sub.heartbeat_due || id_is_stale(stream, now_ms);", "bool due = stream->sub.heartbeat_due;",
     [RULES]),
    ("a position is told in the silence", "cursor.c", "frame = behind ? position_block(stream) : NULL;",
     "frame = NULL;", [SIM]),
    # Ephemeral events
    ("(m) ephemeral events go to those who were there", "cursor.c",
     "  if (frame->ephemeral && frame->seq <= stream->opened_at) return false;\n", "", [SIM]),
    # The application's ids
    ("(m) after an unknown id the gap covers up to the last that is forgotten", "open.c",
     "  *cursor = hub->store.ids.gone;\n", "  *cursor = 0;\n", [SIM]),
    ("(m) the last that is forgotten is remembered", "index.c",
     "  if (frame->seq > ids->gone) ids->gone = frame->seq;\n", "", [SIM]),
    ("an id that is still retained is refused", "publish.c",
     "return SSE_EIDUSED;", "{}", ["unit/test_events"]),
    ("an event for several channels comes once", "merge.h",
     "  if (seq == next->lowest) sse__merge_choose(next, owner, &slots);\n", "", [SIM]),
    # Joining and leaving
    ("(m) a join is at the number of its call", "request.c", "  return due < head ? due : head;\n",
     "  return head;\n", [SIM]),
    ("(m) a join ends in a position", "membership.c", "  int error = sse__backfill_add",
     "  int error = request->above == request->seq ? SSE_OK : sse__backfill_add", ["unit/test_membership"]),
    ("what was published before a join does not count", "membership.c", " : request->delivered_count;\n", " : 0;\n",
     ["unit/test_membership"]),
    ("a history has a mark until it is told", "backfill.c",
     ".seq = stream->cursor, .unfinished = true}", ".seq = stream->cursor}", [SIM]),
    ("one cut off in a history is told of it", "open.c",
     "return id.unfinished ? SSE_RESUME_EVICTED : SSE_RESUME_RESUMED;",
     "return SSE_RESUME_RESUMED;", [SIM]),
    ("a history is whole", "backfill.c",
     "      int error = add_event(stream, part->channel, slot->frame, &bytes);",
     "      int error = slot->seq % 2 ? add_event(stream, part->channel, slot->frame, &bytes) : SSE_OK;",
     [SIM]),
    ("a state lacks nothing when a tombstone was evicted", "backfill.c",
     "  uint64_t evicted = window->keys ? window->state_lost : window->evicted;",
     "  uint64_t evicted = window->evicted;", [CONTRACT]),
    ("a mark stands for a backfill that has events", "backfill.c",
     "backfill->next && !backfill->next->opened}", "backfill->next != NULL}", [CONTRACT]),
    ("a gap that closes a backfill is counted", "backfill.c",
     "  if (lost) stream->hub->counters.gaps[gap.reason]++;\n", "", [CONTRACT]),
    ("what a gap counted as lost is not given", "cursor.c",
     "    stream->live_only = requested || gap_is_ahead(stream);",
     "    (void)gap_is_ahead;\n    stream->live_only = requested;", [CONTRACT]),
    ("an end that was counted is told", "stream.c",
     "  if (stream->sub.stage == SSE__STAGE_OVER) return stream->reason;\n",
     "  if (sse__stream_over(stream)) return stream->reason;\n", [CONTRACT]),
    ("what goes while a history is given is told", "backfill.c",
     ".gap = lost ? &gap : NULL", ".gap = NULL", [SIM]),
    ("a filter holds for a history", "backfill.c",
     "  if (!sse__limits_pass(stream, channel, frame)) return SSE_OK;\n", "", [SIM]),
    ("a filter holds for live events", "cursor.c",
     "!(stream->has & SSE__HAS_LIMITS) || sse__limits_pass(stream, subscription->channel, frame);",
     "subscription != NULL;", [SIM]),
    ("nothing below the lowest number", "open.c",
     "  if (stream->cursor < floor) stream->cursor = floor;\n", "", [SIM]),
    # Slow clients
    ("one that is to be closed is closed", "gap.c",
     "  if (limits && limits->close) return SSE_ESLOW;\n", "", ["unit/test_limits"]),
    ("a closed one comes back later", "stream.c",
     "    stream->retry_ms = longer_retry(stream->retry_ms);\n", "", ["unit/test_limits"]),
    ("a client that takes nothing is ended", "liveness.c",
     "if (!waiting && sse__time_after(live->moved_ms, live->stall_ms) <= now_ms) return SSE__DUE_STALL;", "",
     ["unit/test_liveness"]),
    # Conflation
    ("superseding is no loss", "store.c", "  store_take_out(store, frame, true);\n",
     "  store_take_out(store, frame, false);\n", [SIM]),
    ("the newest of a key alone is kept", "channel.c",
     "    if (old) sse__store_supersede(channels->store, old);\n", "    (void)old;\n", [SIM]),
    ("a state that is not whole opens with a gap", "window.c",
     "    if (value && frame->seq > window->state_lost) window->state_lost = frame->seq;\n",
     "    (void)value;\n", [SIM]),
    ("a state that is not whole is told of when it is joined", "backfill.c",
     "  backfill->parts[0].lost = part->channel->window.keys && part->evicted > lowest;\n", "", [FOUND, SIM]),
    ("that a state is not whole outlives its channel", "channel.c",
     "  channel->window.state_lost = ghost ? ghost->state_lost : 0;\n", "", [FOUND, SIM]),
    ("a state has no tombstones", "backfill.c",
     "(frame->tombstone && channel->window.keys)", "false", [SIM]),
    ("tombstones go first", "window.c",
     "if (window->keys && window->keys->tombstones.first)", "if (0)", ["unit/test_conflate"]),
    ("logs go before states", "store.c",
     "  return window->keys && !frame->tombstone ? &store->state : &store->log;",
     "  return window && frame ? &store->log : &store->state;", ["unit/test_conflate"]),
    # Channels that went away
    ("(m) a ghost remembers what was let go", "channel.c",
     "  channel->window.evicted = above ? ghost->evicted : channels->floor;\n",
     "  channel->window.evicted = above ? 0 : channels->floor;\n", [SIM, RULES]),
    ("ghosts that are too many raise the floor", "channel.c",
     "  if (evicted > channels->floor) channels->floor = evicted;\n",
     "  (void)channels;\n  (void)evicted;\n", [SIM, RULES]),
    ("that a channel is finished outlives it", "channel.c",
     "  channel->finished = ghost && ghost->finished;\n", "", [SIM]),
    ("a forgotten channel leaves a ghost", "channel.c",
     "return SSE_EAGAIN;\n  drop_channel(channels, channel);\n",
     "return SSE_EAGAIN;\n  free_channel(channels, channel);\n",
     [SIM, "unit/test_forget"]),
    ("a channel that is used is not forgotten", "channel.c",
     "  if (!channel_unused(channel)) return SSE_EBUSY;\n",
     "  if (channel->streams > 0) return SSE_EBUSY;\n",
     [SIM, "unit/test_forget"]),
    ("a finished channel expires though configured", "channel.c",
     "channel_unused(channel) && (channel->bounds.expire == SSE_YES || channel->finished);",
     "channel_unused(channel) && channel->bounds.expire == SSE_YES;",
     ["unit/test_channel", "unit/test_forget"]),
    # Liveness and ends
    ("a heartbeat after silence", "cursor.c",
     "if (!frame && stream->outq.count == 0) frame = stream->hub->heartbeat;", "",
     ["unit/test_hub"]),
    ("a heartbeat has no blank line", "hub.c", "heartbeat_bytes[] = \":\\n\";",
     "heartbeat_bytes[] = \":\\n\\n\";", [SIM, "unit/test_hub"]),
    ("a heartbeat stands between two blocks", "control.c", "\"\\ndata:\\n\"",
     "\"\\ndata:\\n:\\n\"", [SIM]),
    ("a reconnection time alone has no blank line", "control.c",
     "    sse__writer_number(out, (uint64_t)block->retry_ms);\n    sse__writer_text(out, \"\\n\");\n",
     "    sse__writer_number(out, (uint64_t)block->retry_ms);\n"
     "    sse__writer_text(out, \"\\n\\n\");\n", [SIM, "unit/test_retry_block"]),
    ("a busy answer has no blank line", "http.c", "\"retry: %ld\\n\", (long)retry_ms",
     "\"retry: %ld\\n\\n\", (long)retry_ms", ["unit/test_http"]),
    # The client's half
    ("an id that no header carries is not sent back", "parse.c", "  p->id_error = error;\n",
     "  p->id_error = 0;\n", ["unit/test_parse"]),
    ("an id that is too long is not sent back", "parse.c",
     "  if (p->id.len > p->id_max) error = SSE_ETOOBIG;\n", "", ["unit/test_parse"]),
    ("the last id that can be sent stays", "parse.c",
     "  if (error && !p->id_error) buffer_swap(&p->sendable, &p->last_id);\n", "",
     ["unit/test_parse"]),
    ("comments are given on request", "parse.c",
     "p->comment(p->comment_arg, f.value, f.value_len);", "{}", ["unit/test_parse"]),
    ("a line that is not kept may be long", "parse.c",
     "return p->comment ? LINE_KEPT : LINE_SKIPPED;", "return LINE_KEPT;", ["unit/test_parse"]),
    ("a line that is not kept takes no memory", "parse.c", "  if (kind == LINE_SKIPPED) {\n",
     "  if (0) {\n", ["unit/test_parse"]),
    ("an event that was cut off can be asked for", "parse.c",
     "if (!p->begun && !cut_line_counts(p)) return 0;", "if (!p->begun) return 0;",
     ["unit/test_parse"]),
    # Response heads
    ("no proxy may compress a stream", "http.c", "\"no-store, no-transform\"", "\"no-store\"",
     ["unit/test_http", "unit/test_stream"]),
    ("kicked streams end", "subscriber.c", "  sub->end = (int16_t)reason;\n",
     "  sub->end = reason == SSE_EDISCONNECTED ? 0 : (int16_t)reason;\n", ["unit/test_tag"]),
    ("what has ended is not disconnected again", "subscriber.c",
     "  if (sub->stage == SSE__STAGE_OVER) return false;\n", "", ["unit/test_tag"]),
    ("a stream is found by each of its tags", "tag.c",
     "i < tagged->tags_count; i++) add_tag(", "i < 1; i++) add_tag(", ["unit/test_tag", SIM]),
    ("tags are listed by channel", "tag.c", "    count += sse__tagged_has(tag->tagged, channel);\n", "    count++;\n", ["unit/test_tag", SIM]),
    ("a dismissed stream is first given everything", "membership.c",
     "  request.seq = hub->head;\n  int count", "  request.seq = 0;\n  int count",
     ["unit/test_dismiss", SIM]),
    ("a dismissed stream is given nothing later", "membership.c",
     "  request.seq = hub->head;\n  int count", "  request.seq = hub->head + 1;\n  int count",
     ["unit/test_dismiss", SIM]),
    ("a dismissed stream is first given its backfill", "membership.c",
     "      if (stream->backfill) return SSE_OK;", "", ["unit/test_dismiss", SIM]),
    ("a dismissal takes the place of a drain", "stream.c",
     "if (stream->outq.retry_sent || !sse__request_dismisses(stream)) return false;",
     "if (1) return false;", ["unit/test_dismiss", SIM]),
    ("a drain ends all streams", "loop.c", "  if (drain_requested) drain_streams(loop, until_ms, random);\n",
     "  (void)until_ms;\n  (void)random;\n", [SIM]),
    ("who ends gently is told when to come back", "stream.c",
     "  int count = sse__stream_over(stream) ? 0 : add_retry_block(stream, now_ms);\n",
     "  int count = sse__stream_over(stream) ? 0 : 0 * (int)now_ms;\n", ["unit/test_retry_block"]),
    ("a finished channel ends its streams", "stream.c",
     "} else if (count == 0 && sse__cursor_finished(stream)) {", "} else if (0) {",
     ["unit/test_finish"]),
    # Memory
    ("memory is within the ceiling", "store.c",
     "  while (store->bytes > store->bytes_max - bytes) {",
     "  while (store->bytes > store->bytes_max) {",
     [SIM]),
    ("lent frames have a share of their own", "store.c",
     "  return pinned > share ? pinned - share : 0;\n", "  return pinned > share ? 0 : 0;\n",
     ["unit/test_subscriber"]),
    ("a transport that is full pins nothing", "io.c", "  uint64_t backfill_from = sse__outq_requeue(stream);\n",
     "  uint64_t backfill_from = 0;\n",
     ["unit/test_io"]),
    ("what is lent stays as it is", "outq.c",
     "    if (frames[i]->kind == SSE__FRAME_EVENT) outq_hold(stream, frames[i]);\n",
     "    if (frames[i]->kind == SSE__FRAME_EVENT && i > 0) outq_hold(stream, frames[i]);\n", [SIM]),
    ("every byte comes back", "request.c", "  while (tagged->requests) sse__request_drop(stream, tagged, now_ms);\n",
     "  if (tagged->requests) sse__request_drop(stream, tagged, now_ms);\n", [SIM]),
    ("a call that fails leaves all as it was", "open.c",
     "    open_unsubscribe(stream, stream->subscription_count, made);\n", "    open_unsubscribe(stream, 0, made);\n",
     ["sim/test_torture"]),
    ("without memory the library looks again, in a loop", "loop.c",
     "  if (sse__subscriber_unstarve(sub, loop->now_ms)) sse__loop_queue(loop, stream);\n",
     "  sse__subscriber_unstarve(sub, loop->now_ms);\n",
     ["sim/test_torture", "unit/test_memory"]),
    ("without memory the library looks again, standalone", "subscriber.c",
     "    assert(!standalone->waker.armed);\n"
     "    sse__waker_post(&standalone->waker, SSE_WAKE_READY, true, list);\n",
     "    assert(!standalone->waker.armed);\n",
     ["unit/test_memory"]),
    ("without memory no client stalls", "subscriber.c",
     "  if (starved) sub->live.moved_ms = now_ms;\n", "  (void)now_ms;\n", ["unit/test_memory"]),
    # Refusals
    ("the cause of a refusal is named, of a hub", "hub.c",
     "  return sse__detail(resolved->error_detail, problem ? SSE_EINVAL : SSE_OK, problem);\n",
     "  return sse__detail(resolved->error_detail, problem ? SSE_EINVAL : SSE_OK, NULL);\n",
     ["unit/test_config"]),
    ("the cause of a refusal is named, of a stream", "open.c",
     "  if (problem) return sse__detail(detail, SSE_EINVAL, problem);\n",
     "  if (problem) return SSE_EINVAL;\n", ["unit/test_open"]),
    # Wakes
    ("a loop looks once more before it sleeps", "loop.c",
     "armed =\n      !sse__dirty_first(inbox) && ", "armed =\n      ", ["interleave/test_interleave"]),
    ("no wake after a detach", "wake.c",
     "  while (waker->running) pthread_cond_wait(&wakers->idle, wakers->lock);\n", "",
     ["interleave/test_interleave"]),
    ("a wake that failed is called again", "publish.c",
     "  sse__wakers_retry(&hub->wakers, &list);\n", "",
     ["interleave/test_interleave"]),
    # Cost
    ("a round looks only at the channels of its span", "snapshot.c",
     "    if (!next || sse__dirty_number(next->dirty_key) > upto) return GATHERED_ALL;\n",
     "    if (!next) return GATHERED_ALL;\n", ["unit/test_snapshot"]),
    ("a round passes over superseded frames in parts", "snapshot.c",
     "    if (found || *steps == 0) {\n", "    if (found) {\n", ["unit/test_snapshot"]),
    ("a backfill that is for others gives way", "backfill.c",
     "      if (passed++ == BACKFILL_STEP_FRAMES) return SSE_EAGAIN;\n", "", ["unit/test_backfill"]),
    ("streams that were ready are not searched for", "loop.c",
     "  if (loop->ready_gone > loop->ready_count) sweep_ready(loop);\n", "", ["unit/test_loop"]),
    ("a ready stream that is freed keeps its memory until it is taken out", "stream.c",
     "  if (!stream->queued) sse__mem_free(&mem, stream);\n", "  sse__mem_free(&mem, stream);\n",
     ["unit/test_loop"]),
    ("a stream that was ended is collected before it is freed", "loop.c",
     "  if (stream->sub.end_listed && !collect_ended(loop, now_ms)) return true;\n", "",
     ["unit/test_loop"]),
    ("what waits for a stream that is not read is bounded", "request.c",
     "    if (pending >= PENDING_MIN && pending / 2 >= channels_max) return SSE_ECHANNELS;\n", "",
     ["unit/test_membership_many"]),
    ("a long list with a name twice is refused", "channel.c",
     "  return i < count ? SSE_EINVAL : SSE_OK;\n", "  return SSE_OK;\n", ["unit/test_names"]),
    ("a configuration holds once the window is within it", "channel.c",
     "    channel->bounds = before;", "    (void)before;", ["unit/test_parts"]),
    ("a window is evicted in parts", "channel.c", "    if (i == EVICT_MAX) return false;\n", "",
     ["unit/test_parts"]),
    ("a step begins when all that is too old is evicted", "cursor.c",
     "    if (!sse__channel_expire(&stream->hub->channels, channel, now_ms)) return SSE_EAGAIN;\n",
     "    sse__channel_expire(&stream->hub->channels, channel, now_ms);\n", ["unit/test_parts"]),
    ("a stream is opened when all that is too old is evicted", "membership.c",
     "  if (!sse__channel_expire(&stream->hub->channels, channel, now_ms)) return SSE_EAGAIN;\n",
     "  sse__channel_expire(&stream->hub->channels, channel, now_ms);\n", ["unit/test_parts"]),
    ("a table grows in parts", "map.c", "i < MOVED_AN_ADD && ", "", ["unit/test_map"]),
    ("a channel that lost frames is in the round that misses them", "snapshot.c",
     "  if (feed->channel->window.evicted >= sse__dirty_number(feed->dirty_key)) return true;\n", "",
     [SIM]),
]


def main():
    build, wanted = pathlib.Path(sys.argv[1], "promises"), sys.argv[2] if sys.argv[2:] else ""
    root, unnoticed, count = build / "tree", 0, 0
    shutil.rmtree(build, ignore_errors=True)
    for part in ("lib", "include", "examples", "tests"):
        shutil.copytree(part, root / part)
    shutil.copy("Makefile", root)
    for name, file, old, _, _ in PROMISES:
        if source_of(".", file).read_text().count(old) != 1:
            sys.exit("%s: %s has not the text once: %s" % (name, file, old))
    tree = Tree(root)
    tree.env["SSE_HISTORIES"] = "10000"  # as in CI
    for name, file, old, new, tests in PROMISES:
        if wanted not in name:
            continue
        source = source_of(root, file)
        text = source.read_text()
        source.write_text(text.replace(old, new))
        for test in tests:
            program = "%s/tests/%s" % (PLAIN, test)
            if not tree.make(program, jobs=2):
                sys.exit("%s: cannot be built" % name)
            wrong = tree.run(program, 90)
            print("%-9s%s: %s" % ("noticed" if wrong else "MISSED", name, test), flush=True)
            count += 1
            unnoticed += not wrong
        source.write_text(text)
    print("%d passed, %d failed" % (count - unnoticed, unnoticed))
    sys.exit(unnoticed > 0)


if __name__ == "__main__":
    main()
