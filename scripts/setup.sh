#!/usr/bin/env bash
# Prepares .venv from the lock files. Usage: scripts/setup.sh base|full|dev. A second run does nothing and takes no time.
# PyTorch is installed apart (design/0002): on Linux the lock leaves it out, because its wheel pulls gigabytes of CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-full}
lock=requirements/$profile.txt
torch_version=2.13.0
export UV_SYSTEM_CERTS=1 # a proxy's or company's certificate that the system trusts is good enough

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
  done
  return 1
}

as_root_apt() {
  command -v apt-get >/dev/null 2>&1 || return 1
  local sudo=
  [ "$(id -u)" = 0 ] || { sudo=$(command -v sudo) || return 1; }
  $sudo apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "$@" >/dev/null
}

python=$(find_python) || fail "Noria needs Python 3.11 or newer; install python3 (3.11+) and run this again."
stamp=.venv/.noria-$profile
[ ! -f .venv/pyvenv.cfg ] || [ -x .venv/bin/python ] || fail ".venv exists but holds no Python; remove the folder and run this again."
want=$( (cat "$lock" pyproject.toml scripts/setup.sh; "$python" -V) | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

if [ ! -x .venv/bin/python ]; then
  say "Creating .venv with $("$python" -V)"
  "$python" -m venv .venv >/dev/null 2>&1 || {
    rm -rf .venv
    as_root_apt python3-venv python3-pip || fail "python3 -m venv does not work here; install your system's python3-venv package and run this again."
    "$python" -m venv .venv
  }
fi
if [ ! -x .venv/bin/uv ]; then
  say "Installing uv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
fi
say "Installing the locked packages of $lock (several hundred MB the first time)"
VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet --require-hashes -r "$lock"
VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet --no-deps -e .

pip_install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }

install_torch() {
  .venv/bin/python -c "import torch; assert torch.__version__.split('+')[0] == '$torch_version'" 2>/dev/null && return
  if ! command -v nvidia-smi >/dev/null 2>&1; then
    say "Installing PyTorch $torch_version, CPU build (about 200 MB)"
    pip_install --no-deps --timeout 10 --retries 0 --index-url https://download.pytorch.org/whl/cpu "torch==$torch_version" 2>/dev/null && return
    pip_install --no-deps "torch==$torch_version+cpu" 2>/dev/null && return
    say "No CPU build of PyTorch is within reach"
  fi
  say "Installing PyTorch $torch_version with its default GPU build (about 3 GB to download, 7 GB on disk)"
  pip_install "torch==$torch_version"
}
if [ "$profile" != base ] && [ "$(uname -s)" = Linux ]; then install_torch; fi
printf '%s' "$want" >"$stamp"
