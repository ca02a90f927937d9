/* SPDX-License-Identifier: MIT */
/* verdict.c: plays histories, and finds the shortest one that breaks the same rule. */
#include "verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  STEPS_MAX = 128,
  RULES_MAX = 64
};

breach found;
bool telling;

/* ---- settings ---- */

static const char *variable(const char *name) {
  char whole[64];
  snprintf(whole, sizeof whole, "%s_%s", the_judge.prefix, name);
  return getenv(whole);
}

static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *text = variable(name);
  return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

uint64_t judge_histories(void) {
  return setting("HISTORIES", the_judge.histories);
}

bool is_listed(const char *name, const char *word) {
  const char *list = variable(name);
  size_t len = strlen(word);
  while (list && *list) {
    if (!strncmp(list, word, len) && (list[len] == ',' || !list[len])) return true;
    list = strchr(list, ',');
    if (list) list++;
  }
  return false;
}

/* ---- words ---- */

void breaks(unsigned rule, const char *format, ...) {
  va_list args;
  if (found.found) return;
  found.found = true;
  found.broken = rule;
  found.skipped = is_listed("SKIP", the_judge.rules[rule].name);
  va_start(args, format);
  vsnprintf(found.what, sizeof found.what, format, args);
  va_end(args);
  tell("    !!! %s: %s\n", the_judge.rules[rule].name, found.what);
}

void tell(const char *format, ...) {
  va_list args;
  if (!telling) return;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
}

/* ---- random numbers ---- */

uint64_t draw(uint64_t *seed) {
  uint64_t x = *seed += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

unsigned draw_below(uint64_t *seed, unsigned below) {
  return (unsigned)(draw(seed) % below);
}

bool draw_percent(uint64_t *seed, unsigned percent) {
  return draw_below(seed, 100) < percent;
}

/* ---- histories ---- */

/* Whether a history breaks a rule that is to be reported. */
static bool is_broken(uint64_t which, const bool *on) {
  memset(&found, 0, sizeof found);
  the_judge.play(which, on);
  return found.found && !found.skipped;
}

/* Switches steps off; false if none of them was on. */
static bool leave_out(bool *on, unsigned at, unsigned size) {
  bool any = false;
  for (unsigned i = at; i < at + size && i < the_judge.steps_max; i++) {
    any = any || on[i];
    on[i] = false;
  }
  return any;
}

/* Leaves out steps while the same rule is broken. */
static void shrink(uint64_t which, bool *on) {
  unsigned rule = found.broken;
  bool kept[STEPS_MAX], smaller = true;
  while (smaller) {
    smaller = false;
    for (unsigned size = the_judge.steps_max / 2; size; size /= 2) {
      for (unsigned at = 0; at < the_judge.steps_max; at += size) {
        memcpy(kept, on, sizeof kept);
        if (!leave_out(on, at, size)) continue;
        if (is_broken(which, on) && found.broken == rule)
          smaller = true;
        else
          memcpy(on, kept, sizeof kept);
      }
    }
  }
}

static void report(uint64_t which) {
  bool on[STEPS_MAX];
  memset(on, true, sizeof on);
  is_broken(which, on);
  shrink(which, on);
  printf("\n=== history %" PRIu64 "\n", which);
  telling = true;
  is_broken(which, on);
  telling = false;
  const rule_text *rule = &the_judge.rules[found.broken];
  printf("=== history %" PRIu64 " breaks %s: %s\n    %s\n", which, rule->name, found.what,
         rule->sentence);
}

uint64_t judge_all(void) {
  uint64_t first = setting("FIRST", 1), most = setting("REPORTS", 1), breaches = 0;
  unsigned by_rule[RULES_MAX] = {0};
  bool on[STEPS_MAX], told = setting("TELL", 0);
  memset(on, true, sizeof on);
  if (the_judge.steps_max > STEPS_MAX || the_judge.rules_count > RULES_MAX) abort();
  for (uint64_t i = first; i < first + judge_histories(); i++) {
    telling = told;
    if (!is_broken(i, on)) continue;
    breaches++;
    if (by_rule[found.broken]++ || most == 0) continue;
    most--;
    report(i);
  }
  for (unsigned r = 0; r < the_judge.rules_count; r++)
    if (by_rule[r]) printf("%s: %u histories\n", the_judge.rules[r].name, by_rule[r]);
  return breaches;
}
