"""Writes docs/api.md, docs/cli.md and docs/settings.md from the code, so that they are always true.

Usage: .venv/bin/python scripts/docs.py [--check]. With --check nothing is written; stale files are named and the status is 1.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from noria.app.cli import command_tree
from noria.app.slices import SLICES
from noria.core.settings import Settings, load
from noria.governance.service import authenticate
from noria.stores.connect import Stores
from noria.web.application import create, guarded

DOCS = Path(__file__).parents[1] / "docs"
MADE = "<!-- Written by scripts/docs.py; change the code, then run it. -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="name stale files instead of writing them")
    check = parser.parse_args().check
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.exit(f"stale: {', '.join(stale)}; run .venv/bin/python scripts/docs.py")


def pages() -> dict[str, str]:
    """Each generated page by its name."""
    return {"settings.md": settings_page(), "cli.md": cli_page(), "api.md": api_page()}


def settings_page() -> str:
    lines = [
        MADE,
        "# Settings",
        "",
        "A value comes from the first of these that has it: a command-line option, the environment (the name in capitals",
        "with `NORIA_` in front, such as `NORIA_GATEWAY_PORT`), the file `noria.toml` in the data folder, the default.",
        "What belongs to one project or endpoint (providers, keys, prompts, gates) is no setting but a record.",
        "",
        "| setting | default | what it does |",
        "|---|---|---|",
    ]
    for field in fields(Settings):
        default = field.default if field.default != "" else "(empty)"
        lines.append(f"| `{field.name}` | `{default}` | {field.metadata['help']} |")
    return _text(lines)


def cli_page() -> str:
    lines = [MADE, "# Command line", ""]
    lines.append("`noria` with one of these commands; `python -m noria` is the same. `--help` shows this for each.")
    for path, command in command_tree().items():
        lines += ["", f"## `{path}`", "", *_paragraph(command.help or "")]
        options = [p for p in command.params if not (isinstance(p, click.Option) and p.hidden)]
        if options:
            lines += ["", "| option | what it does |", "|---|---|"]
            lines += [f"| `{_option(p)}` | {_option_help(p)} |" for p in options]
    return _text(lines)


def _option(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return str(parameter.name).upper()
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    takes = isinstance(parameter, click.Option) and not parameter.is_flag
    return f"{names} {(parameter.metavar or parameter.name or '').upper()}" if takes else names


def _option_help(parameter: click.Parameter) -> str:
    text = (parameter.help or "") if isinstance(parameter, click.Option) else "(required)"
    shown = isinstance(parameter, click.Option) and parameter.show_default and parameter.default is not None
    return f"{text} Default: {parameter.default}.".strip() if shown else text


def api_page() -> str:
    lines = [
        MADE,
        "# JSON API",
        "",
        "All of it is served by the server (port 7701) below `/api`. Send `Authorization: Bearer <key>` with a key of scope",
        '`manage` (`call` for feedback). Lists take `limit` and `cursor` and answer `{"items": […], "next": cursor or null}`.',
        "Times are ISO 8601 in UTC. Errors are `application/problem+json` with `code`, `detail` and `hint`. The same as an",
        "OpenAPI document: `GET /api/openapi.json`. Model calls go to the gateway instead: see gateway.md.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        stores = Stores(load({}, data=folder))
        app = create(SLICES, stores, authenticate)
        document, permissions = app.openapi(), guarded(app)
        stores.close()
    operations = list(_operations(document))
    for tag in sorted({tag for tag, *_ in operations}):
        lines += ["", f"## {tag.capitalize()}"]
        for _, method, path, operation in (o for o in operations if o[0] == tag):
            lines += ["", f"### `{method} {path}`", ""]
            lines += _paragraph(operation.get("description") or operation.get("summary", ""))
            permission = permissions.get((method, path))
            lines += ["", f"Permission: {permission}." if permission else "Anybody may call this."]
            lines += _inputs(document, operation)
    return _text(lines)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            yield (operation.get("tags") or ["server"])[0], method.upper(), path, operation


def _inputs(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    rows = [
        (parameter["name"], parameter["in"], parameter.get("schema", {}), parameter.get("required", False))
        for parameter in operation.get("parameters", [])
        if parameter["in"] != "header"
    ]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        one = media.get("schema", {})
        for body in (_resolved(document, schema) for schema in one.get("anyOf", [one])):
            required = body.get("required", [])
            rows += [(name, "body", schema, name in required) for name, schema in body.get("properties", {}).items()]
    if not rows:
        return []
    lines = ["", "| input | in | type | |", "|---|---|---|---|"]
    for name, place, schema, required in rows:
        words = schema.get("description", "").replace("\n", " ").replace("|", "\\|")
        lines.append(f"| `{name}` | {place} | {_type(schema)} | {_default(schema, required)}{words} |")
    return lines


def _default(schema: dict[str, Any], required: bool) -> str:
    if required:
        return "Required. "
    default = schema.get("default")
    return f"Default `{default}`. " if default not in (None, "", [], {}) else ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return " \\| ".join(_type(part) for part in schema["anyOf"] if part.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = str(schema.get("$ref", "")).rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][reference] if reference else schema
    return found


def _paragraph(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _text(lines: list[str]) -> str:
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    main()
