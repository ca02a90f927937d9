/* SPDX-License-Identifier: MIT */
/* authorize.c: who may publish, subscribe and operate. */
#include "authorize.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "subscription.h"

enum {
  LEEWAY_S = 30 /* by which clocks may differ */
};

static const struct verdict permitted = {.status = 0};

__attribute__((format(printf, 2, 3))) static struct verdict refuse(int status, const char *format,
                                                                   ...);

static struct verdict refuse(int status, const char *format, ...) {
  struct verdict verdict = {.status = status, .header = "WWW-Authenticate: Bearer"};
  va_list args;
  va_start(args, format);
  vsnprintf(verdict.line, sizeof verdict.line, format, args);
  va_end(args);
  return verdict;
}

/* RFC 6750, 3.1. */
static struct verdict refuse_token(const char *problem) {
  struct verdict verdict = refuse(401, "%s", problem);
  verdict.header = "WWW-Authenticate: Bearer error=\"invalid_token\"";
  return verdict;
}

static struct verdict refuse_scope(const char *claim, const char *channel) {
  struct verdict verdict =
      channel
          ? refuse(403, "the claim %s of the token does not cover the channel %s", claim, channel)
          : refuse(403, "the token has no claim %s that is enough for this", claim);
  verdict.header = "WWW-Authenticate: Bearer error=\"insufficient_scope\"";
  return verdict;
}

/* ---- Who sends the request ---- */

static const char *bearer_of(const struct request *request) {
  static const char scheme[] = "Bearer ";
  const char *value = request_header(request, "Authorization");
  if (!value || strncasecmp(value, scheme, sizeof scheme - 1) != 0) return NULL;
  value += sizeof scheme - 1;
  return value + strspn(value, " ");
}

/* The value in the header Cookie (RFC 6265, 5.4), without quotes; `len` is its length. */
static const char *cookie_of(const struct request *request, const char *name, size_t *len) {
  const char *at = name ? request_header(request, "Cookie") : NULL;
  size_t name_len = name ? strlen(name) : 0;
  while (at && *at != '\0') {
    at += strspn(at, "; ");
    size_t pair = strcspn(at, ";");
    if (pair > name_len && strncmp(at, name, name_len) == 0 && at[name_len] == '=') {
      const char *value = at + name_len + 1;
      value += *value == '"';
      *len = strcspn(value, "\"; ");
      return value;
    }
    at += pair;
  }
  return NULL;
}

/* A token that is there and invalid is not passed over for another one. */
static char *find_token(const struct server *server, const struct params *params) {
  size_t len = 0;
  const char *token = bearer_of(params->request);
  if (!token) token = params_get(params, "access_token");
  if (token)
    len = strlen(token);
  else
    token = cookie_of(params->request, server->options->jwt_cookie, &len);
  return token ? strndup(token, len) : NULL;
}

static void read_token(struct caller *caller) {
  char *text = find_token(caller->server, caller->params);
  if (!text) return;
  caller->has_token = 1;
  caller->problem = access_read_token(caller->server->access, &caller->token, text);
  free(text);
}

/* Both places of the secret are compared, so that a wrong one does not hide a right one. */
void caller_read(struct caller *caller, struct server *server, const struct params *params) {
  *caller =
      (struct caller){.server = server, .params = params, .kinds = access_kinds(server->access)};
  int by_key = access_knows(server->access, params_get(params, "key"));
  int by_header = access_knows(server->access, bearer_of(params->request));
  caller->knows_secret = by_key || by_header;
  if ((caller->kinds & ACCESS_TOKEN) && !by_header) read_token(caller);
}

void caller_free(struct caller *caller) {
  token_free(&caller->token);
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A token is good until `exp`, or for what is over at once a little longer. */
static struct verdict check_token(const struct caller *caller, const char *purpose, int leeway_s) {
  double now = now_s();
  if (!caller->has_token) return refuse(401, "%s", purpose);
  if (caller->problem) return refuse_token(caller->problem);
  if (caller->token.expires + leeway_s <= now) return refuse_token("the token has expired");
  if (caller->token.begins - LEEWAY_S > now) return refuse_token("the token is not valid yet");
  return permitted;
}

static struct verdict check_claim(const struct token_claim *claim, const char *name,
                                  const struct channels *channels) {
  if (!claim->object) return refuse_scope(name, NULL);
  for (size_t i = 0; channels && i < channels->count; i++)
    if (!token_claim_covers(claim, channels->names[i]))
      return refuse_scope(name, channels->names[i]);
  return permitted;
}

/* ---- Publishing and operating ---- */

/* The origin of the page is that of the server: "http://host" or "https://host". */
static int is_same_origin(const struct request *request, const char *origin) {
  const char *host = strstr(origin, "://");
  return host && request->host && strcasecmp(host + 3, request->host) == 0;
}

/* Browsers say from where a page changes something, and cannot be made to say anything else. */
static struct verdict check_origin(const struct caller *caller) {
  char allow[ORIGIN_BYTES_MAX + 1];
  int is_any;
  const struct request *request = caller->params->request;
  const char *origin = request_header(request, "Origin");
  if (!origin || is_same_origin(request, origin) ||
      access_allows(caller->server->access, origin, allow, &is_any))
    return permitted;
  struct verdict verdict = refuse(403, "pages of this origin may not do that: see --origin");
  verdict.header = NULL;
  return verdict;
}

/* By the secret, or by anyone. */
static int is_free(const struct caller *caller) {
  return caller->knows_secret || !(caller->kinds & (ACCESS_SECRET | ACCESS_TOKEN));
}

static struct verdict check_publisher(const struct caller *caller) {
  if (!(caller->kinds & ACCESS_TOKEN)) return refuse(401, "the publish secret is missing or wrong");
  return check_token(caller, "publishing and operating need a token or the publish secret",
                     LEEWAY_S);
}

struct verdict authorize_operate(const struct caller *caller) {
  struct verdict verdict = permitted;
  if (!is_free(caller)) {
    verdict = check_publisher(caller);
    if (!verdict.status && !token_claim_covers_all(&caller->token.publish))
      verdict = refuse_scope("publish", NULL);
  }
  return verdict.status ? verdict : check_origin(caller);
}

struct verdict authorize_publish(const struct caller *caller, const struct channels *channels) {
  struct verdict verdict = permitted;
  if (!is_free(caller)) {
    verdict = check_publisher(caller);
    if (!verdict.status) verdict = check_claim(&caller->token.publish, "publish", channels);
  }
  return verdict.status ? verdict : check_origin(caller);
}

/* ---- Subscribing ---- */

static int32_t ms_until(double expires) {
  double ms = (expires - now_s()) * 1e3;
  if (ms >= INT32_MAX) return INT32_MAX;
  return ms < 1 ? 1 : (int32_t)ms;
}

static struct verdict check_signed(const struct caller *caller, const struct channels *channels,
                                   double *expires) {
  uint32_t seconds;
  const char *signature = params_get(caller->params, "signature");
  const char *until = params_get(caller->params, "expires");
  if (!signature || !until) return refuse(401, "a parameter is missing: signature or expires");
  if (subscription_number(until, &seconds) != 0)
    return refuse(401, "expires is the seconds since 1970, a whole number");
  if (!access_signed(caller->server->access, signature, seconds, channels))
    return refuse(401, "the signature does not match expires and the channels");
  if (seconds <= now_s()) return refuse(401, "the signed list has expired");
  *expires = seconds;
  return permitted;
}

struct verdict authorize_subscribe(const struct caller *caller, const struct channels *channels,
                                   int32_t *life_ms) {
  struct verdict verdict = permitted;
  double expires = INFINITY;
  int is_signed = (caller->kinds & ACCESS_SIGNED) &&
                  (!(caller->kinds & ACCESS_TOKEN) || params_get(caller->params, "signature"));
  if (is_signed) {
    verdict = check_signed(caller, channels, &expires);
  } else if (caller->kinds & ACCESS_TOKEN) {
    verdict = check_token(caller, "subscribing needs a token", 0);
    if (!verdict.status) verdict = check_claim(&caller->token.subscribe, "subscribe", channels);
    expires = caller->token.expires;
  }
  if (life_ms) *life_ms = isinf(expires) ? 0 : ms_until(expires);
  return verdict;
}
