"""Local engines from registry's side: which files a release needs, the key they make, and what the supervisor says runs.

An engine is a pair of files (model, adapter), named by a digest of both, so releases with equal weights share one process and
a release with another adapter can never be answered by it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from sqlalchemy import Connection

from noria.core.folder import Folder
from noria.registry import models
from noria.registry.records import ModelVersion, Release

ServingState = Literal["ready", "starting", "failed", "n/a"]


@dataclass(frozen=True, slots=True)
class EngineFiles:
    """The files that one engine loads, as entries of a model version's `files`."""

    model: Mapping[str, Any]
    adapter: Mapping[str, Any] | None

    @property
    def key(self) -> str:
        """16 hex digits."""
        adapter = str(self.adapter["sha256"]) if self.adapter else ""
        return hashlib.sha256((str(self.model["sha256"]) + adapter).encode()).hexdigest()[:16]


def files_of(version: ModelVersion, base: ModelVersion | None) -> EngineFiles | None:
    """What an engine loads for `version`; None when it has no files that llama.cpp reads."""
    if version.kind != "adapter":
        model = models.file_of(version, models.MODEL_FILE)
        return EngineFiles(model, None) if model else None
    model = models.file_of(base, models.MODEL_FILE) if base else None
    adapter = models.file_of(version, models.ADAPTER_FILE)
    return EngineFiles(model, adapter) if model and adapter else None


def files_of_release(connection: Connection, release: Release) -> EngineFiles | None:
    """The same for a release; None when no local engine serves it."""
    if release.provider_kind != "local" or release.model_version_id is None:
        return None
    version = models.get_model_version(connection, release.project_id, release.model_version_id)
    base_id = version.base_version_id
    return files_of(version, models.get_model_version(connection, release.project_id, base_id) if base_id else None)


def state_of(folder: Folder, files: EngineFiles | None) -> tuple[ServingState, str]:
    """(state, what went wrong) of an engine, as the supervisor wrote it; "starting" when it is not known yet."""
    if files is None:
        return "n/a", ""
    engine = running(folder).get(files.key, {})
    state: ServingState = engine["state"] if engine.get("state") in {"ready", "failed"} else "starting"
    return state, str(engine.get("error") or "")


def running(folder: Folder) -> dict[str, dict[str, Any]]:
    """engines.json; empty while there is none."""
    try:
        found = orjson.loads(folder.engines.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
