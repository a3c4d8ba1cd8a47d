"""Who calls, what the name means, and which release answers: pure functions over one snapshot.

In: the snapshot, a bearer key, the name in `model`. Out: a KeyEntry, an EndpointEntry, a `Route`. The decision to know:
a key either calls endpoints or exactly one candidate release, never both, so evaluation traffic cannot slip into live
figures and an application cannot pin a release that nobody approved.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from noria.core.errors import Forbidden, NotFound, Unauthenticated
from noria.governance.keys import digest
from noria.registry.snapshot import EndpointEntry, KeyEntry, ReleaseEntry, Snapshot

Arm = Literal["primary", "canary", "shadow", "candidate"]


@dataclass(frozen=True, slots=True)
class Route:
    """The release that the rollout chose, and those to fall back to in their order (none for a candidate)."""

    endpoint: EndpointEntry
    arm: Arm
    release: ReleaseEntry
    fallbacks: tuple[ReleaseEntry, ...] = ()


def authenticate(snapshot: Snapshot, headers: Mapping[bytes, bytes]) -> KeyEntry:
    """The key in `Authorization: Bearer`, or in Anthropic's `x-api-key`. Raises Unauthenticated, without a word of the key."""
    scheme, _, key = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        key = headers.get(b"x-api-key", b"").decode("latin-1")
    if not key:
        raise Unauthenticated(
            "No API key was sent.", hint="Send it as: Authorization: Bearer <key>.", code="invalid_api_key"
        )
    entry = snapshot.keys.get(digest(key.strip()))
    if entry is None or 0 < entry.expires_at <= time.time():
        raise Unauthenticated(
            "The API key is not valid (any more).", hint="An editor can make a new one.", code="invalid_api_key"
        )
    return entry


def callable_names(snapshot: Snapshot, key: KeyEntry) -> list[str]:
    """Every `model` that this key may call, sorted."""
    if key.scope == "candidate":
        return [key.release]
    return sorted(
        endpoint.name
        for endpoint in snapshot.endpoints.values()
        if endpoint.project_id == key.project_id and (endpoint.primary or endpoint.canary)
    )


def resolve(snapshot: Snapshot, key: KeyEntry, model: str) -> tuple[EndpointEntry, ReleaseEntry | None]:
    """The endpoint that `model` names, with the release when it is a candidate. Raises NotFound, Forbidden."""
    name, at, number = model.rpartition("@")
    if key.scope == "candidate":
        if model != key.release:
            raise Forbidden(f"This key may call {key.release!r} and nothing else.", code="model_not_allowed")
        endpoint = snapshot.endpoint(key.project_id, name)
        release = endpoint.releases.get(int(number)) if endpoint and number.isdecimal() else None
        if endpoint is None or release is None:
            raise NotFound(f"The release {key.release!r} cannot be called (any more).", code="model_not_found")
        return endpoint, release
    if at and number.isdecimal() and snapshot.endpoint(key.project_id, name):
        raise Forbidden(
            f"{model!r} names one release; this key calls endpoints.",
            hint=f"Call {name!r}, or use a key made for that candidate.",
            code="model_not_allowed",
        )
    endpoint = snapshot.endpoint(key.project_id, model)
    if endpoint is None:
        names = callable_names(snapshot, key)
        known = f"This key can call: {', '.join(names[:20])}." if names else "The project has no endpoint yet."
        raise NotFound(f"There is no endpoint {model[:100]!r}.", hint=known, code="model_not_found")
    return endpoint, None


def released(snapshot: Snapshot, key: KeyEntry, name: str) -> ReleaseEntry:
    """The release that "assistant@2" names, if this key could have been answered by it. Raises NotFound."""
    endpoint_name, _, number = name.rpartition("@")
    endpoint = snapshot.endpoint(key.project_id, endpoint_name)
    release = endpoint.releases.get(int(number)) if endpoint and number.isdecimal() else None
    if release is None or (key.scope == "candidate" and key.release != name):
        raise NotFound("The release that made it cannot be called (any more).")
    return release


def choose(endpoint: EndpointEntry, candidate: ReleaseEntry | None, sticky: str) -> Route:
    """The arm for one request; equal `sticky` texts get equal arms for as long as the rollout stays as it is."""
    if candidate is not None:
        return Route(endpoint, "candidate", candidate)
    primary = endpoint.releases.get(endpoint.primary)
    canary = endpoint.releases.get(endpoint.canary)
    if canary is not None and position(endpoint.id, canary.number, sticky) < endpoint.canary_share:
        return Route(endpoint, "canary", canary, _chain(endpoint, canary, primary))
    if primary is None:
        raise NotFound(
            f"The endpoint {endpoint.name!r} has no release that takes traffic.",
            hint="Approve and promote one.",
            code="model_not_found",
        )
    return Route(endpoint, "primary", primary, _chain(endpoint, primary) if endpoint.policy.fallbacks else ())


def shadow_of(endpoint: EndpointEntry, sticky: str) -> ReleaseEntry | None:
    """The release that hears this request beside the one that answers it."""
    shadow = endpoint.releases.get(endpoint.shadow)
    if shadow is None or position(endpoint.id, shadow.number, sticky) >= endpoint.shadow_share:
        return None
    return shadow


def _chain(
    endpoint: EndpointEntry, chosen: ReleaseEntry, primary: ReleaseEntry | None = None
) -> tuple[ReleaseEntry, ...]:
    """For a canary the primary first; then the policy's fallbacks; each release once."""
    named = [endpoint.releases.get(number) for number in endpoint.policy.fallbacks]
    chain: dict[int, ReleaseEntry] = {}
    for release in (primary, *named):
        if release is not None and release.number != chosen.number:
            chain.setdefault(release.number, release)
    return tuple(chain.values())


def position(endpoint_id: str, number: int, sticky: str) -> float:
    """Where a session falls in [0, 1) for one canary: stable, uniform, and another place for the next canary."""
    text = f"{endpoint_id}/{number}/{sticky}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") / 2**64
