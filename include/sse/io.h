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
 *            an end of sse_stream_peek), and the host frees it and closes the connection.
 */
SSE_API int sse_stream_flush(sse_stream *stream, sse_writev_fn *write, void *io);

/**
 * Sends what a stream has to a socket: sse_stream_flush with sendmsg.
 *
 * stream  the stream.
 * fd      a stream socket, blocking or not; the call does not block.
 *
 * It raises no SIGPIPE and does not change the signal state of the process.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc, clock and filter, and wakes as in sse_stream_peek.
 * Returns:   as sse_stream_flush.
 */
SSE_API int sse_stream_flush_fd(sse_stream *stream, int fd);

/**
 * Serves a standalone stream on a socket until it is over: for a thread per connection.
 *
 * stream  the stream; not one of a loop, and best opened without a wake.
 * fd      the client's socket, which the call does not close. It waits with poll, also if the
 *         socket is blocking. Bytes that the client sends are read and discarded.
 *
 * It notices within a second that a client closed the connection, or only its sending side.
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
