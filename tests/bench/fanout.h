/* SPDX-License-Identifier: MIT */
/* fanout.h: servers that fan events out to sockets, and the load that measures them. */
#ifndef FANOUT_H
#define FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Every server speaks the same HTTP: GET /stream?channel=C is an event stream, and each line of the
 * body of POST /publish?channel=C is an event. Posts come over one connection, as many as the load
 * likes before it reads an answer. A server prints the number of its port, then serves until it is
 * killed.
 */

/* A server with as little as there can be in it; up to `batch` waiting events go out in a send. */
int fanout_floor(unsigned batch);
/* libsse on the example host, with so many threads, and so long a linger. */
int fanout_sse(unsigned threads, int linger_ms);

/* What a load is to do next with its server. */
enum load_what {
  LOAD_CONNECT, /* opens the streams, in place of those that were open */
  LOAD_PUBLISH, /* publishes, and waits until all streams have all of it */
  LOAD_RESUME,  /* publishes, then lets all streams come back with the id from before */
  LOAD_END
};

struct load_command {
  enum load_what what;
  unsigned streams;  /* CONNECT: how many, */
  unsigned channels; /* over so many channels, */
  unsigned stalled;  /* and so many more that never read */
  unsigned bytes;    /* PUBLISH and RESUME: of one event's data */
  unsigned events;   /* how many, */
  unsigned batch;    /* so many in a post, */
  bool flood;        /* without waiting for a post to be delivered before the next, */
  unsigned rate;     /* or so many posts in a second, one after the other over all channels; 0 */
};

struct load_result {
  double deliveries;
  double cpu_ns;                          /* of the server's processes */
  double wall_ns;                         /* from the first post to the last delivery */
  double last_ns;                         /* from a post to the last delivery of it; median */
  double p50_ns, p99_ns;                  /* from a post to a delivery of it */
  double resident_bytes;                  /* of the server's processes, afterwards */
  double lost, repeated, damaged, failed; /* events; failed: streams that broke */
};

/* Serves commands for a server until LOAD_END or the end of `in`. */
void fanout_load(pid_t server, int port, int in, int out);

/* In a new process that will be a server: pins it, and binds its life to its parent's. */
void server_becomes_child(void);

/* CPU time and resident memory of a process and its children. */
double process_cpu_ns(pid_t pid);
double process_resident_bytes(pid_t pid);

#endif
