/* SPDX-License-Identifier: MIT */
/* nats_link.c: a connection to a NATS server, for one thread that never waits without a limit. */
#include "nats_link.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nats_json.h"
#include "timing.h"

enum {
  READS_MAX = 16, /* of one link_exchange, so that the caller sees to other things, too */
  SUBJECT_BYTES = 256
};

/* ---- problems ---- */

int nats_link_fail(struct nats_link *link, const char *sentence) {
  if (sentence != link->problem) snprintf(link->problem, sizeof link->problem, "%s", sentence);
  return -1;
}

static int failed(struct nats_link *link, const char *doing, const char *why) {
  snprintf(link->problem, sizeof link->problem, "cannot %s NATS at %.80s:%s: %.120s", doing,
           link->url->host, link->url->port, why);
  return -1;
}

/* nats.c's reason why the connection is closed, if it has one. */
static int failed_closed(struct nats_link *link, const char *doing) {
  const char *why = "it has closed the connection";
  natsStatus status = natsConnection_GetLastError(link->connection, &why);
  if (status == NATS_OK || !*why) why = "it has closed the connection";
  return failed(link, doing, why);
}

int nats_link_error(const natsMsg *answer) {
  uint64_t code = 0;
  const char *text = natsMsg_GetData(answer);
  if (!text ||
      (!json_number(text, "error.err_code", &code) && !json_number(text, "error.code", &code)))
    return 0;
  return (int)code;
}

int nats_link_refused(struct nats_link *link, const char *what, const natsMsg *answer) {
  enum {
    NOT_ENABLED = 10076,
    NOT_ENABLED_FOR_ACCOUNT = 10039
  };
  char why[160];
  int code = nats_link_error(answer);
  json_string(natsMsg_GetData(answer), "error.description", why, sizeof why);
  if (code == NOT_ENABLED || code == NOT_ENABLED_FOR_ACCOUNT)
    return failed(link, "use", "JetStream is not enabled there");
  snprintf(link->problem, sizeof link->problem, "JetStream refused %.60s: %s (%d)", what, why,
           code);
  return -1;
}

/* ---- the event loop that nats.c believes in ---- */

static natsStatus attach(void **user, void *loop, natsConnection *connection, natsSock fd) {
  struct nats_link *link = loop;
  (void)connection;
  *user = link;
  link->fd = fd;
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return NATS_OK;
}

/* Called also on a thread of nats.c. What is to be written is known by nats_link_unsent. */
static natsStatus want(void *user, bool wanted) {
  (void)user, (void)wanted;
  return NATS_OK;
}

static natsStatus detach(void *user) {
  struct nats_link *link = user;
  link->fd = -1;
  return NATS_OK;
}

/* Called on a thread of nats.c, which would otherwise print. What matters is seen elsewhere. */
static void ignore_error(natsConnection *connection, natsSubscription *subscription,
                         natsStatus error, void *closure) {
  (void)connection, (void)subscription, (void)error, (void)closure;
}

/* ---- connecting ---- */

static natsStatus set_options(natsOptions *options, struct nats_link *link, int64_t until_ms) {
  const struct nats_url *url = link->url;
  char server[160];
  int64_t left_ms = until_ms - clock_ms();
  int is_v6 = strchr(url->host, ':') != NULL;
  snprintf(server, sizeof server, "nats://%s%.120s%s:%s", is_v6 ? "[" : "", url->host,
           is_v6 ? "]" : "", url->port);
  natsStatus status = natsOptions_SetURL(options, server);
  if (status == NATS_OK && url->password)
    status = natsOptions_SetUserInfo(options, url->user, url->password);
  if (status == NATS_OK && url->user && !url->password)
    status = natsOptions_SetToken(options, url->user);
  if (status == NATS_OK) status = natsOptions_SetName(options, "libsse");
  if (status == NATS_OK) status = natsOptions_SetTimeout(options, left_ms > 1 ? left_ms : 1);
  if (status == NATS_OK) status = natsOptions_SetAllowReconnect(options, false);
  if (status == NATS_OK) status = natsOptions_SetPingInterval(options, 0);
  if (status == NATS_OK) status = natsOptions_SetErrorHandler(options, ignore_error, NULL);
  if (status == NATS_OK)
    status = natsOptions_SetEventLoop(options, link, attach, want, want, detach);
  return status;
}

static natsStatus subscribe(struct nats_link *link, char inbox, natsSubscription **subscription) {
  char subject[SUBJECT_BYTES];
  snprintf(subject, sizeof subject, "%s.%c.*", link->inbox, inbox);
  natsStatus status = natsConnection_SubscribeSync(subscription, link->connection, subject);
  /* How much can be there is limited by how much is asked for. */
  return status == NATS_OK ? natsSubscription_SetPendingLimits(*subscription, -1, -1) : status;
}

static int connect_failed(struct nats_link *link, natsStatus status) {
  const char *why = nats_GetLastError(NULL);
  if (status == NATS_CONNECTION_AUTH_FAILED)
    why = "it refused the user, the password or the token of the URL";
  else if (status == NATS_NO_SERVER)
    why = "no server answers there";
  else if (status == NATS_TIMEOUT)
    why = "no answer in time";
  else if (status == NATS_SECURE_CONNECTION_WANTED)
    why = "it demands TLS";
  else if (!why || !*why)
    why = natsStatus_GetText(status);
  return failed(link, "connect to", why);
}

int nats_link_open(struct nats_link *link, const struct nats_url *url, uint64_t name,
                   int64_t until_ms) {
  *link = (struct nats_link){.url = url, .fd = -1, .heard_ms = clock_ms()};
  snprintf(link->inbox, sizeof link->inbox, "_INBOX.sse-%016" PRIx64, name);
  natsOptions *options = NULL;
  natsStatus status = natsOptions_Create(&options);
  if (status == NATS_OK) status = set_options(options, link, until_ms);
  if (status == NATS_OK) status = natsConnection_Connect(&link->connection, options);
  natsOptions_Destroy(options);
  if (status == NATS_OK) status = subscribe(link, 'p', &link->acks);
  if (status == NATS_OK) status = subscribe(link, 'a', &link->answers);
  if (status == NATS_OK) status = subscribe(link, 'm', &link->messages);
  if (status != NATS_OK) return connect_failed(link, status);
  int64_t payload_max = natsConnection_GetMaxPayload(link->connection);
  link->payload_max = payload_max > 0 ? (size_t)payload_max : 0;
  return 0;
}

void nats_link_close(struct nats_link *link) {
  natsSubscription_Destroy(link->acks);
  natsSubscription_Destroy(link->answers);
  natsSubscription_Destroy(link->messages);
  natsConnection_Destroy(link->connection);
  link->acks = link->answers = link->messages = NULL;
  link->connection = NULL;
  link->fd = -1;
}

/* ---- reading and writing ---- */

int nats_link_exchange(struct nats_link *link) {
  struct pollfd one = {.fd = link->fd, .events = POLLIN};
  for (int i = 0; i < READS_MAX && link->fd >= 0 && poll(&one, 1, 0) > 0; i++) {
    link->heard_ms = clock_ms();
    natsConnection_ProcessReadEvent(link->connection);
  }
  return nats_link_flush(link);
}

int nats_link_flush(struct nats_link *link) {
  if (link->fd >= 0 && nats_link_unsent(link) > 0)
    natsConnection_ProcessWriteEvent(link->connection);
  return link->fd < 0 || natsConnection_IsClosed(link->connection) ? failed_closed(link, "use") : 0;
}

size_t nats_link_unsent(const struct nats_link *link) {
  int bytes = natsConnection_Buffered(link->connection);
  return bytes > 0 ? (size_t)bytes : 0;
}

void nats_link_inbox(const struct nats_link *link, char inbox, uint64_t number, char *subject,
                     size_t cap) {
  snprintf(subject, cap, "%s.%c.%" PRIu64, link->inbox, inbox, number);
}

uint64_t nats_link_number(const natsMsg *answer) {
  const char *dot = strrchr(natsMsg_GetSubject(answer), '.');
  return dot ? strtoull(dot + 1, NULL, 10) : 0;
}

int nats_link_send(struct nats_link *link, const char *subject, const char *body, char inbox,
                   uint64_t number) {
  char reply[SUBJECT_BYTES];
  nats_link_inbox(link, inbox, number, reply, sizeof reply);
  natsStatus status = natsConnection_PublishRequestString(link->connection, subject, reply, body);
  return status == NATS_OK ? 0 : failed(link, "ask", natsStatus_GetText(status));
}

int nats_link_next(struct nats_link *link, natsSubscription *inbox, natsMsg **message,
                   const char *nobody) {
  natsStatus status = natsSubscription_NextMsg(message, inbox, 0);
  if (status == NATS_OK) return 1;
  if (status == NATS_TIMEOUT) return 0;
  if (status == NATS_NO_RESPONDERS) return nats_link_fail(link, nobody);
  return failed(link, "read from", natsStatus_GetText(status));
}

/* ---- requests ---- */

static int wait_for(const struct nats_link *link, int64_t until_ms) {
  struct pollfd one = {.fd = link->fd, .events = POLLIN};
  if (nats_link_unsent(link) > 0) one.events |= POLLOUT;
  int64_t left_ms = until_ms - clock_ms();
  if (left_ms <= 0) return -1;
  return poll(&one, 1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX) >= 0 || errno == EINTR ? 0
                                                                                              : -1;
}

/* A user without the right to ask is told so by an error of the connection, not by an answer. */
static int no_answer(struct nats_link *link, const char *what) {
  const char *why = NULL;
  natsStatus status = natsConnection_GetLastError(link->connection, &why);
  if (status == NATS_OK || !why || !*why) return failed(link, "ask", "no answer in time");
  snprintf(link->problem, sizeof link->problem, "NATS did not answer %.60s: %.150s", what, why);
  return -1;
}

natsMsg *nats_link_ask(struct nats_link *link, int64_t until_ms, const char *what,
                       const char *body) {
  char subject[SUBJECT_BYTES];
  uint64_t number = ++link->requests;
  natsMsg *answer;
  int found;
  snprintf(subject, sizeof subject, "$JS.API.%s", what);
  if (nats_link_send(link, subject, body, 'a', number)) return NULL;
  for (;;) {
    if (nats_link_exchange(link)) return NULL;
    found = nats_link_next(link, link->answers, &answer,
                           "JetStream is not enabled in the NATS server, or does not run");
    if (found < 0) return NULL;
    if (found && nats_link_number(answer) == number) return answer;
    if (found) natsMsg_Destroy(answer);
    if (!found && wait_for(link, until_ms)) return no_answer(link, what), NULL;
  }
}
