#!/usr/bin/env bash
# The static checks: lint, format, types, the import contract. Sizes and docs are checked by tests/test_house.py.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/ruff check --quiet .
.venv/bin/ruff format --check --quiet .
.venv/bin/mypy --no-error-summary
.venv/bin/lint-imports >.cache/imports.log 2>&1 || { cat .cache/imports.log; exit 1; }
