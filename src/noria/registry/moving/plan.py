"""What an import would do, before anything is done: providers, endpoints, releases, policies, and a line about everything.

In: what a reader of somebody's configuration found (noria.registry.moving.litellm, .tensorzero). Out: a `Plan`, which
noria.registry.moving.doing carries out. The decision to know: nothing of a configuration is passed over in silence. What
is taken over, what means something else here and what is not taken over each get a line with the reason; a line holds
names, never a value that could be a key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Mark = Literal["taken", "changed", "left"]
SIGNS: Final[dict[Mark, str]] = {"taken": "+", "changed": "~", "left": "-"}
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing of the configuration and what becomes of it."""

    mark: Mark
    what: str
    why: str = ""

    def text(self) -> str:
        return f"{SIGNS[self.mark]} {self.what}{f': {self.why}' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """A provider's key: `name` is the environment variable that it comes from, or "" when it stands in the file."""

    name: str
    secret: str = field(repr=False)
    """Empty when the variable is not set here."""
    weight: int = 1


@dataclass(slots=True)
class PlannedProvider:
    """A place with the keys that are used there together."""

    name: str
    kind: str
    base_url: str
    options: dict[str, Any]
    keys: list[PlannedKey] = field(default_factory=list)
    balance: str = "weighted"


@dataclass(frozen=True, slots=True)
class PlannedPrompt:
    """A prompt of format chat."""

    name: str
    messages: tuple[Mapping[str, str], ...]


@dataclass(slots=True)
class PlannedRelease:
    """What serves: a provider's model with parameters and, perhaps, a prompt and prices of its own."""

    provider: PlannedProvider
    model: str
    parameters: dict[str, Any] = field(default_factory=dict)
    prompt: PlannedPrompt | None = None
    price: dict[str, int] = field(default_factory=dict)
    note: str = ""

    def same_as(self, other: "PlannedRelease") -> bool:
        mine = (self.provider.name, self.model, self.parameters, self.prompt, self.price)
        return mine == (other.provider.name, other.model, other.parameters, other.prompt, other.price)


@dataclass(slots=True)
class PlannedEndpoint:
    """A name that applications call. The first release serves; `fallbacks` and `canary` are places in `releases`."""

    name: str
    releases: list[PlannedRelease]
    fallbacks: list[int] = field(default_factory=list)
    canary: int = 0
    """0: none, since the first release serves."""
    canary_share: float = 0.0
    policy: dict[str, Any] = field(default_factory=dict)
    """Parts of the policy without its fallbacks."""


@dataclass(slots=True)
class Plan:
    """All of it. `source` says where it comes from: "litellm config.yaml"."""

    source: str
    providers: list[PlannedProvider] = field(default_factory=list)
    endpoints: list[PlannedEndpoint] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def taken(self, what: str, why: str = "") -> None:
        self.lines.append(Line("taken", what, why))

    def changed(self, what: str, why: str) -> None:
        self.lines.append(Line("changed", what, why))

    def left(self, what: str, why: str) -> None:
        self.lines.append(Line("left", what, why))

    def provider(
        self,
        name: str,
        *,
        kind: str,
        base_url: str,
        options: dict[str, Any],
        keys: list[PlannedKey],
        balance: str = "weighted",
    ) -> PlannedProvider:
        """The provider for this place and exactly these keys: keys that are not used together do not meet in one."""
        names = {key.name or key.secret for key in keys}
        for known in self.providers:
            same_place = (known.kind, known.base_url, known.options) == (kind, base_url, options)
            if same_place and {key.name or key.secret for key in known.keys} == names:
                return known
        used = {known.name for known in self.providers}
        made = PlannedProvider(free_name(name, used), kind, base_url, options, keys, balance)
        self.providers.append(made)
        origins = [f"from {key.name}" if key.name else "as written in the file" for key in keys]
        shown = f", {len(keys)} key{'s' * (len(keys) > 1)} ({', '.join(origins)})" if keys else ", no key"
        self.taken(f"provider {made.name}", f"{base_url or kind}{shown}")
        for key in keys:
            if key.name and not key.secret:
                self.left(
                    f"the key {key.name}",
                    f"it is not set in this environment; set it and import again, or add it to {made.name}",
                )
        return made


def name_from(text: str, fallback: str = "imported") -> str:
    """`text` as a name that records may have: small letters, digits, point, hyphen, underscore."""
    name = _NOT_IN_A_NAME.sub("-", text.lower()).strip("-._")
    return name[:64].rstrip("-._") or fallback


def free_name(name: str, used: set[str]) -> str:
    """`name`, or the first of name-2, name-3, … that is not used."""
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name[:60]}-{number}"
    return found
