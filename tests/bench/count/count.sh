#!/bin/sh
# SPDX-License-Identifier: MIT
# count.sh: how many instructions the library executes: count.sh check|write PROGRAM BASELINE LOGS
#
# Only those of functions whose source is in lib/ count, each by its own: libc and the allocator
# choose other code on other processors. Compiler and flags are fixed, so the same source gives the
# same counts; other compilers than the one that the baseline names are not compared.
set -u
how=$1 program=$2 baseline=$3 logs=$4
limit=5 # percent

# A relaxed load is an ordinary load; a store or an exchange is not.
if grep -nE 'atomic_(store|exchange|compare|fetch|flag)|__atomic_|__sync_' lib/*/*.[ch]; then
  echo "atomic operations other than a relaxed load: a delivery must have none"
  exit 1
fi

compiler="$(${CC:-cc} -dumpfullversion 2>/dev/null || echo unknown) $(uname -m)"
rm -rf "$logs" && mkdir -p "$logs" || exit 1
valgrind --tool=callgrind --callgrind-out-file="$logs/out" "$program" >"$logs/log" 2>&1 || {
  cat "$logs/log"
  exit 1
}

# In the dump "fl=", "fi=" and "fe=" say of which file the costs are that follow. A file is named in
# full where it first appears, which may be the "cfi=" or "cfl=" of a call, and by its number later.
# The line behind "calls=" is what a call cost, which belongs to the function that was called.
count() {
  awk '
    /^desc: Trigger: Client Request: case / {
      sub(/^desc: Trigger: Client Request: case /, "")
      times = name = $0
      sub(/\/[0-9]*$/, "", name)
      sub(/.*\//, "", times)
    }
    /^c?f[lie]=/ {
      called = /^c/
      sub(/^c?f[lie]=/, "")
      number = $1
      if (NF > 1) { sub(/^[^ ]* /, ""); files[number] = $0 }
      if (!called) ours = files[number] ~ /(^|\/)lib\/[a-z]+\/[a-z0-9_]+\.[ch]$/
    }
    /^calls=/ { getline; next }
    /^[0-9+*-]/ && ours { sum += $2 }
    END { if (name != "") printf "%s\t%.1f\n", name, sum / times }' "$1"
}
for part in $(ls "$logs" | sed -n 's/^out\.\([0-9]*\)$/\1/p' | sort -n); do
  count "$logs/out.$part"
done >"$logs/counts"
# A case without instructions means that no file was taken for one of the library's.
if [ ! -s "$logs/counts" ] || grep "$(printf '\t')0\.0\$" "$logs/counts"; then
  echo "valgrind gave no counts of lib/: $logs"
  exit 1
fi

if [ "$how" = write ]; then
  { printf '# gcc %s, -O2; case, instructions of lib/\n' "$compiler" && cat "$logs/counts"; } >"$baseline"
  cat "$baseline"
  exit
fi
if ! head -n 1 "$baseline" | grep -qF "# gcc $compiler,"; then
  echo "not compared: this is $compiler, and the baseline begins: $(head -n 1 "$baseline")"
  exit 0
fi
awk -F '\t' -v limit=$limit '
  /^#/ { next }
  FILENAME == ARGV[1] { was[$1] = $2; next }
  {
    seen[$1]
    if (!($1 in was)) { printf "%-36s %9.1f  not in the baseline\n", $1, $2; bad = 1; next }
    change = ($2 / was[$1] - 1) * 100
    verdict = change > limit ? "GREW" : change < -limit ? "fell; make bench-baseline keeps it" : ""
    printf "%-36s %9.1f %9.1f %+6.1f %% %s\n", $1, was[$1], $2, change, verdict
    if (change > limit) bad = 1
  }
  END {
    for (name in was) if (!(name in seen)) { print name ": no longer counted"; bad = 1 }
    exit bad
  }' "$baseline" "$logs/counts"
