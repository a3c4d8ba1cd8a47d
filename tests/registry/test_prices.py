"""Prices: the table is whole and dated, a file of one's own goes before it, and releases take theirs when they are made."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from noria.core.errors import BadInput
from noria.governance.service import authenticate
from noria.registry import prices, service, snapshot
from noria.registry.commands_prices import prices as command
from noria.registry.kinds import KINDS
from noria.registry.presets import PRESETS
from noria.registry.prices import PriceTable, names_of
from noria.registry.publish import build
from noria.registry.slice import SLICE as REGISTRY
from noria.web import application
from tests.registry.conftest import World

OWN = """
version = "acme-2026-12"
[[list]]
provider = "openai"
models = [{ model = "gpt-4.1-mini", input = 300_000, output = 1_200_000 }]
[[list]]
provider = "hosted"
models = [
  { model = "ours-*", input = 1_000_000, output = 2_000_000 },
  { model = "ours-large", input = 5_000_000, cached = 500_000, output = 9_000_000 },
]
"""


@pytest.fixture
def own(tmp_path: Path) -> PriceTable:
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    return prices.table(file)


def test_every_row_says_where_it_is_from_and_when_that_was_read() -> None:
    rows = prices.table().rows
    assert len(rows) > 50
    known = {*PRESETS, *KINDS}
    for row in rows:
        what = f"{row.provider}/{row.model}"
        assert row.version == "2026-11", what
        assert row.provider in known, what
        assert row.source.startswith("https://"), what
        assert date.fromisoformat(row.read) <= date(2026, 11, 30), what
        assert row.input_micros > 0, what
        assert (row.cached_micros or 0) <= row.input_micros, what
        assert (row.cache_write_micros or row.input_micros) >= row.input_micros, what
        assert (row.cache_write_1h_micros or 10**12) >= (row.cache_write_micros or 0), what
    names = [(row.provider, row.model) for row in rows]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("names", "model", "found"),
    [
        (("openai",), "gpt-4.1", "gpt-4.1"),
        (("openai",), "gpt-4.1-2025-04-14", "gpt-4.1"),
        (("anthropic",), "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        (("mistral",), "mistral-medium-3-5", "mistral-medium-3-5"),
        (("openai",), "gpt-4.1-mini-audio", None),
        (("groq",), "gpt-4.1", None),
        (("my-proxy",), "gpt-4.1", None),
    ],
)
def test_a_model_is_found_by_its_name_with_or_without_a_date(
    names: tuple[str, ...], model: str, found: str | None
) -> None:
    row = prices.table().find(names, model)
    assert (row.model if row else None) == found


@pytest.mark.parametrize(
    ("kind", "url", "names"),
    [
        ("openai", "https://api.openai.com/v1", ("mine", "openai")),
        ("openai", "https://api.groq.com/openai/v1", ("mine", "groq")),
        ("openai", "https://proxy.example.com/v1", ("mine",)),
        ("openai", "http://127.0.0.1:8000/v1", ("mine",)),
        ("anthropic", "https://api.anthropic.com/v1", ("mine", "anthropic")),
        ("anthropic", "https://proxy.example.com/v1", ("mine",)),
        ("azure", "https://mine.openai.azure.com", ("mine", "azure")),
        ("bedrock", "https://bedrock-runtime.eu-central-1.amazonaws.com", ("mine", "bedrock")),
        ("local", "", ("mine",)),
    ],
)
def test_the_table_speaks_of_a_provider_only_where_its_makers_run_it(
    kind: str, url: str, names: tuple[str, ...]
) -> None:
    assert names_of("mine", kind, url) == names


def test_a_file_of_ones_own_goes_before_the_table(own: PriceTable) -> None:
    mini = own.find(("openai",), "gpt-4.1-mini")
    assert mini is not None
    assert (mini.input_micros, mini.version) == (300_000, "acme-2026-12")
    large, small = own.find(("hosted",), "ours-large"), own.find(("hosted",), "ours-small")
    assert large is not None
    assert small is not None
    assert (large.input_micros, small.input_micros) == (5_000_000, 1_000_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = ", "cannot be read"),
        ("[[list]]\nprovider = 'x'\nmodels = []", "`version` is missing"),
        ("version = '1'", "there is no"),
        ("version = '1'\n[[list]]\nmodels = [{ model = 'm', input = 1 }]", "names no provider"),
        ("version = '1'\n[[list]]\nprovider = 'x'\nmodels = [{ model = 'm', input = 1.5 }]", "no whole number"),
        ("version = '1'\n[[list]]\nprovider = 'x'\nmodels = [{ model = 'm', input = -1 }]", "no whole number"),
        ("version = '1'\n[[list]]\nprovider = 'x'\nmodels = [{ model = 'm', cost = 1 }]", "has no 'cost'"),
        ("version = '1'\n[[list]]\nprovider = 'x'\nprice = 1", "has no 'price'"),
        ("version = '1'\n[[list]]\nprovider = 'x'\nmodels = [{ model = 'm', long = { above = 1 } }]", "long has"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(BadInput) as raised:
        prices.table(file)
    assert said in raised.value.message
    assert raised.value.message.startswith("prices.toml")


def test_the_example_in_the_documentation_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "prices.md").read_text(encoding="utf-8")
    file = tmp_path / "prices.toml"
    file.write_text(page.partition("```toml\n")[2].partition("```")[0])
    row = prices.table(file).find(("my-cloud", "bedrock"), "eu.anthropic.claude-sonnet-4-6-v1:0")
    assert row is not None
    assert (row.cached_micros, row.version) == (330_000, "acme-2026-12")


def add(world: World, name: str, **more: Any) -> None:
    service.add_provider(world.stores, project_id=world.project_id, name=name, actor_id="", **more)


def test_a_release_takes_the_price_of_its_model(world: World, own: PriceTable) -> None:
    add(world, "claude", preset="anthropic")
    made = world.release(provider="claude", model="claude-haiku-5-5-20261007")
    assert (made.input_micros, made.output_micros, made.cached_micros) == (100_000, 500_000, 10_000)
    assert (made.cache_write_micros, made.cache_write_1h_micros) == (125_000, 200_000)
    assert made.long_prompts == {"above": 100_000, "input_percent": 500, "output_percent": 500}
    assert made.price_version == "2026-11"
    world.promote(made.number)
    taken = snapshot.decode(snapshot.encode(build(world.stores)))
    entry = taken.endpoints[f"{world.project_id}/assistant"].releases[made.number]
    assert (entry.cached_micros, entry.cache_write_1h_micros, entry.price_version) == (10_000, 200_000, "2026-11")
    assert entry.long_prompts is not None
    assert entry.long_prompts.above == 100_000
    own_price = world.release(model="ours-large", known_prices=own)
    assert (own_price.input_micros, own_price.price_version) == (5_000_000, "acme-2026-12")


def test_what_is_said_of_a_release_goes_before_its_provider_and_that_before_the_table(world: World) -> None:
    add(world, "open", preset="openai", input_micros=1_000_000, output_micros=3_000_000)
    of_provider = world.release(provider="open", model="gpt-4.1-mini")
    assert (of_provider.input_micros, of_provider.output_micros, of_provider.cached_micros) == (
        1_000_000,
        3_000_000,
        None,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", of_provider.price_version)
    said = world.release(provider="open", model="gpt-4.1-mini", input_micros=7, cached_micros=2)
    assert (said.input_micros, said.output_micros, said.cached_micros) == (7, 3_000_000, 2)
    free = world.release(provider="open", model="gpt-4.1-mini", input_micros=0, output_micros=0)
    assert (free.input_micros, free.output_micros, free.price_version) == (0, 0, "")
    with pytest.raises(BadInput):
        world.release(provider="open", model="gpt-4.1-mini", cached_micros=-1)


def test_saying_the_input_price_says_the_cached_one_too(world: World) -> None:
    add(world, "open", preset="openai")
    made = world.release(provider="open", model="gpt-6.2-sol", input_micros=1_500_000)
    assert (made.input_micros, made.cached_micros, made.cache_write_micros) == (1_500_000, None, None)
    assert made.output_micros == 10_000_000
    assert made.long_prompts == {}


def test_a_model_that_nobody_priced_costs_nothing(world: World) -> None:
    made = world.release()
    assert (made.input_micros, made.output_micros, made.price_version) == (0, 0, "")


def test_prices_over_http(world: World) -> None:
    world.stores.settings.folder.prices.write_text(OWN)
    client = TestClient(application.create([REGISTRY], world.stores, authenticate))
    assert client.get("/api/prices").status_code == 401
    headers = {"authorization": f"Bearer {world.keys['author']}"}
    rows = client.get("/api/prices?model=gpt-4.1-mini", headers=headers).json()["items"]
    assert [row["version"] for row in rows] == ["acme-2026-12", "2026-11"]
    assert rows[1]["source"].startswith("https://")
    made = client.post(
        "/api/endpoints/assistant/releases", headers=headers, json={"provider": "hosted", "model": "ours-large"}
    )
    assert made.status_code == 201, made.text
    assert (made.json()["cached_micros"], made.json()["price_version"]) == (500_000, "acme-2026-12")


def test_prices_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(OWN)
    done = CliRunner().invoke(command, ["gpt-4.1-mini", "--sources", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "$0.3" in done.output
    assert "acme-2026-12" in done.output
    assert "https://platform.openai.com/docs/pricing, read 2025-07-04" in done.output
    unknown = CliRunner().invoke(command, ["no-such-model", "--data", str(tmp_path)])
    assert "No price is known" in unknown.output
