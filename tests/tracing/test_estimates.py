"""Model calls that tell tokens and no cost: priced as the gateway prices its own, where the place is known, and never guessed."""

import html
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.core import clock
from noria.core.records import Span
from noria.gateway.usage import Usage
from noria.governance import service as governance
from noria.governance.slice import SLICE as GOVERNANCE
from noria.registry import prices
from noria.registry.snapshot import ReleaseEntry
from noria.tracing import service
from noria.tracing.dialects.driver import record
from noria.tracing.estimates import Estimates
from noria.tracing.otlp.raw import Origin, Raw
from noria.tracing.slice import SLICE
from noria.web import application
from tests.stores.process import eventually
from tests.tracing.import_kit import Desk, langfuse_trace
from tests.tracing.otlp_kit import Made, Otlp
from tests.tracing.test_pieces import START, event, named, send

OWN = """
version = "acme-1"
[[list]]
provider = "llm.acme.example"
models = [{ model = "gpt-4o", input = 1_000_000, output = 2_000_000 }]
[[list]]
provider = "azure"
models = [{ model = "ours", input = 3_000_000, output = 4_000_000 }]
[[list]]
provider = "openai"
models = [{ model = "*", input = 7_000_000, output = 7_000_000 }]
"""
CALL = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
GPT = {**CALL, "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini-2024-07-18"}
MICROS = 1000 * 150 // 1000 + 100 * 600 // 1000


@pytest.fixture
def table(tmp_path: Path) -> Estimates:
    return Estimates(tmp_path / "prices.toml")


def read(attributes: dict[str, Any], table: Estimates) -> Span:
    now = clock.now_ns()
    raw = Raw("a" * 32, "b" * 16, "", "call", 3, now, now + 5, False, "", attributes, [], [], Origin())
    return Span.from_dict(record(raw, "project", "key", table))


@pytest.mark.parametrize(
    ("provider", "model", "address", "found"),
    [
        ("openai", "gpt-4o-mini", "", "openai/gpt-4o-mini"),
        ("openai", "gpt-4o-mini-2024-07-18", "api.openai.com", "openai/gpt-4o-mini"),
        ("openai", "openai/gpt-4o", "", "openai/gpt-4o"),
        ("gcp.gemini", "models/gemini-2.5-pro", "", "gemini/gemini-2.5-pro"),
        ("google", "gemini-2.5-flash", "generativelanguage.googleapis.com", "gemini/gemini-2.5-flash"),
        ("google_genai", "google/gemini-2.5-flash", "", "gemini/gemini-2.5-flash"),
        ("anthropic", "claude-haiku-4-5@20251001", "", "anthropic/claude-haiku-4-5"),
        ("x_ai", "grok-4.7", "", "xai/grok-4.7"),
        ("mistral_ai", "mistral-large-2512", "", "mistral/mistral-large-2512"),
        ("groq", "openai/gpt-oss-20b", "", "groq/openai/gpt-oss-20b"),
        # OpenAI's client calls others too: the address says where
        ("openai", "llama-3.3-70b-versatile", "api.groq.com", "groq/llama-3.3-70b-versatile"),
        ("openai", "gpt-4o", "127.0.0.1", None),
        ("openai", "gpt-4o", "eu.api.openai.com", None),
        ("openai", "gpt-4o", "acme.openai.azure.com", None),
        ("gcp.gemini", "gemini-2.5-pro", "aiplatform.googleapis.com", None),
        # who else runs it asks what they like
        ("gcp.vertex_ai", "gemini-2.5-pro", "", None),
        ("azure.ai.openai", "gpt-4o", "", None),
        ("openrouter", "openai/gpt-4o", "", None),
        ("my-proxy", "gpt-4o", "", None),
        ("openai", "gpt-4o-mini-audio", "", None),
        ("openai", "anthropic/claude-haiku-4-5", "", None),
        # no place at all: only models that nobody but their makers runs
        ("", "gpt-4o-2024-08-06", "", "openai/gpt-4o"),
        ("", "anthropic/claude-sonnet-4-6", "", "anthropic/claude-sonnet-4-6"),
        ("", "deepseek-v4-pro", "", None),
        ("", "groq/llama-3.3-70b-versatile", "", None),
        ("", "support", "", None),
    ],
)
def test_a_price_is_of_a_place(provider: str, model: str, address: str, found: str | None, table: Estimates) -> None:
    price = table.price(provider, model, address)
    assert (f"{price.provider}/{price.model}" if price else None) == found


COUNTS = {"gen_ai.usage.input_tokens": 300_000, "gen_ai.usage.output_tokens": 2_000}


@pytest.mark.parametrize(
    ("provider", "model", "more", "used"),
    [
        ("openai", "gpt-5.5", {}, {}),  # a long prompt
        ("openai", "gpt-4o", {"gen_ai.usage.cache_read.input_tokens": 50_000}, {"cached": 50_000}),
        (
            "anthropic",
            "claude-sonnet-4-6",
            {"gen_ai.usage.cache_read_input_tokens": 90_000, "gen_ai.usage.cache_creation_input_tokens": 40_000},
            {"cached": 90_000, "written": 40_000},
        ),
        (
            "anthropic",
            "claude-sonnet-4-6",
            {"llm.token_count.prompt_details.cache_write": 40_000, "openinference.span.kind": "LLM"},
            {"written": 40_000},
        ),
    ],
)
def test_it_costs_what_the_gateway_would_count(
    provider: str, model: str, more: dict[str, Any], used: dict[str, Any], table: Estimates
) -> None:
    span = read({"gen_ai.system": provider, "gen_ai.request.model": model, **COUNTS, **more}, table)
    price = prices.table().find((provider,), model)
    assert price is not None
    columns = {name: getattr(price, name) for name in prices.COLUMNS}
    release = ReleaseEntry(1, "p", model, long_prompts=price.long_prompts, **columns)
    assert span.cost_micros == Usage(300_000, 2_000, **used).cost_micros(release) > 0
    assert (span.price_version, span.attributes["noria.cost"]) == (price.version, "estimated")


def test_a_cache_that_is_counted_beside_the_prompt_is_paid_for(table: Estimates) -> None:
    told = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read_input_tokens": 1_000_000}
    span = read({**told, "gen_ai.system": "anthropic", "gen_ai.request.model": "claude-sonnet-4-6"}, table)
    assert (span.input_tokens, span.cost_micros) == (10, 300_000 + 30)


@pytest.mark.parametrize(
    "attributes",
    [
        {**GPT, "gen_ai.operation.name": "invoke_agent"},
        {**GPT, "gen_ai.system": "my-proxy"},
        {**GPT, "server.address": "10.0.0.7"},
        {**GPT, "gen_ai.openai.api_base": "http://litellm:4000/v1"},
        {**GPT, "gen_ai.request.model": "support", "gen_ai.response.model": "gpt-4o-mini"},
        {name: value for name, value in GPT.items() if "usage" not in name},
        {**GPT, "gen_ai.usage.cost": 0},
        {**GPT, "langfuse.observation.cost_details": '{"total": 0}'},
    ],
)
def test_what_is_not_known_or_was_said_to_be_free_costs_nothing(attributes: dict[str, Any], table: Estimates) -> None:
    span = read(attributes, table)
    assert (span.cost_micros, span.price_version) == (0, "")
    assert "noria.cost" not in span.attributes


def test_a_cost_that_was_told_stays_as_it_was(table: Estimates) -> None:
    span = read({**GPT, "gen_ai.usage.cost": 0.5}, table)
    assert (span.cost_micros, span.price_version) == (500_000, "")
    broken = read({**GPT, "gen_ai.usage.cost": "much"}, table)
    assert (broken.cost_micros, broken.price_version) == (MICROS, "2026-11")


def test_prices_of_ones_own_count_and_a_change_needs_no_restart(
    tmp_path: Path, table: Estimates, caplog: pytest.LogCaptureFixture
) -> None:
    def version(provider: str, model: str, address: str) -> str:
        price = table.price(provider, model, address)
        return price.version if price else ""

    assert version("openai", "gpt-4o", "llm.acme.example") == ""
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    eventually("the file is read", lambda: version("openai", "gpt-4o", "llm.acme.example") == "acme-1")
    assert version("openai", "ours", "acme.openai.azure.com") == "acme-1"
    assert version("azure.ai.openai", "ours", "") == "acme-1"
    assert version("openai", "ft:ours", "") == "acme-1"
    assert version("", "llama-70b", "") == "", "a pattern of a place is not for calls that name none"
    caplog.set_level(logging.ERROR)
    file.write_text("version = 3")
    eventually("the log tells of it", lambda: bool(version("azure", "ours", "") and caplog.records))
    assert "prices.toml" in caplog.text
    assert version("azure", "ours", "") == "acme-1", "what was read before stays in force"
    file.unlink()
    eventually("it is forgotten", lambda: version("azure", "ours", "") == "")
    assert len(caplog.records) == 1


@pytest.fixture
def browser(otlp: Otlp) -> Iterator[TestClient]:
    """Reads pages with the first admin's key."""
    app = application.create((GOVERNANCE, SLICE), otlp.stores, governance.authenticate)
    with TestClient(app, headers={"authorization": f"Bearer {otlp.admin}"}) as client:
        yield client


def test_a_trace_counts_each_call_once_and_says_what_is_estimated(otlp: Otlp, browser: TestClient) -> None:
    run = Made({**GPT, "gen_ai.operation.name": "invoke_agent"}, name="run")
    inner: dict[str, Any] = {"trace_id": run.trace_id, "parent_id": run.span_id}
    outer = Made(GPT, name="library", **inner)
    call = Made(GPT, name="client", trace_id=run.trace_id, parent_id=outer.span_id)
    told = Made({**GPT, "gen_ai.usage.cost": 0.25}, name="told", **inner)
    free = Made({**GPT, "gen_ai.usage.cost": 0}, name="free", **inner)
    assert otlp.send(run, outer, call, told, free).status_code == 200
    otlp.carry()
    totals = otlp.trace(run.trace_id).totals
    assert (totals.calls, totals.cost_micros, totals.estimated_micros) == (3, 250_000 + MICROS, MICROS)
    assert service.list_traces(otlp.stores, otlp.project).items[0].cost_micros == 250_000 + MICROS
    page = html.unescape(browser.get(f"/traces/{run.trace_id}").text)
    assert "$0.00021 of it estimated from Noria's prices" in page
    alone = otlp.one(Made(GPT))
    page = html.unescape(browser.get(f"/traces/{alone.trace_id}").text)
    assert '<dd>$0.00021 <span class="dim">estimated from Noria\'s prices</span></dd>' in page
    page = html.unescape(browser.get(f"/traces/{otlp.one(Made({**GPT, 'gen_ai.usage.cost': 1})).trace_id}").text)
    assert "estimated from" not in page


def test_langfuse_names_no_provider_and_its_model_is_priced_as_its_makers(otlp: Otlp) -> None:
    usages: list[dict[str, Any]] = [{}, {"totalCost": 0}, {"inputCost": 0, "outputCost": 0}, {"totalCost": 0.5}]
    for number, usage in enumerate(usages):
        body = {"traceId": "order 7", "id": f"g{number}", "name": f"g{number}", "startTime": START + "000001Z"}
        told = {**body, "model": "gpt-4o-mini", "usage": {"input": 1000, "output": 100, "unit": "TOKENS", **usage}}
        send(otlp, [event("generation-create", number, **told)])
    otlp.carry()
    found = named(otlp)
    costs = [(found[f"g{n}"].cost_micros, found[f"g{n}"].price_version) for n in range(4)]
    assert costs == [(MICROS, "2026-11"), (0, ""), (0, ""), (500_000, "")]


def test_an_export_without_cost_is_estimated(desk: Desk) -> None:
    row = json.loads(json.dumps(langfuse_trace()))
    for one in row["observations"]:
        one.pop("costDetails", None)
        one |= {"calculatedTotalCost": None, "totalCost": None}
        if one["type"] == "GENERATION":
            one |= {"model": "gpt-4o-mini", "usageDetails": {"input": 1000, "output": 100, "total": 1100}}
    desk.take("langfuse", desk.file("t.json", [row]))
    calls = [span for span in desk.spans().values() if span.kind == "llm"]
    assert [(span.cost_micros, span.price_version) for span in calls] == [(MICROS, "2026-11")] * len(calls) != []
    assert asdict(desk.trace().totals)["estimated_micros"] == MICROS * len(calls)
