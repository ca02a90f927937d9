/* SPDX-License-Identifier: MIT */
/* frame.h: one event's encoded bytes: immutable, encoded once, shared by all readers. */
#ifndef SSE_LIB_FRAME_H
#define SSE_LIB_FRAME_H

#include "hub/point.h"
#include "util/map.h"
#include "wire/event_id.h"

struct sse__window;

/* Whether an event is ephemeral: it has no id and is not replayed, and missing it is no loss. */
enum sse__ephemeral {
  SSE__RETAINED,
  SSE__EPHEMERAL,           /* it takes a number, which no id has */
  SSE__EPHEMERAL_UNNUMBERED /* it has the number of the event before it: SSE_NUMBERS_GIVEN */
};

enum sse__frame_kind {
  SSE__FRAME_EVENT,   /* a published event, or one channel's share of it */
  SSE__FRAME_BODY,    /* the bytes of an event for several channels; itself in no window */
  SSE__FRAME_CONTROL, /* a control block of one stream, which owns it */
  SSE__FRAME_SHARED,  /* the heartbeat, owned by the hub and without references */
  SSE__FRAME_LAST     /* the last chunk of a chunked body, also the hub's and without references */
};

/*
 * A chunk consists of its length in hex and CRLF, the bytes, and CRLF (RFC 9112, section 7.1).
 * Every frame has room for that around its bytes, so a stream with a chunked body gives
 * `bytes - SSE__CHUNK_HEAD_BYTES` where others give `bytes`. Head and tail are written when the
 * first such stream takes the frame, so they cost the others nothing. A chunk of no bytes is the
 * last one: its head, and its tail in place of trailers.
 *
 * A backfill gives an event without its id line, which is the last one: its bare bytes, and the
 * blank line. For that, an encoded event has room for a second head of a chunk before the first.
 */
#define SSE__CHUNK_HEAD_BYTES 10 /* eight digits, with leading zeros, and CRLF */
#define SSE__CHUNK_TAIL_BYTES 2
#define SSE__CHUNK_BYTES      (SSE__CHUNK_HEAD_BYTES + SSE__CHUNK_TAIL_BYTES)

/*
 * The hub's lock guards `refs`, `windows`, `window`, `shares`, `chunked`, `row`, `lent` and the
 * links. The other members do not change after the frame is published, so a holder of a reference
 * reads them without the lock.
 */
struct sse__frame {
  union {
    struct sse__link link; /* in a row of the store: a frame or body that is in a window */
    struct sse__frame
        *next_share; /* of a share: the next one of the same publish, or in a window */
  };
  union {
    struct sse__window *window; /* the window that it is in; NULL after it left */
    struct sse__frame *shares;  /* of a body: its shares that are in a window */
  };
  struct sse__frame *body; /* of a share: the frame that has the bytes, referenced; or NULL */
  char *bytes;             /* its encoded bytes */
  uint64_t seq;          /* its place in the hub's order; of a control block that of its id, or 0 */
  uint64_t number;       /* its number in a log, which its id has; 0: that is `seq` */
  int64_t born_ns;       /* when it was published, on the hub's clock */
  uint64_t label;        /* the label that the host gave the event, for filters */
  uint64_t bytes_before; /* encoded bytes of all earlier events of its window */
  uint32_t refs;         /* references: of its window, and of each stream, snapshot and share */
  uint32_t windows;      /* of a body: how many of its shares are in a window */
  uint32_t len;          /* encoded bytes */
  uint32_t size;         /* memory of the frame with this header */
  uint8_t kind;          /* enum sse__frame_kind */
  bool tombstone;        /* the event deletes its key */
  uint8_t ephemeral;     /* enum sse__ephemeral */
  bool bare_chunked;     /* the head of the chunk of its bare bytes is written */
  uint8_t id_len;        /* length of the application's id, which ends the bytes; 0: hub's id */
  bool position;         /* of a control block: it only brings the client's id up to date */
  bool chunked;          /* head and tail of its chunk are written around the bytes */
  uint8_t row;           /* enum sse__store_row, while the frame is in a row of the store */
  uint32_t key_at;       /* offset of its struct sse__frame_key in the frame; 0: no key */
  union {
    uint32_t channel; /* the number of its channel, sse__channel.number */
    uint32_t lent;    /* of a body: how many of its shares are lent (store.h) */
  };
  char room[]; /* the bytes, and after them the key and the place for the id */
};

/* The key of a frame, which stands after its bytes; guarded by the hub's lock. */
struct sse__frame_key {
  struct sse__map_node node;  /* in the window's index, by the hash of the key */
  struct sse__frame *frame;   /* the frame that has this key */
  size_t place;               /* the place of the frame in its window */
  struct sse__link tombstone; /* in the index's list of tombstones */
  const char *text;           /* the key, ended by NUL; of a share it is in the body */
  uint8_t len;                /* length of the key */
};

/* The entry of an application's id in the hub's index; it ends the memory of the frame. */
struct sse__frame_id {
  struct sse__map_node node; /* in the index, by the hash of the id */
  struct sse__frame *frame;  /* the frame that has this id */
};

/* Writes head and tail of a chunk around bytes that have room for them. */
void sse__chunk_write(char *bytes, size_t len);
/*
 * The same around the bytes of a frame, or of its body, once. Requires the hub's lock if the frame
 * is published. A stream that takes the frame afterwards reads the bytes without the lock.
 */
void sse__frame_chunk(struct sse__frame *frame);

/* The bare bytes of an encoded event: those before its id line. */
size_t sse__frame_bare_len(const struct sse__frame *frame);
/* Where the head of the chunk of these bytes and a blank line is, SSE__CHUNK_HEAD_BYTES long. */
static inline char *sse__frame_bare_head(const struct sse__frame *frame) {
  return frame->bytes - (size_t)2 * SSE__CHUNK_HEAD_BYTES;
}
/* Writes that head, once; as sse__frame_chunk. */
void sse__frame_chunk_bare(struct sse__frame *frame);

/* The longest frame in bytes; sums of lengths and sizes fit 32 bits. */
#define SSE__FRAME_BYTES_MAX (UINT32_C(1) << 30)

/*
 * Makes a frame with room for `len` bytes, at most SSE__FRAME_BYTES_MAX, without bytes and with one
 * reference. NULL without memory.
 */
struct sse__frame *sse__frame_new(const struct sse__mem *mem, enum sse__frame_kind kind,
                                  size_t len);

/*
 * Encodes all of an event except its id, which is known only with the lock held. 0, or an error
 * of sse_format, SSE_ETOOBIG over max bytes (with its id, or the longest of the hub's), SSE_ENOMEM.
 */
int sse__frame_encode(struct sse__frame **frame, const struct sse__mem *mem, const sse_event *ev,
                      size_t max);

/*
 * Gives an encoded frame its place and appends its end: the hub's id line, unless the event is
 * ephemeral or has an id of the application, and the blank line.
 */
void sse__frame_number(struct sse__frame *frame, const struct sse__epoch *epoch, uint64_t seq);
/* The point right below a published frame of a log: everything up to there came before it. */
static inline struct sse__point sse__frame_below(const struct sse__frame *frame) {
  bool numbered = frame->ephemeral != SSE__EPHEMERAL_UNNUMBERED;
  return (struct sse__point){frame->seq - 1, frame->number - numbered};
}

/* Makes a share of a body for one channel; sse__frame_show completes it. NULL without memory. */
struct sse__frame *sse__frame_share(const struct sse__mem *mem, struct sse__frame *body);
/* Completes a share after its body has a number: it takes the body's bytes and a reference. */
void sse__frame_show(struct sse__frame *share);

/* When it was published, in ms, for limits on age. */
int64_t sse__frame_born_ms(const struct sse__frame *frame);

/* The bytes that count against its channel: its memory and the body's. */
static inline size_t sse__frame_weight(const struct sse__frame *frame) {
  return frame->size + (frame->body ? (size_t)frame->body->size : 0);
}

/* The key of a frame that has one. */
static inline struct sse__frame_key *sse__frame_key(const struct sse__frame *frame) {
  return (struct sse__frame_key *)((uintptr_t)frame + frame->key_at);
}
/* The index entry of a frame that has an id of the application. */
struct sse__frame_id *sse__frame_id(struct sse__frame *frame);
/* The id itself, id_len bytes. */
const char *sse__frame_id_text(const struct sse__frame *frame);

#endif
