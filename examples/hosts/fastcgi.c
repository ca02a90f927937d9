/* SPDX-License-Identifier: MIT */
/* fastcgi.c: a program behind a web server, by libfcgi: a thread for each request. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fcgiapp.h>
#include <sse/sse.h>

#include "app.h"

struct host {
  struct app app;
  atomic_int stopping;
  pthread_mutex_t lock; /* guards requests */
  pthread_cond_t none;  /* signalled when requests falls to 0 */
  int requests;         /* threads that are at work */
};

struct job {
  struct host *host;
  FCGX_Request request;
};

/* ---- The glue between libfcgi and libsse begins here ---- */

#define SLICE_MS 500 /* how often a thread looks whether its client is still there */
#define CHUNK    8192

/*
 * Takes what there is room for. libfcgi can only write and block, and a thread that blocks cannot
 * look after its stream. So this asks first: a socket that is writable has room for a third of its
 * buffer, and a chunk, which is also what libfcgi buffers itself, is less than that. libfcgi tells
 * the socket nowhere but in ipcFd.
 */
static ssize_t write_fcgi(void *io, const struct iovec *iov, int count) {
  FCGX_Request *request = io;
  struct pollfd room = {.fd = request->ipcFd, .events = POLLOUT};
  if (poll(&room, 1, 0) <= 0) return SSE_EAGAIN;
  if (room.revents & (POLLERR | POLLHUP)) return SSE_ECLOSED;
  ssize_t taken = 0;
  for (int i = 0; i < count && taken < CHUNK; i++) {
    int len = iov[i].iov_len < CHUNK ? (int)iov[i].iov_len : CHUNK;
    if (FCGX_PutStr(iov[i].iov_base, len, request->out) < 0) return SSE_ECLOSED;
    taken += len;
    if ((size_t)len < iov[i].iov_len) break;
  }
  return FCGX_FFlush(request->out) < 0 ? SSE_ECLOSED : taken;
}

/*
 * Looks whether the web server has given the request up, and for a while whether there is room, if
 * that is what the stream waits for. The request has been read to its end, so anything that comes
 * now is the end of the connection or FCGI_ABORT_REQUEST, which libfcgi would not tell.
 */
static int look(const FCGX_Request *request, int full) {
  struct pollfd p = {.fd = request->ipcFd, .events = POLLIN};
  if (full) p.events |= POLLOUT;
  if (poll(&p, 1, full ? SLICE_MS : 0) <= 0) return SSE_OK;
  return p.revents & (POLLIN | POLLERR | POLLHUP | POLLNVAL) ? SSE_ECLOSED : SSE_OK;
}

/* Serves a stream that stands alone, until it ends, the client is gone, or the program stops. */
static int stream_run(sse_stream *stream, FCGX_Request *request, const atomic_int *stopping) {
  int result = SSE_OK;
  while (!sse_error_is_final(result) && !atomic_load(stopping)) {
    result = sse_stream_wait(stream, SLICE_MS);
    if (result > 0) result = sse_stream_flush(stream, write_fcgi, request);
    int full = result == SSE_EAGAIN;
    if (!sse_error_is_final(result)) result = look(request, full);
  }
  return result;
}

static int add_header(void *out, const char *name, const char *value) {
  return FCGX_FPrintF(out, "%s: %s\r\n", name, value) < 0;
}

/* A browser stops for good at any status but 200, so libsse says what fits the error. */
static void refuse(sse_hub *hub, FCGX_Request *request, int error) {
  static const int statuses[] = {
      [SSE_HTTP_BUSY] = 200, [SSE_HTTP_STOP] = 204, [SSE_HTTP_INVALID] = 400};
  sse_http_response response = sse_http_refusal(error);
  FCGX_FPrintF(request->out, "Status: %d\r\n", statuses[response]);
  sse_http_headers(response, NULL, add_header, request->out);
  FCGX_PutS("\r\n", request->out);
  if (response == SSE_HTTP_BUSY)
    FCGX_FPrintF(request->out, "retry: %d\n", (int)sse_hub_retry_ms(hub));
}

/* Of the head, libfcgi and the web server write what is HTTP's. X-Accel-Buffering is for nginx,
 * which passes every record on at once then. */
static void serve_stream(sse_hub *hub, FCGX_Request *request, const char *const *channels,
                         const atomic_int *stopping) {
  sse_stream *stream;
  const sse_stream_config config = {
      .channels = channels,
      .last_id = FCGX_GetParam("HTTP_LAST_EVENT_ID", request->envp),
  };
  char waste[512];
  while (FCGX_GetStr(waste, sizeof waste, request->in) > 0) continue; /* see look() */
  int error = sse_stream_open(&stream, hub, &config);
  if (error) {
    refuse(hub, request, error);
    return;
  }
  sse_stream_prepare_fd(stream, request->ipcFd); /* the web server's; the client's is its matter */
  sse_http_headers(SSE_HTTP_STREAM, NULL, add_header, request->out);
  FCGX_PutS("\r\n", request->out);
  stream_run(stream, request, stopping);
  sse_stream_free(stream);
}

/* ---- The glue ends here ---- */

static void reply(FCGX_Request *request, int status, const char *path) {
  FCGX_FPrintF(request->out, "Status: %d\r\n", status);
  app_headers(status, path, add_header, request->out);
  if (status >= 400) add_header(request->out, "Content-Length", "0");
  FCGX_PutS("\r\n", request->out);
}

static int publish(struct app *app, FCGX_Request *request, const char *query) {
  char *body = malloc(APP_BODY_MAX + 1);
  if (!body) return 503;
  int len = FCGX_GetStr(body, APP_BODY_MAX + 1, request->in);
  int status = app_publish(app, query, body, len > 0 ? (size_t)len : 0);
  free(body);
  return status;
}

static const char *param(const FCGX_Request *request, const char *name) {
  const char *value = FCGX_GetParam(name, request->envp);
  return value ? value : "";
}

static void answer(struct job *job) {
  FCGX_Request *request = &job->request;
  struct app *app = &job->host->app;
  const char *path = param(request, "SCRIPT_NAME"), *query = param(request, "QUERY_STRING");
  struct app_channels channels;
  int status = app_route(param(request, "REQUEST_METHOD"), path, query, &channels);
  if (status == APP_STREAM) {
    serve_stream(app->hub, request, channels.list, &job->host->stopping);
    return;
  }
  reply(request, status == APP_PUBLISH ? publish(app, request, query) : status, path);
}

/* The end of a response is written, too, and that must not block: without room there is none. */
static void finish(struct job *job) {
  struct host *host = job->host;
  struct pollfd room = {.fd = job->request.ipcFd, .events = POLLOUT};
  if (poll(&room, 1, 0) > 0 && room.revents == POLLOUT)
    FCGX_Finish_r(&job->request);
  else
    shutdown(job->request.ipcFd, SHUT_RDWR);
  FCGX_Free(&job->request, 1);
  free(job);
  pthread_mutex_lock(&host->lock);
  if (--host->requests == 0) pthread_cond_signal(&host->none);
  pthread_mutex_unlock(&host->lock);
}

static void *work(void *arg) {
  answer(arg);
  finish(arg);
  return NULL;
}

static void start_job(struct host *host, int listener) {
  pthread_t thread;
  struct job *job = malloc(sizeof *job);
  if (!job || FCGX_InitRequest(&job->request, listener, 0) || FCGX_Accept_r(&job->request) < 0) {
    free(job);
    poll(NULL, 0,
         APP_PAUSE_MS); /* out of descriptors, perhaps: the listener is ready all the time */
    return;
  }
  job->host = host;
  pthread_mutex_lock(&host->lock);
  host->requests++;
  pthread_mutex_unlock(&host->lock);
  if (pthread_create(&thread, NULL, work, job) == 0) {
    pthread_detach(thread);
  } else {
    refuse(host->app.hub, &job->request, SSE_ENOMEM);
    finish(job);
  }
}

int main(int argc, char **argv) {
  static struct host host = {.lock = PTHREAD_MUTEX_INITIALIZER, .none = PTHREAD_COND_INITIALIZER};
  int port;
  app_start(&host.app, argc, argv);
  FCGX_Init();
  int listener = app_listen(&host.app, &port);
  /* Connections inherit it: a web server that sends half a request does not hold up the rest. */
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 5},
             sizeof(struct timeval));
  app_listening(&host.app, port);

  struct pollfd wait[2] = {{.fd = listener, .events = POLLIN},
                           {.fd = host.app.stop_fd, .events = POLLIN}};
  for (; !wait[1].revents; wait[0].revents = 0) {
    if (poll(wait, 2, -1) > 0 && wait[0].revents) start_job(&host, listener);
  }

  close(listener);
  atomic_store(&host.stopping, 1);
  app_stop_ticker(&host.app);
  pthread_mutex_lock(&host.lock);
  while (host.requests > 0) pthread_cond_wait(&host.none, &host.lock);
  pthread_mutex_unlock(&host.lock);
  return app_end(&host.app);
}
