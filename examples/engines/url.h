/* SPDX-License-Identifier: MIT */
/* url.h: the parts that the URLs of all logs in servers have. */
#ifndef ENGINE_URL_H
#define ENGINE_URL_H

#include <stddef.h>

/* All functions work in place. Those that return an int return 0, or -1: the text is not valid, and
 * `problem` is a sentence that has nothing of the text. */

/* Ends the string at the first of these bytes, which may be missing: what stands behind it, or
 * NULL. */
char *url_cut(char *text, const char *bytes);
/* Decodes percent-encoded bytes; none may stand for NUL. There is no sentence. */
int url_decode(char *text);
int url_is_number(const char *text, size_t digits_max);
int url_refuse(const char **problem, const char *sentence); /* -1 */

/* Moves *at behind "user:password@", "user@" or ":password@", in which what is not there becomes
 * NULL. Without an @, nothing is changed. */
int url_parse_user(char **at, const char **user, const char **password, const char **problem);
/* "host", "host:port" or "[IPv6 address]:port"; what is not there is not changed. */
int url_parse_host(char *at, const char **host, const char **port, const char **problem);
/* Moves *at, which may be NULL, behind the next "name=value" of "a=b&c=d": the name, or NULL at the
 * end. The value is decoded; NULL: it is missing, or not valid. */
char *url_take_option(char **at, char **value);

#endif
