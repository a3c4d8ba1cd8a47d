"""Drives a keeper in tests: ticks it until something is true."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from noria.core.settings import Settings
from noria.registry.snapshot import EngineEntry, Snapshot
from noria.serving.keeper import EngineKeeper


def wanted(**engines: tuple[Path, Path | None]) -> Snapshot:
    """A snapshot that wants these engines: key=(model, adapter)."""
    return Snapshot(
        engines={key: EngineEntry(key, str(model), str(adapter or "")) for key, (model, adapter) in engines.items()}
    )


def statuses(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the gateway would read."""
    found: dict[str, dict[str, Any]] = json.loads(settings.folder.engines.read_bytes())
    return found


def tick_until(
    keeper: EngineKeeper, snapshot: Snapshot, true: Callable[[], bool], seconds: float = 60.0, longest: float = 2.0
) -> None:
    """Tick as the supervisor does. Fails when `true` stays false, or when one tick takes longer than `longest` seconds."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        keeper.tick(snapshot)
        assert time.monotonic() - began < longest
        if true():
            return
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@contextmanager
def keeping(settings: Settings, snapshot: Snapshot) -> Iterator[dict[str, str]]:
    """The URLs of running engines by key."""
    keeper = EngineKeeper(settings)
    try:
        tick_until(keeper, snapshot, lambda: _all_ready(settings, snapshot))
        yield {key: status["url"] for key, status in statuses(settings).items()}
    finally:
        keeper.stop()


def _all_ready(settings: Settings, snapshot: Snapshot) -> bool:
    found = statuses(settings)
    return all(key in found and found[key]["state"] == "ready" for key in snapshot.engines)


def complete(url: str, prompt: str, **options: Any) -> dict[str, Any]:
    """One completion, greedy."""
    body = {"prompt": prompt, "temperature": 0, "max_tokens": 12, **options}
    answer = httpx.post(f"{url}/v1/completions", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def text(url: str, prompt: str, **options: Any) -> str:
    return str(complete(url, prompt, **options)["choices"][0]["text"])
