"""Responses kept in files: fetched, continued, deleted, forgotten; by several processes at once."""

import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.core.errors import BadInput, NotFound, TooLarge
from noria.core.folder import Folder
from noria.gateway.dialects.responses import Responses
from noria.gateway.dialects.responses import ids as responses_ids
from noria.gateway.dialects.responses.input import sealed
from noria.gateway.failures import NotReady
from noria.gateway.response_store import ResponseStore, items_of, portable

DAY = 86_400


def made(text: str = "Hi", **body: Any) -> dict[str, Any]:
    """A response as the dialect makes it."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return Responses().answer({"model": "m", "choices": [choice]}, {"model": "m", "input": "x", **body})


def store_in(folder: Path, later: float = 0.0) -> ResponseStore:
    return ResponseStore(Folder(folder).responses, now=lambda: time.time() + later)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_is_kept_can_be_fetched_and_is_for_our_eyes_only(tmp_path: Path) -> None:
    store, response = store_in(tmp_path), made("Grüße \U0001f600")
    store.keep("p1", response, [{"role": "user", "content": "x"}])
    assert store_in(tmp_path).get("p1", response["id"]).response == response
    (path,) = files(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(up.stat().st_mode) for up in list(path.parents)[:3]] == [0o700] * 3


def test_another_project_sees_nothing_and_deletes_nothing(tmp_path: Path) -> None:
    store, response = store_in(tmp_path), made()
    store.keep("p1", response, [])
    for attempt in (store.get, store.delete):
        with pytest.raises(NotFound):
            attempt("p2", response["id"])
    with pytest.raises(BadInput):
        store.continued("p2", {"input": "x", "previous_response_id": response["id"]})
    assert store.get("p1", response["id"])


def test_store_false_is_honoured(tmp_path: Path) -> None:
    store, response = store_in(tmp_path), made(store=False)
    store.keep("p1", response, [])
    assert files(tmp_path) == []


def test_deletion_unlinks(tmp_path: Path) -> None:
    store, response = store_in(tmp_path), made()
    store.keep("p1", response, [])
    assert store.delete("p1", response["id"]) == {"id": response["id"], "object": "response", "deleted": True}
    assert files(tmp_path) == []
    with pytest.raises(NotFound):
        store.delete("p1", response["id"])


def test_a_conversation_is_put_before_the_new_input(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    body: dict[str, Any] = {"model": "m", "instructions": "Be brief.", "input": "one"}
    for word in ("two", "three"):
        response = made(word.upper(), **body)
        body = store.continued("p1", body)
        store.keep("p1", response, items_of(body))
        body = {"model": "m", "input": word, "previous_response_id": response["id"]}
    chat = Responses().to_chat(store.continued("p1", body))
    said = [(message["role"], message["content"]) for message in chat["messages"]]
    assert said == [("user", "one"), ("assistant", "TWO"), ("user", "two"), ("assistant", "THREE"), ("user", "three")]
    assert body["input"] == "three", "the request is left as it is"


def test_a_request_that_continues_nothing_stays_as_it_is(tmp_path: Path) -> None:
    body = {"input": "x", "previous_response_id": None}
    assert store_in(tmp_path).continued("p1", body) is body


@pytest.mark.parametrize(
    "previous", ["resp_unknown", 7, "", "../../etc/passwd", "resp_01a2187d72a873fd9fd0b23e50b14c5b"]
)
def test_an_unknown_previous_response_is_bad_input(tmp_path: Path, previous: Any) -> None:
    with pytest.raises(BadInput, match="previous_response_id") as caught:
        store_in(tmp_path).continued("p1", {"input": "x", "previous_response_id": previous})
    assert caught.value.code == "previous_response_not_found"


def test_a_conversation_without_end_is_refused(tmp_path: Path) -> None:
    store, response = ResponseStore(Folder(tmp_path).responses, most_bytes=100), made()
    store.keep("p1", response, [])
    with pytest.raises(TooLarge):
        store.continued("p1", {"input": "x", "previous_response_id": response["id"]})


def test_thirty_days_are_enough(tmp_path: Path) -> None:
    response = made()
    store_in(tmp_path).keep("p1", response, [])
    assert store_in(tmp_path, 29.9 * DAY).get("p1", response["id"])
    with pytest.raises(NotFound):
        store_in(tmp_path, 30.1 * DAY).get("p1", response["id"])
    assert store_in(tmp_path, 29.9 * DAY).purge() == 0
    assert files(tmp_path)
    assert store_in(tmp_path, 32 * DAY).purge() == 1
    assert files(tmp_path) == []
    assert store_in(tmp_path, 32 * DAY).purge() == 0


def test_purging_touches_nothing_else_and_needs_no_folder(tmp_path: Path) -> None:
    assert store_in(tmp_path).purge() == 0
    other = Folder(tmp_path).responses / "keep-me"
    other.mkdir(parents=True)
    store_in(tmp_path, 99 * DAY).purge()
    assert other.exists()


def test_a_disk_that_takes_nothing_is_not_ready(tmp_path: Path) -> None:
    Folder(tmp_path).responses.write_text("in the way")
    with pytest.raises(NotReady):
        store_in(tmp_path).keep("p1", made(), [])


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "resp_",
        "resp_../x",
        "resp_" + "0" * 31,
        "resp_" + "G" * 32,
        "resp_" + "0" * 32 + "\n",
        "x" * 5000,
        "resp_" + "۰" * 32,
    ],
)
def test_ids_of_another_form_are_not_found_and_never_a_path(tmp_path: Path, bad: str) -> None:
    with pytest.raises(NotFound):
        store_in(tmp_path).get("p1", bad)
    assert responses_ids.own_part(bad) is None


def _work(folder: Path, worker: int, ids: "multiprocessing.Queue[str]") -> None:
    store = store_in(folder)
    for number in range(20):
        response = made(f"{worker}-{number}")
        store.keep("p1", response, [])
        assert store.get("p1", response["id"]).response == response
        if number % 2:
            store.delete("p1", response["id"])
        else:
            ids.put(response["id"])
        store.purge()


def test_several_processes_share_the_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ids: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=_work, args=(tmp_path, worker, ids)) for worker in range(3)]
    for worker in workers:
        worker.start()
    kept = [ids.get(timeout=60) for _ in range(30)]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert all(store_in(tmp_path).get("p1", response_id) for response_id in kept)
    assert len(files(tmp_path)) == 30


def test_what_was_not_finished_is_not_there(tmp_path: Path) -> None:
    store, response = store_in(tmp_path), made()
    store.keep("p1", response, [])
    (path,) = files(tmp_path)
    os.truncate(path, 20)
    with pytest.raises(NotFound):
        store.get("p1", response["id"])


def test_items_for_a_provider_that_never_saw_them() -> None:
    kept = [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e"},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": sealed([{"type": "thinking"}])},
        made()["output"][0],
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
    ]
    assert portable(kept) == [
        {"role": "user", "content": "x"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "e"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]


@settings(deadline=None)
@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40),
    st.from_regex(r"resp_[A-Za-z0-9_-]{1,60}", fullmatch=True),
)
def test_ids_of_providers_lead_back(release: str, original: str) -> None:
    told = responses_ids.native_id(release, original)
    assert responses_ids.native_of(told) == responses_ids.Native(release, original)
    assert responses_ids.own_part(told) is None
    assert responses_ids.native_id(release, told) == told


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map(lambda text: "resp_at_" + text)))
def test_any_other_text_is_no_id_or_a_harmless_one(text: str) -> None:
    native = responses_ids.native_of(text)
    assert native is None or ("/" not in native.original and native.original.strip("."))


@pytest.mark.parametrize("original", ["../admin", "..", "a/b", "a?b", "a b", "a#b", "a%2fb", "é"])
def test_what_would_leave_the_path_does_not_lead_back(original: str) -> None:
    assert responses_ids.native_of(responses_ids.native_id("r", original)) is None


def test_a_providers_answers_and_events_are_told_with_ids_that_lead_back() -> None:
    answer = {"object": "response", "id": "resp_a", "previous_response_id": "resp_0", "output": [{"id": "msg_1"}]}
    told = responses_ids.rewrapped({"type": "response.created", "response": answer}, "r1")["response"]
    assert responses_ids.native_of(told["id"]) == responses_ids.Native("r1", "resp_a")
    assert told["output"] == answer["output"]
    body, release = responses_ids.unwrapped({"input": "x", "previous_response_id": told["previous_response_id"]})
    assert (body["previous_response_id"], release) == ("resp_0", "r1")
    assert responses_ids.unwrapped({"input": "x"}) == ({"input": "x"}, "")
    delta = {"type": "response.output_text.delta", "delta": "x"}
    assert responses_ids.rewrapped(delta, "r1") is delta
    with pytest.raises(BadInput, match="previous_response_id"):
        responses_ids.unwrapped({"previous_response_id": made()["id"]})
