#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: has promtool check what sse_stats_prometheus writes: run.sh PROGRAM, which prints it.
#
# SSE_BUILD  the build directory, where `make deps-metrics` puts promtool; else it is in the PATH.

program=$1
promtool=${SSE_BUILD:-build}/promtool
[ -x "$promtool" ] || promtool=$(command -v promtool) || {
  echo "check-metrics: skipped: no promtool; make deps-metrics fetches it"
  exit 0
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0 failed=0

# promtool says nothing about what is right; it reads on, where it can, after what is not.
accepts() {
  "$promtool" check metrics <"$1" >"$work/said" 2>&1 && ! [ -s "$work/said" ]
}

judge() { # WHAT STATUS
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok    %s\n' "$1"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$1"
    sed 's/^/      /' "$work/said"
  fi
}

# What promtool must refuse shows that it looks: refused WHAT SED-SCRIPT.
refused() {
  sed "$2" "$work/text" >"$work/spoilt"
  ! cmp -s "$work/text" "$work/spoilt" && ! accepts "$work/spoilt"
  judge "promtool refuses $1" $?
}

"$program" >"$work/text" 2>"$work/said" && [ -s "$work/text" ] && [ ! -s "$work/said" ]
judge "there are metrics" $?
accepts "$work/text"
judge "promtool accepts them" $?
# This it does not look at; a server would refuse all of it.
awk '!/^#/ { sub(/ [^ ]*$/, ""); if (seen[$0]++) { print; bad = 1 } } END { exit bad }' \
  "$work/text" >"$work/said"
judge "no series is there twice" $?
refused "a quote that is not escaped" 's/\\"quoted/"quoted/'
refused "a second type" '/^# TYPE libsse_streams /p'
refused "a counter without _total" 's/libsse_wakes_total/libsse_wakes/'
refused "a type that comes late" '/^# TYPE libsse_latency_seconds /d'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
