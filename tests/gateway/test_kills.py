"""A gateway that is killed again and again under load: every request that got a complete answer has exactly one span.

NORIA_KILLS says how often (default 3; the bar of the project is 100).
"""

import os
import signal
import threading
from collections import Counter
from typing import Any

import httpx

from tests.gateway.conftest import Running, until

KILLS = int(os.environ.get("NORIA_KILLS", "3"))


class Load:
    """Clients that ask without a pause, plain and streamed, and remember whose answer was complete."""

    def __init__(self, gateway: Running, clients: int = 6) -> None:
        self.gateway = gateway
        self.complete: list[str] = []
        self.cut = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._stop.is_set():
                self._one(client, stream=number % 2 == 0)

    def _one(self, client: httpx.Client, *, stream: bool) -> None:
        body: dict[str, Any] = {
            "model": "assistant",
            "messages": [{"role": "user", "content": "a b c"}],
            "stream": stream,
        }
        try:
            answer = client.post(
                f"{self.gateway.url}/v1/chat/completions",
                headers={"authorization": f"Bearer {self.gateway.key}"},
                json=body,
            )
        except httpx.TransportError:
            self.cut += 1
            self._stop.wait(0.02)  # nobody listens for a moment
            return
        whole = answer.text.endswith("data: [DONE]\n\n") if stream else answer.is_success
        if whole:
            self.complete.append(answer.headers["x-noria-trace-id"])


def test_a_complete_answer_has_exactly_one_span_whatever_was_killed(make_gateway: Any) -> None:
    gateway = make_gateway()
    gateway.serve("ok")
    with Load(gateway) as load:
        for _ in range(KILLS):
            count = len(load.complete)
            until(lambda count=count: len(load.complete) > count + 20, 60)  # type: ignore[misc]
            gateway.stop(signal.SIGKILL)
            gateway.start()
        count = len(load.complete)
        until(lambda: len(load.complete) > count + 20, 60)
    spans = Counter(span["trace_id"] for span in gateway.spans())
    answered = set(load.complete)
    assert len(answered) == len(load.complete) > KILLS * 20
    assert answered <= set(spans), "an answer without its span"
    assert set(spans.values()) == {1}, "a span that stands twice"
    print(f"{KILLS} kills, {len(answered)} complete answers, {load.cut} cut off, {len(spans)} spans")
