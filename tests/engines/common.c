/* SPDX-License-Identifier: MIT */
/* common.c: a file for a log, an engine, and a client of its hub, for the tests of engines. */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  MOMENT_MS = 2,
  PATIENCE_MS = 20000
};

static char directory[64], file[128];

static _Noreturn void give_up(const char *what, const char *why) {
  printf("%s: %s\n", what, why);
  abort();
}

const char *fresh_file(void) {
  const char *place = getenv("TMPDIR");
  remove_files();
  snprintf(directory, sizeof directory, "%.40s/sse-log-XXXXXX", place ? place : "/tmp");
  if (!mkdtemp(directory)) give_up("mkdtemp", directory);
  snprintf(file, sizeof file, "%s/log", directory);
  return file;
}

void remove_files(void) {
  static const char *const ends[] = {"", "-wal", "-shm", "-journal", "-copy"};
  char path[160];
  if (!*directory) return;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    snprintf(path, sizeof path, "%s%s", file, ends[i]);
    unlink(path);
  }
  rmdir(directory);
  *directory = '\0';
}

struct engine *engine_up(const char *kind, const struct engine_config *config) {
  struct engine *engine;
  struct engine_status status;
  char problem[ENGINE_PROBLEM_MAX];
  if (engine_open(&engine, engine_find(kind), config, problem)) give_up("engine_open", problem);
  int error = engine_start(engine);
  engine_status(engine, &status);
  if (error) give_up("engine_start", status.problem);
  return engine;
}

void engine_down(struct engine *engine) {
  int error = engine_free(engine);
  if (error) give_up("engine_free", sse_error_text(error));
}

/* ---- a client ---- */

void client_init(struct client *client) {
  *client = (struct client){.parser = NULL};
  if (sse_parser_new(&client->parser, NULL)) give_up("client", "out of memory");
}

void client_open(struct client *client, sse_hub *hub, const sse_stream_config *config) {
  sse_stream_config own = *config;
  own.last_id = client_last_id(client);
  int error = sse_stream_open(&client->stream, hub, &own);
  if (error) give_up("sse_stream_open", sse_error_text(error));
}

static void see(struct client *client, const sse_parsed *event) {
  if (strcmp(event->type, "sse-position") == 0) return;
  if (client->count == client->cap) {
    client->cap = client->cap ? 2 * client->cap : 64;
    client->seen = realloc(client->seen, client->cap * sizeof *client->seen);
    if (!client->seen) give_up("client", "out of memory");
  }
  struct seen *seen = &client->seen[client->count++];
  const char *dot = strchr(event->id, '.');
  *seen =
      (struct seen){.number = dot ? strtoull(dot + 1, NULL, 10) : 0, .data = strdup(event->data)};
  snprintf(seen->id, sizeof seen->id, "%s", event->id);
  snprintf(seen->type, sizeof seen->type, "%s", event->type);
  client->gaps += strcmp(event->type, "gap") == 0;
}

void client_feed(struct client *client, const char *bytes, size_t len) {
  sse_parsed event;
  while (sse_parser_next(client->parser, &bytes, &len, &event) == 1) see(client, &event);
}

void client_read(struct client *client) {
  char bytes[16384];
  ssize_t len;
  while ((len = sse_stream_read(client->stream, bytes, sizeof bytes)) > 0)
    client_feed(client, bytes, (size_t)len);
}

bool client_wait(struct client *client, size_t count) {
  unsigned moments = 0;
  for (client_read(client); client->count < count; client_read(client))
    if (!patience(&moments)) return false;
  return true;
}

void client_close(struct client *client) {
  sse_stream_free(client->stream);
  client->stream = NULL;
  sse_parser_reset(client->parser);
}

void client_free(struct client *client) {
  client_close(client);
  for (size_t i = 0; i < client->count; i++) free(client->seen[i].data);
  free(client->seen);
  sse_parser_free(client->parser);
}

const char *client_last_id(const struct client *client) {
  return sse_parser_last_id(client->parser);
}

bool patience(unsigned *moments) {
  const struct timespec moment = {.tv_nsec = MOMENT_MS * 1000000};
  nanosleep(&moment, NULL);
  return ++*moments < PATIENCE_MS / MOMENT_MS;
}
