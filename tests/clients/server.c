/* SPDX-License-Identifier: MIT */
/* server.c: what clients are tried against, a thread for each connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pages.h"
#include "request.h"
#include "scene.h"

enum {
  LIFE_MAX_S = 240, /* a driver that dies does not leave the server behind */
  BACKLOG = 64,
  BODY_MAX = 64 * 1024,
  LOG_PATIENCE_MS = 5000
};

/* One request, and how it is answered. */
struct call {
  int fd;
  const struct request *request;
  struct scene *scene;
};

/* ---- Answers ---- */

static void send_all(int fd, const void *bytes, size_t len) {
  for (const char *at = bytes; len > 0;) {
    ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += sent;
    len -= (size_t)sent;
  }
}

static void reply(int fd, const char *status, const char *type, const void *body, size_t len) {
  char head[256];
  int head_len = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                          "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
                          status, type, len);
  send_all(fd, head, (size_t)head_len);
  send_all(fd, body, len);
}

static void reply_text(int fd, const char *status, const char *text) {
  reply(fd, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void reply_result(int fd, int error) {
  if (error == 0)
    reply_text(fd, "200 OK", "done\n");
  else
    reply_text(fd, "500 Internal Server Error", sse_error_name(error));
}

/* ---- What may be asked for ---- */

static const char *param(const struct call *call, const char *name, const char *otherwise) {
  const char *value = request_param(call->request, name);
  return value ? value : otherwise;
}

static int32_t number(const struct call *call, const char *name) {
  return (int32_t)strtol(param(call, name, "0"), NULL, 10);
}

/* /scene?scene=NAME[&window=FRAMES] */
static void make_scene(struct call *call) {
  sse_hub_config config = {.channel = {.window_frames_max = (size_t)number(call, "window")}};
  if (scene_make(param(call, "scene", ""), &config))
    reply_text(call->fd, "200 OK", "made\n");
  else
    reply_text(call->fd, "409 Conflict", "there is one of that name, or too many\n");
}

/* /stream?scene=NAME[&position=off][&retry=MS][&heartbeat=MS] */
static void stream(struct call *call) {
  static const char *const anyone[] = {"*", NULL};
  const sse_http_head head = {.origin = request_header(call->request, "Origin"),
                              .allow_origins = anyone};
  const char *position = param(call, "position", "event");
  const char *last_id = request_header(call->request, "Last-Event-ID");
  const sse_stream_config config = {.channel = "main",
                                    .last_id = last_id,
                                    .head = &head,
                                    .position = strcmp(position, "off") == 0 ? SSE_POSITION_OFF
                                                                             : SSE_POSITION_EVENT,
                                    .retry_ms = number(call, "retry"),
                                    .heartbeat_ms = number(call, "heartbeat")};
  scene_serve(call->scene, call->fd, last_id, &config);
}

/* /publish?scene=NAME[&channel=NAME][&type=TYPE], with the payload as the body */
static void publish(struct call *call) {
  const sse_event event = {.type = request_param(call->request, "type"),
                           .data = call->request->body,
                           .data_len = call->request->body_len};
  pthread_mutex_lock(&call->scene->lock);
  int error = sse_hub_publish(call->scene->hub, param(call, "channel", "main"), &event);
  pthread_mutex_unlock(&call->scene->lock);
  reply_result(call->fd, error);
}

/* /cut?scene=NAME, with the beginning of an event as the body, or nothing */
static void cut(struct call *call) {
  const char *torn = call->request->body;
  scene_cut(call->scene, torn ? torn : "");
  reply_result(call->fd, 0);
}

static void release(struct call *call) {
  scene_release(call->scene);
  reply_result(call->fd, 0);
}

static void restart(struct call *call) {
  reply_result(call->fd, scene_restart(call->scene));
}

/* /answer?scene=NAME&as=stream|busy|stop[&retry=MS] */
static void answer(struct call *call) {
  const char *as = param(call, "as", "stream");
  scene_answer(call->scene,
               strcmp(as, "busy") == 0   ? ANSWER_BUSY
               : strcmp(as, "stop") == 0 ? ANSWER_STOP
                                         : ANSWER_STREAM,
               number(call, "retry"));
  reply_result(call->fd, 0);
}

/* /log?scene=NAME&since=VERSION */
static void tell_log(struct call *call) {
  char *text =
      scene_log(call->scene, strtoull(param(call, "since", "0"), NULL, 10), LOG_PATIENCE_MS);
  if (text)
    reply(call->fd, "200 OK", "application/json", text, strlen(text));
  else
    reply_result(call->fd, SSE_ENOMEM);
  free(text);
}

static const struct {
  const char *path;
  void (*handler)(struct call *);
  int wants_scene;
} routes[] = {{"/scene", make_scene, 0}, {"/stream", stream, 1},   {"/publish", publish, 1},
              {"/cut", cut, 1},          {"/release", release, 1}, {"/restart", restart, 1},
              {"/answer", answer, 1},    {"/log", tell_log, 1}};

static void dispatch(struct call *call) {
  call->scene = scene_find(param(call, "scene", ""));
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (strcmp(routes[i].path, call->request->path) != 0) continue;
    if (routes[i].wants_scene && !call->scene) break;
    routes[i].handler(call);
    return;
  }
  for (const struct page *page = pages; page->path; page++) {
    if (strcmp(page->path, call->request->path) != 0) continue;
    reply(call->fd, "200 OK", page->type, page->data, page->len);
    return;
  }
  reply_text(call->fd, "404 Not Found", "no such page or scene\n");
}

/* ---- Connections ---- */

/* A client that has something unread when we close would get a reset, and lose what it was sent. */
static void close_gently(int fd) {
  char waste[1024];
  const struct timeval moment = {.tv_sec = 1};
  shutdown(fd, SHUT_WR);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
  while (recv(fd, waste, sizeof waste, 0) > 0) {
  }
  close(fd);
}

static void *serve(void *arg) {
  struct request *request = malloc(sizeof *request);
  int fd = *(int *)arg, status = REQUEST_MORE;
  free(arg);
  if (request) request_init(request, BODY_MAX);
  while (request && status == REQUEST_MORE) {
    char *at;
    size_t space = request_space(request, &at);
    ssize_t len = recv(fd, at, space, 0);
    if (len <= 0) break;
    status = request_filled(request, (size_t)len);
  }
  if (status == REQUEST_READY)
    dispatch(&(struct call){.fd = fd, .request = request});
  else if (status != REQUEST_MORE)
    reply_text(fd, "400 Bad Request", "not a request\n");
  if (request) request_clear(request);
  free(request);
  close_gently(fd);
  return NULL;
}

static void start_serving(int fd) {
  pthread_t thread;
  int *arg = malloc(sizeof *arg);
  if (arg) *arg = fd;
  if (arg && pthread_create(&thread, NULL, serve, arg) == 0) {
    pthread_detach(thread);
  } else {
    free(arg);
    close(fd);
  }
}

int main(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t at_len = sizeof at;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  alarm(LIFE_MAX_S);
  if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) ||
      listen(listener, BACKLOG) || getsockname(listener, (struct sockaddr *)&at, &at_len)) {
    perror("server");
    return 1;
  }
  printf("server: listening on http://127.0.0.1:%d/\n", ntohs(at.sin_port));
  fflush(stdout);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd >= 0) start_serving(fd);
  }
}
