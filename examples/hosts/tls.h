/* SPDX-License-Identifier: MIT */
/* tls.h: what the hosts over TLS share: an epoll loop of non-blocking connections by OpenSSL. */
#ifndef TLS_H
#define TLS_H

#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "app.h"

/* A connection; the host's own structure begins with it. */
struct tls_conn {
  struct tls_server *server;
  struct tls_conn *next, **link;
  SSL *ssl;
  int full;            /* the socket had no room: wait for it */
  int resting;         /* the deadline does not count */
  int64_t deadline_ms; /* when it is closed */
};

/* What a host brings. Results: 0, or anything else to close the connection. */
struct tls_host {
  const char *protocol; /* by ALPN: "h2" */
  int required;         /* refuse a client that does not offer it */
  size_t conn_size;     /* of the host's own structure, zeroed at first */
  int (*open)(struct tls_conn *conn);
  int (*event)(struct tls_conn *conn); /* there is something to read, or room */
  void (*close)(struct tls_conn *conn);
};

struct tls_server {
  const struct tls_host *host;
  struct app *app;
  void *user; /* the host's */
  SSL_CTX *context;
  int epoll_fd, wake_fd, listener, port;
  struct tls_conn *conns;
  int64_t sweep_ms;  /* when deadlines are next looked at */
  int64_t accept_ms; /* when to listen again after an accept that failed; 0: it listens */
};

/* Listens, with a new certificate for "localhost" that it signs itself: good for an example and
 * nothing else. Ends the program on failure. */
void tls_server_open(struct tls_server *server, const struct tls_host *host, struct app *app);

/* Closes all connections and frees what the server has. */
void tls_server_close(struct tls_server *server);

/* Makes tls_server_wait return; any thread. 0: done. */
int tls_server_wake(const struct tls_server *server);

/* Waits for events, for so long at most, and deals with them. Not 0: the program is to end. */
int tls_server_wait(struct tls_server *server, int timeout_ms);

/* After anything was done on a connection: closes it if result is not 0; else waits for what it
 * needs next. Not to be called from inside the host's event. */
void tls_conn_settle(struct tls_conn *conn, int result);

/* Gives a connection so long from now. */
void tls_conn_expire(struct tls_conn *conn, int ms);

/* What SSL_read or SSL_write returned, if it was not above 0, as libsse's writev callback says it:
 * SSE_EHELD, SSE_ECLOSED, SSE_EIO. To be called at once, by the same thread. */
int tls_error(SSL *ssl, int result);

/* SSL_read and SSL_write; the result is above 0 or that of tls_error. */
ssize_t tls_read(SSL *ssl, void *buf, size_t cap);
ssize_t tls_write(SSL *ssl, const void *bytes, size_t len);

#endif
