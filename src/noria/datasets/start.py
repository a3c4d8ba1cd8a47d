"""Starting the jobs of datasets: arguments are checked here, at once, so that a job fails only for what is in the data.

The API, the pages and the command line all start jobs through this module.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from noria.core.errors import BadInput, TooLarge
from noria.datasets import service
from noria.datasets.from_traces import MOST, Selection
from noria.datasets.importing import check_split, guess_split
from noria.datasets.options import parse_options
from noria.datasets.records import DatasetVersion
from noria.datasets.shapes import parse_mapping
from noria.governance import audit
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.stores.connect import Stores
from noria.tracing import selection


def import_files(
    stores: Stores,
    project_id: str,
    actor_id: str,
    *,
    name: str,
    files: Sequence[tuple[str, BinaryIO]],
    mapping: Mapping[str, Any],
    splits: Mapping[str, Any],
) -> Job:
    """Store `files` (name and stream each) and start "datasets.import". Raises BadInput, TooLarge."""
    service.check_name(name)
    parse_mapping(mapping)
    names = [_base_name(given) for given, _ in files]
    if unknown := sorted(set(splits) - set(names)):
        raise BadInput(
            f"splits names {unknown[0][:80]!r}, which was not sent.", hint=f"Sent: {', '.join(names)[:300]}."
        )
    limit = stores.settings.max_upload_mb
    entries = []
    for file_name, (_, stream) in zip(names, files, strict=True):
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > limit << 20:
            raise TooLarge(f"{file_name} is larger than {limit} MB.", hint="Split it, or raise max_upload_mb.")
        if size == 0:
            raise BadInput(f"{file_name} is empty.", hint="Nothing was imported. Send a file with rows.")
        split = check_split(str(splits.get(file_name) or guess_split(file_name)))
        entries.append({"digest": stores.files.put(stream), "name": file_name, "split": split})
    if not entries:
        raise BadInput("There is no file to import.", hint="Send one or more `files`.")
    args = {"name": name, "files": entries, "mapping": dict(mapping)}
    return _start(stores, project_id, actor_id, "datasets.import", args, target=name)


def clean(
    stores: Stores, project_id: str, actor_id: str, *, version: DatasetVersion, options: Mapping[str, Any]
) -> Job:
    """Start "datasets.clean". Raises BadInput for options that there are not."""
    parse_options(options)
    args = {"version_id": version.id, "options": dict(options)}
    return _start(stores, project_id, actor_id, "datasets.clean", args, target=version.name)


def from_feedback(
    stores: Stores, project_id: str, actor_id: str, *, name: str, endpoint: str, base_version: str = "", since: str = ""
) -> Job:
    """Start "datasets.from_feedback". `since` is an ISO 8601 time; the base version is named like "calls:2"."""
    service.check_name(name)
    if not endpoint:
        raise BadInput("No endpoint is named.", hint="Say whose answers to learn from.")
    base = service.resolve(stores, project_id, base_version).id if base_version else ""
    args = {"name": name, "endpoint": endpoint, "base_version_id": base, "since_ns": _nanoseconds(since)}
    return _start(stores, project_id, actor_id, "datasets.from_feedback", args, target=name)


def from_traces(
    stores: Stores, project_id: str, actor_id: str, *, name: str, which: Selection, split: str = "train"
) -> Job:
    """Start "datasets.from_traces". Raises BadInput, BadFilter."""
    service.check_name(name)
    check_split(split)
    if not which.trace_ids:
        selection.where(which.q, which.traffic, which.until)
    if len(which.trace_ids) > MOST:
        raise BadInput(f"At most {MOST:,} traces are added at once.", hint="Send them in parts, or as a search.")
    args = {"name": name, "split": split, **which.args()}
    return _start(stores, project_id, actor_id, "datasets.from_traces", args, target=name)


def merge(stores: Stores, project_id: str, actor_id: str, *, name: str, versions: Sequence[str]) -> Job:
    """Start "datasets.merge". Raises BadInput with fewer than two versions, NotFound."""
    service.check_name(name)
    if len(versions) < 2:
        raise BadInput("Joining needs at least two versions.", hint='For example ["calls:2", "corrections:1"].')
    found = [service.resolve(stores, project_id, reference).id for reference in versions]
    return _start(stores, project_id, actor_id, "datasets.merge", {"name": name, "version_ids": found}, target=name)


def _start(stores: Stores, project_id: str, actor_id: str, job_name: str, args: dict[str, Any], *, target: str) -> Job:
    with stores.database.begin() as connection:
        job = jobs.start(
            stores, name=job_name, args=args, project_id=project_id, actor_id=actor_id, connection=connection
        )
        audit.record(
            connection,
            project_id=project_id,
            actor_id=actor_id,
            verb=f"dataset.{job_name.partition('.')[2]}",
            target_kind="dataset",
            target_id=target,
            details={"job": job.id},
        )
    return job


def _base_name(given: str) -> str:
    name = PurePosixPath(given.replace("\\", "/")).name
    if not name or not name.isprintable():
        raise BadInput("A file was sent without a usable name.", hint="Give each file a name, like train.jsonl.")
    return name[:200]


def _nanoseconds(since: str) -> int:
    if not since:
        return 0
    try:
        moment = datetime.fromisoformat(since)
    except ValueError as error:
        raise BadInput(f"{since[:40]!r} is not a time.", hint="Write it like 2026-11-24T09:00:00Z.") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000_000)
