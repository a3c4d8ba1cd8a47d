"""What registry gives out: providers, prompts, models, endpoints, releases and what was decided about them.

Names beside ids (`endpoint`, `provider`, `prompt`) are there for people; ids bind. None holds a key, sealed or not: of a key there is a hint.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

PromptFormat = Literal["chat", "text"]
ModelKind = Literal["base", "adapter", "merged"]
ReleaseState = Literal["draft", "evaluated", "approved", "canary", "shadow", "primary", "retired", "rejected"]


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One of a provider's keys: what may be shown of it, and its share of the calls when they are balanced by weight."""

    id: str
    name: str
    hint: str
    weight: int
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Provider:
    """A place that runs models, with what may be shown of its keys."""

    id: str
    project_id: str
    name: str
    kind: str
    base_url: str
    options: dict[str, Any]
    """What its kind knows beside the address (noria.registry.kinds); nothing secret."""
    balance: str
    """How calls are shared between its keys: weighted or least_busy."""
    input_micros: int
    """Price of a million input tokens in micro-dollars, for releases that name no price of their own."""
    output_micros: int
    created_at: datetime
    changed_at: datetime
    keys: list[ProviderKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """One immutable version. Format "text" has `template`, format "chat" has `messages`."""

    id: str
    prompt_id: str
    prompt: str
    number: int
    format: str
    template: str
    messages: list[dict[str, str]]
    note: str
    author_id: str
    created_at: datetime
    config: dict[str, Any] = field(default_factory=dict)
    """What an application keeps beside the words: a model's name, parameters. Noria only keeps it."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A named template; `labels` are movable names of version numbers, `latest` is 0 before the first version."""

    id: str
    project_id: str
    name: str
    description: str
    latest: int
    labels: dict[str, int]
    author_id: str
    created_at: datetime
    known_as: str = ""
    """Its name on the platform that it came from, where that cannot be a name here."""
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Files with their hashes, what they are based on, and what they were made of.

    A file is {"name", "sha256", "size", "role"}; roles "model_gguf" and "adapter_gguf" are what engines load. A file of the
    packaged base model also has "path": it lies outside of the file store.
    """

    id: str
    project_id: str
    model_id: str
    model: str
    number: int
    kind: str
    files: list[dict[str, Any]]
    base_version_id: str | None
    base: str
    """"name:number" of the base version; empty when there is none."""
    lineage: dict[str, Any]
    digest: str
    author_id: str
    created_at: datetime

    @property
    def name(self) -> str:
        """ "calls-lora:1" """
        return f"{self.model}:{self.number}"


@dataclass(frozen=True, slots=True)
class Model:
    """A named row of versions; `kind` is that of the latest."""

    id: str
    project_id: str
    name: str
    kind: str
    latest: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The name that an application calls. Numbers of releases are 0 where there is none."""

    id: str
    project_id: str
    name: str
    description: str
    gate: list[dict[str, Any]]
    self_approval: bool
    author_id: str
    created_at: datetime
    primary: int = 0
    canary: int = 0
    canary_share: float = 0.0
    shadow: int = 0
    shadow_share: float = 0.0
    releases: int = 0
    """How many there have been."""
    changed_at: datetime | None = None
    """When the rollout last changed."""


@dataclass(frozen=True, slots=True)
class Release:
    """An immutable, numbered bundle; only `state` moves. `digest` covers all that can change an answer."""

    id: str
    project_id: str
    endpoint_id: str
    endpoint: str
    number: int
    state: str
    provider_id: str
    provider: str
    provider_kind: str
    model: str
    model_version_id: str | None
    model_version: str
    """"name:number", or empty."""
    prompt_version_id: str | None
    prompt: str
    """"name@number", or empty."""
    parameters: dict[str, Any]
    note: str
    digest: str
    input_micros: int
    output_micros: int
    cached_micros: int | None
    """Of input read from the provider's cache, in micro-dollars for a million tokens as all of these; None: as other input."""
    cache_write_micros: int | None
    cache_write_1h_micros: int | None
    long_prompts: dict[str, int]
    """What longer prompts cost: above (tokens), input_percent, output_percent; {} where it is the same."""
    price_version: str
    """Version of the table that the price is from, or the day on which somebody said it; empty: it has none."""
    author_id: str
    author: str
    created_at: datetime
    touched_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes to exactly one digest."""

    id: str
    release_id: str
    digest: str
    person_id: str
    person: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GateResult:
    """What evaluation found about a release. Each clause: {"clause", "passed": bool | None, "text", …numbers}."""

    id: str
    release_id: str
    digest: str
    passed: bool
    clauses: list[dict[str, Any]]
    p_value: float | None
    evaluation_id: str
    incumbent_evaluation_id: str
    incumbent_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """The figures of one finished evaluation of a release, kept here so that the endpoint's page can show them."""

    release_id: str
    evaluation_id: str
    digest: str
    summary: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """One change of what serves an endpoint. `release` is the release that it was about."""

    id: str
    time: datetime
    event: str
    release: int
    share: float
    actor_id: str
    actor: str
    """Name of the person or key; empty for the command line of the installation itself."""
    reason: str


@dataclass(frozen=True, slots=True)
class EndpointPolicy:
    """One version of an endpoint's policy; the newest is in force. Version 0, without an author, is the empty one that
    every endpoint is born with."""

    endpoint: str
    version: int
    policy: dict[str, Any]
    """What differs from the empty policy (noria.registry.policy.sparse), without its version."""
    author_id: str = ""
    author: str = ""
    """Name of the person or key; empty for the command line of the installation itself."""
    reason: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One field that differs between two versions of a policy; None: as the empty policy has it."""

    path: str
    """"limits.day_micros", "guardrails[0].options.patterns"."""
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk along the lineage found. `readable` says it in sentences, nearest first."""

    kind: str
    id: str
    title: str
    direction: str
    nodes: list[dict[str, Any]] = field(default_factory=list)
    """{"kind", "id", "title", "depth"}, nearest first; the start is not among them."""
    edges: list[dict[str, Any]] = field(default_factory=list)
    readable: list[str] = field(default_factory=list)
    truncated: bool = False
