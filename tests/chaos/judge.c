/* SPDX-License-Identifier: MIT */
/* judge.c: the rules of judge.h. */
#include "judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const rule_names[RULES] = {"LOST",   "ORDER", "TWICE",  "EPOCH",
                                       "NUMBER", "SAME",  "STRANGE"};

enum {
  REPORTS_MAX = 5,
  BEFORE = 14, /* notes that a report shows */
  AFTER = 3
};

/* What is known of one channel in one epoch: +1, so that 0 is none. */
struct line {
  int *next, *previous;
};

struct jump {
  int line, from, to;
};

struct judge {
  const struct trial *trial;
  struct verdict *verdict;
  FILE *out;
  unsigned char *is_trimmed; /* of each event: it may be in the log a second time */
  int *by_ack[CHANNELS];     /* acknowledged events in the order of their answers */
  int ack_count[CHANNELS];
  struct line *lines; /* of epoch * CHANNELS + channel */
  struct jump *jumps;
  int jump_count, jump_cap;
  struct owner *owners; /* of ids: a hash table */
  struct owner *places; /* in which epochs clients were given the events with other ids: the same */
  size_t owner_cap, place_cap;
};

/* What one client knows. */
struct view {
  const struct witness *witness;
  int number; /* of the witness */
  int at;     /* the note */
  int run, epoch;
  int is_fresh;     /* its first position will be where its claims begin */
  int64_t begin_us; /* events that were sent later must come */
  int returns_with; /* an event of which it has sent the application's id; or -1 */
  uint64_t last;    /* number */
  int previous[CHANNELS];
  int acked[CHANNELS]; /* how many of by_ack were looked at */
  int64_t gap_us[CHANNELS];
  int is_covering[CHANNELS]; /* the last gap event may still cover what follows */
  uint64_t resume;           /* of it */
  int is_after_trim;         /* it may also report what a node could not read, above `resume` */
  int *run_of;               /* of each event: the last run in which it came */
};

static void *zeroed(size_t count, size_t size) {
  void *list = calloc(count ? count : 1, size);
  if (!list) abort();
  return list;
}

/* ---- reports ---- */

__attribute__((format(printf, 4, 5))) static void
breach(struct judge *judge, const struct view *view, enum rule rule, const char *format, ...) {
  va_list args;
  judge->verdict->breaches[rule]++;
  if (judge->verdict->total++ >= REPORTS_MAX) return;
  fprintf(judge->out, "%s: ", rule_names[rule]);
  va_start(args, format);
  vfprintf(judge->out, format, args);
  va_end(args);
  if (!view) {
    fputc('\n', judge->out);
    return;
  }
  fprintf(judge->out, "; client %d of 0x%x, note %d:\n", view->number, view->witness->channels,
          view->at);
  int from = view->at > BEFORE ? view->at - BEFORE : 0;
  for (int i = from; i <= view->at + AFTER && i < view->witness->count; i++) {
    if (i == view->at) fputs("   here:\n", judge->out);
    trial_print(judge->trial, &view->witness->notes[i], judge->out);
  }
}

/* ---- ids ---- */

struct owner {
  uint64_t number;
  int epoch, event; /* event + 1; 0: the place is free */
};

/* The event that has an id; the first one that is named gets it. */
static int owner_of(struct judge *judge, int epoch, uint64_t number, int event) {
  size_t at = (size_t)(number * 0x9E3779B97F4A7C15u + (uint64_t)epoch * 0x85EBCA6Bu);
  for (;; at++) {
    struct owner *owner = &judge->owners[at & (judge->owner_cap - 1)];
    if (owner->event == 0) *owner = (struct owner){number, epoch, event + 1};
    if (owner->epoch == epoch && owner->number == number) return owner->event - 1;
  }
}

static void check_owner(struct judge *judge, const struct view *view, int epoch, uint64_t number,
                        int event) {
  int owner = owner_of(judge, epoch, number, event);
  if (owner != event)
    breach(judge, view, SAME, "the id %s.%" PRIu64 " is that of the events %d and %d",
           judge->trial->epochs[epoch], number, owner, event);
}

/* Whether an event was given to a client in an epoch; a new one is noted. */
static int was_given(struct judge *judge, int epoch, int event, int is_new) {
  size_t at = (size_t)event * 0x9E3779B1u + (size_t)epoch * 0x85EBCA6Bu;
  for (;; at++) {
    struct owner *place = &judge->places[at & (judge->place_cap - 1)];
    if (place->event == 0 && !is_new) return 0;
    if (place->event == 0) *place = (struct owner){.epoch = epoch, .event = event + 1};
    if (place->epoch == epoch && place->event == event + 1) return 1;
  }
}

/* In which histories the application has given its ids. */
static void read_places(struct judge *judge) {
  size_t count = 1;
  for (int i = 0; i < judge->trial->witness_count; i++)
    count += (size_t)judge->trial->witnesses[i].count;
  for (judge->place_cap = 1024; judge->place_cap < 2 * count;) judge->place_cap *= 2;
  judge->places = zeroed(judge->place_cap, sizeof *judge->places);
  for (int i = 0; i < judge->trial->witness_count; i++) {
    const struct witness *witness = &judge->trial->witnesses[i];
    int epoch = -1;
    for (int at = 0; at < witness->count; at++) {
      const struct note *note = &witness->notes[at];
      if (note->epoch >= 0) epoch = note->epoch;
      if (note->kind == NOTE_EVENT && note->epoch < 0 && epoch >= 0)
        was_given(judge, epoch, note->event, 1);
    }
  }
}

/* ---- what must have come ---- */

static int is_owed(const struct view *view, const struct sent *event) {
  return view->begin_us > 0 && event->sent_us > view->begin_us;
}

/* A later event of the channel has come at the present note. */
static void check_lost(struct judge *judge, struct view *view, int channel, int64_t sent_us) {
  const struct sent *events = judge->trial->events;
  for (int *i = &view->acked[channel]; *i < judge->ack_count[channel]; ++*i) {
    int event = judge->by_ack[channel][*i];
    if (events[event].acked_us >= sent_us) return;
    if (view->run_of[event] == 0 && is_owed(view, &events[event]) &&
        view->gap_us[channel] <= events[event].sent_us)
      breach(judge, view, LOST,
             "event %d of channel %d, sent %.6f, acknowledged %.6f, did not come", event, channel,
             (double)events[event].sent_us / 1e6, (double)events[event].acked_us / 1e6);
  }
}

/* ---- order ---- */

static struct line *line_of(struct judge *judge, int epoch, int channel) {
  struct line *line = &judge->lines[epoch * CHANNELS + channel];
  if (!line->next) {
    line->next = zeroed((size_t)judge->trial->event_count, sizeof *line->next);
    line->previous = zeroed((size_t)judge->trial->event_count, sizeof *line->previous);
  }
  return line;
}

static void add_jump(struct judge *judge, int line, int from, int to) {
  if (judge->jump_count == judge->jump_cap) {
    judge->jump_cap = judge->jump_cap ? 2 * judge->jump_cap : 1024;
    judge->jumps = realloc(judge->jumps, (size_t)judge->jump_cap * sizeof *judge->jumps);
    if (!judge->jumps) abort();
  }
  judge->jumps[judge->jump_count++] = (struct jump){line, from, to};
}

/* Two events of a channel that came one after the other, without a gap event. */
static void check_neighbours(struct judge *judge, const struct view *view, int channel, int from,
                             int to) {
  struct line *line = line_of(judge, view->epoch, channel);
  if (line->next[from] == 0 && line->previous[to] == 0) {
    line->next[from] = to + 1;
    line->previous[to] = from + 1;
  } else if (line->next[from] != to + 1) {
    breach(judge, view, ORDER,
           "in channel %d event %d follows %d; for another client %d follows it, and %d is before",
           channel, to, from, line->next[from] - 1, line->previous[to] - 1);
  }
}

static void follow(struct judge *judge, struct view *view, int channel, const struct note *note) {
  const struct sent *event = &judge->trial->events[note->event];
  int from = view->previous[channel];
  int is_past = note->us > 0 && event->sent_us > view->gap_us[channel];
  int is_alone = (view->witness->channels & (view->witness->channels - 1)) == 0;
  if (is_alone && !view->is_after_trim && note->epoch == view->epoch && note->number > view->resume)
    is_past = 1;
  if (from >= 0 && view->epoch >= 0) {
    if (view->is_covering[channel])
      add_jump(judge, view->epoch * CHANNELS + channel, from, note->event);
    else
      check_neighbours(judge, view, channel, from, note->event);
  }
  view->previous[channel] = note->event;
  if (is_past) view->is_covering[channel] = 0;
}

/* ---- the notes ---- */

static void begin_run(struct view *view, int epoch, uint64_t number) {
  view->run++;
  view->epoch = epoch;
  view->last = number;
  for (int i = 0; i < CHANNELS; i++) view->previous[i] = -1;
}

static void cover(struct judge *judge, struct view *view, unsigned channels,
                  const struct note *note) {
  view->resume = note->number;
  view->is_after_trim = judge->trial->trim_count > 0 && judge->trial->trims[0].from_us <= note->us;
  for (int i = 0; i < CHANNELS; i++)
    if (channels >> i & 1) {
      view->gap_us[i] = note->us;
      view->is_covering[i] = 1;
    }
}

/* Without a gap event: a client may be where the application has given its id again. */
static void change_epoch(struct judge *judge, struct view *view, const struct note *note) {
  if (view->returns_with >= 0 && note->kind == NOTE_POSITION &&
      was_given(judge, note->epoch, view->returns_with, 0))
    judge->verdict->ambiguous++;
  else
    breach(judge, view, EPOCH, "the epoch changes from %s to %s", judge->trial->epochs[view->epoch],
           judge->trial->epochs[note->epoch]);
  begin_run(view, note->epoch, 0);
  cover(judge, view, ~0u, note);
}

/* An id of the hub's form. */
static void take_id(struct judge *judge, struct view *view, const struct note *note) {
  if (note->epoch < 0) return;
  if (view->epoch < 0) {
    view->epoch = note->epoch;
  } else if (view->epoch != note->epoch) {
    change_epoch(judge, view, note);
  }
  if (note->number < view->last)
    breach(judge, view, NUMBER, "the number %" PRIu64 " comes after %" PRIu64, note->number,
           view->last);
  view->last = note->number;
}

static void take_gap(struct judge *judge, struct view *view, const struct note *note) {
  int is_new_run = note->reason == GAP_RESTART || note->reason == GAP_UNKNOWN;
  judge->verdict->gaps[note->reason]++;
  if (note->reason == GAP_OTHER || note->epoch < 0)
    breach(judge, view, STRANGE, "a gap event that cannot be");
  if (is_new_run)
    begin_run(view, note->epoch, note->number);
  else
    take_id(judge, view, note);
  cover(judge, view, is_new_run ? ~0u : note->channels, note);
}

static void take_event(struct judge *judge, struct view *view, const struct note *note) {
  const struct sent *event = &judge->trial->events[note->event];
  unsigned common = event->channels & view->witness->channels;
  int *run_of = &view->run_of[note->event];
  if (!common) breach(judge, view, STRANGE, "event %d is of another channel", note->event);
  if ((note->epoch < 0) != (event->has_own_id != 0))
    breach(judge, view, STRANGE, "event %d has not the id of its publisher", note->event);
  if (note->epoch >= 0) {
    if (note->epoch == view->epoch && note->number == view->last && *run_of != view->run)
      breach(judge, view, NUMBER, "event %d has a number that the client has", note->event);
    check_owner(judge, view, note->epoch, note->number, note->event);
  }
  take_id(judge, view, note);
  if (*run_of == view->run && !judge->is_trimmed[note->event])
    breach(judge, view, TWICE, "event %d came before", note->event);
  for (int i = 0; i < CHANNELS; i++)
    if (common >> i & 1) {
      check_lost(judge, view, i, event->sent_us);
      if (!judge->is_trimmed[note->event]) follow(judge, view, i, note);
    }
  judge->verdict->delivered += *run_of == 0;
  judge->verdict->again += *run_of != 0;
  *run_of = view->run;
}

/* For two nodes, an event that was trimmed on its way can be at two places of the log. */
static void take_return(struct judge *judge, struct view *view, const struct note *note) {
  view->returns_with = note->event;
  if (note->event < 0 || !judge->is_trimmed[note->event]) return;
  judge->verdict->ambiguous++;
  begin_run(view, view->epoch, 0);
  cover(judge, view, ~0u, note);
}

static void take_note(struct judge *judge, struct view *view, const struct note *note) {
  switch (note->kind) {
  case NOTE_FRESH:
    view->is_fresh = 1;
    view->begin_us = 0;
    view->returns_with = -1;
    begin_run(view, -1, 0);
    break;
  case NOTE_RETURN:
    take_return(judge, view, note);
    break;
  case NOTE_EVENT:
    take_event(judge, view, note);
    break;
  case NOTE_GAP:
    take_gap(judge, view, note);
    break;
  case NOTE_POSITION:
    take_id(judge, view, note);
    break;
  default:
    breach(judge, view, STRANGE, "this should not come");
  }
  if (note->kind == NOTE_RETURN || note->kind == NOTE_FRESH) return;
  view->returns_with = -1;
  if (view->is_fresh) view->begin_us = note->us;
  view->is_fresh = 0;
}

static void count_covered(struct judge *judge, const struct view *view) {
  for (int i = 0; i < judge->trial->event_count; i++) {
    const struct sent *event = &judge->trial->events[i];
    if (event->acked_us && (event->channels & view->witness->channels) && is_owed(view, event) &&
        view->run_of[i] == 0)
      judge->verdict->covered++;
  }
}

static void hear(struct judge *judge, int number) {
  struct view view = {.witness = &judge->trial->witnesses[number],
                      .number = number,
                      .run = 1,
                      .epoch = -1,
                      .returns_with = -1};
  view.run_of = zeroed((size_t)judge->trial->event_count, sizeof *view.run_of);
  for (int i = 0; i < CHANNELS; i++) view.previous[i] = -1;
  for (; view.at < view.witness->count; view.at++)
    take_note(judge, &view, &view.witness->notes[view.at]);
  /* The end is later than everything; the run has waited until all had come. */
  view.at = view.witness->count - 1;
  for (int i = 0; i < CHANNELS && view.at >= 0; i++)
    if (view.witness->channels >> i & 1) check_lost(judge, &view, i, INT64_MAX);
  count_covered(judge, &view);
  free(view.run_of);
}

/* ---- one order for all ---- */

/* What has no predecessor is taken away, again and again; what stays is in a circle. */
static void check_circle(struct judge *judge, int which, const struct jump *jumps, int jump_count) {
  const struct line *line = &judge->lines[which];
  int count = judge->trial->event_count, taken = 0, listed = 0;
  int *degree = zeroed((size_t)count, sizeof *degree);
  int *first = zeroed((size_t)count, sizeof *first); /* + 1, in jumps */
  int *later = zeroed((size_t)jump_count, sizeof *later);
  int *list = zeroed((size_t)count, sizeof *list);
  for (int i = 0; line->next && i < count; i++) degree[i] = line->previous[i] != 0;
  for (int i = 0; i < jump_count; i++) {
    degree[jumps[i].to]++;
    later[i] = first[jumps[i].from];
    first[jumps[i].from] = i + 1;
  }
  for (int i = 0; i < count; i++)
    if (degree[i] == 0) list[listed++] = i;
  while (taken < listed) {
    int event = list[taken++];
    int next = line->next ? line->next[event] : 0;
    if (next && --degree[next - 1] == 0) list[listed++] = next - 1;
    for (int i = first[event]; i; i = later[i - 1])
      if (--degree[jumps[i - 1].to] == 0) list[listed++] = jumps[i - 1].to;
  }
  int odd = 0;
  while (odd < count && degree[odd] == 0) odd++;
  if (odd < count)
    breach(judge, NULL, ORDER, "clients disagree about the order around event %d in channel %d, %s",
           odd, which % CHANNELS, judge->trial->epochs[which / CHANNELS]);
  free(degree);
  free(first);
  free(later);
  free(list);
}

static int by_line(const void *a, const void *b) {
  const struct jump *left = a, *right = b;
  return (left->line > right->line) - (left->line < right->line);
}

static void check_circles(struct judge *judge) {
  if (judge->jump_count == 0) return;
  qsort(judge->jumps, (size_t)judge->jump_count, sizeof *judge->jumps, by_line);
  for (int from = 0, to = 0; from < judge->jump_count; from = to) {
    while (to < judge->jump_count && judge->jumps[to].line == judge->jumps[from].line) to++;
    check_circle(judge, judge->jumps[from].line, judge->jumps + from, to - from);
  }
}

/* ---- before all ---- */

static const struct trial *sorted; /* for by_answer */

static int by_answer(const void *a, const void *b) {
  int64_t left = sorted->events[*(const int *)a].acked_us;
  int64_t right = sorted->events[*(const int *)b].acked_us;
  return (left > right) - (left < right);
}

static void read_events(struct judge *judge) {
  const struct trial *trial = judge->trial;
  for (int i = 0; i < CHANNELS; i++)
    judge->by_ack[i] = zeroed((size_t)trial->event_count, sizeof(int));
  for (int i = 0; i < trial->event_count; i++) {
    const struct sent *event = &trial->events[i];
    int64_t end_us =
        event->acked_us && event->attempts == 1 ? event->acked_us : event->ended_us + LATE_US;
    for (int t = 0; t < trial->trim_count; t++)
      if (event->sent_us <= trial->trims[t].to_us && end_us >= trial->trims[t].from_us)
        judge->is_trimmed[i] = 1;
    judge->verdict->trimmed += judge->is_trimmed[i];
    if (!event->acked_us) continue;
    judge->verdict->acked++;
    if (event->number) check_owner(judge, NULL, event->epoch, event->number, i);
    for (int channel = 0; channel < CHANNELS; channel++)
      if (event->channels >> channel & 1) judge->by_ack[channel][judge->ack_count[channel]++] = i;
  }
  sorted = trial;
  for (int i = 0; i < CHANNELS; i++)
    qsort(judge->by_ack[i], (size_t)judge->ack_count[i], sizeof(int), by_answer);
}

void judge(const struct trial *trial, struct verdict *verdict, FILE *out) {
  struct judge judge = {.trial = trial, .verdict = verdict, .out = out, .owner_cap = 1024};
  *verdict = (struct verdict){0};
  while (judge.owner_cap < (size_t)trial->event_count * 16) judge.owner_cap *= 2;
  judge.owners = zeroed(judge.owner_cap, sizeof *judge.owners);
  judge.is_trimmed = zeroed((size_t)trial->event_count, 1);
  judge.lines = zeroed((size_t)trial->epoch_count * CHANNELS, sizeof *judge.lines);
  read_events(&judge);
  read_places(&judge);
  for (int i = 0; i < trial->witness_count; i++) hear(&judge, i);
  check_circles(&judge);
  for (int i = 0; i < trial->epoch_count * CHANNELS; i++) {
    free(judge.lines[i].next);
    free(judge.lines[i].previous);
  }
  for (int i = 0; i < CHANNELS; i++) free(judge.by_ack[i]);
  free(judge.lines);
  free(judge.jumps);
  free(judge.is_trimmed);
  free(judge.owners);
  free(judge.places);
}
