/* SPDX-License-Identifier: MIT */
/* server.h: what the handlers of all routes share. */
#ifndef BROADCAST_SERVER_H
#define BROADCAST_SERVER_H

#include "access.h"
#include "engine.h"
#include "httpd.h"
#include "limits.h"
#include "options.h"
#include "roster.h"

struct server {
  const struct options *options;
  struct engine *engine;
  sse_hub *hub; /* the engine's */
  struct roster *roster;
  struct access *access;
  struct limits *limits;
  int argc; /* for a reload */
  char **argv;
};

/* The handlers; `arg` is the struct server. Each file has those of one subject. */
httpd_handler publish_events;                          /* publish.c */
httpd_handler subscribe, poll_events;                  /* subscribe.c, poll.c */
httpd_handler tell_stats, tell_metrics, tell_channels; /* stats.c */
httpd_handler tell_presence, tell_position;            /* stats.c */
httpd_handler tell_live, tell_ready;                   /* health.c */
httpd_handler change_subscriptions, end_subscriptions; /* operate.c */
httpd_handler disconnect_tag, finish_channel;          /* operate.c */
httpd_handler answer_preflight;                        /* answer.c */

#endif
