"""Public conversations for the demo: two files of Google's Schema-Guided Dialogue, fetched from their authors' repository.

In: a cache folder. Out: rows in chat fine-tuning shape, split by dialogue, or None when the network does not give them.
Each file is checked against a pinned SHA-256, so what is trained on is what was looked at. A row is a customer's
turn that names at least one value, with the agent's words before it; the target is the call to make: the active intent and
the values as the customer said them (categorical slots, which need not be said literally, are left out).
Source: https://github.com/google-research-datasets/dstc8-schema-guided-dialogue, CC BY-SA 4.0.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

Row = dict[str, Any]

_BASE = "https://raw.githubusercontent.com/google-research-datasets/dstc8-schema-guided-dialogue/master/test/"
_FILES = {
    "dialogues_001.json": "1fa13b0fe607100bc66ed15e0490df9c52a2cec087ca9733e0f506755eef0ada",
    "dialogues_002.json": "b3b2a2596fad9146e96e4e1aa288f975332e2c7a3153bb2379d75e8d71c35a20",
}
_TEST_SHARE = 5
"""Every fifth dialogue is for testing."""


def fetch_schema_guided(cache: Path, *, base: str = _BASE) -> tuple[list[Row], list[Row]] | None:
    """(train, test) rows, or None when a file cannot be had or is not the one we know."""
    train: list[Row] = []
    test: list[Row] = []
    for name, digest in _FILES.items():
        data = _cached(cache / name, digest) or _fetched(base + name, digest, cache / name)
        if data is None:
            return None
        for dialogue in json.loads(data):
            number = int(dialogue["dialogue_id"].rpartition("_")[2])
            (test if number % _TEST_SHARE == 0 else train).extend(rows_of(dialogue))
    return train, test


def rows_of(dialogue: dict[str, Any]) -> Iterator[Row]:
    """The rows of one dialogue of the data set."""
    before = ""
    for number, turn in enumerate(dialogue["turns"]):
        if turn["speaker"] == "USER" and (call := _call(turn)) is not None:
            said = [{"role": "assistant", "content": before}] if before else []
            target = json.dumps(call, ensure_ascii=False, separators=(",", ":"))
            yield {
                "id": f"{dialogue['dialogue_id']}#{number}",
                "session": dialogue["dialogue_id"],
                "messages": [
                    *said,
                    {"role": "user", "content": turn["utterance"]},
                    {"role": "assistant", "content": target},
                ],
            }
        before = turn["utterance"]


def _call(turn: dict[str, Any]) -> dict[str, str] | None:
    frame = turn["frames"][0]
    spans = {slot["slot"]: turn["utterance"][slot["start"] : slot["exclusive_end"]] for slot in frame["slots"]}
    intent = frame["state"]["active_intent"]
    return {"name": intent, **dict(sorted(spans.items()))} if spans and intent != "NONE" else None


def _cached(path: Path, digest: str) -> bytes | None:
    if not path.is_file():
        return None
    data = path.read_bytes()
    return data if hashlib.sha256(data).hexdigest() == digest else None


def _fetched(url: str, digest: str, path: Path) -> bytes | None:
    try:
        response = httpx.get(url, timeout=httpx.Timeout(5.0, read=30.0))
        response.raise_for_status()
    except httpx.HTTPError:
        return None
    if hashlib.sha256(response.content).hexdigest() != digest:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(response.content)
    return response.content
