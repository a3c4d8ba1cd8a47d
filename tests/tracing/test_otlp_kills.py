"""A server that is killed again and again while clients send: what it acknowledged is there, and everything is there once.

Clients do as OpenTelemetry's exporters do: a batch without an answer is sent again. NORIA_KILLS says how often the server is killed
(default 4; the bar of the project is 100).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from noria.app.bootstrap import prepare
from noria.app.demo.installation import free_port
from noria.core.settings import Settings
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing import reading
from noria.tracing.tailer import Tailer
from tests.stores.process import StoreProcess, eventually
from tests.tracing.otlp_kit import PROTOBUF, Made, request

KILLS = int(os.environ.get("NORIA_KILLS", "4"))
EACH = 5
"""Spans of a batch."""


class Server:
    """`noria server`, which may die and is started again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, **self.settings.environment()}
        log = (self.settings.data / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "noria", "server"], env=environment, stdout=log, stderr=log
        )
        log.close()
        eventually("the server answers", self._answers, 60)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.settings.server_url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()


class Senders:
    """Clients that send batch after batch."""

    def __init__(self, url: str, key: str, clients: int = 4) -> None:
        self.acknowledged: list[str] = []
        self.sent: set[str] = set()
        self.again = 0
        self._url, self._headers = f"{url}/v1/traces", {**PROTOBUF, "authorization": f"Bearer {key}"}
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def go_on(self) -> None:
        """Wait until some more batches have been acknowledged."""
        wanted = len(self.acknowledged) + 20 * EACH
        eventually("more spans are acknowledged", lambda: len(self.acknowledged) > wanted, 60)

    def _client(self) -> None:
        with httpx.Client(timeout=20, trust_env=False) as client:
            while not self._stop.is_set():
                batch = [Made({"gen_ai.request.model": "m"}) for _ in range(EACH)]
                self.sent |= {made.span_id for made in batch}
                data = request(*batch)
                while not self._send(client, data):
                    if self._stop.wait(0.05):  # nobody listens for a moment
                        return
                self.acknowledged.extend(made.span_id for made in batch)

    def _send(self, client: httpx.Client, data: bytes) -> bool:
        try:
            return client.post(self._url, content=data, headers=self._headers).is_success
        except httpx.TransportError:
            self.again += 1
            return False


@pytest.fixture
def server(settings: Settings, store_process: StoreProcess) -> Iterator[Server]:
    ports = {"server_port": free_port(), "otlp_grpc_port": 0}
    made = Server(replace(settings, spans_url=store_process.dsn(), **ports))  # type: ignore[arg-type]
    yield made
    made.end(signal.SIGKILL)


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(server: Server) -> None:
    first = prepare(server.settings)
    assert first is not None
    stores = Stores(server.settings)
    with stores.database.begin() as connection:
        _, key = governance.mint_key(
            connection, project_id=first.project_id, name="sender", scope="write_traces", actor_id=""
        )
    tailer = Tailer(stores)
    tailer.start()
    server.start()
    with Senders(server.settings.server_url, key) as senders:
        for _ in range(KILLS):
            senders.go_on()
            server.end(signal.SIGKILL)
            server.start()
        senders.go_on()
    asked = time.monotonic()
    last = senders.acknowledged[-1]
    sql = "SELECT span_id FROM {table} WHERE project_id = {{project:String}}"

    def stored(table: str) -> Counter[str]:
        rows = reading.ask(stores, sql.format(table=table), {"project": first.project_id})
        return Counter(row["span_id"] for row in rows)

    eventually("all are readable", lambda: set(senders.acknowledged) <= stored("spans").keys(), 5)
    waited = time.monotonic() - asked
    server.end(signal.SIGTERM)
    tailer.stop()
    for table in ("spans", "traces"):
        found = stored(table)
        assert set(senders.acknowledged) <= found.keys() <= senders.sent, table
        assert set(found.values()) == {1}, f"a row of {table} stands twice"
    assert last in stored("spans")
    assert len(senders.acknowledged) > KILLS * 20 * EACH
    stores.close()
    print(
        f"{KILLS} kills, {len(senders.acknowledged)} spans acknowledged, {senders.again} batches sent again, {waited:.2f} s"
    )
