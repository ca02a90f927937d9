/* SPDX-License-Identifier: MIT */
/* fuzz_token.c: any header and claims, signed with the key and not; any text as a token. */
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if defined(BROADCAST_JWT)

#include <stdlib.h>
#include <string.h>

#include "../../examples/broadcast/json.c"
#include "../../examples/broadcast/pattern.c"
#include "../../examples/broadcast/token.c"
#include "../broadcast/sign.h"

enum {
  INPUT_BYTES_MAX = 16384
};

static const char secret[] = "a-secret-of-32-bytes-for-fuzzing";

static void require(int holds) {
  if (!holds) abort();
}

/* A token that is refused is empty; what one that is accepted covers is in its claim. */
static void look_at(struct token *token, const char *problem) {
  if (problem) {
    require(!token->subscribe.object && !token->publish.object);
    return;
  }
  require(!isnan(token->expires) && !isnan(token->begins));
  const struct json_object *object = token->subscribe.object;
  if (!object) require(!token_claim_covers(&token->subscribe, "orders/1"));
  for (size_t i = 0; object && i < object->members[0].count; i++) {
    const char *pattern = object->members[0].strings[i].text;
    if (!pattern_prefix(pattern)) require(token_claim_covers(&token->subscribe, pattern));
  }
  if (token_claim_covers_all(&token->publish)) require(token_claim_covers(&token->publish, "any"));
  token_free(token);
}

/* The input has the header in its first line, and behind that the claims. */
static void try_signed(const struct token_keys *keys, char *input) {
  static char text[4 * INPUT_BYTES_MAX];
  struct token token;
  char *claims = strchr(input, '\n');
  if (!claims) return;
  *claims++ = '\0';
  make_token(text, input, claims, NULL, secret);
  look_at(&token, token_read(&token, keys, text));
  make_token(text, input, claims, NULL, "another secret");
  require(token_read(&token, keys, text) != NULL);
  make_token(text, input, claims, NULL, NULL);
  require(token_read(&token, keys, text) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct token_keys keys = {.items = NULL};
  struct token token;
  if (size > INPUT_BYTES_MAX) return 0;
  char *input = malloc(size + 1);
  if (!input) return 0;
  memcpy(input, data, size);
  input[size] = '\0';
  require(token_keys_add_secret(&keys, secret) == NULL);
  require(token_read(&token, &keys, input) != NULL);
  try_signed(&keys, input);
  token_keys_free(&keys);
  free(input);
  return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)data, (void)size;
  return 0;
}

#endif
