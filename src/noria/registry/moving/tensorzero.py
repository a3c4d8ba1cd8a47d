"""TensorZero's tensorzero.toml, read into a plan.

A function becomes an endpoint, a variant a release, its model's routing the fallbacks. Weights become a primary and a canary:
Noria shares traffic between two releases at a time, so the heaviest serves, the second takes its share, and further ones are
drafts. The decision to know: a template is taken over when it only puts values in; one that computes is named with its
line, and its variant is left out, because a prompt that is almost the same is another prompt.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from noria.core.errors import BadInput
from noria.registry.moving.minijinja import converted
from noria.registry.moving.plan import Plan, PlannedEndpoint, PlannedPrompt, PlannedRelease, free_name, name_from
from noria.registry.moving.tensorzero_models import Models, Served

SOURCE: Final = "tensorzero.toml"
_MOST_FALLBACKS: Final = 8
_MOST_RETRIES: Final = 5
_PARAMETERS: Final = {
    **{name: name for name in ("temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed")},
    **{name: name for name in ("reasoning_effort", "service_tier", "verbosity")},
    "stop_sequences": "stop",
}
_VARIANT: Final = frozenset(
    {*_PARAMETERS, "type", "model", "weight", "system_template", "user_template", "assistant_template", "templates"}
    | {"json_mode", "retries", "timeouts"}
)
_FUNCTION: Final = frozenset(
    {
        "type",
        "variants",
        "experimentation",
        "output_schema",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "description",
    }
    | {"system_schema", "user_schema", "assistant_schema", "schemas"}
)
_SCHEMAS: Final = frozenset({"system_schema", "user_schema", "assistant_schema", "schemas"})
_WHY: Final[Mapping[str, str]] = {
    "gateway": "Noria's gateway has settings of its own (docs/settings.md)",
    "clickhouse": "spans lie in Noria's own store",
    "postgres": "records lie in Noria's own database",
    "object_storage": "files lie in Noria's data folder or its object storage",
    "metrics": "feedback needs no declaration here: send a score for a trace (POST /api/feedback)",
    "evaluations": "evaluations are made over dataset versions here (docs/evaluation.md)",
    "rate_limiting": "limits are set by key, endpoint and project here: see the endpoint's policy and `noria project limits`",
    "optimizers": "tuning is a recipe over a dataset version here",
    "autopilot": "Noria has nothing like it",
}


def read(file: Path, variables: Mapping[str, str]) -> Plan:
    """The plan for a configuration; templates and schemas are read beside it. Raises BadInput when it is none."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{file.name} is no TOML: {error}", hint="Give TensorZero's tensorzero.toml.") from None
    if not {"functions", "models", "embedding_models"} & raw.keys():
        raise BadInput(f"{file.name} has neither functions nor models.", hint="Give TensorZero's tensorzero.toml.")
    reading = _Reading(raw, file.parent, variables)
    reading.functions()
    reading.models()
    reading.rest()
    return reading.plan


class _Reading:
    """One configuration under way."""

    def __init__(self, raw: Mapping[str, Any], folder: Path, variables: Mapping[str, str]) -> None:
        self.plan = Plan(SOURCE)
        self._raw = raw
        self._folder = folder
        self._models = Models(raw, self.plan, variables)
        self._used: set[str] = set()
        self._prompts: set[str] = set()

    def functions(self) -> None:
        for name, function in _mapping(self._raw.get("functions")).items():
            if not isinstance(function, Mapping):
                continue
            for odd in sorted(function.keys() - _FUNCTION):
                self.plan.left(f"functions.{name}.{odd}", "Noria has nothing like it")
            for schema in sorted(_SCHEMAS & function.keys()):
                self.plan.left(
                    f"functions.{name}.{schema}", "variables of a prompt are not checked against a schema here"
                )
            self._function(name, function)

    def _function(self, name: str, function: Mapping[str, Any]) -> None:
        what = f"functions.{name}"
        try:
            common = self._common(name, function)
        except BadInput as error:
            self.plan.left(what, error.message)
            return
        variants = {}
        for label, variant in _mapping(function.get("variants")).items():
            try:
                chain = self._variant(f"{what}.variants.{label}", label, _mapping(variant), name, common)
            except BadInput as error:
                self.plan.left(f"{what}.variants.{label}", error.message)
                continue
            if chain:
                variants[label] = (chain, _mapping(variant))
        if not variants:
            self.plan.left(what, "none of its variants could be taken over")
            return
        self._endpoint(name, function, variants)

    def _common(self, name: str, function: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that all variants have: tools, and the schema of a json function's answer."""
        found: dict[str, Any] = {}
        if tools := [self._tool(str(tool)) for tool in function.get("tools") or ()]:
            found["tools"] = tools
            choice = function.get("tool_choice")
            if isinstance(choice, str) and choice != "auto":
                found["tool_choice"] = choice
            if isinstance(function.get("parallel_tool_calls"), bool):
                found["parallel_tool_calls"] = function["parallel_tool_calls"]
        if function.get("type") == "json" and function.get("output_schema"):
            schema = self._json(str(function["output_schema"]))
            found["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name_from(name).replace(".", "_"), "schema": schema, "strict": True},
            }
        return found

    def _tool(self, name: str) -> dict[str, Any]:
        raw = _mapping(_mapping(self._raw.get("tools")).get(name))
        if not raw:
            raise BadInput(f"its tool {name[:60]!r} is not in the configuration")
        function = {"name": str(raw.get("name") or name), "description": str(raw.get("description") or "")}
        parameters = self._json(str(raw["parameters"])) if raw.get("parameters") else {"type": "object"}
        strict = {"strict": True} if raw.get("strict") is True else {}
        return {"type": "function", "function": {**function, "parameters": parameters, **strict}}

    def _variant(
        self, what: str, label: str, variant: Mapping[str, Any], function: str, common: Mapping[str, Any]
    ) -> list[PlannedRelease]:
        """The release of a variant and, behind it, one for each further place of its model."""
        kind = variant.get("type", "chat_completion")
        if kind != "chat_completion":
            raise BadInput(f"a variant of type {str(kind)[:40]!r} has no like in Noria")
        prompt = self._prompt(what, function, label, variant)
        served = self._models.served(str(variant.get("model") or ""))
        if not served:
            raise BadInput("none of the places of its model could be taken over")
        parameters = {ours: variant[theirs] for theirs, ours in _PARAMETERS.items() if variant.get(theirs) is not None}
        parameters = {**parameters, **common}
        if variant.get("json_mode") == "on" and "response_format" in parameters:
            parameters["response_format"] = {"type": "json_object"}
        elif variant.get("json_mode") in ("off", "tool"):
            parameters.pop("response_format", None)
            self.plan.changed(
                f"{what}.json_mode", "the answer is not held to the schema; say so in a guardrail of kind schema"
            )
        for odd in sorted(variant.keys() - _VARIANT):
            self.plan.left(f"{what}.{odd}", "Noria has nothing like it")
        return [_release(one, parameters, prompt, label) for one in served]

    def _prompt(self, what: str, function: str, label: str, variant: Mapping[str, Any]) -> PlannedPrompt | None:
        named = _mapping(variant.get("templates"))
        paths = {
            role: variant.get(f"{role}_template") or _mapping(named.get(role)).get("path")
            for role in ("system", "user", "assistant")
        }
        if paths["assistant"]:
            raise BadInput("it has a template for the assistant's messages, which Noria's prompts have not")
        if odd := sorted(named.keys() - paths.keys()):
            raise BadInput(f"it has a template {odd[0][:40]!r}; Noria's prompts have system and user")
        if not paths["system"] and not paths["user"]:
            return None
        messages = []
        for role in ("system", "user"):
            if path := paths[role]:
                try:
                    messages.append({"role": role, "content": converted(self._text(str(path)))})
                except BadInput as error:
                    raise BadInput(f"its template {Path(str(path)).name}: {error.message}") from None
        if not paths["user"]:
            messages.append({"role": "messages"})
        else:
            self.plan.changed(
                what, 'the arguments of its user message are variables here: {"noria": {"variables": {…}}}'
            )
        if any("{{" in message.get("content", "") for message in messages if message["role"] == "system"):
            self.plan.changed(what, "the arguments of its system message are variables here, too")
        name = free_name(name_from(f"{function}-{label}"), self._prompts)
        self._prompts.add(name)
        return PlannedPrompt(name, tuple(messages))

    def _endpoint(
        self,
        name: str,
        function: Mapping[str, Any],
        variants: Mapping[str, tuple[list[PlannedRelease], Mapping[str, Any]]],
    ) -> None:
        weights, reserves = self._weights(f"functions.{name}", function, variants)
        order = sorted(weights, key=lambda label: -weights[label])
        releases = [variants[label][0][0] for label in order]
        standing = [*variants[order[0]][0][1:], *(one for label in reserves for one in variants[label][0])]
        fallbacks = range(len(releases), len(releases) + len(standing[:_MOST_FALLBACKS]))
        releases += standing[:_MOST_FALLBACKS]
        made = PlannedEndpoint(free_name(name_from(name), self._used), releases, fallbacks=list(fallbacks))
        self._used.add(made.name)
        if len(order) > 1:
            made.canary, made.canary_share = 1, round(weights[order[1]] / sum(weights.values()), 4)
        for label in order[2:]:
            self.plan.changed(
                f"functions.{name}.variants.{label}", "a draft: traffic is shared between two releases at a time"
            )
        made.policy = _policy(variants[order[0]][1])
        self.plan.endpoints.append(made)
        shares = [f"{label} {weights[label] / sum(weights.values()):.0%}" for label in order[:2]]
        told = f'call it model="{made.name}"; ' if made.name != name else ""
        self.plan.taken(f"endpoint {made.name}", f"{told}{', '.join(shares)}")

    def _weights(
        self, what: str, function: Mapping[str, Any], variants: Mapping[str, Any]
    ) -> tuple[dict[str, float], list[str]]:
        """Shares of the traffic by variant, and the variants that only stand in."""
        plan = _mapping(function.get("experimentation"))
        kind = str(plan.get("type") or "")
        given = {
            label: float(_mapping(raw).get("weight") or 0) for label, (_, raw) in variants.items() if "weight" in raw
        }
        candidates = plan.get("candidate_variants")
        reserves = [str(one) for one in plan.get("fallback_variants") or () if str(one) in variants]
        if isinstance(candidates, Mapping):
            given = {label: float(weight) for label, weight in candidates.items() if label in variants}
        elif isinstance(candidates, list):
            given = {str(label): 1.0 for label in candidates if str(label) in variants}
        if kind not in ("", "static", "static_weights", "uniform"):
            self.plan.left(
                f"{what}.experimentation {kind}", "a canary's share is moved by people or a gate; shares start equal"
            )
        weights = {label: weight for label, weight in given.items() if weight > 0}
        if not weights:
            weights = {label: 1.0 for label in variants if label not in reserves} or {next(iter(variants)): 1.0}
        elif not reserves and not plan:
            reserves = [label for label in variants if label not in weights]
        return weights, [label for label in reserves if label not in weights]

    def models(self) -> None:
        """Models that no function asks for are called by their own names; so are embedding models."""
        for section in ("models", "embedding_models"):
            for name in _mapping(self._raw.get(section)):
                if f"{section}.{name}" in self._models.used:
                    continue
                served = self._models.served(name, section)
                if not served:
                    self.plan.left(f"{section}.{name}", "none of its places could be taken over")
                    continue
                releases = [_release(one, {}, None, name) for one in served[: _MOST_FALLBACKS + 1]]
                endpoint = free_name(name_from(name), self._used)
                self._used.add(endpoint)
                self.plan.endpoints.append(PlannedEndpoint(endpoint, releases, fallbacks=list(range(1, len(releases)))))
                self.plan.taken(
                    f"endpoint {endpoint}", " then ".join(f"{one.model} ({one.provider.name})" for one in releases)
                )

    def rest(self) -> None:
        known = {"functions", "models", "embedding_models", "tools", "provider_types"}
        for name in sorted(self._raw.keys() - known):
            self.plan.left(name, _WHY.get(name, "Noria has nothing like it"))

    def _text(self, path: str) -> str:
        """A file beside the configuration, and nothing outside of its folder."""
        file = (self._folder / path).resolve()
        if not file.is_relative_to(self._folder.resolve()):
            raise BadInput(f"{path[:100]} lies outside of the configuration's folder")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise BadInput(f"{path[:100]} cannot be read") from None

    def _json(self, path: str) -> Any:
        try:
            return orjson.loads(self._text(path))
        except orjson.JSONDecodeError:
            raise BadInput(f"{path[:100]} is no JSON") from None


def _release(one: Served, parameters: Mapping[str, Any], prompt: PlannedPrompt | None, label: str) -> PlannedRelease:
    note = f"Imported from {SOURCE}, variant {label}."
    return PlannedRelease(one.provider, one.model, dict(parameters), prompt, dict(one.price), note)


def _policy(variant: Mapping[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    retries = _mapping(variant.get("retries"))
    if (attempts := retries.get("num_retries")) and isinstance(attempts, int):
        parts["retries"] = {"attempts": min(attempts, _MOST_RETRIES)}
        if isinstance(delay := retries.get("max_delay_s"), int | float) and delay > 0:
            parts["retries"]["most_ms"] = max(200, min(int(delay * 1000), 600_000))
    timeouts = _mapping(variant.get("timeouts"))
    total = _mapping(timeouts.get("non_streaming")).get("total_ms") or _mapping(timeouts.get("streaming")).get(
        "total_ms"
    )
    first = _mapping(timeouts.get("streaming")).get("ttft_ms")
    given = {"total": total, "first_byte": first}
    seconds = {name: value / 1000 for name, value in given.items() if isinstance(value, int | float) and value > 0}
    if seconds:
        parts["timeouts"] = seconds
    return parts


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
