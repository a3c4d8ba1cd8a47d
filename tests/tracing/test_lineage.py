"""Lineage through answers: a release gave them, judgements speak of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from noria.core.errors import Unavailable
from noria.registry import lineage as registry_lineage
from noria.registry import service as registry
from noria.stores.connect import Stores
from noria.tracing import lineage
from noria.tracing.service import give_feedback
from tests.tracing.conftest import Traffic


@pytest.fixture
def release(stores: Stores, project: str) -> str:
    """The id of assistant@1."""
    registry.add_provider(
        stores, project_id=project, name="away", kind="openai", base_url="http://127.0.0.1:9/v1", actor_id=""
    )
    with stores.database.begin() as connection:
        registry.create_endpoint(connection, project_id=project, name="assistant", actor_id="")
        made = registry.create_release(
            connection, project_id=project, endpoint="assistant", provider="away", model="any", actor_id=""
        )
    return made.id


def test_an_answer_leads_to_its_release_and_to_what_was_said_of_it(
    stores: Stores, project: str, traffic: Traffic, release: str
) -> None:
    answer, other = traffic.span(), traffic.span(release=7)
    score = give_feedback(
        stores, project_id=project, author_id="", source="user", trace_id=answer.trace_id, name="helpful", value=1.0
    )
    traffic.carry()
    back = registry_lineage.walk(stores, project, "trace", answer.trace_id, hooks=[lineage.edges])
    assert back.readable == [f"Answer {answer.trace_id[:8]} was given by release assistant@1."]
    assert [(node["kind"], node["id"]) for node in back.nodes] == [("release", release)]
    ahead = registry_lineage.walk(stores, project, "trace", answer.trace_id, direction="forward", hooks=[lineage.edges])
    assert [(node["kind"], node["id"]) for node in ahead.nodes] == [("score", score.score_id)]
    again = registry_lineage.walk(stores, project, "score", score.score_id, hooks=[lineage.edges])
    assert {node["kind"] for node in again.nodes} == {"trace", "release"}
    # a release that was never made here, and another project
    assert lineage.edges(stores, project, "trace", other.trace_id) == []
    assert lineage.edges(stores, "stranger", "trace", answer.trace_id) == []


def test_a_release_leads_to_its_newest_answers(stores: Stores, project: str, traffic: Traffic, release: str) -> None:
    spans = [traffic.span(start_ns=1_790_000_000_000_000_000 + number) for number in range(60)]
    traffic.carry()
    ahead = registry_lineage.walk(
        stores, project, "release", "assistant@1", direction="forward", depth=1, hooks=[lineage.edges]
    )
    newest = {span.trace_id for span in spans[-registry_lineage.MOST_AT_ONCE :]}
    assert {node["id"] for node in ahead.nodes} == newest
    assert ahead.truncated


def test_a_release_can_be_told_while_the_span_store_is_away(
    stores: Stores, project: str, release: str, tmp_path: Path
) -> None:
    alone = Stores(replace(stores.settings, spans_url="", data=tmp_path / "elsewhere"))
    alone.__dict__["database"] = stores.database
    assert lineage.edges(alone, project, "release", release) == []
    with pytest.raises(Unavailable):
        lineage.edges(alone, project, "trace", "0" * 32)
