/* SPDX-License-Identifier: MIT */
/* signature.c: lists of channels that are signed with HMAC-SHA256, by libcrypto. */
#include "signature.h"

#if defined(BROADCAST_CRYPTO)

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum {
  DIGEST_BYTES = 32
};

int signature_is_built_in(void) {
  return 1;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_text(struct text *text, uint64_t expires, const struct channels *channels) {
  struct channels sorted = *channels;
  qsort(sorted.names, sorted.count, sizeof *sorted.names, compare);
  text_add(text, "subscribe\n%llu\n", (unsigned long long)expires);
  for (size_t i = 0; i < sorted.count; i++) text_add(text, "%s\n", sorted.names[i]);
}

static int read_hex(unsigned char digest[DIGEST_BYTES], const char *hex) {
  static const char digits[] = "0123456789abcdef0123456789ABCDEF";
  if (strlen(hex) != (size_t)2 * DIGEST_BYTES) return -1;
  memset(digest, 0, DIGEST_BYTES);
  for (size_t i = 0; i < (size_t)2 * DIGEST_BYTES; i++) {
    const char *at = strchr(digits, hex[i]);
    if (!at) return -1;
    digest[i / 2] = (unsigned char)(digest[i / 2] << 4 | ((at - digits) & 15));
  }
  return 0;
}

/* All secrets are tried, so that the time does not tell which one it was. */
int signature_matches(const char *signature, const char *const *secrets, uint64_t expires,
                      const struct channels *channels) {
  unsigned char given[DIGEST_BYTES], right[EVP_MAX_MD_SIZE];
  struct text text = {.len = 0};
  int matches = 0;
  if (read_hex(given, signature) != 0) return 0;
  write_text(&text, expires, channels);
  for (size_t i = 0; secrets && secrets[i] && !text.failed; i++) {
    unsigned len = 0;
    if (HMAC(EVP_sha256(), secrets[i], (int)strlen(secrets[i]), (const unsigned char *)text.bytes,
             text.len, right, &len) &&
        len == DIGEST_BYTES)
      matches |= CRYPTO_memcmp(given, right, DIGEST_BYTES) == 0;
  }
  text_free(&text);
  return matches;
}

#else

int signature_is_built_in(void) {
  return 0;
}

int signature_matches(const char *signature, const char *const *secrets, uint64_t expires,
                      const struct channels *channels) {
  (void)signature, (void)secrets, (void)expires, (void)channels;
  return 0;
}

#endif
