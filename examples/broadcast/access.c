/* SPDX-License-Identifier: MIT */
/* access.c: the secrets, keys and origins in force. */
#include "access.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct access {
  pthread_rwlock_t lock;
  char **secrets, **signing, **origins; /* lists that end with NULL; NULL: empty */
  struct token_keys keys;
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
  free_list(access->signing);
  free_list(access->origins);
  token_keys_free(&access->keys);
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

static void swap(char ***a, char ***b) {
  char **list = *a;
  *a = *b;
  *b = list;
}

int access_set(struct access *access, struct access_lists *lists) {
  char **secrets = copy_list(lists->secrets), **signing = copy_list(lists->signing);
  char **origins = copy_list(lists->origins);
  struct token_keys old_keys = {.items = NULL};
  int done = secrets && signing && origins;
  if (done) {
    pthread_rwlock_wrlock(&access->lock);
    swap(&access->secrets, &secrets);
    swap(&access->signing, &signing);
    swap(&access->origins, &origins);
    old_keys = access->keys;
    access->keys = lists->keys;
    pthread_rwlock_unlock(&access->lock);
    lists->keys = (struct token_keys){.items = NULL};
  }
  free_list(secrets);
  free_list(signing);
  free_list(origins);
  token_keys_free(&old_keys);
  return done ? 0 : -1;
}

unsigned access_kinds(struct access *access) {
  unsigned kinds = 0;
  pthread_rwlock_rdlock(&access->lock);
  if (access->secrets && access->secrets[0]) kinds |= ACCESS_SECRET;
  if (access->keys.count > 0) kinds |= ACCESS_TOKEN;
  if (access->signing && access->signing[0]) kinds |= ACCESS_SIGNED;
  pthread_rwlock_unlock(&access->lock);
  return kinds;
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
  for (char **secret = access->secrets; secret && *secret; secret++)
    known |= text && differs(text, *secret) == 0;
  pthread_rwlock_unlock(&access->lock);
  return (int)known;
}

const char *access_read_token(struct access *access, struct token *token, const char *text) {
  pthread_rwlock_rdlock(&access->lock);
  const char *problem = token_read(token, &access->keys, text);
  pthread_rwlock_unlock(&access->lock);
  return problem;
}

int access_signed(struct access *access, const char *signature, uint64_t expires,
                  const struct channels *channels) {
  pthread_rwlock_rdlock(&access->lock);
  int matches =
      signature_matches(signature, (const char *const *)access->signing, expires, channels);
  pthread_rwlock_unlock(&access->lock);
  return matches;
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
