"""The rules of the house that no linter knows: sizes, and that everything one can meet is declared and documented."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from noria.app import schema
from noria.app.cli import command_tree
from noria.app.slices import SLICES
from noria.core.settings import Settings
from noria.core.slices import resolve
from noria.stores.sql import metadata

ROOT = Path(__file__).parents[1]
FILE_LINES = 600
FUNCTION_LINES = 80
MIGRATIONS = ROOT / "src" / "noria" / "app" / "migrations" / "versions"
"""Written by Alembic, one statement after the other: sizes mean nothing there."""

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


def sources() -> list[Path]:
    """Every Python file of ours."""
    folders = ("src", "tests", "scripts", "client", "benchmarks", "examples")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if MIGRATIONS not in path.parents)


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_too_long() -> None:
    lengths = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_is_too_long() -> None:
    found = {
        f"{short(path)}:{node.name}": lines
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert found == {}


def test_every_module_says_what_it_is() -> None:
    lacking = [
        short(path)
        for path in sources()
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert lacking == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [short(path) for path in sources() if path.stem in FORBIDDEN_NAMES] == []


def test_every_table_says_whose_data_it_holds_and_how_long() -> None:
    schema.declare()
    for table in metadata.tables.values():
        assert set(table.info) >= {"subject", "keep_days"}, table.name
        subject = table.info["subject"]
        assert subject is None or subject in table.columns, f"{table.name} has no column {subject}"
        keep = table.info["keep_days"]
        assert keep is None or keep > 0, table.name


def references() -> Iterator[tuple[str, str]]:
    for part in SLICES:
        named = [part.http, part.pages, part.lineage, *part.jobs.values(), *part.commands]
        named += [reference for action in part.actions for reference in (action.form, action.do)]
        yield from ((part.name, reference) for reference in named if reference)


@pytest.mark.parametrize(("owner", "reference"), sorted(references()))
def test_every_part_of_a_slice_is_there(owner: str, reference: str) -> None:
    assert reference.startswith(f"noria.{owner}."), "a slice names its own parts only"
    assert resolve(reference) is not None


def test_names_of_jobs_say_whose_they_are() -> None:
    for part in SLICES:
        assert all(name.startswith(f"{part.name}.") for name in part.jobs), part.jobs


def test_the_generated_reference_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_setting_is_documented_and_there_are_few() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [field.name for field in fields(Settings) if f"`{field.name}`" not in page] == []
    assert len(fields(Settings)) <= 40
    assert all(field.metadata["help"].endswith(".") for field in fields(Settings))


def test_every_command_has_help() -> None:
    tree = command_tree()
    assert [path for path, command in tree.items() if not command.help] == []
    for path, command in tree.items():
        lacking = [p.name for p in command.params if p.param_type_name == "option" and not p.help]
        assert lacking == [], f"{path}: {lacking}"


def test_every_route_has_words_and_a_permission() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for section in page.split("\n### ")[1:]:
        lines = [line for line in section.splitlines() if line]
        assert not lines[1].startswith("Permission:"), f"{lines[0]} has no docstring"
