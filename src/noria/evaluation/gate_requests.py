"""Asking for a gate: which evidence to use, and the job that judges it (noria.evaluation.gate_runs).

The newest finished evaluation of exactly this release (by digest) stands for it, and the newest of the endpoint's primary release
on the same split of the same dataset version for the incumbent, unless the caller names others.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.evaluation import service
from noria.evaluation.records import Evaluation
from noria.jobs import service as jobs
from noria.jobs.records import Job
from noria.registry import service as registry
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
    release = registry.get_release(stores, project_id, endpoint, number)
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


def candidate(stores: Stores, project_id: str, digest: str, evaluation_id: str | None) -> Evaluation | None:
    """The evaluation that stands for the candidate; None when it has none."""
    if evaluation_id:
        return service.get(stores, project_id, evaluation_id)
    return service.latest_of_release(stores, project_id, digest)


def incumbent(stores: Stores, found: Evaluation, digest: str, evaluation_id: str | None) -> Evaluation | None:
    """The evaluation that stands for the primary release, on the same rows as `found`; None when it has none."""
    if evaluation_id:
        return service.get(stores, found.project_id, evaluation_id)
    version_id, split = found.dataset_version_id, found.split
    return service.latest_of_release(stores, found.project_id, digest, version_id=version_id, split=split)
