/* SPDX-License-Identifier: MIT */
/* test_redis_random.c: two engines on one Redis server, while at random connections are held back and
 * cut, and the server is stopped, killed and started. The server is durable, so nothing may be lost.
 *
 * SSE_SEED   the seed; 1.
 * SSE_ROUNDS how long it goes on; 400.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "redis_world.h"

enum {
  NODES = 2,
  BURST_MAX = 40,
  EVENTS_MAX = 1000000
};

static struct node {
  struct proxy proxy;
  struct engine *engine;
  struct client client; /* which follows the engine with this index: */
  int follows;
  int submitted;
} nodes[NODES];

static atomic_uint outcomes[2];

static unsigned setting(const char *name, unsigned otherwise) {
  const char *text = getenv(name);
  return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static unsigned pick(unsigned below) {
  static uint64_t state;
  if (state == 0) state = setting("SSE_SEED", 1);
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (unsigned)(state >> 33) % below;
}

static void submit_some(int index, unsigned count) {
  char text[32];
  for (unsigned i = 0; i < count; i++) {
    snprintf(text, sizeof text, "%d %d", index, nodes[index].submitted++);
    submit(nodes[index].engine, text, outcomes);
  }
}

/* Holds one direction of the connections back, submits, and cuts them. */
static void cut_in_the_middle(int index, int holds_up) {
  proxy_hold(&nodes[index].proxy, holds_up, !holds_up);
  submit_some(index, pick(BURST_MAX));
  usleep(pick(5000));
  proxy_cut(&nodes[index].proxy);
}

static void stop_the_server(int index) {
  kill(server.child.pid, SIGSTOP);
  submit_some(index, pick(BURST_MAX));
  usleep(pick(20000));
  kill(server.child.pid, SIGCONT);
}

static void move_the_client(struct node *node) {
  client_close(&node->client);
  node->follows = (node->follows + 1) % NODES;
  connect_to(&node->client, nodes[node->follows].engine);
}

static void be_away(struct node *node) {
  node->proxy.is_away = 1;
  proxy_cut(&node->proxy);
  usleep(pick(20000));
  node->proxy.is_away = 0;
}

static void disturb(int index) {
  switch (pick(60)) {
  case 0:
    proxy_cut(&nodes[index].proxy);
    break;
  case 1:
    cut_in_the_middle(index, 0);
    break;
  case 2:
    cut_in_the_middle(index, 1);
    break;
  case 3: /* what is held back comes later, maybe after the engine has given the connection up */
    proxy_hold(&nodes[index].proxy, 1, 0);
    break;
  case 4:
    proxy_hold(&nodes[index].proxy, 0, 0);
    break;
  case 5:
    stop_the_server(index);
    break;
  case 6:
    be_away(&nodes[index]);
    break;
  case 7:
    move_the_client(&nodes[index]);
    break;
  case 8:
    if (pick(4) == 0) crash_server(0);
    break;
  default:
    usleep(1000);
  }
}

/* A client was given each event of each engine once, in order, and no gap. */
static void judge(struct client *client) {
  int next[NODES] = {0};
  size_t count = 0;
  for (int i = 0; i < NODES; i++) count += (size_t)nodes[i].submitted;
  if (!client_wait(client, count)) fail_msg("%zu events of %zu", client->count, count);
  for (size_t i = 0; i < client->count; i++) {
    int index, number;
    if (sscanf(client->seen[i].data, "%d %d", &index, &number) != 2 || number != next[index]++)
      fail_msg("event %zu, %s: \"%s\"", i, client->seen[i].id, client->seen[i].data);
  }
  assert_int_equal(client->count, count);
}

static void nothing_is_lost_or_repeated(void **state) {
  (void)state;
  start_server("appendonly yes\nappendfsync always");
  for (int i = 0; i < NODES; i++) {
    char where[64];
    proxy_start(&nodes[i].proxy, server.port);
    snprintf(where, sizeof where, "redis://127.0.0.1:%d?durable=1", nodes[i].proxy.port);
    const sse_hub_config hub = {.channel.window_frames_max = EVENTS_MAX};
    nodes[i].engine = up((struct engine_config){.where = where, .hub = &hub, .wait_max_ms = 60000});
    follow(&nodes[i].client, nodes[i].engine);
    nodes[i].follows = i;
  }
  for (unsigned round = setting("SSE_ROUNDS", 400); round > 0; round--) {
    for (int i = 0; i < NODES; i++) submit_some(i, pick(BURST_MAX));
    for (int i = 0; i < NODES; i++) client_read(&nodes[i].client);
    disturb((int)pick(NODES));
  }
  unsigned total = 0;
  for (int i = 0; i < NODES; i++) proxy_hold(&nodes[i].proxy, 0, 0);
  for (int i = 0; i < NODES; i++) total += (unsigned)nodes[i].submitted;
  await_outcomes(outcomes, total);
  assert_int_equal(outcomes[1], total);
  for (int i = 0; i < NODES; i++) judge(&nodes[i].client);
  assert_int_equal(length(), total + 1);
  for (int i = 0; i < NODES; i++) client_close(&nodes[i].client);
  for (int i = 0; i < NODES; i++) {
    assert_int_equal(status_of(nodes[i].engine).histories, 0);
    end(&nodes[i].client, nodes[i].engine);
    proxy_stop(&nodes[i].proxy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(nothing_is_lost_or_repeated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
