/* SPDX-License-Identifier: MIT */
/* chat.c: rooms that a user enters and leaves while the stream stays open. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "host.h"

enum {
  MEMBERS_MAX = 256,
  ROOMS_MAX = 16
};

/* Who is in which room. A real program has this in its database. */
struct member {
  char user[32], room[48];
};

static sse_hub *hub;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct member members[MEMBERS_MAX];
static size_t member_count;

static struct member *find_member(const char *user, const char *room) {
  for (size_t i = 0; i < member_count; i++)
    if (strcmp(members[i].user, user) == 0 &&
        strcmp(members[i].room, room) == 0)
      return &members[i];
  return NULL;
}

static int add_member(const char *user, const char *room) {
  if (find_member(user, room)) return 1;
  if (member_count == MEMBERS_MAX) return 0;
  struct member *member = &members[member_count++];
  snprintf(member->user, sizeof member->user, "%s", user);
  snprintf(member->room, sizeof member->room, "%s", room);
  return 1;
}

static void remove_member(const char *user, const char *room) {
  struct member *member = find_member(user, room);
  if (member) *member = members[--member_count];
}

static size_t list_rooms(const char *user, const char **rooms) {
  size_t count = 0;
  for (size_t i = 0; i < member_count && count < ROOMS_MAX; i++)
    if (strcmp(members[i].user, user) == 0)
      rooms[count++] = members[i].room;
  return count;
}

/* [join] */
static int join(const char *user, const char *room) {
  pthread_mutex_lock(&lock);
  int result = SSE_ENOMEM;
  if (add_member(user, room))
    result = sse_hub_subscribe(hub, user, room, 20);
  pthread_mutex_unlock(&lock);
  return result;
}

static int leave(const char *user, const char *room) {
  pthread_mutex_lock(&lock);
  remove_member(user, room);
  int result = sse_hub_unsubscribe(hub, user, room);
  pthread_mutex_unlock(&lock);
  return result;
}
/* [/join] */

/* [open] */
static void stream(const struct request *request, const char *user) {
  const char *channels[1 + ROOMS_MAX + 1] = {"announcements"};
  const sse_stream_config config = {.channels = channels, .tag = user};
  pthread_mutex_lock(&lock);
  list_rooms(user, channels + 1);
  sse_stream *opened = request_open(request, hub, &config);
  pthread_mutex_unlock(&lock);
  request_serve(request, opened);
}
/* [/open] */

/* [say] */
static int say(const char *user, const char *room, const char *text) {
  char line[8192 + 64];
  pthread_mutex_lock(&lock);
  int member = find_member(user, room) != NULL;
  pthread_mutex_unlock(&lock);
  if (!member) return SSE_ENOTFOUND;
  snprintf(line, sizeof line, "%s: %s", user, text);
  return sse_hub_publish_text(hub, room, "chat", line);
}
/* [/say] */

static void answer(const struct request *request) {
  char user[32] = "", name[32] = "", room[48];
  int result = SSE_EINVAL;
  request_param(request, "user", user, sizeof user);
  request_param(request, "room", name, sizeof name);
  snprintf(room, sizeof room, "room/%s", name);
  if (request_is(request, "GET", "/stream") && *user) {
    stream(request, user);
    return;
  }
  if (request_is(request, "POST", "/announce"))
    result = sse_hub_publish_text(hub, "announcements", "announcement",
                                  request->body);
  if (*user && *name && request_is(request, "POST", "/join"))
    result = join(user, room);
  if (*user && *name && request_is(request, "POST", "/leave"))
    result = leave(user, room);
  if (*user && *name && request_is(request, "POST", "/say"))
    result = say(user, room, request->body);
  request_answer(request, result < 0 ? 400 : 200,
                 result < 0 ? sse_error_text(result) : "");
}

int main(int argc, char **argv) {
  if (sse_hub_new(&hub, NULL)) return 1;
  host_run(argc, argv, hub, answer);
  return sse_hub_free(hub) != SSE_OK;
}
