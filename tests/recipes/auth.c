/* SPDX-License-Identifier: MIT */
/* auth.c: a cookie or a one-time ticket says who listens; a ban ends the streams that are open. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

enum {
  TICKETS_MAX = 64,
  BANS_MAX = 64,
  TICKET_S = 30
};

static sse_hub *hub;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ticket {
  char secret[33], user[32];
  time_t until;
} tickets[TICKETS_MAX];
static char bans[BANS_MAX][32];
static size_t ban_count;

static int is_banned(const char *user) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < ban_count; i++)
    found |= strcmp(bans[i], user) == 0;
  pthread_mutex_unlock(&lock);
  return found;
}

static int record_ban(const char *user) {
  pthread_mutex_lock(&lock);
  int room = ban_count < BANS_MAX;
  if (room) snprintf(bans[ban_count++], sizeof bans[0], "%s", user);
  pthread_mutex_unlock(&lock);
  return room;
}

/* Who a cookie belongs to. A real program looks the session up; here it is the user's name. */
static int cookie_user(const struct request *request, char user[32]) {
  char cookies[256];
  sse_http_header(request->bytes, strlen(request->bytes), "Cookie",
                  cookies, sizeof cookies);
  const char *session = strstr(cookies, "session=");
  return session && sscanf(session, "session=%31[a-z]", user) == 1;
}

/* [ticket] */
static int issue_ticket(const char *user, char secret[33]) {
  unsigned char random[16];
  struct ticket *ticket = NULL;
  if (getentropy(random, sizeof random)) return 0;
  for (size_t i = 0; i < sizeof random; i++)
    snprintf(secret + 2 * i, 3, "%02x", random[i]);
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < TICKETS_MAX && !ticket; i++)
    if (tickets[i].until < time(NULL)) ticket = &tickets[i];
  if (ticket) {
    memcpy(ticket->secret, secret, sizeof ticket->secret);
    snprintf(ticket->user, sizeof ticket->user, "%s", user);
    ticket->until = time(NULL) + TICKET_S;
  }
  pthread_mutex_unlock(&lock);
  return ticket != NULL;
}

static int redeem_ticket(const char *secret, char user[32]) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < TICKETS_MAX && !found; i++) {
    struct ticket *ticket = &tickets[i];
    if (ticket->until < time(NULL) || strcmp(ticket->secret, secret) != 0)
      continue;
    snprintf(user, 32, "%s", ticket->user);
    ticket->until = 0; /* it serves once */
    found = 1;
  }
  pthread_mutex_unlock(&lock);
  return found;
}
/* [/ticket] */

/* [ban] */
static void stream(const struct request *request, const char *user) {
  char channel[48];
  snprintf(channel, sizeof channel, "user/%s", user);
  const sse_stream_config config = {.channel = channel, .tag = user};
  sse_stream *opened = request_open(request, hub, &config);
  if (opened && is_banned(user)) {
    sse_stream_free(opened);
    request_answer(request, 403, "");
    return;
  }
  request_serve(request, opened);
}

static int ban(const char *user) {
  char channel[48];
  snprintf(channel, sizeof channel, "user/%s", user);
  if (!record_ban(user)) return SSE_ENOMEM;
  sse_hub_publish_text(hub, channel, "removed", "You were removed.");
  return sse_hub_dismiss(hub, user);
}
/* [/ban] */

static void answer(const struct request *request) {
  char user[32], secret[33], text[16];
  if (request_is(request, "GET", "/stream")) {
    int known = request_param(request, "ticket", secret, sizeof secret)
                    ? redeem_ticket(secret, user)
                    : cookie_user(request, user);
    if (known)
      stream(request, user);
    else
      request_answer(request, 403, "");
  } else if (request_is(request, "POST", "/ticket") &&
             cookie_user(request, user)) {
    if (issue_ticket(user, secret))
      request_answer(request, 200, secret);
    else
      request_answer(request, 503, "");
  } else if (request_is(request, "POST", "/ban") &&
             request_param(request, "user", user, sizeof user)) {
    snprintf(text, sizeof text, "%d\n", ban(user));
    request_answer(request, 200, text);
  } else {
    request_answer(request, 403, "");
  }
}

int main(int argc, char **argv) {
  if (sse_hub_new(&hub, NULL)) return 1;
  host_run(argc, argv, hub, answer);
  return sse_hub_free(hub) != SSE_OK;
}
