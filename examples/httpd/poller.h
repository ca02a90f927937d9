/* SPDX-License-Identifier: MIT */
/* poller.h: waits for sockets: epoll on Linux, poll elsewhere or with -DHTTPD_USE_POLL. */
#ifndef HTTPD_POLLER_H
#define HTTPD_POLLER_H

#if defined(__linux__) && !defined(HTTPD_USE_POLL)
#define HTTPD_EPOLL 1 /* poller_epoll.c; without it poller_poll.c */
#endif

/* What to wait for, and what was found; one or more. */
#define POLLER_READ  0x1u
#define POLLER_WRITE 0x2u
#define POLLER_GONE  0x4u /* found only: the connection failed; come unasked */

struct poller_event {
  void *data; /* as given to poller_add */
  unsigned what;
};

/*
 * Level-triggered: what is not dealt with is found again by the next wait. All calls are for the
 * thread that waits, except poller_wake.
 */
struct poller;

/* NULL: no memory, or no file descriptors left. */
struct poller *poller_new(void);
void poller_free(struct poller *poller);

/* 0, or -1 for lack of memory. An fd is added once, and removed before it is closed. */
int poller_add(struct poller *poller, int fd, unsigned what, void *data);
int poller_change(struct poller *poller, int fd, unsigned what, void *data);
void poller_remove(struct poller *poller, int fd);

/*
 * Waits until there is something, at most timeout_ms (-1: without limit). Gives the number of
 * events, which is 0 after the timeout, a signal or a poller_wake. An fd that is removed while its
 * event is being looked at may still have one further on in the same batch.
 */
int poller_wait(struct poller *poller, struct poller_event *events, int max, int timeout_ms);

/* Ends the wait that runs, or the next one. For any thread; never blocks. 0 if it is delivered. */
int poller_wake(struct poller *poller);

#endif
