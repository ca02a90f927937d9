/* SPDX-License-Identifier: MIT */
/* redis_url.c: the URL that says where a log in Redis is. */
#include "redis_url.h"

#include <stdlib.h>
#include <string.h>

#include "url.h"

static int parse_option(struct redis_url *url, const char *name, const char *value,
                        const char **problem) {
  if (!value) return url_refuse(problem, "an option of the URL has no valid value");
  if (strcmp(name, "key") == 0 && *value)
    url->key = value;
  else if (strcmp(name, "db") == 0)
    url->database = value;
  else if (strcmp(name, "durable") == 0 && (*value == '0' || *value == '1') && !value[1])
    url->durable = *value == '1';
  else
    return url_refuse(problem,
                      "the options of a Redis URL are key=NAME, db=NUMBER and durable=1 or 0");
  return 0;
}

static int parse_options(struct redis_url *url, char *at, const char **problem) {
  for (char *name, *value; (name = url_take_option(&at, &value));)
    if (parse_option(url, name, value, problem)) return -1;
  return 0;
}

static int parse_network(struct redis_url *url, char *at, const char **problem) {
  char *options = url_cut(at, "?");
  if (url_parse_user(&at, &url->user, &url->password, problem)) return -1;
  if (url->user && !url->password)
    return url_refuse(problem, "the URL has a user without a password");
  char *database = url_cut(at, "/");
  if (database && *database) url->database = database;
  if (url_parse_host(at, &url->host, &url->port, problem)) return -1;
  return parse_options(url, options, problem);
}

static int parse_unix(struct redis_url *url, char *at, const char **problem) {
  char *options = url_cut(at, "?");
  if (*at != '/' || url_decode(at))
    return url_refuse(problem, "the URL of a Unix socket is redis+unix:///path/of/the/socket");
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
    return url_refuse(problem, "TLS (rediss://) is not built in; a tunnel such as stunnel adds it");
  else
    return url_refuse(problem, "the URL of a Redis log begins with redis:// or redis+unix://");
  if (!error && !url_is_number(url->database, 9))
    return url_refuse(problem, "the database in the URL is not a number");
  return error;
}

int redis_url_parse(struct redis_url *url, const char *text, const char **problem) {
  *url = (struct redis_url){.host = "localhost", .port = "6379", .database = "0", .key = "sse-log"};
  if (!text) return url_refuse(problem, "a Redis log needs a URL, such as redis://localhost:6379");
  url->memory = strdup(text);
  return url->memory ? parse(url, url->memory, problem) : url_refuse(problem, "out of memory");
}

void redis_url_free(struct redis_url *url) {
  free(url->memory);
}
