"""What Langfuse's SDK gets from Noria when nothing but its host and key are changed."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app.up import eventually
from tests.langfuse.conftest import Home

See = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """What the script of the newest version saw, for the tests that look at it from Noria's side."""
    return {}


def test_the_newest_version_does_all_that_it_does_with_langfuse(see: See, kept: dict[str, Any]) -> None:
    seen = see("use_v5.py", "langfuse")
    kept.update(seen)
    assert seen["signed in"] is True
    assert seen["health"] == "OK"
    _check_prompts(seen["prompts"])
    _check_traces(seen["traces"])
    _check_scores(seen["scores"])
    _check_datasets(seen["datasets"])
    media = {name: value for name, value in seen["media"].items() if name != "trace"}
    assert media == {"reference": True, "about": ["image/png", 70], "resolved": True, "item": True}
    refused = {name: status for name, (status, _) in seen["refusals"].items()}
    assert refused == {"models": 404, "no prompt": 404, "stranger": 401}
    assert seen["refusals"]["models"][1].startswith("Noria answers only a part of Langfuse's API")


def _check_prompts(seen: dict[str, Any]) -> None:
    assert seen["first"] == [1, True, ["production"], ["demo"], {"temperature": 0.2}]
    assert seen["compiled"] == 'Hello Ada! Answer as JSON: {{"a": 1}}'
    assert seen["second"] == [2, "Hi Ada.", "shorter"]
    assert (seen["latest"], seen["by number"]) == (2, 1)
    assert seen["moved"] == [2, ["latest", "production", "staging"]]
    assert [one["content"] for one in seen["chat"]] == ["You know tea.", "Hm.", "Why?"]
    assert seen["fallback"] == [True, "Hello Ada"]
    assert seen["listed"]["Team A/greeting"] == [[1, 2], ["latest", "production", "staging"]]
    assert seen["pages"] == [2, 1]


def _check_traces(seen: dict[str, Any]) -> None:
    assert seen["root"] == ["SPAN", True, {"args": ["Why?"], "kwargs": {}}, "Because."]
    assert seen["metadata"] == {"seats": 3, "number": "123"}
    assert seen["generation"] == ["GENERATION", "tea-1", {"temperature": 0.5}, seen["root id"]]
    assert seen["usage"] == [{"input": 12, "output": 5, "total": 17}, {"total": 0.003}]
    assert seen["prompt"] == ["support", 1]
    assert (seen["input"], seen["output"]) == ([{"role": "user", "content": "Why?"}], "Because.")
    assert seen["tool"] == ["TOOL", {"q": "Why?"}, ["page 1", "page 2"], "WARNING", "slow"]
    assert seen["about"] == ["chat-7", "ada"]
    assert seen["filtered"] == ["answer"]
    assert seen["paged"] == 3


def _check_scores(seen: dict[str, Any]) -> None:
    assert seen["values"] == {
        "helpful": ["BOOLEAN", True, "trace"],
        "tone": ["CATEGORICAL", "warm", "observation"],
        "Overall quality": ["NUMERIC", 0.9, "trace"],
        "better": ["CORRECTION", "Because of tea.", "trace"],
    }
    assert seen["mine"] == ["mine-1", "again"]
    assert seen["metadata"] == {"by": "rule"}
    assert seen["session"] == [["resolved", "yes"]]


def _check_datasets(seen: dict[str, Any]) -> None:
    assert seen["made"] == ["Team A/capitals", "Of countries.", {"owner": "ada"}]
    assert seen["items"] == [
        ["capital-0", {"country": "Italy"}, "Rome", {"number": 0}],
        ["capital-1", "Korea", {"city": "Seoul!"}, {"number": 1}],
        ["capital-2", [{"role": "user", "content": "Kenya"}], "Nairobi", {"number": 2}],
    ]
    assert seen["source"] is True
    assert seen["item"] == "ARCHIVED"
    assert seen["run"] == ["first try", 3, True, True]
    assert seen["run score"] == [["mean exact", 0.667]]
    assert seen["run items"] == [["capital-0", [1.0]], ["capital-1", [1.0]], ["capital-2", [0.0]]]
    assert seen["expected"]["capital-1"] == {"city": "Seoul!"}


def test_version_4_reads_back_traces_sessions_and_runs(see: See) -> None:
    seen = see("use_v4.py", "langfuse4")
    traces = seen["traces"]
    assert traces["one"] == ["support", "chat-4", "bob", ["old"], {"args": ["Why?"], "kwargs": {}}, True, "3"]
    assert traces["cost"] == [0.003, 17, 5]
    assert traces["scores"] == [["Helpful", 1.0, "True"]]
    assert traces["pages"] == [2, 2, True]
    assert (traces["observations"], traces["observation"]) == (["answer"], "tea-1")
    assert traces["session"] is True
    assert "chat-4" in traces["sessions"]
    assert seen["scores"] == {
        "given": "hand-1",
        "found": 2,
        "word": ["CATEGORICAL", "fine", True],
        "pages": [3, 3],
    }
    assert seen["runs"] == {
        "items": 3,
        "run": ["first", 3, True],
        "listed": ["first"],
        "run items": 3,
        "deleted": "Dataset run successfully deleted",
        "left": 0,
    }


def test_version_2_tells_of_its_spans_in_pieces(see: See, home: Home) -> None:
    seen = see("use_v2.py", "langfuse2")
    hand = seen["by hand"]
    assert hand["trace"] == [True, "support", "carol", "chat-2", ["newer", "old"]]
    assert hand["said"] == [{"q": "Why?"}, "Because.", {"plan": "pro"}]
    assert hand["tree"] == [True, True]
    # This SDK reads a fraction among parameters as text.
    assert hand["generation"] == ["GENERATION", "tea-1", {"temperature": "0.5"}, "Because."]
    assert hand["usage"] == [{"input": 12, "output": 5, "total": 17}, 0.003]
    assert hand["metadata"] == {"seats": 3, "more": "yes"}
    assert hand["event"] == ["WARNING", "took long"]
    assert hand["observation"] == "answer"
    assert hand["listed"] == [1, True]
    assert hand["scores"] == [["helpful", "BOOLEAN", "True"], ["tone", "CATEGORICAL", "warm"]]
    decorated = seen["by decorator"]
    assert decorated["trace"] == ["outer", "dan", "chat-3", True]
    assert decorated["failed"] == ["ERROR", "How?", "tea-2", {"input": 1, "output": 2, "total": 3}]
    assert decorated["scores"] == [["quality", 0.9]]
    assert seen["others"] == {
        "compiled": "Hello Ada!",
        "prompt": ["v2-greeting", 1],
        "own id": "by an id of one's own",
        "signed in": True,
    }
    [row] = home.get("/api/traces", q="user:carol model:tea-1")["items"]
    assert (row["trace_id"], row["spans"], row["cost_micros"]) == (hand["id"], 4, 3000)


def test_noria_has_it_all_as_its_own(home: Home, kept: dict[str, Any]) -> None:
    if not kept:
        pytest.skip("needs what the newest version left")
    prompt = home.get("/api/prompts/support")
    assert prompt["labels"] == {"production": 1}
    assert prompt["versions"][0]["messages"][1] == {"role": "messages", "name": "history"}
    trace = home.get(f"/api/traces/{kept['traces']['trace']}")
    spans = {node["span"]["name"]: node["span"] for node in trace["spans"]}
    assert (spans["answer"]["prompt_name"], spans["answer"]["prompt_version"]) == ("support", 1)
    assert trace["totals"]["cost_micros"] == 3000
    listed = home.get("/api/traces", q="session:chat-7 attr.langfuse.observation.metadata.seats:3")["items"]
    assert [row["trace_id"] for row in listed] == [kept["traces"]["trace"]]
    names = [one["name"] for one in home.get("/api/datasets")["items"]]
    [name] = [one for one in names if one.startswith("team-a-capitals-")]

    def versions() -> Any:
        return home.get(f"/api/datasets/{name}")["versions"]

    eventually(versions, "version of the items")
    rows = home.get(f"/api/datasets/{name}/versions/{versions()[0]['number']}/rows")["items"]
    assert [row["row_id"] for row in rows] == ["capital-0", "capital-1", "capital-2"]
    assert {row["split"] for row in rows} == {"test"}
    assert rows[0]["messages"][-1] == {"role": "assistant", "content": "Rome"}
    verbs = {entry["verb"] for entry in home.get("/api/audit", limit=200)["items"]}
    assert {"prompt.version", "prompt.label", "dataset.create", "dataset.item", "media.add", "score.give"} <= verbs


def test_pages_show_what_came(home: Home, kept: dict[str, Any]) -> None:
    if not kept:
        pytest.skip("needs what the newest version left")
    with httpx.Client(base_url=home.url, trust_env=False, follow_redirects=True) as browser:
        browser.post("/login", data={"email": home.email, "password": home.password})
        page = browser.get(kept["traces"]["url"])
        assert page.url.path == f"/traces/{kept['traces']['trace']}"
        assert "Why?" in page.text
        assert "chat-7" in page.text
        names = [one["name"] for one in home.get("/api/datasets")["items"]]
        [name] = [one for one in names if one.startswith("team-a-capitals-")]
        listed = browser.get(f"/datasets/{name}")
        assert listed.status_code == 200
        for words in ("Team A/capitals", "Items one by one", "first try", "mean exact"):
            assert words in listed.text
        prompt = browser.get(
            "/prompts/" + next(one["name"] for one in home.get("/api/prompts")["items"] if one["tags"])
        )
        assert "Team A/greeting" in prompt.text
        assert "temperature" in browser.get(f"{prompt.url}?version=1").text
        pictured = browser.get(f"/traces/{kept['media']['trace']}").text
        start = pictured.index('<img src="/media/') + len('<img src="')
        picture = browser.get(pictured[start : pictured.index('"', start)])
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")
