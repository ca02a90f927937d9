#!/bin/sh
# SPDX-License-Identifier: MIT
# dist.sh: packs the committed sources, and tests the tarball by itself: dist.sh VERSION BUILD JOBS
#
# The tarball is unpacked in a temporary directory, outside of any git repository, and has to build,
# to pass its tests (a part of the longest) and to install. Otherwise it is removed again.
set -u
version=$1 build=$2 jobs=$3
name=libsse-$version
tarball=$build/$name.tar.gz
: "${MAKE:=make}" "${CC:=cc}"

fail() {
  echo "dist: $*" >&2
  rm -f "$tarball"
  exit 1
}

mkdir -p "$build" || exit 1
grep -qF "$version" CHANGELOG.md || fail "CHANGELOG.md does not name version $version"
[ -z "$(git status --porcelain)" ] || echo "dist: what is not committed is left out:" \
  "$(git status --porcelain | wc -l) files"
git archive --format=tar.gz --prefix="$name/" -o "$tarball" HEAD || fail "git archive"

work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
trap 'rm -f "$tarball"; exit 1' HUP INT TERM
tar -xzf "$tarball" -C "$work" || fail "it cannot be unpacked"
# Nothing of the make that called this, and no repository further up.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES BUILD TESTS DESTDIR
for goal in all check check-install; do
  echo "dist: make $goal"
  (cd "$work/$name" &&
    GIT_DIR=/nonexistent SSE_HISTORIES="${SSE_HISTORIES:-2000}" SSE_WALKS="${SSE_WALKS:-200}" \
      SSE_PREEMPTIONS="${SSE_PREEMPTIONS:-1}" SSE_TORTURE="${SSE_TORTURE:-37}" \
      "$MAKE" -j"$jobs" CC="$CC" $goal) >"$build/dist.log" 2>&1 || {
    tail -n 40 "$build/dist.log"
    fail "make $goal fails in the unpacked tarball; all of it: $build/dist.log"
  }
  sed -n 's/^[0-9]* passed, [0-9]* failed.*/  &/p' "$build/dist.log"
done
echo "dist: $tarball is good"
cksum "$tarball"
