"""Reading journals: batches keep their names, positions survive, finished segments go."""

import os
from pathlib import Path

from noria.stores.journal import Frame, JournalWriter, frames, segments
from noria.stores.shipping import Batch, JournalReader


def ship_all(reader: JournalReader) -> list[int]:
    numbers = []
    for batch in reader.batches():
        numbers += [record["n"] for record in batch.records]
        reader.done(batch)
    return numbers


def test_everything_of_every_writer_comes_once(tmp_path: Path) -> None:
    gateway, server = JournalWriter(tmp_path / "gateway", segment_bytes=300), JournalWriter(tmp_path / "server")
    reader = JournalReader(tmp_path)
    assert ship_all(reader) == []
    for number in range(20):
        gateway.append([{"n": number}])
    server.append([{"n": 100}, {"n": 101}])
    assert ship_all(reader) == [*range(20), 100, 101]
    assert ship_all(reader) == []
    server.append([{"n": 102}])
    assert ship_all(JournalReader(tmp_path)) == [102]
    gateway.close()
    server.close()
    ship_all(reader)
    assert segments(tmp_path / "gateway") == segments(tmp_path / "server") == []


def test_a_batch_that_was_not_finished_comes_again_under_its_name_though_more_was_written(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "gateway")
    writer.append([{"n": 1}])
    first = next(JournalReader(tmp_path).batches())
    writer.append([{"n": 2}])
    reader = JournalReader(tmp_path)
    again: list[Batch] = []
    rest: list[Batch] = []
    for batch in reader.batches():
        (rest if again else again).append(batch)
        reader.done(batch)
    assert (again[0].token, again[0].records) == (first.token, [{"n": 1}])
    assert [batch.records for batch in rest] == [[{"n": 2}]]
    assert first.token.startswith("gateway/")
    writer.close()


def test_batches_have_limits_and_a_giant_frame_still_comes(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "gateway")
    for number in range(30):
        writer.append([{"n": number}])
    writer.append([{"n": 30, "text": "x" * 100_000}])
    writer.append([{"n": 31}])
    reader = JournalReader(tmp_path, batch_bytes=1_000, batch_records=7)
    sizes, numbers = [], []
    for batch in reader.batches():
        reader.done(batch)
        sizes.append(len(batch.records))
        numbers += [record["n"] for record in batch.records]
    assert numbers == list(range(32))
    assert max(sizes) == 7
    writer.close()


def test_a_torn_tail_ends_a_dead_segment_but_not_a_living_one(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "gateway")
    writer.append([{"n": 1}])
    [path] = segments(tmp_path / "gateway")
    with path.open("ab") as file:  # as if the writer were in the middle of its next frame
        file.write(b"\xf7NJ1 half")
    reader = JournalReader(tmp_path)
    assert ship_all(reader) == [1]
    assert path.exists()
    writer.close()
    assert ship_all(reader) == []
    assert not path.exists()


def test_damage_is_kept_aside_and_what_follows_is_shipped(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "gateway")
    for number in range(5):
        writer.append([{"n": number}])
    writer.close()
    [path] = segments(tmp_path / "gateway")
    second = [piece for piece in frames(path.read_bytes(), 0, final=True) if isinstance(piece, Frame)][1]
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"?", second.end - 3)
    assert ship_all(JournalReader(tmp_path)) == [0, 2, 3, 4]
    assert segments(tmp_path / "gateway") == []
    assert path.with_suffix(".damaged").exists()


def test_a_planned_batch_whose_end_was_lost_keeps_its_name(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "gateway")
    writer.append([{"n": 1}])
    writer.append([{"n": 2}])
    planned = next(JournalReader(tmp_path).batches())
    writer.close()
    [path] = segments(tmp_path / "gateway")
    os.truncate(path, path.stat().st_size - 4)
    reader = JournalReader(tmp_path)
    replayed: list[Batch] = []
    for batch in reader.batches():
        replayed.append(batch)
        reader.done(batch)
    assert [(b.token, b.records) for b in replayed] == [(planned.token, [{"n": 1}])]
    assert segments(tmp_path / "gateway") == []


def test_a_record_nobody_understands_is_kept_beside_the_segments(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "gateway")
    writer.append([{"n": 1}])
    reader = JournalReader(tmp_path)
    for batch in reader.batches():
        reader.reject(batch, batch.records[0])
        reader.done(batch)
    assert b'"record":{"n":1}' in (tmp_path / "gateway" / "rejected.jsonl").read_bytes()
    writer.close()
