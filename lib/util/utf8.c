/* SPDX-License-Identifier: MIT */
/* utf8.c: a table-driven check of UTF-8 without branches on the data. */
#include "util/utf8.h"

#include <stdint.h>

#include "util/scan.h"

/*
 * A finite automaton whose states are shift counts. The table entry of a byte holds the next state
 * for each state, six bits each, at the offset that is the current state. So a step is one load
 * and one shift. A transition that the table does not name is zero, REJECT, which has no exit.
 */
enum utf8_state {
  REJECT = 0,
  ACCEPT = 6,
  NEED_1 = 12, /* one more byte 80..BF */
  NEED_2 = 18,
  NEED_3 = 24,
  AFTER_E0 = 30, /* needs A0..BF; less would be overlong */
  AFTER_ED = 36, /* needs 80..9F; more would be a surrogate */
  AFTER_F0 = 42, /* needs 90..BF; less would be overlong */
  AFTER_F4 = 48  /* needs 80..8F; more would be above U+10FFFF */
};

#define STEP(from, to) ((uint64_t)(to) << (from))
#define ANY_TAIL       (STEP(NEED_1, ACCEPT) | STEP(NEED_2, NEED_1) | STEP(NEED_3, NEED_2))

#define ASCII   STEP(ACCEPT, ACCEPT)
#define TAIL_80 (ANY_TAIL | STEP(AFTER_ED, NEED_1) | STEP(AFTER_F4, NEED_2)) /* 80..8F */
#define TAIL_90 (ANY_TAIL | STEP(AFTER_ED, NEED_1) | STEP(AFTER_F0, NEED_2)) /* 90..9F */
#define TAIL_A0 (ANY_TAIL | STEP(AFTER_E0, NEED_1) | STEP(AFTER_F0, NEED_2)) /* A0..BF */
#define LEAD_2  STEP(ACCEPT, NEED_1)
#define LEAD_3  STEP(ACCEPT, NEED_2)
#define LEAD_4  STEP(ACCEPT, NEED_3)
#define LEAD_E0 STEP(ACCEPT, AFTER_E0)
#define LEAD_ED STEP(ACCEPT, AFTER_ED)
#define LEAD_F0 STEP(ACCEPT, AFTER_F0)
#define LEAD_F4 STEP(ACCEPT, AFTER_F4)

#define X2(x)   x, x
#define X4(x)   X2(x), X2(x)
#define X16(x)  X4(x), X4(x), X4(x), X4(x)
#define X128(x) X16(x), X16(x), X16(x), X16(x), X16(x), X16(x), X16(x), X16(x)

static const uint64_t utf8_steps[256] = {
    X128(ASCII),                                       /* 00..7F */
    X16(TAIL_80),                                      /* 80..8F */
    X16(TAIL_90),                                      /* 90..9F */
    X16(TAIL_A0), X16(TAIL_A0),                        /* A0..BF */
    X2(REJECT),                                        /* C0..C1 */
    X2(LEAD_2),   X4(LEAD_2),   X4(LEAD_2),            /* C2..CB */
    X4(LEAD_2),   X16(LEAD_2),                         /* CC..DF */
    LEAD_E0,      X4(LEAD_3),   X4(LEAD_3),            /* E0..E8 */
    X4(LEAD_3),   LEAD_ED,      X2(LEAD_3),            /* E9..EF */
    LEAD_F0,      LEAD_4,       X2(LEAD_4), LEAD_F4,   /* F0..F4 */
    REJECT,       X2(REJECT),   X4(REJECT), X4(REJECT) /* F5..FF */
};

static unsigned utf8_run(unsigned state, const unsigned char *p, size_t len) {
  for (size_t i = 0; i < len; i++) state = (unsigned)(utf8_steps[p[i]] >> (state & 63));
  return state & 63;
}

static bool is_ascii_32(const unsigned char *p) {
  uint64_t all =
      sse__scan_load(p) | sse__scan_load(p + 8) | sse__scan_load(p + 16) | sse__scan_load(p + 24);
  return (all & SSE__SCAN_HIGHS) == 0;
}

bool sse__utf8_valid(const void *bytes, size_t len) {
  const unsigned char *p = bytes;
  unsigned state = ACCEPT;
  /* Most blocks are ASCII; between characters such a block leaves the state as it is. */
  for (; len >= 32; p += 32, len -= 32) {
    if (state == ACCEPT && is_ascii_32(p)) continue;
    state = utf8_run(state, p, 32);
    if (state == REJECT) return false;
  }
  return utf8_run(state, p, len) == ACCEPT;
}
