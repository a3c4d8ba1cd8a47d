"""A real gateway records what a provider was asked and answered, sealed, as many times as was ordered and no more."""

import time
from pathlib import Path

import orjson
import pytest

from noria.governance.sealing import Sealer
from noria.registry.fixtures import fixtures
from noria.registry.recording import Exchange, Order, read, write_order
from tests.gateway.conftest import PROVIDER_KEY, Running, until

PERSONAL = "write to mina@example.org or call +82 10-2345-6789"


def order(gateway: Running, endpoint: str, requests: int = 5, seconds: float = 60.0) -> Order:
    wanted = Order(f"r-{endpoint}", "project", endpoint, requests, time.time() + seconds)
    write_order(gateway.folder.recording, wanted)
    gateway.publish()  # answers once the gateway has looked at its files
    return wanted


def heard(gateway: Running, wanted: Order) -> list[Exchange]:
    sealer = Sealer(gateway.folder.secret)
    places = sorted((gateway.folder.recordings / wanted.id).glob("*.sealed"))
    return [found for place in places if (found := read(place, sealer)) is not None]


def test_answers_streams_and_errors_are_heard_as_they_were(gateway: Running) -> None:
    gateway.serve("ok:recorded", name="recorded")
    wanted = order(gateway, "recorded")
    answer = gateway.ask(PERSONAL, model="recorded", user="mina", headers={"cookie": "session=abc"})
    assert answer.status_code == 200
    streamed = gateway.ask(PERSONAL, model="recorded", stream=True)
    assert streamed.text.endswith("data: [DONE]\n\n")
    gateway.serve("error-429:recorded", name="recorded")
    assert gateway.ask("hello", model="recorded").status_code == 429
    whole, stream, error = until(lambda: (found := heard(gateway, wanted)) and len(found) == 3 and found)
    assert (whole.kind, whole.dialect, whole.status, whole.complete) == ("openai", "chat", 200, True)
    assert orjson.loads(whole.request)["messages"] == [{"role": "user", "content": PERSONAL}]
    assert orjson.loads(whole.answer)["choices"][0]["message"]["content"] == f"echo: {PERSONAL}"
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.complete
    assert stream.answer.endswith(b"data: [DONE]\n\n")
    assert (error.status, error.headers["retry-after"]) == (429, "7")
    assert b"the provider says no" in error.answer
    assert set(whole.headers) <= {"content-type"}
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert span["attributes"]["recording"] == wanted.id


def test_nothing_of_it_is_on_the_disk_in_the_clear(gateway: Running) -> None:
    gateway.serve("ok:sealed", name="sealed")
    wanted = order(gateway, "sealed")
    gateway.ask(PERSONAL, model="sealed")
    until(lambda: heard(gateway, wanted))
    folder = gateway.folder.recordings / wanted.id
    assert folder.stat().st_mode & 0o077 == 0
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0
        assert b"mina" not in file.read_bytes()
        assert PROVIDER_KEY.encode() not in file.read_bytes()


def test_no_more_is_recorded_than_was_ordered(gateway: Running) -> None:
    gateway.serve("ok:few", name="few")
    gateway.serve("ok:other", name="other")
    wanted = order(gateway, "few", requests=2)
    for _ in range(4):
        assert gateway.ask("hello", model="few").status_code == 200
        assert gateway.ask("hello", model="other").status_code == 200
    until(lambda: len(heard(gateway, wanted)) == 2)
    assert len(list((gateway.folder.recordings / wanted.id).iterdir())) == 2


@pytest.mark.parametrize("seconds", [-1.0])
def test_an_order_that_is_over_records_nothing(gateway: Running, seconds: float) -> None:
    gateway.serve("ok:late", name="late")
    wanted = order(gateway, "late", seconds=seconds)
    assert gateway.ask("hello", model="late").status_code == 200
    assert heard(gateway, wanted) == []


def test_a_recording_that_cannot_be_written_changes_no_answer(gateway: Running) -> None:
    gateway.serve("ok:blocked", name="blocked")
    wanted = Order("r-blocked", "project", "blocked", 5, time.time() + 60)
    gateway.folder.recordings.mkdir(exist_ok=True)
    (gateway.folder.recordings / wanted.id).write_text("a file where a folder should be")
    write_order(gateway.folder.recording, wanted)
    gateway.publish()
    assert gateway.ask("hello", model="blocked").status_code == 200
    assert "cannot be written" in gateway.log


def test_what_was_heard_becomes_fixtures_without_the_person(gateway: Running, tmp_path: Path) -> None:
    gateway.serve("ok:made", name="made")
    wanted = order(gateway, "made")
    gateway.ask(PERSONAL, model="made", stream=True)
    (exchange,) = until(lambda: heard(gateway, wanted))
    files, removed = fixtures(exchange, "made_1", frozenset({PROVIDER_KEY}))
    assert set(files) == {"chat/request_made_1.json", "chat/stream_made_1.sse"}
    text = "".join(files.values())
    assert "mina@" not in text
    assert "2345" not in text
    assert "<EMAIL_1>" in files["chat/stream_made_1.sse"]
    assert removed["EMAIL"] == removed["PHONE"] == 2
    assert files["chat/stream_made_1.sse"].startswith(": source: recorded from a provider of kind openai")
