"""What users of Langfuse's SDK of version 2 do: traces, spans, generations and events by hand and by decorator, scores, and reading them back.

Run as `use_v2.py`, with LANGFUSE_HOST and both keys in the environment; prints one JSON object of what came back.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from langfuse.api.core import ApiError
from langfuse.decorators import langfuse_context, observe

from langfuse import Langfuse

langfuse = Langfuse()


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


def by_hand() -> dict[str, Any]:
    trace = langfuse.trace(
        name="support",
        user_id="carol",
        session_id="chat-2",
        tags=["old"],
        metadata={"plan": "pro"},
        input={"q": "Why?"},
    )
    search = trace.span(name="search", input={"q": "Why?"})
    call = search.generation(
        name="answer",
        model="tea-1",
        model_parameters={"temperature": 0.5},
        input=[{"role": "user", "content": "Why?"}],
        metadata={"seats": 3},
    )
    langfuse.flush()  # what follows comes in another batch
    until(lambda: langfuse.fetch_trace(trace.id).data.observations)
    call.update(completion_start_time=datetime.now(UTC))
    call.end(
        output="Because.",
        usage_details={"input": 12, "output": 5},
        cost_details={"total": 0.003},
        metadata={"more": "yes"},
    )
    search.end(output=["page 1"])
    trace.event(name="slow", level="WARNING", status_message="took long")
    trace.update(output="Because.", tags=["newer"])
    trace.score(name="helpful", value=1, data_type="BOOLEAN")
    call.score(name="tone", value="warm")
    langfuse.flush()

    def whole() -> Any:
        found = langfuse.fetch_trace(trace.id).data
        return found if len(found.observations) == 4 and found.output and len(found.scores) == 2 else None

    one = until(whole)
    named = {seen.name: seen for seen in one.observations}
    generation = named["answer"]
    asked = langfuse.fetch_observation(call.id).data
    return {
        "trace": [one.id == trace.id.replace("-", ""), one.name, one.user_id, one.session_id, sorted(one.tags)],
        "said": [one.input, one.output, one.metadata],
        "tree": [
            generation.parent_observation_id == named["search"].id,
            named["search"].parent_observation_id == named["support"].id,
        ],
        "generation": [generation.type, generation.model, generation.model_parameters, generation.output],
        "usage": [generation.usage_details, generation.calculated_total_cost],
        "metadata": generation.metadata,
        "event": [named["slow"].level, named["slow"].status_message],
        "observation": asked.name,
        "listed": [len(langfuse.fetch_traces(session_id="chat-2").data), len(langfuse.fetch_sessions().data) > 0],
        "scores": sorted([score.name, score.data_type, score.string_value] for score in one.scores),
        "id": one.id,
    }


@observe(as_type="generation")
def fails(question: str) -> str:
    langfuse_context.update_current_observation(model="tea-2", usage={"input": 1, "output": 2})
    raise ValueError(question)


@observe()
def outer(question: str) -> str:
    langfuse_context.update_current_trace(user_id="dan", session_id="chat-3")
    langfuse_context.score_current_trace(name="quality", value=0.9)
    try:
        fails(question)
    except ValueError:
        return str(langfuse_context.get_current_trace_id())
    raise AssertionError("it does not fail")


def by_decorator() -> dict[str, Any]:
    number = outer("How?")
    langfuse_context.flush()

    def whole() -> Any:
        found = langfuse.fetch_trace(number).data
        return found if len(found.observations) == 2 and found.output and found.scores else None

    one = until(whole)
    failed = next(seen for seen in one.observations if seen.type == "GENERATION")
    return {
        "trace": [one.name, one.user_id, one.session_id, one.output == number],
        "failed": [failed.level, failed.status_message, failed.model, failed.usage_details],
        "scores": [[score.name, score.value] for score in one.scores],
    }


def others() -> dict[str, Any]:
    langfuse.create_prompt(name="v2-greeting", prompt="Hello {{name}}!", labels=["production"])
    prompt = langfuse.get_prompt("v2-greeting")
    trace = langfuse.trace(id="order-7", name="by an id of one's own")
    trace.generation(name="greet", prompt=prompt, output="Hello Ada!")
    langfuse.flush()
    one = until(lambda: langfuse.fetch_trace("order-7").data)
    greet = until(
        lambda: [seen for seen in langfuse.fetch_observations(trace_id="order-7").data if seen.name == "greet"]
    )
    return {
        "compiled": prompt.compile(name="Ada"),
        "prompt": [greet[0].prompt_name, greet[0].prompt_version],
        "own id": one.name,
        "signed in": langfuse.auth_check(),
    }


def main() -> None:
    found = {"by hand": by_hand(), "by decorator": by_decorator(), "others": others()}
    print(json.dumps(found))


main()
