"""Jobs of datasets. Each runs in a child process of the worker and may be run again after a kill: it then finds its version."""

import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from noria.core import clock
from noria.core.errors import BadInput
from noria.datasets import items, service
from noria.datasets.importing import Import, Upload, check_split, guess_split
from noria.datasets.merging import MergeReport, add_rows
from noria.datasets.options import parse_options
from noria.datasets.records import DatasetVersion, Example
from noria.jobs.context import JobContext

_TURN = 0.25


def import_files(context: JobContext) -> dict[str, Any]:
    """Args: name, files [{digest, name, split?}], mapping {}, max_refused (share). Makes a version of the imported rows."""
    if done := service.version_of_job(context.stores, context.project_id, context.job_id):
        return result(done)
    args, stores = context.args, context.stores
    service.check_name(args["name"])
    uploads = [
        Upload(
            stores.files.path(entry["digest"]),
            entry["digest"],
            entry["name"],
            check_split(entry.get("split") or guess_split(entry["name"])),
        )
        for entry in args["files"]
    ]
    if not uploads:
        raise BadInput("There is no file to import.")
    with tempfile.TemporaryFile(dir=context.work) as refused:
        run = Import(uploads, args.get("mapping") or {}, refused, args.get("max_refused", 0.1))

        def examples() -> Iterator[Example]:
            for number, example in enumerate(run.examples(), 1):
                if number % 2_000 == 0:
                    context.progress(number, 0, f"{number:,} rows read")
                yield example
            if run.report["refused"]:
                refused.seek(0)
                run.report["refused_file"] = stores.files.put(refused)

        version = service.write_version(
            stores,
            project_id=context.project_id,
            name=args["name"],
            examples=examples(),
            parent_id=None,
            operation="import",
            report=run.report,
            actor_id=context.actor_id,
            job_id=context.job_id,
        )
    context.progress(version.rows, version.rows, f"{version.rows:,} rows imported")
    return result(version)


def clean(context: JobContext) -> dict[str, Any]:
    """Args: version_id, options {}. Makes a cleaned version whose parent is that one."""
    from noria.datasets.cleaning import Cleaning

    if done := service.version_of_job(context.stores, context.project_id, context.job_id):
        return result(done)
    stores = context.stores
    parent = service.get_version(stores, context.project_id, context.args["version_id"])
    with tempfile.TemporaryDirectory(dir=context.work) as folder:
        run = Cleaning(
            service.part_paths(stores, parent),
            parse_options(context.args.get("options") or {}),
            Path(folder),
            context.progress,
        )

        def examples() -> Iterator[Example]:
            yield from run.examples()
            run.report["changes"] = stores.files.put(Path(folder) / "changes.parquet")

        version = service.write_version(
            stores,
            project_id=context.project_id,
            dataset_id=parent.dataset_id,
            examples=examples(),
            parent_id=parent.id,
            operation="clean",
            report=run.report,
            actor_id=context.actor_id,
            job_id=context.job_id,
        )
    context.progress(version.rows, version.rows, f"{version.rows:,} of {parent.rows:,} rows are left")
    return result(version)


def from_feedback(context: JobContext) -> dict[str, Any]:
    """Args: name, endpoint, base_version_id?, since_ns?. Joins corrected and praised answers to the base version."""
    from noria.datasets import feedback
    from noria.tracing.traffic import feedback_rows

    if done := service.version_of_job(context.stores, context.project_id, context.job_id):
        return result(done)
    args, stores = context.args, context.stores
    base_id = args.get("base_version_id") or ""
    base = service.get_version(stores, context.project_id, base_id) if base_id else None
    learned = feedback.FeedbackReport()
    judged = feedback_rows(stores, context.project_id, args["endpoint"], since_ns=args.get("since_ns") or 0)
    new = list(feedback.rows(judged, learned, context.check))
    if not new:
        raise BadInput(
            f"No answer of the endpoint {args['endpoint']!r} has a correction or good feedback.",
            hint="Nothing was written. Send feedback with a value or a correction to POST /api/feedback.",
        )
    return _join(
        context,
        service.read_examples(stores, base) if base else (),
        new,
        operation="from_feedback",
        parent=base,
        report={"endpoint": args["endpoint"], **asdict(learned)},
    )


def from_traces(context: JobContext) -> dict[str, Any]:
    """Args: name, split, and a from_traces.Selection's. Adds rows of traces to the dataset's latest version."""
    from noria.datasets import from_traces as verb

    if done := service.version_of_job(context.stores, context.project_id, context.job_id):
        return result(done)
    args = context.args
    version = verb.add(
        context.stores,
        project_id=context.project_id,
        name=args["name"],
        which=verb.Selection.of(args),
        split=args["split"],
        actor_id=context.actor_id,
        job_id=context.job_id,
        check=context.check,
    )
    context.progress(version.rows, version.rows, f"{version.report['added']:,} rows added")
    return result(version)


def merge(context: JobContext) -> dict[str, Any]:
    """Args: name, version_ids. Joins the rows of the versions, in this order; the first one is the parent."""
    if done := service.version_of_job(context.stores, context.project_id, context.job_id):
        return result(done)
    stores = context.stores
    first, *others = [service.get_version(stores, context.project_id, id) for id in context.args["version_ids"]]
    more = [row for version in others for row in service.read_examples(stores, version)]
    report: dict[str, Any] = {"merged": [version.id for version in (first, *others)]}
    base = service.read_examples(stores, first)
    return _join(context, base, more, operation="merge", parent=first, report=report)


def _join(
    context: JobContext,
    base: Iterable[Example],
    new: list[Example],
    *,
    operation: str,
    parent: DatasetVersion | None,
    report: dict[str, Any],
) -> dict[str, Any]:
    counts = MergeReport()

    def examples() -> Iterator[Example]:
        for number, example in enumerate(add_rows(base, new, counts), 1):
            if number % 2_000 == 0:
                context.progress(number, 0, f"{number:,} rows joined")
            yield example
        report.update(asdict(counts))

    version = service.write_version(
        context.stores,
        project_id=context.project_id,
        name=context.args["name"],
        examples=examples(),
        parent_id=parent.id if parent else None,
        operation=operation,
        report=report,
        actor_id=context.actor_id,
        job_id=context.job_id,
    )
    context.progress(version.rows, version.rows, f"{counts.added:,} rows added")
    return result(version)


def result(version: DatasetVersion) -> dict[str, Any]:
    """What a job of datasets answers."""
    return {
        "version_id": version.id,
        "dataset": version.dataset,
        "number": version.number,
        "rows": version.rows,
        "report": version.report,
    }


def seal(context: JobContext) -> dict[str, Any]:
    """Args: dataset_id. Waits for a moment without changes, then makes one version of the items that wait; until none does."""
    stores, dataset_id = context.stores, context.args["dataset_id"]
    made: list[DatasetVersion] = []
    while True:
        _wait_for_quiet(context, dataset_id)
        version = items.seal(
            stores,
            project_id=context.project_id,
            dataset_id=dataset_id,
            actor_id=context.actor_id,
            job_id=context.job_id,
        )
        made += [version] if version else []
        if version is None or items.end_sealing(stores, dataset_id, context.job_id):
            return result(made[-1]) if made else {}


def _wait_for_quiet(context: JobContext, dataset_id: str) -> None:
    while True:
        with context.stores.database.read() as connection:
            count, first, last = items.count_waiting(connection, dataset_id)
        now = clock.now()
        if first is None or last is None or count >= items.MOST:
            return
        if now - last >= items.QUIET or now - first >= items.LONGEST:
            return
        context.progress(0, count, f"{count:,} items wait")
        time.sleep(_TURN)
