/* SPDX-License-Identifier: MIT */
/* farm.h: a wind farm that does not exist: turbines that report again and again what they do. */
#ifndef FARM_H
#define FARM_H

#include <stdint.h>

#include <sse/sse.h>

enum {
  FARM_SITES = 3,
  FARM_TURBINES = 12 /* of all sites */
};

/*
 * The channels. That of a site has the readings of its turbines, and keeps of each turbine the
 * newest only: a reading that is out of date is of no use to anybody. The notices say that a
 * turbine goes out for service or comes back; there each one counts, so it is an ordinary channel.
 */
extern const char *const farm_sites[FARM_SITES];
extern const char farm_notices[];

struct farm_config {
  int64_t interval_ns; /* between two readings of one turbine */
  int64_t service_ns;  /* between two turbines' going out; each is back after half of it */
};

struct farm;

/* Configures the channels and starts a thread that publishes. NULL after a line on stderr. */
struct farm *farm_start(sse_hub *hub, const struct farm_config *config);

/* Ends the thread and frees the farm. */
void farm_stop(struct farm *farm);

#endif
