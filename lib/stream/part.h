/* SPDX-License-Identifier: MIT */
/* part.h: the optional parts of a stream. They lie behind its members, in the stream's one
 * allocation, and a stream without them is no larger for it. */
#ifndef SSE_LIB_PART_H
#define SSE_LIB_PART_H

#include "stream/stream_priv.h"

/* Bits of sse_stream.parts, in the order in which the parts lie. The last has no fixed size. */
#define SSE__HAS_STANDALONE 0x1u /* struct sse__standalone: it has no loop */
#define SSE__HAS_SLOT       0x2u /* struct sse__admission_slot: it may have something to replay */
#define SSE__HAS_LIMITS     0x4u /* struct sse__limits */
#define SSE__HAS_TAG        0x8u /* struct sse__tag */

/* Memory of a stream with so many members and these parts; tag_len: bytes of the tag's text. */
size_t sse__stream_size(unsigned parts, uint32_t subscriptions, size_t tag_len);

/* Where a part of a stream lies, or NULL; its own_count and parts are set. */
struct sse__standalone *sse__stream_standalone(struct sse_stream *stream);
struct sse__admission_slot *sse__stream_slot(struct sse_stream *stream);
struct sse__limits *sse__stream_limits(struct sse_stream *stream);
struct sse__tag *sse__stream_tag(struct sse_stream *stream);

#endif
