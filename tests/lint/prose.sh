#!/bin/sh
# SPDX-License-Identifier: MIT
# prose.sh: prints phrases that are hard to read, and fails if there are many: prose.sh PATH...

most=20
phrases='told of|is told|tells of|\bwho (comes|falls|returns|has|had|is|was)\b|so (many|long)\b'
phrases="$phrases|goes away|as ever|in any case"

hits() {
  grep -rnEoi "$phrases" "$@"
}

# The count itself: these are 9 hits and 3 near ones.
count=$(printf '%s\n' 'Told of, is told, tells of' 'who falls behind, who was' 'so many, so long' \
  'it goes away as ever' 'whoever, so longer, told' | hits - | wc -l)
[ "$count" -eq 9 ] || {
  echo "prose: counts $count of 9"
  exit 1
}
found=$(hits "$@")
count=$(printf '%s' "$found" | grep -c '')
[ -z "$found" ] || printf '%s\n' "$found"
echo "prose: $count hits, at most $most"
[ "$count" -le $most ]
