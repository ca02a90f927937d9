/* SPDX-License-Identifier: MIT */
/* access.h: the secrets, keys and origins in force, which a reload replaces. */
#ifndef BROADCAST_ACCESS_H
#define BROADCAST_ACCESS_H

#include <sse/sse.h>

#include "signature.h"
#include "token.h"

#define ORIGIN_BYTES_MAX 255

struct access;

/* What is in force. The lists end with NULL; NULL: an empty one. */
struct access_lists {
  const char *const *secrets; /* to publish */
  const char *const *signing; /* that sign lists of channels */
  const char *const *origins;
  struct token_keys keys;
};

/* NULL: no memory. All its lists are empty. */
struct access *access_new(void);
void access_free(struct access *access);

/* Replaces all lists. Those of texts are copied; the keys are taken over, and their list is empty
 * then. 0; or -1, and nothing is changed. */
int access_set(struct access *access, struct access_lists *lists);

/* What there is to show. */
enum access_kind {
  ACCESS_SECRET = 1, /* there is a publish secret */
  ACCESS_TOKEN = 2,  /* there is a key for tokens */
  ACCESS_SIGNED = 4  /* there is a secret that signs lists */
};
unsigned access_kinds(struct access *access);

/* 1 if the text is a publish secret; the time does not depend on which, nor on how much of it is
 * right. `text` may be NULL. */
int access_knows(struct access *access, const char *text);

/* token_read and signature_matches with what is in force. */
const char *access_read_token(struct access *access, struct token *token, const char *text);
int access_signed(struct access *access, const char *signature, uint64_t expires,
                  const struct channels *channels);

/* 1 if pages of this origin may read answers; `allow` gets the value of
 * Access-Control-Allow-Origin, and `is_any` is 1 if all may. */
int access_allows(struct access *access, const char *origin, char allow[ORIGIN_BYTES_MAX + 1],
                  int *is_any);

/* The origins for the head of a stream, NULL: none, between these two calls. */
const char *const *access_lock_origins(struct access *access);
void access_unlock(struct access *access);

#endif
