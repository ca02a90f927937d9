/* SPDX-License-Identifier: MIT */
/* socket.h: connects a socket that does not block, and waits for it up to a moment. */
#ifndef ENGINE_SOCKET_H
#define ENGINE_SOCKET_H

#include <stdint.h>
#include <sys/socket.h>

/* On macOS, socket.c sets an option of the socket instead. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/*
 * Both connect up to a moment of clock_ms. The resolver of names waits as long as it is configured
 * to. The fd; or -1, and `doing` and `why` complete the sentence "cannot ... the server: ...".
 */
int socket_connect(const char *host, const char *port, int64_t until_ms, const char **doing,
                   const char **why);
int socket_connect_unix(const char *path, int64_t until_ms, const char **doing, const char **why);

/* As poll for one fd: 1; 0: the moment has come; or -1. */
int socket_wait(int fd, short what, int64_t until_ms);

#endif
