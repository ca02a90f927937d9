/* SPDX-License-Identifier: MIT */
/* graphite.c: sends the number of clients of each channel to Graphite. */
#include "graphite.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pace.h"

enum {
  PACKET_MAX = 1400 /* bytes that a network takes in one piece */
};

struct graphite {
  const struct server *server;
  int socket, stop[2]; /* a pipe whose write end is closed to stop it */
  pthread_t thread;
  size_t len;
  char packet[PACKET_MAX];
};

static void send_packet(struct graphite *graphite) {
  if (graphite->len > 0) (void)!send(graphite->socket, graphite->packet, graphite->len, 0);
  graphite->len = 0;
}

/* A line is not divided; one that is longer than a packet goes alone. */
static void add_line(struct graphite *graphite, const char *channel, size_t clients) {
  char line[PACKET_MAX], name[SSE_CHANNEL_NAME_BYTES_MAX + 1];
  size_t i = 0;
  for (; channel[i] && i + 1 < sizeof name; i++)
    name[i] = (char)((unsigned char)channel[i] > ' ' ? channel[i] : '_');
  name[i] = '\0';
  int len = snprintf(line, sizeof line, "%s.%s %zu %lld\n", graphite->server->options->export_path,
                     name, clients, (long long)time(NULL));
  if (len <= 0 || len >= (int)sizeof line) return;
  if (graphite->len + (size_t)len > sizeof graphite->packet) send_packet(graphite);
  memcpy(graphite->packet + graphite->len, line, (size_t)len);
  graphite->len += (size_t)len;
}

static void export_all(struct graphite *graphite) {
  char **names = roster_list(graphite->server->roster);
  for (char **name = names; name && *name; name++)
    add_line(graphite, *name, sse_hub_count(graphite->server->hub, *name));
  free(names);
  send_packet(graphite);
}

static void *export_on(void *arg) {
  struct graphite *graphite = arg;
  int64_t interval_ns = (int64_t)graphite->server->options->export_interval_ms * 1000000;
  int64_t due_ns = pace_now_ns() + interval_ns;
  while (!pace_sleep_until(graphite->stop[0], due_ns)) {
    export_all(graphite);
    due_ns += interval_ns;
    if (due_ns < pace_now_ns()) due_ns = pace_now_ns() + interval_ns;
  }
  return NULL;
}

static int connect_to(const char *host, const char *port) {
  const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
  struct addrinfo *address;
  int error = getaddrinfo(host, port, &hints, &address), fd = -1;
  if (error) {
    fprintf(stderr, "broadcast: --export-host %s: %s\n", host, gai_strerror(error));
    return -1;
  }
  fd = socket(address->ai_family, SOCK_DGRAM, 0);
  if (fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
    close(fd);
    fd = -1;
  }
  if (fd < 0) fprintf(stderr, "broadcast: --export-host %s: no way there\n", host);
  freeaddrinfo(address);
  return fd;
}

int graphite_start(struct graphite **graphite, const struct server *server) {
  const struct options *options = server->options;
  *graphite = NULL;
  if (!options->export_to) return 0;
  struct graphite *new = calloc(1, sizeof *new);
  if (!new) return -1;
  new->server = server;
  new->socket = connect_to(options->export_host, options->export_port);
  if (new->socket >= 0 && pipe(new->stop) == 0) {
    if (pthread_create(&new->thread, NULL, export_on, new) == 0) {
      *graphite = new;
      return 0;
    }
    close(new->stop[0]);
    close(new->stop[1]);
  }
  if (new->socket >= 0) {
    close(new->socket);
    fputs("broadcast: --export: cannot start a thread\n", stderr);
  }
  free(new);
  return -1;
}

void graphite_stop(struct graphite *graphite) {
  if (!graphite) return;
  close(graphite->stop[1]);
  pthread_join(graphite->thread, NULL);
  close(graphite->stop[0]);
  close(graphite->socket);
  free(graphite);
}
