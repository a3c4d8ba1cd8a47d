"""The demo's conversations: what ships, what is fetched, what a user brings."""

import hashlib
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from noria.app.demo import sgd
from noria.app.demo.data import answer, choose, shipped
from noria.app.demo.prompts import BRIEFS, few_shot, short
from noria.core.errors import BadInput
from noria.registry.templates import compile_text
from tests.conftest import data_set

ROOT = Path(__file__).parents[2]


def test_shipped_conversations_are_many_bilingual_and_have_valid_targets() -> None:
    source = shipped(traffic=96)
    rows = source.train + source.test + source.traffic
    assert source.task == "calls"
    assert len(rows) >= 800
    languages = Counter(row["language"] for row in rows)
    assert min(languages["en"], languages["ko"]) > 250
    names = {json.loads(answer(row))["name"] for row in rows}
    assert len(names) >= 15
    assert {json.loads(answer(row))["name"] for row in source.test} == names


def test_shipped_conversations_hold_something_to_clean() -> None:
    source = shipped(traffic=0)
    asked = [json.dumps(row["messages"]) for row in source.train]
    assert len(asked) - len(set(asked)) >= 20
    tested = {json.dumps(row["messages"]) for row in source.test}
    assert sum(messages in tested for messages in asked) >= 10
    assert any("4111 1111 1111 1111" in messages for messages in asked)


def test_shipped_conversations_are_what_the_script_writes(tmp_path: Path) -> None:
    here = ROOT / "src" / "noria" / "app" / "demo" / "conversations"
    before = {file.name: file.read_bytes() for file in here.glob("*.jsonl")}
    code = (
        "import sys, runpy, pathlib; sys.path.insert(0, 'scripts'); import write_conversations as w;"
        f"w.TARGET = pathlib.Path({str(tmp_path)!r}); w.main()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.jsonl")} == before


def test_what_plays_the_customers_is_not_imported() -> None:
    source = shipped(traffic=96)
    assert len(source.traffic) == 96
    imported = {row["id"] for row in source.train}
    assert not imported & {row["id"] for row in source.traffic}


def test_a_folder_of_the_users_own_wins_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a folder"):
        choose(tmp_path / "elsewhere", intents=12, traffic=4, cache=tmp_path)
    with pytest.raises(BadInput, match="neither train"):
        choose(tmp_path, intents=12, traffic=4, cache=tmp_path)
    (tmp_path / "train.csv").write_text("text,category\n" + "".join(f"q{i},l{i % 6}\n" for i in range(60)))
    (tmp_path / "test.csv").write_text("text,wrong\nq,l\n")
    with pytest.raises(BadInput, match="no column 'category'"):
        choose(tmp_path, intents=3, traffic=4, cache=tmp_path)
    (tmp_path / "test.csv").write_text("text,category\n" + "".join(f"t{i},l{i % 6}\n" for i in range(12)))
    source = choose(tmp_path, intents=3, traffic=4, cache=tmp_path)
    assert source.task == "classification"
    assert {answer(row) for row in source.train + source.test} == {"l0", "l2", "l4"}


def test_lines_that_cannot_be_used_are_named_and_the_rest_is_taken(tmp_path: Path) -> None:
    good = [
        {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}]} for i in range(9)
    ]
    lines = [json.dumps(row).encode() for row in good]
    (tmp_path / "train.jsonl").write_bytes(b"\n".join([*lines[:4], b"no JSON", *lines[4:8], b'{"messages": "\xff"}']))
    (tmp_path / "test.jsonl").write_bytes(lines[8])
    source = choose(tmp_path, intents=12, traffic=2, cache=tmp_path)
    assert len(source.train) + len(source.traffic) == 8
    assert [line.partition(":")[0] for line in source.refused] == ["train.jsonl, line 5", "train.jsonl, line 10"]
    (tmp_path / "test.jsonl").write_bytes(b"")
    with pytest.raises(BadInput, match=r"test.jsonl is empty"):
        choose(tmp_path, intents=12, traffic=2, cache=tmp_path)


def test_banking77_intents_are_evenly_spaced() -> None:
    source = choose(data_set("banking77"), intents=12, traffic=96, cache=Path("unused"))
    assert len({answer(row) for row in source.train}) == 12
    assert len(source.test) == 480


def test_few_shot_prompt_shows_each_kind_once_and_compiles() -> None:
    source = shipped(traffic=96)
    text = few_shot(BRIEFS["calls"], source.train)
    assert text.endswith(short(BRIEFS["calls"]))
    rendered = compile_text(text).render({"messages": [{"role": "user", "content": "where is 1"}]})
    assert rendered.endswith("user: where is 1\ncall:")
    assert rendered.count("\ncall: {") == 12


DIALOGUE: dict[str, Any] = {
    "dialogue_id": "9_00003",
    "turns": [
        {
            "speaker": "USER",
            "utterance": "A table for two at Luna",
            "frames": [
                {
                    "slots": [{"slot": "place", "start": 19, "exclusive_end": 23}],
                    "state": {"active_intent": "Reserve"},
                }
            ],
        },
        {"speaker": "SYSTEM", "utterance": "When?", "frames": [{"slots": []}]},
        {
            "speaker": "USER",
            "utterance": "I do not know",
            "frames": [{"slots": [], "state": {"active_intent": "Reserve"}}],
        },
    ],
}


def test_dialogues_become_rows_of_what_was_said_literally() -> None:
    rows = list(sgd.rows_of(DIALOGUE))
    assert [row["messages"] for row in rows] == [
        [
            {"role": "user", "content": "A table for two at Luna"},
            {"role": "assistant", "content": '{"name":"Reserve","place":"Luna"}'},
        ]
    ]


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_fetched_file_that_is_not_the_pinned_one_is_not_used(tmp_path: Path) -> None:
    with serving(json.dumps([DIALOGUE]).encode()) as base:
        assert sgd.fetch_schema_guided(tmp_path, base=base) is None
    assert list(tmp_path.iterdir()) == []


def test_the_public_files_give_rows_when_they_are_here(tmp_path: Path) -> None:
    folder = data_set("sgd")
    for name, digest in sgd._FILES.items():
        body = (folder / f"test_{name}").read_bytes()
        assert hashlib.sha256(body).hexdigest() == digest
        (tmp_path / name).write_bytes(body)
    fetched = sgd.fetch_schema_guided(tmp_path, base="http://127.0.0.1:9/")
    assert fetched is not None
    train, test = fetched
    assert len(train) + len(test) == 416
    assert not {row["session"] for row in train} & {row["session"] for row in test}
