"""The two prompts of the demo: a few-shot prompt for the base model, and the short one that the tuned model is trained on."""

from dataclasses import dataclass, field
from typing import Any

from noria.app.demo.data import Row, answer, question
from noria.evaluation.records import Task

TALK = "{{#messages}}{{role}}: {{content}}\n{{/messages}}"
MOST_EXAMPLES = 12
MOST_CHARACTERS = 6_000
"""Of all examples together, so that prompt and answer fit the engine's context."""
NO_LOOPS = {"dry_multiplier": 1.0, "dry_base": 2.0, "dry_allowed_length": 16}
"""llama.cpp's sampler against endless repetition. A small model sometimes writes one digit until it is cut, and a cut call is
no JSON: with it 208 of 208 answers were valid where 203 were, and as many were right."""
MARGIN = 0.1
"""How far below the primary a release on another machine may lie, with 95 % confidence."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What differs between the kinds of data that the demo knows."""

    prompt: str
    """Name of the prompt, and the word before the answer."""
    purpose: str
    instruction: str
    metric: str
    parameters: dict[str, Any]
    gate: list[dict[str, Any]] = field(default_factory=list)


def _parameters(max_tokens: int, stop: str = "\n") -> dict[str, Any]:
    return {"temperature": 0.0, "max_tokens": max_tokens, "stop": [stop]}


def _gate(metric: str, *, at_least: float, valid: float) -> list[dict[str, Any]]:
    """The bar for release 2: really better than what serves now, and good enough by itself."""
    return [
        {
            "kind": "score",
            "metric": metric,
            "versus": "primary",
            "require": "better",
            "alpha": 0.05,
            "at_least": at_least,
        },
        {"kind": "score", "metric": "valid", "at_least": valid},
        {"kind": "latency", "p95_ms": 30_000},
        {"kind": "approvals", "count": 1},
    ]


BRIEFS: dict[Task, Brief] = {
    "calls": Brief(
        prompt="call",
        purpose="Turns what a customer says into the call to make.",
        instruction="Turn what the customer says into the call to make, as JSON.",
        metric="field_f1",
        parameters={**_parameters(96), **NO_LOOPS},
        gate=_gate("field_f1", at_least=0.65, valid=0.97),
    ),
    "classification": Brief(
        prompt="intent",
        purpose="Names the intent of what a customer says.",
        instruction="Name the intent of what the customer says.",
        metric="accuracy",
        parameters=_parameters(24),
        gate=_gate("accuracy", at_least=0.75, valid=0.95),
    ),
    "text": Brief(
        prompt="answer",
        purpose="Answers customers.",
        instruction="Answer the customer.",
        metric="text_f1",
        parameters=_parameters(160, stop="\nuser:"),
        gate=_gate("text_f1", at_least=0.2, valid=0.9),
    ),
}


def short(brief: Brief) -> str:
    """The template that the model is tuned on: the conversation and the word before the answer."""
    return f"{TALK}{brief.prompt}:"


def few_shot(brief: Brief, rows: list[Row]) -> str:
    """The template for the base model: the instruction and one worked example for each kind of answer in `rows`."""
    shown: dict[str, Row] = {}
    for row in rows:
        shown.setdefault(_kind(answer(row)), row)
    blocks: list[str] = []
    for kind in sorted(shown)[:MOST_EXAMPLES]:
        block = _example(brief, shown[kind])
        if blocks and sum(map(len, blocks)) + len(block) > MOST_CHARACTERS:
            break
        blocks.append(block)
    return f"{brief.instruction}\n\n" + "\n\n".join(blocks) + f"\n\n{short(brief)}"


def _kind(target: str) -> str:
    """The call's name, or the label itself."""
    return target.partition('"name":"')[2].partition('"')[0] or target


def _example(brief: Brief, row: Row) -> str:
    said = "\n".join(f"{message['role']}: {message['content']}" for message in question(row))
    return f"{said}\n{brief.prompt}: {answer(row)}".replace("{{", "{ {")


def not_worse(gate: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The gate for a release that changes where a model runs, not what it says: fewer rows, on which it may not lose."""
    return [
        {**{k: v for k, v in clause.items() if k != "at_least"}, "require": "not_worse", "margin": MARGIN}
        if clause.get("require") == "better"
        else clause
        for clause in gate
    ]
