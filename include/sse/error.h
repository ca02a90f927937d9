/* SPDX-License-Identifier: MIT */
/* error.h: every code that a call can return, with its name and a sentence about it. */
#ifndef SSE_ERROR_H
#define SSE_ERROR_H

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text). Values are part of the ABI: new ones are added last, none is reused. */
#define SSE_ERRORS(X)                                                                              \
  X(SSE_EINVAL, -1, "an argument is invalid")                                                      \
  X(SSE_ENOMEM, -2, "out of memory")                                                               \
  X(SSE_EAGAIN, -3, "the transport is full; call again when it has room")                          \
  X(SSE_EBUSY, -4, "still in use")                                                                 \
  X(SSE_ENODATA, -5, "the event has no payload")                                                   \
  X(SSE_EUTF8, -6, "the text is not valid UTF-8")                                                  \
  X(SSE_ELINE, -7, "a CR, LF or NUL in a value that must be one line")                             \
  X(SSE_ECR, -8, "a CR in the payload, which clients receive as LF")                               \
  X(SSE_EID, -9,                                                                                   \
    "the event id is empty, too long, not fit for a header, or has the hub's own form")            \
  X(SSE_ERANGE, -10, "a number is out of range")                                                   \
  X(SSE_ETOOBIG, -11, "the event or line is longer than its limit")                                \
  X(SSE_ENAME, -12, "the channel name is empty, too long, or not printable UTF-8")                 \
  X(SSE_ECHANNELS, -13, "the limit on channels is reached")                                        \
  X(SSE_ESTREAMS, -14, "the hub's limit on streams is reached")                                    \
  X(SSE_EFULL, -15, "the memory ceiling is reached, and bytes in flight cannot be evicted")        \
  X(SSE_EHELD, -16, "the transport is full, and must be offered the same bytes again")             \
  X(SSE_EIO, -17, "the transport failed")                                                          \
  X(SSE_ECLOSED, -18, "the client closed the connection")                                          \
  X(SSE_ECALLBACK, -19, "a callback failed, or took no bytes or more than it was offered")         \
  X(SSE_ESTALLED, -20, "the client accepted nothing until the stall deadline")                     \
  X(SSE_EAGED, -21, "the stream reached its maximum age")                                          \
  X(SSE_EPINNED, -22, "the stream kept too much memory in flight for too long")                    \
  X(SSE_EDETACHED, -23, "the stream was detached")                                                 \
  X(SSE_EHEADER, -24, "a header has a control character, or is not of the form name: value")       \
  X(SSE_ENOTFOUND, -25, "not found")                                                               \
  X(SSE_ERANDOM, -26, "the system has no random bytes")                                            \
  X(SSE_EIDUSED, -27, "a retained event already has this id")                                      \
  X(SSE_ESLOW, -28, "the client did not keep up")                                                  \
  X(SSE_EKEY, -29, "the key is empty, too long or missing, or a conflated event has an id")        \
  X(SSE_EDISCONNECTED, -30, "the stream was disconnected by the host")                             \
  X(SSE_EDRAINED, -31, "the hub is draining")                                                      \
  X(SSE_EFINISHED, -32, "the channel is finished")                                                 \
  X(SSE_ECHANNELSTREAMS, -33, "the channel's limit on streams is reached")                         \
  X(SSE_ETAGSTREAMS, -34, "the limit on streams of one tag is reached")                            \
  X(SSE_EDISMISSED, -35, "the stream was dismissed by its tag")                                    \
  X(SSE_EFORK, -36, "the hub was created in another process, before a fork")                       \
  X(SSE_ENUMBER, -37, "the number is not above the hub's head")

typedef enum sse_error {
  SSE_OK = 0,
#define SSE_ERROR_ENUM(name, value, text) name = value,
  SSE_ERRORS(SSE_ERROR_ENUM)
#undef SSE_ERROR_ENUM
} sse_error;

/**
 * Returns the name of a code, such as "SSE_EAGAIN".
 *
 * code  the result of a call of this library; positive values count as success.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   a static string; "SSE_OK" for 0 and above, "SSE_E?" for an unknown code.
 */
SSE_API const char *sse_error_name(int code);

/**
 * Returns a short English sentence for a code, for logs: "the transport failed".
 *
 * code  the result of a call of this library; positive values count as success.
 *
 * The functions that have many causes for one code, sse_hub_new and sse_stream_open, name the cause
 * in the error_detail of their configuration.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   a static string; "success" for 0 and above, "unknown error" for an unknown code.
 */
SSE_API const char *sse_error_text(int code);

/**
 * Reports whether a code that sse_stream_peek, sse_stream_read, sse_stream_wait, sse_stream_flush
 * or sse_stream_flush_fd returned means that the stream is over.
 *
 * code  the result of the call.
 *
 * When it is over, the host frees the stream and closes the connection. SSE_EAGAIN and SSE_EHELD
 * (the transport is full), SSE_ENOMEM and SSE_EINVAL do not end a stream; every other code does, an
 * unknown one included.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   1 if the stream is over, else 0 (also for 0 and positive values).
 */
SSE_API int sse_error_is_final(int code);

/**
 * Reports whether a code that ends a stream is that of a gentle end: SSE_EAGED, SSE_ESLOW,
 * SSE_EDRAINED, SSE_EFINISHED, SSE_EDISMISSED.
 *
 * code  the result of sse_stream_peek, sse_stream_read, sse_stream_wait, sse_stream_flush or
 *       sse_stream_flush_fd.
 *
 * After a gentle end the client has all bytes of the stream, and the response is complete: a host
 * that frames the body itself, or whose HTTP library does, closes the body as it closes that of any
 * other response. After every other end it closes the connection, or resets the stream of HTTP/2,
 * so that the client does not take the response for a complete one.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   1 if it is one of these codes, else 0.
 */
SSE_API int sse_end_is_gentle(int code);

#ifdef __cplusplus
}
#endif
#endif
