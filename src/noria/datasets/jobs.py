"""Jobs of datasets. Each runs in a child process of the worker and may be run again after a kill: it then finds its version."""

import tempfile
from pathlib import Path
from typing import Any

from noria.core.errors import BadInput
from noria.datasets import service
from noria.datasets.importing import Import, Upload, check_split, guess_split
from noria.datasets.records import DatasetVersion
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
    with tempfile.TemporaryFile(dir=_folder(context)) as refused:
        run = Import(uploads, args.get("mapping") or {}, refused, args.get("max_refused", 0.1))

        def examples() -> Any:
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


def result(version: DatasetVersion) -> dict[str, Any]:
    """What a job of datasets answers."""
    return {
        "version_id": version.id,
        "dataset": version.dataset,
        "number": version.number,
        "rows": version.rows,
        "report": version.report,
    }


def _folder(context: JobContext) -> Path:
    return context.work
