"""Where the demo's conversations come from, and how they are split between dataset and live traffic.

In: a folder of the user's own, a public data set, or the conversations that ship with Noria. Out: a `Source` with files to
import and a few training rows held back, which play the customers of the live traffic. The decision to know: what is
held back is never imported from a file; it reaches the dataset only as feedback, through the front door.
"""

import hashlib
import json
import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from noria.app.demo.sgd import fetch_schema_guided
from noria.core.errors import BadInput
from noria.datasets.importing import Import, Upload
from noria.evaluation.records import Task
from noria.evaluation.rows import detect

Row = dict[str, Any]

SEED = 7


@dataclass(frozen=True, slots=True)
class Source:
    """Rows in OpenAI's chat fine-tuning shape, and where they are from."""

    name: str
    licence: str
    train: list[Row]
    test: list[Row]
    traffic: list[Row]
    """Rows held back from `train`; customers whose right answer is known."""
    task: Task
    """What the targets are, as evaluations will see them."""
    refused: list[str] = field(default_factory=list)
    """Lines of the user's files that cannot be used, each with its number and the reason."""


def choose(folder: Path | None, *, intents: int, traffic: int, cache: Path) -> Source:
    """The rows to use. `folder` wins; else NORIA_DATA_SETS/sgd-calls; else the public files; else what ships with Noria.

    Raises BadInput when `folder` does not hold train and test files of a known shape.
    """
    if folder is not None:
        return _from_folder(folder, intents=intents, traffic=traffic)
    sets = os.environ.get("NORIA_DATA_SETS", "")
    if sets and (Path(sets) / "sgd-calls" / "train.jsonl").is_file():
        return _from_folder(Path(sets) / "sgd-calls", intents=intents, traffic=traffic)
    if (fetched := fetch_schema_guided(cache)) is not None:
        train, test = fetched
        name = "Schema-Guided Dialogue, fetched from google-research-datasets/dstc8-schema-guided-dialogue"
        return _source(name, "CC BY-SA 4.0", train, test, traffic=traffic)
    return shipped(traffic=traffic)


def shipped(*, traffic: int) -> Source:
    """The conversations that ship with Noria: a shop's support, English and Korean, written for it."""
    with as_file(files("noria.app.demo") / "conversations") as folder:
        train, test, _ = _read(folder, ".jsonl", {})
    return _source("the conversations that ship with Noria", "Apache-2.0", train, test, traffic=traffic)


def _from_folder(folder: Path, *, intents: int, traffic: int) -> Source:
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder.", hint="Give one that holds train and test files.")
    if (folder / "train.jsonl").is_file() and (folder / "test.jsonl").is_file():
        train, test, refused = _read(folder, ".jsonl", {})
    elif (folder / "train.csv").is_file() and (folder / "test.csv").is_file():
        train, test, refused = _read(folder, ".csv", {"text": "text", "label": "category"})
        train, test = _some_intents(train, test, intents)
    else:
        raise BadInput(
            f"{folder} holds neither train.jsonl and test.jsonl nor train.csv and test.csv.",
            hint="Give a folder with both files: chat fine-tuning JSONL, or CSV with the columns text and category.",
        )
    return _source(folder.resolve().name, "as its owner says", train, test, traffic=traffic, refused=refused)


def _read(folder: Path, suffix: str, mapping: dict[str, str]) -> tuple[list[Row], list[Row], list[str]]:
    """Rows of the train and test files as an import takes them, and what it refuses. Raises BadInput."""
    paths = [folder / f"{split}{suffix}" for split in ("train", "test")]
    uploads = [Upload(path, hashlib.sha256(path.read_bytes()).hexdigest(), path.name, path.stem) for path in paths]
    with tempfile.TemporaryFile() as aside:
        run = Import(uploads, mapping, aside)
        rows: dict[str, list[Row]] = {"train": [], "test": []}
        for example in run.examples():
            name = f"{example.split}-{example.source['line']}"
            rows[example.split].append({"id": name, **example.meta, "messages": example.messages})
    refused = [f"{one['file']}, line {one['line']}: {one['reason']}" for one in run.report["refused_lines"]]
    return rows["train"], rows["test"], refused


def _source(
    name: str, licence: str, train: list[Row], test: list[Row], *, traffic: int, refused: Sequence[str] = ()
) -> Source:
    order = list(range(len(train)))
    random.Random(SEED).shuffle(order)
    held = set(order[: min(traffic, len(train) // 5)])
    return Source(
        name=name,
        licence=licence,
        train=[row for i, row in enumerate(train) if i not in held],
        test=test,
        traffic=[train[i] for i in order if i in held],
        task=detect([answer(row) for row in test]),
        refused=list(refused),
    )


def answer(row: Row) -> str:
    """The right answer of a row: its last message."""
    return str(row["messages"][-1]["content"])


def question(row: Row) -> list[dict[str, str]]:
    """What the model gets to see of a row: all messages but the last."""
    return list(row["messages"][:-1])


def session(row: Row, index: int) -> str:
    """The conversation that a row belongs to."""
    return str(row.get("session") or f"demo-{index}")


def _some_intents(train: list[Row], test: list[Row], count: int) -> tuple[list[Row], list[Row]]:
    """Rows of `count` labels evenly spaced in the alphabet, shuffled with a fixed seed."""
    labels = sorted({answer(row) for row in train}, key=str.casefold)
    count = min(count, len(labels))
    chosen = {labels[i * len(labels) // count] for i in range(count)}
    kept = [[row for row in rows if answer(row) in chosen] for rows in (train, test)]
    for rows in kept:
        random.Random(SEED).shuffle(rows)
    return kept[0], kept[1]


def write_jsonl(path: Path, rows: list[Row]) -> Path:
    """`rows` as a JSONL file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
