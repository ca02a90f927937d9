/* SPDX-License-Identifier: MIT */
/* sched.h: a scheduler that the test controls: it runs the real library in every order of threads.
 */
#ifndef SCHED_H
#define SCHED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Stateless model checking (Musuvathi, Qadeer, "Iterative context bounding for systematic testing
 * of multithreaded programs", 2007). The threads of a play are fibers, of which one runs at a time.
 * The program is linked with `--wrap` for mutexes, condition variables and the clock, so each lock,
 * unlock and wait of the library comes here, and here it is chosen who goes on. The choices of a
 * run are recorded; the next run, from the start, makes another one at the last place where there
 * is another, until there is none. So every schedule is run whose preemptions, switches away from
 * a thread that could go on, are within a bound. Others are walked at random.
 *
 * Threads are switched before a lock, after an unlock, in a wait, and where the test says so: in
 * the host's callbacks and before its sleep. That is enough, since the thread sanitizer shows
 * elsewhere that what threads share is touched under locks alone; between two such places a thread
 * neither sees nor changes anything that others do.
 *
 * A mutex is the scheduler's if pthread_mutex_init made it during a play; one that was there
 * before, such as the allocator's, is left alone, as nobody is switched while he holds it.
 *
 * SSE_PREEMPTIONS  bound of all plays, in place of their own
 * SSE_WALKS        schedules at random for each play that has some, in place of its own
 * SSE_SCHEDULE     what a failure has printed: runs this schedule alone, and traces it
 */
struct sched_play {
  const char *name;
  void (*set_up)(void *arg); /* makes what the threads share, and the threads */
  void (*judge)(void *arg);  /* after all threads: what has become of it; takes it down */
  void *arg;
  unsigned preemptions;
  unsigned long least;  /* so many schedules are within the bound, or something is not explored */
  unsigned long walks;  /* at random */
  bool timed;           /* time passes when all sleep; else that is a fault */
  int64_t *now_ms;      /* what the time is; or NULL */
  const char *expected; /* of a play that is to fail: what its fault begins with; or NULL */
};

/*
 * Runs a play in all its schedules: true if none failed, or if `expected` came. What it did is
 * printed; a failure is printed with its schedule, run again and traced.
 */
bool sched_explore(const struct sched_play *play);
/* How many schedules the last exploration ran, but for those at random. */
unsigned long sched_count(void);

/* ---- in set_up ---- */

/* Adds a thread. The name is borrowed. */
void sched_thread(const char *name, void (*body)(void *arg), void *arg);

/* ---- in threads, and in what the library calls there ---- */

/* Here others may have their turn. */
void sched_point(const char *what);
/* Sleeps until a flag is set, and takes it down; or, if timeout_ms is not -1, until the time. */
void sched_sleep(bool *flag, int timeout_ms);
/* Whether this thread has a mutex. */
bool sched_locked(void);
/* How often another thread had its turn so far. */
unsigned long sched_turns(void);

/* ---- anywhere in a play ---- */

/* Something is wrong. In a thread it does not return; the first one counts. */
void sched_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
