"""What a model call cost that tells its tokens and no cost: an estimate from the prices that Noria knows (docs/prices.md).

In: what a span says of provider, address, model and tokens. Out: `cost_micros` and `price_version`, or nothing. The decision to know: a price
is of a place (noria.registry.prices). An address that the span names says where that is, then the provider that it names. One that names neither is
priced only where its model is sold under that name by its maker, never where anybody may run it. design/0013.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from noria.registry import costs
from noria.registry.kinds import KINDS
from noria.registry.presets import PRESETS
from noria.registry.prices import Current, Price, PriceTable

CALLS: Final = frozenset({"llm", "embedding"})
"""Kinds of spans that are priced: what lies above them repeats their tokens."""
MARK: Final = {"noria.cost": "estimated"}
"""Attribute of a span whose cost is an estimate."""
_PLACES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("gcp.gemini", "google", "google_genai", "google-genai", "google-gla", "google_ai_studio"), "gemini"
    ),
    **dict.fromkeys(("x_ai", "x-ai", "grok"), "xai"),
    **dict.fromkeys(("mistral_ai", "mistral-ai", "mistralai"), "mistral"),
    **dict.fromkeys(("azure.ai.openai", "az.ai.openai", "azure_openai", "azure-openai"), "azure"),
    **dict.fromkeys(("aws.bedrock", "aws_bedrock", "amazon_bedrock", "amazon-bedrock"), "bedrock"),
    **dict.fromkeys(("together_ai", "togetherai"), "together"),
    "fireworks_ai": "fireworks",
}
"""Names of providers that libraries write, to presets; a preset's own name is its own."""
_MAKERS: Final = ("openai", "anthropic", "gemini", "xai")
"""Whose models nobody else runs under the same name."""
_MOST: Final = 2_000
"""Prices that are remembered: names come from clients."""


class Tokens(NamedTuple):
    """noria.registry.costs.Counted; nobody tells for how long tokens are kept in a cache."""

    input: int
    output: int
    cached: int
    written: int
    written_1h: int = 0


class Estimates:
    """Prices of one installation, looked up once for each name that spans carry."""

    def __init__(self, prices: Path) -> None:
        """`prices`: the installation's own file (Folder.prices), which need not exist."""
        self._prices = Current(prices)
        self._known: tuple[PriceTable | None, dict[tuple[str, str, str], Price | None]] = (None, {})

    def of(self, made: Mapping[str, Any], address: str, written: int) -> dict[str, Any]:
        """`cost_micros` and `price_version` of a model call that told no cost; {} where no price is known.

        `made` has fields of noria.core.records.Span, `address` is the host that was called, `written` are tokens written to the provider's cache.
        """
        model = made.get("requested_model") or made.get("served_model")  # what is asked for, as of a release
        if not model or not (made.get("input_tokens") or made.get("output_tokens")):
            return {}
        price = self.price(made.get("provider", ""), model, address)
        if price is None:
            return {}
        return {"cost_micros": costs.micros(price, _tokens(made, written)), "price_version": price.version}

    def price(self, provider: str, model: str, address: str) -> Price | None:
        """Of a model, at what a span calls its provider and its server's address; "" for what it does not say."""
        table = self._prices.table()
        of, known = self._known
        if of is not table or len(known) >= _MOST:
            known = {}
            self._known = (table, known)
        asked = (provider, model, address)
        if asked not in known:
            known[asked] = _find(table, *asked)
        return known[asked]


@lru_cache(maxsize=8)
def estimates(prices: Path) -> Estimates:
    """Those of an installation, by its file of prices (Folder.prices): one for all of a process."""
    return Estimates(prices)


def _tokens(made: Mapping[str, Any], written: int) -> Tokens:
    entered, left, cached = made.get("input_tokens", 0), made.get("output_tokens", 0), made.get("cached_tokens", 0)
    if cached + written > entered:  # counted beside the rest of the prompt, as Anthropic's own answers do
        entered += cached + written
    return Tokens(entered, left, cached, written)


def _find(table: PriceTable, provider: str, model: str, address: str) -> Price | None:
    names = _names(provider, address)
    if names:
        return _first(table, names, model)
    head, slash, _ = model.partition("/")
    told = _PLACES.get(head, head)
    makers = (told,) if slash and told in _MAKERS else _MAKERS
    found = _first(table, makers, model)
    return found if found and "*" not in found.model else None


def _names(provider: str, address: str) -> tuple[str, ...]:
    """What the table may call the place; a service that has one address is not believed at another."""
    place = _PLACES.get(provider, provider)
    if not address:
        return tuple(dict.fromkeys(name for name in (provider, place) if name))
    there = [name for name, host in _HOSTS.items() if host == address]
    if address.endswith(".openai.azure.com"):
        there.append("azure")
    elif address.startswith("bedrock-runtime."):
        there.append("bedrock")
    elif place and place not in _HOSTS:
        there += [provider, place]
    return tuple(dict.fromkeys((address, *there)))


def _first(table: PriceTable, names: tuple[str, ...], model: str) -> Price | None:
    return next((found for name in _spelled(model, names) if (found := table.find(names, name))), None)


def _spelled(model: str, names: tuple[str, ...]) -> Iterator[str]:
    """The name as it came, and without "models/" or the provider's name before it."""
    yield model
    head, slash, tail = model.partition("/")
    if slash and (head == "models" or head in names or _PLACES.get(head) in names):
        yield tail


_HOSTS: Final[Mapping[str, str]] = {
    preset.name: host
    for preset in PRESETS.values()
    if not preset.port
    and (host := urlsplit(preset.base_url or KINDS[preset.kind].base_url).hostname)
    and "{" not in host
}
"""Services to their hosts."""
