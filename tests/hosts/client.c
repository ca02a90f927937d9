/* SPDX-License-Identifier: MIT */
/* client.c: clients of a host, by libcurl, so that TLS and HTTP/2 are no matter of the tests. */
#include "client.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STREAMS_MAX 1000L /* of one HTTP/2 connection */

/* ---- Nets ---- */

void net_open(struct net *net, const struct host *host) {
  *net = (struct net){.multi = curl_multi_init(), .host = host};
  curl_multi_setopt(net->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
  curl_multi_setopt(net->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, STREAMS_MAX);
  curl_multi_setopt(net->multi, CURLMOPT_MAXCONNECTS, STREAMS_MAX);
}

void net_unpublish(struct net *net) {
  if (!net->publisher) return;
  curl_multi_remove_handle(net->multi, net->publisher);
  curl_easy_cleanup(net->publisher);
  net->publisher = NULL;
  net->publishing = 0;
}

void net_close(struct net *net) {
  net_unpublish(net);
  curl_multi_cleanup(net->multi);
}

void net_step(struct net *net, int moment_ms) {
  int running, left;
  struct CURLMsg *message;
  curl_multi_perform(net->multi, &running);
  while ((message = curl_multi_info_read(net->multi, &left))) {
    struct client *client = NULL;
    if (message->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &client);
    if (client) client->done = 1;
    if (client) client->result = message->data.result;
    if (message->easy_handle == net->publisher) {
      net->publishing = 0;
      if (message->data.result != CURLE_OK)
        fprintf(stderr, "publish: %s\n", curl_easy_strerror(message->data.result));
    }
    moment_ms = 0;
  }
  curl_multi_poll(net->multi, NULL, 0, moment_ms, NULL);
}

static CURL *request(const struct net *net, const char *path, const char *query) {
  char url[512];
  CURL *easy = curl_easy_init();
  snprintf(url, sizeof url, "%s%s%s%s", net->host->url, path, query ? "?" : "", query ? query : "");
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   net->host->kind->http2 ? (long)CURL_HTTP_VERSION_2TLS
                                          : (long)CURL_HTTP_VERSION_1_1);
  return easy;
}

/* ---- Clients ---- */

static void take_event(struct client *client, const sse_parsed *event) {
  char *end;
  if (strcmp(event->type, "sse-position") == 0) return;
  client->events++;
  if (strcmp(event->type, "gap") == 0) client->gaps++;
  unsigned long long number = strtoull(event->data, &end, 10);
  if (end != event->data) {
    if (client->last && number != client->last + 1) client->wrong++;
    client->last = number;
  }
  size_t used = strlen(client->log);
  snprintf(client->log + used, sizeof client->log - used, "%s%.16s", used ? " " : "", event->data);
}

static size_t take_body(char *bytes, size_t size, size_t count, void *arg) {
  struct client *client = arg;
  const char *at = bytes;
  size_t left = size * count;
  sse_parsed event;
  int result;
  client->bytes += left;
  while ((result = sse_parser_next(client->parser, &at, &left, &event)) > 0)
    take_event(client, &event);
  return result == 0 ? size * count : 0;
}

static size_t take_head(char *bytes, size_t size, size_t count, void *arg) {
  struct client *client = arg;
  size_t used = strlen(client->head);
  snprintf(client->head + used, sizeof client->head - used, "%.*s", (int)(size * count), bytes);
  if (size * count == 2) curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &client->status);
  return size * count;
}

/* libcurl tells the socket of a transfer only here, and after its end. */
static int new_socket(void *arg, curl_socket_t fd, curlsocktype purpose) {
  struct client *client = arg;
  (void)purpose;
  client->fd = fd;
  if (client->receive_bytes)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &client->receive_bytes, sizeof client->receive_bytes);
  return CURL_SOCKOPT_OK;
}

void client_open(struct client *client, struct net *net, const struct client_options *options) {
  char header[160];
  *client = (struct client){.net = net,
                            .easy = request(net, "/stream", options->query),
                            .fd = CURL_SOCKET_BAD,
                            .receive_bytes = options->receive_bytes};
  sse_parser_new(&client->parser, NULL);
  if (options->last_id) {
    snprintf(header, sizeof header, "Last-Event-ID: %s", options->last_id);
    client->headers = curl_slist_append(NULL, header);
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, client->headers);
  }
  curl_easy_setopt(client->easy, CURLOPT_PRIVATE, client);
  curl_easy_setopt(client->easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(client->easy, CURLOPT_WRITEDATA, client);
  curl_easy_setopt(client->easy, CURLOPT_HEADERFUNCTION, take_head);
  curl_easy_setopt(client->easy, CURLOPT_HEADERDATA, client);
  if (options->fresh) {
    curl_easy_setopt(client->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(client->easy, CURLOPT_FORBID_REUSE, 1L);
  }
  curl_easy_setopt(client->easy, CURLOPT_SOCKOPTFUNCTION, new_socket);
  curl_easy_setopt(client->easy, CURLOPT_SOCKOPTDATA, client);
  curl_multi_add_handle(net->multi, client->easy);
}

void client_close(struct client *client) {
  if (!client->easy) return;
  curl_multi_remove_handle(client->net->multi, client->easy);
  curl_easy_cleanup(client->easy);
  curl_slist_free_all(client->headers);
  sse_parser_free(client->parser);
  client->easy = NULL;
}

void client_leave(struct client *client, enum leaving how) {
  const struct linger at_once = {.l_onoff = 1};
  const int on = 1;
  const curl_socket_t fd = client->fd;
  if (how != LEAVE_CLOSE && fd != CURL_SOCKET_BAD) {
    /* A socket in repair is closed without a word to the peer. */
    if (how != LEAVE_SILENT || setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0)
      setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  client_close(client);
}

void client_vanish(struct client *client) {
  struct sock_filter nothing = {.code = BPF_RET | BPF_K, .k = 0};
  const struct sock_fprog filter = {.len = 1, .filter = &nothing};
  if (setsockopt(client->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter))
    perror("SO_ATTACH_FILTER");
}

/* ---- Publishing ---- */

static size_t drop(char *bytes, size_t size, size_t count, void *arg) {
  (void)bytes, (void)arg;
  return size * count;
}

long net_publish(struct net *net, const char *channel, const char *body, size_t len) {
  char url[128];
  long status = 0;
  int64_t until = now_ms() + PATIENCE_MS;
  if (!net->publisher) {
    net->publisher = request(net, "/publish", NULL);
    curl_easy_setopt(net->publisher, CURLOPT_WRITEFUNCTION, drop);
  }
  snprintf(url, sizeof url, "%s/publish?channel=%s", net->host->url, channel);
  curl_easy_setopt(net->publisher, CURLOPT_URL, url);
  curl_easy_setopt(net->publisher, CURLOPT_POSTFIELDSIZE, (long)len);
  curl_easy_setopt(net->publisher, CURLOPT_POSTFIELDS, body);
  curl_multi_add_handle(net->multi, net->publisher);
  net->publishing = 1;
  while (net->publishing && now_ms() < until) net_step(net, 100);
  if (!net->publishing) curl_easy_getinfo(net->publisher, CURLINFO_RESPONSE_CODE, &status);
  curl_multi_remove_handle(net->multi, net->publisher);
  return status;
}

/* ---- Other requests ---- */

static size_t keep(char *bytes, size_t size, size_t count, void *arg) {
  char *text = arg;
  size_t used = strlen(text);
  snprintf(text + used, 256 - used, "%.*s", (int)(size * count), bytes);
  return size * count;
}

static size_t keep_head(char *bytes, size_t size, size_t count, void *arg) {
  char *text = arg;
  size_t used = strlen(text);
  snprintf(text + used, 1024 - used, "%.*s", (int)(size * count), bytes);
  return size * count;
}

void net_ask(struct net *net, const char *method, const char *target, struct answer *answer) {
  CURL *easy = request(net, target, NULL);
  *answer = (struct answer){.status = 0};
  if (strcmp(method, "HEAD") == 0)
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  else
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer->body);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, keep_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, answer->head);
  answer->result = curl_easy_perform(easy);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer->status);
  curl_easy_cleanup(easy);
}

/* ---- Bytes ---- */

void net_send(struct net *net, const char *bytes, size_t len, char *answer, size_t cap) {
  CURL *easy = request(net, "/", NULL);
  int64_t until = now_ms() + PATIENCE_MS;
  curl_socket_t fd = CURL_SOCKET_BAD;
  size_t used = 0, sent = 0, got;
  CURLcode result;
  curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
  result = curl_easy_perform(easy);
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
  if (result == CURLE_OK) result = curl_easy_send(easy, bytes, len, &sent); /* there is room */
  while ((result == CURLE_OK || result == CURLE_AGAIN) && now_ms() < until) {
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    if (result == CURLE_AGAIN) poll(&poller, 1, 100);
    result = curl_easy_recv(easy, answer + used, cap - 1 - used, &got);
    if (result == CURLE_OK && got == 0) break;
    if (result == CURLE_OK) used += got;
  }
  answer[used] = '\0';
  curl_easy_cleanup(easy);
}
