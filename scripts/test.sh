#!/usr/bin/env bash
# All checks, then the whole suite, files shared out among at most four processes. Arguments go to pytest (-n 0: one process);
# a browser and the client libraries are fetched when there are none.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
source scripts/browser.sh
scripts/redis.sh
scripts/clients.sh
scripts/check.sh
exec .venv/bin/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder "$@"
