/* SPDX-License-Identifier: MIT */
/* sse.h: all of libsse. */
#ifndef SSE_SSE_H
#define SSE_SSE_H

#include "alloc.h"
#include "error.h"
#include "format.h"
#include "http.h"
#include "hub.h"
#include "io.h"
#include "loop.h"
#include "parse.h"
#include "stats.h"
#include "stream.h"
#include "version.h"

#endif
