/* SPDX-License-Identifier: MIT */
/* page.h: a static page in memory, as examples/httpd/embed.c makes it from a file. */
#ifndef HTTPD_PAGE_H
#define HTTPD_PAGE_H

#include <stddef.h>

struct page {
  const char *path;          /* of the request, such as "/" or "/style.css" */
  const char *type;          /* Content-Type */
  const unsigned char *data; /* the bytes, not ended by NUL */
  size_t len;
};

#endif
