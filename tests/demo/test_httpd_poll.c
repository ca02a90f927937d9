/* SPDX-License-Identifier: MIT */
/* test_httpd_poll.c: the tests of the example host once more, with poll in the place of epoll. */
#define HTTPD_USE_POLL 1
#define SUITE          "httpd with poll"
#include "test_httpd.c"
