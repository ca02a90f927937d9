/* SPDX-License-Identifier: MIT */
/* amqp_url.c: the URL that says where a log in RabbitMQ is. */
#include "amqp_url.h"

#include <stdlib.h>
#include <string.h>

#include "url.h"

enum {
  MAX_BYTES = 1000000000,
  SEGMENTS = 16,
  NAME_BYTES_MAX = 255 /* of a queue or a vhost, by AMQP */
};

static int parse_number(long long *number, const char *text) {
  *number = url_is_number(text, 15) ? strtoll(text, NULL, 10) : 0;
  return *number > 0 ? 0 : -1;
}

static int parse_option(struct amqp_url *url, const char *name, const char *value,
                        const char **problem) {
  static const char options[] =
      "the options of an AMQP URL are queue=NAME, max-bytes=NUMBER and segment-bytes=NUMBER";
  if (!value || !*value) return url_refuse(problem, "an option of the URL has no valid value");
  if (strcmp(name, "queue") == 0)
    url->queue = value;
  else if (strcmp(name, "max-bytes") == 0)
    return parse_number(&url->max_bytes, value) ? url_refuse(problem, options) : 0;
  else if (strcmp(name, "segment-bytes") == 0)
    return parse_number(&url->segment_bytes, value) ? url_refuse(problem, options) : 0;
  else
    return url_refuse(problem, options);
  return 0;
}

static int parse_options(struct amqp_url *url, char *at, const char **problem) {
  for (char *name, *value; (name = url_take_option(&at, &value));)
    if (parse_option(url, name, value, problem)) return -1;
  return 0;
}

static int parse(struct amqp_url *url, char *text, const char **problem) {
  static const char plain[] = "amqp://", tls[] = "amqps://";
  if (strncmp(text, tls, sizeof tls - 1) == 0)
    return url_refuse(problem, "TLS (amqps://) is not built in; a tunnel such as stunnel adds it");
  if (strncmp(text, plain, sizeof plain - 1) != 0)
    return url_refuse(problem, "the URL of a log in RabbitMQ begins with amqp://");
  char *at = text + sizeof plain - 1;
  char *options = url_cut(at, "?");
  if (url_parse_user(&at, &url->user, &url->password, problem)) return -1;
  if (url->user && !url->password)
    return url_refuse(problem, "the URL has a user without a password");
  char *vhost = url_cut(at, "/");
  if (vhost && url_decode(vhost)) return url_refuse(problem, "the vhost in the URL is not valid");
  if (vhost && *vhost) url->vhost = vhost;
  if (url_parse_host(at, &url->host, &url->port, problem) || parse_options(url, options, problem))
    return -1;
  if (strlen(url->vhost) > NAME_BYTES_MAX || strlen(url->queue) > NAME_BYTES_MAX)
    return url_refuse(problem, "the vhost or the queue in the URL is longer than 255 bytes");
  if (url->segment_bytes == 0) url->segment_bytes = url->max_bytes / SEGMENTS + 1;
  return 0;
}

int amqp_url_parse(struct amqp_url *url, const char *text, const char **problem) {
  *url = (struct amqp_url){.host = "localhost",
                           .port = "5672",
                           .user = "guest",
                           .password = "guest",
                           .vhost = "/",
                           .queue = "sse-log",
                           .max_bytes = MAX_BYTES};
  if (!text) return url_refuse(problem, "a log in RabbitMQ needs a URL, such as amqp://localhost");
  url->memory = strdup(text);
  return url->memory ? parse(url, url->memory, problem) : url_refuse(problem, "out of memory");
}

void amqp_url_free(struct amqp_url *url) {
  free(url->memory);
}
