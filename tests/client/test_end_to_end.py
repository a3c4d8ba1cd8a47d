"""The client against the real server: traces, feedback and prompts."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

import noria_client
from noria.app.server import compose
from noria.core.settings import load
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing.tailer import Tailer
from tests.stores.process import StoreProcess


@dataclass
class Server:
    """A whole server in this process, on a store process of its own."""

    url: str
    admin: str
    key: str
    tailer: Tailer

    def get(self, path: str) -> Any:
        self.tailer.run_once()
        answer = httpx.get(f"{self.url}/api{path}", headers={"authorization": f"Bearer {self.admin}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any, method: str = "POST") -> None:
        headers = {"authorization": f"Bearer {self.admin}"}
        answer = httpx.request(method, f"{self.url}/api{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = load({}, data=tmp_path_factory.mktemp("end") / "data", server_port=port, otlp_grpc_port=0)
    settings.data.mkdir()
    store = StoreProcess(settings)
    store.start()
    stores = Stores(settings)
    app = compose(stores)
    stores.database.create_all()
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        _, key = governance.mint_key(
            connection, project_id=first.project_id, name="shop", scope="write_traces", actor_id=""
        )
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="on"))
    thread = threading.Thread(target=running.run)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    while not running.started:
        assert thread.is_alive()
        thread.join(0.02)
    yield Server(url, first.key, key, Tailer(stores))
    running.should_exit = True
    thread.join()
    stores.close()
    store.stop()


@pytest.fixture
def on(server: Server, tmp_path: Path) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    noria_client.configure(url=server.url, key=server.key, spool=tmp_path, batch_seconds=0.05, provider=provider)


@pytest.mark.usefixtures("on")
def test_feedback_arrives_once(server: Server) -> None:
    for value in (0, 1):
        noria_client.feedback("ab" * 16, value=value, key="thumb")
    assert noria_client.flush()
    [score] = server.get(f"/scores?trace_id={'ab' * 16}")["items"]
    assert (score["value"], score["source"], score["key"]) == (1, "user", "thumb")


@pytest.mark.usefixtures("on")
def test_a_prompt_by_label_and_by_number(server: Server) -> None:
    server.post("/prompts", {"name": "support"})
    for text in ("Hello {{name}}.", "Hi {{name}}."):
        server.post("/prompts/support/versions", {"format": "text", "template": text})
    server.post("/prompts/support/labels/production", {"version": 2}, "PUT")
    found = noria_client.prompt("support")
    assert (found.version, found.text(name="Kim")) == (2, "Hi Kim.")
    assert noria_client.prompt("support", version=1).text(name="Kim") == "Hello Kim."
    assert noria_client.prompt("support", label="staging", fallback="none").is_fallback


@pytest.mark.usefixtures("on")
def test_a_trace_is_there_as_it_was_recorded(server: Server) -> None:
    with noria_client.session("s1", user="u1", tags=["beta"]), noria_client.span("answer", kind="agent") as top:
        with noria_client.span("look", kind="tool", input={"order": 7}) as tool:
            tool.output("환불됨")
        with noria_client.generation(model="gpt-4o", provider="openai", input="How long?") as call:
            call.output("30 days.")
            call.usage(input_tokens=19, output_tokens=9)
    assert noria_client.flush()
    trace = server.get(f"/traces/{top.trace_id}")
    spans = {node["span"]["name"]: node["span"] for node in trace["spans"]}
    assert set(spans) == {"answer", "look", "chat gpt-4o"}
    asked = spans["chat gpt-4o"]
    assert (asked["kind"], asked["requested_model"]) == ("llm", "gpt-4o")
    assert (asked["input_tokens"], asked["output_tokens"]) == (19, 9)
    assert asked["input_messages"][0]["content"] == "How long?"
    assert asked["output_messages"][0]["content"] == "30 days."
    assert (spans["look"]["kind"], spans["answer"]["kind"]) == ("tool", "agent")
    for span in spans.values():
        assert (span["session_id"], span["subject_id"], span["tags"]) == ("s1", "u1", ["beta"])
        assert span["trace_id"] == top.trace_id
    assert asked["parent_id"] == spans["answer"]["span_id"]
