/* SPDX-License-Identifier: MIT */
/* token.h: JSON Web Tokens (RFC 7519), and the keys that verify them. */
#ifndef BROADCAST_TOKEN_H
#define BROADCAST_TOKEN_H

#include <stddef.h>

#include "json.h"

#define TOKEN_BYTES_MAX 8192 /* a longer token is refused before it is decoded */

/* A key verifies tokens of one algorithm, whatever a token says of itself. */
enum token_algorithm {
  TOKEN_HS256,
  TOKEN_RS256,
  TOKEN_ES256
};

struct token_key {
  enum token_algorithm algorithm;
  unsigned char *bytes; /* a secret; or a public key in PEM */
  size_t len;
};

/* All zeros is an empty list. */
struct token_keys {
  struct token_key *items;
  size_t count;
};

/* 1 if the program was built with libjwt. Without it there are no keys. */
int token_is_built_in(void);

/* Adds a secret for HS256: a text, or `base64:` and its bytes. NULL, or what is wrong: a literal. */
const char *token_keys_add_secret(struct token_keys *keys, const char *text);

/* Adds the public key in a file; `where` is RS256:FILE or ES256:FILE. NULL, or what is wrong. */
const char *token_keys_add_file(struct token_keys *keys, const char *where);

void token_keys_free(struct token_keys *keys);

/* A claim that is an array of patterns (pattern.h). */
struct token_claim {
  char *text;
  struct json_object *object; /* its first member has the patterns; NULL: no such claim */
};

struct token {
  struct token_claim subscribe, publish;
  double expires, begins; /* seconds since 1970, `exp` and `nbf`; infinite if the token has none */
};

/*
 * Reads a token and verifies its signature, but does not look at the clock. NULL; or what is wrong:
 * a literal, and the token is empty.
 */
const char *token_read(struct token *token, const struct token_keys *keys, const char *text);
void token_free(struct token *token);

/* 1 if the claim has a pattern that covers the channel. */
int token_claim_covers(const struct token_claim *claim, const char *channel);

/* 1 if the claim has the pattern `*`. */
int token_claim_covers_all(const struct token_claim *claim);

#endif
