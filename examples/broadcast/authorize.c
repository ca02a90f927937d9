/* SPDX-License-Identifier: MIT */
/* authorize.c: who may publish, subscribe and operate. */
#include "authorize.h"

#include <string.h>
#include <strings.h>

static const char *bearer_of(const struct request *request) {
  static const char scheme[] = "Bearer ";
  const char *value = request_header(request, "Authorization");
  if (!value || strncasecmp(value, scheme, sizeof scheme - 1) != 0) return NULL;
  value += sizeof scheme - 1;
  return value + strspn(value, " ");
}

/* The origin of the page is that of the server: "http://host" or "https://host". */
static int is_same_origin(const struct request *request, const char *origin) {
  const char *host = strstr(origin, "://");
  return host && request->host && strcasecmp(host + 3, request->host) == 0;
}

/* Browsers say from where a page changes something, and cannot be made to say anything else. */
static struct verdict check_origin(struct server *server, const struct request *request) {
  char allow[ORIGIN_BYTES_MAX + 1];
  int is_any;
  const char *origin = request_header(request, "Origin");
  if (!origin || is_same_origin(request, origin) ||
      access_allows(server->access, origin, allow, &is_any))
    return (struct verdict){.status = 0};
  return (struct verdict){403, "pages of this origin may not do that: see --origin"};
}

/* Both are compared, so that a wrong one does not hide a right one. */
static struct verdict check_secret(struct server *server, const struct params *params) {
  int by_key = access_knows(server->access, params_get(params, "key"));
  int by_header = access_knows(server->access, bearer_of(params->request));
  if (by_key || by_header) return (struct verdict){.status = 0};
  return (struct verdict){401, "the publish secret is missing or wrong"};
}

struct verdict authorize_operate(struct server *server, const struct params *params) {
  struct verdict verdict = check_secret(server, params);
  return verdict.status ? verdict : check_origin(server, params->request);
}

struct verdict authorize_publish(struct server *server, const struct params *params,
                                 const struct channels *channels) {
  (void)channels;
  return authorize_operate(server, params);
}

struct verdict authorize_subscribe(struct server *server, const struct params *params,
                                   const struct channels *channels) {
  (void)server, (void)params, (void)channels;
  return (struct verdict){.status = 0};
}
