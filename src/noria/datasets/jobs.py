"""Jobs of datasets. Each runs in a child process of the worker and may be run again after a kill: it then finds its version."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from noria.core.errors import BadInput
from noria.datasets import service
from noria.datasets.importing import Import, Upload, check_split, guess_split
from noria.datasets.merging import MergeReport, add_rows
from noria.datasets.options import parse_options
from noria.datasets.records import DatasetVersion, Example
from noria.jobs.context import JobContext


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


def merge(context: JobContext) -> dict[str, Any]:
    """Args: name, version_ids. Joins the rows of the versions, in this order; the first one is the parent."""
    if done := service.version_of_job(context.stores, context.project_id, context.job_id):
        return result(done)
    stores = context.stores
    first, *others = [service.get_version(stores, context.project_id, id) for id in context.args["version_ids"]]
    more = [row for version in others for row in service.read_examples(stores, version)]
    report = MergeReport()
    summary: dict[str, Any] = {"merged": [version.id for version in (first, *others)]}

    def examples() -> Iterator[Example]:
        yield from add_rows(service.read_examples(stores, first), more, report)
        summary.update(asdict(report))

    version = service.write_version(
        stores,
        project_id=context.project_id,
        name=context.args["name"],
        examples=examples(),
        parent_id=first.id,
        operation="merge",
        report=summary,
        actor_id=context.actor_id,
        job_id=context.job_id,
    )
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
