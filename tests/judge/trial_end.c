/* SPDX-License-Identifier: MIT */
/* trial_end.c: bounds, what must have been given when a stream finds nothing, and its end. */
#include "trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is retained above a cursor. */
typedef struct lag {
  uint32_t events;
  size_t bytes;
  double age_ms;
} lag;

static lag measure(const trial *t, uint64_t above, uint64_t up, bool most) {
  lag sum = {.events = 0};
  unsigned coming = 0; /* channels whose subscription lies ahead */
  for (unsigned i = t->section_next; i < t->sections_count; i++)
    if (!t->sections[i].opening && !t->sections[i].closed) coming |= t->sections[i].channels;
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    unsigned set = most ? e->channels & t->ever : trial_relevant(t, e) & ~coming;
    if (e->ephemeral || e->number <= above || e->number > up) continue;
    /* A look passes over what the filter leaves out, and nothing shows it. */
    if (!most && (e->number <= t->not_before || (t->filtered && !trial_filter(e)))) continue;
    if (!set || book_fate(e, set, above) != FATE_HELD) continue;
    if (!sum.events++) sum.age_ms = (double)(ledger.now_ns - e->at_ns) / 1e6;
    sum.bytes += e->bytes;
  }
  return sum;
}

static bool exceeds(const trial *t, const lag *sum, bool surely) {
  double slack = surely ? 1 : -1;
  if (!sum->events) return false;
  return (t->lag_events_max && sum->events > t->lag_events_max) ||
         (t->lag_bytes_max && sum->bytes > t->lag_bytes_max && sum->events > 1) ||
         (t->lag_ms_max && sum->age_ms > t->lag_ms_max + slack);
}

/* Whether the stream has a change of its channels ahead, up to which it is checked. */
static bool is_changing(const trial *t) {
  for (unsigned i = 0; i < t->intervals_count; i++)
    if (t->intervals[i].to != UINT64_MAX && t->intervals[i].to > t->cursor) return true;
  return t->section_next < t->sections_count;
}

void trial_look(trial *t, bool inside) {
  uint64_t above = t->first_done || t->cursor > t->opening.high ? t->cursor : t->opening.high;
  lag least = measure(t, above > t->caught_up ? above : t->caught_up, t->read_head, false);
  lag most = measure(t, t->sent_cursor, ledger.head, true);
  /* In an iteration, a stream that is caught up is not checked; only the library knows which is. */
  if (t->looked_at != ledger.moment)
    t->lag_must = !inside && t->first_done && !t->positions_off && !is_changing(t) &&
                  exceeds(t, &least, true);
  if (t->cut_short || inside) t->lag_must = false;
  t->looked_at = ledger.moment;
  t->lag_may = exceeds(t, &most, false);
  if (t->lag_may || trial_left_states(t)) t->close_cause = true;
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    if (t->marks[i] > OPTIONAL || e->ephemeral || e->number <= t->not_before) continue;
    for (int c = 0; c < CHANNELS; c++)
      if (trial_relevant(t, e) >> c & 1 && e->where[c] != HELD && e->where[c] != NOWHERE &&
          trial_fate(t, e, 1u << c, t->cursor) != FATE_SUPERSEDED)
        t->close_cause = true;
  }
}

bool trial_complete(const trial *t, uint64_t up, char *why, size_t cap) {
  for (unsigned i = 0; i < ledger.count; i++) {
    const event *e = &ledger.events[i];
    unsigned set = trial_relevant(t, e);
    fate became = trial_fate(t, e, set, t->cursor);
    if (e->number > up || trial_mark(t, e) != PENDING) continue;
    if (e->ephemeral ? book_is_old(e) : became != FATE_HELD && became != FATE_GONE) continue;
    snprintf(why, cap, "%sevent %" PRIu64 " of {%s} is neither given nor reported (%s)",
             e->ephemeral ? "ephemeral " : "", book_wire(e->number), book_names(set),
             became == FATE_HELD ? "retained" : "evicted");
    return false;
  }
  for (unsigned i = t->section_next; i < t->sections_count; i++) {
    const section *s = &t->sections[i];
    bool wanted = !t->positions_off && !s->covered;
    if (s->closed || s->at > up) continue;
    if (!wanted && !trial_section_wants(s)) continue;
    snprintf(why, cap, "the subscription of {%s} at %" PRIu64 " is not %s", book_names(s->channels),
             book_wire(s->at), s->begun ? "completed" : "begun");
    return false;
  }
  return true;
}

static bool is_finished(const trial *t, bool perhaps) {
  for (int c = 0; c < CHANNELS; c++)
    if (t->has >> c & 1 && !ledger.finished[c] && !(perhaps && ledger.maybe_finished[c]))
      return false;
  return t->has != 0 || perhaps;
}

bool trial_waits(const trial *t) {
  /* One that began gives its slot back when others wait. */
  return t->replays && ledger.replaying > ledger.replays_max;
}

bool trial_ending(const trial *t) {
  return t->retry_seen || t->judge_body.at == BODY_CLOSED;
}

void trial_replayed(trial *t) {
  ledger.replaying -= t->replays;
  t->replays = false;
}

bool trial_drained(void) {
  return ledger.now_ns > ledger.drained_ns + 1000000;
}

static void close_silent(trial *t, uint64_t up) {
  section *s;
  while ((s = trial_section(t)) && s->at <= up &&
         (t->positions_off || (s->covered && !s->begun && !trial_section_wants(s))))
    trial_section_close(t, s->at, NULL);
}

void trial_nothing(trial *t, bool inside) {
  uint64_t up = inside ? 0 : ledger.head;
  section *s;
  char why[200];
  if (t->flight_len)
    breaks(RULE_FLIGHT, "a peek gives nothing, %zu bytes are in flight", t->flight_len);
  if (!wire_between(&t->judge)) breaks(RULE_WIRE, "a peek gives nothing in the middle of a block");
  if (!body_between(&t->judge_body) || t->judge_body.at == BODY_CLOSED)
    breaks(RULE_BODY, "%s",
           "a peek gives nothing inside of a head or chunk, or after the last one");
  if (t->disconnected) breaks(RULE_DISCONNECTED, "a peek of a disconnected stream gives 0");
  if (!t->first_done && (!t->positions_off || t->opening.gap_must))
    breaks(RULE_FIRST, "a peek gives nothing, and there was no first block");
  if (!t->first_done) trial_first(t, NULL, NULL, 0, false);
  if (trial_waits(t)) {
    t->armed = true;
    t->wakes = 0;
    return;
  }
  if (!inside) close_silent(t, up);
  s = trial_section(t);
  if (t->positions_off && s && (s->begun || s->opening)) trial_section_close(t, s->at, NULL);
  if (!inside && !trial_complete(t, up, why, sizeof why))
    breaks(strstr(why, "ephemeral") ? RULE_EPHEMERAL : trial_rule(t, RULE_MISSING),
           "a peek gives nothing; %s", why);
  if (t->dismissed && !inside) breaks(RULE_DISMISSED, "a peek of a dismissed stream gives 0");
  /* Timers are the work of loops and ticks. */
  if (t->drained && !t->dismissed && trial_drained() && (inside || (t->loop < 0 && ledger.ticked)))
    breaks(RULE_DRAINED, "%s", "a peek gives 0 after the time of the drain");
  if (!inside && is_finished(t, false))
    breaks(RULE_FINISHED, "a peek gives 0, {%s} are finished", book_names(t->has));
  if (t->retry_seen) breaks(RULE_END, "a peek gives 0 after the retry block of the end");
  t->armed = true;
  if (!inside) t->caught_up = ledger.head;
  t->wakes = 0;
  t->close_cause = false;
  if (trial_complete(t, ledger.head, why, sizeof why)) trial_replayed(t);
}

static void gentle(trial *t, int code) {
  int32_t least = code == SSE_ESLOW ? 4 * t->retry_ms : t->retry_ms;
  if (t->client_body.at != (t->chunked ? BODY_CLOSED : BODY_PLAIN))
    breaks(RULE_BODY, "%s, and the body is not complete", sse_error_name(code));
  if (t->flight_len || !wire_between(&t->judge))
    breaks(RULE_END, "%s inside of bytes", sse_error_name(code));
  if (t->retry_seen != (t->retry_ms != SSE_NEVER))
    breaks(RULE_END, "%s %s a retry block", sse_error_name(code),
           t->retry_seen ? "with" : "without");
  if (t->retry_seen && (t->retry_given < least || t->retry_given > least / 2 * 3))
    breaks(RULE_RETRY, "%s with retry %d, retry_ms is %d", sse_error_name(code), t->retry_given,
           t->retry_ms);
}

void trial_over(trial *t, int code) {
  char why[200];
  if (t->disconnected && code != SSE_EDISCONNECTED)
    breaks(RULE_DISCONNECTED, "a disconnected stream ends with %s", sse_error_name(code));
  switch (code) {
  case SSE_EDISCONNECTED:
    if (!t->disconnected) breaks(RULE_DISCONNECTED, "%s", "the stream was not disconnected");
    return;
  case SSE_EPINNED:
    if (ledger.limit != MEMORY_CEILING || !t->flight_len)
      breaks(RULE_CALL, "SSE_EPINNED with %zu bytes in flight", t->flight_len);
    return;
  case SSE_EDISMISSED:
    close_silent(t, t->dismissed_at);
    if (!t->dismissed) breaks(RULE_DISMISSED, "%s", "the stream was not dismissed");
    if (!trial_complete(t, t->dismissed_at, why, sizeof why))
      breaks(trial_rule(t, RULE_DISMISSED), "the dismissed stream ends; %s", why);
    break;
  case SSE_EDRAINED:
    if (!t->drained || t->dismissed)
      breaks(RULE_DRAINED, "SSE_EDRAINED of a stream that %s",
             t->drained ? "was dismissed" : "was not drained");
    break;
  case SSE_EFINISHED:
    close_silent(t, ledger.head);
    if (!is_finished(t, true) || !trial_complete(t, ledger.head, why, sizeof why))
      breaks(trial_rule(t, RULE_FINISHED), "SSE_EFINISHED; %s",
             is_finished(t, true) ? why : "not all channels are finished");
    break;
  case SSE_ESLOW:
    if (t->slow != SSE_SLOW_CLOSE || !t->close_cause)
      breaks(trial_rule(t, RULE_SLOW), "SSE_ESLOW, %s",
             t->close_cause ? "slow is SKIP" : "the client keeps up");
    break;
  default:
    breaks(RULE_CALL, "the stream ends with %s", sse_error_name(code));
    return;
  }
  gentle(t, code);
}
