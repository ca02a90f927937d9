/* SPDX-License-Identifier: MIT */
/* notify.h: tells the service manager how the server is, as sd_notify(3) does, without libsystemd. */
#ifndef BROADCAST_NOTIFY_H
#define BROADCAST_NOTIFY_H

/*
 * Sends lines such as "READY=1" to the socket that NOTIFY_SOCKET names: a path, or with @ a name of
 * Linux's abstract namespace. Without the variable it does nothing. It never waits.
 */
void notify_send(const char *lines);

/* "RELOADING=1" with the time, as Type=notify-reload requires it. "READY=1" ends the reload. */
void notify_reloading(void);

/*
 * A thread that sends "WATCHDOG=1" at half of WATCHDOG_USEC, each time that the server has answered
 * a request that comes as those of clients do: by the listening socket, the acceptor, a worker and a
 * handler. A process that has no descriptor left for such a request is full and not dead, so the
 * message is sent, too.
 */
struct watchdog;

/* `url` is the server's, with a numeric address. *watchdog is NULL unless the service manager wants
 * one of this process. 0; or -1 after a line on stderr. */
int watchdog_start(struct watchdog **watchdog, const char *url);
void watchdog_stop(struct watchdog *watchdog);

#endif
