/* SPDX-License-Identifier: MIT */
/* world.c: nodes, the log's server and the network between them, and what befalls them. */
#include "../engines/proxy.h"
#include "../engines/redis_server.h"
#include "run.h"

enum {
  PENDING_MAX = 32,
  NODE_REDIS = NODES /* for `target` */
};

struct node {
  pid_t pid; /* 0: it does not run */
  int port, is_wanted, is_stopped;
  int64_t start_us; /* not before */
};

enum deed {
  DEED_START,
  DEED_CONTINUE,
  DEED_CONNECT
};

struct pending {
  int64_t due_us; /* 0: the place is free */
  enum deed deed;
  int target;
};

struct counts counts;
static struct node nodes[NODES];
static struct pending pending[PENDING_MAX];
static struct redis_server redis;
static struct proxy proxy;
static struct trial *the_trial;
static const struct options *the_options;
static char folder[96], engine[256];
static int has_redis, node_count, is_redis_stopped, is_gentle;
static int64_t next_fault_us;

const char *world_folder(void) {
  return folder;
}

int world_port(int node) {
  return nodes[node % node_count].port;
}

/* ---- nodes ---- */

static void start_node(int number) {
  struct node *node = &nodes[number];
  char port[16], log[128], program[512], small[32];
  snprintf(small, sizeof small, "c%d:window=30", CHANNELS - 1);
  snprintf(port, sizeof port, "%d", node->port);
  snprintf(log, sizeof log, "%s/node-%d.log", folder, number);
  snprintf(program, sizeof program, "%s/examples/broadcast", the_options->build);
  node->pid = fork();
  if (node->pid != 0) return;
  child_bound();
  alarm(0); /* a run may be longer */
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  execl(program, program, "--port", port, "--engine", engine, "--heartbeat", "0.5", "--limit",
        small, (char *)NULL);
  _exit(127);
}

static void kill_node(struct node *node) {
  if (node->pid > 0) {
    kill(node->pid, SIGKILL);
    waitpid(node->pid, NULL, 0);
  }
  node->pid = 0;
  node->is_stopped = 0;
}

/* A node that finds no server at its start ends, and is started again, as by a supervisor. */
static void tend_nodes(void) {
  for (int i = 0; i < node_count; i++) {
    struct node *node = &nodes[i];
    int status;
    if (node->pid > 0 && waitpid(node->pid, &status, WNOHANG) == node->pid) {
      if (WIFSIGNALED(status)) {
        fprintf(stderr, "chaos: node %d died of signal %d; see %s\n", i, WTERMSIG(status), folder);
        abort();
      }
      node->pid = 0;
      node->start_us = now_us() + 200000;
    }
    if (node->pid == 0 && node->is_wanted && now_us() >= node->start_us) start_node(i);
  }
}

/* ---- the log's server ---- */

static void later(enum deed deed, int target, int least_us, int span_us) {
  for (int i = 0; i < PENDING_MAX; i++)
    if (pending[i].due_us == 0) {
      pending[i] = (struct pending){now_us() + least_us + random_below(span_us), deed, target};
      return;
    }
  abort();
}

/* redis_server.h gives it a longest time, so that a long run has one more fault. */
static void tend_redis(void) {
  int status;
  if (!has_redis || redis.child.pid <= 0) return;
  if (waitpid(redis.child.pid, &status, WNOHANG) != redis.child.pid) return;
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM) {
    fprintf(stderr, "chaos: redis-server ended with status %d; see %s\n", status, redis.directory);
    abort();
  }
  close(redis.child.out);
  redis.child.pid = 0;
  counts.restarts++;
  later(DEED_START, NODE_REDIS, 0, 1000000);
}

/* One command, and its answer: 0 or -1. Not while the server is stopped. */
static int command(const char *line) {
  char reply[64] = "";
  int fd = dial(redis.port);
  if (fd < 0) return -1;
  say(fd, line);
  if (await(fd, POLLIN, now_ms() + 2000) && read(fd, reply, sizeof reply - 1) < 0) *reply = '\0';
  close(fd);
  return *reply == '+' || *reply == ':' ? 0 : -1;
}

static void trim(void) {
  char line[64];
  if (the_trial->trim_count == TRIMS_MAX) return;
  struct trim *when = &the_trial->trims[the_trial->trim_count++];
  snprintf(line, sizeof line, "XTRIM sse-log MAXLEN %d\r\n",
           random_below(2) ? random_below(5) : random_below(400));
  when->from_us = now_us();
  counts.trims += command(line) == 0;
  when->to_us = now_us();
}

static void kill_redis(int with_data) {
  server_kill(&redis);
  if (!with_data) server_remove(&redis, "/appendonlydir");
  if (with_data)
    counts.restarts++;
  else
    counts.losses++;
  later(DEED_START, NODE_REDIS, 0, 1000000);
}

static void stop_redis(void) {
  kill(redis.child.pid, SIGSTOP);
  is_redis_stopped = 1;
  counts.stops++;
  later(DEED_CONTINUE, NODE_REDIS, 50000, random_below(4) ? 500000 : 3000000);
}

static void cut(void) {
  counts.cuts++;
  if (random_below(2)) {
    proxy.is_away = 1;
    later(DEED_CONNECT, 0, 50000, 1500000);
  }
  proxy_cut(&proxy);
}

/* In a gentle run most faults are such that a durable log stays the same history. */
static void trouble_redis(void) {
  if (redis.child.pid <= 0 || is_redis_stopped) return;
  int which = random_below(8);
  if (is_gentle && (which == 1 || which == 2) && random_below(10)) which = 0;
  switch (which) {
  case 0:
    kill_redis(1);
    break;
  case 1:
    kill_redis(0);
    break;
  case 2:
    counts.flushes += command("FLUSHALL\r\n") == 0;
    break;
  case 3:
  case 4:
    trim();
    break;
  case 5:
    stop_redis();
    break;
  default:
    cut();
  }
}

/* ---- faults ---- */

static void trouble_node(int number) {
  struct node *node = &nodes[number];
  if (node->pid <= 0 || node->is_stopped) return;
  if (the_options->breakage == BREAK_GAP || random_below(2)) {
    kill_node(node);
    node->is_wanted = 0;
    counts.kills++;
    later(DEED_START, number, 0, random_below(2) ? 100000 : 1500000);
  } else {
    kill(node->pid, SIGSTOP);
    node->is_stopped = 1;
    counts.stops++;
    later(DEED_CONTINUE, number, 50000, random_below(4) ? 800000 : 3000000);
  }
}

static void do_deed(enum deed deed, int target) {
  struct node *node = target < NODES ? &nodes[target] : NULL;
  if (deed == DEED_CONNECT) {
    proxy.is_away = 0;
  } else if (deed == DEED_CONTINUE) {
    pid_t pid = node ? node->pid : redis.child.pid;
    if (pid > 0) kill(pid, SIGCONT);
    if (node)
      node->is_stopped = 0;
    else
      is_redis_stopped = 0;
  } else if (node) {
    node->is_wanted = 1;
  } else {
    server_launch(&redis);
  }
}

static void do_due(int all) {
  for (int i = 0; i < PENDING_MAX; i++)
    if (pending[i].due_us && (all || now_us() >= pending[i].due_us)) {
      pending[i].due_us = 0;
      do_deed(pending[i].deed, pending[i].target);
    }
}

void world_tick(int with_faults) {
  do_due(0);
  if (with_faults && now_us() >= next_fault_us) {
    next_fault_us = now_us() + 50000 + random_below(800000);
    if (has_redis && random_below(2))
      trouble_redis();
    else
      trouble_node(random_below(node_count));
  }
  tend_redis();
  tend_nodes();
}

void world_mend(void) {
  do_due(1);
}

/* ---- begin and end ---- */

int world_start(struct trial *trial, const struct options *options) {
  const char *place = getenv("TMPDIR");
  the_trial = trial;
  the_options = options;
  has_redis = strcmp(options->engine, "redis") == 0;
  node_count = strcmp(options->engine, "memory") == 0 ? 1 : NODES;
  snprintf(folder, sizeof folder, "%.60s/sse-chaos-XXXXXX", place ? place : "/tmp");
  if (!mkdtemp(folder)) return -1;
  snprintf(engine, sizeof engine, "%s", options->engine);
  if (!has_redis && node_count > 1) snprintf(engine, sizeof engine, "sqlite:%s/log", folder);
  if (has_redis) {
    int durable = random_below(2);
    is_gentle = durable;
    if (strlen(folder) < 40) setenv("TMPDIR", folder, 1); /* redis_server.h takes so much of it */
    if (!server_make(&redis, "appendonly yes\nappendfsync always\nauto-aof-rewrite-percentage 0"))
      return -1;
    proxy_start(&proxy, redis.port);
    snprintf(engine, sizeof engine, "redis://127.0.0.1:%d%s", proxy.port,
             durable ? "?durable=1" : "");
  }
  for (int i = 0; i < node_count; i++)
    nodes[i] = (struct node){.port = free_port(), .is_wanted = 1};
  printf("chaos: %d nodes on %s, in %s\n", node_count, engine, folder);
  next_fault_us = now_us() + 2000000;
  return 0;
}

/* Asks a node whether it is ready, and for its position. */
static int ask_position(int port, char position[128]) {
  char reply[1024];
  if (ask(port, "GET /health/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", reply,
          sizeof reply) != 200)
    return -1;
  if (ask(port, "GET /position HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", reply,
          sizeof reply) != 200)
    return -1;
  const char *body = strstr(reply, "{\"id\":\"");
  if (!body) return -1;
  snprintf(position, 128, "%.*s", (int)strcspn(body + 7, "\""), body + 7);
  return 0;
}

int world_is_one(char position[NODES][128]) {
  for (int i = 0; i < node_count; i++) {
    *position[i] = '\0';
    if (ask_position(nodes[i].port, position[i])) return 0;
  }
  for (int i = 1; i < node_count; i++)
    if (strcmp(position[0], position[i]) != 0) return 0;
  return 1;
}

void world_end(int keep) {
  for (int i = 0; i < node_count; i++) kill_node(&nodes[i]);
  if (has_redis) {
    server_kill(&redis);
    if (proxy.port) proxy_stop(&proxy);
    if (!keep) server_free(&redis);
  }
  if (keep) return;
  struct child child;
  if (child_exec(&child, "rm", (const char *const[]){"-rf", folder, NULL})) child_wait(&child);
}
