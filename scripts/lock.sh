#!/usr/bin/env bash
# Rewrites requirements/*.txt from pyproject.toml. Run it after changing a dependency; the files name no host.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
compile() {
  "$uv" pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url \
    --python-version 3.11 "$@"
}
compile pyproject.toml -o requirements/base.txt
compile pyproject.toml --extra local --extra train -c requirements/base.txt -o requirements/full.txt
compile pyproject.toml --extra local --extra train --extra scaled --group dev -c requirements/base.txt -o requirements/dev.txt
compile --group clients -o requirements/clients.txt
compile --group instructor -o requirements/instructor.txt
compile --group langfuse -o requirements/langfuse.txt
compile --group langfuse2 -o requirements/langfuse2.txt
compile --group langfuse4 -o requirements/langfuse4.txt
