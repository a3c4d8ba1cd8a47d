"""What the gateway serves from: keys, endpoints, releases, providers and engines of all projects, as one immutable value.

The server writes it to `Folder.snapshot` (JSON, replaced atomically) after each change and refreshes `published_at` while
it lives; gateway and supervisor read it. This module is a leaf: it imports only noria.core and other leaves
(noria.registry.policy and templates), so that the gateway stays small.
"""

import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from noria.registry import policy as policies
from noria.registry.policy import EMPTY, NO_LIMITS, Limits, Policy, decode_limits


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One API key that may call endpoints. `digest` is noria.governance.keys.digest(key), hex."""

    id: str
    project_id: str
    digest: str
    scope: Literal["call", "candidate"]
    release: str = ""
    """With scope "candidate": the one release it may call, "endpoint@number"."""
    live: bool = True
    """False: its traffic is an evaluation and stays out of live figures."""
    expires_at: float = 0.0
    """Unix seconds; 0: never."""
    limits: Limits = NO_LIMITS


ProviderKind = Literal["openai", "anthropic", "gemini", "bedrock", "azure", "local"]
Balance = Literal["weighted", "least_busy"]


@dataclass(frozen=True, slots=True)
class ProviderKeyEntry:
    """One of a provider's keys, sealed by noria.governance.sealing for the purpose "provider:<provider id>" (base64)."""

    id: str
    sealed: str
    weight: int = 1
    """Its share of the calls, at least 1: keys of weight 0 are kept, but not published."""


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """A place that runs models. Kind "local" has no URL: its releases name an engine instead."""

    id: str
    project_id: str
    name: str
    kind: ProviderKind
    base_url: str = ""
    """Up to and including the version: "https://api.openai.com/v1"."""
    keys: tuple[ProviderKeyEntry, ...] = ()
    """In the order in which they were added; empty when the provider wants none."""
    options: dict[str, Any] = field(default_factory=dict)
    """What its kind knows beside the address (noria.registry.kinds): region, api_version, speaks, headers."""
    balance: Balance = "weighted"
    """How calls are shared between its keys."""


@dataclass(frozen=True, slots=True)
class PromptEntry:
    """A prompt version, checked. `template` is parsed by noria.registry.templates when the snapshot is loaded.

    Format "chat": `messages` is a list of {"role", "content" (template)}; an entry {"role": "messages"} stands for the
    caller's messages. Format "text": `template` renders the whole prompt for a completion model; the caller's messages
    are its section `messages` (role, content).
    """

    name: str
    version: int
    format: Literal["chat", "text"]
    template: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LongPrompts:
    """What longer prompts cost: the whole request at these percents of its prices."""

    above: int
    """Input tokens."""
    input_percent: int
    output_percent: int


@dataclass(frozen=True, slots=True)
class ReleaseEntry:
    """One immutable release as the gateway needs it."""

    number: int
    provider_id: str
    model: str
    """Name that the provider knows the model by."""
    engine: str = ""
    """Key into Snapshot.engines, for a local provider."""
    prompt: PromptEntry | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    """Defaults and limits put into the provider's request: temperature, max_tokens, stop, grammar, …; the caller's win."""
    state: str = "draft"
    input_micros: int = 0
    """Price of a million input tokens in micro-dollars."""
    output_micros: int = 0
    """Of output tokens, reasoning among them."""
    cached_micros: int | None = None
    """Of input that the provider read from its cache; None: as other input."""
    cache_write_micros: int | None = None
    """Of input that it wrote to its cache; None: as other input."""
    cache_write_1h_micros: int | None = None
    """Of input that it wrote there for an hour; None: as for minutes."""
    long_prompts: LongPrompts | None = None
    price_version: str = ""


@dataclass(frozen=True, slots=True)
class EndpointEntry:
    """The name that an application calls, and how its traffic is shared."""

    id: str
    project_id: str
    name: str
    primary: int = 0
    """Number of the release that serves; 0: none yet."""
    canary: int = 0
    canary_share: float = 0.0
    """0 to 1; a session belongs to the canary when its stable hash falls below this."""
    shadow: int = 0
    """Number of the release that is asked beside the one that answers; what it says is recorded and thrown away."""
    shadow_share: float = 0.0
    """0 to 1: how many of the sessions it hears."""
    policy: Policy = EMPTY
    """How requests are carried, limited, cached and guarded. Its fallbacks are among `releases`."""
    releases: dict[int, ReleaseEntry] = field(default_factory=dict)
    """Every release that may still be called: live ones, candidates, fallbacks, and the last primary (for rollback)."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """A local engine that should be running. The key is a digest of the two files, so equal weights share one process."""

    key: str
    model_path: str
    adapter_path: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a gateway knows. `version` grows by one with each change."""

    version: int = 0
    published_at: float = 0.0
    keys: dict[str, KeyEntry] = field(default_factory=dict)
    """By digest."""
    endpoints: dict[str, EndpointEntry] = field(default_factory=dict)
    """By "project_id/name"."""
    providers: dict[str, ProviderEntry] = field(default_factory=dict)
    """By id."""
    engines: dict[str, EngineEntry] = field(default_factory=dict)
    """By key."""
    projects: dict[str, Limits] = field(default_factory=dict)
    """Limits by project id, of those projects that have any."""

    def endpoint(self, project_id: str, name: str) -> EndpointEntry | None:
        return self.endpoints.get(f"{project_id}/{name}")


def encode(snapshot: Snapshot) -> bytes:
    """JSON with string keys; `decode(encode(s)) == s`."""
    raw = asdict(snapshot)
    for name, endpoint in snapshot.endpoints.items():
        raw["endpoints"][name]["policy"] = policies.sparse(endpoint.policy)
    return orjson.dumps(raw, option=orjson.OPT_NON_STR_KEYS)


def decode(data: bytes) -> Snapshot:
    """The snapshot in `data`. Raises ValueError or KeyError when it is none."""
    raw = orjson.loads(data)
    return Snapshot(
        version=raw["version"],
        published_at=raw["published_at"],
        keys={k: _key(v) for k, v in raw["keys"].items()},
        endpoints={k: _endpoint(v) for k, v in raw["endpoints"].items()},
        providers={k: _provider(v) for k, v in raw["providers"].items()},
        engines={k: EngineEntry(**v) for k, v in raw["engines"].items()},
        projects={k: decode_limits(v) for k, v in raw.get("projects", {}).items()},
    )


def _key(raw: dict[str, Any]) -> KeyEntry:
    return KeyEntry(**{**raw, "limits": decode_limits(raw.get("limits"))})


def _provider(raw: dict[str, Any]) -> ProviderEntry:
    keys = tuple(ProviderKeyEntry(**key) for key in raw.pop("keys"))
    return ProviderEntry(**raw, keys=keys)


def _endpoint(raw: dict[str, Any]) -> EndpointEntry:
    releases = {int(number): _release(release) for number, release in raw.pop("releases").items()}
    policy = policies.decode(raw.pop("policy", None))
    return EndpointEntry(**raw, policy=policy, releases=releases)


def _release(raw: dict[str, Any]) -> ReleaseEntry:
    prompt, long = raw.pop("prompt"), raw.pop("long_prompts", None)
    return ReleaseEntry(
        **raw, prompt=PromptEntry(**prompt) if prompt else None, long_prompts=LongPrompts(**long) if long else None
    )


def write(path: Path, snapshot: Snapshot) -> None:
    """Replace the snapshot on disk atomically and durably; readers see the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read(path: Path) -> Snapshot | None:
    """The snapshot at `path`, or None when there is none yet."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return None
