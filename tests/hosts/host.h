/* SPDX-License-Identifier: MIT */
/* host.h: a host under test: its process, and what can be seen of it from outside. */
#ifndef TESTS_HOSTS_HOST_H
#define TESTS_HOSTS_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* No test waits longer than this for anything; a machine that is busy may need much of it. */
#define PATIENCE_MS 60000

/* What one host is, beyond what all are. */
struct host_kind {
  const char *name;
  int tls, http2;
  int behind_nginx;    /* it speaks FastCGI, and nginx speaks HTTP for it */
  int no_socket;       /* it shows no client's socket, which therefore cannot be prepared */
  int own_parser;      /* requests are read by examples/hosts/request.c */
  int spare_files;     /* the number of descriptors that it leaves unused when it is full */
  long unknown_method; /* the status for a method that it knows nowhere; 0: 405 */
  int late_ms;         /* by so much more than the others it may miss the stall deadline */
};

struct host {
  const struct host_kind *kind;
  pid_t pid, nginx;
  int out;      /* its standard output */
  int port;     /* where HTTP is spoken */
  char dir[64]; /* of nginx */
  char url[48]; /* up to the path */
};

/* The kind of that name; NULL if there is none. */
const struct host_kind *host_kind(const char *name);

int64_t now_ms(void);

/* Starts $SSE_BUILD/examples/hosts/NAME on a free port with more options, a list that NULL ends. It
 * outlives neither the test nor its time. 0 on failure. */
int host_start(struct host *host, const struct host_kind *kind, const char *const *options);

/* The same with a limit of open files; 0: that of the test. */
int host_start_limited(struct host *host, const struct host_kind *kind, const char *const *options,
                       unsigned files_max);

/* Sends SIGTERM and gives the exit status; -1 if it did not end by itself and had to be killed. */
int host_stop(struct host *host);

/* How many sockets, and how many descriptors of any kind it has open. */
int host_sockets(const struct host *host);
int host_files(const struct host *host);

/* The processor time that it has used, in ms. */
long host_cpu_ms(const struct host *host);

/* Its resident memory now, or the most since the start or the last host_forget_peak; KiB. */
long host_memory(const struct host *host);
long host_peak(const struct host *host);
void host_forget_peak(const struct host *host);

#endif
