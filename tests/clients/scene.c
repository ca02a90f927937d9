/* SPDX-License-Identifier: MIT */
/* scene.c: a hub under a name, who has come to its stream, and what it was given. */
#include "scene.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
  SLICE_MS = 20, /* how long a cut may take to be noticed */
  HEAD_MAX = 2048
};

static pthread_mutex_t scenes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct scene *scenes[SCENES_MAX];
static size_t scenes_count;

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Scenes ---- */

static struct scene *find_locked(const char *name) {
  for (size_t i = 0; i < scenes_count; i++)
    if (strcmp(scenes[i]->name, name) == 0) return scenes[i];
  return NULL;
}

struct scene *scene_find(const char *name) {
  pthread_mutex_lock(&scenes_lock);
  struct scene *scene = find_locked(name);
  pthread_mutex_unlock(&scenes_lock);
  return scene;
}

/* The condition waits by the monotonic clock, so that a clock that is set breaks no deadline. */
static int init_sync(struct scene *scene) {
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr)) return -1;
  int failed = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) ||
               pthread_cond_init(&scene->changed, &attr) || pthread_mutex_init(&scene->lock, NULL);
  pthread_condattr_destroy(&attr);
  return failed ? -1 : 0;
}

struct scene *scene_make(const char *name, const sse_hub_config *config) {
  struct scene *scene = calloc(1, sizeof *scene);
  if (!scene) return NULL;
  snprintf(scene->name, sizeof scene->name, "%s", name);
  scene->config = *config;
  pthread_mutex_lock(&scenes_lock);
  int made = scenes_count < SCENES_MAX && !find_locked(name) && init_sync(scene) == 0 &&
             sse_hub_new(&scene->hub, config) == 0;
  if (made) scenes[scenes_count++] = scene;
  pthread_mutex_unlock(&scenes_lock);
  if (!made) free(scene);
  return made ? scene : NULL;
}

static void note_change(struct scene *scene) {
  scene->version++;
  pthread_cond_broadcast(&scene->changed);
}

static void cut_locked(struct scene *scene, const char *torn) {
  scene->torn = torn;
  scene->held = 1;
  scene->leaving = 1;
  note_change(scene);
  while (scene->served > 0) pthread_cond_wait(&scene->changed, &scene->lock);
  scene->leaving = 0;
  scene->torn = NULL;
}

void scene_cut(struct scene *scene, const char *torn) {
  pthread_mutex_lock(&scene->lock);
  cut_locked(scene, torn);
  pthread_mutex_unlock(&scene->lock);
}

void scene_release(struct scene *scene) {
  pthread_mutex_lock(&scene->lock);
  scene->held = 0;
  note_change(scene);
  pthread_mutex_unlock(&scene->lock);
}

int scene_restart(struct scene *scene) {
  sse_hub *fresh;
  int error = sse_hub_new(&fresh, &scene->config);
  if (error) return error;
  pthread_mutex_lock(&scene->lock);
  cut_locked(scene, "");
  error = sse_hub_free(scene->hub);
  scene->hub = fresh;
  pthread_mutex_unlock(&scene->lock);
  return error;
}

void scene_answer(struct scene *scene, enum scene_answer answer, int32_t retry_ms) {
  pthread_mutex_lock(&scene->lock);
  scene->answer = answer;
  scene->answer_retry_ms = retry_ms;
  pthread_mutex_unlock(&scene->lock);
}

/* ---- Visits ---- */

/* A socket, and the place where what it takes is written down. */
struct tap {
  struct scene *scene;
  struct visit *visit;
  int fd;
};

static void note_wrote(const struct tap *tap, const struct iovec *iov, int count, size_t len) {
  struct visit *visit = tap->visit;
  pthread_mutex_lock(&tap->scene->lock);
  for (int i = 0; i < count && len > 0; i++) {
    size_t part = iov[i].iov_len < len ? iov[i].iov_len : len;
    size_t space = VISIT_WROTE_MAX - visit->wrote_len, kept = part < space ? part : space;
    memcpy(visit->wrote + visit->wrote_len, iov[i].iov_base, kept);
    visit->wrote_len += kept;
    len -= part;
  }
  note_change(tap->scene);
  pthread_mutex_unlock(&tap->scene->lock);
}

static ssize_t write_tapped(void *io, const struct iovec *iov, int count) {
  const struct tap *tap = io;
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
  ssize_t sent = sendmsg(tap->fd, &message, MSG_NOSIGNAL);
  if (sent > 0) note_wrote(tap, iov, count, (size_t)sent);
  if (sent < 0) return errno == EPIPE || errno == ECONNRESET ? SSE_ECLOSED : SSE_EIO;
  return sent;
}

static int is_gone(int fd) {
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* What to give a visitor who must go now; NULL if he may stay. It holds until he is gone. */
static const char *must_leave(struct scene *scene) {
  pthread_mutex_lock(&scene->lock);
  const char *torn = scene->leaving ? scene->torn : NULL;
  pthread_mutex_unlock(&scene->lock);
  return torn;
}

/* The socket blocks, so a flush sends all; the wait is in slices, to see who leaves. */
static void run(struct tap *tap, sse_stream *stream) {
  const char *torn;
  while (!(torn = must_leave(tap->scene)) && !is_gone(tap->fd)) {
    if (sse_stream_flush(stream, write_tapped, tap) < 0) return;
    if (sse_stream_wait(stream, SLICE_MS) < 0) return;
  }
  if (torn && *torn != '\0')
    write_tapped(tap, &(struct iovec){(void *)(uintptr_t)torn, strlen(torn)}, 1);
}

static void send_ready_made(struct tap *tap, const sse_http_head *head) {
  char bytes[HEAD_MAX];
  ssize_t len = tap->visit->answer == ANSWER_STOP
                    ? sse_http_stop(bytes, sizeof bytes, head)
                    : sse_http_busy(bytes, sizeof bytes, head, tap->visit->answer_retry_ms);
  if (len > 0 && len <= HEAD_MAX) write_tapped(tap, &(struct iovec){bytes, (size_t)len}, 1);
}

/* At the door: notes who came, waits while the scene is held, and opens. NULL: not a stream. */
static struct visit *let_in(struct scene *scene, const char *last_id,
                            const sse_stream_config *config, sse_stream **stream) {
  if (scene->visits_count == VISITS_MAX) return NULL;
  struct visit *visit = &scene->visits[scene->visits_count];
  visit->wrote = malloc(VISIT_WROTE_MAX);
  if (!visit->wrote) return NULL;
  scene->visits_count++;
  visit->came_ms = now_ms();
  visit->has_last_id = last_id != NULL;
  if (last_id) snprintf(visit->last_id, sizeof visit->last_id, "%s", last_id);
  note_change(scene);
  while (scene->held) pthread_cond_wait(&scene->changed, &scene->lock);
  visit->answer = scene->answer;
  visit->answer_retry_ms = scene->answer_retry_ms;
  if (visit->answer == ANSWER_STREAM && sse_stream_open(stream, scene->hub, config) == 0) {
    visit->opened = 1;
    visit->verdict = sse_stream_resume_result(*stream);
  }
  scene->served++;
  note_change(scene);
  return visit;
}

void scene_serve(struct scene *scene, int fd, const char *last_id,
                 const sse_stream_config *config) {
  sse_stream *stream = NULL;
  pthread_mutex_lock(&scene->lock);
  struct visit *visit = let_in(scene, last_id, config, &stream);
  pthread_mutex_unlock(&scene->lock);
  if (!visit) return;
  struct tap tap = {.scene = scene, .visit = visit, .fd = fd};
  if (stream)
    run(&tap, stream);
  else if (visit->answer != ANSWER_STREAM)
    send_ready_made(&tap, config->head);
  sse_stream_free(stream);
  pthread_mutex_lock(&scene->lock);
  visit->left_ms = now_ms();
  scene->served--;
  note_change(scene);
  pthread_mutex_unlock(&scene->lock);
}

/* ---- The log ---- */

static void put_string(FILE *out, const char *text, size_t len) {
  fputc('"', out);
  for (size_t i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte < ' ' || byte == '"' || byte == '\\')
      fprintf(out, "\\u%04x", byte);
    else
      fputc(byte, out);
  }
  fputc('"', out);
}

static void put_visit(FILE *out, const struct visit *visit) {
  static const char *const answers[] = {"stream", "busy", "stop"};
  static const char *const verdicts[] = {"none",    "resumed", "evicted",
                                         "restart", "future",  "malformed"};
  fprintf(out, "{\"answer\":\"%s\",\"came\":%lld,\"left\":%lld,\"verdict\":\"%s\",\"lastId\":",
          answers[visit->answer], (long long)visit->came_ms, (long long)visit->left_ms,
          visit->opened ? verdicts[visit->verdict] : "");
  if (visit->has_last_id)
    put_string(out, visit->last_id, strlen(visit->last_id));
  else
    fputs("null", out);
  fputs(",\"wrote\":", out);
  put_string(out, visit->wrote, visit->wrote_len);
  fputs("}", out);
}

char *scene_log(struct scene *scene, unsigned long long since, int patience_ms) {
  char *text = NULL;
  size_t len;
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += patience_ms / 1000;
  pthread_mutex_lock(&scene->lock);
  while (scene->version <= since)
    if (pthread_cond_timedwait(&scene->changed, &scene->lock, &until)) break;
  FILE *out = open_memstream(&text, &len);
  if (out) {
    fprintf(out, "{\"version\":%llu,\"visits\":[", scene->version);
    for (size_t i = 0; i < scene->visits_count; i++) {
      if (i > 0) fputc(',', out);
      put_visit(out, &scene->visits[i]);
    }
    fputs("]}\n", out);
    fclose(out);
  }
  pthread_mutex_unlock(&scene->lock);
  return text;
}
