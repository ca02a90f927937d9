/* SPDX-License-Identifier: MIT */
/* process.c: what the process is for the system. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int refuse(const char *what, const char *value, const char *problem) {
  fprintf(stderr, "broadcast: --%s %s: %s\n", what, value, problem);
  return -1;
}

/* ---- The background ---- */

static int ready_pipe = -1; /* to the parent */

/* In the parent: waits for a byte or for the end of the child. */
static _Noreturn void await_ready(int from, pid_t child) {
  char byte;
  ssize_t got;
  int status;
  while ((got = read(from, &byte, 1)) < 0 && errno == EINTR) continue;
  if (got == 1) _exit(0);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int process_daemonize(void) {
  int ends[2];
  pid_t child = -1;
  if (pipe(ends) == 0) child = fork();
  if (child < 0) {
    fprintf(stderr, "broadcast: --daemon: %s\n", strerror(errno));
    return -1;
  }
  close(ends[child ? 1 : 0]);
  if (child > 0) await_ready(ends[0], child);
  ready_pipe = ends[1];
  setsid();
  return 0;
}

void process_ready(int has_log) {
  if (ready_pipe < 0) return;
  int nowhere = open("/dev/null", O_RDWR);
  if (nowhere >= 0) dup2(nowhere, STDIN_FILENO);
  if (nowhere >= 0 && !has_log) {
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
  }
  if (nowhere > STDERR_FILENO) close(nowhere);
  (void)!write(ready_pipe, "", 1);
  close(ready_pipe);
  ready_pipe = -1;
}

int process_log(const char *path) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return refuse("log-file", path, strerror(errno));
  fflush(stdout);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  if (fd > STDERR_FILENO) close(fd);
  return 0;
}

int process_write_pid(const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) return refuse("pid-file", path, strerror(errno));
  int written = fprintf(file, "%ld\n", (long)getpid()) > 0;
  if (fclose(file) == 0 && written) return 0;
  return refuse("pid-file", path, strerror(errno));
}

/* ---- The user ---- */

struct process_user {
  uid_t uid;
  gid_t gid;
  char name[]; /* "": no entry, so no further groups */
};

/* A number, or -1 if the text is none. */
static long number_of(const char *text) {
  char *end;
  if (*text < '0' || *text > '9') return -1;
  long number = strtol(text, &end, 10);
  return *end == '\0' ? number : -1;
}

int process_find_user(struct process_user **to, const char *name, const char *group) {
  *to = NULL;
  if (!name && !group) return 0;
  if (geteuid() != 0)
    return refuse(name ? "user" : "group", name ? name : group, "only root may change it");
  const struct passwd *entry = name ? getpwnam(name) : NULL;
  const char *known = entry ? entry->pw_name : "";
  struct process_user *user = malloc(sizeof *user + strlen(known) + 1);
  if (!user) return refuse("user", known, strerror(ENOMEM));
  memcpy(user->name, known, strlen(known) + 1);
  *to = user;
  long number = name && !entry ? number_of(name) : -1;
  if (name && !entry && number < 0) return refuse("user", name, "there is no such user");
  user->uid = entry ? entry->pw_uid : name ? (uid_t)number : getuid();
  user->gid = entry ? entry->pw_gid : getgid();
  if (!group) return 0;
  const struct group *group_entry = getgrnam(group);
  number = group_entry ? (long)group_entry->gr_gid : number_of(group);
  if (number < 0) return refuse("group", group, "there is no such group");
  user->gid = (gid_t)number;
  return 0;
}

static int check(int result) {
  if (result == 0) return 0;
  fprintf(stderr, "broadcast: --user, --group: %s\n", strerror(errno));
  return -1;
}

int process_act_as(const struct process_user *user) {
  if (!user) return 0;
  return check(setegid(user->gid) != 0 || seteuid(user->uid) != 0);
}

int process_act_as_root(const struct process_user *user) {
  if (!user) return 0;
  return check(seteuid(0) != 0 || setegid(getgid()) != 0);
}

int process_become(const struct process_user *user) {
  if (!user) return 0;
  int groups = *user->name ? initgroups(user->name, user->gid) : setgroups(0, NULL);
  return check(groups != 0 || setgid(user->gid) != 0 || setuid(user->uid) != 0);
}
