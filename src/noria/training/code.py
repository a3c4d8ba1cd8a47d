"""Which code trained: versions of Noria and of what it stands on, and the commit when Noria runs from a checkout."""

import hashlib
import importlib.metadata
import subprocess
from pathlib import Path
from typing import Any

import noria

_PACKAGES = ("torch", "transformers", "peft", "gguf")


def code_version() -> dict[str, Any]:
    """{"noria": "0.1.0", "commit": "…", "changed": false, "torch": "2.13.0", …}; no commit outside of a checkout."""
    found: dict[str, Any] = {"noria": noria.__version__, **_commit(Path(noria.__file__).parent)}
    return found | {name: importlib.metadata.version(name) for name in _PACKAGES}


def source_digest(module: Any) -> str:
    """sha256 of a module's source: what the recipe said on the day it ran."""
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()


def _commit(package: Path) -> dict[str, Any]:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(package), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        if git("ls-files", "__init__.py") != "__init__.py":
            return {}  # installed into somebody else's repository
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return {}
