/* SPDX-License-Identifier: MIT */
/* short.c: shortens the times of programs that have no option for them, which are linked with
 * --wrap=sse_hub_new. */
#include "short.h"

int __real_sse_hub_new(sse_hub **hub, const sse_hub_config *config);
int __wrap_sse_hub_new(sse_hub **hub, const sse_hub_config *config);
int __wrap_sse_hub_new(sse_hub **hub, const sse_hub_config *config) {
  sse_hub_config shorter = {.stall_ms = 0};
  if (config) shorter = *config;
  shorter.stall_ms = STALL_MS;
  shorter.heartbeat_ms = HEARTBEAT_MS;
  return __real_sse_hub_new(hub, &shorter);
}
