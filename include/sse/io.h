/* SPDX-License-Identifier: MIT */
/* io.h: sending the bytes of a stream: to a callback, to a socket, or blocking until the end. */
#ifndef SSE_IO_H
#define SSE_IO_H

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes pieces of a stream to the client's transport, as writev does. It returns the number of
 * bytes that were taken, at least 1; or
 *
 *   - SSE_EAGAIN: nothing was taken, and the transport remembers no piece. The stream may offer
 *     other bytes later, so a client that stops reading keeps no memory in flight;
 *   - SSE_EHELD: nothing was taken, and exactly the same bytes must be offered again (OpenSSL after
 *     WANT_READ or WANT_WRITE);
 *   - SSE_ECLOSED: the client closed the connection;
 *   - SSE_ESTALLED: the transport gave up waiting for the client (ETIMEDOUT of a socket);
 *   - SSE_EIO, or any other negative value: the transport failed.
 *
 * Zero, or more than was offered, ends the stream with SSE_ECALLBACK.
 */
typedef ssize_t sse_writev_fn(void *io, const struct iovec *iov, int count);

/**
 * Sends what a stream has, until there is nothing more or the transport is full.
 *
 * stream  the stream.
 * write   takes the bytes.
 * io      passed to write.
 *
 * After SSE_EAGAIN the host waits until the transport has room, and calls again. A stream of a loop
 * that has very much to send (a replay) is interrupted after 16 writes of up to 64 frames or about
 * 256 KiB each, so that the other streams are served: the result is then 0, and sse_loop_next
 * returns the stream again without a wake.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: write, without a lock; alloc, clock and filter, and wakes as in sse_stream_peek.
 * Returns:   0: nothing to do until the loop returns the stream or its wake is called; SSE_EAGAIN;
 *            SSE_ENOMEM: as in sse_stream_peek, nothing to do either; SSE_EINVAL: a pointer is
 *            NULL; any other code: why the stream is over (SSE_ECLOSED, SSE_EIO, SSE_ECALLBACK, or
 *            an end of sse_stream_peek), and the host frees it and closes the connection. Of these,
 *            SSE_ESTALLED may also be the result of write.
 */
SSE_API int sse_stream_flush(sse_stream *stream, sse_writev_fn *write, void *io);

/**
 * Prepares a socket that a stream is sent to, so that a client that vanishes without closing the
 * connection is noticed within stall_ms.
 *
 * stream  the stream; its stall_ms is the deadline. With SSE_NEVER none is set, and one that
 *         the host has set stays.
 * fd      the client's connected socket. Options that the host has set are replaced.
 *
 * The stream itself cannot notice such a client: the system takes bytes until the send buffer is
 * full, which at a few events per second lasts until the system gives up, after a quarter of an
 * hour on Linux. The call sets what the system has of:
 *
 *   - a deadline for data that is not acknowledged: TCP_USER_TIMEOUT, TCP_RXT_CONNDROPTIME (macOS)
 *     or TCP_MAXUNACKTIME (FreeBSD), rounded up to the option's unit. Once it has passed, the
 *     socket reports ETIMEDOUT;
 *   - keep-alive with the same deadline, for a stream that sends nothing, not even heartbeats;
 *   - TCP_NODELAY: each event is sent at once;
 *   - TCP_NOTSENT_LOWAT, 128 KiB: the system keeps no more than this unsent, so the stream knows
 *     early that a client is slow;
 *   - SO_NOSIGPIPE.
 *
 * A host calls it once for each stream that it opens, also if it sends by other calls than
 * sse_stream_flush_fd (TLS, a library that shows its socket). sse_stream_run calls it itself. A
 * failure does not end the stream, and everything else is set all the same.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: none.
 * Returns:   0: a client that vanishes is noticed, or stall_ms is SSE_NEVER; also for a Unix-domain
 *            socket, whose peer cannot vanish and which needs none of these options;
 *            SSE_ENOTFOUND: the system has no such deadline for this socket (NetBSD, OpenBSD,
 *            sockets that are not TCP);
 *            SSE_EIO: the system refused an option, or fd is not a socket; errno has the cause;
 *            SSE_EINVAL: stream is NULL.
 */
SSE_API int sse_stream_prepare_fd(sse_stream *stream, int fd);

/**
 * Sends what a stream has to a socket: sse_stream_flush with sendmsg.
 *
 * stream  the stream.
 * fd      a stream socket, blocking or not; the call does not block.
 *
 * It raises no SIGPIPE and does not change the signal state of the process. Call
 * sse_stream_prepare_fd once before it, or a client that vanishes is noticed only when the socket's
 * buffer is full.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc, clock and filter, and wakes as in sse_stream_peek.
 * Returns:   as sse_stream_flush; SSE_ESTALLED also if the socket's own deadline has passed.
 */
SSE_API int sse_stream_flush_fd(sse_stream *stream, int fd);

/**
 * Serves a standalone stream on a socket until it is over: for a thread per connection.
 *
 * stream  the stream; not one of a loop, and best opened without a wake.
 * fd      the client's socket, which the call does not close. It waits with poll, also if the
 *         socket is blocking. Bytes that the client sends are read and discarded.
 *
 * It prepares the socket as sse_stream_prepare_fd does. It notices within a second that a client
 * closed the connection, or only its sending side.
 *
 * Threads:   one at a time for the stream; do not cancel a thread that is in it (pthread_cancel).
 * Callbacks: as sse_stream_flush_fd.
 * Returns:   why the stream is over, never 0: SSE_ECLOSED, SSE_EIO, or an end of sse_stream_peek
 *            (SSE_ESTALLED, SSE_EAGED, SSE_EPINNED, SSE_ESLOW, SSE_EDISCONNECTED, SSE_EDISMISSED,
 *            SSE_EDRAINED, SSE_EFINISHED, SSE_EDETACHED); SSE_EINVAL for a stream of a loop or
 *            NULL.
 */
SSE_API int sse_stream_run(sse_stream *stream, int fd);

#ifdef __cplusplus
}
#endif
#endif
