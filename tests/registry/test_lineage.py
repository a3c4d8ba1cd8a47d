"""Lineage: from an answer back to its rows, and from a row forward to every model."""

import pytest

from noria.core.errors import BadInput, NotFound
from noria.core.slices import Edge
from noria.registry import lineage
from noria.stores.connect import Stores
from tests.registry.conftest import World


@pytest.fixture
def tuned(world: World) -> World:
    """Release 1 runs an adapter that run-7 made of dataset-3."""
    world.release(provider="local", model="", model_version=world.adapter())
    with world.stores.database.begin() as connection:
        lineage.record(
            connection,
            world.project_id,
            [
                Edge("dataset_version", "dataset-3", "training_run", "run-7", "trained on", "calls:3", "run 7"),
                Edge("dataset_version", "dataset-2", "dataset_version", "dataset-3", "merged", "calls:2", "calls:3"),
            ],
        )
    return world


def slices(world: World) -> list[lineage.Hook]:
    """What tracing and datasets know and registry does not."""
    walked = lineage.walk(world.stores, world.project_id, "release", "assistant@1")

    def traces(stores: Stores, project_id: str, kind: str, node_id: str) -> list[Edge]:
        edge = Edge("release", walked.id, "trace", "ab12", "answered", "assistant@1", "ab12")
        return [edge] if (kind, node_id) in {("trace", "ab12"), ("release", walked.id)} else []

    def rows(stores: Stores, project_id: str, kind: str, node_id: str) -> list[Edge]:
        if kind == "row" and node_id == "row-1":
            return [Edge("row", "row-1", "dataset_version", "dataset-2", "holds", "row-1", "calls:2")]
        if kind == "dataset_version" and node_id == "dataset-2":
            return [Edge("row", f"row-{n}", "dataset_version", "dataset-2", "holds") for n in range(500)]
        return []

    return [traces, rows]


def test_an_answer_leads_back_to_its_rows(tuned: World) -> None:
    found = lineage.walk(tuned.stores, tuned.project_id, "trace", "ab12", hooks=slices(tuned))
    kinds = [node["kind"] for node in found.nodes]
    assert kinds[:6] == [
        "release",
        "model_version",
        "model_version",
        "training_run",
        "dataset_version",
        "dataset_version",
    ]
    assert {"calls-lora:1", "base:1", "assistant@1", "run 7", "calls:3", "calls:2"} <= {n["title"] for n in found.nodes}
    assert kinds.count("row") == lineage.MOST_AT_ONCE and found.truncated
    assert found.readable[:2] == [
        "Answer ab12 was given by release assistant@1.",
        "Release assistant@1 runs model version calls-lora:1.",
    ]
    assert "Model version calls-lora:1 was made by training run 7." in found.readable
    assert "Training run 7 learned from dataset version calls:3." in found.readable


def test_a_row_leads_forward_to_every_model(tuned: World) -> None:
    found = lineage.walk(tuned.stores, tuned.project_id, "row", "row-1", direction="forward", hooks=slices(tuned))
    titles = [node["title"] for node in found.nodes if node["kind"] in {"model_version", "release", "trace"}]
    assert titles == ["calls-lora:1", "assistant@1", "ab12"]
    assert not found.truncated


def test_names_and_kinds_that_are_not_there(tuned: World) -> None:
    with pytest.raises(BadInput, match="no kind"):
        lineage.walk(tuned.stores, tuned.project_id, "person", "x")
    with pytest.raises(NotFound, match="no release"):
        lineage.walk(tuned.stores, tuned.project_id, "release", "assistant@9")
    assert lineage.walk(tuned.stores, "another-project", "training_run", "run-7").nodes == []


def test_an_edge_is_written_once(tuned: World) -> None:
    again = Edge("dataset_version", "dataset-3", "training_run", "run-7", "trained on")
    with tuned.stores.database.begin() as connection:
        lineage.record(connection, tuned.project_id, [again])
    found = lineage.walk(tuned.stores, tuned.project_id, "training_run", "run-7")
    assert [(e["source_title"], e["target_title"]) for e in found.edges][:1] == [("calls:3", "run 7")]


def test_a_circle_ends(tuned: World) -> None:
    with tuned.stores.database.begin() as connection:
        back = Edge("training_run", "run-7", "dataset_version", "dataset-2", "wrote")
        lineage.record(connection, tuned.project_id, [back])
    found = lineage.walk(tuned.stores, tuned.project_id, "training_run", "run-7", depth=16)
    assert [node["id"] for node in found.nodes] == ["dataset-3", "dataset-2"]
