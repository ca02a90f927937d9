/* SPDX-License-Identifier: MIT */
/* config.h: a hub's configuration, checked and with every default filled in. */
#ifndef SSE_LIB_CONFIG_H
#define SSE_LIB_CONFIG_H

#include <sse/hub.h>
#include <stdbool.h>

/* Fills `resolved` so that no member is 0 or NULL but epoch, alloc and the args. 0 or SSE_EINVAL.
 */
int sse__hub_config_resolve(sse_hub_config *resolved, const sse_hub_config *config);

bool sse__channel_config_valid(const sse_channel_config *config);

/* A time of a configuration: 0, above, or SSE_NEVER. */
bool sse__time_valid(int32_t ms);

/* Whether the reserved members of a struct are all NULL. */
bool sse__reserved_unused(void *const *reserved, size_t count);

#endif
