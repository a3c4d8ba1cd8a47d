"""What releases are made of: addresses of providers, prompts and their versions, models and their files."""

import hashlib
from typing import Any

import pytest

from noria.core.errors import BadInput, Conflict, NotFound
from noria.registry import service
from noria.registry.addresses import check_base_url
from noria.registry.clauses import check_clauses
from tests.registry.conftest import BASE_SHA, GATE, World


@pytest.mark.parametrize(
    "url",
    [
        "ftp://models.example.org/v1",
        "https://",
        "https://user:password@models.example.org/v1",
        "https://models.example.org/v1?key=1",
        "https://models.example.org:99999/v1",
        "http://169.254.169.254/latest",
        "http://[fe80::1]/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://2852039166/v1",
        "http://0xa9fea9fe/v1",
        "http://metadata.google.internal/v1",
        "http://METADATA.google.internal./v1",
        "http://100.100.100.200/v1",
        "http://0.0.0.0:8000/v1",
        "http://models.example.org/v1\nx: y",
    ],
)
def test_addresses_that_no_provider_may_have(url: str) -> None:
    with pytest.raises(BadInput):
        check_base_url(url, allow_private=True)


def test_private_addresses_are_a_setting() -> None:
    for url in ("http://127.0.0.1:8000/v1", "http://10.0.0.7/v1", "http://[::1]:8000/v1", "http://2130706433/v1"):
        assert check_base_url(f"{url}/", allow_private=True) == url
        with pytest.raises(BadInput, match="refuses providers on loopback"):
            check_base_url(url, allow_private=False)
    assert check_base_url("https://8.8.8.8/v1", allow_private=False) == "https://8.8.8.8/v1"


def test_prompts_have_versions_and_labels(world: World) -> None:
    where: dict[str, Any] = {"project_id": world.project_id, "actor_id": world.author}
    with world.stores.database.begin() as connection:
        service.create_prompt(connection, name="call", **where)
        first = service.add_prompt_version(connection, name="call", format="text", template="{{input}}\n", **where)
        second = service.add_prompt_version(
            connection, name="call", format="text", template="Call:\n{{input}}\n", note="says what to do", **where
        )
        assert (first.number, second.number) == (1, 2)
        service.set_label(connection, name="call", label="production", version=1, **where)
        prompt = service.set_label(connection, name="call", label="production", version=2, **where)
        assert prompt.labels == {"production": 2} and prompt.latest == 2
        assert service.find_prompt_version(connection, world.project_id, "call@production").id == second.id
        with pytest.raises(NotFound, match="no label"):
            service.find_prompt_version(connection, world.project_id, "call@staging")
        with pytest.raises(BadInput, match="label"):
            service.set_label(connection, name="call", label="2", version=1, **where)
        with pytest.raises(Conflict):
            service.create_prompt(connection, name="call", **where)
        with pytest.raises(BadInput, match="line 2"):
            service.add_prompt_version(connection, name="call", format="text", template="a\n{{#b}}", **where)
        with pytest.raises(BadInput, match="format"):
            service.add_prompt_version(connection, name="call", format="text", messages=[{"role": "user"}], **where)
        with pytest.raises(BadInput, match="role"):
            service.add_prompt_version(connection, name="call", format="chat", messages=[{"role": "god"}], **where)


def test_a_diff_says_what_changed_line_by_line(world: World) -> None:
    where: dict[str, Any] = {"project_id": world.project_id, "actor_id": world.author, "name": "call"}
    with world.stores.database.begin() as connection:
        service.create_prompt(connection, **where)
        chats = [
            [{"role": "system", "content": "Be brief.\nBe kind."}, {"role": "messages"}],
            [{"role": "system", "content": "Be brief.\nBe exact."}, {"role": "messages"}],
        ]
        for messages in chats:
            service.add_prompt_version(connection, format="chat", messages=messages, **where)
        found = service.diff(connection, world.project_id, "call", "1", "2")
    assert found["unified"].splitlines() == [
        "--- call@1",
        "+++ call@2",
        "@@ -1,5 +1,5 @@",
        " [system]",
        " Be brief.",
        "-Be kind.",
        "+Be exact.",
        " ",
        " [messages]",
    ]
    assert (found["added"], found["removed"]) == (1, 1)
    changed = [line for line in found["lines"] if line["kind"] != "same"]
    assert changed == [
        {"kind": "del", "a": 3, "b": 0, "text": "Be kind."},
        {"kind": "add", "a": 0, "b": 3, "text": "Be exact."},
    ]


def test_the_base_model_is_registered_once_and_may_move(world: World) -> None:
    assert world.local_base() == world.local_base() == "base:1"
    with world.stores.database.begin() as connection:
        moved = service.ensure_local_base(
            connection, project_id=world.project_id, name="base", path="/other/base.gguf", sha256=BASE_SHA, size=4
        )
    assert (moved.number, moved.files[0]["path"]) == (1, "/other/base.gguf")
    [model] = service.list_models(world.stores, world.project_id).items
    assert (model.name, model.kind, model.latest) == ("base", "base", 1)
    assert [one.name for one in service.list_providers(world.stores, world.project_id)] == ["hosted", "local"]


def test_what_no_model_version_may_be(world: World) -> None:
    base: dict[str, Any] = {"project_id": world.project_id, "name": "calls", "lineage": {}, "actor_id": world.author}
    file = {"name": "a", "sha256": hashlib.sha256(b"a").hexdigest(), "size": 1, "role": "adapter_gguf"}
    with world.stores.database.begin() as connection:
        with pytest.raises(BadInput, match="based on"):
            service.add_model_version(connection, kind="adapter", files=[file], base_id=None, **base)
        with pytest.raises(BadInput, match="sha256"):
            service.add_model_version(
                connection, kind="merged", files=[{**file, "sha256": "../x"}], base_id=None, **base
            )
        with pytest.raises(BadInput, match="kind"):
            service.add_model_version(connection, kind="other", files=[file], base_id=None, **base)


@pytest.mark.parametrize(
    "clause",
    [
        {},
        {"kind": "vibes"},
        {"kind": "score", "metric": "field_f1"},
        {"kind": "score", "metric": "beauty", "at_least": 0.5},
        {"kind": "score", "metric": "valid", "at_least": "0.5"},
        {"kind": "score", "metric": "valid", "at_least": float("nan")},
        {"kind": "score", "metric": "valid", "at_least": True},
        {"kind": "score", "metric": "valid", "require": "better"},
        {"kind": "score", "metric": "valid", "require": "best", "versus": "primary"},
        {"kind": "score", "metric": "valid", "at_least": 0.5, "alpha": 0.05},
        {"kind": "score", "metric": "valid", "at_least": 0.5, "at_most": 1},
        {"kind": "latency", "p95_ms": 0},
        {"kind": "approvals", "count": 0},
    ],
)
def test_clauses_that_no_gate_may_have(clause: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="Clause 1"):
        check_clauses([clause])


def test_clauses_are_kept_as_they_were_said() -> None:
    assert check_clauses(GATE) == GATE
    assert check_clauses([{"kind": "approvals"}]) == [{"kind": "approvals", "count": 1}]


@pytest.mark.parametrize("name", ["", "Assistant", "a b", "a@2", "../a", "-a", "a" * 65, "도우미"])
def test_names_that_no_endpoint_may_have(world: World, name: str) -> None:
    with world.stores.database.begin() as connection, pytest.raises(BadInput, match="name of an endpoint"):
        service.create_endpoint(connection, project_id=world.project_id, name=name, actor_id=world.author)


def test_another_projects_things_are_not_there(world: World) -> None:
    world.release()
    with pytest.raises(NotFound):
        service.get_release(world.stores, "another-project", "assistant", 1)
    assert service.list_endpoints(world.stores, "another-project").items == []
    assert service.list_providers(world.stores, "another-project") == []
