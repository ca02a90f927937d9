/* SPDX-License-Identifier: MIT */
/* host.c: a host under test: its process, and what can be seen of it from outside. */
#include "host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_MAX_S 280

static const struct host_kind kinds[] = {
    {.name = "poll", .own_parser = 1},
    {.name = "thread", .own_parser = 1},
    {.name = "libmicrohttpd", .spare_files = 16},
    {.name = "evhttp", .unknown_method = 501},
    {.name = "libuv", .own_parser = 1},
    /* It looks at its clock every 2 s. */
    {.name = "civetweb", .no_socket = 1, .late_ms = 4000, .unknown_method = 400, .spare_files = 16},
    {.name = "openssl", .tls = 1, .own_parser = 1},
    {.name = "nghttp2", .tls = 1, .http2 = 1},
    {.name = "fastcgi", .no_socket = 1, .behind_nginx = 1},
    {.name = "libsoup"},
    {.name = "libwebsockets", .unknown_method = 403, .spare_files = 16},
};

const struct host_kind *host_kind(const char *name) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  return NULL;
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Processes ---- */

static pid_t start(const char *const *args, int out, unsigned files_max) {
  pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(CHILD_MAX_S);
  if (files_max > 0) setrlimit(RLIMIT_NOFILE, &(struct rlimit){files_max, files_max});
  if (out >= 0) dup2(out, STDOUT_FILENO);
  execvp(args[0], (char *const *)args);
  perror(args[0]);
  _exit(127);
}

/* The exit status; -1 if it had to be killed, or died by a signal. */
static int stop(pid_t pid) {
  const struct timespec moment = {.tv_nsec = 2000000};
  int64_t until = now_ms() + PATIENCE_MS;
  int status;
  pid_t ended;
  kill(pid, SIGTERM);
  while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < until)
    nanosleep(&moment, NULL);
  if (ended == 0) {
    fprintf(stderr, "process %d does not end\n", (int)pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The number at the end of the first line that a host says. */
static int read_port(int fd) {
  char line[256];
  size_t len = 0;
  struct pollfd poller = {.fd = fd, .events = POLLIN};
  while (len + 1 < sizeof line && poll(&poller, 1, PATIENCE_MS) > 0 && read(fd, line + len, 1) == 1)
    if (line[len++] == '\n') break;
  line[len] = '\0';
  const char *colon = strrchr(line, ':');
  return colon ? (int)strtol(colon + 1, NULL, 10) : 0;
}

/* ---- nginx ---- */

/* A port that was free a moment ago. */
static int free_port(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
    getsockname(fd, (struct sockaddr *)&at, &len);
  close(fd);
  return ntohs(at.sin_port);
}

static int answers(int port) {
  const struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int good = connect(fd, (const struct sockaddr *)&at, sizeof at) == 0;
  close(fd);
  return good;
}

static int start_nginx(struct host *host) {
  char config[128];
  const int fastcgi_port = host->port;
  strcpy(host->dir, "/tmp/sse-hosts-XXXXXX");
  if (!mkdtemp(host->dir)) return 0;
  snprintf(config, sizeof config, "%s/nginx.conf", host->dir);
  FILE *file = fopen(config, "w");
  if (!file) return 0;
  host->port = free_port();
  fprintf(file,
          "daemon off; worker_processes 1; pid %s/pid; error_log %s/error.log;\n"
          "worker_rlimit_nofile 4096;\n"
          "events { worker_connections 2048; }\n"
          "http {\n"
          "  access_log off;\n"
          "  client_body_temp_path %s/body; fastcgi_temp_path %s/fastcgi;\n"
          "  proxy_temp_path %s/proxy; uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;\n"
          "  client_body_buffer_size 128k;\n"
          "  server {\n"
          "    listen 127.0.0.1:%d backlog=1024;\n"
          "    location / {\n"
          "      include /etc/nginx/fastcgi_params;\n"
          "      fastcgi_pass 127.0.0.1:%d;\n"
          "      fastcgi_read_timeout 1h;\n"
          "      fastcgi_send_timeout 1h;\n"
          "      send_timeout 1h;\n"
          "    }\n"
          "  }\n"
          "}\n",
          host->dir, host->dir, host->dir, host->dir, host->dir, host->dir, host->dir, host->port,
          fastcgi_port);
  fclose(file);
  const char *const args[] = {"/usr/sbin/nginx", "-c", config, "-p", host->dir, NULL};
  host->nginx = start(args, -1, 0);
  const struct timespec moment = {.tv_nsec = 2000000};
  int64_t until = now_ms() + PATIENCE_MS;
  while (!answers(host->port) && now_ms() < until) nanosleep(&moment, NULL);
  return answers(host->port);
}

static void stop_nginx(struct host *host) {
  const char *const args[] = {"rm", "-rf", host->dir, NULL};
  if (host->nginx > 0) stop(host->nginx);
  host->nginx = 0;
  if (*host->dir) waitpid(start(args, -1, 0), NULL, 0);
  *host->dir = '\0';
}

/* ---- A host ---- */

int host_start(struct host *host, const struct host_kind *kind, const char *const *options) {
  return host_start_limited(host, kind, options, 0);
}

int host_start_limited(struct host *host, const struct host_kind *kind, const char *const *options,
                       unsigned files_max) {
  char path[512];
  const char *build = getenv("SSE_BUILD");
  const char *args[16] = {path, "--port", "0"};
  int pipes[2];
  size_t count = 3;
  snprintf(path, sizeof path, "%s/examples/hosts/%s", build ? build : "build", kind->name);
  for (; options && *options && count < 15; options++) args[count++] = *options;
  args[count] = NULL;
  *host = (struct host){.kind = kind, .out = -1};
  if (pipe2(pipes, O_CLOEXEC)) return 0;
  host->pid = start(args, pipes[1], files_max);
  close(pipes[1]);
  host->out = pipes[0];
  host->port = read_port(host->out);
  int good = host->port > 0 && (!kind->behind_nginx || start_nginx(host));
  snprintf(host->url, sizeof host->url, "http%s://127.0.0.1:%d", kind->tls ? "s" : "", host->port);
  return good;
}

int host_stop(struct host *host) {
  if (host->pid <= 0) return -1;
  int status = stop(host->pid);
  host->pid = 0;
  stop_nginx(host);
  close(host->out);
  return status;
}

/* The open descriptors whose kind begins so: "socket:", or "" for all. */
static int count_files(const struct host *host, const char *kind) {
  char path[64], link[64];
  int count = 0;
  snprintf(path, sizeof path, "/proc/%d/fd", (int)host->pid);
  DIR *dir = opendir(path);
  if (!dir) return -1;
  for (const struct dirent *entry; (entry = readdir(dir));) {
    ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
    if (len > 0 && strncmp(link, kind, strlen(kind)) == 0) count++;
  }
  closedir(dir);
  return count;
}

int host_sockets(const struct host *host) {
  return count_files(host, "socket:");
}

int host_files(const struct host *host) {
  return count_files(host, "");
}

/* Of the fields behind the name, which ends with the last ")", two are user and system time. */
long host_cpu_ms(const struct host *host) {
  char path[64], line[1024];
  unsigned long user = 0, kernel = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)host->pid);
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  const char *at = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
  fclose(file);
  if (!at ||
      sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
    return -1;
  return (long)((user + kernel) * 1000) / sysconf(_SC_CLK_TCK);
}

static long status_field(const struct host *host, const char *name) {
  char path[64], line[256];
  long value = -1;
  snprintf(path, sizeof path, "/proc/%d/status", (int)host->pid);
  FILE *file = fopen(path, "r");
  if (!file) return -1;
  while (value < 0 && fgets(line, sizeof line, file))
    if (strncmp(line, name, strlen(name)) == 0) value = strtol(line + strlen(name), NULL, 10);
  fclose(file);
  return value;
}

long host_memory(const struct host *host) {
  return status_field(host, "VmRSS:");
}

long host_peak(const struct host *host) {
  return status_field(host, "VmHWM:");
}

void host_forget_peak(const struct host *host) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)host->pid);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "5", 1) != 1) fprintf(stderr, "the peak is that since the start\n");
  if (fd >= 0) close(fd);
}
