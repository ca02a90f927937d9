/* SPDX-License-Identifier: MIT */
/* hosts.c: how hosts drive their streams, and what their clients are told. */
#include <string.h>

#include "stage.h"

/* ---- what a client is told ---- */

static void end_block(struct client *client) {
  if (client->letter) {
    if (client->told_len + 1 == TOLD_MAX) sched_fault("a client is told too much");
    if (client->letter == '<') client->number = 0;
    if (client->id && client->id <= client->number && !client->gap)
      sched_fault("numbers do not grow");
    if (client->id) client->number = client->id;
    client->told[client->told_len++] = client->letter;
  }
  client->letter = '\0';
  client->id = 0;
  client->gap = false;
}

/* A history ends with its gap, and no id of it comes after that. */
static void take_id(struct client *client, const char *id) {
  char begun = client->letter == '<' ? 'F' : client->epoch;
  bool first = client->taken == 0;
  if (!first && client->epoch && *id != begun) sched_fault("an id of another history: %s", id);
  client->epoch = *id;
  client->id = strtoull(id + 2, NULL, 10);
}

static char gap_letter(const char *data) {
  return strstr(data, "\"reason\":\"restart\"") ? '<' : '>';
}

static void take_line(struct client *client, const char *line) {
  if (strcmp(line, "event: gap") == 0) client->gap = true;
  if (client->gap && !stage.scene->log) sched_fault("a gap where nothing was lost");
  if (*line == '\0') end_block(client);
  if (strncmp(line, "data: ", 6) == 0) client->letter = client->gap ? gap_letter(line) : line[6];
  if (strncmp(line, "id: ", 4) == 0) take_id(client, line + 4);
}

static ssize_t take(void *io, const struct iovec *iov, int count) {
  struct client *client = io;
  size_t taken = 0;
  if (client->full > 0) {
    client->full--;
    return SSE_EAGAIN;
  }
  for (int i = 0; i < count; i++) {
    const char *bytes = iov[i].iov_base;
    for (size_t at = 0; at < iov[i].iov_len; at++) {
      bool ends = bytes[at] == '\n';
      client->line[client->line_len++] = ends ? '\0' : bytes[at];
      if (client->line_len == sizeof client->line) sched_fault("a line is too long");
      if (!ends) continue;
      client->line_len = 0;
      take_line(client, client->line);
    }
    taken += iov[i].iov_len;
  }
  client->taken += (unsigned)taken;
  return (ssize_t)taken;
}

/* ---- streams ---- */

static int wake(void *arg, unsigned why) {
  struct target *target = arg;
  if (target->dead) sched_fault("a wake comes late");
  if (target->busy) sched_fault("two wakes at one time");
  if (sched_locked()) sched_fault("a wake comes with a lock held");
  if (!why) sched_fault("a wake without a reason");
  target->busy = true;
  target->rung++;
  int failure = target->fails > 0;
  if (failure) target->fails--;
  if (!failure && why & SSE_WAKE_READY) target->woken++;
  if (target->woken > target->arms + target->looking) sched_fault("more wakes than armings");
  sched_point("wakes");
  if (!failure) target->bell = true;
  sched_point(failure ? "fails to wake" : "woke");
  if (target->dead) sched_fault("a wake is still running");
  target->busy = false;
  return failure;
}

static int pass_nothing(void *arg, const sse_filter_event *event) {
  (void)arg;
  (void)event;
  return 0;
}

void host_open_streams(struct host *host) {
  static const char *const both[] = {"x", "y", NULL};
  const struct scene *scene = host->scene;
  bool alone = host->kind != HOST_LOOP;
  for (unsigned i = 0; i < host->count; i++) {
    struct client *client = &host->clients[i];
    sse_stream_config config = {.channel = scene->both ? NULL : "x",
                                .channels = scene->both ? both : NULL,
                                .tag = scene->filtered && !host->filtered ? "you" : "me",
                                .start = scene->before || scene->late ? SSE_START_RETAINED
                                                                      : SSE_START_NOW,
                                .last_id = host->last_id,
                                .loop = host->loop,
                                .filter = host->filtered ? pass_nothing : NULL,
                                .user = client};
    if (alone) {
      client->target = &host->target;
      config.user = &host->target;
      if (host->kind != HOST_WAIT) config.wake = wake;
    }
    client->full = scene->full;
    int error = sse_stream_open(&client->stream, stage.world.hub, &config);
    if (error) sched_fault("open: %s", sse_error_name(error));
  }
}

void host_open(struct host *host) {
  const struct scene *scene = host->scene;
  bool has_loop = host->kind == HOST_LOOP;
  host->target.fails = scene->fails;
  if (has_loop) {
    int error =
        sse_loop_new(&host->loop, stage.world.hub,
                     &(const sse_loop_config){
                         .wake = wake, .wake_arg = &host->target, .linger_ms = scene->linger_ms});
    if (error) sched_fault("loop: %s", sse_error_name(error));
    host->target.arms = 1;
  }
  if (!scene->late) host_open_streams(host);
}

static bool has_all(const struct client *client, const char *owed) {
  for (; *owed; owed++) {
    if (!memchr(client->told, *owed, client->told_len)) return false;
  }
  return true;
}

static bool is_done(const struct host *host, const struct client *client) {
  if (client->left || client->over) return true;
  return !host->end && has_all(client, host->owed);
}

static bool all_done(const struct host *host) {
  unsigned done = 0;
  for (unsigned i = 0; i < host->count; i++) done += is_done(host, &host->clients[i]);
  return done == host->count;
}

static void end(const struct host *host, struct client *client, int reason) {
  client->over = reason;
  if (reason != host->end) sched_fault("it ends with %s", sse_error_name(reason));
}

/*
 * A call begins or ends that may arm a target. What it was armed for until then is over, but for
 * two wakes that may be on their way: one that is being called, and one that was posted since.
 */
static void look(struct target *target) {
  if (target->arms > target->woken + 2) target->arms = target->woken + 2;
  target->looking = true;
}

static void looked(struct target *target, bool armed) {
  target->looking = false;
  target->arms += armed;
}

/* Sends what a stream has. One that stands alone may be armed by it. */
static void serve(const struct host *host, struct client *client) {
  if (client->target) look(client->target);
  int result = sse_stream_flush(client->stream, take, client);
  if (client->target) looked(client->target, result == SSE_OK);
  client->blocked = result == SSE_EAGAIN;
  if (result < 0 && !client->blocked) end(host, client, result);
}

/* In two steps, as hosts do whose transport still has the bytes. */
static void leave(struct client *client) {
  sse_stream_detach(client->stream);
  if (client->target) client->target->dead = true;
  sched_point("detached");
  sse_stream_free(client->stream);
  client->stream = NULL;
}

/* ---- a loop ---- */

static struct client *next(struct host *host) {
  look(&host->target);
  host->turns = sched_turns();
  sse_stream *stream = sse_loop_next(host->loop);
  looked(&host->target, !stream);
  return stream ? sse_stream_user(stream) : NULL;
}

/* In a round: gives up a stream that was returned, or is still to be, or was before. */
static void leave_in_round(struct host *host, const struct client *served) {
  enum leaves leaves = host->leaves;
  if (leaves != LEAVES_SELF && leaves != LEAVES_OTHER && leaves != LEAVES_READY) return;
  struct client *leaver = &host->clients[leaves == LEAVES_READY];
  const struct client *when = &host->clients[leaves == LEAVES_OTHER];
  bool has_event = served->told_len > 0 || leaves == LEAVES_READY;
  if (served != when || !has_event || !leaver->stream) return;
  leaver->left = true;
  leave(leaver);
}

static void run_round(struct host *host) {
  for (struct client *client; (client = next(host));) {
    if (!client->stream) sched_fault("a loop returns a stream that is gone");
    serve(host, client);
    leave_in_round(host, client);
    if (client->over) leave(client);
  }
}

/* Transports that were full have room again. */
static void serve_blocked(struct host *host) {
  for (unsigned i = 0; i < host->count; i++) {
    struct client *client = &host->clients[i];
    while (client->stream && client->blocked && !client->over) {
      sched_point("has room");
      serve(host, client);
    }
  }
}

/*
 * No wake comes for what the timeout tells: what is dirty already did not arm the loop. Seen for
 * certain if no other thread had its turn in between; an end does arm it.
 */
static int timeout_of(struct host *host) {
  int timeout = sse_loop_timeout(host->loop);
  bool more = timeout >= 0 && timeout <= host->scene->linger_ms && !host->end;
  if (more && sched_turns() == host->turns) host->target.arms--;
  return timeout;
}

static void run_loop(struct host *host) {
  while (host->leaves != LEAVES_UNREAD) {
    run_round(host);
    serve_blocked(host);
    if (host->leaves == LEAVES_AT_ONCE || all_done(host)) return;
    int timeout = timeout_of(host);
    if (timeout != 0) sched_sleep(&host->target.bell, timeout);
  }
}

/* ---- a stream that stands alone ---- */

/* Whether the host may sleep; by its second look, or after a wait, if it has one. */
static bool is_idle(const struct host *host, struct client *client) {
  struct target *target = client->target;
  bool waits = host->kind == HOST_EITHER && client->told_len == 0;
  if (host->kind != HOST_SECOND && !waits) return true;
  sched_point("suspends");
  look(target);
  int result = sse_stream_wait(client->stream, waits ? -1 : 0);
  looked(target, result == 0);
  return result == 0;
}

static void run_alone(struct host *host) {
  struct client *client = &host->clients[0];
  while (host->leaves != LEAVES_UNREAD) {
    serve(host, client);
    serve_blocked(host);
    if (host->leaves == LEAVES_AT_ONCE || is_done(host, client)) return;
    if (is_idle(host, client)) sched_sleep(&host->target.bell, -1);
  }
}

static void run_waiting(struct host *host) {
  struct client *client = &host->clients[0];
  while (host->leaves != LEAVES_UNREAD) {
    int result = sse_stream_wait(client->stream, -1);
    unsigned taken = client->taken;
    if (result == 0) sched_fault("a wait ends by itself");
    serve(host, client);
    serve_blocked(host);
    bool nothing = client->taken == taken && !client->over;
    if (result > 0 && nothing) sched_fault("a wait ends for nothing");
    if (host->leaves == LEAVES_AT_ONCE || is_done(host, client)) return;
  }
}

/* ---- the thread ---- */

/* Nothing comes for a stream with a filter, so it is ended when nobody else is left. */
static void kick_filtered(void) {
  for (unsigned i = 0; i < stage.hosts_count; i++) {
    if (!stage.hosts[i].over && !stage.hosts[i].filtered) return;
  }
  sse_hub_disconnect(stage.world.hub, "me");
}

void host_run(void *arg) {
  struct host *host = arg;
  if (host->scene->late) host_open_streams(host);
  switch (host->kind) {
  case HOST_LOOP:
    run_loop(host);
    break;
  case HOST_WAIT:
    run_waiting(host);
    break;
  default:
    run_alone(host);
    break;
  }
  for (unsigned i = 0; i < host->count; i++) {
    struct client *client = &host->clients[i];
    client->left = client->left || !is_done(host, client);
    if (client->stream) leave(client);
  }
  if (sse_loop_free(host->loop)) sched_fault("a loop is busy");
  host->target.dead = true;
  host->over = true;
  if (host->scene->filtered) kick_filtered();
}
