"""Where a model of another gateway's configuration runs, as a provider of ours.

In: the name of a service, as LiteLLM or TensorZero has it, with address, versions and regions. Out: a `Place`, its values as
registry will keep them, or BadInput that says why there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from noria.core.errors import BadInput
from noria.registry.kinds import check_options, default_url
from noria.registry.moving.plan import name_from
from noria.registry.presets import PRESETS, filled_in


@dataclass(frozen=True, slots=True)
class Place:
    """A provider to be: `name` is a proposal, `key_name` the variable in which its own clients look for a key."""

    name: str
    kind: str
    base_url: str
    options: dict[str, Any] = field(default_factory=dict)
    key_name: str = ""


UNSUPPORTED: Final[Mapping[str, str]] = {
    "vertex_ai": "Noria has no adapter for Vertex AI; Gemini is called at the Gemini API (gemini/…)",
    "vertex_ai_beta": "Noria has no adapter for Vertex AI; Gemini is called at the Gemini API (gemini/…)",
    "gcp_vertex_gemini": "Noria has no adapter for Vertex AI; Gemini is called at the Gemini API (google_ai_studio_gemini)",
    "gcp_vertex_anthropic": "Noria has no adapter for Vertex AI; Claude is called at Anthropic or on Bedrock",
    "sagemaker": "Noria has no adapter for SageMaker",
    "aws_sagemaker": "Noria has no adapter for SageMaker",
    "cohere": "Noria has no adapter for Cohere's own API",
    "cohere_chat": "Noria has no adapter for Cohere's own API",
    "replicate": "Noria has no adapter for Replicate",
    "huggingface": "Noria has no adapter for Hugging Face's inference API; give its OpenAI-compatible address as openai/…",
    "watsonx": "Noria has no adapter for watsonx",
    "databricks": "Noria has no adapter for Databricks; give its OpenAI-compatible address as openai/…",
    "azure_ai": "Noria has no adapter for Azure AI's model catalogue; give its OpenAI-compatible address as openai/…",
}
"""Services that are known and not supported, and why; what is in neither list is unknown."""

OPENAI_LIKE: Final = "openai-compatible"
"""Stands for any address that speaks OpenAI's API."""


def place_of(service: str, *, base_url: str = "", options: Mapping[str, Any] | None = None, region: str = "") -> Place:
    """The place of a service (a preset's name, or OPENAI_LIKE). Raises BadInput."""
    given = dict(options or {})
    if service == OPENAI_LIKE:
        if not base_url:
            raise BadInput("it has no address of its own, and none is given")
        return _place(_host_name(base_url), "openai", base_url.rstrip("/"), given)
    preset = PRESETS[service]
    if preset.kind == "bedrock":
        return _place(
            name_from(f"bedrock-{region}" if region else "bedrock"), "bedrock", "", {**given, "region": region}
        )
    if preset.kind == "azure":
        if not base_url:
            raise BadInput("an Azure resource has an address of its own, and none is given")
        parts = urlsplit(base_url)
        name = name_from("azure-" + (parts.hostname or "").partition(".")[0])
        return _place(name, "azure", f"{parts.scheme}://{parts.netloc}", filled_in(preset, given), preset.key_name)
    url = _completed(base_url.rstrip("/"), preset.port > 0, preset.kind) or preset.base_url
    own_place = not base_url or url == preset.base_url or url == default_url(preset.kind, {})
    name = service if own_place or preset.port else _host_name(base_url)
    options = filled_in(preset, given) if own_place or preset.port else given
    return _place(name, preset.kind, url, options, preset.key_name if own_place else "")


def _place(name: str, kind: str, base_url: str, options: Mapping[str, Any], key_name: str = "") -> Place:
    checked = check_options(kind, options)
    return Place(name, kind, base_url or default_url(kind, checked), checked, key_name)


def _completed(url: str, program: bool, kind: str) -> str:
    """The address with the version that others leave out: Ollama's, Anthropic's and Gemini's are given without."""
    path = urlsplit(url).path
    if not url or path not in ("", "/"):
        return url
    if kind == "anthropic" or program:
        return f"{url}/v1"
    return f"{url}/v1beta" if kind == "gemini" else url


def _host_name(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.").removeprefix("api.")
    port = f"-{parts.port}" if parts.port else ""
    return name_from(f"{host}{port}", "provider")
