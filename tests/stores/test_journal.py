"""The journal: what append has taken survives a kill, and a torn tail or a full disk takes nothing else with it."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from noria.core.errors import Unavailable
from noria.stores.journal import MAGIC, Frame, Gap, JournalWriter, frames, is_written, segments

WRITE_FOREVER = """
import sys
from pathlib import Path
from noria.stores.journal import JournalWriter
writer = JournalWriter(Path(sys.argv[1]), segment_bytes=20_000)
number = 0
while True:
    writer.append([{"n": number, "text": "물레방아 " * 10}])
    print(number, flush=True)
    number += 1
"""


def read_all(folder: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for path in segments(folder):
        for piece in frames(path.read_bytes(), 0, final=True):
            assert isinstance(piece, Frame)
            found.extend(piece.records)
    return found


def test_records_come_back_in_order_over_several_segments(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, segment_bytes=500)
    for number in range(100):
        writer.append([{"n": number, "text": "안녕"}, {"n": -number}])
    writer.append([])
    writer.close()
    assert len(segments(tmp_path)) > 3
    assert [r["n"] for r in read_all(tmp_path)] == [n for number in range(100) for n in (number, -number)]


def test_a_record_larger_than_a_segment_fits_and_the_next_one_goes_on(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, segment_bytes=1_000)
    writer.append([{"text": "x" * 5_000}])
    writer.append([{"text": "y"}])
    writer.close()
    assert len(segments(tmp_path)) == 2
    assert [str(r["text"])[0] for r in read_all(tmp_path)] == ["x", "y"]


def test_half_a_character_or_an_odd_number_does_not_lose_the_record(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append([{"text": "broken \ud83d emoji", "n": 1, "big": 2**70, "odd": {1: float("inf"), "s": {2}}}])
    writer.close()
    assert read_all(tmp_path) == [{"text": "broken ? emoji", "n": 1, "big": str(2**70), "odd": {"1": None, "s": "{2}"}}]


def test_everything_that_append_took_survives_kill_9(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", WRITE_FOREVER, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    taken = -1
    while taken < 300:
        taken = int(child.stdout.readline())
    assert is_written(segments(tmp_path)[-1])
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.stdout.close()
    child.wait()
    taken = int(rest[-1]) if rest else taken
    assert not is_written(segments(tmp_path)[-1])
    numbers = [r["n"] for r in read_all(tmp_path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > taken


def test_a_torn_tail_is_left_out_and_a_new_start_does_not_touch_it(tmp_path: Path) -> None:
    first = JournalWriter(tmp_path)
    first.append([{"n": 1}])
    first.append([{"n": 2, "text": "cut in the middle"}])
    first.close()
    [path] = segments(tmp_path)
    os.truncate(path, path.stat().st_size - 5)
    second = JournalWriter(tmp_path)
    second.append([{"n": 3}])
    second.close()
    assert [r["n"] for r in read_all(tmp_path)] == [1, 3]


def test_damage_in_the_middle_is_named_and_what_follows_is_kept(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    for number in range(3):
        writer.append([{"n": number}])
    writer.close()
    [path] = segments(tmp_path)
    pieces = [p for p in frames(path.read_bytes(), 0, final=True) if isinstance(p, Frame)]
    data = bytearray(path.read_bytes())
    data[pieces[1].end - 2] ^= 0xFF
    found = list(frames(bytes(data), 0, final=True))
    assert found == [pieces[0], Gap(pieces[1].start, pieces[1].end), pieces[2]]
    assert list(frames(bytes(data), 0, final=False)) == [pieces[0]]


def test_reading_goes_on_from_an_offset(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append([{"n": 1}])
    writer.append([{"n": 2}])
    writer.close()
    [path] = segments(tmp_path)
    data = path.read_bytes()
    first, second = (p for p in frames(data, 0, final=True) if isinstance(p, Frame))
    assert first.start == len(MAGIC)
    assert list(frames(data[first.end :], first.end, final=True)) == [second]


def test_a_full_disk_is_said_and_leaves_no_half_record(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.append([{"n": 1}])
    [path] = segments(tmp_path)
    before = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 100, hard))
    try:
        with pytest.raises(Unavailable, match="disk is full") as refused:
            writer.append([{"n": 2, "text": "x" * 1_000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert refused.value.hint
    assert path.stat().st_size == before
    writer.append([{"n": 3}])
    writer.close()
    assert [r["n"] for r in read_all(tmp_path)] == [1, 3]


def test_a_folder_that_cannot_be_written_refuses_the_append_and_recovers(tmp_path: Path) -> None:
    blocked = tmp_path / "journal"
    blocked.write_text("a file where the folder should be")
    writer = JournalWriter(blocked)
    with pytest.raises(Unavailable):
        writer.append([{"n": 1}])
    blocked.unlink()
    writer.append([{"n": 2}])
    writer.close()
    assert [r["n"] for r in read_all(blocked)] == [2]


def test_append_is_quick(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    record = {"type": "span", "text": "x" * 1_000}
    started = time.thread_time()
    for _ in range(2_000):
        writer.append([record])
    spent = time.thread_time() - started
    writer.close()
    assert spent / 2_000 < 0.0005
