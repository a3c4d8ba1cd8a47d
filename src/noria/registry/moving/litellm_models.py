"""One entry of LiteLLM's `model_list`, read: which place, which model, which key, which parameters.

Source: LiteLLM's documentation, "Config.yaml" and "config_settings" (docs.litellm.ai/docs/proxy), as of October 2026. The
decision to know: a value is only ever put where it belongs; lines of the plan name fields, so a key that somebody wrote
into an odd field is not printed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from noria.core.errors import BadInput
from noria.registry.moving.places import OPENAI_LIKE, UNSUPPORTED, Place, place_of
from noria.registry.moving.plan import PlannedKey

_PREFIXES: Final[Mapping[str, str]] = {
    "openai": "openai",
    "text-completion-openai": "openai",
    "azure": "azure",
    "azure_text": "azure",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "groq": "groq",
    "mistral": "mistral",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "deepseek": "deepseek",
    "xai": "xai",
    "openrouter": "openrouter",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "hosted_vllm": "vllm",
    "vllm": "vllm",
    "lm_studio": "lmstudio",
    "llamafile": OPENAI_LIKE,
    "openai_like": OPENAI_LIKE,
    "custom_openai": OPENAI_LIKE,
    "litellm_proxy": OPENAI_LIKE,
}
_INFERRED: Final = (("gpt-", "openai"), ("chatgpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
                    ("text-embedding-", "openai"), ("claude-", "anthropic"))  # fmt: skip
_PARAMETERS: Final = frozenset(
    {
        *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "stop", "seed", "presence_penalty"),
        *("frequency_penalty", "logit_bias", "reasoning_effort", "response_format", "parallel_tool_calls", "thinking"),
        *("verbosity", "dimensions", "encoding_format", "service_tier", "logprobs", "top_logprobs"),
    }
)
_PRICES: Final = {
    "input_cost_per_token": "input_micros",
    "output_cost_per_token": "output_micros",
    "cache_read_input_token_cost": "cached_micros",
    "cache_creation_input_token_cost": "cache_write_micros",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_micros",
}
_USED: Final = frozenset(
    {
        *("model", "api_key", "api_base", "base_url", "api_version", "custom_llm_provider", "organization"),
        *("aws_region_name", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "extra_headers"),
        *("rpm", "tpm", "timeout", "stream_timeout", "max_retries", "num_retries", "weight", "order"),
        *("max_parallel_requests", *_PARAMETERS, *_PRICES),
    }
)
_WHY_LEFT: Final[Mapping[str, str]] = {
    "mock_response": "Noria gives no made-up answers",
    "tags": "releases are not chosen by tags",
    "drop_params": "fields that the provider does not know are passed on, not dropped",
    "max_budget": "money is limited by key, endpoint and project: see the endpoint's policy",
    "budget_duration": "money is limited by key, endpoint and project: see the endpoint's policy",
    "litellm_credential_name": "credentials of LiteLLM's database cannot be read from here",
    "use_in_pass_through": "Noria has no pass-through routes",
    "cache_control_injection_points": "Noria changes no prompts on its own; put cache_control into them",
}


@dataclass(slots=True)
class Deployment:
    """One entry: LiteLLM calls it a deployment of the model group `group`."""

    group: str
    place: Place
    model: str
    key: PlannedKey | None
    parameters: dict[str, Any]
    price: dict[str, int]
    limits: dict[str, int]
    """rpm, tpm, max_parallel_requests: those that are given."""
    seconds: dict[str, float]
    """timeout, stream_timeout."""
    retries: int | None = None
    weight: int = 1
    order: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)


class Environment:
    """Values that may stand for variables ("os.environ/NAME")."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def value(self, raw: Any) -> tuple[str, str]:
        """(text, name of the variable that it comes from). The text is empty when the variable is not set."""
        text = "" if raw is None else str(raw).strip()
        if not text.startswith("os.environ/"):
            return text, ""
        name = text.removeprefix("os.environ/").strip()
        return self._variables.get(name, ""), name

    def named(self, name: str) -> str:
        return self._variables.get(name, "")


def deployment(entry: Mapping[str, Any], environment: Environment) -> Deployment:
    """Raises BadInput that says why the entry cannot be taken over."""
    raw = entry.get("litellm_params")
    if not isinstance(raw, Mapping) or not raw.get("model"):
        raise BadInput("it has no litellm_params.model")
    params = {**{name: entry[name] for name in ("rpm", "tpm", "weight") if name in entry}, **raw}
    info = entry.get("model_info") if isinstance(entry.get("model_info"), Mapping) else {}
    service, model = _service(str(params["model"]), str(params.get("custom_llm_provider") or ""))
    place, model = _placed(service, model, params, environment)
    left = [(name, _WHY_LEFT.get(name, "Noria has nothing like it")) for name in sorted(params.keys() - _USED)]
    return Deployment(
        group=str(entry.get("model_name") or ""),
        place=place,
        model=model,
        key=_key(place, params, environment),
        parameters={name: params[name] for name in sorted(_PARAMETERS & params.keys()) if params[name] is not None},
        price=_price({**(info or {}), **params}),
        limits={name: n for name in ("rpm", "tpm", "max_parallel_requests") if (n := _whole(params.get(name)))},
        seconds={name: s for name in ("timeout", "stream_timeout") if (s := _number(params.get(name)))},
        retries=_whole(params.get("num_retries", params.get("max_retries"))),
        weight=max(1, min(_whole(params.get("weight")) or 1, 1000)),
        order=_whole(params.get("order")) or 0,
        left=left,
    )


def _service(name: str, custom: str) -> tuple[str, str]:
    """(service, model) of "groq/llama-3.3-70b-versatile"."""
    prefix, slash, rest = name.partition("/")
    if custom:
        prefix, rest = custom, rest if slash and prefix == custom else name
    elif not slash or (prefix not in _PREFIXES and prefix not in UNSUPPORTED):
        inferred = next((service for start, service in _INFERRED if name.startswith(start)), "")
        if not inferred or slash:
            raise BadInput(f"which provider {name[:80]!r} is of cannot be told from its name")
        return inferred, name
    if prefix in UNSUPPORTED:
        raise BadInput(UNSUPPORTED[prefix])
    if (service := _PREFIXES.get(prefix)) is None:
        raise BadInput(f"Noria does not know the provider {prefix[:40]!r}")
    return service, rest


def _placed(service: str, model: str, params: Mapping[str, Any], environment: Environment) -> tuple[Place, str]:
    base, variable = environment.value(params.get("api_base") or params.get("base_url"))
    if variable and not base:
        raise BadInput(f"its address is in {variable}, which is not set in this environment")
    options: dict[str, Any] = {}
    headers = params.get("extra_headers")
    if isinstance(headers, Mapping) and headers:
        options["headers"] = {str(name): environment.value(value)[0] for name, value in headers.items()}
    organization, _ = environment.value(params.get("organization"))
    if organization and service == "openai":
        options["headers"] = {**options.get("headers", {}), "OpenAI-Organization": organization}
    region = ""
    if service == "bedrock":
        region, model = _bedrock(model, params, environment)
    if service == "azure":
        version, _ = environment.value(params.get("api_version"))
        version = version or environment.named("AZURE_API_VERSION")
        if version and version != "latest":
            options["api_version"] = version
        base = base or environment.named("AZURE_API_BASE")
        model = model.removeprefix("responses/").removeprefix("chat/")
    if service == "openai":
        model = model.removeprefix("responses/")
    if "*" in model:
        raise BadInput("Noria has no endpoints with a * in their name; import one entry for each model")
    return place_of(service, base_url=base, options=options, region=region), model


def _bedrock(model: str, params: Mapping[str, Any], environment: Environment) -> tuple[str, str]:
    """(region, model) of "converse/anthropic.claude…" or "us-east-1/anthropic.claude…"."""
    for route in ("converse_like/", "converse/", "invoke/"):
        model = model.removeprefix(route)
    region, _ = environment.value(params.get("aws_region_name"))
    first, slash, rest = model.partition("/")
    if slash and not model.startswith("arn:") and "." not in first:
        region, model = region or first, rest
    region = region or environment.named("AWS_REGION_NAME") or environment.named("AWS_REGION")
    if not region:
        raise BadInput("its AWS region is not given (aws_region_name)")
    return region, model


def _key(place: Place, params: Mapping[str, Any], environment: Environment) -> PlannedKey | None:
    weight = max(1, min(_whole(params.get("weight")) or 1, 1000))
    if place.kind == "bedrock" and params.get("aws_access_key_id"):
        parts = [environment.value(params.get(f"aws_{name}")) for name in ("access_key_id", "secret_access_key")]
        token = environment.value(params.get("aws_session_token"))
        texts = [text for text, _ in [*parts, *([token] if token[0] else [])]]
        return PlannedKey(parts[0][1], ":".join(texts) if all(texts) else "", weight)
    text, name = environment.value(params.get("api_key"))
    if name or text:
        return None if text.lower() in {"none", "na", "n/a", "fake-key", "anything"} else PlannedKey(name, text, weight)
    if place.key_name:
        return PlannedKey(place.key_name, environment.named(place.key_name), weight)
    return None


def _price(raw: Mapping[str, Any]) -> dict[str, int]:
    """Micro-dollars for a million tokens, of dollars for one."""
    found = {}
    for theirs, ours in _PRICES.items():
        if (amount := _number(raw.get(theirs))) is not None:
            found[ours] = round(amount * 10**12)
    return found


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number < 10**12 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
