/* SPDX-License-Identifier: MIT */
/* fiber.c: threads that are switched by hand: contexts on stacks of their own, or real threads. */
#include "fiber.h"

#include <stdlib.h>

/*
 * Switching contexts costs less than a microsecond, handing on between threads ten and more, and
 * much more on a busy machine. Where a libc has no contexts, such as musl, there are threads.
 */
#if !defined(FIBER_THREADS) &&                                                                     \
    (defined(__GLIBC__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__DragonFly__))

#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

/* Stacks stand so far apart that valgrind sees a switch, and not one stack that grows. */
#define STACK_BYTES ((size_t)256 << 10)
#define APART_BYTES ((size_t)8 << 20)

static ucontext_t contexts[FIBERS_MAX + 1];
static void (*bodies[FIBERS_MAX])(unsigned fiber);
static char *stacks;

#ifdef ADDRESS_SANITIZER

#include <sanitizer/common_interface_defs.h>

/* What the sanitizer has to be told at each switch; of the main stack, it tells us. */
static void *shadows[FIBERS_MAX + 1];
static const void *main_bottom;
static size_t main_size;
static unsigned came_from;

static void leave(unsigned from, unsigned to) {
  came_from = from;
  if (to == FIBER_MAIN) {
    __sanitizer_start_switch_fiber(&shadows[from], main_bottom, main_size);
  } else {
    __sanitizer_start_switch_fiber(&shadows[from], stacks + to * APART_BYTES, STACK_BYTES);
  }
}

static void arrive(unsigned at) {
  const void *bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(shadows[at], &bottom, &size);
  if (came_from != FIBER_MAIN) return;
  main_bottom = bottom;
  main_size = size;
}

static void forget(unsigned fiber) {
  shadows[fiber] = NULL;
}

#else

static void leave(unsigned from, unsigned to) {
  (void)from;
  (void)to;
}

static void arrive(unsigned at) {
  (void)at;
}

static void forget(unsigned fiber) {
  (void)fiber;
}

#endif

static void enter(int fiber) {
  arrive((unsigned)fiber);
  for (;;) bodies[fiber]((unsigned)fiber);
}

void fiber_make(unsigned fiber, void (*body)(unsigned fiber)) {
  if (!stacks) {
    stacks = mmap(NULL, FIBERS_MAX * APART_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED) abort();
  }
  ucontext_t *context = &contexts[fiber];
  bodies[fiber] = body;
  if (getcontext(context)) abort();
  context->uc_stack.ss_sp = stacks + fiber * APART_BYTES;
  context->uc_stack.ss_size = STACK_BYTES;
  context->uc_link = NULL;
  forget(fiber);
  /* The cast is what makecontext asks for. */
  makecontext(context, (void (*)(void))enter, 1, (int)fiber);
}

void fiber_switch(unsigned from, unsigned to) {
  leave(from, to);
  if (swapcontext(&contexts[from], &contexts[to])) abort();
  arrive(from);
}

#else

#include <pthread.h>
#include <semaphore.h>

/* One that is made anew leaves its thread behind, asleep to the end. */
struct fiber {
  unsigned index;
  void (*body)(unsigned fiber);
  sem_t baton;
};

static struct fiber main_fiber, *fibers[FIBERS_MAX + 1];

static void await(struct fiber *fiber) {
  while (sem_wait(&fiber->baton)) continue;
}

static void *enter(void *arg) {
  struct fiber *fiber = arg;
  await(fiber);
  for (;;) fiber->body(fiber->index);
  return NULL;
}

void fiber_make(unsigned fiber, void (*body)(unsigned fiber)) {
  pthread_t thread;
  if (!fibers[FIBER_MAIN]) {
    fibers[FIBER_MAIN] = &main_fiber;
    if (sem_init(&main_fiber.baton, 0, 0)) abort();
  }
  struct fiber *made = calloc(1, sizeof *made);
  if (!made || sem_init(&made->baton, 0, 0)) abort();
  made->index = fiber;
  made->body = body;
  fibers[fiber] = made;
  if (pthread_create(&thread, NULL, enter, made) || pthread_detach(thread)) abort();
}

void fiber_switch(unsigned from, unsigned to) {
  struct fiber *self = fibers[from];
  if (sem_post(&fibers[to]->baton)) abort();
  await(self);
}

#endif
