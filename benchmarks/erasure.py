"""Whether a person is gone: --spans (1,000,000) spans as in query.py, one of 5,000 people with --traces (200) traces of words that nobody else says.

The words stand in messages (English and Korean), a tag, a session, an attribute, a score, a picture, and, as a pair of letters, in the text index.
The raw files of the data folder are searched for them, compressed blocks too (noria.stores.rawsearch): before, so that the search is known
to find them; then the person is erased through the API while journals are carried; every way of reading (erasure_paths.py) is asked at
once; the job does its work; and the files are searched again, for the words and for a control person's. The last printed line is one JSON
object: figures, bars, whether all were met.
"""

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from starlette.testclient import TestClient

import query
from erasure_paths import Reader
from noria.app import schema as records_schema
from noria.app.slices import SLICES
from noria.core import clock, ids
from noria.core.records import Score, Span
from noria.core.settings import load
from noria.governance import erasure, service
from noria.stores import rawsearch
from noria.stores.connect import Stores
from noria.stores.journal import JournalWriter
from noria.tracing import migrations
from noria.tracing.tailer import Tailer
from noria.web import application

BARS = {
    "unseen_seconds": 60,
    "gone_seconds": 600,
    "seen_after": 0,
    "files_after": 0,
    "others_lost": 0,
    "wrong_figures": 0,
}
WORDS = {
    "english": "zwergmaulwurf",
    "korean": "쀍똻설치류",
    "letters in the text index": "쀍똻",
    "subject": "quappe@example.org",
    "tag": "tag-of-quappe",
    "session": "session-of-quappe",
    "attribute": "attribute-of-quappe",
    "score": "verdict-of-quappe",
    "step": "step-of-quappe",
    "picture": "picture-of-quappe",
}
CONTROL = "hauskatze-of-somebody-else"


@dataclass(slots=True)
class Planted:
    """What was planted, and who asks."""

    client: TestClient
    traces: list[str]
    control: str
    reader: Reader


def main() -> int:
    """Fill, plant, erase, search."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--spans", type=int, default=1_000_000)
    asked.add_argument("--traces", type=int, default=200)
    asked.add_argument("--days", type=int, default=query.DAYS, help="Over which all of it is spread.")
    asked.add_argument(
        "--sealed", action="store_true", help="Seal the span store: words must not be found before, either."
    )
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if options.sealed:
            os.environ["NORIA_SEAL_KEY"] = os.urandom(32).hex()
        settings = load({}, data=Path(temporary) / "data", seal_spans=options.sealed)
        settings.data.mkdir(parents=True)
        command = [sys.executable, "-m", "noria", "store"]
        with subprocess.Popen(command, env={**os.environ, **settings.environment()}) as process:
            stores = Stores(settings)
            try:
                query.until(settings.folder.store.exists)
                figures = measure(stores, process.pid, options)
            finally:
                stores.close()
                process.terminate()
    bars = dict(BARS)
    missed = figures.pop("missed")
    passed = not missed and all(figures[name] <= bar for name, bar in bars.items())
    print(json.dumps({"figures": figures, "bars": bars, "not_found_before": missed, "passed": passed}))
    return 0 if passed else 1


def measure(stores: Stores, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds, and what was found where."""
    records_schema.declare()
    stores.database.create_all()
    first = service.bootstrap(stores)
    assert first is not None
    migrations.prepare(stores.spans)
    query.PROJECT, query.DAYS = first.project_id, options.days
    query.fill(stores, options.spans)
    carrier = Tailer(stores)
    carrier.start()
    try:
        with TestClient(application.create(SLICES, stores, service.authenticate)) as client:
            client.headers["authorization"] = f"Bearer {first.key}"
            planted = plant(stores, client, first.project_id, options.traces)
            return erase(stores, psutil.Process(pid), planted, sealed=options.sealed)
    finally:
        carrier.stop()


def plant(stores: Stores, client: TestClient, project: str, count: int) -> Planted:
    """Journal the person's traces as the gateway would, over 60 days, and one of somebody else."""
    writer = JournalWriter(stores.settings.folder.journal / "gateway")
    planted = [_trace(writer, project, number, count) for number in range(count)]
    other = span(project, start=clock.now_ns(), said=CONTROL, subject_id="somebody-else")
    writer.append([{"type": "span", **other.to_dict()}])
    threading.Thread(target=_linger, args=(writer,), daemon=True).start()
    wanted = {"q": f"user:{WORDS['subject']}", "limit": "500"}
    query.until(lambda: len(client.get("/api/traces", params=wanted).json()["items"]) == min(count, 500))
    picture = _picture(client, planted[0])
    return Planted(client, planted, other.trace_id, Reader(client, WORDS, planted, picture))


def _picture(client: TestClient, trace_id: str) -> str:
    """A file as Langfuse's clients send it; its id."""
    content = f"\x89PNG {WORDS['picture']}".encode()
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    told = {"contentType": "image/png", "contentLength": len(content), "sha256Hash": sha256, "field": "input"}
    answer = client.post("/api/public/media", json={**told, "traceId": trace_id})
    assert client.put(answer.json()["uploadUrl"].partition("7701")[2], content=content).status_code == 200
    return str(answer.json()["mediaId"])


def _trace(writer: JournalWriter, project: str, number: int, count: int) -> str:
    start = clock.now_ns() - (count - number) * (query.DAYS * 86_400_000_000_000 // count)
    root = span(project, start=start, said=f"{WORDS['english']} {WORDS['korean']} {number}", **_ABOUT)
    step = span(project, start=start, said=WORDS["step"], trace_id=root.trace_id, parent_id=root.span_id)
    score = Score(ids.new_id(), project, root.trace_id, "feedback", "user", start, text=WORDS["score"])
    writer.append([{"type": "span", **one.to_dict()} for one in (root, step)])
    writer.append([{"type": "score", **score.to_dict()}])
    return root.trace_id


def _linger(writer: JournalWriter) -> None:
    """The segment stays open as a gateway's does; the writer ends with this process."""
    threading.Event().wait(3600)
    writer.close()


_ABOUT: dict[str, Any] = {
    "subject_id": WORDS["subject"],
    "session_id": WORDS["session"],
    "tags": [WORDS["tag"]],
    "attributes": {"note": WORDS["attribute"]},
}


def span(project: str, *, start: int, said: str, **fields: Any) -> Span:
    """One span of the gateway's."""
    own = {"trace_id": ids.new_trace_id(), "name": "chat", "kind": "llm", "endpoint": "assistant", "arm": "primary"}
    own |= {"span_id": ids.new_span_id(), "project_id": project, "start_ns": start, "end_ns": start + 1_000_000}
    own |= {"input_messages": [{"role": "user", "content": said}]}
    own |= {"output_messages": [{"role": "assistant", "content": f"answer to {said}"}]}
    return Span(**{**own, **fields})


def erase(stores: Stores, store: psutil.Process, planted: Planted, *, sealed: bool) -> dict[str, Any]:
    """Search, erase, ask, do the job, search."""
    folder = stores.settings.data
    figures: dict[str, Any] = {"spans": _count(stores, "spans"), "traces_of_the_person": len(planted.traces)}
    before = counted(folder, [*WORDS.values(), CONTROL])
    print(f"files that hold each word before: {before}", flush=True)
    figures["missed"] = [] if sealed else [word for word, count in before.items() if not count]
    in_store = rawsearch.search(stores.settings.folder.spans, [*WORDS.values(), CONTROL])
    figures["store_files_before"] = sum(map(len, in_store.values()))
    if sealed and figures["store_files_before"]:
        figures["missed"].append("words stand in sealed files")
    figures["files_before"] = sum(before.values())
    others, asked_before = _others(stores, planted), planted.reader.requests()
    theirs = planted.reader.requests(mine=True)
    shown = planted.reader.seen()
    print(f"shown before: {shown}", flush=True)
    figures["missed"] += [way for way, count in shown.items() if not count]
    figures["seen_before"] = sum(shown.values())
    began, used = time.monotonic(), query.cpu(store)
    answer = planted.client.post(f"/api/subjects/{WORDS['subject']}/erasure", json={"reason": "asked for it"})
    assert answer.status_code == 202, answer.text
    figures["unseen_seconds"] = round(time.monotonic() - began, 2)
    still = planted.reader.seen()
    figures["seen_after"] = sum(still.values())
    print(f"shown after {figures['unseen_seconds']} s by each way of reading: {still}", flush=True)
    figures["wrong_figures"] = abs(asked_before - planted.reader.requests() - theirs)
    erasure.perform(stores, SLICES, answer.json()["id"], _say)
    figures["gone_seconds"] = round(time.monotonic() - began, 1)
    figures["store_cpu_seconds"] = round(query.cpu(store) - used, 1)
    after = counted(folder, [*WORDS.values(), CONTROL])
    print(f"files that hold each word after {figures['gone_seconds']} s: {after}", flush=True)
    kept = after.pop(CONTROL)
    figures["files_after"] = sum(after.values())
    figures["control_files_after"] = kept
    if not kept and not sealed:
        figures["missed"].append(CONTROL)
    lost = others[0] - _others(stores, planted)[0]
    shown = planted.client.get(f"/api/traces/{planted.control}").status_code == 200
    figures["others_lost"] = abs(lost) + (0 if shown else 1)
    return figures


def _say(words: str) -> None:
    if words:
        print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


def counted(folder: Path, words: list[str]) -> dict[str, int]:
    """How many files hold each word."""
    return {word: len(paths) for word, paths in rawsearch.search(folder, words).items()}


def _count(stores: Stores, table: str) -> int:
    return int(stores.spans.query(f"SELECT count() AS n FROM {table}")[0]["n"])


def _others(stores: Stores, planted: Planted) -> tuple[int]:
    """Rows of everybody else, by what is not the person's."""
    mine = {"traces": planted.traces}
    total = 0
    for table in ("spans", "traces", "scores"):
        sql = f"SELECT count() AS n FROM {table} WHERE trace_id NOT IN {{traces:Array(String)}}"
        total += int(stores.spans.query(sql, mine)[0]["n"])
    return (total,)


if __name__ == "__main__":
    sys.exit(main())
