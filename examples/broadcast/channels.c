/* SPDX-License-Identifier: MIT */
/* channels.c: the channels that a request names. */
#include "channels.h"

#include <string.h>

#include <sse/sse.h>

/* As sse_hub_configure_channel says. Of the library, only the formatter looks at UTF-8 for us. */
static int is_name(const char *name, size_t len) {
  if (len == 0 || len > SSE_CHANNEL_NAME_BYTES_MAX || strlen(name) != len) return 0;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return 0;
  return sse_format(NULL, 0, &(sse_event){.text = "", .comment = name}) > 0;
}

const char *channels_add(struct channels *channels, const char *name, size_t len) {
  if (!is_name(name, len))
    return "a channel's name is 1 to 255 bytes of UTF-8 without control characters";
  if (strcmp(name, CHANNEL_CONTROL) == 0)
    return "the channel " CHANNEL_CONTROL " is the server's own";
  for (size_t i = 0; i < channels->count; i++)
    if (strcmp(channels->names[i], name) == 0) return NULL;
  if (channels->count == CHANNELS_MAX) return "at most 256 channels";
  channels->names[channels->count++] = name;
  channels->names[channels->count] = NULL;
  return NULL;
}

const char *channels_read(struct channels *channels, const struct params *params) {
  static const char *const names[] = {"channel", "channels"};
  channels->count = 0;
  channels->names[0] = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t at = 0;
    struct form_field room;
    const struct form_field *field;
    while ((field = params_next(params, names[i], &at, &room))) {
      const char *problem = channels_add(channels, field->value, field->len);
      if (problem) return problem;
    }
  }
  return channels->count ? NULL : "a parameter is missing: channel";
}
