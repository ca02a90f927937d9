/* SPDX-License-Identifier: MIT */
/* access.h: the secrets and origins in force, which a reload replaces while requests are served. */
#ifndef BROADCAST_ACCESS_H
#define BROADCAST_ACCESS_H

#include <sse/sse.h>

#define ORIGIN_BYTES_MAX 255

struct access;

/* NULL: no memory. It has no secrets and no origins. */
struct access *access_new(void);
void access_free(struct access *access);

/* Replaces both; the lists end with NULL and are copied. 0 or -1. */
int access_set(struct access *access, const char *const *secrets, const char *const *origins);

/* 1 if there is no secret, or if the text is one; the time does not depend on which, nor on how much
 * of it is right. `text` may be NULL. */
int access_knows(struct access *access, const char *text);

/* 1 if pages of this origin may read answers; `allow` gets the value of
 * Access-Control-Allow-Origin, and `is_any` is 1 if all may. */
int access_allows(struct access *access, const char *origin, char allow[ORIGIN_BYTES_MAX + 1],
                  int *is_any);

/* The origins for the head of a stream, NULL: none, between these two calls. */
const char *const *access_lock_origins(struct access *access);
void access_unlock(struct access *access);

#endif
