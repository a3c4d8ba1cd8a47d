"""TensorZero's `[models]` and its short names ("openai::gpt-5-mini"), as releases of providers of ours.

Source: TensorZero's configuration reference (github.com/tensorzero/tensorzero, docs/gateway/configuration-reference.mdx, the
archived repository of 2026). A model is a list of places that are asked in turn: the first is a release, the others are its
fallbacks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from noria.core.errors import BadInput
from noria.registry.moving.places import OPENAI_LIKE, UNSUPPORTED, Place, place_of
from noria.registry.moving.plan import Plan, PlannedKey, PlannedProvider

_SERVICES: Final[Mapping[str, str]] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google_ai_studio_gemini": "gemini",
    "google_ai_studio": "gemini",
    "aws_bedrock": "bedrock",
    "azure": "azure",
    "groq": "groq",
    "mistral": "mistral",
    "together": "together",
    "fireworks": "fireworks",
    "deepseek": "deepseek",
    "xai": "xai",
    "openrouter": "openrouter",
    "vllm": "vllm",
    "sglang": "sglang",
    "tgi": OPENAI_LIKE,
}
_VARIABLES: Final[Mapping[str, str]] = {
    "gemini": "GOOGLE_AI_STUDIO_API_KEY",
    "azure": "AZURE_API_KEY",
    "vllm": "VLLM_API_KEY",
    "bedrock": "",
    "sglang": "",
    OPENAI_LIKE: "",
}
"""Where TensorZero looks for a key, where it is another variable than its makers' own."""
_USED: Final = frozenset(
    {
        *(
            "type",
            "model_name",
            "model_id",
            "deployment_id",
            "api_base",
            "endpoint",
            "region",
            "api_key_location",
            "cost",
        ),
        *("timeouts", "timeout_ms", "api_type"),
    }
)


@dataclass(frozen=True, slots=True)
class Served:
    """One place of a model."""

    provider: PlannedProvider
    model: str
    price: dict[str, int]


class Models:
    """The models of one configuration; a provider is planned when the first function uses it."""

    def __init__(self, raw: Mapping[str, Any], plan: Plan, variables: Mapping[str, str]) -> None:
        self._raw = raw
        self._plan = plan
        self._variables = variables
        self._known: dict[str, list[Served]] = {}
        self.used: set[str] = set()
        """Names of configured models that somebody has asked for."""

    def served(self, name: str, section: str = "models") -> list[Served]:
        """The places of a model in the order in which they are asked; empty when none of them can be had."""
        key = f"{section}.{name}"
        if key not in self._known:
            configured = _mapping(self._raw.get(section)).get(name)
            if isinstance(configured, Mapping):
                self._known[key] = self._routed(key, configured)
            else:
                self._known[key] = self._short(name)
        self.used.add(key)
        return self._known[key]

    def _routed(self, what: str, model: Mapping[str, Any]) -> list[Served]:
        providers = _mapping(model.get("providers"))
        routing = model.get("routing")
        found = []
        for name in routing if isinstance(routing, list) else providers:
            raw = providers.get(name)
            if not isinstance(raw, Mapping):
                self._plan.left(f"{what}.routing {name}", "there is no provider of this name below it")
                continue
            try:
                found.append(self._one(raw))
            except BadInput as error:
                self._plan.left(f"{what}.providers.{name}", error.message)
                continue
            for odd in sorted(raw.keys() - _USED):
                self._plan.left(
                    f"{what}.providers.{name}.{odd}", "Noria has nothing like it; parameters belong to releases"
                )
        for odd in sorted(model.keys() - {"routing", "providers", "timeouts", "timeout_ms", "retries"}):
            self._plan.left(f"{what}.{odd}", "Noria has nothing like it")
        return found

    def _short(self, name: str) -> list[Served]:
        service, _, model = name.partition("::")
        try:
            if not model:
                raise BadInput("there is no model of this name in the configuration")
            return [self._one({"type": service, "model_name": model.removeprefix("responses::")})]
        except BadInput as error:
            self._plan.left(f"the model {name}", error.message)
            return []

    def _one(self, raw: Mapping[str, Any]) -> Served:
        kind = str(raw.get("type") or "")
        if kind in UNSUPPORTED:
            raise BadInput(UNSUPPORTED[kind])
        if (service := _SERVICES.get(kind)) is None:
            raise BadInput(f"Noria does not know providers of type {kind[:40]!r}")
        model = str(raw.get("model_name") or raw.get("deployment_id") or raw.get("model_id") or "")
        if not model:
            raise BadInput("it names no model")
        base = self._located(str(raw.get("api_base") or raw.get("endpoint") or ""))
        place = place_of(service, base_url=base, region=self._located(str(raw.get("region") or "")))
        key = self._key(service, kind, raw, place)
        provider = self._plan.provider(
            place.name,
            kind=place.kind,
            base_url=place.base_url,
            options=place.options,
            keys=[key] if key else [],
        )
        return Served(provider, model, _price(raw.get("cost")))

    def _located(self, text: str) -> str:
        """A text, or the variable "env::NAME" that it names."""
        if not text.startswith("env::"):
            return text
        name = text.removeprefix("env::")
        if not (value := self._variables.get(name, "")):
            raise BadInput(f"its address is in {name}, which is not set in this environment")
        return value

    def _key(self, service: str, kind: str, raw: Mapping[str, Any], place: Place) -> PlannedKey | None:
        defaults = _mapping(_mapping(_mapping(self._raw.get("provider_types")).get(kind)).get("defaults"))
        where = raw.get("api_key_location", defaults.get("api_key_location"))
        if isinstance(where, Mapping):
            where = next((one for one in where.values() if str(one).startswith("env::")), None)
        if where is None:
            name = _VARIABLES.get(service, place.key_name)
            return PlannedKey(name, self._variables.get(name, "")) if name else None
        text = str(where)
        if text == "none":
            return None
        if not text.startswith("env::"):
            raise BadInput("its key comes with each request (dynamic::), which Noria does not take from callers")
        name = text.removeprefix("env::")
        return PlannedKey(name, self._variables.get(name, ""))


def _price(cost: Any) -> dict[str, int]:
    """Prices from the counts that an answer's usage holds; anything else is no price of tokens."""
    found: dict[str, int] = {}
    for one in cost if isinstance(cost, list) else ():
        amount = _mapping(one).get("cost_per_million")
        pointer = str(_mapping(one).get("pointer", ""))
        if not isinstance(amount, int | float) or isinstance(amount, bool) or amount < 0:
            continue
        if pointer.endswith(("/prompt_tokens", "/input_tokens")):
            found["input_micros"] = round(amount * 1_000_000)
        elif pointer.endswith(("/completion_tokens", "/output_tokens")):
            found["output_micros"] = round(amount * 1_000_000)
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
