/* SPDX-License-Identifier: MIT */
/* verdict.c: what a breach is called, the words of a history, and random numbers. */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

breach found;
bool telling;
uint64_t seen_counts[SEEN_COUNT];

const char *rule_name(rule broken) {
  static const char *const names[] = {
#define RULE_NAME(name, sentence) #name,
      RULES(RULE_NAME)
#undef RULE_NAME
  };
  return names[broken];
}

const char *rule_sentence(rule broken) {
  static const char *const sentences[] = {
#define RULE_SENTENCE(name, sentence) sentence,
      RULES(RULE_SENTENCE)
#undef RULE_SENTENCE
  };
  return sentences[broken];
}

const char *seen_text(seen what) {
  static const char *const texts[] = {
#define SEEN_TEXT(name, text) text,
      SEEN(SEEN_TEXT)
#undef SEEN_TEXT
  };
  return texts[what];
}

void see(seen what) {
  seen_counts[what]++;
}

static bool is_listed(const char *list, const char *name) {
  size_t len = strlen(name);
  while (list && *list) {
    if (!strncmp(list, name, len) && (list[len] == ',' || !list[len])) return true;
    list = strchr(list, ',');
    if (list) list++;
  }
  return false;
}

void breaks(rule broken, const char *format, ...) {
  va_list args;
  if (found.found || is_listed(getenv("LOGWORLD_SKIP"), rule_name(broken))) return;
  found.found = true;
  found.broken = broken;
  va_start(args, format);
  vsnprintf(found.what, sizeof found.what, format, args);
  va_end(args);
  tell("    !!! %s: %s\n", rule_name(broken), found.what);
}

void tell(const char *format, ...) {
  va_list args;
  if (!telling) return;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
}

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
