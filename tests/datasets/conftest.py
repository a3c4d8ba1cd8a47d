"""A running job, an import and a cleaning in one line each: what tests of datasets start from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noria.core import ids
from noria.datasets import jobs, service
from noria.datasets.records import DatasetVersion
from noria.jobs.context import JobContext
from noria.stores.connect import Stores

PROJECT = "project-1"
Run = Callable[..., DatasetVersion]


def run_job(stores: Stores, function: Callable[[JobContext], dict[str, Any]], **args: Any) -> DatasetVersion:
    """Run a job of datasets here and now; the version that it made."""
    job_id = args.pop("job_id", None) or ids.new_id()
    context = JobContext(job_id, PROJECT, "person-1", args, stores, lambda *_: None, lambda *_: None)
    return service.get_version(stores, PROJECT, function(context)["version_id"])


@pytest.fixture
def importing(stores: Stores, tmp_path: Path) -> Run:
    """Import files, given as name=content (bytes or text): `importing({"train.jsonl": "…"}, mapping={})`."""

    def run(files: dict[str, str | bytes | Path], *, name: str = "calls", **args: Any) -> DatasetVersion:
        entries = []
        for file_name, content in files.items():
            source = content.encode() if isinstance(content, str) else content
            entries.append({"digest": stores.files.put(source), "name": file_name})
        return run_job(stores, jobs.import_files, name=name, files=entries, **args)

    return run


@pytest.fixture
def cleaning(stores: Stores) -> Run:
    """Clean a version: `cleaning(version, near=False)`."""

    def run(version: DatasetVersion, **options: Any) -> DatasetVersion:
        return run_job(stores, jobs.clean, version_id=version.id, options=options)

    return run
