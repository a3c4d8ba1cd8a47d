"""The job app.erase is killed at several of its steps, with its worker and without, and finishes: nothing is left in the files."""

import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from noria.app import schema
from noria.app.slices import SLICES
from noria.core.settings import load
from noria.datasets import service as datasets
from noria.datasets.records import Example
from noria.governance import erasure, service
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.stores import rawsearch
from noria.stores.connect import Stores
from tests.stores.process import StoreProcess, eventually
from tests.tracing.conftest import Traffic
from tests.tracing.test_erasers import is_kept, keep

WORKER = """
from noria.app.worker import handlers
from noria.core.settings import load
from noria.jobs.worker import Worker
from noria.stores.connect import Stores
from noria.tracing.tailer import Tailer
stores = Stores(load())
Tailer(stores).start()
Worker(stores, handlers()).run()
"""
KILLS = 3
PATIENCE = 120.0
Start = Callable[[str], "subprocess.Popen[bytes]"]


class Killer:
    """Runs a worker and kills its jobs: once at each of the first steps that a job shows."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.worker = start(WORKER)
        self.killed: list[str] = []

    def look(self, job: Job) -> bool:
        """Kill the job if it is at a step that is new; the first time its worker too. Whether the job is over."""
        old = len(self.killed) == KILLS or job.note in {"", *self.killed} or job.note.startswith("starting again")
        if old or job.state != "running":
            return job.ended
        children = psutil.Process(self.worker.pid).children()
        for child in children:
            with suppress(psutil.NoSuchProcess):  # it has ended by itself
                child.kill()
        if children and not self.killed:
            self.stop()
            self.worker = self._start(WORKER)
        self.killed += [job.note] * bool(children)
        return False

    def stop(self) -> None:
        self.worker.kill()
        self.worker.communicate()


def plant(stores: Stores, traffic: Traffic, name: str) -> str:
    """A trace of somebody, and something of them in every other place; the id of a media file."""
    said = f"{name} asked"
    trace_id = traffic.span(said, subject_id=name, session_id=f"{name}-session", tags=[f"{name}-tag"]).trace_id
    row = Example("ab" * 16, "train", [{"role": "user", "content": said}], source={"trace_id": trace_id})
    common: dict[str, Any] = {
        "parent_id": None,
        "report": {},
        "project_id": traffic.project,
        "actor_id": "",
        "operation": "from_feedback",
    }
    datasets.write_version(stores, name="d", examples=[row], **common)
    kept = stores.settings.folder.responses / "1" / "aa" / "one.json"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(orjson.dumps({"project": traffic.project, "subject": name, "response": {}, "items": [said]}))
    return keep(stores, traffic.project, said.encode(), trace_id)


@pytest.fixture
def store_process(tmp_path: Path) -> Iterator[StoreProcess]:
    """A store of this test alone: its files are searched, so there should be few."""
    process = StoreProcess(load({}, data=tmp_path / "store" / "data"))
    process.start()
    yield process
    process.stop()


def test_the_job_is_killed_at_several_steps(
    stores: Stores, store_process: StoreProcess, traffic: Traffic, python: Start
) -> None:
    schema.declare()
    stores.database.create_all()
    first = service.bootstrap(stores)
    assert first is not None
    traffic.project, name = first.project_id, f"quappe{secrets.token_hex(6)}"
    killer = Killer(python)
    try:
        picture = plant(stores, traffic, name)
        eventually("the trace is there", lambda: erasure.preview(stores, SLICES, first.project_id, name)["traces"] == 1)
        folders = (stores.settings.data, store_process.settings.folder.spans)
        assert all(rawsearch.search(folder, [name])[name] for folder in folders)
        asked = erasure.request(stores, SLICES, project_id=first.project_id, subject_id=name, actor_id="")
        deadline = time.monotonic() + PATIENCE
        while not killer.look(jobs.get(stores, first.project_id, asked.job_id)):
            assert time.monotonic() < deadline, killer.killed
            time.sleep(0.01)
    finally:
        killer.stop()
    job = jobs.get(stores, first.project_id, asked.job_id)
    assert job.state == "done", job.error
    assert len(killer.killed) >= 2, killer.killed  # at the first step, and while it waits for journals or old files
    done = erasure.get(stores, first.project_id, asked.id)
    assert (done.state, set(done.proof.values())) == ("done", {0})
    assert (done.counts["traces"], done.counts["media files"], done.counts["kept responses"]) == (1, 1, 1)
    assert not is_kept(stores, first.project_id, picture)
    left = [path for folder in folders for path in rawsearch.search(folder, [name])[name]]
    assert left == []
