"""The snapshot as bytes: what goes in comes out, files of earlier versions are read, and policies cost little."""

from dataclasses import asdict

import orjson
import pytest

from noria.registry import policy as policies
from noria.registry.policy import EMPTY, Breaker, Cache, Guardrail, Hedge, Limits, Policy, Retries, Timeouts
from noria.registry.snapshot import EndpointEntry, KeyEntry, ReleaseEntry, Snapshot, decode, encode

FULL = Policy(
    version=3,
    fallbacks=(2, 1),
    timeouts=Timeouts(connect=2.0, first_byte=10.0),
    retries=Retries(attempts=2),
    breaker=Breaker(failures=5),
    hedge=Hedge(after_ms=800),
    limits=Limits(requests_per_minute=600, day_micros=5_000_000),
    cache=Cache(mode="semantic", threshold=0.9, step="http://127.0.0.1:9000/embed"),
    guardrails=(
        Guardrail("pii", when="both", options={"restore": True}),
        Guardrail("deny", on_trouble="open", timeout_ms=20, options={"patterns": ["a{1,3}"]}),
    ),
)


def snapshot() -> Snapshot:
    releases = {number: ReleaseEntry(number, "p", "small") for number in (1, 2, 3)}
    full = EndpointEntry("e", "project", "a", primary=1, shadow=3, shadow_share=0.2, policy=FULL, releases=releases)
    plain = EndpointEntry("f", "project", "b", primary=1, releases={1: releases[1]})
    keys = {
        "d1": KeyEntry("k1", "project", "d1", "call", limits=Limits(concurrent=4)),
        "d2": KeyEntry("k2", "project", "d2", "call"),
    }
    endpoints = {"project/a": full, "project/b": plain}
    return Snapshot(7, 1.5, keys=keys, endpoints=endpoints, projects={"project": Limits(month_micros=90_000_000)})


def test_what_goes_in_comes_out() -> None:
    assert decode(encode(snapshot())) == snapshot()


def test_an_endpoint_without_a_policy_shares_the_empty_one_and_writes_nothing() -> None:
    data = encode(snapshot())
    assert orjson.loads(data)["endpoints"]["project/b"]["policy"] == {}
    assert decode(data).endpoints["project/b"].policy is EMPTY


def test_a_file_from_before_policies_is_read() -> None:
    raw = orjson.loads(encode(snapshot()))
    del raw["projects"]
    for key in raw["keys"].values():
        del key["limits"]
    for endpoint in raw["endpoints"].values():
        for name in ("policy", "shadow", "shadow_share"):
            del endpoint[name]
    found = decode(orjson.dumps(raw))
    assert found.projects == {} and {key.limits for key in found.keys.values()} == {Limits()}
    assert {(one.policy, one.shadow, one.shadow_share) for one in found.endpoints.values()} == {(EMPTY, 0, 0.0)}


@pytest.mark.parametrize("policy", [FULL, EMPTY, Policy(version=1), Policy(cache=Cache(mode="exact"))])
def test_a_policy_written_short_or_whole_is_the_same(policy: Policy) -> None:
    assert policies.decode(orjson.loads(orjson.dumps(policies.sparse(policy)))) == policy
    assert policies.decode(orjson.loads(orjson.dumps(asdict(policy)))) == policy


def test_fields_of_a_later_version_are_dropped() -> None:
    raw = {"version": 2, "mirrors": [1], "limits": {"concurrent": 3, "per_hour": 9}}
    assert policies.decode(raw) == Policy(version=2, limits=Limits(concurrent=3))


def test_only_what_differs_is_written() -> None:
    policy = Policy(retries=Retries(attempts=2), guardrails=(Guardrail("pii"),))
    guardrail = {"kind": "pii", "when": "before", "on_trouble": "closed", "timeout_ms": 500, "options": {}}
    assert policies.sparse(policy) == {"retries": {"attempts": 2}, "guardrails": [guardrail]}
