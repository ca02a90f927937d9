#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh: fetches promtool for check-metrics, where apt-get is: deps.sh DIRECTORY.
#
# Debian has it in the package of the server, which brings twenty others along and would start; of
# that package the one program is unpacked, and nothing is installed.

to=$(mkdir -p "$1" && cd "$1" && pwd) || exit 1
if [ -x "$to/promtool" ] || command -v promtool >/dev/null 2>&1; then
  echo "deps-metrics: promtool is there"
  exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work" || exit 1
apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; } || exit 1
dpkg-deb -x prometheus_*.deb . && mv usr/bin/promtool "$to/promtool"
