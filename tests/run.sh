#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: runs the test programs that are named, one line for each, and counts their tests.
#
# SSE_LOGS     where the output of each program goes.
# SSE_WRAPPER  what each program is started with, such as valgrind; empty: nothing.
# SSE_TIMEOUT  seconds that a program may take; 300.
# SSE_JOBS     programs that run at once; 1.

logs=${SSE_LOGS:-build/logs}
mkdir -p "$logs" || exit 1

# Each program has a run of its own, whose last line is its count.
if [ "${SSE_JOBS:-1}" -gt 1 ] && [ $# -gt 1 ]; then
  printf '%s\n' "$@" | SSE_JOBS=1 xargs -n 1 -P "$SSE_JOBS" sh "$0" |
    awk -v programs=$# '/^[0-9]+ passed, [0-9]+ failed/ {
        good += $1; bad += $3; left += $5; seen++; next }
      { print; fflush() }
      END { print good + 0 " passed, " bad + 0 " failed" (left ? ", " left " skipped" : "")
        exit bad > 0 || seen < programs }'
  exit
fi

limit=
if command -v timeout >/dev/null 2>&1; then
  limit="timeout ${SSE_TIMEOUT:-300}"
fi

# Sums the counts in cmocka's closing lines of one kind: "[  PASSED  ] 5 test(s).", and with a word
# and a colon before the number in newer versions.
count() {
  sed -n "s/^\[  $1 *\] \([a-z_]*: \)\{0,1\}\([0-9][0-9]*\) test(s).*/\2/p" "$2" |
    awk '{ sum += $1 } END { print sum + 0 }'
}

passed=0 failed=0 skipped=0
for program; do
  name=${program##*/}
  log=$logs/$name.log
  # shellcheck disable=SC2086  # The wrapper is a command and its arguments.
  CMOCKA_MESSAGE_OUTPUT=stdout $limit $SSE_WRAPPER "$program" >"$log" 2>&1 </dev/null
  status=$?
  good=$(count PASSED "$log") bad=$(count FAILED "$log") left=$(count SKIPPED "$log")
  # A program that dies, or that runs no test at all, is a failure of its own.
  if [ $status -ne 0 ] && [ "$bad" -eq 0 ] || [ $((good + bad + left)) -eq 0 ]; then
    bad=1
  fi
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + left))
  if [ "$bad" -eq 0 ]; then
    printf 'ok    %-24s %d passed\n' "$name" "$good"
  else
    printf 'FAIL  %-24s %d passed, %d failed, exit status %d: %s\n' \
      "$name" "$good" "$bad" "$status" "$log"
    grep -v '^\[ RUN\|^\[       OK' "$log" | tail -n 40 | sed 's/^/      /'
  fi
done

if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
