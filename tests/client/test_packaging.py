"""The client is a distribution of its own: it needs what it declares, and nothing of the server."""

import ast
import sys
import tomllib
from pathlib import Path

from noria_client.configuration import VERSION

CLIENT = Path(__file__).parents[2] / "client"


def imported() -> set[str]:
    """Top names of everything that the client imports, without the standard library."""
    found: set[str] = set()
    for path in (CLIENT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    return found - sys.stdlib_module_names


def test_it_imports_itself_httpx_and_opentelemetry_only() -> None:
    assert imported() == {"noria_client", "httpx", "opentelemetry"}


def test_what_it_declares() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {dependency.partition(">=")[0] for dependency in project["dependencies"]}
    assert names == {"httpx", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-common"}
    assert project["version"] == VERSION
    assert (CLIENT / "src" / "noria_client" / "py.typed").exists()
