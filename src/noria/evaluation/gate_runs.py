"""The job that checks a gate: evidence in, a result bound to the release's digest out, kept by registry."""

from typing import Any

from noria.evaluation import gate_requests, gates, results
from noria.evaluation.gates import Evidence
from noria.evaluation.records import Evaluation
from noria.jobs.context import JobContext
from noria.registry import endpoints, releases
from noria.registry import gates as registry_gates
from noria.stores.connect import Stores


def run(context: JobContext) -> dict[str, Any]:
    """The job "evaluation.gate": `endpoint`, `number` and, if named, `evaluation` and `incumbent_evaluation`."""
    stores, project_id, args = context.stores, context.project_id, context.args
    with stores.database.read() as connection:
        release = releases.find_release(connection, project_id, args["endpoint"], args["number"])
        endpoint = endpoints.find_endpoint(connection, project_id, args["endpoint"])
        primary_id = endpoints.rollout_of(connection, endpoint).primary_id
        primary = releases.get_release_by_id(connection, project_id, primary_id) if primary_id else None
    candidate, incumbent = gate_requests.choose(
        stores,
        project_id,
        candidate_digest=release.digest,
        primary_digest=primary.digest if primary else "",
        evaluation=args.get("evaluation"),
        incumbent_evaluation=args.get("incumbent_evaluation"),
    )
    checked = gates.check(
        endpoint.gate, _evidence(stores, candidate), _evidence(stores, incumbent), serving=primary is not None
    )
    document: dict[str, Any] = {
        "passed": gates.passed(checked),
        "clauses": gates.as_json(checked),
        "p_value": gates.p_value(checked),
        "evaluation_id": candidate.id if candidate else "",
        "incumbent_evaluation_id": incumbent.id if incumbent else "",
    }
    with stores.database.begin() as connection:
        kept = registry_gates.record_gate(
            connection,
            project_id=project_id,
            release_id=release.id,
            digest=release.digest,
            incumbent_id=primary_id,
            actor_id=context.actor_id,
            **document,
        )
    return {"id": kept.id, "release": f"{release.endpoint}@{release.number}", "digest": release.digest, **document}


def _evidence(stores: Stores, evaluation: Evaluation | None) -> Evidence | None:
    if evaluation is None or evaluation.report is None:
        return None
    return Evidence(evaluation.report, results.counts(stores, evaluation))
