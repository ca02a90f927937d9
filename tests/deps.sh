#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh: installs what the tests need, if it is not there, with the system's package manager.

has() {
  command -v "$1" >/dev/null 2>&1
}

has_cmocka() {
  # shellcheck disable=SC2046,SC2086  # Flags and the compiler are several words.
  printf '%s\n' '#include <stdarg.h>' '#include <stddef.h>' '#include <stdint.h>' \
    '#include <setjmp.h>' '#include <cmocka.h>' 'int main(void) { return 0; }' |
    ${CC:-cc} -x c - -o /dev/null \
      $(${PKG_CONFIG:-pkg-config} --cflags --libs cmocka 2>/dev/null || echo -lcmocka) 2>/dev/null
}

has_all() {
  has_cmocka && has "${PKG_CONFIG:-pkg-config}" && has curl
}

# Runs a command as root: as it is, or through sudo, which must not ask.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    echo "deps: root or sudo is needed for: $*" >&2
    return 1
  fi
}

if has_all; then
  echo "deps: cmocka, pkg-config and curl are there"
  exit 0
fi

if has apt-get; then
  as_root apt-get update -q &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      libcmocka-dev pkg-config curl
elif has dnf; then
  as_root dnf install -y libcmocka-devel pkgconf-pkg-config curl
elif has apk; then
  as_root apk add cmocka-dev pkgconf curl
elif has pacman; then
  as_root pacman -S --noconfirm --needed cmocka pkgconf curl
elif has pkg; then
  as_root pkg install -y cmocka pkgconf curl
elif has brew; then
  brew install cmocka pkg-config curl # Homebrew refuses to run as root.
else
  echo "deps: no package manager that is known here; install cmocka, pkg-config and curl" >&2
  exit 1
fi </dev/null || exit 1

has_all || {
  echo "deps: all was installed, but cmocka, pkg-config or curl is not found" >&2
  exit 1
}
