#!/bin/sh
# SPDX-License-Identifier: MIT
# fuzz.sh: runs each fuzz target that is named for so many seconds: fuzz.sh SECONDS PROGRAM...
#
# SSE_BUILD  where new inputs, crashes and logs go. The corpora in the tree are only read.

seconds=$1
shift
passed=0 failed=0
for program; do
  name=${program##*/}
  corpus=${name#fuzz_}
  found=$SSE_BUILD/corpus/$corpus
  log=$SSE_BUILD/$name.log
  seeds=tests/fuzz/corpus/$corpus
  mkdir -p "$found" || exit 1
  [ -d "$seeds" ] || seeds=
  # shellcheck disable=SC2086  # No seeds are no argument.
  if "$program" -max_total_time="$seconds" -print_final_stats=1 -timeout=10 \
    -artifact_prefix="$SSE_BUILD/$name-" "$found" $seeds >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    printf 'ok    %-24s %s runs\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
  else
    failed=$((failed + 1))
    printf 'FAIL  %-24s %s\n' "$name" "$log"
    tail -n 40 "$log" | sed 's/^/      /'
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
