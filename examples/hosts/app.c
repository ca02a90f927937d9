/* SPDX-License-Identifier: MIT */
/* app.c: the application that every host serves: options, a hub, a ticker thread, an orderly end.
 */
#include "app.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* An application has one of each. */
static pthread_t ticker;
static int ticker_runs, tick_ms, ticks_max;
static int quit_pipe[2]; /* a byte in it ends the ticker */
static int stop_pipe[2]; /* a byte in it ends the host */

static void die(const char *what) {
  perror(what);
  exit(1);
}

/* ---- Options ---- */

static void usage(const struct app *app, FILE *out) {
  fprintf(out,
          "usage: %s [--port N] [--tick-ms N] [--ticks N] [--streams-max N] [--heartbeat-ms N] "
          "[--stall-ms N] [--window-bytes N]\n"
          "  --port N          where to listen on 127.0.0.1; 0: any free one; 8080\n"
          "  --tick-ms N       time between two events of the channel tick; 0: none; 1000\n"
          "  --ticks N         publish N events from the first client on, then finish the channel; "
          "0: no end; 0\n"
          "  --streams-max N   streams at one time; 1048576\n"
          "  --heartbeat-ms N  silence before a comment is sent; 15000\n"
          "  --stall-ms N      a client that accepts nothing for so long is closed; 60000\n"
          "  --window-bytes N  memory for what a channel retains; 4194304\n",
          app->name);
}

static int32_t number(const struct app *app, const char *text, int32_t min, int32_t max) {
  char *end;
  long value = strtol(text, &end, 10);
  if (end != text && *end == '\0' && value >= min && value <= max) return (int32_t)value;
  fprintf(stderr, "%s: not a number from %d to %d: %s\n", app->name, (int)min, (int)max, text);
  exit(2);
}

static void read_options(struct app *app, sse_hub_config *config, int argc, char **argv) {
  static const struct option options[] = {
      {"port", required_argument, NULL, 'p'},
      {"tick-ms", required_argument, NULL, 't'},
      {"ticks", required_argument, NULL, 'n'},
      {"streams-max", required_argument, NULL, 'm'},
      {"heartbeat-ms", required_argument, NULL, 'h'},
      {"stall-ms", required_argument, NULL, 's'},
      {"window-bytes", required_argument, NULL, 'w'},
      {"help", no_argument, NULL, '?'},
      {NULL, 0, NULL, 0},
  };
  const char *slash = strrchr(argv[0], '/');
  *app = (struct app){
      .name = slash ? slash + 1 : argv[0], .port = 8080, .heartbeat_ms = 15000, .stall_ms = 60000};
  tick_ms = 1000;
  for (int c, at = 1; (c = getopt_long(argc, argv, "", options, NULL)) != -1; at = optind) {
    if (c == 'p') app->port = number(app, optarg, 0, 65535);
    if (c == 't') tick_ms = number(app, optarg, 0, INT32_MAX);
    if (c == 'n') ticks_max = number(app, optarg, 0, INT32_MAX);
    if (c == 'm') config->streams_max = (uint32_t)number(app, optarg, 1, INT32_MAX);
    if (c == 'h') app->heartbeat_ms = number(app, optarg, 1, INT32_MAX);
    if (c == 's') app->stall_ms = number(app, optarg, 1, INT32_MAX);
    if (c == 'w') config->channel.window_bytes_max = (size_t)number(app, optarg, 1, INT32_MAX);
    if (c != '?') continue;
    int asked = strcmp(argv[at], "--help") == 0;
    usage(app, asked ? stdout : stderr);
    exit(asked ? 0 : 2);
  }
  if (optind == argc) return;
  usage(app, stderr);
  exit(2);
}

/* ---- Threads ---- */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Publishes the ticks, and runs the timers of streams that no loop looks after. */
static void *tick(void *arg) {
  const struct app *app = arg;
  struct pollfd quit = {.fd = quit_pipe[0], .events = POLLIN};
  int64_t next = now_ms() + tick_ms, left;
  unsigned long long count = 0;
  int wait, ended = 0;
  do {
    wait = sse_hub_tick(app->hub);
    if (tick_ms == 0 || ended) continue;
    /* Ticks that are counted begin with the first client. */
    if (ticks_max > 0 && count == 0 && sse_hub_count(app->hub, "tick") == 0)
      next = now_ms() + tick_ms;
    for (; (left = next - now_ms()) <= 0; next += tick_ms) {
      char text[32];
      snprintf(text, sizeof text, "%llu", ++count);
      sse_hub_publish_text(app->hub, "tick", NULL, text);
      ended = ticks_max > 0 && count >= (unsigned)ticks_max;
      if (ended) sse_hub_finish(app->hub, "tick");
      if (ended) break;
    }
    if (ended) continue;
    if (left < wait) wait = (int)left;
  } while (poll(&quit, 1, wait) <= 0); /* a signal interrupts it */
  return NULL;
}

/* A signal becomes a byte in a pipe, which any kind of host can wait for. It is never read, so that
 * the pipe stays readable. */
static void on_signal(int number) {
  int saved = errno;
  (void)number;
  (void)!write(stop_pipe[1], "", 1);
  errno = saved;
}

void app_start(struct app *app, int argc, char **argv) {
  sse_hub_config config = {.heartbeat_ms = 0};
  read_options(app, &config, argc, argv);
  config.heartbeat_ms = app->heartbeat_ms;
  config.stall_ms = app->stall_ms;
  /* A host that writes to a client that is gone shall get an error, not a signal. */
  signal(SIGPIPE, SIG_IGN);
  if (pipe(stop_pipe) || pipe(quit_pipe)) die(app->name);
  app->stop_fd = stop_pipe[0];
  int error = sse_hub_new(&app->hub, &config);
  if (error) {
    fprintf(stderr, "%s: %s\n", app->name, sse_error_text(error));
    exit(1);
  }
  const struct sigaction action = {.sa_handler = on_signal};
  if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL) ||
      pthread_create(&ticker, NULL, tick, app))
    die(app->name);
  ticker_runs = 1;
  /* The ticker alone takes the signals; no thread of the host is interrupted by them. */
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  if (pthread_sigmask(SIG_BLOCK, &set, NULL)) die(app->name);
}

void app_listening(const struct app *app, int port) {
  printf("%s: listening on 127.0.0.1:%d\n", app->name, port);
  fflush(stdout);
}

void app_stop_ticker(struct app *app) {
  (void)app;
  if (!ticker_runs) return;
  if (write(quit_pipe[1], "", 1) != 1) abort();
  pthread_join(ticker, NULL);
  ticker_runs = 0;
}

int app_end(struct app *app) {
  app_stop_ticker(app);
  for (int i = 0; i < 2; i++) {
    close(stop_pipe[i]);
    close(quit_pipe[i]);
  }
  if (sse_hub_free(app->hub) == SSE_OK) return 0;
  fprintf(stderr, "%s: streams or loops were not freed; %zu streams are open\n", app->name,
          sse_hub_count(app->hub, NULL));
  return 1;
}

/* ---- Requests ---- */

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if ((c | 32) >= 'a' && (c | 32) <= 'f') return (c | 32) - 'a' + 10;
  return -1;
}

/* Decodes one value, up to & or the end, with a NUL behind it; its length, or -1 if it is not well
 * formed or does not fit. */
static int decode(const char *from, char *to, size_t cap) {
  size_t len = 0;
  for (; *from && *from != '&'; from++) {
    int c = *from == '+' ? ' ' : (unsigned char)*from;
    if (*from == '%') {
      int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);
      if (low < 0) return -1;
      c = high * 16 + low;
      from += 2;
    }
    if (c == 0 || len + 1 >= cap) return -1;
    to[len++] = (char)c;
  }
  to[len] = '\0';
  return (int)len;
}

int app_channels(struct app_channels *channels, const char *query) {
  static const char key[] = "channel=";
  size_t count = 0, used = 0;
  while (query && *query) {
    if (strncmp(query, key, sizeof key - 1) == 0) {
      char *name = channels->text + used;
      if (count == APP_CHANNELS_MAX || used == sizeof channels->text) return 400;
      int len = decode(query + sizeof key - 1, name, sizeof channels->text - used);
      if (len <= 0) return 400;
      channels->list[count++] = name;
      used += (size_t)len + 1;
    }
    query = strchr(query, '&');
    if (query) query++;
  }
  if (count == 0) channels->list[count++] = "tick";
  channels->list[count] = NULL;
  return 0;
}

/* ---- Methods ---- */

static const char *allowed_methods(const char *path) {
  if (path && strcmp(path, "/stream") == 0) return "GET, HEAD, OPTIONS";
  return path && strcmp(path, "/publish") == 0 ? "OPTIONS, POST" : NULL;
}

int app_route(const char *method, const char *path, const char *query,
              struct app_channels *channels) {
  int publishes = strcmp(path, "/publish") == 0;
  if (!allowed_methods(path)) return 404;
  if (strcmp(method, "OPTIONS") == 0) return 204;
  if (publishes) return strcmp(method, "POST") == 0 ? APP_PUBLISH : 405;
  int head = strcmp(method, "HEAD") == 0;
  if (!head && strcmp(method, "GET") != 0) return 405;
  int status = app_channels(channels, query);
  if (status) return status;
  return head ? 200 : APP_STREAM;
}

/* With allow_origins in it, an answer to OPTIONS of the stream is that to a preflight, too. */
int app_headers(int status, const char *path, sse_http_header_fn *add, void *arg) {
  const char *methods = allowed_methods(path);
  const sse_http_head preflight = {.headers =
                                       (const char *const[]){"Allow: GET, HEAD, OPTIONS", NULL}};
  if (status == 200) return sse_http_headers(SSE_HTTP_STREAM, NULL, add, arg) < 0;
  if (!methods || (status != 204 && status != 405)) return 0;
  if (status == 204 && strcmp(path, "/stream") == 0)
    return sse_http_headers(SSE_HTTP_PREFLIGHT, &preflight, add, arg) < 0;
  return add(arg, "Allow", methods);
}

int app_publish(struct app *app, const char *query, const void *body, size_t len) {
  struct app_channels channels;
  if (len > APP_BODY_MAX) return 413;
  int status = app_channels(&channels, query);
  if (status) return status;
  const sse_event event = {.data = body ? body : "", .data_len = len};
  switch (sse_hub_publish(app->hub, channels.list[0], &event)) {
  case SSE_OK:
    return 204;
  case SSE_ETOOBIG:
    return 413;
  case SSE_ENOMEM:
  case SSE_EFULL:
  case SSE_ECHANNELS:
    return 503;
  default:
    return 400;
  }
}

/* ---- Listening ---- */

#define OWN_FILES 24 /* that a host has without clients */

int app_conns_max(int wanted) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur > (rlim_t)wanted + OWN_FILES)
    return wanted;
  return files.rlim_cur > OWN_FILES ? (int)files.rlim_cur - OWN_FILES : 1;
}

int app_listen(const struct app *app, int *port) {
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)app->port),
                           .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0) die(app->name);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, SOMAXCONN) ||
      getsockname(fd, (struct sockaddr *)&at, &len))
    die(app->name);
  *port = ntohs(at.sin_port);
  return fd;
}
