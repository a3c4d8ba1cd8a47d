"""Backups: taken under load and restored elsewhere, incremental, half ones and damaged ones told, newer ones refused."""

import shutil
import stat
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from noria.app.backup import restore
from noria.app.backup.take import take
from noria.app.bootstrap import make_folder, make_key, prepare
from noria.core.errors import BadInput, Conflict, NotFound
from noria.core.settings import Settings, load
from noria.governance import service as governance
from noria.governance.keys import digest as digest_of
from noria.registry import snapshot
from noria.registry.publish import publish
from noria.stores.connect import Stores
from noria.tracing import reading
from noria.tracing.tailer import Tailer
from tests.stores.process import StoreProcess
from tests.tracing.test_otlp_kills import Installation, Senders, installation

__all__ = ["installation"]


def noria(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "noria", *map(str, words)], capture_output=True, text=True, check=False
    )


def test_a_backup_under_load_has_all_that_was_acknowledged_once(installation: Installation, tmp_path: Path) -> None:
    settings = installation.server.settings
    first = prepare(settings)
    assert first is not None
    stores = Stores(settings)
    with stores.database.begin() as connection:
        given = {"project_id": first.project_id, "name": "sender", "scope": "write_traces", "actor_id": ""}
        _, key = governance.mint_key(connection, **given)  # type: ignore[arg-type]
        _, calling = governance.mint_key(connection, **{**given, "scope": "call"})  # type: ignore[arg-type]
    digest = stores.files.put("a file, 파일".encode())
    installation.server.start()
    installation.carrier.start()
    with Senders(settings.server_url, key) as senders:
        senders.go_on()
        before = list(senders.acknowledged)
        done = noria("backup", tmp_path / "kept", "--data", settings.data)
        assert done.returncode == 0, done.stderr
        assert "It holds secret.key" in done.stdout
        senders.go_on()
    stores.close()
    shutil.rmtree(settings.folder.files)  # what is restored stands alone
    done = noria("restore", tmp_path / "kept", "--data", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    restored = replace(settings, data=tmp_path / "new")
    again = Stores(restored)
    store = StoreProcess(restored)
    store.start()
    try:
        Tailer(again).run_once()
        sql = "SELECT span_id FROM spans WHERE project_id = {project:String}"
        found = Counter(row["span_id"] for row in reading.ask(again, sql, {"project": first.project_id}))
        assert set(before) <= found.keys() <= senders.sent
        assert set(found.values()) == {1}
        make_folder(restored)
        publish(again)
        served = snapshot.read(restored.folder.snapshot)
        assert served is not None and digest_of(calling) in served.keys
        assert again.files.path(digest).read_bytes() == "a file, 파일".encode()
    finally:
        store.kill()
        again.close()
    assert stat.S_IMODE(restored.folder.secret.stat().st_mode) == 0o600
    assert restored.folder.secret.read_bytes() == settings.folder.secret.read_bytes()


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of an installation that is stopped, with records, a key file and one file."""
    settings = load({}, data=tmp_path_factory.mktemp("stopped") / "data")
    prepare(settings)
    make_key(settings)
    stores = Stores(settings)
    stores.files.put(b"x" * 100_000)
    stores.close()
    return settings.data


@pytest.fixture
def small(settings: Settings, stopped: Path) -> Settings:
    """A copy of it."""
    shutil.copytree(stopped, settings.data, dirs_exist_ok=True)
    return settings


def test_a_second_backup_adds_only_what_is_new(small: Settings, tmp_path: Path) -> None:
    first = take(small, tmp_path / "kept")
    Stores(small).files.put(b"y" * 1000)
    second = take(small, tmp_path / "kept")
    assert first.added > 100_000
    assert 1000 <= second.added < 100_000 + second.manifest.bytes // 2
    listed = noria("restore", tmp_path / "kept", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [first.manifest.made_at, second.manifest.made_at]
    restore.restore(tmp_path / "kept", tmp_path / "old", at=first.manifest.made_at)
    assert sum(path.is_file() for path in (tmp_path / "old" / "files").rglob("*")) == 1
    assert not list(small.folder.work.glob("backup/*"))


def test_without_the_secret(small: Settings, tmp_path: Path) -> None:
    done = noria("backup", tmp_path / "kept", "--data", small.data, "--without-secret")
    assert "does not hold secret.key" in done.stdout
    key = small.folder.secret.read_bytes()
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file() and key in path.read_bytes()]
    assert "put yours at" in noria("restore", tmp_path / "kept", "--data", tmp_path / "new").stdout


def test_what_is_half_or_damaged_is_told_and_nothing_is_restored(small: Settings, tmp_path: Path) -> None:
    kept, new = tmp_path / "kept", tmp_path / "new"
    made = take(small, kept).manifest
    [largest] = [entry for entry in made.files if entry.size == 100_000]
    path = kept / "objects" / largest.sha256[:2] / largest.sha256
    whole = path.read_bytes()
    for damage in (whole[:-1], b"z" + whole[1:], whole + b"z"):
        path.write_bytes(damage)
        with pytest.raises(BadInput, match="damaged"):
            restore.restore(kept, new)
        assert not list(new.iterdir())
    path.unlink()
    with pytest.raises(BadInput, match="damaged"):
        restore.restore(kept, new)
    path.write_bytes(whole)
    name = kept / "backups" / made.name
    name.write_bytes(name.read_bytes().replace(b"files/", b"fi1es/", 1))
    with pytest.raises(BadInput, match="damaged"):
        restore.restore(kept, new)
    name.unlink()
    with pytest.raises(BadInput, match="no complete backup"):
        restore.restore(kept, new)
    tar = tmp_path / "whole.tar"
    take(small, tar)
    assert len(restore.restore(tar, tmp_path / "of-tar").files) == len(made.files)
    assert (tmp_path / "of-tar" / "secret.key").read_bytes() == small.folder.secret.read_bytes()
    half = tmp_path / "half.tar"
    half.write_bytes(tar.read_bytes()[:60_000])
    with pytest.raises(BadInput, match="no complete backup"):
        restore.restore(half, new)
    with pytest.raises(BadInput, match="not a backup"):
        restore.restore(small.data, new)


def test_a_folder_in_use_and_a_newer_noria_are_refused(small: Settings, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    made = take(small, kept).manifest
    with pytest.raises(Conflict, match="not empty"):
        restore.restore(kept, small.data)
    with pytest.raises(NotFound):
        restore.restore(kept, tmp_path / "new", at="1999")
    for newer in ({"version": "99.0"}, {"records": "9999"}, {"spans": 999}, {"format": 2}):
        future = replace(made, made_at="20990101T000000000000Z", **newer)
        (kept / "backups" / future.name).write_bytes(future.encoded())
        with pytest.raises(Conflict) as refused:
            restore.restore(kept, tmp_path / "new", at="2099")
        assert refused.value.code == "newer_backup"
        (kept / "backups" / future.name).unlink()


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside"])
def test_a_backup_from_elsewhere_writes_nothing_outside(small: Settings, tmp_path: Path, path: str) -> None:
    kept = tmp_path / "kept"
    made = take(small, kept).manifest
    entry = replace(made.files[0], path=path)
    for wrong in ({"files": [entry]}, {"files": [], "links": {"spans/x": "../../outside"}}):
        bad = replace(made, made_at="20990101T000000000000Z", **wrong)
        (kept / "backups" / bad.name).write_bytes(bad.encoded())
        with pytest.raises(BadInput, match=r"outside|out of"):
            restore.restore(kept, tmp_path / "new", at="2099")
        (kept / "backups" / bad.name).unlink()
    assert not (tmp_path / "outside").exists()


def test_places_that_do_not_fit_are_refused(small: Settings, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="cannot lie in"):
        take(small, small.data / "kept")
    (tmp_path / "there.tar").touch()
    with pytest.raises(Conflict, match="there already"):
        take(small, tmp_path / "there.tar")
    with pytest.raises(NotFound):
        take(load({}, data=tmp_path / "nothing"), tmp_path / "kept")
    postgres = replace(small, database_url="postgresql://somebody:hidden@127.0.0.1/noria")
    with pytest.raises(Conflict, match="PostgreSQL") as refused:
        take(postgres, tmp_path / "kept")
    assert "pg_dump" in refused.value.hint and "hidden" not in refused.value.hint
    made = take(postgres, tmp_path / "kept", records=False).manifest
    assert made.records == ""
