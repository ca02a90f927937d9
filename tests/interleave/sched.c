/* SPDX-License-Identifier: MIT */
/* sched.c: a scheduler that the test controls. */
#include "sched.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fiber.h"

#define NS_PER_MS INT64_C(1000000)
#define FOR_EVER  INT64_MAX

enum {
  LOCKS_MAX = 8,
  DECISIONS_MAX = 4096, /* of one run; with more, or more points, it goes on for ever */
  POINTS_MAX = 20000,
  SPURIOUS = 8 /* one wait in so many ends without a signal, in walks */
};

/* Who is to go on, at a place where several could, or whether a wait ends by itself. */
struct decision {
  uint16_t taken, limit;
};

struct lock {
  const pthread_mutex_t *mutex;
  int owner; /* a thread, or -1 */
};

struct thread {
  const char *name;
  void (*body)(void *arg);
  void *arg;
  bool made; /* its fiber is there, and is at rest */
  bool over;
  struct lock *wants;         /* it goes on with this one */
  const pthread_cond_t *cond; /* it waits for a signal */
  bool signalled;
  bool *flag;       /* it sleeps */
  int64_t until_ms; /* of a wait or a sleep */
};

enum mode {
  ALL,
  WALK,
  REPLAY
};

static struct {
  const struct sched_play *play; /* NULL: the wrapped calls are the real ones */
  enum mode mode;
  bool trace;
  struct thread threads[FIBERS_MAX];
  unsigned count;
  unsigned current; /* FIBER_MAIN before and after */
  struct lock locks[LOCKS_MAX];
  struct decision row[DECISIONS_MAX];
  unsigned decided, known; /* decisions of this run; those that were settled before it */
  unsigned preemptions, bound;
  unsigned points; /* of this run */
  unsigned long turns;
  uint64_t random;
  unsigned boldness; /* in a walk, one switch in so many places */
  char fault[256];
  unsigned long schedules;
} sched;

/* ---- deciding ---- */

static unsigned draw(unsigned n) {
  sched.random ^= sched.random >> 12;
  sched.random ^= sched.random << 25;
  sched.random ^= sched.random >> 27;
  return (unsigned)((sched.random * UINT64_C(2685821657736338717)) >> 33) % n;
}

/*
 * Takes one of n; 0 is what happens by itself. `likely` is false where a walk does so most of the
 * time. All numbers are counted in every mode, so a schedule means the same in each.
 */
static unsigned decide(unsigned n, unsigned limit, bool likely) {
  if (sched.decided == DECISIONS_MAX) {
    sched_fault("it goes on for ever");
    return 0;
  }
  struct decision *decision = &sched.row[sched.decided++];
  if (sched.mode == WALK) {
    unsigned one_in = likely ? 1 : sched.boldness;
    decision->taken = draw(one_in) == 0 ? (uint16_t)draw(n) : 0;
  } else if (sched.decided > sched.known) {
    decision->taken = 0;
  } else if (sched.mode == ALL && decision->limit != limit) {
    sched_fault("it does not do the same again");
  } else if (decision->taken >= n) {
    sched_fault("the schedule is not one of this play");
  }
  decision->limit = (uint16_t)limit;
  return decision->taken;
}

/* ---- threads ---- */

static int64_t now_ms(void) {
  return sched.play->now_ms ? *sched.play->now_ms : 0;
}

static bool timed_out(const struct thread *thread) {
  return thread->until_ms <= now_ms();
}

static bool enabled(const struct thread *thread) {
  if (thread->over) return false;
  if (thread->flag && !*thread->flag && !timed_out(thread)) return false;
  if (thread->cond && !thread->signalled && !timed_out(thread)) return false;
  return !thread->wants || thread->wants->owner < 0;
}

static void print_event(const char *what) {
  if (!sched.trace) return;
  printf("  %4u  %-12s %s\n", sched.decided, sched.threads[sched.current].name, what);
}

static const char *doing(const struct thread *thread) {
  if (thread->cond && !thread->signalled) return "waits for a condition";
  return thread->flag ? "sleeps" : "waits for a lock";
}

/* Nobody can go on: they are all over, the time passes, or it is a fault. */
static bool stuck(void) {
  int64_t next_ms = FOR_EVER;
  const struct thread *stuck = NULL;
  for (unsigned i = 0; i < sched.count; i++) {
    const struct thread *thread = &sched.threads[i];
    if (thread->over) continue;
    stuck = thread;
    if (thread->until_ms < next_ms) next_ms = thread->until_ms;
  }
  if (!stuck) return true;
  if (sched.play->timed && next_ms != FOR_EVER) {
    *sched.play->now_ms = next_ms;
    return false;
  }
  snprintf(sched.fault, sizeof sched.fault, "for ever: %s %s", stuck->name, doing(stuck));
  return true;
}

/* Who goes on; FIBER_MAIN when nobody does. The present thread comes first if it can. */
static unsigned choose(void) {
  unsigned order[FIBERS_MAX], n = 0;
  bool goes_on = sched.current != FIBER_MAIN && enabled(&sched.threads[sched.current]);
  unsigned from = sched.current == FIBER_MAIN ? 0 : sched.current;
  do {
    for (unsigned i = 0; i < sched.count; i++) {
      unsigned at = (from + i) % sched.count;
      if (enabled(&sched.threads[at])) order[n++] = at;
    }
  } while (n == 0 && !stuck());
  if (n == 0) return FIBER_MAIN;
  unsigned taken = 0;
  if (n > 1) {
    bool spent = goes_on && sched.preemptions >= sched.bound;
    taken = decide(n, spent ? 1 : n, !goes_on);
    if (sched.fault[0]) return FIBER_MAIN;
  }
  if (goes_on && taken > 0) sched.preemptions++;
  return order[taken];
}

static void go_on(void) {
  if (++sched.points == POINTS_MAX) sched_fault("it goes on for ever");
  unsigned self = sched.current, next = choose();
  if (next == self) return;
  sched.turns++;
  sched.current = next;
  fiber_switch(self, next);
}

static void run_thread(unsigned index) {
  struct thread *thread = &sched.threads[index];
  print_event("begins");
  thread->body(thread->arg);
  print_event("is over");
  thread->over = true;
  go_on();
}

void sched_thread(const char *name, void (*body)(void *arg), void *arg) {
  if (sched.count == FIBERS_MAX) abort();
  struct thread *thread = &sched.threads[sched.count];
  bool made = thread->made;
  *thread =
      (struct thread){.name = name, .body = body, .arg = arg, .made = made, .until_ms = FOR_EVER};
  if (!thread->made) fiber_make(sched.count, run_thread);
  thread->made = true;
  sched.count++;
}

void sched_point(const char *what) {
  if (sched.current == FIBER_MAIN) return;
  print_event(what);
  go_on();
}

void sched_fault(const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (!sched.fault[0]) vsnprintf(sched.fault, sizeof sched.fault, format, args);
  va_end(args);
  if (sched.current == FIBER_MAIN) return;
  unsigned self = sched.current;
  sched.current = FIBER_MAIN;
  fiber_switch(self, FIBER_MAIN);
}

void sched_sleep(bool *flag, int timeout_ms) {
  struct thread *self = &sched.threads[sched.current];
  self->flag = flag;
  if (timeout_ms >= 0) self->until_ms = now_ms() + timeout_ms;
  sched_point("sleeps");
  self->flag = NULL;
  self->until_ms = FOR_EVER;
  *flag = false;
}

bool sched_locked(void) {
  for (unsigned i = 0; i < LOCKS_MAX; i++) {
    if (sched.locks[i].mutex && sched.locks[i].owner == (int)sched.current) return true;
  }
  return false;
}

unsigned long sched_turns(void) {
  return sched.turns;
}

/* ---- what the library calls ---- */

int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __real_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __real_pthread_cond_signal(pthread_cond_t *cond);
int __real_pthread_cond_broadcast(pthread_cond_t *cond);
int __real_pthread_cond_destroy(pthread_cond_t *cond);
int __real_clock_gettime(clockid_t id, struct timespec *now);

static struct lock *find_lock(const pthread_mutex_t *mutex) {
  for (unsigned i = 0; i < LOCKS_MAX; i++) {
    if (sched.locks[i].mutex == mutex) return &sched.locks[i];
  }
  return NULL;
}

/* The lock of a mutex, if it is the scheduler's and threads run. */
static struct lock *lock_of(const pthread_mutex_t *mutex) {
  return sched.play && sched.current != FIBER_MAIN ? find_lock(mutex) : NULL;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr) {
  if (sched.play) {
    struct lock *lock = find_lock(NULL);
    if (!lock) abort();
    *lock = (struct lock){mutex, -1};
  }
  return __real_pthread_mutex_init(mutex, attr);
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex) {
  struct lock *lock = sched.play ? find_lock(mutex) : NULL;
  if (lock) {
    if (lock->owner >= 0) sched_fault("a mutex is destroyed that is locked");
    lock->mutex = NULL;
  }
  return __real_pthread_mutex_destroy(mutex);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
  struct lock *lock = lock_of(mutex);
  if (!lock) return __real_pthread_mutex_lock(mutex);
  if (lock->owner == (int)sched.current) sched_fault("a thread locks what it has locked");
  sched.threads[sched.current].wants = lock;
  sched_point("locks");
  sched.threads[sched.current].wants = NULL;
  lock->owner = (int)sched.current;
  return 0;
}

/* The library tries a lock only to assert, in builds with SSE_DEBUG, that the thread has it. */
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
  const struct lock *lock = lock_of(mutex);
  if (!lock) return __real_pthread_mutex_trylock(mutex);
  if (lock->owner != (int)sched.current) sched_fault("a thread has not locked what it should");
  return EBUSY;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  struct lock *lock = lock_of(mutex);
  if (!lock) return __real_pthread_mutex_unlock(mutex);
  if (lock->owner != (int)sched.current) sched_fault("a thread unlocks what it has not locked");
  lock->owner = -1;
  sched_point("unlocked");
  return 0;
}

/* Nothing is between the unlock and the wait, and nobody returns without the mutex. */
static void wait(const pthread_cond_t *cond, struct lock *lock, int64_t until_ms) {
  struct thread *self = &sched.threads[sched.current];
  if (lock->owner != (int)sched.current) sched_fault("a thread waits without its lock");
  lock->owner = -1;
  self->cond = cond;
  self->signalled = decide(SPURIOUS, 1, true) == 1;
  self->wants = lock;
  self->until_ms = until_ms;
  sched_point("waits");
  self->cond = NULL;
  self->wants = NULL;
  self->until_ms = FOR_EVER;
  lock->owner = (int)sched.current;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex) {
  struct lock *lock = lock_of(mutex);
  if (!lock) return __real_pthread_cond_wait(cond, mutex);
  wait(cond, lock, FOR_EVER);
  return 0;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until) {
  struct lock *lock = lock_of(mutex);
  if (!lock) return __real_pthread_cond_timedwait(cond, mutex, until);
  wait(cond, lock, (int64_t)until->tv_sec * 1000 + until->tv_nsec / NS_PER_MS);
  return 0;
}

/* Wakes the first that waits, or all of them; they go on when they can have the mutex. */
static bool signal_threads(const pthread_cond_t *cond, bool all) {
  if (!sched.play) return false;
  for (unsigned i = 0; i < sched.count; i++) {
    struct thread *thread = &sched.threads[i];
    if (thread->cond != cond || thread->signalled) continue;
    thread->signalled = true;
    if (!all) break;
  }
  return true;
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond) {
  return signal_threads(cond, false) ? 0 : __real_pthread_cond_signal(cond);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond) {
  return signal_threads(cond, true) ? 0 : __real_pthread_cond_broadcast(cond);
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond) {
  for (unsigned i = 0; sched.play && i < sched.count; i++) {
    if (sched.threads[i].cond == cond) sched_fault("a condition is destroyed that is waited for");
  }
  return __real_pthread_cond_destroy(cond);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *now) {
  if (!sched.play || !sched.play->now_ms) return __real_clock_gettime(id, now);
  now->tv_sec = (time_t)(*sched.play->now_ms / 1000);
  now->tv_nsec = (long)(*sched.play->now_ms % 1000 * NS_PER_MS);
  return 0;
}

/* ---- schedules ---- */

/* One run; false if something was wrong. What hangs in a fault is left behind. */
static bool run(const struct sched_play *play) {
  sched.play = play;
  sched.count = 0;
  sched.current = FIBER_MAIN;
  sched.decided = sched.preemptions = sched.points = 0;
  sched.fault[0] = '\0';
  memset(sched.locks, 0, sizeof sched.locks);
  play->set_up(play->arg);
  unsigned first = sched.fault[0] ? FIBER_MAIN : choose();
  if (first != FIBER_MAIN) {
    sched.current = first;
    fiber_switch(FIBER_MAIN, first);
    sched.current = FIBER_MAIN;
  }
  for (unsigned i = 0; i < sched.count; i++) {
    if (!sched.threads[i].over) sched.threads[i].made = false;
  }
  if (!sched.fault[0]) play->judge(play->arg);
  sched.play = NULL;
  return !sched.fault[0];
}

/* The schedule of the last run: the decisions that were not 0, as number:taken. */
static void print_schedule(void) {
  const char *between = "";
  for (unsigned i = 0; i < sched.decided; i++) {
    if (sched.row[i].taken == 0) continue;
    printf("%s%u:%u", between, i, (unsigned)sched.row[i].taken);
    between = ",";
  }
}

static void fail(const struct sched_play *play) {
  printf("%s\n  after %lu schedules%s; to repeat it:\n  SSE_SCHEDULE='%s|", sched.fault,
         sched.schedules, sched.mode == WALK ? " and walks" : "", play->name);
  print_schedule();
  printf("'\n");
  sched.mode = REPLAY;
  sched.known = sched.decided;
  sched.trace = true;
  run(play);
  sched.trace = false;
  printf("  %s\n", sched.fault[0] ? sched.fault : "(it did not happen again)");
  fflush(stdout);
}

static unsigned long number_of(const char *variable, unsigned long otherwise) {
  const char *text = getenv(variable);
  return text ? strtoul(text, NULL, 10) : otherwise;
}

/* Goes to the next schedule: another choice at the last place that has one. */
static bool next_schedule(void) {
  unsigned at = sched.decided;
  while (at > 0 && sched.row[at - 1].taken + 1 >= sched.row[at - 1].limit) at--;
  if (at == 0) return false;
  sched.row[at - 1].taken++;
  sched.known = at;
  return true;
}

static bool explore_all(const struct sched_play *play) {
  sched.mode = ALL;
  sched.known = 0;
  sched.bound = (unsigned)number_of("SSE_PREEMPTIONS", play->preemptions);
  sched.schedules = 0;
  do {
    sched.schedules++;
    if (!run(play)) return false;
  } while (next_schedule());
  return true;
}

static bool walk(const struct sched_play *play, unsigned long count) {
  sched.mode = WALK;
  for (unsigned long i = 0; i < count; i++) {
    sched.random = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
    sched.boldness = 2u << i % 4;
    if (!run(play)) return false;
  }
  return true;
}

/* Runs the one schedule that is asked for; what it prints is the result. */
static bool repeat(const struct sched_play *play, const char *text) {
  memset(sched.row, 0, sizeof sched.row);
  for (char *end; *text; text = *end == ',' ? end + 1 : end) {
    unsigned long at = strtoul(text, &end, 10);
    if (*end != ':' || at >= DECISIONS_MAX) abort();
    sched.row[at].taken = (uint16_t)strtoul(end + 1, &end, 10);
  }
  sched.mode = REPLAY;
  sched.known = DECISIONS_MAX;
  sched.trace = true;
  bool good = run(play);
  sched.trace = false;
  printf("%s: %s\n", play->name, good ? "no fault" : sched.fault);
  return good;
}

unsigned long sched_count(void) {
  return sched.schedules;
}

bool sched_explore(const struct sched_play *play) {
  const char *only = getenv("SSE_SCHEDULE");
  size_t len = strlen(play->name);
  bool other = only && (strncmp(only, play->name, len) != 0 || only[len] != '|');
  if (only) return other || repeat(play, only + len + 1);
  unsigned long walks = play->walks ? number_of("SSE_WALKS", play->walks) : 0;
  printf("%-44s ", play->name);
  fflush(stdout); /* a library that hangs is seen to hang here */
  bool good = explore_all(play) && walk(play, walks);
  if (play->expected && strstr(sched.fault, play->expected) == sched.fault) {
    printf("fails after %lu schedules, as it is to\n", sched.schedules);
    return true;
  }
  if (!good) {
    fail(play);
    return false;
  }
  printf("%8lu schedules, %u preemptions; %lu walks\n", sched.schedules, sched.bound, walks);
  if (play->expected) printf("  and not one has: %s\n", play->expected);
  if (play->expected) return false;
  bool few = sched.schedules < play->least && sched.bound >= play->preemptions;
  if (few) printf("  too few: at least %lu\n", play->least);
  return !few;
}
