"""The job "training.run": reads the rows, runs the recipe, writes the adapter for the engine, registers a model version.

Runs in a child process of the worker. Killed and started again it converts nothing twice, goes on from the recipe's last
checkpoint, and registers one version.
"""

import resource
from pathlib import Path
from typing import Any

from noria.core import clock
from noria.datasets import service as datasets
from noria.jobs import service as jobs
from noria.jobs.context import JobContext
from noria.registry import models, prompts
from noria.registry.records import ModelVersion
from noria.registry.templates import render_prompt
from noria.training import configs, service
from noria.training.records import TrainingRun


def run(context: JobContext) -> dict[str, Any]:
    """{"run_id", "model_version_id", "model_version"}."""
    this = service.get(context.stores, context.project_id, context.args["run_id"])
    if this.model_version_id is not None:
        return _result(this)
    earlier = jobs.get(context.stores, context.project_id, context.job_id)
    context.progress(0, 0, "getting ready")
    from noria.training.compute import quiet

    quiet()
    from noria.training import base, code, gguf_adapter
    from noria.training.recipes import lora_sft

    config = configs.configure(this.recipe, this.parameters)
    with context.stores.database.read() as connection:
        base_version = models.get_model_version(connection, this.project_id, this.base_version_id)
    model_file = models.file_of(base_version, models.MODEL_FILE)
    assert model_file is not None  # noqa: S101 - looked at when the run was started
    if not base.converted_path(context.stores.settings.folder, model_file["sha256"]).exists():
        context.progress(0, 0, "converting the base model; once for each installation")
    converted = base.converted(
        context.stores.settings.folder, _model_path(context, model_file), sha256=model_file["sha256"]
    )
    context.progress(0, 0, "reading rows")
    pairs = [lora_sft.Pair(*pair) for pair in _pairs(context, this)]

    def on_step(done: int, total: int, values: dict[str, float]) -> None:
        context.point(done, values)
        context.progress(done, total, f"loss {values['loss']:.3f}")

    trained = lora_sft.train(config, base=converted, pairs=pairs, work=context.work, on_step=on_step)
    context.progress(trained.steps, trained.steps, "writing the adapter")
    adapter = context.work / "adapter.gguf"
    architecture, layers = base.architecture(converted)
    gguf_adapter.write(
        trained.adapter, adapter, alpha=config.alpha, architecture=architecture, layers=layers, base=base_version.name
    )
    rows = context.work / "rows.txt"
    rows.write_text("".join(f"{row}\n" for row in trained.rows))
    files = [
        _stored(context, adapter, models.ADAPTER_FILE),
        _stored(context, trained.adapter, "adapter_safetensors"),
        _stored(context, rows, "rows"),
    ]
    metrics = {
        "examples": trained.examples,
        "left_out": trained.left_out,
        "steps": trained.steps,
        "tokens": trained.tokens,
        "completion_tokens": trained.completion_tokens,
        "first_loss": round(trained.first_loss, 4),
        "final_loss": round(trained.final_loss, 4),
        "seconds": round((clock.now() - (earlier.started_at or earlier.created_at)).total_seconds(), 1),
        "cpu_seconds": round(earlier.cpu_seconds + _cpu_seconds(), 1),
    }
    lineage = _lineage(context, this, base_version) | {
        "recipe": {"name": this.recipe, "sha256": code.source_digest(lora_sft)},
        "code_version": code.code_version(),
    }
    version = service.finish(context.stores, this, files=files, metrics=metrics, lineage=lineage)
    return _result(service.get(context.stores, context.project_id, this.id)) | {"number": version.number}


def completion(prompt: str, target: str) -> str:
    """What the model should write after `prompt`: a blank first, unless the prompt already ends with one."""
    return target if not prompt or prompt[-1].isspace() else f" {target}"


def _pairs(context: JobContext, this: TrainingRun) -> list[tuple[str, str, str]]:
    """(prompt, completion, row id) of each row of the split."""
    with context.stores.database.read() as connection:
        prompt = prompts.entry_of(prompts.get_prompt_version(connection, this.project_id, this.prompt_version_id))
    version = datasets.get_version(context.stores, this.project_id, this.dataset_version_id)
    found = []
    for example in datasets.read_examples(context.stores, version, split=this.split):
        text = str(render_prompt(prompt, example.input, {}))
        found.append((text, completion(text, example.target), example.row_id))
    return found


def _lineage(context: JobContext, this: TrainingRun, base_version: ModelVersion) -> dict[str, Any]:
    version = datasets.get_version(context.stores, this.project_id, this.dataset_version_id)
    return {
        "dataset": {"name": version.name, "digest": version.digest, "split": this.split},
        "base": {"name": base_version.name, "digest": base_version.digest},
        "prompt": this.prompt,
        "parameters": this.parameters,
        "seed": this.parameters["seed"],
    }


def _model_path(context: JobContext, file: dict[str, Any]) -> Path:
    return Path(file["path"]) if file.get("path") else context.stores.files.path(file["sha256"])


def _stored(context: JobContext, path: Path, role: str) -> dict[str, Any]:
    return {"name": path.name, "sha256": context.stores.files.put(path), "size": path.stat().st_size, "role": role}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _result(this: TrainingRun) -> dict[str, Any]:
    return {"run_id": this.id, "model_version_id": this.model_version_id, "model_version": this.model_version}
