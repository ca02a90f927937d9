/* SPDX-License-Identifier: MIT */
/* options.h: what the program is told, on its command line and in a configuration file. */
#ifndef BROADCAST_OPTIONS_H
#define BROADCAST_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "token.h"

/* Strings that end with a NULL; NULL: none. */
struct option_list {
  const char **items;
  size_t count;
};

struct options {
  const char *listen, *port;
  const char *engine; /* memory, sqlite:FILE, or a URL */
  struct option_list hosts, secrets, origins, conflated;
  struct option_list signing;   /* secrets that sign lists of channels */
  struct option_list key_files; /* ALGORITHM:FILE */
  struct token_keys keys;
  struct limit_list limits; /* those of --limit, and the conflated channels */
  int wait_ms;              /* for an engine that is away at the start */
  int threads, drain_ms, heartbeat_ms, export_interval_ms;
  int prefixes, daemon;                           /* flags */
  const char *secret_file, *config;               /* files; NULL: none */
  const char *jwt_secret_file, *sign_secret_file; /* files; NULL: none */
  const char *jwt_cookie;                         /* NULL: none */
  const char *pid_file, *log_file, *user, *group; /* NULL: none */
  const char *export_to;                          /* NULL: nowhere */
  const char *export_host, *export_port, *export_path;
  struct option_list owned; /* the strings that came from files */
};

/*
 * Reads the command line, and the file that --config names; what stands on the command line
 * counts, and lists have the entries of both. It ends the program after --help and --version with
 * status 0, and after a line on stderr that says what is wrong with status 2.
 */
void options_read(struct options *options, int argc, char **argv);

/* The same, for a reload, without --help and --version: 0; or -1 after a line on stderr, and then options is empty. */
int options_try(struct options *options, int argc, char **argv);

void options_free(struct options *options);

#endif
