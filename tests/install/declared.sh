#!/bin/sh
# SPDX-License-Identifier: MIT
# declared.sh: prints the functions that public headers declare with SSE_API: declared.sh HEADER...

# Comments go first, then line breaks, so that a declaration may stand on several lines.
cat "$@" | tr '\n' ' ' | sed -e 's|/\*|\n&|g' -e 's|\*/|&\n|g' | grep -v '^/\*' | tr '\n' ' ' |
  sed 's/SSE_API/\n&/g' | sed -n 's/^SSE_API [^;()]*[ *]\(sse_[a-z0-9_]*\) *(.*/\1/p' | sort
