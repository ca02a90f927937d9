/* SPDX-License-Identifier: MIT */
/* access.c: the secrets and origins in force. */
#include "access.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct access {
  pthread_rwlock_t lock;
  char **secrets, **origins; /* lists that end with NULL; NULL: empty */
};

struct access *access_new(void) {
  struct access *access = calloc(1, sizeof *access);
  if (access && pthread_rwlock_init(&access->lock, NULL) != 0) {
    free(access);
    return NULL;
  }
  return access;
}

static void free_list(char **list) {
  for (char **at = list; at && *at; at++) free(*at);
  free(list);
}

void access_free(struct access *access) {
  if (!access) return;
  free_list(access->secrets);
  free_list(access->origins);
  pthread_rwlock_destroy(&access->lock);
  free(access);
}

static char **copy_list(const char *const *list) {
  size_t count = 0;
  while (list && list[count]) count++;
  char **copy = calloc(count + 1, sizeof *copy);
  for (size_t i = 0; copy && i < count; i++) {
    if ((copy[i] = strdup(list[i]))) continue;
    free_list(copy);
    return NULL;
  }
  return copy;
}

int access_set(struct access *access, const char *const *secrets, const char *const *origins) {
  char **new_secrets = copy_list(secrets), **new_origins = copy_list(origins);
  if (!new_secrets || !new_origins) {
    free_list(new_secrets);
    free_list(new_origins);
    return -1;
  }
  pthread_rwlock_wrlock(&access->lock);
  char **old_secrets = access->secrets, **old_origins = access->origins;
  access->secrets = new_secrets;
  access->origins = new_origins;
  pthread_rwlock_unlock(&access->lock);
  free_list(old_secrets);
  free_list(old_origins);
  return 0;
}

/* Looks at each byte of the text, whatever the secret is. */
static unsigned differs(const char *text, const char *secret) {
  size_t len = strlen(text), secret_len = strlen(secret);
  unsigned difference = len != secret_len;
  for (size_t i = 0; i < len; i++)
    difference |= (unsigned)(text[i] ^ secret[secret_len ? i % secret_len : 0]);
  return difference;
}

int access_knows(struct access *access, const char *text) {
  unsigned known = 0;
  pthread_rwlock_rdlock(&access->lock);
  int any = !access->secrets || !access->secrets[0];
  for (char **secret = access->secrets; secret && *secret; secret++)
    known |= text && differs(text, *secret) == 0;
  pthread_rwlock_unlock(&access->lock);
  return any || known;
}

int access_allows(struct access *access, const char *origin, char allow[ORIGIN_BYTES_MAX + 1],
                  int *is_any) {
  int allowed = 0;
  *is_any = 0;
  pthread_rwlock_rdlock(&access->lock);
  for (char **at = access->origins; origin && at && *at && !allowed; at++) {
    *is_any = strcmp(*at, "*") == 0;
    allowed = *is_any || strcmp(*at, origin) == 0;
    if (allowed) memcpy(allow, *at, strlen(*at) + 1);
  }
  pthread_rwlock_unlock(&access->lock);
  return allowed;
}

const char *const *access_lock_origins(struct access *access) {
  pthread_rwlock_rdlock(&access->lock);
  char **origins = access->origins;
  return origins && origins[0] ? (const char *const *)origins : NULL;
}

void access_unlock(struct access *access) {
  pthread_rwlock_unlock(&access->lock);
}
