"""What users of Langfuse's SDK do, with its newest version: prompts, traces, scores, datasets, experiments and media.

Run as `use_v5.py`, with LANGFUSE_HOST and both keys in the environment; prints one JSON object of what came back.
"""

import base64
import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

from langfuse.api.core import ApiError
from langfuse.experiment import Evaluation
from langfuse.media import LangfuseMedia

from langfuse import Langfuse, get_client, observe, propagate_attributes

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
EARLY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
langfuse = get_client()


def until(found: Callable[[], Any]) -> Any:
    """The first answer that is not empty; what was sent is there within a second or so."""
    end = time.monotonic() + 30
    while not (value := found()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


def prompts() -> dict[str, Any]:
    text = 'Hello {{ name }}! Answer as JSON: {{"a": 1}}'
    langfuse.create_prompt(
        name="Team A/greeting", prompt=text, labels=["production"], tags=["demo"], config={"temperature": 0.2}
    )
    langfuse.create_prompt(name="Team A/greeting", prompt="Hi {{name}}.", labels=["staging"], commit_message="shorter")
    messages: list[Any] = [
        {"role": "system", "content": "You know {{topic}}."},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{question}}"},
    ]
    langfuse.create_prompt(name="support", type="chat", prompt=messages, labels=["production"])
    first = langfuse.get_prompt("Team A/greeting")
    second = langfuse.get_prompt("Team A/greeting", label="staging")
    latest = langfuse.get_prompt("Team A/greeting", label="latest")
    langfuse.update_prompt(name="Team A/greeting", version=2, new_labels=["production"])
    moved = langfuse.get_prompt("Team A/greeting", cache_ttl_seconds=0)
    chat = langfuse.get_prompt("support", type="chat")
    fallback = langfuse.get_prompt("nowhere", fallback="Hello {{name}}", max_retries=0)
    listed = langfuse.api.prompts.list(limit=10)
    return {
        "first": [first.version, first.prompt == text, first.labels, first.tags, first.config],
        "compiled": first.compile(name="Ada"),
        "second": [second.version, second.compile(name="Ada"), second.commit_message],
        "latest": latest.version,
        "moved": [moved.version, sorted(moved.labels)],
        "by number": langfuse.get_prompt("Team A/greeting", version=1).version,
        "chat": chat.compile(topic="tea", question="Why?", history=[{"role": "assistant", "content": "Hm."}]),
        "fallback": [fallback.is_fallback, fallback.compile(name="Ada")],
        "listed": {one.name: [one.versions, sorted(one.labels)] for one in listed.data},
        "pages": [listed.meta.total_items, listed.meta.total_pages],
    }


def traces() -> dict[str, Any]:
    prompt = langfuse.get_prompt("support", type="chat")

    @observe(as_type="generation")
    def answer(question: str) -> str:
        langfuse.update_current_generation(
            model="tea-1",
            input=[{"role": "user", "content": question}],
            model_parameters={"temperature": 0.5},
            usage_details={"input": 12, "output": 5},
            cost_details={"input": 0.001, "output": 0.002},
            prompt=prompt,
        )
        return "Because."

    @observe
    def support(question: str) -> dict[str, Any]:
        with propagate_attributes(
            session_id="chat-7",
            user_id="ada",
            tags=["beta"],
            trace_name="support run",
            metadata={"plan": "free"},
        ):
            said = answer(question)
            langfuse.update_current_span(metadata={"seats": 3, "number": "123"})
            langfuse.score_current_trace(name="helpful", value=1, data_type="BOOLEAN", comment="quick")
            langfuse.score_current_span(name="tone", value="warm", metadata={"by": "rule"})
            trace = langfuse.get_current_trace_id()
            with langfuse.start_as_current_observation(name="look up", as_type="tool", input={"q": question}) as tool:
                tool.update(output=["page 1", "page 2"], level="WARNING", status_message="slow")
            return {"said": said, "trace": trace}

    trace_id = support("Why?")["trace"]
    langfuse.flush()

    def all_there() -> Any:
        found = langfuse.api.observations.get_many(trace_id=trace_id, fields="basic,io,metadata,model,usage,prompt")
        return found.data if len(found.data) == 3 else None

    by_name = {one.name: one for one in until(all_there)}
    root, generation, tool = by_name["support"], by_name["answer"], by_name["look up"]
    found = langfuse.api.observations.get_many(
        fields="basic",
        filter=json.dumps(
            [
                {"type": "string", "column": "type", "operator": "=", "value": "GENERATION"},
                {"type": "string", "column": "sessionId", "operator": "=", "value": "chat-7"},
            ]
        ),
    )
    first = langfuse.api.observations.get_many(limit=2)
    rest = langfuse.api.observations.get_many(limit=2, cursor=first.meta.cursor)
    return {
        "trace": trace_id,
        "url": langfuse.get_trace_url(trace_id=trace_id),
        "root": [root.type, root.is_root_observation, json.loads(root.input), json.loads(root.output)["said"]],
        "metadata": root.metadata,
        "generation": [
            generation.type,
            generation.model,
            generation.model_parameters,
            generation.parent_observation_id,
        ],
        "root id": root.id,
        "usage": [generation.usage_details, generation.cost_details],
        "prompt": [generation.prompt_name, generation.prompt_version],
        "input": json.loads(generation.input),
        "output": generation.output,
        "tool": [tool.type, json.loads(tool.input), json.loads(tool.output), tool.level, tool.status_message],
        "about": [generation.session_id, generation.user_id],
        "filtered": [one.name for one in found.data],
        "paged": len({one.id for one in [*first.data, *rest.data]}),
    }


def scores(trace_id: str) -> dict[str, Any]:
    langfuse.create_score(name="Overall quality", value=0.4, trace_id=trace_id, score_id="mine-1")
    langfuse.flush()
    langfuse.create_score(name="Overall quality", value=0.9, trace_id=trace_id, score_id="mine-1", comment="again")
    langfuse.create_score(name="resolved", value="yes", session_id="chat-7")
    langfuse.create_score(name="better", value="Because of tea.", trace_id=trace_id, data_type="CORRECTION")
    langfuse.create_score(name="refused", value=1, trace_id="no trace")
    langfuse.flush()

    def all_there() -> Any:
        found = langfuse.api.scores.get_many(trace_id=trace_id, fields="details,subject")
        return found.data if sum(one.comment == "again" or one.name == "better" for one in found.data) == 2 else None

    by_name = {one.name: one for one in until(all_there)}
    session = langfuse.api.scores.get_many(session_id="chat-7")
    return {
        "values": {name: [one.data_type, one.value, one.subject.kind] for name, one in by_name.items()},
        "mine": [by_name["Overall quality"].id, by_name["Overall quality"].comment],
        "metadata": by_name["tone"].metadata,
        "session": [[one.name, one.value] for one in session.data],
    }


def datasets(trace_id: str) -> dict[str, Any]:
    made = langfuse.create_dataset(name="Team A/capitals", description="Of countries.", metadata={"owner": "ada"})
    inputs: list[Any] = [{"country": "Italy"}, "Korea", [{"role": "user", "content": "Kenya"}]]
    expected: list[Any] = ["Rome", {"city": "Seoul"}, "Nairobi"]
    for number, (asked, wanted) in enumerate(zip(inputs, expected, strict=True)):
        langfuse.create_dataset_item(
            dataset_name="Team A/capitals",
            id=f"capital-{number}",
            input=asked,
            expected_output=wanted,
            metadata={"number": number},
            source_trace_id=trace_id if number == 0 else None,
        )
    langfuse.create_dataset_item(dataset_name="Team A/capitals", id="capital-1", expected_output={"city": "Seoul!"})
    extra = langfuse.create_dataset_item(dataset_name="Team A/capitals", input="Atlantis")
    langfuse.create_dataset_item(dataset_name="Team A/capitals", id=extra.id, status="ARCHIVED")
    dataset = langfuse.get_dataset("Team A/capitals", fetch_items_page_size=2)

    def task(*, item: Any, **_: Any) -> Any:
        return item.expected_output if item.id != "capital-2" else "Mombasa"

    def exact(*, output: Any, expected_output: Any, **_: Any) -> Evaluation:
        return Evaluation(name="exact", value=float(output == expected_output))

    def mean(*, item_results: Any, **_: Any) -> Evaluation:
        values = [one.evaluations[0].value for one in item_results]
        return Evaluation(name="mean exact", value=sum(values) / len(values))

    result = dataset.run_experiment(
        name="capitals", run_name="first try", task=task, evaluators=[exact], run_evaluators=[mean]
    )

    def run_there() -> Any:
        found = langfuse.api.experiments.list(from_start_time=EARLY, fields="core,scores").data
        return [one for one in found if one.item_count == 3 and one.scores]

    run = until(run_there)[0]

    def items_there() -> Any:
        found = langfuse.api.experiments.list_items(
            from_start_time=EARLY, experiment_id=run.id, fields="core,dataset,io,scores"
        ).data
        return found if len(found) == 3 and all(one.scores for one in found) else None

    items = until(items_there)
    return {
        "made": [made.name, made.description, made.metadata],
        "items": [[one.id, one.input, one.expected_output, one.metadata] for one in dataset.items],
        "source": dataset.items[0].source_trace_id == trace_id,
        "item": langfuse.api.dataset_items.get(extra.id).status,
        "listed": [one.name for one in langfuse.api.datasets.list().data],
        "run": [run.name, run.item_count, run.dataset_id == dataset.id, run.id == result.experiment_id],
        "run score": [[one.name, round(one.value, 3)] for one in run.scores],
        "run items": sorted([one.experiment_item_id, [score.value for score in one.scores]] for one in items),
        "expected": {one.experiment_item_id: one.expected_output for one in items},
    }


def media() -> dict[str, Any]:
    picture = LangfuseMedia(content_bytes=PIXEL, content_type="image/png")
    with langfuse.start_as_current_observation(name="look", as_type="generation", model="eye-1") as span:
        span.update(input=[{"role": "user", "content": "See."}], output="A dot.", metadata={"picture": picture})
        uri = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        span.update(input=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}]}])
        trace_id = span.trace_id
    langfuse.flush()
    found = until(lambda: langfuse.api.observations.get_many(trace_id=trace_id, fields="io,metadata").data)[0]
    about = until(lambda: known(picture._media_id))
    resolved = langfuse.resolve_media_references(obj=json.loads(found.input), resolve_with="base64_data_uri")
    langfuse.create_dataset(name="pictures")
    langfuse.create_dataset_item(dataset_name="pictures", input={"shown": [picture]}, expected_output="dot")
    item = langfuse.get_dataset("pictures").items[0]
    return {
        "trace": trace_id,
        "reference": found.metadata["picture"].startswith("@@@langfuseMedia:type=image/png|id="),
        "about": [about.content_type, about.content_length],
        "resolved": resolved[0]["content"][0]["image_url"]["url"] == uri,
        "item": item.input["shown"][0].fetch_bytes() == PIXEL,
    }


def known(media_id: str) -> Any:
    try:
        return langfuse.api.media.get(media_id)
    except ApiError:
        return None


def refusals() -> dict[str, Any]:
    def status(call: Callable[[], Any]) -> list[Any]:
        try:
            call()
        except ApiError as error:
            return [error.status_code, str((error.body or {}).get("message", ""))[:60]]
        return [200, ""]

    stranger = Langfuse(public_key="other", secret_key="noria_wrong")
    return {
        "models": status(langfuse.api.models.list),
        "no prompt": status(lambda: langfuse.api.prompts.get("nowhere")),
        "stranger": status(stranger.api.projects.get),
    }


def main() -> None:
    seen: dict[str, Any] = {"signed in": langfuse.auth_check(), "health": langfuse.api.health.health().status}
    seen["prompts"] = prompts()
    seen["traces"] = traces()
    seen["scores"] = scores(seen["traces"]["trace"])
    seen["datasets"] = datasets(seen["traces"]["trace"])
    seen["media"] = media()
    seen["refusals"] = refusals()
    langfuse.shutdown()
    print(json.dumps(seen, default=str))


main()
