/* SPDX-License-Identifier: MIT */
/* url.c: the parts that the URLs of all logs in servers have. */
#include "url.h"

#include <string.h>

int url_refuse(const char **problem, const char *sentence) {
  *problem = sentence;
  return -1;
}

char *url_cut(char *text, const char *bytes) {
  char *end = text + strcspn(text, bytes);
  if (!*end) return NULL;
  *end = '\0';
  return end + 1;
}

static int hex(char digit) {
  const char *digits = "0123456789abcdef0123456789ABCDEF",
             *at = digit ? strchr(digits, digit) : NULL;
  return at ? (int)(at - digits) % 16 : -1;
}

int url_decode(char *text) {
  char *to = text;
  for (const char *from = text; *from; from++) {
    int byte = (unsigned char)*from;
    if (byte == '%') {
      int high = hex(from[1]);
      int low = high >= 0 ? hex(from[2]) : -1;
      byte = high * 16 + low;
      if (low < 0 || byte == 0) return -1;
      from += 2;
    }
    *to++ = (char)byte;
  }
  *to = '\0';
  return 0;
}

int url_is_number(const char *text, size_t digits_max) {
  size_t digits = strspn(text, "0123456789");
  return digits > 0 && digits <= digits_max && !text[digits];
}

int url_parse_user(char **at, const char **user, const char **password, const char **problem) {
  char *name = *at, *end = strrchr(name, '@');
  if (!end) return 0;
  *end = '\0';
  *at = end + 1;
  char *secret = url_cut(name, ":");
  if (url_decode(name) || (secret && url_decode(secret)))
    return url_refuse(problem,
                      "the user or the password in the URL has a % without two hex digits");
  *user = *name ? name : NULL;
  *password = secret;
  return 0;
}

int url_parse_host(char *at, const char **host, const char **port, const char **problem) {
  char *behind;
  if (*at == '[') {
    char *end = url_cut(at + 1, "]");
    if (!end || (*end && *end != ':'))
      return url_refuse(problem, "the IPv6 address in the URL has no closing bracket");
    *host = at + 1;
    behind = *end ? end + 1 : NULL;
  } else {
    behind = url_cut(at, ":");
    if (*at) *host = at;
  }
  if (behind) *port = behind;
  return url_is_number(*port, 5) ? 0 : url_refuse(problem, "the port in the URL is not a number");
}

char *url_take_option(char **at, char **value) {
  char *name = *at;
  if (!name || !*name) return NULL;
  *at = url_cut(name, "&");
  *value = url_cut(name, "=");
  if (*value && url_decode(*value)) *value = NULL;
  return name;
}
