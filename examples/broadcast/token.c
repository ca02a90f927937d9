/* SPDX-License-Identifier: MIT */
/* token.c: JSON Web Tokens, verified by libjwt, and the keys that verify them. */
#include "token.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

enum {
  SECRET_BYTES_MIN = 32, /* RFC 7518, 3.2 */
  KEY_FILE_BYTES_MAX = 16384
};

/* ---- Keys ---- */

void token_keys_free(struct token_keys *keys) {
  for (size_t i = 0; i < keys->count; i++) free(keys->items[i].bytes);
  free(keys->items);
  *keys = (struct token_keys){.items = NULL};
}

/* Takes the bytes over, whatever it returns. */
static const char *add_key(struct token_keys *keys, struct token_key key) {
  struct token_key *bigger = realloc(keys->items, (keys->count + 1) * sizeof *bigger);
  if (!bigger) {
    free(key.bytes);
    return "out of memory";
  }
  keys->items = bigger;
  keys->items[keys->count++] = key;
  return NULL;
}

static int digit_of(char c) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (c == '-') c = '+';
  if (c == '_') c = '/';
  const char *at = c ? strchr(digits, c) : NULL;
  return at ? (int)(at - digits) : -1;
}

/* Either alphabet of RFC 4648, padded or not. -1: it is neither. */
static int decode_base64(unsigned char *to, size_t *len, const char *text) {
  unsigned bits = 0, count = 0;
  size_t digits = strlen(text);
  while (digits > 0 && text[digits - 1] == '=') digits--;
  *len = 0;
  for (size_t i = 0; i < digits; i++) {
    int digit = digit_of(text[i]);
    if (digit < 0) return -1;
    bits = (bits << 6 | (unsigned)digit) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    to[(*len)++] = (unsigned char)(bits >> count);
  }
  return digits % 4 == 1 ? -1 : 0;
}

const char *token_keys_add_secret(struct token_keys *keys, const char *text) {
  static const char base64[] = "base64:";
  struct token_key key = {.algorithm = TOKEN_HS256, .len = strlen(text)};
  key.bytes = malloc(key.len + 1);
  if (!key.bytes) return "out of memory";
  memcpy(key.bytes, text, key.len + 1);
  const char *problem = NULL;
  if (strncmp(text, base64, sizeof base64 - 1) == 0 &&
      decode_base64(key.bytes, &key.len, text + sizeof base64 - 1) != 0)
    problem = "base64: is not followed by base64";
  if (!problem && key.len < SECRET_BYTES_MIN) problem = "a secret for HS256 has 32 bytes or more";
  if (!problem) return add_key(keys, key);
  free(key.bytes);
  return problem;
}

/* ---- Claims ---- */

static void claim_free(struct token_claim *claim) {
  free(claim->object);
  free(claim->text);
}

void token_free(struct token *token) {
  claim_free(&token->subscribe);
  claim_free(&token->publish);
  *token = (struct token){.expires = 0};
}

int token_claim_covers(const struct token_claim *claim, const char *channel) {
  const struct json_member *patterns = claim->object ? claim->object->members : NULL;
  for (size_t i = 0; patterns && i < patterns->count; i++)
    if (pattern_covers(patterns->strings[i].text, channel)) return 1;
  return 0;
}

int token_claim_covers_all(const struct token_claim *claim) {
  const struct json_member *patterns = claim->object ? claim->object->members : NULL;
  for (size_t i = 0; patterns && i < patterns->count; i++)
    if (strcmp(patterns->strings[i].text, "*") == 0) return 1;
  return 0;
}

#if defined(BROADCAST_JWT)

#include <jwt.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

int token_is_built_in(void) {
  return 1;
}

/* ---- Keys in files ---- */

static const struct {
  const char *name;
  jwt_alg_t jwt;
  int type; /* of the key, for libcrypto */
} algorithms[] = {[TOKEN_HS256] = {"HS256", JWT_ALG_HS256, 0},
                  [TOKEN_RS256] = {"RS256", JWT_ALG_RS256, EVP_PKEY_RSA},
                  [TOKEN_ES256] = {"ES256", JWT_ALG_ES256, EVP_PKEY_EC}};

static const char *check_key(const struct token_key *key) {
  BIO *bio = BIO_new_mem_buf(key->bytes, (int)key->len);
  EVP_PKEY *public_key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
  const char *problem = NULL;
  if (!public_key)
    problem = "the file has no public key in PEM (BEGIN PUBLIC KEY)";
  else if (EVP_PKEY_get_base_id(public_key) != algorithms[key->algorithm].type)
    problem = "the key is not of this algorithm";
  else if (key->algorithm == TOKEN_RS256 && EVP_PKEY_get_bits(public_key) < 2048)
    problem = "an RSA key has 2048 bits or more";
  else if (key->algorithm == TOKEN_ES256 && EVP_PKEY_get_bits(public_key) != 256)
    problem = "a key for ES256 is on the curve P-256";
  EVP_PKEY_free(public_key);
  BIO_free(bio);
  return problem;
}

static const char *read_key(struct token_key *key, const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) return "the file cannot be read";
  key->bytes = malloc(KEY_FILE_BYTES_MAX);
  key->len = key->bytes ? fread(key->bytes, 1, KEY_FILE_BYTES_MAX, file) : 0;
  int failed = ferror(file);
  fclose(file);
  if (!key->bytes) return "out of memory";
  return failed ? "the file cannot be read" : check_key(key);
}

const char *token_keys_add_file(struct token_keys *keys, const char *where) {
  struct token_key key = {.bytes = NULL};
  const char *path = NULL;
  for (int i = TOKEN_RS256; i <= TOKEN_ES256 && !path; i++) {
    size_t len = strlen(algorithms[i].name);
    if (strncmp(where, algorithms[i].name, len) != 0 || where[len] != ':') continue;
    path = where + len + 1;
    key.algorithm = (enum token_algorithm)i;
  }
  if (!path || *path == '\0') return "a key is RS256:FILE or ES256:FILE";
  const char *problem = read_key(&key, path);
  if (!problem) return add_key(keys, key);
  free(key.bytes);
  return problem;
}

/* ---- Tokens ---- */

/* Of each claim libjwt gives the JSON. */
static const char *read_time(double *time, jwt_t *jwt, const char *name) {
  char *text = jwt_get_grants_json(jwt, name), *end;
  if (!text) return NULL;
  double value = strtod(text, &end);
  int is_number = end != text && *end == '\0' && isfinite(value);
  free(text);
  if (!is_number) return "exp or nbf of the token is not a number";
  *time = value;
  return NULL;
}

static const char *read_patterns(struct token_claim *claim, jwt_t *jwt, const char *name) {
  static const char begin[] = "{\"patterns\":";
  char *array = jwt_get_grants_json(jwt, name);
  if (!array) return NULL;
  size_t len = strlen(array) + sizeof begin;
  claim->text = malloc(len + 1);
  claim->object = calloc(1, sizeof *claim->object);
  const char *problem = "out of memory";
  if (claim->text && claim->object) {
    snprintf(claim->text, len + 1, "%s%s}", begin, array);
    problem = json_read(claim->object, claim->text, len);
    if (problem || claim->object->members[0].kind != JSON_STRINGS)
      problem = "subscribe or publish of the token is not an array of at most 300 strings";
  }
  free(array);
  return problem;
}

static const char *read_claims(struct token *token, jwt_t *jwt) {
  char *all = jwt_get_grants_json(jwt, NULL);
  const char *problem = all && *all == '{' ? NULL : "the claims of the token are not an object";
  free(all);
  if (!problem) problem = read_time(&token->expires, jwt, "exp");
  if (!problem) problem = read_time(&token->begins, jwt, "nbf");
  if (!problem) problem = read_patterns(&token->subscribe, jwt, "subscribe");
  if (!problem) problem = read_patterns(&token->publish, jwt, "publish");
  return problem;
}

/* A critical header (RFC 7515, 4.1.11) changes what the rest means, and none is known here. */
static const char *check_header(jwt_t *jwt, const struct token_keys *keys) {
  char *critical = jwt_get_headers_json(jwt, "crit");
  const char *name = jwt_get_header(jwt, "alg");
  int is_critical = critical != NULL, known = 0;
  free(critical);
  if (is_critical) return "the token has a critical header";
  for (size_t i = 0; i < keys->count && name; i++)
    known |= strcmp(algorithms[keys->items[i].algorithm].name, name) == 0;
  return known ? NULL : "the algorithm of the token is not one of the server's keys";
}

/*
 * libjwt verifies by the algorithm that the token names, with any bytes as the secret of HS256. So
 * only a key of that algorithm counts: a public key is nothing that a client does not know.
 */
static jwt_t *verify(const struct token_keys *keys, const char *text) {
  for (size_t i = 0; i < keys->count; i++) {
    const struct token_key *key = &keys->items[i];
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, text, key->bytes, (int)key->len) != 0) continue;
    if (jwt_get_alg(jwt) == algorithms[key->algorithm].jwt) return jwt;
    jwt_free(jwt);
  }
  return NULL;
}

const char *token_read(struct token *token, const struct token_keys *keys, const char *text) {
  jwt_t *jwt = NULL;
  *token = (struct token){.expires = INFINITY, .begins = -INFINITY};
  if (strlen(text) > TOKEN_BYTES_MAX) return "the token is longer than 8 KiB";
  /* Without a key libjwt reads a token and verifies nothing. */
  if (jwt_decode(&jwt, text, NULL, 0) != 0) return "the token is not a JWT";
  const char *problem = check_header(jwt, keys);
  jwt_free(jwt);
  if (problem) return problem;
  jwt = verify(keys, text);
  if (!jwt) return "the signature of the token is wrong";
  problem = read_claims(token, jwt);
  jwt_free(jwt);
  if (problem) token_free(token);
  return problem;
}

#else

int token_is_built_in(void) {
  return 0;
}

const char *token_keys_add_file(struct token_keys *keys, const char *where) {
  (void)keys, (void)where;
  return "this program was built without libjwt";
}

const char *token_read(struct token *token, const struct token_keys *keys, const char *text) {
  (void)keys, (void)text;
  *token = (struct token){.expires = 0};
  return "this program was built without libjwt";
}

#endif
