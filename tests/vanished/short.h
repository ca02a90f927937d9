/* SPDX-License-Identifier: MIT */
/* short.h: the times that the programs under test have. */
#ifndef TESTS_VANISHED_SHORT_H
#define TESTS_VANISHED_SHORT_H

#include <sse/sse.h>

enum {
  STALL_MS = 4000,
  HEARTBEAT_MS = 1000
};

#endif
