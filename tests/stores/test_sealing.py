"""The span store sealed: nothing in its files can be read, and a key that does not fit is refused before anything happens."""

from dataclasses import replace
from pathlib import Path

import pytest

from noria.core.errors import Conflict
from noria.core.settings import Settings
from noria.stores import rawsearch
from noria.stores.embedded import seal
from noria.stores.spans import open_spans
from tests.stores.process import StoreProcess

WORD = "zwergmaulwurf"


@pytest.fixture
def sealed(settings: Settings, tmp_path: Path) -> Settings:
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    return replace(settings, seal_spans=True, seal_key_file=str(key))


def fill(settings: Settings, *, make: bool = True) -> tuple[int, int]:
    """Rows of a store over one life of its process, and how many files of it hold the word."""
    process = StoreProcess(settings)
    process.start()
    spans = open_spans(settings)
    try:
        if make:
            index = "INDEX words text TYPE text(tokenizer = ngrams(2))"
            spans.command(f"CREATE TABLE t (text String, {index}) ENGINE = MergeTree ORDER BY text")
            spans.insert("t", ["text"], [[f"{WORD} {number}"] for number in range(1000)], token="once")
        rows = int(spans.query("SELECT count() AS n FROM t WHERE text LIKE {p:String}", {"p": f"%{WORD}%"})[0]["n"])
    finally:
        spans.close()
        process.stop()
    return rows, len(rawsearch.search(settings.folder.spans, [WORD])[WORD])


def test_a_sealed_store_says_nothing(sealed: Settings) -> None:
    assert fill(sealed) == (1000, 0)
    assert fill(sealed, make=False) == (1000, 0)


def test_the_search_finds_it_in_one_that_is_not_sealed(settings: Settings) -> None:
    rows, files = fill(settings)
    assert rows == 1000 and files > 0
    with pytest.raises(Conflict, match="not sealed"):
        seal.prepare(replace(settings, seal_spans=True, seal_key_file=_key(settings.data.parent / "k", "cd" * 32)))


def test_keys_that_do_not_fit(sealed: Settings, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(seal.KEY, raising=False)
    outside = settings.data.parent
    assert seal.prepare(sealed)
    monkeypatch.delenv(seal.KEY)
    for given, said in (
        (_key(outside / "other", "cd" * 32), "not the one"),
        (_key(outside / "short", "cd" * 8), "no key of 64"),
        (_key(settings.data / "inside", "ab" * 32), "lies in the data folder"),
        (str(outside / "missing"), "cannot be read"),
        ("", "no key of 64"),
    ):
        with pytest.raises(Conflict, match=said):
            seal.prepare(replace(sealed, seal_key_file=given))
    (outside / "key").chmod(0o644)
    with pytest.raises(Conflict, match="read by others"):
        seal.prepare(sealed)
    with pytest.raises(Conflict, match="is sealed"):
        seal.prepare(settings)
    monkeypatch.setenv(seal.KEY, "ab" * 32)
    assert seal.prepare(replace(sealed, seal_key_file=""))


def _key(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)
