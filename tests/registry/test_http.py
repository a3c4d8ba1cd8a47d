"""The JSON API of registry, through the whole application with the keys of three people."""

from typing import Any

import pytest
from click.testing import CliRunner

from noria.registry import commands
from noria.registry.publish import build
from noria.registry.snapshot import read
from noria.web import application
from tests.registry.conftest import GATE, Client, World


def made(client: Client, who: str, path: str, **body: Any) -> Any:
    answer = client.ask(who, "POST", path, json=body)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def test_the_life_of_a_release_as_a_user_sees_it(client: Client, world: World) -> None:
    made(client, "author", "/api/prompts", name="call")
    version = made(client, "author", "/api/prompts/call/versions", format="text", template="{{input}} call:", note="")
    assert version["version"] == 1
    releases = "/api/endpoints/assistant/releases"
    first = made(client, "author", releases, provider="hosted", model="small", note="first", parameters={})
    assert (first["number"], first["state"], first["author"]) == (1, "draft", "Author")
    assert made(client, "reviewer", f"{releases}/1/promote", reason="nothing serves yet")["primary"] == 1
    body = {"provider": "hosted", "model": "large", "prompt": "call@1", "parameters": {"temperature": 0.0}}
    release = world.release(**{k: v for k, v in body.items() if k != "provider"})
    world.evaluated(release)
    world.gate(release)
    refused = client.ask("author", "POST", f"{releases}/2/approve", json={"reason": "mine"})
    assert refused.status_code == 403 and "review" in refused.json()["detail"]
    assert made(client, "reviewer", f"{releases}/2/approve", reason="checked 20 rows")["state"] == "approved"
    seen = client.ask("author", "GET", f"{releases}/2").json()
    assert (seen["prompt"], seen["serving"], seen["gate_state"], seen["blocked"]) == ("call@1", "n/a", "passed", "")
    assert seen["approvals"][0]["person"] == "Reviewer" and seen["gate"]["p_value"] == 0.001
    assert seen["evidence"]["summary"]["score"]["value"] == 0.7
    assert made(client, "reviewer", f"{releases}/2/canary", share=0.25, reason="a quarter")["canary_share"] == 0.25
    assert made(client, "reviewer", f"{releases}/2/promote", reason="better")["primary"] == 2
    assert made(client, "reviewer", "/api/endpoints/assistant/rollback", reason="worse")["primary"] == 1
    history = client.ask("author", "GET", "/api/endpoints/assistant/history").json()
    assert [event["event"] for event in history["items"]] == ["promote", "canary", "promote", "rollback"]
    assert history["items"][0]["time"].startswith("20") and history["next"] is None
    published = read(world.stores.settings.folder.snapshot)
    assert published is not None and published.endpoints[f"{world.project_id}/assistant"].primary == 1


REFUSED = [
    ("author", "POST", "/api/providers", {"name": "x", "kind": "openai", "base_url": "http://a.example/v1"}),
    ("reviewer", "POST", "/api/providers", {"name": "x", "kind": "openai", "base_url": "http://a.example/v1"}),
    ("author", "PATCH", "/api/providers/hosted", {"balance": "least_busy"}),
    *(
        (who, method, f"/api/providers/hosted/keys{path}", {"api_key": "sk-one-more-key"})
        for who in ("author", "reviewer")
        for method, path in (("POST", ""), ("PUT", "/x"), ("PATCH", "/x"), ("DELETE", "/x"))
    ),
    ("author", "PATCH", "/api/endpoints/assistant", {"gate": []}),
    ("reviewer", "PATCH", "/api/endpoints/assistant", {"self_approval": True}),
    ("author", "POST", "/api/endpoints", {"name": "x", "self_approval": True}),
    *(
        ("author", "POST", f"/api/endpoints/assistant/{verb}", {"reason": "x", "share": 0.5})
        for verb in (
            "rollback",
            *(f"releases/1/{move}" for move in ("approve", "reject", "canary", "promote", "retire")),
        )
    ),
]


def test_what_each_role_may_not_do(client: Client, world: World) -> None:
    world.release()
    for who, method, path, body in REFUSED:
        assert client.ask(who, method, path, json=body).status_code == 403, (who, method, path)
    assert client.ask("admin", "PATCH", "/api/endpoints/assistant", json={"self_approval": True}).status_code == 200


def test_a_reason_is_wanted(client: Client, world: World) -> None:
    world.release()
    answer = client.ask("reviewer", "POST", "/api/endpoints/assistant/releases/1/promote", json={"reason": " "})
    assert answer.status_code == 400 and "reason" in answer.json()["detail"]


def test_no_answer_ever_shows_a_key(client: Client, world: World) -> None:
    world.release()
    given = {"name": "second", "kind": "openai", "base_url": "http://a.example/v1", "api_key": "sk-another-secret-key"}
    answers = [
        client.ask("admin", "POST", "/api/providers", json=given),
        client.ask("admin", "POST", "/api/providers/second/keys", json={"api_key": "sk-third-secret-key!"}),
        client.ask("admin", "PATCH", "/api/providers/second", json={"balance": "least_busy"}),
        client.ask("admin", "POST", "/api/providers", json=given),
    ]
    for path in (
        "providers",
        "providers/second",
        "endpoints",
        "endpoints/assistant",
        "endpoints/assistant/releases/1",
        "audit",
        "models",
    ):
        answers.append(client.ask("admin", "GET", f"/api/{path}"))
    sealed = [key.sealed for provider in _providers(world) for key in provider.keys]
    assert len(sealed) == 3
    for answer in answers:
        assert "secret" not in answer.text and "sealed" not in answer.text
        assert not [one for one in sealed if one in answer.text]


def _providers(world: World) -> list[Any]:
    return list(build(world.stores).providers.values())


def test_bad_references_are_said_clearly(client: Client) -> None:
    releases = "/api/endpoints/assistant/releases"
    for body, status, words in (
        ({"provider": "nowhere", "model": "x"}, 404, "no provider 'nowhere'"),
        ({"provider": "hosted", "model": "x", "prompt": "call"}, 400, "names no version"),
        ({"provider": "hosted", "model": "x", "model_version": "x:1"}, 404, "no model version"),
        ({"provider": "hosted"}, 400, "which of the provider's models"),
    ):
        answer = client.ask("author", "POST", releases, json=body)
        assert answer.status_code == status and words in answer.json()["detail"], answer.text
    assert client.ask("author", "GET", f"{releases}/7").status_code == 404
    assert (
        client.ask("author", "POST", "/api/endpoints/nothing/releases", json={"provider": "hosted"}).status_code == 404
    )


def test_lists_have_pages(client: Client) -> None:
    for name in ("a", "b", "c"):
        made(client, "author", "/api/endpoints", name=name, gate=GATE)
        made(client, "author", "/api/prompts", name=name)
    for what, names in (("endpoints", ["a", "assistant", "b", "c"]), ("prompts", ["a", "b", "c"])):
        seen, cursor = [], None
        while True:
            query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = client.ask("author", "GET", f"/api/{what}", params=query).json()
            seen += [one["name"] for one in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == names


def test_lineage_by_name(client: Client, world: World) -> None:
    world.release(provider="local", model="", model_version=world.adapter())
    answer = client.ask("author", "GET", "/api/lineage", params={"kind": "release", "id": "assistant@1"}).json()
    assert answer["readable"][0] == "Release assistant@1 runs model version calls-lora:1."
    forward = {"kind": "training_run", "id": "run-7", "direction": "forward"}
    answer = client.ask("author", "GET", "/api/lineage", params=forward).json()
    assert [node["title"] for node in answer["nodes"]] == ["calls-lora:1", "assistant@1"]


def test_every_route_is_guarded(client: Client) -> None:
    app: Any = client._client.app
    assert application.unguarded(app) == []
    lax = {path for (method, path), wanted in application.guarded(app).items() if method != "GET" and wanted == "view"}
    assert not [path for path in lax if "/api/endpoints" in path or "/api/pro" in path]


@pytest.mark.parametrize("registry_stores", ["sqlite"], indirect=True)
def test_the_command_line_rolls_back(world: World) -> None:
    world.promote(world.release().number)
    world.promote(world.ready(model="large").number)
    data = ["--data", str(world.stores.settings.data)]
    run = CliRunner().invoke
    assert "release 2 (2 releases)" in run(commands.endpoints, data).output
    answer = run(commands.release, ["rollback", "assistant", "--reason", "it fails", *data])
    assert answer.output == "Release 1 serves assistant.\n"
    assert world.endpoint.primary == 1
    answer = run(commands.release, ["promote", "assistant@2", "--reason", "it was the network", *data])
    assert answer.output == "Release 2 serves assistant.\n"
    published = read(world.stores.settings.folder.snapshot)
    assert published is not None and published.endpoints[f"{world.project_id}/assistant"].primary == 2
