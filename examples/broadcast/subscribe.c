/* SPDX-License-Identifier: MIT */
/* subscribe.c: streams. */
#include <strings.h>

#include "subscription.h"

/* Scripts that cannot read a stream say so by this header, as they did to cyclone-sse. */
static int wants_poll(const struct request *request) {
  const char *with = request_header(request, "X-Requested-With");
  return with && strcasecmp(with, "XMLHttpRequest") == 0;
}

void subscribe(struct httpd_conn *conn, const struct request *request, void *arg) {
  struct server *server = arg;
  struct subscription subscription;
  struct params params;
  if (wants_poll(request)) {
    poll_events(conn, request, arg);
    return;
  }
  if (subscription_begin(&subscription, &params, conn, request, server) == 0) {
    const char *const *origins = access_lock_origins(server->access);
    const sse_http_head head = {.allow_origins = origins,
                                .allow_credentials =
                                    origins && !(origins[0][0] == '*' && origins[0][1] == '\0')};
    subscription.config.head = &head;
    /* It ends gently at an age from three quarters of this to this, so that the clients whose
     * tokens expire in one minute do not return in one moment. */
    subscription.config.age_ms_max = subscription.life_ms;
    httpd_stream(conn, request, &subscription.config);
    access_unlock(server->access);
  }
  params_free(&params);
}
