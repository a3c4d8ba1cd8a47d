"""Jobs of tracing. Each runs in a child process of the worker and goes on where it was after a kill."""

from dataclasses import asdict
from typing import Any

from noria.jobs.context import JobContext
from noria.tracing.imports.taking import File, Import, hold_back


def import_traces(context: JobContext) -> dict[str, Any]:
    """Args: tool, files [name]. The files lie in the job's own folder as 0, 1, …, and go with it when the job has ended."""
    files = [File(context.work / str(number), name) for number, name in enumerate(context.args["files"])]
    run = Import(context.stores, context.project_id, tool=context.args["tool"], files=files)

    def progress(done: int, total: int, note: str) -> None:
        context.progress(done, total, note)
        hold_back(context.stores, context.check)

    return asdict(run.run(progress, context.work / "state.json"))
