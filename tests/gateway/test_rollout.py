"""Which release answers: canary share, fallback to the primary, candidates and their keys, local engines."""

import json
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from noria.gateway.access import position
from noria.registry.snapshot import EndpointEntry, PromptEntry
from tests.gateway.conftest import Running, release, until


def canary(model: str, share: float = 1.0, **more: Any) -> EndpointEntry:
    releases = {1: release(1, "ok:primary"), 2: release(2, model, **more)}
    return EndpointEntry("e-canary", "project", "canary", primary=1, canary=2, canary_share=share, releases=releases)


def test_positions_are_uniform_stable_and_different_for_each_canary() -> None:
    places = [position("e", 2, f"session-{number}") for number in range(4000)]
    assert abs(sum(place < 0.2 for place in places) / 4000 - 0.2) < 0.03
    assert places == [position("e", 2, f"session-{number}") for number in range(4000)]
    both = sum(a < 0.2 and position("e", 3, f"session-{n}") < 0.2 for n, a in enumerate(places))
    assert both / 4000 < 0.07


def test_a_session_stays_on_its_arm_and_the_share_holds(gateway: Running) -> None:
    gateway.publish(canary("ok:canary", share=0.5))
    arms: dict[str, set[str]] = {}
    for number in range(60):
        name = f"s-{number % 30}"
        answer = gateway.ask(model="canary", headers={"x-noria-session": name})
        arms.setdefault(name, set()).add(answer.headers["x-noria-release"])
    assert all(len(seen) == 1 for seen in arms.values())
    on_canary = sum(seen == {"canary@2"} for seen in arms.values())
    assert on_canary == sum(position("e-canary", 2, name) < 0.5 for name in arms)
    assert 5 < on_canary < 25
    spans = [span for span in gateway.spans() if span["endpoint"] == "canary"]
    assert {span["arm"] for span in spans} == {"primary", "canary"}


@pytest.mark.parametrize("model", ["error-500", "error-429", "error-401", "error-404", "html", "broken-json", "stall"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_canary_is_answered_by_the_primary(gateway: Running, model: str, stream: bool) -> None:
    gateway.publish(canary(model))
    answer = gateway.ask(model="canary", stream=stream)
    assert answer.status_code == 200
    assert "echo: " in answer.text
    assert answer.headers["x-noria-release"] == "canary@1"
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert (span["requested_release"], span["release"], span["arm"], span["status"]) == (2, 1, "canary", "ok")
    failed = span["attributes"]["fallback"]
    assert failed["release"] == 2
    assert failed["message"]
    if model.startswith("error-"):
        assert failed["status"] == int(model[6:])


@pytest.fixture(scope="module")
def gateway(gateway: Running) -> Running:
    """Waits for a silent provider for one second only."""
    gateway.stop()
    gateway.settings = replace(gateway.settings, provider_first_byte_timeout=1.0, provider_idle_timeout=1.0)
    gateway.start()
    return gateway


def test_an_error_as_the_first_event_falls_back_too(gateway: Running) -> None:
    gateway.publish(canary("error-event", parameters={"after": 0}))
    answer = gateway.ask(model="canary", stream=True)
    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.headers["x-noria-release"] == "canary@1"


def test_a_canary_without_provider_engine_or_variable_falls_back(gateway: Running) -> None:
    needy = PromptEntry("p", 1, "text", template="{{nobody_sends_this}}")
    for broken in (
        replace(release(2, "ok"), provider_id="dead"),
        replace(release(2, "ok"), provider_id="gone"),
        replace(release(2, "ok"), provider_id="local", engine="none"),
        release(2, "ok", prompt=needy),
    ):
        entry = canary("ok")
        gateway.publish(replace(entry, releases={**entry.releases, 2: broken}))
        answer = gateway.ask(model="canary")
        assert answer.status_code == 200, broken
        assert answer.headers["x-noria-release"] == "canary@1"


def test_when_both_fail_the_primarys_error_is_told(gateway: Running) -> None:
    entry = canary("html")
    gateway.publish(replace(entry, releases={**entry.releases, 1: release(1, "error-503")}))
    answer = gateway.ask(model="canary")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "the provider says no"


def test_a_candidate_key_calls_exactly_its_release(gateway: Running) -> None:
    gateway.publish(canary("ok", share=0.0))
    key = gateway.new_key("candidate", release="canary@2", live=False)
    answer = gateway.ask(model="canary@2", key=key, headers={"x-noria-row": "row-7"})
    assert answer.headers["x-noria-release"] == "canary@2"
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert (span["arm"], span["live"], span["dataset_row"]) == ("candidate", False, "row-7")
    for other in ("canary", "canary@1", "canary@3", "canary@02", "canary@²", "@2", "canary@"):
        refused = gateway.ask(model=other, key=key)
        assert refused.status_code == 403, other
    for candidate in ("canary@2", "canary@1"):
        assert gateway.ask(model=candidate).status_code == 403, "a call key calls no candidate"
    listed = gateway.client(key)
    with listed:
        assert [model.id for model in listed.models.list()] == ["canary@2"]


def test_a_candidate_does_not_fall_back(gateway: Running) -> None:
    gateway.publish(canary("error-500"))
    key = gateway.new_key("candidate", release="canary@2", live=False)
    assert gateway.ask(model="canary@2", key=key).status_code == 502


def test_a_retired_candidate_is_gone(gateway: Running) -> None:
    gateway.publish(canary("ok"))
    key = gateway.new_key("candidate", release="canary@9", live=False)
    answer = gateway.ask(model="canary@9", key=key)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_a_local_release_follows_its_engine(gateway: Running) -> None:
    local = replace(release(1, "ok:local"), provider_id="local", engine="weights")
    gateway.publish(EndpointEntry("e-local", "project", "local", primary=1, releases={1: local}))

    def engine(state: str) -> None:
        engines = {"weights": {"url": gateway.provider, "state": state, "pid": 1, "error": ""}}
        new = gateway.folder.engines.with_suffix(".new")
        new.write_text(json.dumps(engines))
        new.replace(gateway.folder.engines)

    missing = gateway.ask(model="local")
    assert missing.status_code == 503
    assert "not running" in missing.json()["error"]["message"]
    assert int(missing.headers["retry-after"]) >= 1
    engine("starting")
    until(lambda: "starting" in gateway.ask(model="local").text)
    engine("failed")
    until(lambda: "could not be started" in gateway.ask(model="local").text)
    engine("ready")
    until(lambda: gateway.ask(model="local").status_code == 200)
    gateway.folder.engines.write_text("{nonsense")
    time.sleep(0.3)  # three looks of the watcher: nothing to wait for, nothing may change
    assert gateway.ask(model="local").status_code == 200
    assert gateway.calls("local")["seen"]["authorization"] is None


def test_the_gateway_has_taken_over_what_was_published_when_it_says_ready(gateway: Running) -> None:
    for _ in range(20):  # it looks every 0.1 s by itself, so luck would not last
        gateway.publish(wait=False)
        assert httpx.get(f"{gateway.url}/readyz").json()["version"] == gateway.snapshot.version
