#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: installs to a temporary place and uses the library from there as a stranger would.
#
# `make check-install` sets these: programs, and the build directory.

: "${MAKE:=make}" "${CC:=cc}" "${CXX:=c++}" "${NM:=nm}" "${PKG_CONFIG:=pkg-config}"
: "${BUILD:=build}"
here=tests/install
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
stage=$work/stage
passed=0 failed=0

# Runs one check, which is a command, and shows what it printed if it failed.
check() {
  what=$1
  shift
  "$@" >"$work/log" 2>&1
  result=$?
  if [ $result -eq 0 ]; then
    passed=$((passed + 1))
    printf 'ok    %s\n' "$what"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s (status %d)\n' "$what" $result
    sed 's/^/      /' "$work/log"
  fi
}

# What the user told the outer make is passed on by make itself; what is said here goes above it.
make_stage() {
  "$MAKE" --no-print-directory BUILD="$BUILD" DESTDIR="$stage" "$@"
}

# pkg-config as for a machine whose root is the stage; nothing of this machine is found.
package() {
  PKG_CONFIG_SYSROOT_DIR=$stage PKG_CONFIG_LIBDIR=$stage/usr/lib/pkgconfig PKG_CONFIG_PATH='' \
    "$PKG_CONFIG" "$@" libsse
}

declared() {
  sh $here/declared.sh "$stage"/usr/include/sse/*.h
}

warnings='-Wall -Wextra -Wpedantic -Werror'

builds_and_runs() { # COMPILER SOURCE FLAG...
  compiler=$1 source=$2
  shift 2
  # shellcheck disable=SC2046,SC2086  # The compiler and the flags are several words.
  $compiler $warnings "$@" $here/$source -o "$work/program" $(package --cflags --libs) &&
    LD_LIBRARY_PATH=$stage/usr/lib DYLD_LIBRARY_PATH=$stage/usr/lib "$work/program"
}

# With the archive alone in the library's directory, nothing else can be linked; and then the
# program runs without a path to the library.
builds_and_runs_static() { # COMPILER SOURCE FLAG...
  compiler=$1 source=$2
  shift 2
  mkdir -p "$work/hidden" && mv "$stage"/usr/lib/libsse.*[!a] "$work/hidden/" || return 1
  # shellcheck disable=SC2046,SC2086
  $compiler $warnings "$@" $here/$source -o "$work/program" $(package --static --cflags --libs) &&
    "$work/program"
  status=$?
  mv "$work"/hidden/* "$stage/usr/lib/" && return $status
}

# A public header brings all that it needs.
headers_stand_alone() { # COMPILER FLAG...
  for header in "$stage"/usr/include/sse/*.h; do
    echo "#include <sse/${header##*/}>" >"$work/header.c"
    # shellcheck disable=SC2046,SC2086
    $1 $warnings $2 $3 $(package --cflags) -fsyntax-only "$work/header.c" || return 1
  done
}

# The guide of sse.h has an example, between these headings; its lines begin with " *   ".
guide_compiles() {
  {
    printf '#include <%s>\n' errno.h stdint.h stdlib.h sys/epoll.h sys/eventfd.h sys/socket.h \
      unistd.h sse/sse.h
    sed -n '/^ \* AN ENDPOINT/,/^ \* Before it/s/^ \*   //p' include/sse/sse.h
    echo 'int main(void) { (void)wake; (void)open_client; (void)run; return 0; }'
  } >"$work/guide.c"
  grep -q 'sse_loop_next' "$work/guide.c" || return 1
  # shellcheck disable=SC2046,SC2086
  $CC $warnings -std=c11 -D_GNU_SOURCE $(package --cflags) -fsyntax-only "$work/guide.c"
}

soname_is_major() {
  major=$(sed -n 's/^#define SSE_VERSION_MAJOR *//p' include/sse/version.h)
  readelf -d "$stage/usr/lib/libsse.so" >"$work/dynamic" &&
    sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p' "$work/dynamic" >"$work/soname" &&
    echo "libsse.so.$major" | diff - "$work/soname" &&
    [ -L "$stage/usr/lib/libsse.so.$major" ] && [ -f "$stage/usr/lib/libsse.so.$major" ]
}

# A library beyond libc would be a dependency that nobody was told of.
needs_only_libc() {
  sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$work/dynamic" >"$work/needed"
  ! grep -v '^libc[.]\|^libpthread[.]\|^ld-' "$work/needed"
}

exports_what_is_declared() {
  declared >"$work/declared"
  [ -s "$work/declared" ] || return 1
  # The version itself is listed, too, as an absolute symbol.
  "$NM" -D --defined-only "$stage/usr/lib/libsse.so" |
    awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/exported"
  echo "< declared, > exported" && diff "$work/declared" "$work/exported"
}

map_lists_what_is_declared() {
  declared >"$work/declared"
  echo "< declared, > in lib/libsse.map"
  sed -n 's/^ *\(sse_[a-z0-9_]*\);/\1/p' lib/libsse.map | sort | diff "$work/declared" -
}

# An archive has no hidden symbols: what another program could collide with begins with sse_.
archive_keeps_to_its_names() {
  "$NM" -g --defined-only "$stage/usr/lib/libsse.a" | awk 'NF == 3 { print $3 }' >"$work/symbols"
  [ -s "$work/symbols" ] && ! grep -v '^_*sse_' "$work/symbols"
}

every_function_has_a_page() {
  status=0
  for name in $(declared); do
    page=$stage/usr/share/man/man3/$name.3
    [ -f "$page" ] || { echo "no page: $name(3)" && status=1 && continue; }
    target=$(sed -n 's/^\.so //p' "$page")
    [ -z "$target" ] || page=$stage/usr/share/man/$target
    grep -q "^\.Fn $name\|^\.Fo $name\|^\.Ft.*$name" "$page" ||
      { echo "not in the synopsis of its page: $name(3)" && status=1; }
  done
  return $status
}

# The other way round: a page for what is no longer there.
every_page_has_a_function() {
  status=0
  for page in "$stage"/usr/share/man/man3/*.3; do
    grep -q '^\.so ' "$page" || continue
    name=$(basename "$page" .3)
    declared | grep -qx "$name" || { echo "no such function: $page" && status=1; }
  done
  return $status
}

uninstall_leaves_nothing() {
  make_stage prefix=/usr uninstall && find "$stage" ! -type d -o -path '*/sse' >"$work/left" &&
    ! grep . "$work/left"
}

# Directories of one's own choice, each used, and all emptied again.
directories_are_the_users() {
  dirs='prefix=/opt/x libdir=/opt/x/lib64 includedir=/inc mandir=/m pkgconfigdir=/p'
  # shellcheck disable=SC2086
  make_stage $dirs install && [ -f "$stage/opt/x/lib64/libsse.a" ] &&
    [ -f "$stage/inc/sse/sse.h" ] && [ -d "$stage/m/man3" ] &&
    # shellcheck disable=SC2016  # It is pkg-config that expands this.
    grep -qx 'libdir=${prefix}/lib64' "$stage/p/libsse.pc" &&
    grep -qx 'includedir=/inc' "$stage/p/libsse.pc" &&
    make_stage $dirs uninstall && ! find "$stage" ! -type d | grep .
}

# The demos are where the files of examples/deploy expect them, and run from there.
demos_are_installed() {
  make_stage install-examples && "$stage/usr/local/bin/dice-roll" --help &&
    "$stage/usr/local/bin/wind-farm" --help || return 1
  for file in dice-roll.service supervisor.conf dice_roll; do
    program=$(sed -nE 's/^(ExecStart|command|procname)=(\/[^ ]*\/dice-roll).*/\2/p' \
      examples/deploy/$file)
    [ -n "$program" ] && [ -x "$stage$program" ] || { echo "$file: $program" && return 1; }
  done
  make_stage prefix=/opt/y install-examples && [ -x "$stage/opt/y/bin/dice-roll" ] &&
    make_stage prefix=/opt/y uninstall-examples && make_stage uninstall-examples &&
    ! find "$stage" ! -type d | grep .
}

# The broadcast server comes with its manual, and goes with it.
broadcast_is_installed() {
  make_stage install-broadcast && "$stage/usr/local/bin/broadcast" --version &&
    [ -f "$stage/usr/local/share/man/man1/broadcast.1" ] && make_stage uninstall-broadcast &&
    ! find "$stage" ! -type d | grep .
}

check "installs" make_stage prefix=/usr install
check "a C program, shared" builds_and_runs "$CC" consumer.c -std=c11
check "a C program, static" builds_and_runs_static "$CC" consumer.c -std=c11
check "a C++ program, shared" builds_and_runs "$CXX" consumer.cc -std=c++11
check "a C++ program, static" builds_and_runs_static "$CXX" consumer.cc -std=c++11
check "each header alone, C11" headers_stand_alone "$CC" -std=c11 -Wstrict-prototypes
check "each header alone, C++11" headers_stand_alone "$CXX" -std=c++11 -xc++
check "lib/libsse.map lists what is declared" map_lists_what_is_declared
[ "$(uname -s)" != Linux ] || check "the example of sse.h compiles" guide_compiles
if [ "$(uname -s)" != Darwin ]; then
  check "soname" soname_is_major
  check "needs libc alone" needs_only_libc
  check "exports what is declared" exports_what_is_declared
fi
check "the archive keeps to names of its own" archive_keeps_to_its_names
check "README.md shows examples/minimal.c" sh $here/readme.sh
check "every function has a manual page" every_function_has_a_page
check "every manual page has a function" every_page_has_a_function
check "uninstall leaves nothing" uninstall_leaves_nothing
check "directories are the user's" directories_are_the_users
check "the demos are installed where examples/deploy looks" demos_are_installed
check "the broadcast server is installed" broadcast_is_installed

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
