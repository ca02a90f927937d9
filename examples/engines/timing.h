/* SPDX-License-Identifier: MIT */
/* timing.h: the clocks of the engines. */
#ifndef ENGINE_TIMING_H
#define ENGINE_TIMING_H

#include <stdint.h>

int64_t clock_ms(void);   /* monotonic */
int64_t present_ms(void); /* since 1970 */

#endif
