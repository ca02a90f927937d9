/* SPDX-License-Identifier: MIT */
/* fanout_side.c: servers and loads as processes, pinned apart, and measured in turn. */
#include "fanout_side.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fanout_peer.h"
#include "measure.h"
#include "report.h"

static bool faults;

/* ---- processes ---- */

/* The load has the last processor that we may use, the servers have the others. */
static void pin(bool load) {
  cpu_set_t allowed, chosen;
  unsigned last = 0;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
  for (unsigned i = 0; i < CPU_SETSIZE; i++)
    if (CPU_ISSET(i, &allowed)) last = i;
  CPU_ZERO(&chosen);
  CPU_SET(last, &chosen);
  if (!load) CPU_XOR(&chosen, &chosen, &allowed);
  sched_setaffinity(0, sizeof chosen, &chosen);
}

/* A child ends with this process, however this process ends. */
static void become_child(bool load) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == 1) _exit(EXIT_FAILURE);
  pin(load);
}

void server_becomes_child(void) {
  become_child(false);
}

/* The server prints its port. */
static int start_server(struct side *side) {
  int pipe_fds[2];
  char line[16] = "";
  if (pipe(pipe_fds) != 0) return -1;
  side->server_pid = fork();
  if (side->server_pid == 0) {
    become_child(false);
    dup2(pipe_fds[1], STDOUT_FILENO);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    execv("/proc/self/exe", (char *const *)(uintptr_t)side->server);
    _exit(EXIT_FAILURE);
  }
  close(pipe_fds[1]);
  ssize_t len = side->server_pid < 0 ? -1 : read(pipe_fds[0], line, sizeof line - 1);
  close(pipe_fds[0]);
  return len > 0 ? (int)strtol(line, NULL, 10) : -1;
}

static bool start_load(struct side *side, int port) {
  int to[2], from[2];
  if (pipe(to) != 0 || pipe(from) != 0) return false;
  side->load_pid = fork();
  if (side->load_pid == 0) {
    become_child(true);
    close(to[1]);
    close(from[0]);
    fanout_load(side->server_pid, port, to[0], from[1]);
    _exit(EXIT_SUCCESS);
  }
  close(to[0]);
  close(from[1]);
  side->to_load = to[1];
  side->from_load = from[0];
  return side->load_pid > 0;
}

static bool ask(const struct side *side, const struct load_command *command,
                struct load_result *result) {
  if (write(side->to_load, command, sizeof *command) == sizeof *command &&
      read(side->from_load, result, sizeof *result) == sizeof *result)
    return true;
  fprintf(stderr, "%s: its load has failed\n", side->name);
  faults = true;
  return false;
}

/* ---- opening and closing ---- */

static bool open_side(struct side *side, const struct match *match) {
  struct load_command command = {.what = LOAD_CONNECT, .streams = 1, .channels = 1};
  struct load_result one, all;
  signal(SIGPIPE, SIG_IGN);
  int port = side->peer ? peer_start(side->server, &side->server_pid) : start_server(side);
  if (port <= 0 || !start_load(side, port)) {
    fprintf(stderr, "%s: its server did not start\n", side->name);
    return false;
  }
  if (!ask(side, &command, &one)) return false;
  command.streams = match->streams;
  command.channels = match->channels;
  command.stalled = side->stalled;
  if (!ask(side, &command, &all)) return false;
  side->resident_bytes = (all.resident_bytes - one.resident_bytes) / (match->streams - 1);
  if (all.failed > 0) fprintf(stderr, "%s: %.0f streams not opened\n", side->name, all.failed);
  return all.failed == 0;
}

static void end(pid_t *pid, int number) {
  if (*pid <= 0) return;
  kill(*pid, number);
  waitpid(*pid, NULL, 0);
  *pid = 0;
}

static void close_side(struct side *side) {
  end(&side->load_pid, SIGKILL);
  end(&side->server_pid, SIGKILL);
  if (side->to_load > 0) close(side->to_load);
  if (side->from_load > 0) close(side->from_load);
  side->to_load = side->from_load = 0;
}

bool match_open(struct match *match) {
  for (unsigned i = 0; i < match->sides_count; i++) {
    if (open_side(match->sides[i], match)) continue;
    /* Without the reference there is nothing to compare with; without a peer there is. */
    if (i == 0) {
      match_close(match);
      return false;
    }
    close_side(match->sides[i]);
    match->sides_count--;
    memmove(match->sides + i, match->sides + i + 1,
            (match->sides_count - i) * sizeof match->sides[0]);
    i--;
  }
  return true;
}

void match_close(struct match *match) {
  for (unsigned i = 0; i < match->sides_count; i++) close_side(match->sides[i]);
}

/* ---- the table ---- */

/* What was measured of one side, in each round. */
struct series {
  double of[METRICS][ROUNDS_MAX];
  double lost, repeated, damaged;
};

static const char *const metric_names[METRICS] = {
    [METRIC_CPU] = "CPU", [METRIC_LAST] = "to the last client", [METRIC_P99] = "p99"};

static void note(struct series *series, unsigned round, const struct load_result *result) {
  double deliveries = result->deliveries > 0 ? result->deliveries : 1;
  series->of[METRIC_CPU][round] = result->cpu_ns / deliveries / 1e3;
  series->of[METRIC_LAST][round] = result->last_ns / 1e6;
  series->of[METRIC_P50][round] = result->p50_ns / 1e6;
  series->of[METRIC_P99][round] = result->p99_ns / 1e6;
  series->of[METRIC_RATE][round] = result->deliveries / result->wall_ns * 1e3;
}

static double median_of(const struct series *series, enum metric metric, unsigned rounds) {
  double values[ROUNDS_MAX];
  memcpy(values, series->of[metric], sizeof values);
  return measure_median(values, rounds);
}

static void print_side(const char *what, const char *who, const struct series *s,
                       const struct series *reference, const char *budget, unsigned rounds) {
  double ratios[ROUNDS_MAX];
  char more[160];
  for (unsigned i = 0; i < rounds; i++)
    ratios[i] = s->of[METRIC_CPU][i] / reference->of[METRIC_CPU][i];
  int len = snprintf(more, sizeof more, "last %.2f ms, p50 %.2f, p99 %.2f, %.3f M/s",
                     median_of(s, METRIC_LAST, rounds), median_of(s, METRIC_P50, rounds),
                     median_of(s, METRIC_P99, rounds), median_of(s, METRIC_RATE, rounds));
  if (s->lost + s->repeated + s->damaged > 0) {
    snprintf(more + len, sizeof more - (size_t)len, "; LOST %.0f, TWICE %.0f, DAMAGED %.0f",
             s->lost, s->repeated, s->damaged);
    faults = true;
  }
  report_line(&(struct report){.what = what,
                               .who = who,
                               .value = median_of(s, METRIC_CPU, rounds),
                               .unit = "us",
                               .ratios = ratios,
                               .ratios_count = rounds,
                               .budget = budget,
                               .more = more});
}

/* A budget that is not of the line of a side: of another metric, or against another side. */
static void print_budget(const char *what, const struct budget *budget, const struct series *s,
                         const struct series *against, unsigned rounds) {
  double ratios[ROUNDS_MAX];
  char name[96], who[32];
  for (unsigned i = 0; i < rounds; i++)
    ratios[i] = s->of[budget->metric][i] / against->of[budget->metric][i];
  snprintf(name, sizeof name, "  %s, %s", what, metric_names[budget->metric]);
  snprintf(who, sizeof who, ": %s", budget->against->name);
  report_line(&(struct report){.what = name,
                               .who = who,
                               .value = median_of(s, budget->metric, rounds),
                               .unit = budget->metric == METRIC_CPU ? "us" : "ms",
                               .ratios = ratios,
                               .ratios_count = rounds,
                               .budget = budget->at_most});
}

static unsigned place_of(const struct match *match, const struct side *side) {
  unsigned i = 0;
  while (i < match->sides_count && match->sides[i] != side) i++;
  return i;
}

static void print(const struct match *match, const char *what, const struct series *series,
                  const struct budget *budgets, unsigned rounds) {
  for (unsigned i = 0; i < match->sides_count; i++) {
    const char *of_line = NULL;
    for (const struct budget *b = budgets; b && b->side; b++)
      if (b->side == match->sides[i] && b->against == match->sides[0] && b->metric == METRIC_CPU)
        of_line = b->at_most;
    print_side(what, match->sides[i]->name, &series[i], &series[0], of_line, rounds);
  }
  for (const struct budget *b = budgets; b && b->side; b++) {
    unsigned side = place_of(match, b->side), against = place_of(match, b->against);
    if (side == match->sides_count || against == match->sides_count) continue;
    if (against == 0 && b->metric == METRIC_CPU) continue;
    print_budget(what, b, &series[side], &series[against], rounds);
  }
}

void match_run(struct match *match, const char *what, const struct load_command *command,
               const struct budget *budgets, unsigned rounds) {
  static struct series series[SIDES_MAX];
  char name[64];
  memset(series, 0, sizeof series);
  for (unsigned round = 0; round <= rounds; round++) {
    for (unsigned i = 0; i < match->sides_count; i++) {
      struct load_result result;
      if (!ask(match->sides[i], command, &result)) return;
      series[i].lost += result.lost;
      series[i].repeated += result.repeated;
      series[i].damaged += result.damaged;
      if (round > 0) note(&series[i], round - 1, &result);
    }
  }
  snprintf(name, sizeof name, "%s, %u x %u B", what, match->streams, command->bytes);
  print(match, name, series, budgets, rounds);
}

void match_memory(const struct match *match, const struct side *judged, const char *budget) {
  char what[64];
  snprintf(what, sizeof what, "resident bytes per idle stream of %u", match->streams);
  for (unsigned i = 0; i < match->sides_count; i++)
    report_line(&(struct report){.what = what,
                                 .who = match->sides[i]->name,
                                 .value = match->sides[i]->resident_bytes,
                                 .unit = "B",
                                 .budget = match->sides[i] == judged ? budget : NULL});
}

bool match_faults(void) {
  return faults;
}
