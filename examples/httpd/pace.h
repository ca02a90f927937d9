/* SPDX-License-Identifier: MIT */
/* pace.h: a demo's thread that does something at fixed times, until it is told to stop. */
#ifndef HTTPD_PACE_H
#define HTTPD_PACE_H

#include <stdint.h>

/* Monotonic time, in nanoseconds. */
int64_t pace_now_ns(void);
/* Sleeps until then; not 0 if the thread is to stop: the other end of the pipe was closed. */
int pace_sleep_until(int stop_fd, int64_t due_ns);

#endif
