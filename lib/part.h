/* SPDX-License-Identifier: MIT */
/* part.h: the optional parts of a stream. They lie behind its members, in the stream's one
 * allocation, and a stream without them is no larger for it. */
#ifndef SSE_LIB_PART_H
#define SSE_LIB_PART_H

#include "stream.h"

/* Bits of sse_stream.parts, in the order in which the parts lie. The last has no fixed size. */
#define SSE__PART_LONE  0x1u /* struct sse__lone: it has no loop */
#define SSE__PART_TURN  0x2u /* struct sse__turn: it may have something to replay */
#define SSE__PART_TERMS 0x4u /* struct sse__terms */
#define SSE__PART_TAG   0x8u /* struct sse__tag */

/* Memory of a stream with so many members and these parts; tag_len: bytes of the tag's text. */
size_t sse__parts_size(unsigned parts, uint32_t members, size_t tag_len);

/* Where a part of a stream lies, or NULL; its own_count and parts are set. */
struct sse__lone *sse__part_lone(struct sse_stream *stream);
struct sse__turn *sse__part_turn(struct sse_stream *stream);
struct sse__terms *sse__part_terms(struct sse_stream *stream);
struct sse__tag *sse__part_tag(struct sse_stream *stream);

#endif
