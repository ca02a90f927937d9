/* SPDX-License-Identifier: MIT */
/* io.h: pluggable socket I/O: push on top of the pull calls of stream.h. */
#ifndef SSE_IO_H
#define SSE_IO_H

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Writes pieces of a stream to the client's transport, as writev does.
 *
 * Returns the number of bytes taken, at least 1; or
 *
 *   - SSE_EAGAIN: nothing was taken and no piece is remembered. The stream may offer other bytes
 *     later, so a client that stops reading pins no memory;
 *   - SSE_EHELD: nothing was taken, and the very same bytes must be offered again (OpenSSL after
 *     WANT_READ or WANT_WRITE);
 *   - SSE_ECLOSED: the peer is gone;
 *   - SSE_EIO, or any other negative value: the transport failed.
 *
 * Zero, or more than it was offered, ends the stream with SSE_ECALLBACK.
 */
typedef ssize_t sse_writev_fn(void *io, const struct iovec *iov, int count);

/**
 * Sends what a stream has, until there is nothing more or the transport is full.
 *
 * stream  the stream.
 * write   takes the bytes.
 * io      passed to write.
 *
 * On SSE_EAGAIN the host waits until the transport has room, and calls again. A stream of a loop
 * that has very much to send (a replay) is interrupted after 16 turns of up to 64 frames or some
 * 256 KiB each, so that the others have theirs: the result is 0, and sse_loop_next returns it again
 * without a wake.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: write; alloc and clock. write runs with no lock held.
 * Returns:   0: nothing more to do until the loop returns it or its wake is called; SSE_EAGAIN;
 *            SSE_ENOMEM: call again later; any other: why the stream is over (SSE_ECLOSED, SSE_EIO,
 *            SSE_ECALLBACK, or an end of sse_stream_peek), and the host closes the connection.
 */
SSE_API int sse_stream_flush(sse_stream *stream, sse_writev_fn *write, void *io);

/**
 * Sends what a stream has to a socket: sse_stream_flush with sendmsg.
 *
 * stream  the stream.
 * fd      a stream socket; blocking or not, the call does not block.
 *
 * No SIGPIPE is raised, and the process's signal state is not touched.
 *
 * Threads:   one at a time for the stream and its loop.
 * Callbacks: alloc and clock.
 * Returns:   as sse_stream_flush.
 */
SSE_API int sse_stream_flush_fd(sse_stream *stream, int fd);

/**
 * Serves a stream that stands alone on a socket, to the end: for a thread per connection.
 *
 * stream  the stream; not one of a loop, and best opened without a wake.
 * fd      the client's socket; not closed by the call. The call waits with poll, also on a blocking
 *         one. Bytes that the client sends are read and dropped.
 *
 * It notices a client that closes, also one that only shuts down its sending side, within a second.
 *
 * Threads:   one at a time for the stream.
 * Callbacks: alloc and clock.
 * Returns:   why the stream is over, never 0: SSE_ECLOSED, SSE_EIO, SSE_ESTALLED, SSE_EAGED,
 *            SSE_EPINNED, SSE_ENOMEM; SSE_EINVAL for a stream of a loop.
 */
SSE_API int sse_stream_run(sse_stream *stream, int fd);

#ifdef __cplusplus
}
#endif
#endif
