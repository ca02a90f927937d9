#!/bin/sh
# SPDX-License-Identifier: MIT
# readme.sh: fails if the program in README.md is not examples/minimal.c, byte for byte.
#
# readme.sh [README [PROGRAM]], from the top of the tree. The program stands between the lines
# "<!-- examples/minimal.c -->" and "<!-- end -->", each there once, inside one fence of backquotes.

readme=${1:-README.md} program=${2:-examples/minimal.c}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

if ! [ -r "$readme" ] || ! [ -r "$program" ]; then
  echo "readme.sh: cannot read $readme or $program" >&2
  exit 1
fi

awk '
  $0 == "<!-- examples/minimal.c -->" { begins++; inside = 1; next }
  $0 == "<!-- end -->" { ends++; inside = 0; next }
  inside && /^```/ { fences++; fenced = !fenced; next }
  inside && fenced { print }
  inside && !fenced && NF { stray++ }
  END { exit !(begins == 1 && ends == 1 && fences == 2 && !stray) }
' "$readme" >"$work/program.c" || {
  echo "readme.sh: $readme: the marked program is missing, or not one fenced block" >&2
  exit 1
}

diff "$work/program.c" "$program" >"$work/diff" || {
  echo "readme.sh: $readme (<) and $program (>) differ:" >&2
  cat "$work/diff" >&2
  exit 1
}
