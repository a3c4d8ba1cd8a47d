"""A run through the real gateway process: keys, prompt, spans, and its death in the middle."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from noria.core.settings import Settings
from noria.evaluation import results, service
from noria.registry import endpoints, prompts, providers, publish, releases
from noria.stores import journal, lifeline
from noria.stores.connect import Stores
from tests.evaluation.conftest import Conversation, Laboratory, call
from tests.evaluation.gateway import Asked, Said, StandInGateway
from tests.evaluation.test_http import finish


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The stand-in is the provider here, so the gateway gets a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return replace(settings, gateway_port=probe.getsockname()[1])


class RealGateway:
    """The process `noria gateway`, which may be killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.start()

    def start(self) -> None:
        environment = lifeline.mark({**os.environ, **self.settings.environment()})
        self.process = subprocess.Popen([sys.executable, "-m", "noria", "gateway"], env=environment)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def real_gateway(stores: Stores, laboratory: Laboratory) -> Iterator[RealGateway]:
    publisher = publish.Publisher(stores)
    publisher.start()
    running = RealGateway(stores.settings)
    yield running
    running.process.terminate()
    running.process.wait(20)
    publisher.stop()


@pytest.fixture
def release(laboratory: Laboratory, gateway: StandInGateway) -> str:
    """A release of a provider that is the stand-in, with a prompt."""
    gateway.stores = None  # providers know nothing of our keys, nor of rows

    def wake(asked: Asked) -> Said:
        return gateway.answer(asked)  # whichever it is by then

    gateway.wake = wake
    stores, project_id, actor_id = laboratory.stores, laboratory.project_id, laboratory.actor_id
    url = f"http://127.0.0.1:{gateway.port}/v1"
    providers.add_provider(stores, project_id=project_id, name="p", kind="openai", base_url=url, actor_id=actor_id)
    with stores.database.begin() as connection:
        prompts.create_prompt(connection, project_id=project_id, name="call", actor_id=actor_id)
        prompts.add_prompt_version(
            connection,
            project_id=project_id,
            name="call",
            format="chat",
            messages=[{"role": "system", "content": "Answer with a call."}, {"role": "messages"}],
            note="",
            actor_id=actor_id,
        )
        endpoints.create_endpoint(connection, project_id=project_id, name="assistant", actor_id=actor_id)
        releases.create_release(
            connection,
            project_id=project_id,
            endpoint="assistant",
            provider="p",
            model="m",
            prompt="call@1",
            parameters={"temperature": 0.0},
            actor_id=actor_id,
        )
    return "assistant@1"


def spans(stores: Stores) -> list[dict[str, Any]]:
    found = []
    for folder in sorted(stores.settings.folder.journal.iterdir()):
        for segment in journal.segments(folder):
            for part in journal.frames(segment.read_bytes(), 0, final=True):
                if isinstance(part, journal.Frame):
                    found += part.records
    return [one for one in found if one.get("type") == "span"]


def rows(count: int) -> list[Conversation]:
    return [(f"a hotel for {i} nights", call("SearchHotel", nights=i)) for i in range(count)]


def test_a_candidate_is_measured_through_the_gateway(
    laboratory: Laboratory, gateway: StandInGateway, real_gateway: RealGateway, release: str
) -> None:
    answers = dict(rows(12))
    gateway.answer = lambda asked: Said(answers[asked.text])
    version = laboratory.version("calls", test=rows(12))
    started = service.start(
        laboratory.stores,
        project_id=laboratory.project_id,
        actor_id=laboratory.actor_id,
        dataset=version.name,
        target=release,
    )
    report = finish(laboratory, started.job_id)["report"]
    assert report["metrics"]["exact_match"]["value"] == 1.0
    assert report["failed"] == 0
    assert gateway.woken[1].body["messages"][0]["content"] == "Answer with a call."
    assert gateway.woken[1].body["max_tokens"] == service.MAX_TOKENS
    kept = results.all_results(laboratory.stores, started)
    by_trace = {one["trace_id"]: one for one in spans(laboratory.stores)}
    for one in kept:
        span = by_trace[one.trace_id]
        assert (span["dataset_row"], span["arm"], span["live"]) == (one.row_id, "candidate", False)


def test_the_death_of_the_gateway_costs_no_row(
    laboratory: Laboratory, gateway: StandInGateway, real_gateway: RealGateway, release: str
) -> None:
    answers = dict(rows(40))
    half = threading.Event()

    def answer(asked: Asked) -> Said:
        if len(gateway.woken) == 20:
            half.set()
        return Said(answers[asked.text])

    gateway.answer = answer

    def strike() -> None:
        assert half.wait(30)
        real_gateway.kill()
        real_gateway.start()

    killer = threading.Thread(target=strike)
    killer.start()
    version = laboratory.version("calls", test=rows(40))
    started = service.start(
        laboratory.stores,
        project_id=laboratory.project_id,
        actor_id=laboratory.actor_id,
        dataset=version.name,
        target=release,
    )
    report = finish(laboratory, started.job_id)["report"]
    killer.join()
    assert (report["n"], report["failed"]) == (40, 0)
    assert report["metrics"]["exact_match"]["value"] == 1.0
