/* SPDX-License-Identifier: MIT */
/* verdict.h: what all judged histories share: the breach that ends one, its words, random numbers. */
#ifndef JUDGE_VERDICT_H
#define JUDGE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

/* For the table of a judge's rules: X(name, sentence of the headers or the manual). */
#define RULE_ENUM(name, sentence) RULE_##name,
#define RULE_TEXT(name, sentence) {#name, sentence},

typedef struct rule_text {
  const char *name, *sentence;
} rule_text;

/* A judge, and how it plays a history. A program has one, which it defines. */
typedef struct judging {
  const char *prefix;     /* of its environment variables, JUDGE for JUDGE_FIRST */
  uint64_t histories;     /* how many, unless the variable PREFIX_HISTORIES says it */
  const rule_text *rules; /* by the number of the rule */
  unsigned rules_count;
  unsigned steps_max;                           /* of a history */
  void (*play)(uint64_t which, const bool *on); /* the steps of a history that are on */
} judging;

extern const judging the_judge;

/* The first breach of a history, which ends it. */
typedef struct breach {
  bool found;
  bool skipped; /* its rule is in PREFIX_SKIP: the history ends, and nothing is reported */
  unsigned broken;
  char what[512];
} breach;

extern breach found;
extern bool telling; /* the history is printed while it runs */

/*
 * Plays the histories from PREFIX_FIRST (1) on. Of the first PREFIX_REPORTS (1) rules that are
 * broken one history each is repeated with fewer steps, and printed. With PREFIX_TELL every history
 * is printed while it runs, for one that crashes. Returns how many break a rule.
 */
uint64_t judge_all(void);

/* How many histories that is. */
uint64_t judge_histories(void);

/* Whether a variable, PREFIX_name, lists a word, with commas between words. */
bool is_listed(const char *name, const char *word);

/* Records a breach of a rule, unless there is one already. */
__attribute__((format(printf, 2, 3))) void breaks(unsigned rule, const char *format, ...);

/* Prints a piece of the history if `telling` is set. */
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);

/* Random numbers from a seed. */
uint64_t draw(uint64_t *seed);
unsigned draw_below(uint64_t *seed, unsigned below);
bool draw_percent(uint64_t *seed, unsigned percent);

#endif
