/* SPDX-License-Identifier: MIT */
/* http.h: what the library shares of response heads. */
#ifndef SSE_LIB_HTTP_H
#define SSE_LIB_HTTP_H

#include <sse/http.h>

/*
 * Why a head is refused with SSE_EINVAL, as a static sentence; NULL: it is not. A head may also be
 * NULL, or refused with SSE_EHEADER.
 */
const char *sse__http_head_problem(const sse_http_head *head);

#endif
