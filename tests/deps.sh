#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh: installs what the tests need, if it is not there, with the system's package manager.

has_cmocka() {
  # shellcheck disable=SC2046,SC2086  # Flags and the compiler are several words.
  printf '%s\n' '#include <stdarg.h>' '#include <stddef.h>' '#include <stdint.h>' \
    '#include <setjmp.h>' '#include <cmocka.h>' 'int main(void) { return 0; }' |
    ${CC:-cc} -x c - -o /dev/null \
      $(${PKG_CONFIG:-pkg-config} --cflags --libs cmocka 2>/dev/null || echo -lcmocka) 2>/dev/null
}

has_all() {
  has_cmocka && command -v "${PKG_CONFIG:-pkg-config}" >/dev/null 2>&1
}

# Runs a command as root: as it is, or through sudo, which must not ask.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    echo "deps: root or sudo is needed for: $*" >&2
    return 1
  fi
}

has() {
  command -v "$1" >/dev/null 2>&1
}

if has_all; then
  echo "deps: cmocka and pkg-config are there"
  exit 0
fi

if has apt-get; then
  as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      libcmocka-dev pkg-config
elif has dnf; then
  as_root dnf install -y libcmocka-devel pkgconf-pkg-config
elif has apk; then
  as_root apk add cmocka-dev pkgconf
elif has pacman; then
  as_root pacman -S --noconfirm --needed cmocka pkgconf
elif has pkg; then
  as_root pkg install -y cmocka pkgconf
elif has brew; then
  brew install cmocka pkg-config # Homebrew refuses to run as root.
else
  echo "deps: no package manager that is known here; install cmocka and pkg-config" >&2
  exit 1
fi </dev/null || exit 1

has_all || {
  echo "deps: cmocka was installed, but the compiler does not find it" >&2
  exit 1
}
