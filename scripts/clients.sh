#!/usr/bin/env bash
# Prepares .cache/clients: the client libraries that gateway and server are tested with, each set in an environment of its own.
# A second run does nothing. Without Node (18 or newer) its clients are left out, and their tests say so.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_SYSTEM_CERTS=1
folder=.cache/clients
mkdir -p "$folder"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

python_environment() { # its name is that of its lock file
  local at=$folder/$1 lock=requirements/$1.txt want
  want=$( (cat "$lock"; .venv/bin/python -V) | cksum)
  [ "$(cat "$at/.noria" 2>/dev/null)" != "$want" ] || return 0
  say "Installing the clients of $lock"
  .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$at"
  VIRTUAL_ENV=$PWD/$at .venv/bin/uv pip install --quiet --require-hashes -r "$lock"
  printf '%s' "$want" >"$at/.noria"
}

node_modules() {
  local from=tests/gateway/clients/node at=$folder/node want
  command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null || return 0
  want=$( (cat "$from/package-lock.json"; node -v) | cksum)
  [ "$(cat "$at/.noria" 2>/dev/null)" != "$want" ] || return 0
  say "Installing the clients of $from/package-lock.json"
  mkdir -p "$at"
  cp "$from/package.json" "$from/package-lock.json" "$at"
  (cd "$at" && npm ci --no-update-notifier --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  printf '%s' "$want" >"$at/.noria"
}

python_environment clients
python_environment instructor
python_environment langfuse
python_environment langfuse2
python_environment langfuse4
node_modules
