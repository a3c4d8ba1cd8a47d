"""Providers that are known by name: rows of data from which the form, the API and the command line fill in the rest.

A new OpenAI-compatible provider is a new row. What a row says is what its own documentation said in November 2026; a
preset is only a start, and everything in it can be changed where a provider is added.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from noria.core.errors import BadInput
from noria.registry.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider as its makers publish it."""

    name: str
    title: str
    kind: str = "openai"
    base_url: str = ""
    """Empty: the kind's own, or one that only its owner knows (`example`)."""
    speaks: tuple[str, ...] = ()
    """Dialects beside those that every provider of its kind speaks."""
    key_at: str = ""
    """Page where its keys are made; empty for programs that want none."""
    key_name: str = ""
    """Environment variable in which its own clients look for the key."""
    port: int = 0
    """Where a program on this machine listens by default; 0 for services."""
    example: str = ""
    """Address to show where none can be known."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options to start from; an empty value is one that must be filled in."""


def _service(name: str, title: str, base_url: str, key_name: str, key_at: str, *speaks: str) -> Preset:
    return Preset(name, title, base_url=base_url, speaks=speaks, key_at=key_at, key_name=key_name)


def _program(name: str, title: str, port: int, *speaks: str) -> Preset:
    return Preset(name, title, base_url=f"http://127.0.0.1:{port}/v1", speaks=speaks, port=port)


_ALL = (
    _service(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        "OPENAI_API_KEY",
        "https://platform.openai.com/api-keys",
        "text",
        "responses",
        "embeddings",
    ),
    Preset(
        "anthropic",
        "Anthropic",
        kind="anthropic",
        key_at="https://console.anthropic.com/settings/keys",
        key_name="ANTHROPIC_API_KEY",
    ),
    Preset(
        "gemini",
        "Google Gemini",
        kind="gemini",
        key_at="https://aistudio.google.com/apikey",
        key_name="GEMINI_API_KEY",
    ),
    Preset(
        "bedrock",
        "AWS Bedrock",
        kind="bedrock",
        key_at="https://console.aws.amazon.com/bedrock/home#/api-keys",
        key_name="AWS_BEARER_TOKEN_BEDROCK",
        options={"region": ""},
    ),
    Preset(
        "azure",
        "Azure OpenAI",
        kind="azure",
        key_at="https://ai.azure.com",
        key_name="AZURE_OPENAI_API_KEY",
        example="https://my-resource.openai.azure.com",
        options={"api_version": "v1"},
    ),
    _service(
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        "https://console.mistral.ai/api-keys",
        "embeddings",
    ),
    _service(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "https://console.groq.com/keys",
        "responses",
    ),
    _service(
        "together",
        "Together",
        "https://api.together.ai/v1",
        "TOGETHER_API_KEY",
        "https://api.together.ai/settings/api-keys",
        "text",
        "embeddings",
    ),
    _service(
        "fireworks",
        "Fireworks",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "https://app.fireworks.ai/settings/users/api-keys",
        "text",
        "responses",
        "messages",
        "embeddings",
    ),
    _service(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        "https://platform.deepseek.com/api_keys",
    ),
    _service("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", "https://console.x.ai", "responses"),
    _service(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/settings/keys",
        "text",
        "responses",
        "messages",
        "embeddings",
    ),
    _program("vllm", "vLLM", 8000, "text", "responses", "messages", "embeddings"),
    _program("sglang", "SGLang", 30000, "text", "messages", "embeddings"),
    _program("ollama", "Ollama", 11434, "text", "responses", "messages", "embeddings"),
    _program("lmstudio", "LM Studio", 1234, "text", "responses", "messages", "embeddings"),
    _program("llamacpp", "llama.cpp", 8080, "text", "responses", "messages", "embeddings"),
)

PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in _ALL}


def find_preset(name: str) -> Preset:
    """Raises BadInput when there is none of this name."""
    if (found := PRESETS.get(name)) is None:
        raise BadInput(f"There is no preset {name[:40]!r}.", hint=f"One of {', '.join(PRESETS)}.")
    return found


def filled_in(preset: Preset, options: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's options with those that were given on top; what is still empty is for the check to find."""
    speaks = {"speaks": ["chat", *preset.speaks]} if "speaks" in KINDS[preset.kind].options and preset.speaks else {}
    return {**speaks, **preset.options, **options}
