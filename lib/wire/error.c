/* SPDX-License-Identifier: MIT */
/* error.c: names and texts of the error codes, from the one list in error.h; the version. */
#include <sse/error.h>

const char *sse_error_name(int code) {
  if (code >= SSE_OK) return "SSE_OK";
  switch (code) {
#define SSE_ERROR_NAME(name, value, text)                                                          \
  case value:                                                                                      \
    return #name;
    SSE_ERRORS(SSE_ERROR_NAME)
#undef SSE_ERROR_NAME
  default:
    return "SSE_E?";
  }
}

const char *sse_error_text(int code) {
  if (code >= SSE_OK) return "success";
  switch (code) {
#define SSE_ERROR_TEXT(name, value, text)                                                          \
  case value:                                                                                      \
    return text;
    SSE_ERRORS(SSE_ERROR_TEXT)
#undef SSE_ERROR_TEXT
  default:
    return "unknown error";
  }
}

int sse_error_is_final(int code) {
  return code < SSE_OK && code != SSE_EAGAIN && code != SSE_EHELD && code != SSE_ENOMEM &&
         code != SSE_EINVAL;
}

int sse_end_is_gentle(int code) {
  return code == SSE_EAGED || code == SSE_ESLOW || code == SSE_EDRAINED || code == SSE_EFINISHED ||
         code == SSE_EDISMISSED;
}

const char *sse_version(void) {
  return SSE_VERSION_STRING;
}
