/* SPDX-License-Identifier: MIT */
/* process.h: what the process is for the system: its user, its terminal, and where it writes. */
#ifndef BROADCAST_PROCESS_H
#define BROADCAST_PROCESS_H

/* All of these give 0; or -1 after a line on stderr that says what is wrong. */

/*
 * Goes on in the background: the caller is the child from here on. The parent ends with status 0
 * when the child calls process_ready, and with the child's status if it ends before. It comes before
 * any thread and the hub.
 */
int process_daemonize(void);

/* Lets go of the parent's terminal, if there is a parent. Messages go nowhere, or to the log. */
void process_ready(int has_log);

/* Appends what is written to stdout and stderr to a file; called again, it opens the file anew. */
int process_log(const char *path);

/* The user and group to be, by name or number; NULL: as they are. Only root may change them. */
struct process_user;
int process_find_user(struct process_user **to, const char *name, const char *group);

/* What files are made from here on belongs to the user; and root again, to bind a low port. */
int process_act_as(const struct process_user *user);
int process_act_as_root(const struct process_user *user);

/* For good. All three do nothing if user is NULL. */
int process_become(const struct process_user *user);

int process_write_pid(const char *path);

#endif
