#!/bin/sh
# SPDX-License-Identifier: MIT
# abi.sh: describes the library's ABI, and compares it: abi.sh check|write LIBRARY WORK
#
# tests/abi/libsse.abi has the functions and types, as libabigail's abidw writes them;
# tests/abi/constants has the values of the enumerators and the numbers that headers #define.
# Every change fails. One that older programs survive, such as a new function or a reserved member
# that is now used, needs only `make abi-baseline`; another one needs a new major version, too.
set -u
how=$1 library=$2 work=$3
here=tests/abi
stored=$here/libsse.abi
constants=$here/constants

for tool in abidw abidiff; do
  command -v $tool >/dev/null || {
    echo "abi: no $tool; make deps-abi installs it" >&2
    exit 1
  }
done
mkdir -p "$work" || exit 1

describe() {
  abidw --suppressions $here/suppressions --headers-dir include --drop-private-types \
    --exported-interfaces-only --no-corpus-path --no-show-locs --no-comp-dir-path \
    --no-elf-needed --out-file "$1" "$library"
}

# The headers say which names there are, and the compiler what they are worth.
list_constants() {
  {
    echo '#include <sse/sse.h>' | ${CC:-cc} -Iinclude -E -dM -x c - |
      sed -n 's/^#define \(SSE_[A-Z0-9_]*\) [-(0-9].*/\1/p'
    echo '#include <sse/sse.h>' | ${CC:-cc} -Iinclude -E -P -x c - | tr '\n' ' ' |
      sed 's/enum *[a-z_]* *{/\n&/g' | sed -n 's/^enum[^{]*{\([^}]*\)}.*/\1/p' |
      tr ',' '\n' | sed -n 's/^ *\(SSE_[A-Z0-9_]*\).*/\1/p'
  } | sort -u | grep -v '^SSE_VERSION' >"$work/names"
  {
    printf '#include <stdio.h>\n#include <sse/sse.h>\nint main(void) {\n'
    sed 's/.*/printf("%s %lld\\n", "&", (long long)(&));/' "$work/names"
    printf 'return 0;\n}\n'
  } >"$work/constants.c"
  ${CC:-cc} -Iinclude -o "$work/constants" "$work/constants.c" && "$work/constants" >"$1"
}

if [ "$how" = write ]; then
  describe $stored && list_constants $constants && wc -c $stored $constants
  exit
fi

for file in $stored $constants; do
  [ -s $file ] || {
    echo "abi: no $file to compare with; make abi-baseline writes it" >&2
    exit 1
  }
done
describe "$work/libsse.abi" && list_constants "$work/constants.now" || exit 1
architecture() {
  sed -n "1s/.*architecture='\([^']*\)'.*/\1/p" "$1"
}
status=0
if [ "$(architecture $stored)" = "$(architecture "$work/libsse.abi")" ]; then
  abidiff --suppressions $here/suppressions $stored "$work/libsse.abi" || status=1
else
  echo "types not compared: this is $(architecture "$work/libsse.abi")," \
    "and $stored is of $(architecture $stored)"
fi
diff -U0 $constants "$work/constants.now" || status=1
if [ $status -ne 0 ]; then
  echo "abi: CHANGED, as listed above (of constants, -: stored, +: now). If programs that were" \
    "built with the older headers break, the major version must change, too. If the change is" \
    "meant, run make abi-baseline and commit tests/abi."
else
  echo "abi: as stored"
fi
exit $status
