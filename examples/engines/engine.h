/* SPDX-License-Identifier: MIT */
/* engine.h: an engine appends events to a log, and feeds a hub from that log. */
#ifndef ENGINE_H
#define ENGINE_H

#include <sse/sse.h>

/*
 * A program that publishes through an engine has ids that hold across a restart: the engine appends
 * each event to a log, the log gives it its number, and the engine publishes what the log has to
 * its hub, in the order of the log (sse-log(7)). The kinds of engines differ in their log:
 *
 *   memory  none: the hub gives the numbers, and after a restart it is empty
 *   sqlite  a table in a file
 *   redis   a stream in a Redis server, which many processes share
 *   nats    a stream of NATS JetStream, which many processes share
 *   amqp    a stream queue in a RabbitMQ server, which many processes share
 *
 * Life. engine_open opens the log and makes the hub, because the hub needs the name of the log's
 * history. The program then configures channels that have their own configuration, and calls
 * engine_start, which gives the hub what the log retains. From here on it opens streams and
 * publishes. To shut down: engine_stop, then end and free the streams and loops, then engine_free.
 *
 * Threads. One thread opens, starts, stops and frees. Any threads call the other functions between
 * open and free. An engine has one thread, which appends, reads the log, and is the only one that
 * feeds the hub; nobody else may publish to the hub. That thread also calls `done`.
 */
struct engine;
struct engine_kind;

/* Errors of an engine, beside those of the library. */
enum engine_error {
  /* The log did not take the event, or did not confirm it. engine_status says why. The event may be
   * in the log all the same, for instance if a disk took it and then failed. */
  ENGINE_ELOG = -1001,
  ENGINE_EBUSY = -1002,   /* too many bytes wait to be appended; try again later */
  ENGINE_ESTOPPED = -1003 /* the engine is not started, or was stopped */
};

#define ENGINE_FOREVER     UINT64_MAX /* for entries_max */
#define ENGINE_PROBLEM_MAX 256        /* bytes of a sentence about a failure, its NUL included */

/* A short English sentence for an error of an engine or of the library. */
const char *engine_error_text(int error);

/* The kind with this name, as above; NULL: there is none, or the program was built without it. */
const struct engine_kind *engine_find(const char *name);

/*
 * Called before each event is given to the hub, with its channels, so that a program can configure
 * those that it does not know beforehand. On any thread; it must not publish.
 */
typedef void engine_prepare_fn(void *arg, sse_hub *hub, const char *const *channels);

/*
 * Called after each event of the log that the hub was given, or could not take, with its channels.
 * It is on the thread that feeds, before `done` of the event, which is then called on the same
 * thread. Not called for ephemeral events, and for those that a hub refuses. It must not publish.
 */
typedef void engine_seen_fn(void *arg, sse_hub *hub, const char *const *channels,
                            const sse_event *ev);

/* A member that is 0 or NULL takes the default in its comment. All is borrowed for engine_open. */
struct engine_config {
  const char *where;          /* where the log is; sqlite: the file's path; redis, nats, amqp: a
                                URL as in redis_url.h, nats_url.h, amqp_url.h; all required;
                                memory: NULL */
  const sse_hub_config *hub;  /* configuration of the hub, without `numbers`, `start_after` and
                                `epoch`, which the engine sets; default: all defaults */
  engine_prepare_fn *prepare; /* until engine_free; default: none */
  void *prepare_arg;          /* passed to prepare */
  engine_seen_fn *seen;       /* until engine_free; default: none */
  void *seen_arg;             /* passed to seen */
  uint64_t entries_max;       /* the log retains at least this number of entries, and an eighth more
                                at most (redis: about 100 more; nats: none more, and it applies
                                when the stream is created; amqp: not used, since its limit is
                                in bytes); ENGINE_FOREVER: all, in every kind; default
                                1,000,000 */
  uint64_t age_max_s;         /* entries are removed at this age in seconds; default: at no age;
                                nats, amqp: it applies when the stream is created; amqp: later,
                                with the whole segment */
  uint64_t load_max;          /* the newest entries that the hub is given at the start; default
                                100,000 */
  size_t waiting_bytes_max;   /* memory of events that wait to be appended; default 16 MiB */
  int32_t poll_ms;     /* how often an idle engine looks for what other processes have appended;
                      SSE_NEVER: only when it appends itself; default 100; redis, nats, amqp: not
                      used, since the server reports new entries at once */
  int32_t wait_max_ms; /* longest time that an event waits for a server that does not answer or is
                          away, in ms; its error is then ENGINE_ELOG; default 10,000; memory and
                          sqlite: not used */
};

/*
 * Opens the log, creating it if there is none, and makes the hub. It has to come after the last
 * fork. On failure `problem` has a sentence that names the cause.
 *
 * 0; ENGINE_ELOG (the log cannot be opened, or is not one of this kind, or its server does not answer;
 * the program may try again); an error of sse_hub_new.
 */
int engine_open(struct engine **engine, const struct engine_kind *kind,
                const struct engine_config *config, char problem[ENGINE_PROBLEM_MAX]);

/*
 * Gives the hub what the log has at this moment, and starts to append. 0; ENGINE_ELOG,
 * and engine_status has a sentence; SSE_ENOMEM. After a failure: engine_free.
 */
int engine_start(struct engine *engine);

/* The hub, for streams, loops and statistics. It is freed by engine_free. */
sse_hub *engine_hub(const struct engine *engine);

/*
 * What became of one event. It must not block, nor stop the engine; it may submit. `id` is valid
 * for the call.
 *
 * error 0   The log has the event, safe from a crash of this process and, as far as the log
 *           promises it, of the machine. `id` is the id that clients see; "" for an ephemeral one.
 *           An engine whose log is in this process has fed the hub, too; one whose log is elsewhere
 *           feeds it when it reads the event.
 * else      No client of this process is given the event, and `id` is "". An error of the log is
 *           ENGINE_ELOG. An error of sse_hub_publish that depends on the state of the hub
 *           (SSE_EIDUSED, SSE_EFINISHED; SSE_EKEY on a conflated channel) comes after the entry was
 *           appended: the entry stays in the log, and the hub passes over it.
 */
typedef void engine_done_fn(void *arg, int error, const char *id);

/*
 * Submits an event, for programs that must not block. The event is copied.
 *
 * channels  as in sse_hub_publish_to.
 * ev        as in sse_hub_publish; `number` must be 0.
 * done      called exactly once if the call returns 0, and maybe before it returns; NULL: none.
 *
 * Events of one thread are appended in the order of its calls. An ephemeral event does not go
 * through the log: the hub of this process is given it at once.
 *
 * 0: the event is on its way, and `done` gets the outcome. Else nothing was appended, and `done` is
 * not called: an error of sse_hub_publish (the event or a channel's name is invalid, or the event is
 * too big), SSE_ENOMEM, ENGINE_EBUSY or ENGINE_ESTOPPED.
 */
int engine_submit(struct engine *engine, const char *const *channels, const sse_event *ev,
                  engine_done_fn *done, void *arg);

/*
 * Publishes an event, and waits for the outcome: engine_submit for threads that may block. It must
 * not be called from `done`. `id` has SSE_ID_BYTES_MAX + 1 bytes; NULL: not wanted. Returns the
 * error of engine_submit or of `done`.
 *
 * Many threads that publish at the same time share the cost of a write to the disk.
 */
int engine_publish(struct engine *engine, const char *const *channels, const sse_event *ev,
                   char *id);

/* How an engine is, for a page that operators read. Numbers count from engine_open. */
struct engine_status {
  const char *kind;     /* name of the kind */
  int failing;          /* 1: the last use of the log failed, and `problem` says how */
  uint64_t head;        /* number of the newest entry that the hub was given or has passed over */
  uint64_t behind;      /* entries that the log is known to have after the head; sqlite: always 0,
                           because it reads all that the file has at once */
  uint64_t appended;    /* events that the log has confirmed */
  uint64_t failed;      /* events that it has not */
  uint64_t writes;      /* writes to the log that the confirmed events have shared */
  uint64_t refused;     /* entries that the hub has passed over, because they are no valid events */
  uint64_t skipped;     /* entries that the hub could not take, which clients learn by a gap */
  uint64_t histories;   /* how often the log turned out to have a new history (sse_hub_reset) */
  size_t waiting;       /* events that wait for their outcome */
  size_t waiting_bytes; /* their memory */
  char problem[ENGINE_PROBLEM_MAX]; /* the last failure, as a sentence; "": none so far */
};
void engine_status(struct engine *engine, struct engine_status *status);

/*
 * Appends what was submitted, answers it, and stops: later events are refused with
 * ENGINE_ESTOPPED. The hub is fed no more. It waits for the engine's thread.
 */
void engine_stop(struct engine *engine);

/*
 * Stops the engine if need be, closes the log and frees the hub. NULL is allowed. 0; or SSE_EBUSY,
 * as sse_hub_free: a stream or a loop is not freed, and the engine is only stopped.
 */
int engine_free(struct engine *engine);

#endif
