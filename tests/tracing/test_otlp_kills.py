"""Server, store and tailer killed again and again while clients send: what was acknowledged is there, and everything is there once.

Clients do as OpenTelemetry's exporters do: a batch without an answer is sent again. NORIA_KILLS says how many processes are killed,
one after the other in turn (default 3; the bar of the project is 100).
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice

import httpx
import pytest

from noria.app.bootstrap import prepare
from noria.app.demo.installation import free_port
from noria.core.settings import Settings
from noria.governance import service as governance
from noria.stores.connect import Stores
from noria.tracing import reading
from tests.stores.process import StoreProcess, eventually
from tests.tracing.otlp_kit import PROTOBUF, Made, request
from tests.tracing.test_tailer import CARRY

KILLS = int(os.environ.get("NORIA_KILLS", "3"))
EACH = 5
"""Spans of a batch."""


class Server:
    """`noria server`, which may die and is started again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
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

    def kill(self) -> None:
        self.end(signal.SIGKILL)


class Carrier:
    """A process that runs the tailer, as the worker does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it carries when the lock of the one before is free."""
        environment = {**os.environ, **self.settings.environment()}
        self.process = subprocess.Popen([sys.executable, "-c", CARRY], env=environment, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
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


@dataclass
class Installation:
    """What is killed in this test, on one data folder."""

    server: Server
    store: StoreProcess
    carrier: Carrier

    def victims(self) -> Iterator[Server | StoreProcess | Carrier]:
        return cycle((self.server, self.store, self.carrier))


@pytest.fixture
def installation(settings: Settings) -> Iterator[Installation]:
    settings = replace(settings, server_port=free_port(), otlp_grpc_port=0)
    made = Installation(Server(settings), StoreProcess(settings), Carrier(settings))
    made.store.start()
    yield made
    made.server.kill()
    made.carrier.kill()
    made.store.kill()


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(installation: Installation) -> None:
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
    with Senders(settings.server_url, key) as senders:
        for victim in islice(installation.victims(), KILLS):
            senders.go_on()
            victim.kill()
            if victim is not installation.server:
                senders.go_on()  # what is acknowledged meanwhile waits in the journal
            victim.start()
        senders.go_on()
    asked = time.monotonic()
    sql = "SELECT span_id FROM {table} WHERE project_id = {{project:String}}"

    def stored(table: str) -> Counter[str]:
        rows = reading.ask(stores, sql.format(table=table), {"project": first.project_id})
        return Counter(row["span_id"] for row in rows)

    eventually("all are readable", lambda: set(senders.acknowledged) <= stored("spans").keys(), 30)
    waited = time.monotonic() - asked
    installation.server.end(signal.SIGTERM)
    eventually("the journals are empty", lambda: not list(settings.folder.journal.glob("*/*.seg")), 30)
    for table in ("spans", "traces FINAL"):
        found = stored(table)
        assert set(senders.acknowledged) <= found.keys() <= senders.sent, table
        assert set(found.values()) == {1}, f"a row of {table} stands twice"
    assert len(senders.acknowledged) > KILLS * 20 * EACH
    stores.close()
    print(
        f"{KILLS} kills of server, store and tailer, {len(senders.acknowledged)} spans acknowledged,"
        f" {senders.again} batches sent again, {waited:.2f} s"
    )
