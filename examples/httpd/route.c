/* SPDX-License-Identifier: MIT */
/* route.c: who answers a request: a handler, a static page, or nobody. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "conn.h"
#include "page.h"
#include "worker.h"

enum {
  ALLOW_MAX = 128
};

/* Pages change only with the program, so their entity tag is a hash of their bytes (FNV-1a). */
static uint64_t hash_page(const struct page *page) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < page->len; i++) hash = (hash ^ page->data[i]) * 0x100000001b3u;
  return hash;
}

/*
 * no-cache: a browser asks each time whether its copy is still good, so a newer program shows its
 * newer page. The policy lets a page load its own parts and nothing from anywhere else.
 */
static void reply_page(struct httpd_conn *conn, const struct request *request,
                       const struct page *page) {
  char tag[40];
  snprintf(tag, sizeof tag, "ETag: \"%016llx\"", (unsigned long long)hash_page(page));
  const char *headers[] = {
      tag, "Cache-Control: no-cache", "X-Content-Type-Options: nosniff",
      "Content-Security-Policy: default-src 'self'; img-src 'self' data:", NULL};
  const char *known = request_header(request, "If-None-Match");
  int unchanged = known && strstr(known, tag + strlen("ETag: ")) != NULL;
  httpd_reply(conn, &(struct httpd_response){.status = unchanged ? 304 : 200,
                                             .type = page->type,
                                             .body = page->data,
                                             .len = page->len,
                                             .headers = headers});
}

/* Says which methods there are: that is what OPTIONS asks, and why another one is refused. */
static void tell_methods(struct httpd_conn *conn, int status, const char *allow) {
  httpd_reply(conn, &(struct httpd_response){.status = status,
                                             .headers = (const char *const[]){allow, NULL}});
}

/* Adds a method to a list such as "Allow: GET, HEAD"; what does not fit is left out. */
static void allow_method(char *allow, const char *method) {
  size_t len = strlen(allow);
  snprintf(allow + len, ALLOW_MAX - len, "%s%s", len == 0 ? "Allow: " : ", ", method);
  if (strcmp(method, "GET") == 0) allow_method(allow, "HEAD");
}

static int is_our_host(const char *const *hosts, const char *host) {
  if (!hosts) return 1;
  if (!host) return 0;
  size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
  while (*hosts && (strlen(*hosts) != len || strncasecmp(*hosts, host, len) != 0)) hosts++;
  return *hosts != NULL;
}

httpd_handler *route_handler(const struct httpd_conn *conn, const struct request *request) {
  const char *method = strcmp(request->method, "HEAD") == 0 ? "GET" : request->method;
  const struct httpd_route *route = conn->worker->config->routes;
  for (; route && route->path; route++)
    if (strcmp(route->path, request->path) == 0 && strcmp(route->method, method) == 0)
      return route->handler;
  return NULL;
}

void route_request(struct httpd_conn *conn, const struct request *request) {
  const struct httpd_config *config = conn->worker->config;
  const char *method = conn->head_only ? "GET" : request->method;
  char allow[ALLOW_MAX] = "";
  if (!is_our_host(config->hosts, request->host)) {
    httpd_reply(conn, &(struct httpd_response){.status = 421});
    return;
  }
  for (const struct httpd_route *route = config->routes; route && route->path; route++) {
    if (strcmp(route->path, request->path) != 0) continue;
    if (strcmp(route->method, method) == 0) {
      route->handler(conn, request, config->arg);
      return;
    }
    allow_method(allow, route->method);
  }
  for (size_t i = 0; i < config->pages_count; i++) {
    if (strcmp(config->pages[i].path, request->path) != 0) continue;
    if (strcmp(method, "GET") == 0) {
      reply_page(conn, request, &config->pages[i]);
      return;
    }
    allow_method(allow, "GET");
  }
  int options = strcmp(method, "OPTIONS") == 0;
  if (*allow != '\0' && !strstr(allow, "OPTIONS")) allow_method(allow, "OPTIONS");
  if (*allow != '\0')
    tell_methods(conn, options ? 204 : 405, allow);
  else
    httpd_reply(conn, &(struct httpd_response){.status = 404});
}
