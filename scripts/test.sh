#!/usr/bin/env bash
# All checks, then the whole suite. Arguments go to pytest; a browser and the client libraries are fetched when there are none.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache
source scripts/browser.sh
scripts/redis.sh
scripts/clients.sh
scripts/check.sh
exec .venv/bin/python -m pytest "$@"
