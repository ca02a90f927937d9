/* SPDX-License-Identifier: MIT */
/*
 * sse.h: all of libsse, and the guide through its headers.
 *
 * libsse gives an existing C program an endpoint that streams events to browsers
 * (text/event-stream). The program accepts connections, reads requests, and decides who may listen
 * to what; application code calls sse_hub_publish(); every client that listens is given the event.
 *
 *
 * READING ORDER
 *
 *   hub.h     channels, publishing, administration       any thread
 *   stream.h  one client connection                      one thread at a time
 *   loop.h    the streams of one event loop               one thread at a time
 *   io.h      sending to a socket or through a callback   the stream's thread
 *   http.h    response heads, CORS, Last-Event-ID         any thread
 *   stats.h   counters, gauges, Prometheus                any thread
 *   format.h  one event to bytes, without a hub           any thread
 *   parse.h   bytes to events: the client's half          one thread at a time
 *   error.h, alloc.h, version.h
 *
 * The manual begins with sse(7); sse-recipes(7) answers common tasks with complete programs, and
 * sse-log(7) feeds a hub from a log, so that an id is exact in every process.
 *
 *
 * TERMS
 *
 *   event      what the application publishes: a type and a payload.
 *   frame      the encoded bytes of an event: immutable, encoded once, shared by all streams.
 *   channel    a name and a window.
 *   window     the newest frames of a channel, limited by count, memory and age. Older frames are
 *              evicted.
 *   hub        the channels, one sequence of numbers, and one lock. Every event takes the next
 *              number; the last one given is the head.
 *   epoch      the name of one hub's life; in a hub that is fed from a log, the name of the log's
 *              history. An id on the wire is `<epoch>.<number>`.
 *   stream     one client connection: a set of channels (its subscriptions) and a cursor. A stream
 *              belongs to a loop, or it is standalone.
 *   cursor     the number of the last event that a stream was given. It is given next the frame
 *              with the smallest number above its cursor.
 *   loop       the counterpart of one event loop of the host: the streams that it drives.
 *   iteration  the calls of sse_loop_next until it returns NULL. A loop serves one iteration from
 *              one snapshot of the new frames, without a lock.
 *   caught up  a stream whose cursor is at the head of its loop's snapshot.
 *   in flight  bytes that sse_stream_peek gave and that sse_stream_consume has not yet
 *              acknowledged. They stay where they are until then.
 *   armed      a stream that found nothing to send. It is returned by its loop, or its wake is
 *              called, once, when there is something.
 *   position   an id that is sent without an event, so that a client that reconnects continues at
 *              the right place.
 *   gap        events that a stream should have been given and that are gone; also the event that
 *              reports them, at their exact place in the stream.
 *   conflated  of a channel: its window keeps only the newest event of each key. These events are
 *              the channel's state.
 *   ahead      a stream whose cursor is above the hub's head, because its client was at a faster
 *              process that reads the same log.
 *   backfill   earlier events that an open stream is given when it subscribes to a channel.
 *
 *
 * AN ENDPOINT FOR AN EPOLL SERVER
 *
 * The wake writes to an eventfd that the event loop watches with data.ptr NULL. Clients are watched
 * edge-triggered, for EPOLLIN and EPOLLOUT.
 *
 *   struct client {
 *     int fd;
 *     sse_stream *stream;
 *   };
 *
 *   static int wake(void *arg, unsigned why) {
 *     uint64_t one = 1;
 *     (void)why;
 *     return write(*(int *)arg, &one, sizeof one) < 0 && errno != EAGAIN;
 *   }
 *
 *   static void close_client(struct client *client) {
 *     sse_stream_free(client->stream);
 *     close(client->fd);
 *     free(client);
 *   }
 *
 *   // For the streams of an iteration, and when a client's socket has room again.
 *   static void serve(struct client *client) {
 *     int result = sse_stream_flush_fd(client->stream, client->fd);
 *     if (sse_error_is_final(result)) close_client(client);
 *   }
 *
 *   // A browser stops for good at any status but 200. This is an answer after which it returns,
 *   // unless the request cannot be served, or the channel is finished and has nothing to give.
 *   static void refuse(sse_hub *hub, int fd, int error) {
 *     char answer[512];
 *     ssize_t n = sse_http_refuse(answer, sizeof answer, NULL, error, sse_hub_retry_ms(hub));
 *     if (n > 0 && (size_t)n <= sizeof answer) send(fd, answer, (size_t)n, MSG_NOSIGNAL);
 *     close(fd);
 *   }
 *
 *   // The server has read a request for /stream; request is what it received. The stream has its
 *   // first bytes at once: the next iteration returns it.
 *   static void open_client(sse_hub *hub, sse_loop *loop, int epoll_fd, int fd,
 *                           const char *request, size_t len) {
 *     char last_id[SSE_ID_BYTES_MAX + 1];
 *     struct client *client = calloc(1, sizeof *client);
 *     struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = client};
 *     const sse_http_head head = {.origin = NULL};
 *     ssize_t id = sse_http_header(request, len, "Last-Event-ID", last_id, sizeof last_id);
 *     // No id of this server is so long, but a client that has one must be told what it missed.
 *     const char *resume = id < 0 && id != SSE_ENOTFOUND ? "?" : last_id;
 *     const sse_stream_config config = {
 *         .channel = "news", .last_id = resume, .head = &head, .loop = loop, .user = client};
 *     int error = client ? sse_stream_open(&client->stream, hub, &config) : SSE_ENOMEM;
 *     if (error) {
 *       refuse(hub, fd, error);
 *       free(client);
 *       return;
 *     }
 *     client->fd = fd;
 *     sse_stream_prepare_fd(client->stream, fd); // a client that vanishes is noticed
 *     if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) close_client(client);
 *   }
 *
 *   // Input that a client sends after its request is discarded. The loop is needed because an
 *   // edge-triggered event is not repeated; 0 means that the client left.
 *   static void hear(struct client *client, uint32_t events) {
 *     char waste[512];
 *     ssize_t got;
 *     while ((got = recv(client->fd, waste, sizeof waste, MSG_DONTWAIT)) > 0) continue;
 *     if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
 *       close_client(client);
 *     } else if (events & EPOLLOUT) {
 *       serve(client);
 *     }
 *   }
 *
 *   static void run(int epoll_fd, int event_fd, sse_loop *loop) {
 *     struct epoll_event ready[64];
 *     uint64_t count;
 *     for (;;) {
 *       int n = epoll_wait(epoll_fd, ready, 64, sse_loop_timeout(loop));
 *       for (int i = 0; i < n; i++) {
 *         if (ready[i].data.ptr) {
 *           hear(ready[i].data.ptr, ready[i].events);
 *         } else if (read(event_fd, &count, sizeof count) < 0) {
 *           continue; // another wake took it
 *         }
 *       }
 *       for (sse_stream *stream; (stream = sse_loop_next(loop));) serve(sse_stream_user(stream));
 *     }
 *   }
 *
 * Before it: sse_hub_new(&hub, NULL); event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), watched
 * for EPOLLIN; const sse_loop_config config = {.wake = wake, .wake_arg = &event_fd};
 * sse_loop_new(&loop, hub, &config). Any thread then calls sse_hub_publish_text(hub, "news", NULL,
 * "hello"). examples/hosts/poll.c is a complete program of this kind.
 *
 * To end: stop what publishes; sse_hub_drain(hub, 5000); go on with the iterations above until
 * sse_hub_count(hub, NULL) is 0 or a deadline of your own has passed, because a client that accepts
 * nothing only ends with its stall deadline (stall_ms, 60 s by default); close the clients that are
 * left; sse_loop_free(loop); sse_hub_free(hub).
 */
#ifndef SSE_SSE_H
#define SSE_SSE_H

#include "alloc.h"
#include "error.h"
#include "format.h"
#include "http.h"
#include "hub.h"
#include "io.h"
#include "loop.h"
#include "parse.h"
#include "stats.h"
#include "stream.h"
#include "version.h"

#endif
