/* SPDX-License-Identifier: MIT */
/* stage.c: a hub, those who act on it, and the judge of what came of it. */
#include "stage.h"

#include <ctype.h>
#include <string.h>

#include "hub/hub.h"

enum {
  TICKS_MAX = 8
};

struct stage stage;

/* ---- actors ---- */

/* Of several that feed a hub, which none should, one comes too late. */
static void fed(char letter, int result) {
  stage.sent[(unsigned char)letter] = result == SSE_OK;
  if (result != SSE_OK && result != SSE_ENUMBER)
    sched_fault("%c: %s", letter, sse_error_name(result));
}

static void expect(int result, int expected, const char *what) {
  if (result != expected) sched_fault("%s: %s", what, sse_error_name(result));
}

/* A channel may be finished by then. */
static void publish(char letter) {
  static const char *const both[] = {"x", "y", NULL};
  const char *const one[] = {islower((unsigned char)letter) ? "x" : "y", NULL};
  const char text[] = {letter, '\0'};
  const sse_event event = {.text = text, .number = stage.scene->log ? ++stage.number : 0};
  int result =
      sse_hub_publish_to(stage.world.hub, isdigit((unsigned char)letter) ? both : one, &event);
  if (event.number) {
    fed(letter, result);
    return;
  }
  stage.sent[(unsigned char)letter] = result == SSE_OK;
  if (result != SSE_EFINISHED) expect(result, SSE_OK, "publish");
}

/* A ticker that sleeps as it is told, and stops when the hosts are over, or never will be. */
static void tick_along(void) {
  for (int ticks = 0; ticks < TICKS_MAX; ticks++) {
    unsigned over = 0;
    for (unsigned i = 0; i < stage.hosts_count; i++) over += stage.hosts[i].over;
    if (over == stage.hosts_count) return;
    bool never = false;
    sched_sleep(&never, sse_hub_tick(stage.world.hub));
  }
}

static void open_own(sse_stream **own) {
  const sse_stream_config config = {.channel = "x"};
  expect(sse_stream_open(own, stage.world.hub, &config), SSE_OK, "open");
}

static void free_own(sse_stream **own) {
  sse_stream_free(*own);
  *own = NULL;
}

static void act(char what, sse_stream **own) {
  sse_hub *hub = stage.world.hub;
  int count = 0;
  switch (what) {
  case '!':
    count = sse_hub_disconnect(hub, "me");
    break;
  case '&':
    count = sse_hub_disconnect(hub, NULL);
    break;
  case '%':
    count = sse_hub_dismiss(hub, "me");
    break;
  case '+':
    count = sse_hub_subscribe(hub, "me", "y", 0);
    break;
  case '-':
    count = sse_hub_unsubscribe(hub, "me", "y");
    break;
  case '#':
    count = sse_hub_drain(hub, 0);
    break;
  case '$':
    count = sse_hub_finish(hub, "x");
    break;
  case '~':
    stage.world.now_ms += 1000;
    sse_hub_tick(hub);
    break;
  case '^':
    sse_hub_tick(hub);
    break;
  case '*':
    tick_along();
    break;
  case '=':
    fed(what, sse_hub_advance(hub, ++stage.number));
    break;
  case '>':
    fed(what, sse_hub_skip(hub, ++stage.number));
    break;
  case '<':
    fed(what, sse_hub_reset(hub, "F", stage.number = 0));
    break;
  case '(':
    open_own(own);
    break;
  case ')':
    free_own(own);
    break;
  default:
    publish(what);
    break;
  }
  if (count < 0) sched_fault("%c: %s", what, sse_error_name(count));
}

struct actor {
  const char *script;
  sse_stream **own;
};

static struct actor actors[ACTORS_MAX];

static void run_actor(void *arg) {
  const struct actor *actor = arg;
  for (const char *what = actor->script; *what; what++) act(*what, actor->own);
}

/* ---- presence ---- */

/* It may publish, and does where that is owed. */
static void told(void *arg, const char *channel, int present) {
  const struct scene *scene = arg;
  int *last = &stage.present[*channel == 'y'];
  if (stage.telling) sched_fault("presence is told twice at one time");
  if (sched_locked()) sched_fault("presence is told with a lock held");
  stage.telling = true;
  sched_point("is told");
  if (*last == present) sched_fault("presence does not alternate");
  *last = present;
  if (strchr(scene->owed, 'p') && !stage.sent['p']) publish('p');
  sched_point("was told");
  stage.telling = false;
}

static void judge_presence(void) {
  static const char *const names[] = {"x", "y"};
  for (int i = 0; i < 2 && stage.scene->presence; i++) {
    bool present = sse_hub_count(stage.world.hub, names[i]) > 0;
    if (stage.present[i] == present) continue;
    sched_fault("told that %s %s streams", names[i], present ? "has no" : "has");
  }
}

/* ---- the judge ---- */

/* What one thread published comes in its order, and the end of a history between two. */
static void judge_order(const struct client *client, const char *script) {
  const char *last = client->told;
  for (; *script; script++) {
    bool ordered = isalnum((unsigned char)*script) || *script == '<';
    const char *at = ordered ? strchr(client->told, *script) : NULL;
    if (at && at < last) sched_fault("a client is told %s", client->told);
    if (at) last = at;
  }
}

static void judge_client(const struct host *host, const struct client *client) {
  const struct scene *scene = host->scene;
  for (const char *letter = client->told; *letter; letter++) {
    if (strchr(letter + 1, *letter)) sched_fault("twice: %s", client->told);
    bool unwanted = scene->unwanted && strchr(scene->unwanted, *letter);
    if (unwanted || !stage.sent[(unsigned char)*letter]) sched_fault("not his: %s", client->told);
  }
  for (const char *owed = host->owed; *owed && !client->left; owed++) {
    if (!stage.sent[(unsigned char)*owed] || strchr(client->told, *owed)) continue;
    sched_fault("%c is missing: %s", *owed, client->told);
  }
  for (int i = 0; i < ACTORS_MAX; i++) {
    if (scene->actors[i]) judge_order(client, scene->actors[i]);
  }
  if (client->over != host->end && !client->left) sched_fault("a stream does not end");
}

static void judge(void *arg) {
  (void)arg;
  judge_presence();
  for (unsigned i = 0; i < stage.hosts_count; i++) {
    const struct host *host = &stage.hosts[i];
    bool often = host->wakes > 0 && host->target.rung > host->wakes;
    if (often) sched_fault("woken %u times", host->target.rung);
    for (unsigned j = 0; j < host->count; j++) judge_client(host, &host->clients[j]);
  }
  for (int i = 0; i < ACTORS_MAX; i++) free_own(&stage.own[i]);
  judge_presence();
  expect(sse_hub_free(stage.world.hub), SSE_OK, "free");
  if (world_blocks() != stage.blocks) sched_fault("memory is not given back");
}

/* ---- the play ---- */

static void open_hub(const struct scene *scene) {
  sse_hub_config config = {
      .epoch = "E",
      .channel_idle_ms = SSE_NEVER,
      .stall_ms = SSE_NEVER,
      .heartbeat_ms = scene->heartbeat_ms ? scene->heartbeat_ms : SSE_NEVER,
      .numbers = scene->log ? SSE_NUMBERS_GIVEN : SSE_NUMBERS_OWN,
      .concurrent_replays_max = scene->concurrent_replays_max,
      .occupancy = scene->presence ? told : NULL,
      .occupancy_arg = (void *)(uintptr_t)scene,
  };
  world_callbacks(&stage.world, &config);
  expect(sse_hub_new(&stage.world.hub, &config), SSE_OK, "hub");
  if (scene->parts) stage.world.hub->part_max = 1;
}

static void set_up(void *arg) {
  static const char *const actor_names[] = {"actor 1", "actor 2", "actor 3"};
  static const char *const host_names[] = {"host 1", "host 2", "host 3"};
  const struct scene *scene = arg;
  stage = (struct stage){.scene = scene, .blocks = world_blocks()};
  open_hub(scene);
  for (const char *what = scene->before ? scene->before : ""; *what; what++) act(*what, NULL);
  for (unsigned i = 0; i < HOSTS_MAX && scene->hosts[i]; i++) {
    struct host *host = &stage.hosts[stage.hosts_count++];
    host->scene = scene;
    host->filtered = scene->filtered && i == 1;
    host->owed = host->filtered ? "" : scene->owed;
    host->end = host->filtered ? SSE_EDISCONNECTED : scene->end;
    host->kind = scene->hosts[i];
    host->last_id = scene->last_ids[i];
    host->wakes = host->kind == HOST_WAKE ? scene->wakes : 0;
    host->leaves = i == 0 ? scene->leaves : LEAVES_AT_THE_END;
    host->count = i == 0 && scene->streams ? scene->streams : 1;
    host_open(host);
  }
  for (unsigned i = 0; i < ACTORS_MAX && scene->actors[i]; i++) {
    actors[i] = (struct actor){scene->actors[i], &stage.own[i]};
    sched_thread(actor_names[i], run_actor, &actors[i]);
  }
  for (unsigned i = 0; i < HOSTS_MAX && scene->hosts[i]; i++) {
    sched_thread(host_names[i], host_run, &stage.hosts[i]);
  }
}

/* So many preemptions that it takes a fraction of a second. */
static unsigned preemptions_of(const struct scene *scene) {
  static const unsigned by_threads[ACTORS_MAX + HOSTS_MAX + 1] = {0, 0, 4, 2, 1};
  unsigned threads = 0;
  for (int i = 0; i < ACTORS_MAX; i++) threads += scene->actors[i] != NULL;
  for (int i = 0; i < HOSTS_MAX; i++) threads += scene->hosts[i] != HOST_NONE;
  return scene->preemptions ? scene->preemptions : by_threads[threads];
}

struct sched_play stage_play(const struct scene *scene) {
  return (struct sched_play){.name = scene->name,
                             .set_up = set_up,
                             .judge = judge,
                             .arg = (void *)(uintptr_t)scene,
                             .preemptions = preemptions_of(scene),
                             .least = 1000,
                             .walks = 3000,
                             .timed = scene->timed,
                             .now_ms = &stage.world.now_ms};
}
