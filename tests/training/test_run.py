"""The real recipe on the real model, as in production: in a child of a worker, killed on the way, served by llama.cpp."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from noria.jobs import service as jobs
from noria.registry import models
from noria.registry.templates import compile_text
from noria.stores import lifeline
from noria.stores.connect import Stores
from noria.training.records import TrainingRun
from tests.serving.model_files import SHARED, base_model
from tests.serving.running import complete, keeping, wanted
from tests.training.conftest import TEMPLATE, Workshop, answered, asked

pytestmark = [pytest.mark.model, pytest.mark.timeout(600)]

PARAMETERS = {"examples": 24, "epochs": 5, "batch": 8, "checkpoint_every": 3, "warmup": 2, "threads": 1}


@pytest.fixture
def worker(workshop: Workshop) -> Iterator[psutil.Process]:
    """A worker on the workshop's data folder, with the converted base model of this checkout."""
    base_model()
    workshop.stores.settings.folder.models.symlink_to(SHARED.models)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.process"],
        cwd=Path(__file__).parents[2],
        env=lifeline.mark({**os.environ, **workshop.stores.settings.environment()}),
    )
    yield psutil.Process(process.pid)
    process.terminate()
    process.wait(20)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.1)


def steps_of(workshop: Workshop, run: TrainingRun) -> list[dict[str, Any]]:
    return jobs.points(workshop.stores, workshop.project_id, run.job_id)


def end_of(workshop: Workshop, run: TrainingRun) -> TrainingRun:
    wait_for(lambda: not workshop.get(run).moving, "the end of the run")
    ended = workshop.get(run)
    assert ended.state == "done", ended.error
    return ended


def test_a_killed_run_resumes_and_its_adapter_answers(workshop: Workshop, worker: psutil.Process) -> None:
    run = workshop.start(parameters=PARAMETERS)
    wait_for(lambda: any(point["step"] >= 5 for point in steps_of(workshop, run)), "step 5")
    for child in worker.children(recursive=True):
        os.kill(child.pid, signal.SIGKILL)
    killed = end_of(workshop, run)
    again = end_of(workshop, workshop.start(parameters=PARAMETERS))

    points = steps_of(workshop, run)
    assert [point["step"] for point in points] == list(range(1, 16))
    assert killed.metrics["final_loss"] < 0.2 * killed.metrics["first_loss"]
    assert [p["values"]["loss"] for p in points] == [p["values"]["loss"] for p in steps_of(workshop, again)]
    assert _weights(killed) == _weights(again), "a run that was killed must end with the same adapter"

    with workshop.stores.database.read() as connection:
        version = models.get_model_version(connection, workshop.project_id, str(killed.model_version_id))
    _check_lineage(workshop, killed, version.lineage)
    assert (version.name, version.base, version.kind) == ("wheels-lora:1", "gemma-3-270m:1", "adapter")
    _check_answers(workshop.stores, killed)


def _weights(run: TrainingRun) -> str:
    return next(str(file["sha256"]) for file in run.files if file["role"] == "adapter_safetensors")


def _check_lineage(workshop: Workshop, run: TrainingRun, found: dict[str, Any]) -> None:
    assert found["dataset_version_id"] == workshop.version.id
    assert found["dataset"]["digest"] == workshop.version.digest
    assert found["training_run_id"] == run.id
    assert found["seed"] == 17
    assert found["code_version"]["noria"]
    assert len(found["recipe"]["sha256"]) == 64
    assert found["metrics"]["steps"] == 15
    rows = next(file for file in run.files if file["role"] == "rows")
    learned = workshop.stores.files.path(rows["sha256"]).read_text().split()
    assert sorted(learned) == sorted(f"row-{n}" for n in range(24))


def _check_answers(stores: Stores, run: TrainingRun) -> None:
    """Served by llama.cpp it says what it was taught, stops by itself, and the base model does not."""
    adapter = next(file for file in run.files if file["role"] == models.ADAPTER_FILE)
    engines = wanted(tuned=(base_model(), stores.files.path(adapter["sha256"])), base=(base_model(), None))
    right = 0
    with keeping(stores.settings, engines) as urls:
        for place, side in (("mill", "left"), ("harbour", "right"), ("inn", "left"), ("school", "right")):
            prompt = compile_text(TEMPLATE).render({"messages": asked(place, side)})
            choice = complete(urls["tuned"], prompt, max_tokens=48)["choices"][0]
            right += choice["text"].strip() == answered(place, side)
            assert choice["finish_reason"] == "stop"
            assert complete(urls["base"], prompt, max_tokens=8)["choices"][0]["text"].strip() != answered(place, side)
    assert right >= 3


def test_a_cancelled_run_leaves_nothing(workshop: Workshop, worker: psutil.Process) -> None:
    run = workshop.start(parameters=PARAMETERS | {"epochs": 50})
    wait_for(lambda: steps_of(workshop, run), "the first step")
    began = time.monotonic()
    jobs.cancel(workshop.stores, workshop.project_id, run.job_id)
    wait_for(lambda: not worker.children(recursive=True), "the end of the trainer", seconds=20)
    assert time.monotonic() - began < 15
    assert (workshop.get(run).state, workshop.get(run).model_version_id) == ("cancelled", None)
