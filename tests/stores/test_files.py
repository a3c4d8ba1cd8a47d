"""Content-addressed files and the lock of a folder."""

import hashlib
import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from noria.core.errors import Conflict, NotFound, Unavailable
from noria.stores.embedded.files import FolderFiles
from noria.stores.lock import PidLock

HOLD = """
import sys
from pathlib import Path
from noria.stores.lock import PidLock
with PidLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_same_bytes_have_one_name_however_they_come(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files")
    content = "물레방아".encode() * 500_000
    source = tmp_path / "source"
    source.write_bytes(content)
    digests = {files.put(content), files.put(source), files.put(io.BytesIO(content))}
    assert digests == {hashlib.sha256(content).hexdigest()}
    [digest] = digests
    assert files.path(digest).read_bytes() == content
    assert files.size(digest) == len(content)
    assert len([p for p in (tmp_path / "files").rglob("*") if p.is_file()]) == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files")
    digest = files.put(b"x")
    files.delete(digest)
    files.delete(digest)
    assert not files.exists(digest)
    for name in (digest, "../../etc/passwd", ""):
        assert not files.exists(name)
        with pytest.raises(NotFound):
            files.path(name)


def test_a_source_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(28, "No space left on device")

    files = FolderFiles(tmp_path / "files")
    with pytest.raises(Unavailable, match="No space"):
        files.put(Broken())
    assert not [p for p in (tmp_path / "files").rglob("*") if p.is_file()]


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(files.put(b"same" * 100_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Conflict, match=f"process {holder.pid}"), PidLock(path):
            pass
        holder.kill()
        holder.wait()
        with PidLock(path):  # the file of the dead holder is still there
            pass
    with PidLock(path):
        pass
