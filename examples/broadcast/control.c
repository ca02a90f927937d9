/* SPDX-License-Identifier: MIT */
/* control.c: what operators do on every node. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channels.h"

/* The engine calls control_seen and then `done` of the same event on one thread. */
static _Thread_local int streams;

int control_streams(void) {
  int reached = streams;
  streams = 0;
  return reached;
}

int control_submit(struct engine *engine, const char *type, const char *text, engine_done_fn *done,
                   void *arg) {
  static const char *const channels[] = {CHANNEL_CONTROL, NULL};
  streams = 0;
  return engine_submit(engine, channels, &(sse_event){.type = type, .text = text}, done, arg);
}

/* A message, since nobody waits for the answer of this node. */
static void complain(const char *type, const char *text, int error) {
  fprintf(stderr, "broadcast: cannot %s %s: %s\n", type, text, sse_error_text(error));
}

static void finish(sse_hub *hub, char *names) {
  char *rest;
  for (char *name = strtok_r(names, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
    int clients = (int)sse_hub_count(hub, name);
    int error = sse_hub_finish(hub, name);
    if (error) complain(CONTROL_FINISH, name, error);
    if (!error) streams += clients;
  }
}

static void disconnect(sse_hub *hub, const char *tag) {
  int result = sse_hub_disconnect(hub, tag);
  if (result < 0) complain(CONTROL_DISCONNECT, tag, result);
  if (result > 0) streams += result;
}

static void carry_out(sse_hub *hub, const sse_event *ev) {
  size_t len = ev->data ? ev->data_len : ev->text ? strlen(ev->text) : 0;
  char *text = malloc(len + 1);
  if (!text) {
    complain(ev->type, "", SSE_ENOMEM);
    return;
  }
  if (len > 0) memcpy(text, ev->data ? (const char *)ev->data : ev->text, len);
  text[len] = '\0';
  if (strcmp(ev->type, CONTROL_FINISH) == 0) finish(hub, text);
  if (strcmp(ev->type, CONTROL_DISCONNECT) == 0) disconnect(hub, text);
  free(text);
}

void control_seen(void *arg, sse_hub *hub, const char *const *channels, const sse_event *ev) {
  (void)arg;
  for (; *channels; channels++) {
    if (strcmp(*channels, CHANNEL_CONTROL) != 0) continue;
    if (ev->type) carry_out(hub, ev);
    return;
  }
}
