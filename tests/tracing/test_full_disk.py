"""A disk that is really full, under ingest: clients are told, nothing acknowledged is lost or doubled, and room is all that recovery takes.

It fills as disks do: not within the milliseconds of one insert. The data folder lies on a small file system in memory, which only root may mount; elsewhere the test is skipped and says so. NORIA_FULL_DISKS says how often it becomes full (default 2).
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from noria.app.bootstrap import prepare
from noria.app.demo.installation import free_port
from noria.core.errors import Unavailable
from noria.core.settings import load
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.stores.lock import Gate
from noria.tracing import reading
from tests.stores.process import StoreProcess, eventually
from tests.tracing.otlp_kit import PROTOBUF, Made, request
from tests.tracing.test_otlp_kills import Carrier, Installation, Server

MB = 1024 * 1024
RESERVE = 32 * MB
ROUNDS = int(os.environ.get("NORIA_FULL_DISKS", "1"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The root of a file system of 96 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def installation(small_disk: Path) -> Iterator[Installation]:
    settings = replace(
        load({}, data=small_disk / "data"), server_port=free_port(), otlp_grpc_port=0, disk_reserve_mb=RESERVE // MB
    )
    settings.data.mkdir()
    made = Installation(Server(settings), StoreProcess(settings), Carrier(settings))
    made.store.start()
    yield made
    made.server.kill()
    made.carrier.kill()
    made.store.kill()


def fill(path: Path, leave: int = 0) -> None:
    """Take the room that there is, but for `leave` bytes."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        for size in (MB, 4096, 1):
            with suppress(OSError):
                while shutil.disk_usage(path.parent).free > leave:
                    file.write(b"\1" * size)


def test_a_full_disk_loses_nothing_and_heals_when_there_is_room(installation: Installation, small_disk: Path) -> None:
    settings = installation.server.settings
    first = prepare(settings)
    assert first is not None
    stores = Stores(settings)
    with stores.database.begin() as connection:
        _, key = governance.mint_key(
            connection, project_id=first.project_id, name="sender", scope="write_traces", actor_id=""
        )
    installation.server.start()
    installation.carrier.start()
    acknowledged: set[str] = set()
    headers = {**PROTOBUF, "authorization": f"Bearer {key}"}
    client = httpx.Client(base_url=settings.server_url, headers=headers, timeout=20, trust_env=False)

    def send() -> httpx.Response:
        batch = [Made({"gen_ai.request.model": "m", "note": "물" * 500}) for _ in range(20)]
        answer = client.post("/v1/traces", content=request(*batch))
        if answer.is_success:
            acknowledged.update(made.span_id for made in batch)
        return answer

    def stored() -> Counter[str]:
        sql = "SELECT span_id FROM spans WHERE project_id = {project:String}"
        try:
            rows = reading.ask(stores, sql, {"project": first.project_id})
        except Unavailable:  # it starts, or has no room to say where it listens
            return Counter()
        return Counter(row["span_id"] for row in rows)

    def refused_for_want_of_room() -> None:
        """Take what is left, and what a merge or a segment frees meanwhile, until nothing is taken any more."""
        fill(small_disk / "ballast", leave=RESERVE // 2)
        with Gate(settings.folder.carrying):  # the insert that began before is done, and another finds no room
            for number in range(3):
                fill(small_disk / f"ballast{number}")
        for number in range(20):
            fill(small_disk / f"ballast-more{number}")
            answer = send()
            if not answer.is_success:
                assert answer.status_code == 503 and answer.headers["retry-after"]
                assert b"disk is full" in answer.content
                return
        raise AssertionError("the disk does not become full")

    for _ in range(10):
        assert send().is_success
    eventually("they are readable", lambda: acknowledged <= stored().keys())
    for round_ in range(ROUNDS):
        for _ in range(round_ % 7):
            send()
        for _ in range(5):
            refused_for_want_of_room()
        if round_ % 2:
            installation.carrier.kill()
            installation.carrier.start()
            installation.store.kill()
            installation.store.launch()  # it waits for room before it says where it listens
            refused_for_want_of_room()
        assert client.get("/healthz").is_success
        for path in small_disk.glob("ballast*"):
            path.unlink()
        eventually("it takes spans again", lambda: send().is_success)
        eventually("all are readable", lambda: acknowledged <= stored().keys(), 60)
    assert set(stored().values()) == {1}
    client.close()
    stores.close()
    print(f"{ROUNDS} full disks, {len(acknowledged)} spans acknowledged")
