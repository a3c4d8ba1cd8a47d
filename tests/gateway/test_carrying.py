"""How requests are carried under an endpoint's policy: retries, fallback chains, breakers, balanced keys, hedging, shadows."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx

from noria.governance.sealing import Sealer
from noria.registry.policy import Breaker, Hedge, Policy, Retries, Timeouts
from noria.registry.snapshot import EndpointEntry, ProviderEntry, ProviderKeyEntry, ReleaseEntry
from tests.gateway.conftest import Running, release, until


def serve(gateway: Running, *models: str, name: str = "carried", **policy: Any) -> EndpointEntry:
    """An endpoint whose primary is release 1, with one release for each model."""
    releases = {number: release(number, model) for number, model in enumerate(models, start=1)}
    entry = EndpointEntry(f"e-{name}", "project", name, primary=1, releases=releases, policy=Policy(1, **policy))
    gateway.publish(entry)
    return entry


def test_a_provider_that_fails_at_first_is_asked_again(gateway: Running) -> None:
    serve(gateway, "flaky-2:again", retries=Retries(attempts=3, base_ms=1, most_ms=10))
    answer = gateway.ask(model="carried")
    assert answer.status_code == 200
    assert gateway.calls("again")["calls"] == 3
    tries = gateway.span(answer.headers["x-noria-trace-id"])["attributes"]["failed_tries"]
    assert [one["status"] for one in tries] == [503, 503]


def test_without_retries_one_failure_is_the_answer(gateway: Running) -> None:
    serve(gateway, "flaky-1:once")
    assert gateway.ask(model="carried").status_code == 503
    assert gateway.calls("once")["calls"] == 1


def test_what_the_caller_did_wrong_is_never_tried_again(gateway: Running) -> None:
    serve(gateway, "error-400:wrong", "ok:unasked", fallbacks=(2,), retries=Retries(attempts=3, base_ms=1))
    assert gateway.ask(model="carried").status_code == 400
    assert (gateway.calls("wrong")["calls"], gateway.calls("unasked")["calls"]) == (1, 0)


def test_a_chain_is_walked_in_its_order(gateway: Running) -> None:
    serve(gateway, "error-500", "html", "ok:third", fallbacks=(2, 3))
    for stream in (False, True):
        answer = gateway.ask(model="carried", stream=stream)
        assert answer.status_code == 200
        assert answer.headers["x-noria-release"] == "carried@3"
        span = gateway.span(answer.headers["x-noria-trace-id"])
        assert (span["requested_release"], span["release"], span["arm"]) == (1, 3, "primary")
        assert [one["release"] for one in span["attributes"]["failed_tries"]] == [1, 2]
        assert span["attributes"]["fallback"]["release"] == 1


def test_the_last_of_a_chain_says_why_it_failed(gateway: Running) -> None:
    serve(gateway, "html", "error-429", fallbacks=(2,))
    answer = gateway.ask(model="carried")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["retry-after-ms"] == "7000"


def with_provider(gateway: Running, provider: ProviderEntry, model: str, **policy: Any) -> None:
    entry = EndpointEntry(
        "e-own",
        "project",
        "own",
        primary=1,
        releases={1: ReleaseEntry(1, provider.id, model), 2: release(2, "ok:spare")},
        policy=Policy(1, **policy),
    )
    gateway.publish(entry, providers={**gateway.snapshot.providers, provider.id: provider})


def test_a_provider_that_keeps_failing_is_left_alone_and_tried_again_later(gateway: Running) -> None:
    provider = ProviderEntry("breaks", "project", "breaks", "openai", f"{gateway.provider}/v1")
    breaker = Breaker(failures=3, window_seconds=30, open_seconds=1.0)
    with_provider(gateway, provider, "flaky-3:broken", breaker=breaker, fallbacks=(2,))
    for _ in range(6):
        assert gateway.ask(model="own").headers["x-noria-release"] == "own@2"
    assert gateway.calls("broken")["calls"] == 3, "the open breaker lets nothing through"
    until(lambda: gateway.ask(model="own").headers["x-noria-release"] == "own@1")
    assert gateway.calls("broken")["calls"] == 4, "one trial closed it"
    assert gateway.ask(model="own").headers["x-noria-release"] == "own@1"


def keyed(gateway: Running, *weights: int, balance: Any = "weighted") -> ProviderEntry:
    sealer = Sealer(gateway.folder.secret)
    keys = tuple(
        ProviderKeyEntry(f"pk-{number}", sealer.seal(f"sk-{number}", purpose="provider:keyed"), weight)
        for number, weight in enumerate(weights)
    )
    return ProviderEntry("keyed", "project", "keyed", "openai", f"{gateway.provider}/v1", keys, balance=balance)


def test_keys_share_the_calls_by_weight(gateway: Running) -> None:
    with_provider(gateway, keyed(gateway, 3, 1), "ok:weighted")
    used = []
    for _ in range(60):
        gateway.ask(model="own")
        used.append(gateway.calls("weighted")["seen"]["authorization"])
    assert 28 < used.count("Bearer sk-0") < 58, "three of four, give or take"
    assert set(used) == {"Bearer sk-0", "Bearer sk-1"}


def test_the_least_busy_key_is_taken_and_a_stream_keeps_its_key_busy(gateway: Running) -> None:
    with_provider(gateway, keyed(gateway, 1, 1, balance="least_busy"), "slow:busy")
    body = {"model": "own", "messages": [{"role": "user", "content": "a b c d e f g h i j k l"}], "stream": True}
    used = []
    with ThreadPoolExecutor(4) as pool:
        running = []
        for number in range(4):
            running.append(pool.submit(gateway.post, body))
            until(lambda: gateway.calls("busy")["calls"] == number + 1)  # noqa: B023 - waited for within the turn
            used.append(gateway.calls("busy")["seen"]["authorization"])
        assert all(one.result().status_code == 200 for one in running)
    assert sorted(used) == ["Bearer sk-0", "Bearer sk-0", "Bearer sk-1", "Bearer sk-1"]


def test_a_refused_key_makes_room_for_the_next_one(gateway: Running) -> None:
    with_provider(gateway, keyed(gateway, 1, 1), "key-sk-1:refused", retries=Retries(attempts=1, base_ms=1))
    assert {gateway.ask(model="own").status_code for _ in range(12)} == {200}


def test_a_late_first_byte_is_hedged_and_the_loser_aborted(gateway: Running) -> None:
    serve(gateway, "slow-first:hedge", hedge=Hedge(after_ms=100))
    for stream in (False, True):
        before = gateway.calls("hedge")
        began = time.monotonic()
        answer = gateway.ask(model="carried", stream=stream)
        assert answer.status_code == 200
        assert time.monotonic() - began < 4, "the first try would have taken ten seconds"
        assert gateway.span(answer.headers["x-noria-trace-id"])["attributes"]["hedged"]["won"] == 2
        assert gateway.calls("hedge")["calls"] == before["calls"] + 2
        expected = before["aborted"] + 1
        until(lambda: gateway.calls("hedge")["aborted"] == expected)  # noqa: B023 - waited for within the turn


def test_an_endpoints_own_time_limits_hold(gateway: Running) -> None:
    serve(gateway, "stall:timed", "ok", fallbacks=(2,), timeouts=Timeouts(first_byte=0.3))
    began = time.monotonic()
    answer = gateway.ask(model="carried")
    assert answer.headers["x-noria-release"] == "carried@2"
    assert time.monotonic() - began < 5
    assert gateway.span(answer.headers["x-noria-trace-id"])["attributes"]["fallback"]["timed_out"]


def test_a_shadow_hears_what_the_primary_answers(gateway: Running) -> None:
    entry = serve(gateway, "ok:seen", "slow:shadow", name="mirrored")
    gateway.publish(replace(entry, shadow=2, shadow_share=1.0))
    answer = gateway.ask("mirror me", model="mirrored", stream=True)
    assert answer.headers["x-noria-release"] == "mirrored@1"
    trace = answer.headers["x-noria-trace-id"]
    mirrored = until(lambda: [s for s in gateway.spans() if s.get("attributes", {}).get("shadow_of") == trace])
    assert len(mirrored) == 1
    span = mirrored[0]
    assert (span["arm"], span["live"], span["release"], span["status"]) == ("shadow", False, 2, "ok")
    assert span["trace_id"] != trace
    assert span["output_messages"][0]["content"] == "echo: mirror me"


def test_a_shadow_that_fails_or_stalls_is_nobodys_trouble(gateway: Running) -> None:
    entry = serve(gateway, "ok:quick", "error-500", name="mirrored")
    gateway.publish(replace(entry, shadow=2, shadow_share=1.0))
    answer = gateway.ask(model="mirrored")
    assert answer.status_code == 200
    trace = answer.headers["x-noria-trace-id"]
    failed = until(lambda: [s for s in gateway.spans() if s.get("attributes", {}).get("shadow_of") == trace])
    assert failed[0]["status_code"] == 502


def test_a_shadows_share_is_by_session(gateway: Running) -> None:
    entry = serve(gateway, "ok", "ok:half", name="mirrored")
    gateway.publish(replace(entry, shadow=2, shadow_share=0.5))
    for number in range(40):
        gateway.ask(model="mirrored", headers={"x-noria-session": f"s-{number}"})
    until(lambda: gateway.calls("half")["calls"] > 8)
    assert gateway.calls("half")["calls"] < 32


def test_health_tells_nothing_of_it(gateway: Running) -> None:
    assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}
