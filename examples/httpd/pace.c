/* SPDX-License-Identifier: MIT */
/* pace.c: a demo's thread that does something at fixed times. */
#include "pace.h"

#include <poll.h>
#include <time.h>

int64_t pace_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int pace_sleep_until(int stop_fd, int64_t due_ns) {
  int64_t left_ns = due_ns - pace_now_ns();
  struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
  return poll(&stop, 1, left_ns > 0 ? (int)((left_ns + 999999) / 1000000) : 0) > 0;
}
