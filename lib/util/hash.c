/* SPDX-License-Identifier: MIT */
/* hash.c: SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). */
#include "util/hash.h"

#include "util/scan.h"

struct sip_state {
  uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t x, int bits) {
  return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip_state *s) {
  s->v0 += s->v1;
  s->v1 = rotate(s->v1, 13) ^ s->v0;
  s->v0 = rotate(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = rotate(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = rotate(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = rotate(s->v1, 17) ^ s->v2;
  s->v2 = rotate(s->v2, 32);
}

/* Loads the last bytes, fewer than eight, as little-endian on every machine. */
static inline uint64_t load_rest(const unsigned char *p, size_t n) {
  uint64_t w = 0;
  for (size_t i = 0; i < n; i++) w |= (uint64_t)p[i] << (8 * i);
  return w;
}

static inline void absorb(struct sip_state *s, uint64_t w) {
  s->v3 ^= w;
  sip_round(s);
  s->v0 ^= w;
}

uint64_t sse__hash(const uint64_t key[2], const void *data, size_t len) {
  const unsigned char *p = data;
  struct sip_state s = {
      key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
      key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
  size_t left = len;
  for (; left >= 8; left -= 8, p += 8) absorb(&s, sse__scan_load(p));
  absorb(&s, load_rest(p, left) | (uint64_t)len << 56);
  s.v2 ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(&s);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
