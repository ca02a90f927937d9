/* SPDX-License-Identifier: MIT */
/* scene.h: a hub under a name, who has come to its stream, and what it was given. */
#ifndef TESTS_CLIENTS_SCENE_H
#define TESTS_CLIENTS_SCENE_H

#include <sse/sse.h>

#include <pthread.h>
#include <stdint.h>

enum {
  SCENES_MAX = 512,
  VISITS_MAX = 16,        /* of one scene */
  SCENE_NAME_MAX = 64,    /* with its NUL */
  VISIT_WROTE_MAX = 16384 /* bytes that are remembered of what a visitor was given */
};

/* What a scene answers to a request for its stream. */
enum scene_answer {
  ANSWER_STREAM,
  ANSWER_BUSY, /* sse_http_busy: come back later */
  ANSWER_STOP  /* sse_http_stop: never again */
};

/* One request for the stream. Times are CLOCK_MONOTONIC in ms. */
struct visit {
  enum scene_answer answer;
  int32_t answer_retry_ms;
  int has_last_id; /* the request had a Last-Event-ID */
  char last_id[SSE_ID_BYTES_MAX + 1];
  int opened; /* verdict holds */
  sse_resume verdict;
  int64_t came_ms, left_ms; /* left_ms: 0 while it is served */
  size_t wrote_len;
  char *wrote; /* head and events, as they were sent */
};

/*
 * One scenario of the driver has one scene, so that scenarios can run side by side. All members
 * are guarded by `lock`, and `changed` is broadcast whenever one of them changes.
 */
struct scene {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  char name[SCENE_NAME_MAX];
  sse_hub_config config;
  sse_hub *hub;
  unsigned long long version; /* counts changes, so that the driver can wait for the next */
  int held;                   /* who comes waits at the door */
  int leaving;                /* all who are served are to go */
  int served;                 /* how many are served now */
  const char *torn;           /* what those who are to go are given before */
  enum scene_answer answer;
  int32_t answer_retry_ms;
  size_t visits_count;
  struct visit visits[VISITS_MAX];
};

/* Makes a scene; NULL if there is one of that name, or too many. */
struct scene *scene_make(const char *name, const sse_hub_config *config);

/* NULL if there is none. */
struct scene *scene_find(const char *name);

/*
 * Ends all connections and closes the door until scene_release. Returns when they have ended. The
 * last that each is given is `torn`, such as the beginning of an event; "": nothing.
 */
void scene_cut(struct scene *scene, const char *torn);
void scene_release(struct scene *scene);

/* As scene_cut, with a new hub, and so a new epoch, in place of the old. An error of libsse or 0.
 */
int scene_restart(struct scene *scene);

/* How those who come from now on are answered. */
void scene_answer(struct scene *scene, enum scene_answer answer, int32_t retry_ms);

/*
 * Serves one request for the stream on a socket, to the end; the socket stays open. last_id NULL:
 * none was sent. Of the config it wants channel, head, position, retry_ms and heartbeat_ms.
 */
void scene_serve(struct scene *scene, int fd, const char *last_id, const sse_stream_config *config);

/*
 * Waits until the version is above `since`, and gives the visits as JSON, to be freed; NULL
 * without memory. What is in it after `patience_ms` is given even so.
 */
char *scene_log(struct scene *scene, unsigned long long since, int patience_ms);

#endif
