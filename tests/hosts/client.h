/* SPDX-License-Identifier: MIT */
/* client.h: clients of a host, by libcurl, so that TLS and HTTP/2 are no matter of the tests. */
#ifndef TESTS_HOSTS_CLIENT_H
#define TESTS_HOSTS_CLIENT_H

#include <curl/curl.h>
#include <sse/sse.h>

#include "host.h"

/* Connections that are driven together. One that is not driven any more stops reading. */
struct net {
  CURLM *multi;
  const struct host *host;
  CURL *publisher; /* one connection, kept for all that is published */
  int publishing;
};

/* One client with one stream. It keeps no event, only what the tests ask about them. */
struct client {
  struct net *net;
  CURL *easy;
  struct curl_slist *headers;
  sse_parser *parser;
  curl_socket_t fd; /* that was opened for it; none if it shares a connection */
  int receive_bytes;
  int done;        /* the response has ended */
  CURLcode result; /* then: CURLE_OK if it was complete */
  long status;
  char head[1024];         /* of the response */
  size_t bytes;            /* of the body, up to now */
  unsigned long events;    /* without positions; gaps among them */
  unsigned long gaps;      /* events of the type gap */
  unsigned long wrong;     /* numbers in data that are not one more than the one before */
  unsigned long long last; /* number that the data of the last event begins with */
  char log[512];           /* data of the first events, a space between them */
};

/* How a client goes. */
enum leaving {
  LEAVE_CLOSE,  /* closes its socket */
  LEAVE_RESET,  /* resets its connection */
  LEAVE_SILENT, /* says nothing; needs privileges, else as LEAVE_RESET */
};

void net_open(struct net *net, const struct host *host);
void net_close(struct net *net); /* its clients first */

/* Drives all for a moment; a moment is not longer than that. */
void net_step(struct net *net, int moment_ms);

/* Opens a stream. query and last_id: NULL: none. fresh: on a connection of its own, also with
 * HTTP/2. receive_bytes: of the socket's buffer; 0: the system's. */
struct client_options {
  const char *query, *last_id;
  int fresh, receive_bytes;
};
void client_open(struct client *client, struct net *net, const struct client_options *options);
void client_leave(struct client *client, enum leaving how);

/* No packet reaches the client from now on: its system acknowledges nothing and answers nothing, as
 * behind a cable that was cut. It is closed as any other. */
void client_vanish(struct client *client);
void client_close(struct client *client);

/* Publishes a body to a channel and drives the net until that is answered; the status, 0 if none
 * came in time. */
long net_publish(struct net *net, const char *channel, const char *body, size_t len);

/* Another request without a body, and its answer. */
struct answer {
  CURLcode result; /* CURLE_OK if it was complete */
  long status;
  char head[1024], body[256];
};
void net_ask(struct net *net, const char *method, const char *target, struct answer *answer);

/* Sends bytes on a new connection, and gives what comes until the host closes it. */
void net_send(struct net *net, const char *bytes, size_t len, char *answer, size_t cap);

/* Closes the connection that it was published on. */
void net_unpublish(struct net *net);

#endif
