"""Limits and budgets of keys, endpoints and projects, over real requests."""

import concurrent.futures
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from noria.governance.limits import Limits
from noria.registry.policy import Policy
from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, release, until
from tests.stores.test_counters import redis_server


def limited(gateway: Running, model: str = "ok", name: str = "limited", prices: int = 0, **limits: int) -> None:
    """An endpoint with limits; each test has one of its own, since what was used is remembered."""
    one = release(1, model, input_micros=prices, output_micros=prices)
    policy = Policy(1, limits=Limits(**limits))
    gateway.publish(EndpointEntry(f"e-{name}", "project", name, primary=1, releases={1: one}, policy=policy))


def test_requests_a_minute(gateway: Running) -> None:
    limited(gateway, name="three", requests_per_minute=3)
    answers = [gateway.ask(model="three") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers[:3]] == ["2", "1", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "3"
    refused = answers[3]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    span = gateway.span(refused.headers["x-noria-trace-id"])
    assert (span["status_code"], span["error_type"]) == (429, "rate_limit_exceeded")


def test_the_official_client_sees_its_own_error_class(gateway: Running) -> None:
    limited(gateway, name="one", requests_per_minute=1)
    with gateway.client() as client:
        client.chat.completions.create(model="one", messages=[{"role": "user", "content": "a"}])
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="one", messages=[{"role": "user", "content": "b"}])


def test_tokens_a_minute_are_settled_to_what_was_used(gateway: Running) -> None:
    limited(gateway, name="tokens", tokens_per_minute=100)
    # Each request reserves about 25 + 30 tokens and uses 10.
    answers = [gateway.ask(model="tokens", max_tokens=30).status_code for _ in range(5)]
    assert answers == [200] * 5
    assert gateway.ask(model="tokens", max_tokens=90).status_code == 429


def test_a_budget_ends_when_it_is_spent(gateway: Running) -> None:
    limited(gateway, name="money", prices=1_000_000, day_micros=45)  # a request reserves about 20 and costs 10
    answers = [gateway.ask(model="money") for _ in range(6)]
    codes = [answer.status_code for answer in answers]
    assert codes.count(200) in {3, 4}
    assert codes[-1] == 429
    assert answers[-1].json()["error"]["code"] == "insufficient_quota"
    assert int(answers[-1].headers["retry-after"]) > 60 or time.gmtime().tm_hour == 23


def test_a_client_that_leaves_pays_for_what_it_got(gateway: Running) -> None:
    limited(gateway, "slow", name="left", prices=1_000_000, day_micros=10_000)
    with (
        httpx.stream(
            "POST",
            f"{gateway.url}/v1/chat/completions",
            headers={"authorization": f"Bearer {gateway.key}"},
            json={"model": "left", "messages": [{"role": "user", "content": "a b c d e f g h"}], "stream": True},
        ) as answer,
    ):
        next(answer.iter_bytes())
        trace = answer.headers["x-noria-trace-id"]
    span = until(lambda: [one for one in gateway.spans() if one["trace_id"] == trace])[0]
    assert span["status_code"] == 499
    assert 0 < span["cost_micros"] < 100
    left = 10_000 - span["cost_micros"]
    limited(gateway, "ok", name="left", prices=1_000_000, day_micros=span["cost_micros"] + 1)
    assert until(lambda: gateway.ask(model="left").status_code in {200, 429})
    assert left > 0


def test_so_many_at_the_same_time(gateway: Running) -> None:
    limited(gateway, "slow", name="two", concurrent=2)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: gateway.ask(model="two").status_code, range(6)))
    assert codes.count(200) == 2
    assert codes.count(429) == 4
    assert until(lambda: gateway.ask(model="two").status_code == 200), "they were given back"


def test_keys_and_projects_have_limits_of_their_own(gateway: Running) -> None:
    gateway.serve("ok", name="open")
    tight = gateway.new_key(limits=Limits(requests_per_minute=1))
    assert [gateway.ask(model="open", key=tight).status_code for _ in range(2)] == [200, 429]
    assert gateway.ask(model="open").status_code == 200, "another key is not concerned"
    gateway.publish(projects={"project": Limits(requests_per_minute=1)})
    codes = [gateway.ask(model="open").status_code for _ in range(3)]
    gateway.publish(projects={})
    assert codes[-1] == 429


def test_a_limit_holds_within_a_second_of_its_change(gateway: Running) -> None:
    limited(gateway, name="changes")
    assert gateway.ask(model="changes").status_code == 200
    limited(gateway, name="changes", requests_per_minute=1)
    gateway.ask(model="changes")
    assert gateway.ask(model="changes").status_code == 429


def test_what_was_used_is_known_after_a_restart(make_gateway: Any) -> None:
    gateway = make_gateway()
    limited(gateway, name="kept", requests_per_minute=2)
    assert [gateway.ask(model="kept").status_code for _ in range(3)] == [200, 200, 429]
    gateway.stop(9)
    gateway.start()
    assert until(lambda: gateway.ask(model="kept").status_code) in {429, 200}
    assert gateway.ask(model="kept").status_code == 429


def test_counters_that_are_away_do_not_end_the_service(make_gateway: Any) -> None:
    gateway = make_gateway(counters_url="redis://127.0.0.1:9/0")
    limited(gateway, name="away", requests_per_minute=1)
    assert [gateway.ask(model="away").status_code for _ in range(3)] == [200] * 3
    assert gateway.log.count("limits are not counted now") == 1


def test_gateways_on_several_machines_share_limits_through_redis(make_gateway: Any, tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        gateways = [make_gateway(counters_url=url) for _ in range(2)]
        for gateway in gateways:
            limited(gateway, name="both", requests_per_minute=4)
        codes = [gateway.ask(model="both").status_code for _ in range(4) for gateway in gateways]
    assert (codes.count(200), codes.count(429)) == (4, 4)
