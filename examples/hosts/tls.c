/* SPDX-License-Identifier: MIT */
/* tls.c: what the hosts over TLS share: an epoll loop of non-blocking connections by OpenSSL. */
#include "tls.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#define REQUEST_MS 10000 /* for the handshake and the first request */
#define SWEEP_MS   1000

/* ---- A certificate ---- */

#define VALID_S (30L * 24 * 60 * 60)

static void require(int good) {
  if (good) return;
  ERR_print_errors_fp(stderr);
  exit(1);
}

static void add_extension(X509 *certificate, int nid, const char *value) {
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
  require(extension && X509_add_ext(certificate, extension, -1));
  X509_EXTENSION_free(extension);
}

static void use_new_certificate(SSL_CTX *context) {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *certificate = X509_new();
  require(key && certificate && X509_set_version(certificate, X509_VERSION_3));
  X509_NAME *name = X509_get_subject_name(certificate);
  require(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) &&
          X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
          X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) &&
          X509_set_pubkey(certificate, key) &&
          X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                     -1, -1, 0) &&
          X509_set_issuer_name(certificate, name));
  add_extension(certificate, NID_subject_alt_name, "DNS:localhost, IP:127.0.0.1");
  require(X509_sign(certificate, key, EVP_sha256()) &&
          SSL_CTX_use_certificate(context, certificate) && SSL_CTX_use_PrivateKey(context, key));
  X509_free(certificate);
  EVP_PKEY_free(key);
}

/* ---- The context ---- */

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned offered_len, void *arg) {
  const struct tls_host *host = arg;
  unsigned char wire[32], *chosen; /* a list of one: length and name */
  unsigned len = (unsigned)strlen(host->protocol);
  (void)ssl;
  wire[0] = (unsigned char)len;
  memcpy(wire + 1, host->protocol, len);
  /* What is chosen may be in wire, but the client offered the same. */
  if (SSL_select_next_proto(&chosen, out_len, offered, offered_len, wire, len + 1) ==
      OPENSSL_NPN_NEGOTIATED) {
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
  }
  return host->required ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *new_context(const struct tls_host *host) {
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  require(context && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  use_new_certificate(context);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, (void *)(uintptr_t)host);
  /* After the handshake a write then never waits for a read. */
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  /* A stream is idle most of the time, and does not need buffers for records then. */
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  return context;
}

/* ---- Reading and writing ---- */

/* SSL_get_error looks at the thread's queue of errors, so the queue is left empty behind it. */
int tls_error(SSL *ssl, int result) {
  int error = SSL_get_error(ssl, result);
  ERR_clear_error();
  switch (error) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    return SSE_EHELD;
  case SSL_ERROR_ZERO_RETURN:
  case SSL_ERROR_SYSCALL:
    return SSE_ECLOSED;
  default:
    return SSE_EIO;
  }
}

ssize_t tls_read(SSL *ssl, void *buf, size_t cap) {
  int result = SSL_read(ssl, buf, cap < INT_MAX ? (int)cap : INT_MAX);
  return result > 0 ? result : tls_error(ssl, result);
}

ssize_t tls_write(SSL *ssl, const void *bytes, size_t len) {
  int result = SSL_write(ssl, bytes, len < INT_MAX ? (int)len : INT_MAX);
  return result > 0 ? result : tls_error(ssl, result);
}

/* ---- Connections ---- */

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void tls_conn_expire(struct tls_conn *conn, int ms) {
  conn->deadline_ms = now_ms() + ms;
}

/* Watches a descriptor, or changes what it is watched for. 0 on failure. */
static int watch(const struct tls_server *server, int how, int fd, unsigned events, void *what) {
  struct epoll_event event = {.events = events, .data = {.ptr = what}};
  return fd >= 0 && epoll_ctl(server->epoll_fd, how, fd, &event) == 0;
}

static void conn_free(struct tls_conn *conn) {
  int fd = SSL_get_fd(conn->ssl);
  if (conn->next) conn->next->link = conn->link;
  *conn->link = conn->next;
  conn->server->host->close(conn);
  if (SSL_is_init_finished(conn->ssl)) SSL_shutdown(conn->ssl); /* as far as there is room */
  SSL_free(conn->ssl);
  ERR_clear_error();
  free(conn);
  close(fd);
}

void tls_conn_settle(struct tls_conn *conn, int result) {
  if (result != SSE_OK) {
    conn_free(conn);
    return;
  }
  watch(conn->server, EPOLL_CTL_MOD, SSL_get_fd(conn->ssl),
        conn->full ? EPOLLIN | EPOLLOUT : EPOLLIN, conn);
}

/* Records are written one by one, and Nagle's algorithm would hold the second until the first is
 * acknowledged. */
static struct tls_conn *conn_new(struct tls_server *server, int fd) {
  struct tls_conn *conn = calloc(1, server->host->conn_size);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!conn || !(conn->ssl = SSL_new(server->context)) || !SSL_set_fd(conn->ssl, fd)) {
    if (conn) SSL_free(conn->ssl);
    ERR_clear_error();
    free(conn);
    close(fd);
    return NULL;
  }
  SSL_set_accept_state(conn->ssl); /* the first read does the handshake */
  conn->server = server;
  conn->link = &server->conns;
  conn->next = server->conns;
  if (conn->next) conn->next->link = &conn->next;
  server->conns = conn;
  tls_conn_expire(conn, REQUEST_MS);
  return conn;
}

/* ---- The server ---- */

/* Out of memory or descriptors, the listener would be ready all the time, so for a moment it is not
 * listened to. */
static void listen_to(struct tls_server *server, int64_t from_ms) {
  server->accept_ms = from_ms;
  watch(server, EPOLL_CTL_MOD, server->listener, from_ms ? 0 : EPOLLIN, &server->listener);
}

static void accept_one(struct tls_server *server) {
  int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  struct tls_conn *conn = fd < 0 ? NULL : conn_new(server, fd);
  if (!conn) {
    listen_to(server, now_ms() + APP_PAUSE_MS);
  } else if (!watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, conn) || server->host->open(conn)) {
    conn_free(conn);
  }
}

static void conn_event(struct tls_conn *conn) {
  conn->full = 0;
  int result = conn->server->host->event(conn);
  if (SSL_want_write(conn->ssl)) conn->full = 1; /* a handshake may find no room, too */
  tls_conn_settle(conn, result);
}

static void end_overdue(struct tls_server *server) {
  int64_t now = now_ms();
  if (now < server->sweep_ms) return;
  server->sweep_ms = now + SWEEP_MS;
  for (struct tls_conn *conn = server->conns, *next; conn; conn = next) {
    next = conn->next;
    if (!conn->resting && conn->deadline_ms <= now) conn_free(conn);
  }
}

int tls_server_wake(const struct tls_server *server) {
  return write(server->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) < 0;
}

int tls_server_wait(struct tls_server *server, int timeout_ms) {
  struct epoll_event events[64];
  uint64_t wakes;
  if (timeout_ms < 0 || timeout_ms > SWEEP_MS) timeout_ms = SWEEP_MS;
  if (server->accept_ms && now_ms() >= server->accept_ms) listen_to(server, 0);
  if (server->accept_ms && timeout_ms > APP_PAUSE_MS) timeout_ms = APP_PAUSE_MS;
  int count = epoll_wait(server->epoll_fd, events, 64, timeout_ms);
  for (int i = 0; i < count; i++) {
    void *what = events[i].data.ptr;
    if (what == server->app)
      return 1;
    else if (what == &server->wake_fd)
      (void)!read(server->wake_fd, &wakes, sizeof wakes);
    else if (what == &server->listener)
      accept_one(server);
    else
      conn_event(what);
  }
  end_overdue(server);
  return 0;
}

void tls_server_open(struct tls_server *server, const struct tls_host *host, struct app *app) {
  *server = (struct tls_server){.host = host, .app = app, .context = new_context(host)};
  server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  server->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  server->listener = app_listen(app, &server->port);
  fcntl(server->listener, F_SETFL, O_NONBLOCK); /* a client may be gone before it is accepted */
  require(watch(server, EPOLL_CTL_ADD, server->wake_fd, EPOLLIN, &server->wake_fd) &&
          watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, &server->listener) &&
          watch(server, EPOLL_CTL_ADD, app->stop_fd, EPOLLIN, app));
}

void tls_server_close(struct tls_server *server) {
  for (struct tls_conn *conn = server->conns, *next; conn; conn = next) {
    next = conn->next;
    conn_free(conn);
  }
  close(server->listener);
  close(server->wake_fd);
  close(server->epoll_fd);
  SSL_CTX_free(server->context);
}
