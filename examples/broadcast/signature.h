/* SPDX-License-Identifier: MIT */
/* signature.h: lists of channels that are signed with HMAC-SHA256, for sites without JWT. */
#ifndef BROADCAST_SIGNATURE_H
#define BROADCAST_SIGNATURE_H

#include <stdint.h>

#include "channels.h"

/* 1 if the program was built with libcrypto. */
int signature_is_built_in(void);

/*
 * 1 if the signature, 64 hexadecimal digits, is that of the channels and of `expires` with one of
 * the secrets, which are a list that ends with NULL. What is signed is these lines, each ended by a
 * newline: the word subscribe; expires, in decimal; and each channel once, in the order of their
 * bytes.
 */
int signature_matches(const char *signature, const char *const *secrets, uint64_t expires,
                      const struct channels *channels);

#endif
