/* SPDX-License-Identifier: MIT */
/* error.h: every code that a call can return, with its name and its text, in one list. */
#ifndef SSE_ERROR_H
#define SSE_ERROR_H

#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, value, text). Values are part of the ABI: new ones go last, none is used twice. */
#define SSE_ERRORS(X)                                                                              \
  X(SSE_EINVAL, -1, "invalid argument")                                                            \
  X(SSE_ENOMEM, -2, "out of memory")                                                               \
  X(SSE_EAGAIN, -3, "would block")                                                                 \
  X(SSE_EBUSY, -4, "still in use")                                                                 \
  X(SSE_ENODATA, -5, "event without data")                                                         \
  X(SSE_EUTF8, -6, "invalid UTF-8")                                                                \
  X(SSE_ELINE, -7, "CR, LF or NUL where a line must not end")                                      \
  X(SSE_ECR, -8, "CR in data, which a client would read as LF")                                    \
  X(SSE_EID, -9, "event id empty, too long, with a space at an end, or of the hub's form")         \
  X(SSE_ERANGE, -10, "value out of range")                                                         \
  X(SSE_ETOOBIG, -11, "event too big")                                                             \
  X(SSE_ENAME, -12, "channel name empty, too long or not printable UTF-8")                         \
  X(SSE_ECHANNELS, -13, "too many channels")                                                       \
  X(SSE_ESTREAMS, -14, "too many streams")                                                         \
  X(SSE_EFULL, -15, "memory ceiling reached by bytes that are still lent")                         \
  X(SSE_EHELD, -16, "would block, and must be offered the same bytes again")                       \
  X(SSE_EIO, -17, "the transport failed")                                                          \
  X(SSE_ECLOSED, -18, "the peer closed the connection")                                            \
  X(SSE_ECALLBACK, -19, "a callback took no bytes or more than it was offered")                    \
  X(SSE_ESTALLED, -20, "the client accepted nothing until the stall deadline")                     \
  X(SSE_EAGED, -21, "the stream reached its maximum age")                                          \
  X(SSE_EPINNED, -22, "the stream held too much memory for too long")                              \
  X(SSE_EDETACHED, -23, "the stream was detached")                                                 \
  X(SSE_EHEADER, -24, "header with CR, LF or NUL, or not of the form name: value")                 \
  X(SSE_ENOTFOUND, -25, "not found")                                                               \
  X(SSE_ERANDOM, -26, "no random bytes to be had")                                                 \
  X(SSE_EIDUSED, -27, "an event with this id is still retained")                                   \
  X(SSE_ESLOW, -28, "the client did not keep up")                                                  \
  X(SSE_EKEY, -29, "key empty, too long or missing, or an id on a conflated channel")              \
  X(SSE_EDISCONNECTED, -30, "the stream was ended by its tag")                                     \
  X(SSE_EDRAINED, -31, "the hub is being drained")                                                 \
  X(SSE_EFINISHED, -32, "the channel is finished")                                                 \
  X(SSE_ECHANNELSTREAMS, -33, "too many streams of one channel")                                   \
  X(SSE_ETAGSTREAMS, -34, "too many streams of one tag")

enum sse_error {
  SSE_OK = 0,
#define SSE_ERROR_ENUM(name, value, text) name = value,
  SSE_ERRORS(SSE_ERROR_ENUM)
#undef SSE_ERROR_ENUM
};

/**
 * Gives the name of a code, such as "SSE_EAGAIN".
 *
 * code  what a call of this library returned; positive values count as success.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   a static string; "SSE_OK" for 0 and above, "SSE_E?" for an unknown code.
 */
SSE_API const char *sse_error_name(int code);

/**
 * Gives a short English text for a code, for logs: "would block".
 *
 * code  what a call of this library returned; positive values count as success.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   a static string; "success" for 0 and above, "unknown error" for an unknown code.
 */
SSE_API const char *sse_error_text(int code);

#ifdef __cplusplus
}
#endif
#endif
