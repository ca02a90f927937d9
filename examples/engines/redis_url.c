/* SPDX-License-Identifier: MIT */
/* redis_url.c: the URL that says where a log in Redis is. */
#include "redis_url.h"

#include <stdlib.h>
#include <string.h>

static int refuse(const char **problem, const char *sentence) {
  *problem = sentence;
  return -1;
}

/* Ends the string at the first of these bytes, which may be missing: what stands behind it. */
static char *cut(char *text, const char *bytes) {
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

/* In place. -1: an escape is not complete, or stands for NUL. */
static int decode(char *text) {
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

static int is_number(const char *text, size_t digits_max) {
  size_t digits = strspn(text, "0123456789");
  return digits > 0 && digits <= digits_max && !text[digits];
}

static int parse_option(struct redis_url *url, char *name, const char **problem) {
  char *value = cut(name, "=");
  if (!value || decode(value)) return refuse(problem, "an option of the URL has no valid value");
  if (strcmp(name, "key") == 0 && *value)
    url->key = value;
  else if (strcmp(name, "db") == 0)
    url->database = value;
  else if (strcmp(name, "durable") == 0 && (*value == '0' || *value == '1') && !value[1])
    url->durable = *value == '1';
  else
    return refuse(problem, "the options of a Redis URL are key=NAME, db=NUMBER and durable=1 or 0");
  return 0;
}

static int parse_options(struct redis_url *url, char *at, const char **problem) {
  while (at && *at) {
    char *next = cut(at, "&");
    if (parse_option(url, at, problem)) return -1;
    at = next;
  }
  return 0;
}

/* "user:password", "user" or ":password" */
static int parse_user(struct redis_url *url, char *at, const char **problem) {
  char *password = cut(at, ":");
  if (decode(at) || (password && decode(password)))
    return refuse(problem, "the user or the password in the URL has a % without two hex digits");
  url->user = *at ? at : NULL;
  url->password = password;
  if (url->user && !password) return refuse(problem, "the URL has a user without a password");
  return 0;
}

static int parse_host(struct redis_url *url, char *at, const char **problem) {
  char *port;
  if (*at == '[') {
    char *behind = cut(at + 1, "]");
    if (!behind || (*behind && *behind != ':'))
      return refuse(problem, "the IPv6 address in the URL has no closing bracket");
    url->host = at + 1;
    port = *behind ? behind + 1 : NULL;
  } else {
    port = cut(at, ":");
    if (*at) url->host = at;
  }
  if (port) url->port = port;
  return is_number(url->port, 5) ? 0 : refuse(problem, "the port in the URL is not a number");
}

static int parse_network(struct redis_url *url, char *at, const char **problem) {
  char *options = cut(at, "?");
  char *user_end = strrchr(at, '@');
  if (user_end) {
    *user_end = '\0';
    if (parse_user(url, at, problem)) return -1;
    at = user_end + 1;
  }
  char *database = cut(at, "/");
  if (database && *database) url->database = database;
  return parse_host(url, at, problem) || parse_options(url, options, problem) ? -1 : 0;
}

static int parse_unix(struct redis_url *url, char *at, const char **problem) {
  char *options = cut(at, "?");
  if (*at != '/' || decode(at))
    return refuse(problem, "the URL of a Unix socket is redis+unix:///path/of/the/socket");
  url->path = at;
  return parse_options(url, options, problem);
}

static int parse(struct redis_url *url, char *text, const char **problem) {
  static const char network[] = "redis://", local[] = "redis+unix://", tls[] = "rediss://";
  int error;
  if (strncmp(text, network, sizeof network - 1) == 0)
    error = parse_network(url, text + sizeof network - 1, problem);
  else if (strncmp(text, local, sizeof local - 1) == 0)
    error = parse_unix(url, text + sizeof local - 1, problem);
  else if (strncmp(text, tls, sizeof tls - 1) == 0)
    return refuse(problem, "TLS (rediss://) is not built in; a tunnel such as stunnel adds it");
  else
    return refuse(problem, "the URL of a Redis log begins with redis:// or redis+unix://");
  if (!error && !is_number(url->database, 9))
    return refuse(problem, "the database in the URL is not a number");
  return error;
}

int redis_url_parse(struct redis_url *url, const char *text, const char **problem) {
  *url = (struct redis_url){.host = "localhost", .port = "6379", .database = "0", .key = "sse-log"};
  if (!text) return refuse(problem, "a Redis log needs a URL, such as redis://localhost:6379");
  url->memory = strdup(text);
  return url->memory ? parse(url, url->memory, problem) : refuse(problem, "out of memory");
}

void redis_url_free(struct redis_url *url) {
  free(url->memory);
}
