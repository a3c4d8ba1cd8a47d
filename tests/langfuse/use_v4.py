"""What users of Langfuse's SDK of version 4 (and 3) do that version 5 does no more: read traces and sessions, batches of scores, runs.

Run as `use_v4.py`, with LANGFUSE_HOST and both keys in the environment; prints one JSON object of what came back.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from langfuse.api.core import ApiError

from langfuse import get_client, observe, propagate_attributes

langfuse = get_client()


def until(found: Callable[[], Any]) -> Any:
    """The first answer that is not empty; what was sent is there within a second or so."""
    end = time.monotonic() + 30
    while True:
        try:
            value = found()
        except ApiError as error:
            if error.status_code != 404:
                raise
            value = None
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


@observe(as_type="generation")
def answer(question: str) -> str:
    langfuse.update_current_generation(
        model="tea-1", usage_details={"input": 12, "output": 5}, cost_details={"total": 0.003}
    )
    return "Because."


@observe
def support(question: str) -> str:
    with propagate_attributes(session_id="chat-4", user_id="bob", tags=["old"], metadata={"plan": "free"}):
        answer(question)
        langfuse.update_current_span(metadata={"seats": "3"})
        langfuse.score_current_trace(name="Helpful", value=1, data_type="BOOLEAN")
        return str(langfuse.get_current_trace_id())


def traces() -> dict[str, Any]:
    ids = [support("Why?"), support("How?")]
    langfuse.flush()

    def whole() -> Any:
        trace = langfuse.api.trace.get(ids[0])
        return trace if len(trace.observations) == 2 and trace.scores else None

    one = until(whole)
    listed = until(lambda: langfuse.api.trace.list(session_id="chat-4", user_id="bob", tags=["old"], limit=1))
    second = until(lambda: langfuse.api.trace.list(session_id="chat-4", page=2, limit=1).data)
    generation = next(seen for seen in one.observations if seen.type == "GENERATION")
    observations = langfuse.api.legacy.observations_v1.get_many(trace_id=ids[0], type="GENERATION")
    session = langfuse.api.sessions.get("chat-4")
    return {
        "one": [
            one.name,
            one.session_id,
            one.user_id,
            one.tags,
            one.input,
            one.output == ids[0],
            one.metadata["seats"],
        ],
        "cost": [one.total_cost, generation.usage.total, generation.usage_details["output"]],
        "scores": [[score.name, score.value, score.string_value] for score in one.scores],
        "pages": [listed.meta.total_items, listed.meta.total_pages, {listed.data[0].id, second[0].id} == set(ids)],
        "observations": [seen.name for seen in observations.data],
        "observation": langfuse.api.legacy.observations_v1.get(generation.id).model,
        "session": sorted(trace.id for trace in session.traces) == sorted(ids),
        "sessions": [seen.id for seen in langfuse.api.sessions.list().data],
        "trace": ids[0],
    }


def scores(trace_id: str) -> dict[str, Any]:
    given = langfuse.api.scores.create(name="by hand", value=0.5, trace_id=trace_id, id="hand-1")
    langfuse.create_score(name="word", value="fine", trace_id=trace_id, score_id="word-1")
    langfuse.create_score(name="refused", value=1, trace_id="no trace")
    langfuse.flush()
    found = until(lambda: langfuse.api.scores.get_many(score_ids="hand-1,word-1", limit=10).data[1:])
    page = langfuse.api.scores.get_many(trace_id=trace_id, limit=1)
    word = langfuse.api.scores.get_by_id("word-1")
    return {
        "given": given.id,
        "found": len(found) + 1,
        "word": [word.data_type, word.string_value, word.trace_id == trace_id],
        "pages": [page.meta.total_items, page.meta.total_pages],
    }


def runs() -> dict[str, Any]:
    langfuse.create_dataset(name="sums")
    for number in range(3):
        langfuse.create_dataset_item(dataset_name="sums", input=f"{number} + 1", expected_output=str(number + 1))
    dataset = langfuse.get_dataset("sums")
    result = dataset.run_experiment(name="adding", run_name="first", task=lambda *, item, **_: item.expected_output)
    run = langfuse.api.datasets.get_run("sums", "first")
    items = langfuse.api.dataset_run_items.list(dataset_id=dataset.id, run_name="first")
    return {
        "items": len(dataset.items),
        "run": [run.name, len(run.dataset_run_items), run.id == result.dataset_run_id],
        "listed": [one.name for one in langfuse.api.datasets.get_runs("sums").data],
        "run items": items.meta.total_items,
        "deleted": langfuse.api.datasets.delete_run("sums", "first").message,
        "left": langfuse.api.datasets.get_runs("sums").meta.total_items,
    }


def main() -> None:
    seen: dict[str, Any] = {"traces": traces()}
    seen["scores"] = scores(seen["traces"]["trace"])
    seen["runs"] = runs()
    langfuse.shutdown()
    print(json.dumps(seen, default=str))


main()
