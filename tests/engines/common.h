/* SPDX-License-Identifier: MIT */
/* common.h: a file for a log, an engine, and a client of its hub, for the tests of engines. */
#ifndef TESTS_ENGINES_COMMON_H
#define TESTS_ENGINES_COMMON_H

#include <stdbool.h>
#include <stdint.h>

#include <sse/parse.h>

#include "engine.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A path for a log in a new directory; what an earlier call made is removed. */
const char *fresh_file(void);
void remove_files(void);

/* Opens an engine and starts it, or ends the program with what is wrong. */
struct engine *engine_up(const char *kind, const struct engine_config *config);
/* Stops and frees it; ends the program if something of its hub is not freed. */
void engine_down(struct engine *engine);

/* One event that a client was given. */
struct seen {
  unsigned long long number; /* of its id; 0 if the id is not of the hub's form */
  char id[SSE_ID_BYTES_MAX + 1];
  char type[32];
  char *data;
};

/*
 * A client that reads a stream in this process. It keeps what it was given, over all its
 * connections, positions left out.
 */
struct client {
  sse_parser *parser;
  sse_stream *stream;
  struct seen *seen;
  size_t count, cap;
  unsigned gaps; /* of these */
};

void client_init(struct client *client);
/* Connects with the last id; the config's last_id is ignored. Ends the program if it is refused. */
void client_open(struct client *client, sse_hub *hub, const sse_stream_config *config);
void client_feed(struct client *client, const char *bytes, size_t len);
void client_read(struct client *client); /* everything that the stream has now */
void client_close(struct client *client);
void client_free(struct client *client);
const char *client_last_id(const struct client *client);

/* Reads until there are this many events; false if they do not come. */
bool client_wait(struct client *client, size_t count);

/* Waits a moment; false once this was called for too long without a reset by 0. */
bool patience(unsigned *moments);

#endif
