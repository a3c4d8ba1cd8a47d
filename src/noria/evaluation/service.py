"""The verbs of evaluation: start one, look, browse its rows, compare two, ask for a gate.

The arithmetic (numpy, scikit-learn) is not here: an evaluation runs in a job, and a comparison in a short-lived process,
because the server that calls this must stay small.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound, Unavailable
from noria.datasets import service as datasets
from noria.evaluation import results, tables
from noria.evaluation.records import BASELINES, SEED, Evaluation
from noria.governance import audit
from noria.jobs import service as jobs
from noria.jobs.tables import jobs as job_table
from noria.registry import releases
from noria.registry.records import Release
from noria.stores import changes
from noria.stores.connect import Stores
from noria.web import paging

MAX_TOKENS = 96
"""Of an answer, when neither the caller nor the release says how long it may be."""
_COMPARE_SECONDS = 120


def start(
    stores: Stores,
    *,
    project_id: str,
    actor_id: str,
    dataset: str,
    target: str,
    split: str = "test",
    limit: int | None = None,
    concurrency: int = 4,
    max_tokens: int | None = None,
) -> Evaluation:
    """Start the job that evaluates `target` ("assistant@2", "baseline:nearest") on a split of `dataset` ("calls:2").

    `limit` rows are chosen so that two evaluations of the same version share rows. `max_tokens` overrides what the release
    says. Raises NotFound (dataset, release) or BadInput.
    """
    version = datasets.resolve(stores, project_id, dataset)
    if not version.splits.get(split):
        raise BadInput(f"{version.name} has no split {split!r}.", hint=f"It has: {', '.join(version.splits)}.")
    release = _release_of(stores, project_id, target)
    evaluation_id = ids.new_id()
    with stores.database.begin() as connection:
        if release is not None:
            releases.touch(connection, release)  # so that its engine is started, or kept
            changes.bump(connection)
        job = jobs.start(
            stores,
            name="evaluation.run",
            args={"evaluation_id": evaluation_id},
            project_id=project_id,
            actor_id=actor_id,
            connection=connection,
        )
        row = {
            "id": evaluation_id,
            "project_id": project_id,
            "dataset_version_id": version.id,
            "dataset": version.name,
            "split": split,
            "limit": limit,
            "target": target,
            "release_id": release.id if release else "",
            "release_digest": release.digest if release else "",
            "options": _options(release, concurrency, max_tokens),
            "job_id": job.id,
            "key_id": "",
            "cpu_seconds": 0.0,
            "author_id": actor_id,
            "created_at": clock.now(),
        }
        connection.execute(insert(tables.evaluations).values(row))
        details = {"target": target, "dataset": version.name, "split": split}
        _audit(connection, evaluation_id, "evaluation.start", project_id=project_id, actor_id=actor_id, details=details)
    return get(stores, project_id, evaluation_id)


def _options(release: Release | None, concurrency: int, max_tokens: int | None) -> dict[str, Any]:
    """How the target is asked; `max_tokens` None: as the release says."""
    says_itself = release is None or {"max_tokens", "max_completion_tokens"} & release.parameters.keys()
    return {
        "concurrency": concurrency,
        "max_tokens": max_tokens or (None if says_itself else MAX_TOKENS),
        "seed": SEED,
    }


def _release_of(stores: Stores, project_id: str, target: str) -> Release | None:
    """The release that `target` names; None for a baseline. Raises BadInput, NotFound."""
    kind, _, name = target.partition(":")
    if kind == "baseline":
        if name not in BASELINES:
            raise BadInput(f"There is no baseline {name!r}.", hint=f"One of {', '.join(BASELINES)}.")
        return None
    endpoint, at, number = target.partition("@")
    if not (at and endpoint and number.isascii() and number.isdecimal()):
        raise BadInput(f"{target[:80]!r} is nothing to evaluate.", hint='Like "assistant@2" or "baseline:nearest".')
    return releases.get_release(stores, project_id, endpoint, int(number))


def get(stores: Stores, project_id: str, evaluation_id: str) -> Evaluation:
    """Raises NotFound."""
    query = _evaluations(project_id).where(tables.evaluations.c.id == evaluation_id)
    with stores.database.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such evaluation.")
    return Evaluation(**row)


def list_evaluations(
    stores: Stores,
    project_id: str,
    *,
    target: str | None = None,
    dataset: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> paging.Page[Evaluation]:
    """Newest first."""
    query = _evaluations(project_id)
    if target:
        query = query.where(tables.evaluations.c.target == target)
    if dataset:
        query = query.where(tables.evaluations.c.dataset == dataset)
    if after := paging.decode(cursor, str):
        query = query.where(tables.evaluations.c.id < after[0])
    query = query.order_by(tables.evaluations.c.id.desc()).limit(limit + 1)
    with stores.database.read() as connection:
        found = [Evaluation(**row) for row in connection.execute(query).mappings()]
    return paging.cut(found, limit, lambda one: [one.id])


def choices(stores: Stores, project_id: str) -> dict[str, list[str]]:
    """What a form to start an evaluation may offer: dataset versions and releases, newest first."""
    versions = [
        version.name
        for dataset in datasets.list_datasets(stores, project_id, limit=50).items
        for version in datasets.versions(stores, project_id, dataset.name)[:5]
    ]
    names = [f"{one.endpoint}@{one.number}" for one in releases.newest_releases(stores, project_id)]
    return {"datasets": versions, "releases": names}


def beside(stores: Stores, evaluation: Evaluation, *, most: int = 12) -> list[Evaluation]:
    """Other finished evaluations on the same split of the same version: the newest of each target, newest first."""
    table = tables.evaluations
    query = _evaluations(evaluation.project_id).where(
        table.c.dataset_version_id == evaluation.dataset_version_id,
        table.c.split == evaluation.split,
        table.c.target != evaluation.target,
        table.c.ended_at.is_not(None),
    )
    newest: dict[str, Evaluation] = {}
    with stores.database.read() as connection:
        for row in connection.execute(query.order_by(table.c.id.desc()).limit(500)).mappings():
            newest.setdefault(row["target"], Evaluation(**row))
    return list(newest.values())[:most]


def of_release(stores: Stores, project_id: str, release_digest: str) -> list[Evaluation]:
    """The finished evaluations of exactly this release, newest first."""
    table = tables.evaluations
    query = _evaluations(project_id).where(table.c.release_digest == release_digest, table.c.ended_at.is_not(None))
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(table.c.id.desc()).limit(100)).mappings()
        return [Evaluation(**row) for row in rows]


def missing_baselines(stores: Stores, evaluation: Evaluation, kinds: Iterable[str]) -> list[str]:
    """Those baselines that nobody has started on the evaluation's split and version (however many rows)."""
    table = tables.evaluations
    query = (
        select(table.c.target, job_table.c.state)
        .select_from(_with_job())
        .where(
            table.c.project_id == evaluation.project_id,
            table.c.dataset_version_id == evaluation.dataset_version_id,
            table.c.split == evaluation.split,
        )
    )
    with stores.database.read() as connection:
        there = {target for target, state in connection.execute(query) if state not in {"failed", "cancelled"}}
    return [kind for kind in kinds if f"baseline:{kind}" not in there]


def cpu_seconds(stores: Stores, evaluation: Evaluation) -> float:
    """CPU time so far, over all executions of its job."""
    query = select(tables.evaluations.c.cpu_seconds).where(tables.evaluations.c.id == evaluation.id)
    with stores.database.read() as connection:
        return float(connection.execute(query).scalar() or 0.0)


def finish(connection: Connection, evaluation: Evaluation, report: dict[str, Any], *, actor_id: str) -> None:
    """Put the report on the evaluation, and tell registry that the release has one."""
    change = update(tables.evaluations).where(tables.evaluations.c.id == evaluation.id)
    connection.execute(change.values(report=report, ended_at=clock.now()))
    if evaluation.release_id:
        releases.mark_evaluated(
            connection,
            project_id=evaluation.project_id,
            release_id=evaluation.release_id,
            digest=evaluation.release_digest,
            evaluation_id=evaluation.id,
            report=report,
            actor_id=actor_id,
        )
    main = report["metrics"][report["main_metric"]]
    details = {"target": evaluation.target, "metric": report["main_metric"], "value": main["value"], "n": report["n"]}
    project_id = evaluation.project_id
    _audit(connection, evaluation.id, "evaluation.finish", project_id=project_id, actor_id=actor_id, details=details)


def compare(stores: Stores, project_id: str, a_id: str, b_id: str, *, metric: str | None = None) -> dict[str, Any]:
    """Is `b` better than `a` on the rows that both answered? Computed once, then remembered. Raises Conflict, BadInput.

    With `metric` the verdict is about that one, and the others are left out.
    """
    a, b = get(stores, project_id, a_id), get(stores, project_id, b_id)
    for one in (a, b):
        if one.report is None:
            raise Conflict(
                f"The evaluation of {one.target} has no report yet ({one.state}).", hint="Wait until it is done."
            )
    if (a.dataset_version_id, a.split) != (b.dataset_version_id, b.split):
        raise BadInput(
            f"They are on different rows: {a.dataset} {a.split} and {b.dataset} {b.split}.",
            hint="Evaluate both on the same split of the same version.",
        )
    sides = {"a": _side(a), "b": _side(b)}
    here = (tables.comparisons.c.a_id == a.id) & (tables.comparisons.c.b_id == b.id)
    with stores.database.read() as connection:
        known = connection.execute(select(tables.comparisons.c.result).where(here)).scalar()
    if known is None:
        known = _compute(a, results.counts(stores, a), results.counts(stores, b))
        row = {"a_id": a.id, "b_id": b.id, "project_id": project_id, "result": known}
        # Somebody else may have computed the same meanwhile.
        with suppress(IntegrityError), stores.database.begin() as connection:
            connection.execute(insert(tables.comparisons).values(row))
    if metric:
        if metric not in known["metrics"]:
            raise BadInput(f"They do not measure {metric[:40]!r}.", hint=f"They measure {', '.join(known['metrics'])}.")
        one = known["metrics"][metric]
        known = {**known, "metrics": {metric: one}, "verdict": one["verdict"], "text": one["text"]}
    return sides | known


def _side(one: Evaluation) -> dict[str, Any]:
    report = one.report or {}
    return {"id": one.id, "target": one.target, "n": report.get("n"), "latency": report.get("latency")}


def _compute(a: Evaluation, first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    asked = json.dumps({"task": (a.report or {})["task"], "a": first, "b": second})
    try:
        done = subprocess.run(
            [sys.executable, "-m", "noria.evaluation.compare"],
            input=asked,
            capture_output=True,
            text=True,
            timeout=_COMPARE_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(
            f"The comparison could not be computed ({type(error).__name__}).", hint="Nothing is lost; try again."
        ) from error
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _with_job() -> Any:
    return tables.evaluations.outerjoin(job_table, job_table.c.id == tables.evaluations.c.job_id)


def _evaluations(project_id: str) -> Select[Any]:
    # Jobs are forgotten after a year, evaluations are not.
    from_job = {"state": "done", "done": 0, "total": 0, "note": ""}
    own = [tables.evaluations.c[name] for name in Evaluation.__slots__ if name not in {*from_job, "error"}]
    its = [func.coalesce(job_table.c[name], default).label(name) for name, default in from_job.items()]
    return (
        select(*own, *its, job_table.c.error)
        .select_from(_with_job())
        .where(tables.evaluations.c.project_id == project_id)
    )


def _audit(connection: Connection, evaluation_id: str, verb: str, **values: Any) -> None:
    audit.record(connection, verb=verb, target_kind="evaluation", target_id=evaluation_id, **values)
