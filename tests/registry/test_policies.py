"""Policies of endpoints: what is refused and how it is said, versions, history, restoring, and what gateways get."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import audit, limits
from noria.registry import commands, guardrails, publish, service
from noria.registry.policies import check_policy
from noria.registry.policy import EMPTY, Breaker, Cache, Guardrail, Hedge, Limits, Policy, Retries, Timeouts, sparse
from noria.registry.policy_check import NUMBERS, PARTS
from noria.registry.records import EndpointPolicy
from noria.registry.snapshot import read
from tests.registry.conftest import Client, World

WHOLE: dict[str, Any] = {
    "timeouts": {"connect": 2, "first_byte": 20, "total": 60},
    "retries": {"attempts": 2, "base_ms": 100},
    "breaker": {"failures": 5},
    "hedge": {"after_ms": 900},
    "limits": {"requests_per_minute": 600, "day_micros": 5_000_000},
    "cache": {"mode": "semantic", "threshold": 0.9, "step": "http://127.0.0.1:9000/embed"},
    "guardrails": [
        {"kind": "pii", "when": "both"},
        {"kind": "deny", "options": {"patterns": ["(?i)confidential"]}, "on_trouble": "open", "timeout_ms": 50},
        {"kind": "schema", "options": {"schema": {"type": "object", "required": ["name"]}}},
        {"kind": "max_cost", "options": {"micros": 50_000}},
        {"kind": "step", "options": {"url": "http://127.0.0.1:9000/check/"}},
    ],
}


KINDS: dict[str, type] = {"timeouts": Timeouts, "retries": Retries, "breaker": Breaker, "hedge": Hedge, "cache": Cache}
DOCS = Path(__file__).parents[2] / "docs" / "policy.md"


def put(world: World, policy: dict[str, Any], reason: str = "because", **more: Any) -> EndpointPolicy:
    return service.put_policy(
        world.stores,
        project_id=world.project_id,
        endpoint="assistant",
        policy=policy,
        reason=reason,
        actor_id=world.reviewer,
        **more,
    )


def change(world: World, **parts: Any) -> EndpointPolicy:
    return service.change_policy(
        world.stores,
        project_id=world.project_id,
        endpoint="assistant",
        parts=parts,
        reason="a part",
        actor_id=world.reviewer,
    )


def published(world: World) -> Policy:
    snapshot = read(world.stores.settings.folder.snapshot)
    assert snapshot is not None
    entry = snapshot.endpoint(world.project_id, "assistant")
    assert entry is not None
    return entry.policy


def test_nothing_said_is_the_empty_policy() -> None:
    assert check_policy({}) == EMPTY
    assert sparse(check_policy({"cache": {"mode": "off"}, "retries": {"attempts": 0}, "guardrails": []})) == {}


def test_a_whole_policy_is_read_with_its_options_complete() -> None:
    checked = check_policy(WHOLE)
    assert checked.retries == Retries(2, 100) and checked.limits == Limits(600, day_micros=5_000_000)
    assert checked.cache == Cache("semantic", threshold=0.9, step="http://127.0.0.1:9000/embed")
    pii, deny, schema, cost, step = checked.guardrails
    kinds = ["EMAIL", "PHONE", "CARD", "RRN", "SSN"]
    assert pii == Guardrail("pii", "both", options={"kinds": kinds, "restore": True, "action": "mask"})
    assert (deny.on_trouble, deny.timeout_ms, deny.options["action"]) == ("open", 50, "refuse")
    assert (schema.when, schema.options["repair"]) == ("after", True), "a schema is for answers"
    assert cost.options == {"micros": 50_000} and step.options["url"] == "http://127.0.0.1:9000/check"
    assert check_policy(json.loads(json.dumps(sparse(checked)))) == checked, "what is kept can be given again"


@pytest.mark.parametrize(
    ("policy", "said", "hint"),
    [
        ([], "The document is an object", "timeouts"),
        ({"limit": {}}, "has no field 'limit'", "Did you mean limits?"),
        ({"timeouts": {"conect": 1}}, "timeouts has no field 'conect'", "Did you mean connect?"),
        ({"timeouts": {"connect": -1}}, "timeouts.connect is a number from 0 to 300", "seconds"),
        ({"timeouts": {"connect": float("nan")}}, "timeouts.connect", ""),
        ({"timeouts": {"connect": 10**400}}, "timeouts.connect", ""),
        ({"timeouts": {"connect": True}}, "timeouts.connect", ""),
        ({"timeouts": {"first_byte": 90, "total": 60}}, "timeouts.first_byte is longer", "total"),
        ({"retries": {"attempts": 6}}, "retries.attempts is a whole number from 0 to 5", "after the first"),
        ({"retries": {"attempts": 1.5}}, "retries.attempts", ""),
        ({"retries": {"base_ms": 9_000}}, "retries.base_ms is longer than retries.most_ms", ""),
        ({"breaker": []}, "breaker is an object", "failures"),
        ({"hedge": {"after_ms": "800"}}, "hedge.after_ms is a whole number", "milliseconds"),
        ({"limits": {"tokens_per_minutes": 1}}, "limits has no field", "Did you mean tokens_per_minute?"),
        ({"limits": {"concurrent": -1}}, "limits.concurrent is a whole number from 0", "not limited"),
        ({"cache": {"mode": "exakt"}}, "cache.mode is one of off, exact, semantic", "Did you mean exact?"),
        ({"cache": {"threshold": 1.01}}, "cache.threshold is a number from 0 to 1", "cosine"),
        ({"cache": {"ttl_seconds": 0}}, "cache.ttl_seconds", "30 days"),
        ({"cache": {"mode": "semantic"}}, "cache.step is missing", "http://"),
        (
            {"cache": {"step": "http://169.254.169.254/"}},
            "cache.step: That address belongs to a machine's metadata",
            "",
        ),
        ({"fallbacks": 2}, "fallbacks is a list", ""),
        ({"fallbacks": ["2"]}, "fallbacks[0] is a whole number", ""),
        ({"fallbacks": [2, 2]}, "names a release twice", ""),
        ({"guardrails": [{}]}, "guardrails[0].kind is missing", ""),
        ({"guardrails": [{"kind": "pi"}]}, "guardrails[0].kind is one of", "Did you mean pii?"),
        ({"guardrails": [{"kind": "pii", "options": {"kind": []}}]}, "options has no field 'kind'", "kinds"),
        ({"guardrails": [{"kind": "pii", "options": {"kinds": ["MAIL"]}}]}, "options.kinds[0] is one of", "EMAIL"),
        ({"guardrails": [{"kind": "max_cost", "when": "after"}]}, "guardrails[0].when is one of before", ""),
        ({"guardrails": [{"kind": "max_cost"}]}, "guardrails[0].options.micros is missing", ""),
        ({"guardrails": [{"kind": "pii"}, {"kind": "deny"}]}, "guardrails[1].options.patterns is missing", ""),
        (
            {"guardrails": [{"kind": "deny", "options": {"patterns": ["a", "("]}}]},
            "patterns[1] is no regular",
            "RE2",
        ),
        ({"guardrails": [{"kind": "deny", "options": {"patterns": [r"(a)\1"]}}]}, "patterns[0] is no regular", "RE2"),
        ({"guardrails": [{"kind": "allow", "options": {"patterns": ["(?=a)b"]}}]}, "patterns[0] is no regular", ""),
        ({"guardrails": [{"kind": "deny", "options": {"patterns": []}}]}, "patterns is a list of 1 to 100", ""),
        ({"guardrails": [{"kind": "deny", "options": {"patterns": ["\ud800"]}}]}, "cannot be kept", ""),
        ({"guardrails": [{"kind": "schema", "options": {"schema": {"type": "objekt"}}}]}, "schema.type is no JSON", ""),
        ({"guardrails": [{"kind": "schema", "options": {"schema": {"$ref": "http://x/"}}}]}, "refers to", "inside"),
        ({"guardrails": [{"kind": "step", "options": {"url": "file:///etc"}}]}, "options.url: A step's address", ""),
        ({"guardrails": [{"kind": "step", "options": {"url": "http://[fe80::1]/"}}]}, "metadata", ""),
        ({"guardrails": [{"kind": "pii", "on_trouble": "opened"}]}, "on_trouble is one of open, closed", "open?"),
        ({"guardrails": [{"kind": "pii", "timeout_ms": 0}]}, "guardrails[0].timeout_ms", "milliseconds"),
        ({"guardrails": [{"kind": "pii"}] * 21}, "guardrails is a list of at most 20", ""),
    ],
)
def test_what_cannot_be_used_is_named_with_its_path(policy: Any, said: str, hint: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_policy(policy)
    assert said in caught.value.message and hint in caught.value.hint, (caught.value.message, caught.value.hint)


@pytest.mark.parametrize(
    "pattern", [r"\(a+\)+", "[(a+)]+", "(?:ab)+c*", r"\d{3}-\d{4}", "(a{1,9})+", "(a+)+$", "(?i)secret.*key"]
)
def test_harmless_patterns_pass(pattern: str) -> None:
    check_policy({"guardrails": [{"kind": "deny", "options": {"patterns": [pattern]}}]})


def test_private_steps_are_refused_where_private_providers_are() -> None:
    with pytest.raises(BadInput, match=r"guardrails\[0\].options.url: .*private"):
        check_policy({"guardrails": [{"kind": "step", "options": {"url": "http://10.0.0.1/"}}]}, allow_private=False)


def test_versions_history_and_restore(world: World) -> None:
    assert service.get_policy(world.stores, world.project_id, "assistant") == EndpointPolicy("assistant", 0, {})
    first = put(world, {"retries": {"attempts": 1}}, "it fails at times")
    assert (first.version, first.policy, first.author) == (1, {"retries": {"attempts": 1}}, "Reviewer")
    second = change(world, limits={"concurrent": 8})
    assert second.policy == {"retries": {"attempts": 1}, "limits": {"concurrent": 8}}, "the rest stays"
    assert change(world, limits={"concurrent": 8}).version == 2, "what changes nothing makes no version"
    third = change(world, retries=None)
    assert third.policy == {"limits": {"concurrent": 8}} and published(world).version == 3
    where: dict[str, Any] = {"project_id": world.project_id, "endpoint": "assistant", "actor_id": world.other}
    fourth = service.restore_policy(world.stores, version=1, reason="it was better", **where)
    assert (fourth.version, fourth.policy, fourth.author) == (4, first.policy, "Other")
    assert service.restore_policy(world.stores, version=0, reason="nothing again", **where).policy == {}
    assert published(world) == Policy(version=5)
    page = service.policy_history(world.stores, world.project_id, "assistant", limit=3)
    assert [one.version for one in page.items] == [5, 4, 3]
    rest = service.policy_history(world.stores, world.project_id, "assistant", limit=3, cursor=page.next)
    assert [(one.version, one.reason) for one in rest.items] == [(2, "a part"), (1, "it fails at times")]
    assert service.get_policy(world.stores, world.project_id, "assistant", 1).policy == first.policy
    with pytest.raises(NotFound, match="no policy 9"):
        service.restore_policy(world.stores, version=9, reason="why not", **where)


def test_a_change_made_from_another_version_is_refused(world: World) -> None:
    put(world, {"retries": {"attempts": 1}})
    with pytest.raises(Conflict, match="Policy 1 of assistant is in force, and this was made from 0"):
        put(world, {"hedge": {"after_ms": 5}}, base=0)
    with pytest.raises(Conflict):
        put(world, {"hedge": {"after_ms": 5}, "version": 0})
    assert put(world, {"hedge": {"after_ms": 5}, "version": 1}).version == 2


def test_a_change_wants_a_reason_and_is_in_the_audit(world: World) -> None:
    with pytest.raises(BadInput, match="Say why"):
        put(world, {"retries": {"attempts": 1}}, " ")
    put(world, {"retries": {"attempts": 1}, "guardrails": [{"kind": "deny", "options": {"patterns": ["hush"]}}]})
    service.restore_policy(
        world.stores, project_id=world.project_id, endpoint="assistant", version=0, reason="no", actor_id=world.other
    )
    with world.stores.database.read() as connection:
        last, first = audit.entries(connection, world.project_id, verb="endpoint.policy").items
    assert (first.actor, first.reason, first.target_id) == ("Reviewer", "because", world.endpoint.id)
    assert first.details["version"] == 1 and "retries.attempts" in first.details["fields"]
    assert "hush" not in json.dumps(first.details), "which fields, not what is in them"
    assert last.details["restores"] == 0


def test_nothing_is_kept_of_a_policy_that_is_refused(world: World) -> None:
    with pytest.raises(BadInput):
        put(world, {"retries": {"attempts": 1}, "fallbacks": [1]})
    assert service.get_policy(world.stores, world.project_id, "assistant").version == 0


def test_what_differs_is_told_field_by_field() -> None:
    before = sparse(check_policy({**WHOLE, "guardrails": WHOLE["guardrails"][:1]}))
    after = sparse(check_policy({**WHOLE, "hedge": {}, "limits": {"concurrent": 2}, "guardrails": []}))
    changes = service.diff_policies(before, after)
    assert [(one.path, one.before, one.after) for one in changes[:4]] == [
        ("hedge.after_ms", 900, None),
        ("limits.concurrent", None, 2),
        ("limits.day_micros", 5_000_000, None),
        ("limits.requests_per_minute", 600, None),
    ]
    assert {one.path.partition(".")[0] for one in changes[4:]} == {"guardrails[0]"}
    assert service.diff_policies(before, before) == []


def test_fallbacks_are_releases_that_may_serve_and_they_stay(world: World) -> None:
    world.promote(world.release().number)
    world.release(model="untested")
    for number, said in ((9, "has no release 9"), (2, "assistant@2 is draft")):
        with pytest.raises(BadInput, match=said):
            put(world, {"fallbacks": [number]})
    put(world, {"fallbacks": [1]})
    for _ in range(2):
        world.promote(world.ready(model="large").number)
    assert world.state(1) == "retired"
    snapshot = publish.build(world.stores)
    entry = snapshot.endpoint(world.project_id, "assistant")
    assert entry is not None and entry.policy.fallbacks == (1,) and sorted(entry.releases) == [1, 2, 3, 4]
    where: dict[str, Any] = {"project_id": world.project_id, "endpoint": "assistant", "actor_id": world.reviewer}
    with pytest.raises(Conflict, match="assistant@1 is a fallback"):
        service.retire(world.stores, number=1, reason="old", **where)
    put(world, {})
    service.retire(world.stores, number=1, reason="old", **where)
    with pytest.raises(BadInput, match="assistant@1 is retired"):
        service.restore_policy(world.stores, version=1, reason="again", **where)
    entry = publish.build(world.stores).endpoint(world.project_id, "assistant")
    assert entry is not None and sorted(entry.releases) == [2, 3, 4]


def test_an_approved_fallback_cannot_be_rejected_and_its_engine_is_awake(world: World) -> None:
    world.promote(world.release().number)
    local = world.ready(provider="local", model="", model_version=world.adapter())
    put(world, {"fallbacks": [local.number]})
    for number in range(4):
        world.release(provider="local", model="", model_version=world.adapter(f"other {number}".encode()))
    snapshot = publish.build(world.stores)
    entry = snapshot.endpoint(world.project_id, "assistant")
    assert entry is not None and entry.releases[local.number].engine in snapshot.engines
    where: dict[str, Any] = {"project_id": world.project_id, "endpoint": "assistant", "actor_id": world.reviewer}
    with pytest.raises(Conflict, match="is a fallback"), world.stores.database.begin() as connection:
        service.reject(connection, number=local.number, reason="bad", **where)


def test_the_api_and_who_may_use_it(world: World, client: Client) -> None:
    path = "/api/endpoints/assistant/policy"
    body = {"policy": WHOLE, "reason": "to be safe"}
    for method, where, sent in (
        ("PUT", path, body),
        ("PATCH", path, {"parts": {}, "reason": "x"}),
        ("POST", f"{path}/restore", {"version": 0, "reason": "x"}),
    ):
        assert client.ask("author", method, where, json=sent).status_code == 403, "an editor may not"
    answer = client.ask("reviewer", "PUT", path, json=body)
    assert answer.status_code == 200 and answer.json()["version"] == 1, answer.text
    assert client.ask("author", "GET", path).json()["policy"]["hedge"] == {"after_ms": 900}
    assert published(world).guardrails[0].kind == "pii", "on disk when it answers"
    answer = client.ask("reviewer", "PATCH", path, json={"parts": {"hedge": None}, "reason": "dear", "base": 0})
    assert answer.status_code == 409
    answer = client.ask("reviewer", "PATCH", path, json={"parts": {"hedge": None}, "reason": "dear", "base": 1})
    assert answer.json()["version"] == 2
    answer = client.ask("author", "GET", f"{path}/diff", params={"before": 1, "after": 2})
    assert answer.json()["changes"] == [{"path": "hedge.after_ms", "before": 900, "after": None}]
    answer = client.ask("reviewer", "POST", f"{path}/restore", json={"version": 1, "reason": "back"})
    assert answer.json()["version"] == 3
    items = client.ask("author", "GET", f"{path}/history").json()["items"]
    assert [(one["version"], one["author"], one["reason"]) for one in items] == [
        (3, "Reviewer", "back"),
        (2, "Reviewer", "dear"),
        (1, "Reviewer", "to be safe"),
    ]
    answer = client.ask("reviewer", "PUT", path, json={"policy": {"chache": {}}, "reason": "x"})
    assert answer.status_code == 400 and answer.json()["hint"] == "Did you mean cache?"
    assert client.ask("reviewer", "GET", "/api/endpoints/other/policy").status_code == 404


@pytest.mark.parametrize("registry_stores", ["sqlite"], indirect=True)
def test_the_command(world: World, tmp_path: Path) -> None:
    data = str(world.stores.settings.data)

    def run(*words: str) -> Any:
        return CliRunner().invoke(commands.endpoints, [*words, "--data", data])

    toml = tmp_path / "policy.toml"
    toml.write_text("[limits]\nconcurrent = 4\n\n[[guardrails]]\nkind = 'pii'\n")
    done = run("policy", "assistant", "--set", str(toml), "--reason", "from a file")
    assert done.exit_code == 0, done.output
    shown = json.loads(run("policy", "assistant").output)
    assert shown["version"] == 1 and shown["limits"] == {"concurrent": 4}
    again = tmp_path / "policy.json"
    again.write_text(json.dumps({**shown, "limits": {"concurrent": 5}}))
    assert json.loads(run("policy", "assistant", "--set", str(again), "--reason", "more").output)["version"] == 2
    stale = run("policy", "assistant", "--set", str(again), "--reason", "more")
    assert isinstance(stale.exception, Conflict), "made from version 1, and 2 is in force"
    assert json.loads(run("policy", "assistant", "--restore", "1", "--reason", "less").output)["version"] == 3
    assert "from a file" in run("policy", "assistant", "--history").output
    toml.write_text("limits = [")
    assert isinstance(run("policy", "assistant", "--set", str(toml), "--reason", "x").exception, BadInput)
    assert CliRunner().invoke(commands.endpoints, ["--data", data]).output.startswith("assistant")


def test_the_documentation_names_every_field_and_its_example_can_be_used() -> None:
    text = DOCS.read_text(encoding="utf-8")
    named = [f"`{name}`" for name in (*limits.NAMES, *guardrails.WHEN)]
    named += [f"`{part}.{name}`" for part, kind in KINDS.items() for name in NUMBERS[kind]]
    named += ["`cache.mode`", "`cache.step`", "`fallbacks`", "`guardrails`"]
    for kind in guardrails.WHEN:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{kind}` |"))
        shown = text if kind == "allow" else row
        assert [name for name in guardrails.OPTIONS[kind] if f"`{name}`" not in shown] == [], kind
        assert f"| {', '.join(guardrails.WHEN[kind])} |" in row
    assert [name for name in named if name not in text] == []
    for ranges in NUMBERS.values():
        for _, least, most, _ in ranges.values():
            assert f"{least:g} to {most:,.10g}" in text
    example = text.partition("```toml\n")[2].partition("```")[0]
    checked = check_policy(tomllib.loads(example))
    assert {name for name in PARTS if getattr(checked, name) != getattr(EMPTY, name)} == set(PARTS)
