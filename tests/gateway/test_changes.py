"""Rollouts that change all the time under load: no request fails, and each answer is the release's that the snapshot named.

NORIA_CHANGES says how often (default 60; the bar of the project is 1,000).
"""

import os
import threading
from typing import Any

import httpx

from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, release, until

CHANGES = int(os.environ.get("NORIA_CHANGES", "60"))
RELEASES = {number: release(number, f"ok:change-{number}") for number in range(1, 6)}


def rollout(number: int) -> EndpointEntry:
    """Primary and canary wander through five releases."""
    primary, canary = number % 5 + 1, (number * 3 + 1) % 5 + 1
    share = 0.0 if canary == primary else (number % 4) / 4
    return EndpointEntry(
        "e-changes", "project", "changing", primary=primary, canary=canary, canary_share=share, releases=RELEASES
    )


def ask(gateway: Running, stop: threading.Event, seen: list[tuple[str, str, str]], failed: list[Any]) -> None:
    with httpx.Client(timeout=20) as client:
        while not stop.is_set():
            try:
                answer = client.post(
                    f"{gateway.url}/v1/chat/completions",
                    headers={"authorization": f"Bearer {gateway.key}"},
                    json={"model": "changing", "messages": [{"role": "user", "content": "hello"}]},
                )
            except httpx.TransportError as error:
                failed.append(repr(error))
                continue
            if not answer.is_success:
                failed.append(answer.text)
                continue
            headers = answer.headers
            seen.append((headers["x-noria-trace-id"], headers["x-noria-release"], answer.json()["model"]))


def test_rollouts_change_under_load_without_a_failed_request(make_gateway: Any) -> None:
    gateway: Running = make_gateway()
    gateway.publish(rollout(0))
    stop = threading.Event()
    seen: list[tuple[str, str, str]] = []
    failed: list[Any] = []
    threads = [threading.Thread(target=ask, args=(gateway, stop, seen, failed)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(1, CHANGES + 1):
        gateway.publish(rollout(number))  # waits until the gateway serves by it
    count = len(seen)
    until(lambda: len(seen) > count + 10)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []
    spans = {span["trace_id"]: span for span in gateway.spans()}
    for trace, named, model in seen:
        number = int(named.removeprefix("changing@"))
        assert model == f"ok:change-{number}-served", "the release that is named is the one that answered"
        span = spans[trace]
        assert span["release"] == span["requested_release"] == number
    last = rollout(CHANGES)
    assert {named for _, named, _ in seen[-5:]} <= {f"changing@{last.primary}", f"changing@{last.canary}"}
    print(f"{CHANGES} changes, {len(seen)} requests, none failed")
