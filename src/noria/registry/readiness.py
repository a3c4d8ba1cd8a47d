"""Waiting for a local engine before a release takes traffic, so that a rollout never meets an engine that is still loading."""

import time
from typing import Final

from noria.core.errors import Conflict, Unavailable
from noria.registry import engines, publish, releases
from noria.registry.engines import ServingState
from noria.registry.records import Release
from noria.stores import changes
from noria.stores.connect import Stores

PATIENCE: Final = 60.0
"""Seconds that a request waits for an engine."""
_POLL = 0.1


def serving(stores: Stores, release: Release) -> tuple[ServingState, str]:
    """("ready" | "starting" | "failed" | "n/a", what went wrong); "n/a" when no local engine is needed."""
    with stores.database.read() as connection:
        files = engines.files_of_release(connection, release)
    return engines.state_of(stores.settings.folder, files)


def wake(stores: Stores, release: Release) -> None:
    """Have the release's engine started: it becomes the candidate that somebody worked with last."""
    with stores.database.begin() as connection:
        releases.touch(connection, release)
        changes.bump(connection)
    publish.publish(stores)


def ensure_ready(stores: Stores, release: Release, *, wait: float = 0.0) -> None:
    """Return once the release can answer. Raises Unavailable while its engine starts (after `wait` seconds), Conflict
    when it failed."""
    state, error = serving(stores, release)
    if state == "starting":
        wake(stores, release)
    deadline = time.monotonic() + wait
    while state == "starting" and time.monotonic() < deadline:
        time.sleep(_POLL)
        state, error = serving(stores, release)
    name = f"{release.endpoint}@{release.number}"
    if state == "starting":
        raise Unavailable(f"{name} is starting.", hint="Try again in a few seconds.", code="engine_starting")
    if state == "failed":
        raise Conflict(
            f"The local engine of {name} could not be started{f': {error[:200]}' if error else '.'}",
            hint="Its log is in the data folder, under logs.",
            code="engine_failed",
        )
