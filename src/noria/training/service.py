"""The verbs of training: start a run, look at it, and what the job writes down when it is done.

Starting checks everything that can be checked without a trainer: dataset, split, prompt, base model, parameters. The work
itself is a job in its own process (noria.training.jobs), because torch has no place in the server.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, NotFound
from noria.datasets import service as datasets
from noria.governance import audit
from noria.jobs import service as jobs
from noria.jobs import tables as jobs_table
from noria.registry import models, prompts
from noria.registry.naming import check_name
from noria.registry.records import ModelVersion
from noria.stores.connect import Stores
from noria.training import configs, tables
from noria.training.records import TrainingRun
from noria.web import paging

BASE = "gemma-3-270m:1"
"""The base model when nobody names another."""


def start(
    stores: Stores,
    *,
    project_id: str,
    actor_id: str,
    dataset: str,
    prompt: str,
    model: str,
    split: str = "train",
    base: str = BASE,
    recipe: str = "lora_sft",
    parameters: Mapping[str, Any] | None = None,
) -> TrainingRun:
    """Queue a run: `recipe` on a split of `dataset` ("calls:3"), as `prompt` ("call@2") renders it.

    Its result becomes the next version of `model`. Raises NotFound or BadInput.
    """
    config = configs.configure(recipe, parameters or {})
    version = datasets.resolve(stores, project_id, dataset)
    if not version.splits.get(split):
        raise BadInput(f"{version.name} has no split {split!r}.", hint=f"It has: {', '.join(version.splits)}.")
    run_id = ids.new_id()
    with stores.database.begin() as connection:
        check_name(model, "model")
        prompt_version = prompts.find_prompt_version(connection, project_id, prompt)
        if prompt_version.format != "text":
            raise BadInput(
                f"The prompt {prompt} has the format {prompt_version.format}; this recipe trains on text.",
                hint="Make a version of format text, the same that the release will use.",
            )
        base_version = _base(connection, project_id, base)
        job = jobs.start(
            stores,
            name="training.run",
            args={"run_id": run_id},
            project_id=project_id,
            actor_id=actor_id,
            connection=connection,
        )
        row = {
            "id": run_id,
            "project_id": project_id,
            "job_id": job.id,
            "recipe": recipe,
            "model": model,
            "base_version_id": base_version.id,
            "base": base_version.name,
            "dataset_version_id": version.id,
            "dataset": version.name,
            "split": split,
            "prompt_version_id": prompt_version.id,
            "prompt": f"{prompt_version.prompt}@{prompt_version.number}",
            "parameters": configs.as_json(config),
            "author_id": actor_id,
            "created_at": clock.now(),
            "metrics": {},
            "files": [],
            "model_version": "",
        }
        connection.execute(insert(tables.runs).values(row))
        audit.record(
            connection,
            project_id=project_id,
            actor_id=actor_id,
            verb="training.start",
            target_kind="training_run",
            target_id=run_id,
            details={"recipe": recipe, "dataset": version.name, "model": model},
        )
    return get(stores, project_id, run_id)


def get(stores: Stores, project_id: str, run_id: str) -> TrainingRun:
    """Raises NotFound."""
    query = _runs(project_id).where(tables.runs.c.id == run_id)
    with stores.database.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such training run.")
    return TrainingRun(**row)


def list_runs(
    stores: Stores, project_id: str, *, limit: int = 50, cursor: str | None = None
) -> paging.Page[TrainingRun]:
    """Newest first."""
    query = _runs(project_id)
    if after := paging.decode(cursor, str):
        query = query.where(tables.runs.c.id < after[0])
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(tables.runs.c.id.desc()).limit(limit + 1)).mappings()
        found = [TrainingRun(**row) for row in rows]
    return paging.cut(found, limit, lambda run: [run.id])


def finish(
    stores: Stores,
    run: TrainingRun,
    *,
    files: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any],
    lineage: Mapping[str, Any],
) -> ModelVersion:
    """Register the adapter as a model version and note it at the run, both or neither."""
    with stores.database.begin() as connection:
        version = models.add_model_version(
            connection,
            project_id=run.project_id,
            name=run.model,
            kind="adapter",
            files=files,
            base_id=run.base_version_id,
            lineage={
                "training_run_id": run.id,
                "dataset_version_id": run.dataset_version_id,
                "prompt_version_id": run.prompt_version_id,
                "metrics": dict(metrics),
                **lineage,
            },
            actor_id=run.author_id,
        )
        values = {
            "metrics": dict(metrics),
            "files": [dict(file) for file in files],
            "model_version_id": version.id,
            "model_version": version.name,
        }
        connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(values))
    return version


def choices(stores: Stores, project_id: str) -> dict[str, list[str]]:
    """What a form to start a run may offer, newest first."""
    versions = [
        version.name
        for dataset in datasets.list_datasets(stores, project_id, limit=50).items
        for version in datasets.versions(stores, project_id, dataset.name)[:5]
        if version.splits.get("train")
    ]
    texts = [
        f"{version.prompt}@{version.number}"
        for prompt in prompts.list_prompts(stores, project_id, limit=50).items
        for version in prompts.prompt_versions(stores, project_id, prompt.name)[:5]
        if version.format == "text"
    ]
    found = models.list_models(stores, project_id, limit=200).items
    bases = [f"{model.name}:{model.latest}" for model in found if model.kind == "base"]
    return {
        "datasets": versions,
        "prompts": texts,
        "models": [m.name for m in found if m.kind == "adapter"],
        "bases": bases,
    }


def _runs(project_id: str) -> Select[Any]:
    job = jobs_table.jobs
    own = [tables.runs.c[name] for name in TrainingRun.__dataclass_fields__ if name in tables.runs.c]
    followed = [job.c[name] for name in ("state", "done", "total", "note", "error", "started_at", "ended_at")]
    joined = tables.runs.join(job, job.c.id == tables.runs.c.job_id)
    return select(*own, *followed).select_from(joined).where(tables.runs.c.project_id == project_id)


def _base(connection: Connection, project_id: str, reference: str) -> ModelVersion:
    version = models.find_model_version(connection, project_id, reference)
    if version.kind != "base" or models.file_of(version, models.MODEL_FILE) is None:
        raise BadInput(f"{reference} is no base model that can be trained on here.", hint=f"For example {BASE}.")
    return version
