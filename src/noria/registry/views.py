"""What pages of registry show, worked out: the steps that led to a release, and addresses of lineage's nodes."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from noria.registry.lineage import KINDS
from noria.registry.records import Walk

METRICS: Final[dict[str, str]] = {
    "field_f1": "Field F1",
    "field_precision": "Field precision",
    "field_recall": "Field recall",
    "exact_match": "Exact match",
    "valid": "Valid answers",
    "name_accuracy": "Name accuracy",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
}
_MANY = ("row", "trace", "score", "file")
"""Kinds that a list of steps counts instead of naming each."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of lineage: `count` nodes of a kind, or one with its title. `path` is its page."""

    kind: str
    title: str
    path: str
    count: int = 1


def address(kind: str, node_id: str, title: str = "") -> str:
    """The page of a node: its own where there is one, else its lineage."""
    name, _, number = title.rpartition("@" if kind in {"release", "prompt_version"} else ":")
    own = {
        "release": f"/endpoints/{quote(name)}/releases/{number}" if name else "",
        "prompt_version": f"/prompts/{quote(name)}?version={number}" if name else "",
        "model_version": f"/models/{quote(name)}#v{number}" if name else "",
        "dataset_version": f"/datasets/{quote(name)}?version={number}" if name else "",
        "training_run": f"/training/{quote(node_id, safe='')}",
        "evaluation": f"/evaluations/{quote(node_id, safe='')}",
        "trace": f"/traces/{quote(node_id, safe='')}",
    }
    return own.get(kind) or f"/lineage/{kind}/{quote(node_id, safe='')}"


def steps(walk: Walk) -> list[Step]:
    """What a walk back found, in the order in which it happened."""
    found = []
    for node in sorted(walk.nodes, key=lambda node: -int(node["depth"])):
        if node["kind"] not in _MANY:
            found.append(Step(node["kind"], node["title"] or KINDS[node["kind"]], address_of(node)))
    counted = Counter(node["kind"] for node in walk.nodes if node["kind"] in _MANY)
    start = f"/lineage/{walk.kind}/{quote(walk.id, safe='')}"
    return [Step(kind, "", start, counted[kind]) for kind in _MANY if counted[kind]] + found


def address_of(node: dict[str, Any]) -> str:
    """The page of a walk's node."""
    return address(node["kind"], node["id"], node["title"])
