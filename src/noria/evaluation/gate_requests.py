"""Asking for a gate: which evidence to use, and the job that judges it (noria.evaluation.gate_runs).

The newest finished evaluation of exactly this release (by digest) stands for it, and the newest of the endpoint's primary
release on the same split of the same dataset version for the incumbent, unless the caller names others.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.evaluation import service
from noria.evaluation.records import Evaluation
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.registry import releases
from noria.stores.connect import Stores


def start(
    stores: Stores,
    *,
    project_id: str,
    actor_id: str,
    endpoint: str,
    number: int,
    evaluation: str | None = None,
    incumbent_evaluation: str | None = None,
) -> Job:
    """Start the job "evaluation.gate". Raises NotFound, or BadInput when evidence is of another release."""
    args: dict[str, Any] = {"endpoint": endpoint, "number": number}
    release = releases.get_release(stores, project_id, endpoint, number)
    if evaluation is not None:
        one = service.get(stores, project_id, evaluation)
        if one.release_digest != release.digest:
            raise BadInput(
                f"That evaluation is of {one.target}, not of {endpoint}@{number} as it is now.",
                hint="A gate counts only for the very release that was evaluated.",
            )
        args["evaluation"] = one.id
    if incumbent_evaluation is not None:
        args["incumbent_evaluation"] = service.get(stores, project_id, incumbent_evaluation).id
    return jobs.start(stores, name="evaluation.gate", args=args, project_id=project_id, actor_id=actor_id)


def choose(
    stores: Stores,
    project_id: str,
    *,
    candidate_digest: str,
    primary_digest: str,
    evaluation: str | None = None,
    incumbent_evaluation: str | None = None,
) -> tuple[Evaluation | None, Evaluation | None]:
    """(the candidate's evaluation, the incumbent's); None where there is none.

    Of several evaluations of the candidate the newest wins for which the incumbent has one on the same data, then the newest.
    """
    if evaluation:
        candidates = [service.get(stores, project_id, evaluation)]
    else:
        candidates = service.of_release(stores, project_id, candidate_digest)
    if incumbent_evaluation:
        incumbents = [service.get(stores, project_id, incumbent_evaluation)]
    else:
        incumbents = service.of_release(stores, project_id, primary_digest) if primary_digest else []
    for one in candidates:
        for other in incumbents:
            if (one.dataset_version_id, one.split) == (other.dataset_version_id, other.split):
                return one, other
    return (candidates[0] if candidates else None), None
