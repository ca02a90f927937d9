/* SPDX-License-Identifier: MIT */
/* pages.h: the pages of the demo that is being built, which embed.c puts into the program. */
#ifndef HTTPD_PAGES_H
#define HTTPD_PAGES_H

#include "page.h"

extern const struct page pages[]; /* "/" is index.html, "/name" is name.html, else "/file" */
extern const size_t pages_count;

#endif
