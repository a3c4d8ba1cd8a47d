"""What Prometheus reads of a gateway."""

import re
from typing import Any

import httpx

from noria.governance.keys import digest, new_key
from noria.registry.snapshot import KeyEntry
from tests.gateway.conftest import PROVIDER_KEY, Running


def metrics(gateway: Running, key: str | None = None) -> httpx.Response:
    return httpx.get(f"{gateway.url}/metrics", headers={"authorization": f"Bearer {key or gateway.key}"})


def value(text: str, name: str, **labels: str) -> float:
    for line in text.splitlines():
        if line.startswith(name + "{") and all(f'{label}="{is_}"' in line for label, is_ in labels.items()):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name} with {labels}")


def test_requests_tokens_and_cost_are_counted(gateway: Running) -> None:
    gateway.serve("ok", name="measured", input_micros=1_000_000, output_micros=2_000_000)
    gateway.ask(model="measured", stream=True)
    gateway.ask(model="measured")
    gateway.serve("error-500", name="failing")
    gateway.ask(model="failing")
    answer = metrics(gateway)
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    labels: dict[str, Any] = {"noria_endpoint": "measured", "gen_ai_operation_name": "chat", "error_type": ""}
    assert value(text, "gen_ai_server_request_duration_seconds_count", **labels) == 2
    assert value(text, "gen_ai_server_time_to_first_token_seconds_count", **labels) == 2
    assert value(text, "gen_ai_server_time_per_output_token_seconds_count", **labels) == 1
    assert value(text, "gen_ai_client_token_usage_sum", gen_ai_token_type="input", **labels) == 14
    assert value(text, "noria_cost_micros_total", **labels) == 2 * (7 + 6)
    failed = {"noria_endpoint": "failing", "error_type": "no_code"}
    assert value(text, "gen_ai_server_request_duration_seconds_count", **failed) == 1
    assert gateway.key not in text
    assert PROVIDER_KEY not in text


def test_only_a_key_may_read_and_only_its_own_project(gateway: Running) -> None:
    assert httpx.get(f"{gateway.url}/metrics").status_code == 401
    gateway.serve("ok", name="ours")
    gateway.ask(model="ours")
    stranger = new_key()
    entry = KeyEntry("k-stranger", "another", digest(stranger), "call")
    gateway.publish(keys={**gateway.snapshot.keys, entry.digest: entry})
    assert "ours" in metrics(gateway).text
    assert "ours" not in metrics(gateway, stranger).text


def test_wrong_names_make_no_series(gateway: Running) -> None:
    for number in range(5):
        gateway.ask(model=f"made-up-{number}")
    assert not re.search("made-up", metrics(gateway).text)
