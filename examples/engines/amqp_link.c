/* SPDX-License-Identifier: MIT */
/* amqp_link.c: a connection to a RabbitMQ server that never waits without a limit. */
#include "amqp_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket.h"
#include "timing.h"

enum {
  FETCH_BYTES = 64 * 1024,
  FRAME_MAX = 128 * 1024, /* RabbitMQ's default */
  FRAME_HEAD = 7,
  METHOD_BYTES = 4096, /* the longest method that is put, its names and passwords included */
  HEARTBEAT_S = 3
};

/* ---- problems ---- */

static int failed(struct amqp_link *link, const char *doing, const char *why) {
  snprintf(link->problem, sizeof link->problem, "cannot %s RabbitMQ at %.80s:%s: %s", doing,
           link->url->host, link->url->port, why);
  return -1;
}

static int failed_errno(struct amqp_link *link, const char *doing, int error) {
  return failed(link, doing, strerror(error));
}

int amqp_link_fail(struct amqp_link *link, const char *sentence) {
  snprintf(link->problem, sizeof link->problem, "%s", sentence);
  return -1;
}

/* connection.close or channel.close, which begin alike */
static int refused(struct amqp_link *link, const amqp_channel_close_t *close) {
  link->code = close->reply_code;
  snprintf(link->problem, sizeof link->problem, "RabbitMQ refused %s: %.*s", link->doing,
           close->reply_text.len < 180 ? (int)close->reply_text.len : 180,
           (const char *)close->reply_text.bytes);
  return -1;
}

/* ---- sending ---- */

static int reserve(struct amqp_link *link, size_t bytes) {
  if (link->cap - link->len >= bytes) return 0;
  if (link->sent > 0) memmove(link->out, link->out + link->sent, link->len - link->sent);
  link->len -= link->sent;
  link->sent = 0;
  if (link->cap - link->len >= bytes) return 0;
  size_t cap = 2 * (link->len + bytes);
  char *out = realloc(link->out, cap);
  if (!out) return failed(link, "ask", "out of memory");
  link->out = out;
  link->cap = cap;
  return 0;
}

static void put_big_endian(char *at, int bytes, uint64_t value) {
  for (int i = bytes; i-- > 0; value >>= 8) at[i] = (char)(unsigned char)value;
}

/* Completes the frame whose payload stands behind the room for its head. */
static void end_frame(struct amqp_link *link, int type, int channel, size_t payload) {
  char *head = link->out + link->len;
  head[0] = (char)type;
  put_big_endian(head + 1, 2, (uint64_t)channel);
  put_big_endian(head + 3, 4, payload);
  head[FRAME_HEAD + payload] = (char)(unsigned char)AMQP_FRAME_END;
  link->len += FRAME_HEAD + payload + 1;
}

static int put_method(struct amqp_link *link, int channel, amqp_method_number_t id, void *method) {
  if (reserve(link, METHOD_BYTES)) return -1;
  char *payload = link->out + link->len + FRAME_HEAD;
  put_big_endian(payload, 4, id);
  int len = amqp_encode_method(
      id, method, (amqp_bytes_t){.len = METHOD_BYTES - FRAME_HEAD - 5, .bytes = payload + 4});
  if (len < 0) return failed(link, "ask", amqp_error_string2(len));
  end_frame(link, AMQP_FRAME_METHOD, channel, 4 + (size_t)len);
  return 0;
}

int amqp_link_put(struct amqp_link *link, amqp_method_number_t id, void *method) {
  return put_method(link, AMQP_LINK_CHANNEL, id, method);
}

static int put_properties(struct amqp_link *link, amqp_table_t headers, size_t room,
                          size_t body_len) {
  amqp_basic_properties_t properties = {._flags =
                                            AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
                                        .headers = headers,
                                        .delivery_mode = AMQP_DELIVERY_PERSISTENT};
  char *payload = link->out + link->len + FRAME_HEAD;
  put_big_endian(payload, 2, AMQP_BASIC_CLASS);
  put_big_endian(payload + 2, 2, 0);
  put_big_endian(payload + 4, 8, body_len);
  int len = amqp_encode_properties(AMQP_BASIC_CLASS, &properties,
                                   (amqp_bytes_t){.len = room, .bytes = payload + 12});
  if (len < 0) return failed(link, "ask", amqp_error_string2(len));
  end_frame(link, AMQP_FRAME_HEADER, AMQP_LINK_CHANNEL, 12 + (size_t)len);
  return 0;
}

int amqp_link_publish(struct amqp_link *link, amqp_table_t headers, size_t headers_bytes,
                      const char *body, size_t body_len) {
  amqp_basic_publish_t publish = {.exchange = amqp_cstring_bytes(""),
                                  .routing_key = amqp_cstring_bytes(link->url->queue),
                                  .mandatory = 1};
  size_t frames = body_len / (link->frame_max - FRAME_HEAD - 1) + 1, room = headers_bytes + 64;
  if (reserve(link, METHOD_BYTES + room + body_len + (frames + 3) * (FRAME_HEAD + 16)) ||
      amqp_link_put(link, AMQP_BASIC_PUBLISH_METHOD, &publish) ||
      put_properties(link, headers, room, body_len))
    return -1;
  while (body_len > 0) {
    size_t part = link->frame_max - FRAME_HEAD - 1;
    if (part > body_len) part = body_len;
    memcpy(link->out + link->len + FRAME_HEAD, body, part);
    end_frame(link, AMQP_FRAME_BODY, AMQP_LINK_CHANNEL, part);
    body += part;
    body_len -= part;
  }
  return 0;
}

size_t amqp_link_unsent(const struct amqp_link *link) {
  return link->len - link->sent;
}

static int put_heartbeat(struct amqp_link *link) {
  if (reserve(link, FRAME_HEAD + 1)) return -1;
  end_frame(link, AMQP_FRAME_HEARTBEAT, 0, 0);
  return 0;
}

int amqp_link_flush(struct amqp_link *link) {
  if (link->len == link->sent && link->heartbeat_ms > 0 &&
      clock_ms() - link->spoke_ms >= link->heartbeat_ms / 2 && put_heartbeat(link))
    return -1;
  while (link->sent < link->len) {
    ssize_t sent = send(link->fd, link->out + link->sent, link->len - link->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : failed_errno(link, "ask", errno);
    link->sent += (size_t)sent;
    link->spoke_ms = clock_ms();
  }
  link->sent = link->len = 0;
  return 0;
}

/* ---- receiving ---- */

int amqp_link_fetch(struct amqp_link *link) {
  ssize_t len;
  if (link->decoded < link->fetched) return 1;
  do len = recv(link->fd, link->in, FETCH_BYTES, 0);
  while (len < 0 && errno == EINTR);
  if (len < 0)
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : failed_errno(link, "read from", errno);
  if (len == 0) return failed(link, "read from", "it has closed the connection");
  link->heard_ms = clock_ms();
  link->decoded = 0;
  link->fetched = (size_t)len;
  return 1;
}

/* 1: a frame; 0: it is not complete yet. */
static int take_frame(struct amqp_link *link, amqp_frame_t *frame) {
  while (link->decoded < link->fetched) {
    int used = amqp_handle_input(
        link->codec,
        (amqp_bytes_t){.len = link->fetched - link->decoded, .bytes = link->in + link->decoded},
        frame);
    if (used < 0) return failed(link, "read from", "it does not speak AMQP 0-9-1");
    link->decoded += (size_t)used;
    if (frame->frame_type != 0) return 1;
  }
  return 0;
}

static int begin_body(struct amqp_link *link, uint64_t size) {
  link->body_len = 0;
  if (size > SIZE_MAX / 2) return failed(link, "read from", "a message is too big");
  if (size <= link->body_cap) return 0;
  char *body = realloc(link->body, (size_t)size);
  if (!body) return failed(link, "read from", "out of memory");
  link->body = body;
  link->body_cap = (size_t)size;
  return 0;
}

/* What concerns the link itself. 0: the method is for the caller; 1: it was seen to; -1. */
static int see_method(struct amqp_link *link, const amqp_method_t *method) {
  const amqp_connection_blocked_t *blocked = method->decoded;
  switch (method->id) {
  case AMQP_CONNECTION_CLOSE_METHOD:
  case AMQP_CHANNEL_CLOSE_METHOD:
    return refused(link, method->decoded);
  case AMQP_CONNECTION_BLOCKED_METHOD:
    link->is_blocked = 1;
    snprintf(link->reason, sizeof link->reason, "%.*s",
             blocked->reason.len < sizeof link->reason ? (int)blocked->reason.len
                                                       : (int)sizeof link->reason,
             (const char *)blocked->reason.bytes);
    return 1;
  case AMQP_CONNECTION_UNBLOCKED_METHOD:
    link->is_blocked = 0;
    return 1;
  default:
    return 0;
  }
}

static int has_message(amqp_method_number_t id) {
  return id == AMQP_BASIC_DELIVER_METHOD || id == AMQP_BASIC_RETURN_METHOD;
}

/* Takes the frame behind a method that has a message. 1: the message is complete. */
static int see_content(struct amqp_link *link, const amqp_frame_t *frame) {
  struct amqp_heard *coming = &link->coming;
  if (frame->frame_type == AMQP_FRAME_HEADER && !coming->properties) {
    coming->properties = frame->payload.properties.decoded;
    coming->body_len = (size_t)frame->payload.properties.body_size;
    if (begin_body(link, frame->payload.properties.body_size)) return -1;
  } else if (frame->frame_type == AMQP_FRAME_BODY && coming->properties) {
    amqp_bytes_t part = frame->payload.body_fragment;
    if (part.len > coming->body_len - link->body_len)
      return failed(link, "read from", "it does not speak AMQP 0-9-1");
    memcpy(link->body + link->body_len, part.bytes, part.len);
    link->body_len += part.len;
  } else {
    return failed(link, "read from", "it does not speak AMQP 0-9-1");
  }
  return link->body_len == coming->body_len;
}

static void release(struct amqp_link *link) {
  amqp_maybe_release_buffers_on_channel(link->codec, 0);
  amqp_maybe_release_buffers_on_channel(link->codec, AMQP_LINK_CHANNEL);
}

int amqp_link_next(struct amqp_link *link, struct amqp_heard *heard) {
  amqp_frame_t frame;
  int result;
  if (!link->coming.id) release(link);
  while ((result = take_frame(link, &frame)) > 0) {
    if (frame.frame_type == AMQP_FRAME_HEARTBEAT) continue;
    if (frame.frame_type == AMQP_FRAME_METHOD) {
      int seen = see_method(link, &frame.payload.method);
      if (seen < 0) return -1;
      if (seen) continue;
      link->coming = (struct amqp_heard){.id = frame.payload.method.id,
                                         .method = frame.payload.method.decoded};
      result = !has_message(link->coming.id);
    } else {
      result = see_content(link, &frame);
    }
    if (result < 0) return -1;
    if (result == 0) continue;
    *heard = link->coming;
    heard->body = link->body;
    link->coming = (struct amqp_heard){0};
    return 1;
  }
  return result;
}

/* ---- waiting ---- */

int amqp_link_hear(struct amqp_link *link, int64_t until_ms, struct amqp_heard *heard) {
  int result;
  while ((result = amqp_link_next(link, heard)) == 0) {
    if (amqp_link_flush(link)) return -1;
    short what = amqp_link_unsent(link) > 0 ? POLLIN | POLLOUT : POLLIN;
    if (socket_wait(link->fd, what, until_ms) > 0) {
      if (amqp_link_fetch(link) < 0) return -1;
      continue;
    }
    if (!link->is_blocked) return failed(link, "ask", "no answer in time");
    snprintf(link->problem, sizeof link->problem, "RabbitMQ takes no events for now: %s",
             link->reason);
    return -1;
  }
  return result > 0 ? 0 : -1;
}

static int await(struct amqp_link *link, int64_t until_ms, amqp_method_number_t reply,
                 struct amqp_heard *heard) {
  do
    if (amqp_link_hear(link, until_ms, heard)) return -1;
  while (heard->id != reply);
  return 0;
}

int amqp_link_ask(struct amqp_link *link, int64_t until_ms, amqp_method_number_t id, void *method,
                  amqp_method_number_t reply) {
  struct amqp_heard heard;
  if (amqp_link_put(link, id, method)) return -1;
  return await(link, until_ms, reply, &heard);
}

int amqp_link_is_dead(struct amqp_link *link, int patience_ms) {
  int most_ms = patience_ms > 2 * link->heartbeat_ms ? patience_ms : 2 * link->heartbeat_ms;
  if (clock_ms() - link->heard_ms <= most_ms) return 0;
  amqp_link_fail(link, "RabbitMQ does not answer");
  return 1;
}

/* ---- opening and closing ---- */

static amqp_table_entry_t text_field(const char *name, const char *text) {
  return (amqp_table_entry_t){
      .key = amqp_cstring_bytes(name),
      .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static amqp_table_entry_t able(const char *name) {
  return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
                              .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1}};
}

static int log_in(struct amqp_link *link, int64_t until_ms) {
  const char *user = link->url->user ? link->url->user : "", *password = link->url->password;
  struct amqp_heard heard;
  char response[1024];
  amqp_table_entry_t able_to[] = {able("authentication_failure_close"), able("connection.blocked"),
                                  able("consumer_cancel_notify"), able("publisher_confirms"),
                                  able("basic.nack")};
  amqp_table_entry_t about[] = {
      text_field("product", "libsse"),
      {.key = amqp_cstring_bytes("capabilities"),
       .value = {
           .kind = AMQP_FIELD_KIND_TABLE,
           .value.table = {.num_entries = sizeof able_to / sizeof *able_to, .entries = able_to}}}};
  int len = snprintf(response, sizeof response, "%c%s%c%s", 0, user, 0, password);
  if (len >= (int)sizeof response) return failed(link, "log in to", "the password is too long");
  amqp_connection_start_ok_t ok = {.client_properties = {.num_entries = 2, .entries = about},
                                   .mechanism = amqp_cstring_bytes("PLAIN"),
                                   .response = {.len = (size_t)len, .bytes = response},
                                   .locale = amqp_cstring_bytes("en_US")};
  link->doing = "the login";
  if (reserve(link, 8)) return -1;
  memcpy(link->out + link->len, "AMQP\0\0\11\1", 8);
  link->len += 8;
  if (await(link, until_ms, AMQP_CONNECTION_START_METHOD, &heard) ||
      put_method(link, 0, AMQP_CONNECTION_START_OK_METHOD, &ok) ||
      await(link, until_ms, AMQP_CONNECTION_TUNE_METHOD, &heard))
    return -1;
  const amqp_connection_tune_t *tune = heard.method;
  link->frame_max =
      tune->frame_max > 0 && tune->frame_max < FRAME_MAX ? tune->frame_max : FRAME_MAX;
  return 0;
}

static int open_channel(struct amqp_link *link, int64_t until_ms) {
  amqp_connection_tune_ok_t tune = {.channel_max = AMQP_LINK_CHANNEL,
                                    .frame_max = (uint32_t)link->frame_max,
                                    .heartbeat = HEARTBEAT_S};
  amqp_connection_open_t vhost = {.virtual_host = amqp_cstring_bytes(link->url->vhost),
                                  .capabilities = amqp_cstring_bytes("")};
  amqp_channel_open_t channel = {.out_of_band = amqp_cstring_bytes("")};
  struct amqp_heard heard;
  if (amqp_tune_connection(link->codec, AMQP_LINK_CHANNEL, FRAME_MAX, 0) != AMQP_STATUS_OK)
    return failed(link, "connect to", "out of memory");
  link->doing = "the vhost";
  link->heartbeat_ms = HEARTBEAT_S * 1000;
  if (put_method(link, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &tune) ||
      put_method(link, 0, AMQP_CONNECTION_OPEN_METHOD, &vhost) ||
      await(link, until_ms, AMQP_CONNECTION_OPEN_OK_METHOD, &heard))
    return -1;
  link->doing = "a channel";
  return amqp_link_ask(link, until_ms, AMQP_CHANNEL_OPEN_METHOD, &channel,
                       AMQP_CHANNEL_OPEN_OK_METHOD);
}

int amqp_link_open(struct amqp_link *link, const struct amqp_url *url, int64_t until_ms) {
  const char *doing, *why;
  *link = (struct amqp_link){.url = url, .fd = -1, .doing = "the connection"};
  link->in = malloc(FETCH_BYTES);
  link->codec = amqp_new_connection();
  if (!link->in || !link->codec) return failed(link, "connect to", "out of memory");
  link->fd = socket_connect(url->host, url->port, until_ms, &doing, &why);
  if (link->fd < 0) return failed(link, doing, why);
  link->heard_ms = link->spoke_ms = clock_ms();
  return log_in(link, until_ms) ? -1 : open_channel(link, until_ms);
}

/* Says good-bye if the socket takes it, so that the server does not log a broken connection. */
static void say_goodbye(struct amqp_link *link) {
  amqp_connection_close_t bye = {.reply_code = 200, .reply_text = amqp_cstring_bytes("bye")};
  if (link->heartbeat_ms == 0 || link->code != 0 || link->len > link->sent) return;
  if (put_method(link, 0, AMQP_CONNECTION_CLOSE_METHOD, &bye) == 0) amqp_link_flush(link);
}

void amqp_link_close(struct amqp_link *link) {
  if (!link->url) return;
  if (link->fd >= 0) {
    say_goodbye(link);
    close(link->fd);
  }
  if (link->codec) amqp_destroy_connection(link->codec);
  free(link->in);
  free(link->out);
  free(link->body);
  *link = (struct amqp_link){.fd = -1};
}
