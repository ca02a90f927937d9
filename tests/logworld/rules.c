/* SPDX-License-Identifier: MIT */
/* rules.c: counts what came to pass in the log world. */
#include "rules.h"

uint64_t seen_counts[SEEN_COUNT];

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
