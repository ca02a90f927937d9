/* SPDX-License-Identifier: MIT */
/* version.h: the version of the headers and of the library; the export attribute. */
#ifndef SSE_VERSION_H
#define SSE_VERSION_H

#ifdef __cplusplus
extern "C" {
#endif

#define SSE_VERSION_MAJOR  0
#define SSE_VERSION_MINOR  1
#define SSE_VERSION_PATCH  0
#define SSE_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define SSE_API __attribute__((visibility("default")))
#else
#define SSE_API
#endif

/**
 * Returns the version of the library that the program is running with.
 *
 * SSE_VERSION_STRING is the version of the headers that the program was compiled with.
 *
 * Threads:   any, at any time.
 * Callbacks: none.
 * Returns:   a static string, "major.minor.patch".
 */
SSE_API const char *sse_version(void);

#ifdef __cplusplus
}
#endif
#endif
