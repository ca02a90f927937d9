/* SPDX-License-Identifier: MIT */
/* fanout_process.c: what a server has taken, seen from outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fanout.h"

/* Some servers are a master and its workers, so a process counts with its children. */
static double with_children(pid_t pid, double (*of_one)(pid_t)) {
  char path[64];
  double sum = of_one(pid);
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  FILE *file = fopen(path, "r");
  if (!file) return sum;
  char children[4096];
  size_t len = fread(children, 1, sizeof children - 1, file);
  children[len] = '\0';
  char *at = children, *end;
  for (long child; (child = strtol(at, &end, 10)) > 0; at = end)
    sum += with_children((pid_t)child, of_one);
  fclose(file);
  return sum;
}

/* The scheduler's own count, which is exact; /proc/PID/stat counts ticks. */
static double cpu_of_one(pid_t pid) {
  clockid_t id;
  struct timespec spent;
  if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &spent) != 0) return 0;
  return (double)spent.tv_sec * 1e9 + (double)spent.tv_nsec;
}

static double resident_of_one(pid_t pid) {
  char path[64], line[256];
  double kibibytes = 0;
  snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
  FILE *file = fopen(path, "r");
  if (!file) return 0;
  while (kibibytes == 0 && fgets(line, sizeof line, file))
    if (strncmp(line, "Rss:", 4) == 0) kibibytes = strtod(line + 4, NULL);
  fclose(file);
  return kibibytes * 1024;
}

double process_cpu_ns(pid_t pid) {
  return with_children(pid, cpu_of_one);
}

double process_resident_bytes(pid_t pid) {
  return with_children(pid, resident_of_one);
}
