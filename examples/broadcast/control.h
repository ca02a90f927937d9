/* SPDX-License-Identifier: MIT */
/* control.h: what operators do on every node, by a reserved channel of the log. */
#ifndef BROADCAST_CONTROL_H
#define BROADCAST_CONTROL_H

#include "engine.h"

/*
 * An order is an event of the channel CHANNEL_CONTROL (channels.h): its type says what is to be done,
 * and its text to what. Each node carries it out when its engine reads the event, so at the same
 * place among the events of all channels. A node that starts carries out the orders that its engine
 * loads. Requests cannot name the channel, so they can neither read nor publish orders.
 */
#define CONTROL_DISCONNECT "disconnect" /* the text is a tag */
#define CONTROL_FINISH     "finish"     /* the text is the names of channels, one a line */

/* Submits an order; `done` as in engine_submit. 0 or an error. */
int control_submit(struct engine *engine, const char *type, const char *text, engine_done_fn *done,
                   void *arg);

/* Carries out an order, and ignores all other events. */
engine_seen_fn control_seen;

/* In `done`: how many streams of this node the order has reached. */
int control_streams(void);

#endif
