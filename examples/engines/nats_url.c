/* SPDX-License-Identifier: MIT */
/* nats_url.c: the URL that says where a log in NATS JetStream is. */
#include "nats_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "url.h"

/* Printable ASCII only, since the names go into commands and JSON. */
static int is_name(const char *text, const char *refused, size_t bytes_max) {
  size_t len = strlen(text);
  if (len == 0 || len > bytes_max || text[strcspn(text, refused)]) return 0;
  for (size_t i = 0; i < len; i++)
    if (text[i] <= ' ' || text[i] > '~') return 0;
  return 1;
}

static int is_subject(const char *text) {
  return is_name(text, "*>\"\\", SUBJECT_BYTES_MAX) && *text != '.' && *text != '$' &&
         text[strlen(text) - 1] != '.' && !strstr(text, "..");
}

static int parse_option(struct nats_url *url, const char *name, const char *value,
                        const char **problem) {
  if (!value) return url_refuse(problem, "an option of the URL has no valid value");
  if (strcmp(name, "subject") == 0)
    url->subject = value;
  else if (strcmp(name, "replicas") == 0 && *value >= '1' && *value <= '5' && !value[1])
    url->replicas = value;
  else
    return url_refuse(problem, "the options of a NATS URL are subject=NAME and replicas=1 to 5");
  return 0;
}

static int parse_options(struct nats_url *url, char *at, const char **problem) {
  for (char *name, *value; (name = url_take_option(&at, &value));)
    if (parse_option(url, name, value, problem)) return -1;
  return 0;
}

static void derive_subject(struct nats_url *url) {
  char *to = url->own_subject;
  for (const char *from = url->stream; *from; from++)
    *to++ = *from >= 'A' && *from <= 'Z' ? (char)(*from - 'A' + 'a') : *from;
  memcpy(to, ".log", sizeof ".log");
  url->subject = url->own_subject;
}

static int parse(struct nats_url *url, char *at, const char **problem) {
  char *options = url_cut(at, "?");
  char *login = at;
  if (url_parse_user(&at, &url->user, &url->password, problem)) return -1;
  if (at != login && !url->user)
    return url_refuse(problem, "the URL has a password without a user");
  char *stream = url_cut(at, "/");
  if (stream && url_decode(stream))
    return url_refuse(problem, "the stream in the URL has a % without two hex digits");
  if (stream && *stream) url->stream = stream;
  if (url_parse_host(at, &url->host, &url->port, problem) || parse_options(url, options, problem))
    return -1;
  if (!is_name(url->stream, ".*>/\\\"", STREAM_BYTES_MAX))
    return url_refuse(problem,
                      "the stream in the URL has an invalid name, or one that is too long");
  if (!url->subject) derive_subject(url);
  if (!is_subject(url->subject))
    return url_refuse(problem, "the subject in the URL is not valid for messages of a log");
  return 0;
}

int nats_url_parse(struct nats_url *url, const char *text, const char **problem) {
  static const char start[] = "nats://", tls[] = "tls://";
  *url = (struct nats_url){.host = "localhost", .port = "4222", .stream = "SSE", .replicas = "1"};
  if (!text) return url_refuse(problem, "a NATS log needs a URL, such as nats://localhost:4222");
  if (strncmp(text, tls, sizeof tls - 1) == 0)
    return url_refuse(problem, "TLS (tls://) is not built in; a tunnel such as stunnel adds it");
  if (strncmp(text, start, sizeof start - 1) != 0)
    return url_refuse(problem, "the URL of a NATS log begins with nats://");
  url->memory = strdup(text + sizeof start - 1);
  return url->memory ? parse(url, url->memory, problem) : url_refuse(problem, "out of memory");
}

void nats_url_free(struct nats_url *url) {
  free(url->memory);
}
