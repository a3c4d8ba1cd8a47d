"""Links for feedback: only whole, only ours, only for a while."""

import os
from pathlib import Path

import pytest

from noria.core import ids
from noria.core.errors import Forbidden
from noria.governance.links import PATH, Link, Links
from noria.governance.sealing import Sealer, derived

BASE = "https://noria.example.com/"


def token(url: str) -> str:
    assert url.startswith(f"https://noria.example.com{PATH}")
    return url.rpartition("/")[2]


def test_a_link_says_what_it_was_made_for(tmp_path: Path) -> None:
    links = Links(tmp_path / "key", base_url=BASE, hours=1)
    project, trace = ids.new_id(), ids.new_trace_id()
    made = token(links.url(project, trace))
    assert Links(tmp_path / "key", base_url="", hours=9).read(made) == Link(project, trace)
    assert links.url(project, trace).endswith(made)


def test_nobody_else_can_make_or_change_one(tmp_path: Path) -> None:
    links = Links(tmp_path / "key", base_url=BASE, hours=1)
    made = token(links.url(ids.new_id(), ids.new_trace_id()))
    for at in range(len(made)):
        other = "0" if made[at] != "0" else "1"
        with pytest.raises(Forbidden):
            links.read(made[:at] + other + made[at + 1 :])
    for wrong in ("", made[:-1], made + "0", made.upper(), "é" * len(made)):
        with pytest.raises(Forbidden):
            links.read(wrong)
    (tmp_path / "other").write_bytes(os.urandom(32))
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(Forbidden, match="not one of ours"):
        Links(tmp_path / "other", base_url=BASE, hours=1).read(made)


def test_one_that_is_over_is_refused(tmp_path: Path) -> None:
    links = Links(tmp_path / "key", base_url=BASE, hours=-2)
    with pytest.raises(Forbidden, match="expired"):
        links.read(token(links.url(ids.new_id(), ids.new_trace_id())))


def test_derived_keys_differ_by_purpose_and_leave_sealing_alone(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path / "key").seal("text", purpose="a")
    first, second = derived(tmp_path / "key", "a"), derived(tmp_path / "key", "b")
    assert first != second
    assert (tmp_path / "key").read_bytes() not in {first, second}
    assert derived(tmp_path / "key", "a") == first
    assert Sealer(tmp_path / "key").unseal(sealed, purpose="a") == "text"
