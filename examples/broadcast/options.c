/* SPDX-License-Identifier: MIT */
/* options.c: what the program is told, on its command line. */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "channels.h"
#include "config.h"
#include "engine.h"
#include "signature.h"

static const char usage[] =
    "Usage: broadcast [OPTION]...\n"
    "Accepts events by HTTP and streams them to all who listen (server-sent events).\n"
    "\n"
    "  --listen ADDRESS            address to listen on (127.0.0.1)\n"
    "  --port PORT                 port to listen on; 0: any that is free (8888)\n"
    "  --host NAME                 answer to this name only, without a port; repeatable (any)\n"
    "  --threads N                 threads that serve, 1 to 64 (1)\n"
    "  --engine ENGINE             memory, sqlite:FILE, or a URL such as redis://HOST (memory)\n"
    "  --wait-for-engine SECONDS   at the start, wait for a log that is away, 0 to 86400 (0)\n"
    "  --publish-secret TEXT       publishers must know this; repeatable (anyone may publish)\n"
    "  --publish-secret-file FILE  the same, one secret a line\n"
    "  --jwt-key RS256:FILE        subscribers and publishers need a JSON Web Token that this "
    "public\n"
    "                              key verifies; or ES256:FILE; repeatable (anyone may subscribe)\n"
    "  --jwt-secret-file FILE      the same for HS256, one secret a line\n"
    "  --jwt-cookie NAME           the cookie that may have the token (none)\n"
    "  --sign-secret-file FILE     secrets that sign lists of channels, one a line (none)\n"
    "  --origin ORIGIN             pages of this origin may listen; repeatable; *: any (none)\n"
    "  --conflate CHANNEL          keep the newest event of each state only; repeatable (none)\n"
    "  --limit PATTERN:SETTINGS    what channels retain: window=N, bytes=N, age=TIME, conflate; "
    "and\n"
    "                              streams=N; for a name, PREFIX/* or *; repeatable (none)\n"
    "  --heartbeat SECONDS         silence after which a stream gets a heartbeat, 0.1 to 3600 "
    "(15)\n"
    "  --drain-ms N                at the end, streams end over this time, 0 to 600000 (1000)\n"
    "  --prefixes                  an event for a/b/c is also for a/b/ and a/\n"
    "  --export graphite           send the clients of each channel to Graphite, by UDP\n"
    "  --export-host HOST          where it is (127.0.0.1)\n"
    "  --export-port PORT          its port (2003)\n"
    "  --export-interval SECONDS   time between two exports, 1 to 3600 (60)\n"
    "  --export-path PATH          the first part of the names (cyclone-sse)\n"
    "  --user NAME, --group NAME   run as these, once the port is bound (as started)\n"
    "  --daemon                    run in the background\n"
    "  --pid-file FILE             write the process id there (none)\n"
    "  --log-file FILE             write messages there; SIGHUP opens it anew (stderr)\n"
    "  --config FILE               read options from there: NAME VALUE, one a line (none)\n"
    "  --version                   show the version and the parts, and exit\n"
    "  --help                      show this and exit\n";

/* ---- Values ---- */

enum {
  SIGN_SECRET_BYTES_MIN = 32
};

struct setting {
  const char *name;
  const char *(*apply)(struct options *options, const struct setting *setting, const char *value);
  size_t offset;
  double min, max, scale;
  const char *wanted;
  int is_reading; /* --config: done before the others */
  int is_flag;    /* it has no value */
};

static void *member_of(struct options *options, const struct setting *setting) {
  return (char *)options + setting->offset;
}

static const char *set_text(struct options *options, const struct setting *setting,
                            const char *value) {
  const char **to = member_of(options, setting);
  if (*value == '\0') return "a value must not be empty";
  *to = value;
  return NULL;
}

static int add_item(struct option_list *list, const char *item) {
  const char **bigger = realloc(list->items, (list->count + 2) * sizeof *bigger);
  if (!bigger) return -1;
  list->items = bigger;
  list->items[list->count++] = item;
  list->items[list->count] = NULL;
  return 0;
}

static const char *add_text(struct options *options, const struct setting *setting,
                            const char *value) {
  if (*value == '\0') return "a value must not be empty";
  return add_item(member_of(options, setting), value) ? "out of memory" : NULL;
}

static const char *add_channel(struct options *options, const struct setting *setting,
                               const char *value) {
  struct channels channels = {.count = 0};
  const char *problem = channels_add(&channels, value, strlen(value));
  return problem ? problem : add_text(options, setting, value);
}

static const char *apply_limit(struct options *options, const struct setting *setting,
                               const char *value) {
  (void)setting;
  return limit_add(&options->limits, value);
}

/* Scheme, host and port, as browsers write them: no path, and nothing in upper case. */
static const char *add_origin(struct options *options, const struct setting *setting,
                              const char *value) {
  static const char wanted[] = "an origin is scheme://host or scheme://host:port, or *";
  const char *host = strstr(value, "://");
  if (strcmp(value, "*") != 0) {
    if (!host || host == value || host[3] == '\0' || strlen(value) > ORIGIN_BYTES_MAX)
      return wanted;
    for (const char *at = value; *at; at++)
      if (*at <= ' ' || *at == 0x7f || (*at >= 'A' && *at <= 'Z')) return wanted;
    if (strpbrk(host + 3, "/?#@*")) return wanted;
  }
  return add_text(options, setting, value);
}

static const char *set_jwt_file(struct options *options, const struct setting *setting,
                                const char *value) {
  if (!token_is_built_in()) return "this program was built without libjwt";
  return set_text(options, setting, value);
}

static const char *add_jwt_key(struct options *options, const struct setting *setting,
                               const char *value) {
  if (!token_is_built_in()) return "this program was built without libjwt";
  const char *problem = token_keys_add_file(&options->keys, value);
  return problem ? problem : add_text(options, setting, value);
}

/* RFC 6265 has more characters, which nobody uses. */
static const char *set_cookie(struct options *options, const struct setting *setting,
                              const char *value) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  if (!token_is_built_in()) return "this program was built without libjwt";
  if (strspn(value, letters) != strlen(value)) return "a cookie's name is of A-Z a-z 0-9 - _ .";
  return set_text(options, setting, value);
}

static const char *set_sign_file(struct options *options, const struct setting *setting,
                                 const char *value) {
  if (!signature_is_built_in()) return "this program was built without libcrypto";
  return set_text(options, setting, value);
}

static const char *set_number(struct options *options, const struct setting *setting,
                              const char *value) {
  char *end;
  int is_whole = setting->scale == 0;
  if (*value == '\0' || strspn(value, is_whole ? "0123456789" : "0123456789.") != strlen(value))
    return setting->wanted;
  double number = strtod(value, &end);
  if (*end != '\0' || !(number >= setting->min && number <= setting->max)) return setting->wanted;
  *(int *)member_of(options, setting) = (int)(is_whole ? number : number * setting->scale);
  return NULL;
}

static const char *set_flag(struct options *options, const struct setting *setting,
                            const char *value) {
  if (*value != '\0') return "it has no value";
  *(int *)member_of(options, setting) = 1;
  return NULL;
}

static const char *set_export(struct options *options, const struct setting *setting,
                              const char *value) {
  if (strcmp(value, "graphite") != 0) return "it has one value: graphite";
  return set_text(options, setting, value);
}

static const char *set_port(struct options *options, const struct setting *setting,
                            const char *value) {
  size_t len = strlen(value);
  if (len == 0 || len > 5 || strspn(value, "0123456789") != len || strtol(value, NULL, 10) > 65535)
    return "a port is a number from 0 to 65535";
  return set_text(options, setting, value);
}

#define AT(member) .offset = offsetof(struct options, member)

static const struct setting settings[] = {
    {"listen", set_text, AT(listen)},
    {"port", set_port, AT(port)},
    {"host", add_text, AT(hosts)},
    {"threads", set_number, AT(threads), .min = 1, .max = 64, .wanted = "1 to 64 threads"},
    {"engine", set_text, AT(engine)},
    {"wait-for-engine", set_number, AT(wait_ms), .max = 86400, .scale = 1e3,
     .wanted = "0 to 86400 seconds"},
    {"publish-secret", add_text, AT(secrets)},
    {"publish-secret-file", set_text, AT(secret_file)},
    {"jwt-key", add_jwt_key, AT(key_files)},
    {"jwt-secret-file", set_jwt_file, AT(jwt_secret_file)},
    {"jwt-cookie", set_cookie, AT(jwt_cookie)},
    {"sign-secret-file", set_sign_file, AT(sign_secret_file)},
    {"origin", add_origin, AT(origins)},
    {"conflate", add_channel, AT(conflated)},
    {"limit", apply_limit, AT(limits)},
    {"heartbeat", set_number, AT(heartbeat_ms), .min = 0.1, .max = 3600, .scale = 1e3,
     .wanted = "a heartbeat is 0.1 to 3600 seconds"},
    {"drain-ms", set_number, AT(drain_ms), .max = 600000, .wanted = "0 to 600000 ms"},
    {"prefixes", set_flag, AT(prefixes), .is_flag = 1},
    {"export", set_export, AT(export_to)},
    {"export-host", set_text, AT(export_host)},
    {"export-port", set_port, AT(export_port)},
    {"export-interval", set_number, AT(export_interval_ms), .min = 1, .max = 3600, .scale = 1e3,
     .wanted = "an interval is 1 to 3600 seconds"},
    {"export-path", set_text, AT(export_path)},
    {"user", set_text, AT(user)},
    {"group", set_text, AT(group)},
    {"daemon", set_flag, AT(daemon), .is_flag = 1},
    {"pid-file", set_text, AT(pid_file)},
    {"log-file", set_text, AT(log_file)},
    {"config", set_text, AT(config), .is_reading = 1},
};

static const struct setting *find_setting(const char *name, size_t len) {
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    if (strlen(settings[i].name) == len && memcmp(settings[i].name, name, len) == 0)
      return &settings[i];
  return NULL;
}

/* ---- The file ---- */

/* Called for each line of the configuration file. */
static const char *apply_line(void *arg, const char *name, const char *value) {
  struct options *options = arg;
  const struct setting *setting = find_setting(name, strlen(name));
  if (!setting || setting->is_reading) return "there is no such option";
  if (*value == '\0' && !setting->is_flag) return "a value is missing";
  char *copy = strdup(value);
  if (!copy || add_item(&options->owned, copy)) {
    free(copy);
    return "out of memory";
  }
  return setting->apply(options, setting, copy);
}

static const char *keep_line(struct options *options, struct option_list *list, const char *line) {
  char *copy = strdup(line);
  if (copy && add_item(&options->owned, copy) == 0)
    return add_item(list, copy) ? "out of memory" : NULL;
  free(copy);
  return "out of memory";
}

/* Called for each line of the files that have secrets. */
static const char *apply_secret(void *arg, const char *line, const char *value) {
  struct options *options = arg;
  (void)value;
  return keep_line(options, &options->secrets, line);
}

static const char *apply_sign_secret(void *arg, const char *line, const char *value) {
  struct options *options = arg;
  (void)value;
  if (strlen(line) < SIGN_SECRET_BYTES_MIN) return "a secret that signs has 32 bytes or more";
  return keep_line(options, &options->signing, line);
}

static const char *apply_jwt_secret(void *arg, const char *line, const char *value) {
  struct options *options = arg;
  (void)value;
  return token_keys_add_secret(&options->keys, line);
}

/* Without a secret anyone may do it, which is not what whoever names a file wants. */
static int read_secret_files(struct options *options) {
  const struct {
    const char *path;
    config_line_fn *apply;
    const size_t *count; /* of what it must not leave empty */
  } files[] = {{options->secret_file, apply_secret, &options->secrets.count},
               {options->jwt_secret_file, apply_jwt_secret, &options->keys.count},
               {options->sign_secret_file, apply_sign_secret, &options->signing.count}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (!files[i].path) continue;
    if (config_read_lines(files[i].path, files[i].apply, options) != 0) return -1;
    if (*files[i].count > 0) continue;
    fprintf(stderr, "broadcast: %s: there is no secret in it\n", files[i].path);
    return -1;
  }
  return 0;
}

/* ---- The command line ---- */

static void show_version(void) {
  static const char *const kinds[] = {"memory", "sqlite", "redis", "nats", "amqp"};
  printf("broadcast %s; engines:", sse_version());
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (engine_find(kinds[i])) printf(" %s", kinds[i]);
  if (token_is_built_in()) printf("; JSON Web Tokens");
  if (signature_is_built_in()) printf("; signed lists");
  putchar('\n');
}

/* Goes through the arguments, and applies --config only, or all others. 0 or -1. */
static int read_arguments(struct options *options, int argc, char **argv, int reading) {
  for (int i = 1; i < argc; i++) {
    const char *name = argv[i] + 2, *equals, *value;
    if (strncmp(argv[i], "--", 2) != 0) {
      fprintf(stderr, "broadcast: unexpected argument: %s; see --help\n", argv[i]);
      return -1;
    }
    equals = strchr(name, '=');
    const struct setting *setting =
        find_setting(name, equals ? (size_t)(equals - name) : strlen(name));
    if (!setting) {
      fprintf(stderr, "broadcast: unknown option: %s; see --help\n", argv[i]);
      return -1;
    }
    value = equals ? equals + 1 : setting->is_flag ? "" : argv[++i];
    const char *problem = value ? NULL : "a value is missing";
    if (value && setting->is_reading == reading) problem = setting->apply(options, setting, value);
    if (problem) {
      fprintf(stderr, "broadcast: --%s%s%s: %s; see --help\n", setting->name, value ? " " : "",
              value ? value : "", problem);
      return -1;
    }
  }
  return 0;
}

/* After the limits, which may be for the same channels. */
static int add_conflated(struct options *options) {
  for (size_t i = 0; i < options->conflated.count; i++) {
    const char *problem = limit_add_conflated(&options->limits, options->conflated.items[i]);
    if (!problem) continue;
    fprintf(stderr, "broadcast: --conflate: %s\n", problem);
    return -1;
  }
  return 0;
}

static int check(const struct options *options) {
  if (options->jwt_cookie && options->keys.count == 0) {
    fputs("broadcast: --jwt-cookie: it needs --jwt-key or --jwt-secret-file; see --help\n", stderr);
    return -1;
  }
  for (size_t i = 0; i < options->origins.count; i++) {
    if (strcmp(options->origins.items[i], "*") != 0 || options->origins.count == 1) continue;
    fputs("broadcast: --origin *: it must be the only one; see --help\n", stderr);
    return -1;
  }
  return 0;
}

int options_try(struct options *options, int argc, char **argv) {
  *options = (struct options){.listen = "127.0.0.1",
                              .port = "8888",
                              .engine = "memory",
                              .threads = 1,
                              .drain_ms = 1000,
                              .heartbeat_ms = 15000,
                              .export_host = "127.0.0.1",
                              .export_port = "2003",
                              .export_path = "cyclone-sse",
                              .export_interval_ms = 60000};
  if (read_arguments(options, argc, argv, 1) == 0 &&
      (!options->config || config_read(options->config, apply_line, options) == 0) &&
      read_arguments(options, argc, argv, 0) == 0 && read_secret_files(options) == 0 &&
      add_conflated(options) == 0 && check(options) == 0)
    return 0;
  options_free(options);
  return -1;
}

void options_read(struct options *options, int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0)
      fputs(usage, stdout);
    else if (strcmp(argv[i], "--version") == 0)
      show_version();
    else
      continue;
    exit(0);
  }
  if (options_try(options, argc, argv) != 0) exit(2);
}

void options_free(struct options *options) {
  struct option_list *const lists[] = {&options->hosts,     &options->secrets, &options->origins,
                                       &options->conflated, &options->signing, &options->key_files};
  token_keys_free(&options->keys);
  limit_list_free(&options->limits);
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free((void *)lists[i]->items);
  for (size_t i = 0; i < options->owned.count; i++)
    free((void *)(uintptr_t)options->owned.items[i]);
  free((void *)options->owned.items);
  *options = (struct options){.threads = 0};
}
