"""`noria people` and `noria keys` on a real data folder."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from noria.governance import commands, sessions
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores


@pytest.fixture
def folder(stores: Stores, first: FirstLogin) -> str:
    return str(stores.settings.data)


def _run(group: str, *words: str) -> str:
    done = CliRunner().invoke(getattr(commands, group), words)
    assert done.exit_code == 0, done.output
    return done.output


def test_people(stores: Stores, folder: str) -> None:
    added = _run("people", "add", "kim@example.org", "--role", "reviewer", "--data", folder)
    assert sessions.login(stores, "kim@example.org", added.split()[-1]).caller.role == "reviewer"
    reset = _run("people", "reset-password", "kim@example.org", "--data", folder)
    assert sessions.login(stores, "kim@example.org", reset.split()[-1])
    assert "kim@example.org" in _run("people", "list", "--data", folder)
    _run("people", "remove", "kim@example.org", "--reason", "left", "--data", folder)
    assert "kim@example.org" not in _run("people", "list", "--data", folder)


def test_keys(stores: Stores, folder: str) -> None:
    made = _run("keys", "create", "shop", "--data", folder)
    key = re.findall(r"noria_[\w-]+", made)[0]
    caller = sessions.of_key(stores, key)
    assert caller is not None and caller.permissions == {"feedback", "read_prompts"}
    listed = _run("keys", "list", "--data", folder)
    assert "shop" in listed and key not in listed
    _run("keys", "revoke", key[-4:], "--data", folder)
    assert sessions.of_key(stores, key) is None
    assert "shop" not in _run("keys", "list", "--data", folder)
    assert "shop" in _run("keys", "list", "--all", "--data", folder)


def test_a_manage_key_acts_as_its_person(stores: Stores, folder: str, first: FirstLogin) -> None:
    options = ("--scope", "manage", "--role", "editor", "--as", first.email)
    made = _run("keys", "create", "ci", *options, "--data", folder)
    caller = sessions.of_key(stores, re.findall(r"noria_[\w-]+", made)[0])
    assert caller is not None and caller.name == "admin" and caller.role == "editor"


def test_what_cannot_be_done_says_so_in_one_line(folder: str, tmp_path: Path) -> None:
    for group, *words in (
        ("keys", "revoke", "zzzz", "--data", folder),
        ("people", "add", "not an address", "--data", folder),
        ("people", "reset-password", "nobody@example.org", "--data", folder),
        ("keys", "list", "--data", str(tmp_path / "empty")),
    ):
        done = CliRunner().invoke(getattr(commands, group), words)
        assert done.exit_code == 1 and done.output.startswith("Error: ") and done.output.count("\n") == 1
