/* SPDX-License-Identifier: MIT */
/* pattern.h: which channels a pattern covers. */
#ifndef BROADCAST_PATTERN_H
#define BROADCAST_PATTERN_H

/*
 * 1 if the pattern covers the channel. `*` covers all channels. A pattern that ends with a slash
 * and an asterisk covers the channels whose names begin with what is before the asterisk, so that
 * orders and ordersX are not among those of orders/. Any other pattern is the name of one channel,
 * and an asterisk in it has no meaning.
 */
int pattern_covers(const char *pattern, const char *channel);

/* 0: the pattern is a name; else one more than the bytes of its prefix, which is 1 for `*`. */
int pattern_prefix(const char *pattern);

#endif
