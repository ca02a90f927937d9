/* SPDX-License-Identifier: MIT */
/* sign.h: tokens and signatures that tests make with libcrypto, and not with what they test. */
#ifndef TESTS_BROADCAST_SIGN_H
#define TESTS_BROADCAST_SIGN_H

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "client.h"

static inline char *base64url(char *to, const void *bytes, size_t len) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const unsigned char *from = bytes;
  unsigned bits = 0, count = 0;
  for (size_t i = 0; i < len; i++) {
    bits = (bits << 8 | from[i]) & 0xffff;
    for (count += 8; count >= 6;) {
      count -= 6;
      *to++ = digits[bits >> count & 63];
    }
  }
  if (count > 0) *to++ = digits[bits << (6 - count) & 63];
  *to = '\0';
  return to;
}

static inline void sign_hmac(unsigned char digest[32], const char *secret, const char *text) {
  unsigned len = 0;
  assert_non_null(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text,
                       strlen(text), digest, &len));
  assert_int_equal(len, 32);
}

/* RS256; or ES256, whose signature is two numbers of 32 bytes and not DER. Gives the length. */
static inline size_t sign_key(unsigned char *signature, size_t cap, EVP_PKEY *key,
                              const char *text) {
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
  assert_int_equal(
      EVP_DigestSign(context, signature, &cap, (const unsigned char *)text, strlen(text)), 1);
  EVP_MD_CTX_free(context);
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return cap;
  const unsigned char *at = signature;
  ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)cap);
  assert_non_null(pair);
  assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32), 32);
  assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32), 32);
  ECDSA_SIG_free(pair);
  return 64;
}

/* Signs with the key, or with the secret if the key is NULL, or not at all if that is NULL, too. */
static inline void make_token(char *token, const char *header, const char *claims, EVP_PKEY *key,
                              const char *secret) {
  unsigned char signature[1024];
  size_t len = 0;
  char *at = base64url(token, header, strlen(header));
  *at++ = '.';
  at = base64url(at, claims, strlen(claims));
  if (key) {
    len = sign_key(signature, sizeof signature, key, token);
  } else if (secret) {
    sign_hmac(signature, secret, token);
    len = 32;
  }
  *at++ = '.';
  base64url(at, signature, len);
}

static inline void write_public_key(const char *path, EVP_PKEY *key) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_int_equal(PEM_write_PUBKEY(file, key), 1);
  assert_int_equal(fclose(file), 0);
}

#endif
