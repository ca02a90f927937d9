/* SPDX-License-Identifier: MIT */
/* nats_json.h: finds values in the JSON that JetStream answers with. */
#ifndef NATS_JSON_H
#define NATS_JSON_H

#include <stddef.h>
#include <stdint.h>

/* The member of an object at a path such as "state.last_seq": its text, and how long it is; NULL:
 * there is none, or the text is not JSON up to there. */
const char *json_find(const char *text, const char *path, size_t *len);
/* A number without sign or fraction: 1; or 0, there is none. */
int json_number(const char *text, const char *path, uint64_t *number);
/* A string, of which escapes are kept as they are, cut to `cap`; "": there is none. */
void json_string(const char *text, const char *path, char *string, size_t cap);
/* Whether an array of strings has one, which needs no escapes. */
int json_has(const char *text, const char *path, const char *string);

#endif
