"""JSON API of imports: upload what another tool has exported, and a job takes it in."""

import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO

from fastapi import APIRouter, File, Form, UploadFile

from noria.core import ids
from noria.core.errors import BadInput, Sentence
from noria.governance import audit
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.stores.connect import Stores
from noria.tracing.imports.taking import TOOLS
from noria.web.auth import Caller, allow
from noria.web.deps import StoresDep

router = APIRouter(prefix="/api", tags=["traces"])
_MOST_FILES = 100


@router.post("/traces/import", status_code=202)
def import_traces(
    stores: StoresDep,
    caller: Annotated[Caller, allow("write_traces")],
    files: Annotated[list[UploadFile], File(description="JSON lines, JSON, CSV or Parquet; gzip is undone.")],
    tool: Annotated[str, Form(description="langfuse, mlflow, phoenix, langsmith or otlp.")] = "auto",
) -> dict[str, str]:
    """Store the exports and start the job that takes their traces in (docs/importing-traces.md); GET /api/jobs/{job} tells how far it is."""
    sent: list[tuple[str, BinaryIO]] = [(file.filename or "", file.file) for file in files]
    return {"job": start(stores, caller, tool, sent).id}


def start(stores: Stores, caller: Caller, tool: str, files: list[tuple[str, BinaryIO]]) -> Job:
    """Put `files` (name and stream each) where the job "tracing.import" finds them, and queue it. Raises BadInput."""
    if tool not in {*TOOLS, "auto"}:
        raise BadInput(
            Sentence("There is no importer for {tool!r}.", tool=tool[:40]),
            hint=Sentence("There is: {tools}.", tools=", ".join([*TOOLS, "auto"])),
        )
    if not 1 <= len(files) <= _MOST_FILES:
        raise BadInput(Sentence("Send 1 to {n} files.", n=_MOST_FILES))
    names = [PurePosixPath(name.replace("\\", "/")).name[:200] or "export" for name, _ in files]
    staged = stores.settings.folder.work / f"upload-{ids.new_id()}"
    staged.mkdir(parents=True, mode=0o700)
    try:
        for number, (_, stream) in enumerate(files):
            stream.seek(0)
            with (staged / str(number)).open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
        return _queue(stores, caller, tool, names, staged)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _queue(stores: Stores, caller: Caller, tool: str, names: list[str], staged: Path) -> Job:
    with stores.database.begin() as connection:
        job = jobs.start(
            stores,
            name="tracing.import",
            args={"tool": tool, "files": names},
            project_id=caller.project_id,
            actor_id=caller.id,
            connection=connection,
        )
        audit.record(
            connection,
            project_id=caller.project_id,
            actor_id=caller.id,
            verb="traces.import",
            target_kind="job",
            target_id=job.id,
            details={"tool": tool, "files": len(names)},
        )
        staged.rename(stores.settings.folder.work / job.id)  # no worker sees the job before the transaction ends
    return job
