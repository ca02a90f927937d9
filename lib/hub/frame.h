/* SPDX-License-Identifier: MIT */
/* frame.h: one event's encoded bytes: immutable, encoded once, shared by all readers. */
#ifndef SSE_LIB_FRAME_H
#define SSE_LIB_FRAME_H

#include "util/map.h"
#include "wire/event_id.h"

struct sse__window;

enum sse__frame_kind {
  SSE__FRAME_EVENT,   /* a published event, or one channel's share of it */
  SSE__FRAME_BODY,    /* the bytes of an event that went to several channels; in no window itself */
  SSE__FRAME_CONTROL, /* a block for one stream: head, priming, gap, position; owned by that stream
                       */
  SSE__FRAME_SHARED,  /* the heartbeat: the hub's, not counted */
  SSE__FRAME_LAST     /* the last chunk of a chunked body: likewise */
};

/*
 * A chunk is the number of its bytes in hex and CRLF, the bytes, and CRLF (RFC 9112, section 7.1).
 * Every frame has room for that around its bytes, so a stream whose body is chunked gives
 * `bytes - SSE__CHUNK_HEAD_BYTES` to the same place as others give `bytes`. It is written only once
 * such a stream is to have the frame, so that others cost nothing. A chunk of no bytes is the last
 * one: its head, and in place of trailers its tail.
 */
#define SSE__CHUNK_HEAD_BYTES 10 /* eight digits: zeros may lead */
#define SSE__CHUNK_TAIL_BYTES 2
#define SSE__CHUNK_BYTES      (SSE__CHUNK_HEAD_BYTES + SSE__CHUNK_TAIL_BYTES)

/*
 * `refs`, `windows`, `chunked` and the links are guarded by the hub's lock; the rest does not change
 * once the frame is published, so whoever holds a reference reads it without.
 */
struct sse__frame {
  union {
    struct sse__link link;         /* in the store's list of frames that are in a window */
    struct sse__frame *next_share; /* before that: the next share of the same publish */
  };
  struct sse__window *window; /* which one; NULL once it was let go */
  struct sse__frame *body;    /* whose bytes it shows, holding a reference; NULL: its own */
  char *bytes;
  uint64_t seq;          /* its number; of a control block the number of its id, or 0 */
  int64_t born_ns;       /* when it was published */
  uint64_t label;        /* the host's, for filters */
  uint64_t bytes_before; /* of all events of its window before it */
  uint32_t refs;         /* one for the window, one for each stream, round or share that holds it */
  uint32_t windows;      /* of a body: how many of its shares are in a window */
  uint32_t len;          /* bytes in use */
  uint32_t size;         /* memory of the frame with its header */
  uint8_t kind;          /* enum sse__frame_kind */
  bool tombstone;        /* it deletes its key */
  bool ephemeral;        /* no id, not replayed, no loss when it goes */
  bool id_stripped;      /* of a control block: an event without its id */
  uint8_t id_len;        /* of the application's id, which ends its bytes; 0: it has the hub's */
  bool position;         /* a control block that only brings an id up to date */
  bool chunked;          /* its own bytes have their chunk's head and tail around them */
  uint32_t key_at;       /* where its struct sse__frame_key begins, from its own start; 0: no key */
  uint32_t channel;      /* the number of its channel */
  char room[];
};

/* The key of a frame, which stands behind its room. The window that it is in has the rest. */
struct sse__frame_key {
  struct sse__map_node node; /* by the hash of the key */
  struct sse__frame *frame;
  size_t place;               /* in the window */
  struct sse__link tombstone; /* in the window's list of tombstones */
  const char *text;           /* its own, or the body's; ended by NUL */
  uint8_t len;
};

/* The application's id of a frame, in an index of the hub's; it stands behind the frame's room. */
struct sse__frame_id {
  struct sse__map_node node; /* by the hash of the id */
  struct sse__frame *frame;
};

/*
 * Writes a chunk's head and tail around bytes that have room for it, and around the bytes of a
 * frame, or of its body, unless they are there already; with the hub's lock held if the frame is
 * published. Whoever has taken the frame since reads them without.
 */
void sse__chunk_write(char *bytes, size_t len);
void sse__frame_chunk(struct sse__frame *frame);

/* The longest frame, bytes: lengths and sizes fit 32 bits with room to spare. */
#define SSE__FRAME_BYTES_MAX (UINT32_C(1) << 30)

/* A frame with room for `len` bytes (at most SSE__FRAME_BYTES_MAX), holding one reference and no
 * bytes yet; NULL without memory. */
struct sse__frame *sse__frame_new(const struct sse__mem *mem, enum sse__frame_kind kind,
                                  size_t len);

/*
 * Encodes all of an event but its number, which is known only under the hub's lock. 0, or an error
 * of sse_format, SSE_ETOOBIG over max bytes (with its id, or the longest of the hub's), SSE_ENOMEM.
 */
int sse__frame_encode(struct sse__frame **frame, const struct sse__mem *mem, const sse_event *ev,
                      size_t max);

/* Gives an encoded frame its number, and its end: the hub's id line, if it is to have one, and the
 * blank line. */
void sse__frame_number(struct sse__frame *frame, const struct sse__epoch *epoch, uint64_t seq);

/* One channel's share of a body: its bytes, once the body has its number; NULL without memory. */
struct sse__frame *sse__frame_share(const struct sse__mem *mem, struct sse__frame *body);
/* Shows the body's bytes, and holds a reference to it. */
void sse__frame_show(struct sse__frame *share);

/* When it was published, as bounds on age count. */
int64_t sse__frame_born_ms(const struct sse__frame *frame);

/* What it costs its channel: its memory, and the body's with it. */
static inline size_t sse__frame_weight(const struct sse__frame *frame) {
  return frame->size + (frame->body ? (size_t)frame->body->size : 0);
}

/* The key of a frame that has one. */
static inline struct sse__frame_key *sse__frame_key(const struct sse__frame *frame) {
  return (struct sse__frame_key *)((uintptr_t)frame + frame->key_at);
}
/* The place for the id of a frame that has one of the application's. */
struct sse__frame_id *sse__frame_id(struct sse__frame *frame);
/* The id itself, id_len bytes. */
const char *sse__frame_id_text(const struct sse__frame *frame);

#endif
