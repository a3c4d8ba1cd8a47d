"""The real llama.cpp server behind the gateway, called in every dialect: translated by way of chat, and passed on where it speaks it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from noria.core.settings import load
from noria.registry.snapshot import EndpointEntry, ProviderEntry, ReleaseEntry
from tests.gateway.conftest import Running, until
from tests.serving.model_files import base_model
from tests.serving.running import keeping, wanted

pytestmark = pytest.mark.model

TEXT = "Say hello in one word."
TURN = [{"role": "user", "content": TEXT}]
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": TURN, "max_tokens": 6},
    "completions": {"prompt": TEXT, "max_tokens": 6},
    "messages": {"messages": TURN, "max_tokens": 6},
    "responses": {"input": TEXT, "max_output_tokens": 6},
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = load({}, data=tmp_path_factory.mktemp("engine"))
    with keeping(settings, wanted(base=(base_model(), None))) as urls:
        yield f"{urls['base']}/v1"


@pytest.fixture(scope="module", params=["translated", "passed on"])
def served(request: pytest.FixtureRequest, gateway: Running, engine: str) -> Running:
    """The gateway with llama.cpp as a provider that speaks chat and text, or everything that it knows."""
    speaks = ["chat", "text"] if request.param == "translated" else ["chat", "text", "messages"]
    provider = ProviderEntry("llama", "project", "llama", "openai", engine, options={"speaks": speaks})
    release = ReleaseEntry(1, "llama", "base", parameters={"temperature": 0})
    endpoint = EndpointEntry("e-llama", "project", "llama", primary=1, releases={1: release})
    gateway.publish(endpoint, providers={**gateway.snapshot.providers, "llama": provider})
    return gateway


def text_of(path: str, answer: dict[str, Any]) -> str:
    """What an answer in this path's dialect says."""
    if path == "completions":
        return str(answer["choices"][0]["text"])
    if path == "chat/completions":
        return str(answer["choices"][0]["message"]["content"])
    parts = answer["content"] if path == "messages" else answer["output"][0]["content"]
    return "".join(part["text"] for part in parts)


def events(stream: str) -> list[dict[str, Any]]:
    lines = (line[6:] for line in stream.splitlines() if line.startswith("data: ") and line != "data: [DONE]")
    return [json.loads(line) for line in lines]


def streamed_text(path: str, found: list[dict[str, Any]]) -> str:
    if path == "completions":
        return "".join(chunk["choices"][0]["text"] for chunk in found if chunk["choices"])
    if path == "chat/completions":
        return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in found if chunk["choices"])
    if path == "messages":
        return "".join(one["delta"].get("text", "") for one in found if one["type"] == "content_block_delta")
    return "".join(one["delta"] for one in found if one["type"] == "response.output_text.delta")


@pytest.mark.parametrize("path", BODIES)
def test_each_dialect_is_answered_whole_and_as_a_stream(served: Running, path: str) -> None:
    body = {"model": "llama", **BODIES[path]}
    whole = served.post(body, path=f"/v1/{path}")
    assert whole.status_code == 200, whole.text
    said = text_of(path, whole.json())
    assert said.strip()
    stream = served.post({**body, "stream": True}, path=f"/v1/{path}")
    assert stream.status_code == 200, stream.text
    assert streamed_text(path, events(stream.text)) == said
    spans = [served.span(one.headers["x-noria-trace-id"]) for one in (whole, stream)]
    assert [span["output_messages"][0]["content"] for span in spans] == [said, said]
    assert spans[0]["input_tokens"] == spans[1]["input_tokens"] > 3
    assert spans[0]["output_tokens"] == spans[1]["output_tokens"] == 6


def test_its_tokens_are_counted_by_itself_or_estimated_and_said_so(served: Running) -> None:
    told = served.post({"model": "llama", "messages": TURN}, path="/v1/messages/count_tokens").json()
    speaks = served.snapshot.providers["llama"].options["speaks"]
    assert ("estimated" in told) == ("messages" not in speaks)
    assert 3 < told["input_tokens"] < 30


def test_a_client_that_leaves_frees_its_slot(served: Running) -> None:
    body = {"model": "llama", "messages": TURN, "max_tokens": 2_000, "stream": True, "temperature": 1}
    headers = {"authorization": f"Bearer {served.key}"}
    with httpx.stream("POST", f"{served.url}/v1/chat/completions", json=body, headers=headers, timeout=30) as answer:
        next(answer.iter_bytes())
        trace = answer.headers["x-noria-trace-id"]
    span = until(lambda: [one for one in served.spans() if one["trace_id"] == trace])[0]
    assert span["status_code"] == 499
    assert served.post({"model": "llama", **BODIES["chat/completions"]}).status_code == 200


def test_embeddings_that_it_does_not_have_are_an_error_in_words(served: Running) -> None:
    provider = replace(served.snapshot.providers["llama"], options={"speaks": ["chat"]})
    served.publish(providers={**served.snapshot.providers, "llama": provider})
    answer = served.post({"model": "llama", "input": "hello"}, path="/v1/embeddings")
    assert answer.status_code == 400
    assert "embeddings" in answer.json()["error"]["message"]
