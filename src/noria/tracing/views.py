"""What the pages of tracing show, shaped for people: turns of a conversation, corrections as differences, bars of a waterfall.

In: records of this slice. Out: small frozen objects that templates walk. The decision to know: payloads are strangers' words;
they are only ever passed on as text, and what is not text (pictures, sound) is named instead of loaded.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from noria.core.errors import Unavailable
from noria.tracing.records import Outline, ScoreView, Step, Traffic
from noria.web import charts

Found = TypeVar("Found")
Edit = tuple[Literal["same", "given", "wanted"], str]

GOOD: Final = frozenset({"good", "positive", "correct", "yes", "up", "thumbs_up", "like"})
BAD: Final = frozenset({"bad", "negative", "wrong", "incorrect", "no", "down", "thumbs_down", "dislike"})
PIECE: Final = 200
"""Spans of a trace that its page shows at a time."""
_LONGEST_DIFF: Final = 20_000
_ALIKE: Final = 0.5
"""Share of an answer's letters that another one must repeat, in order, before their difference is shown."""
_LONGEST_TURN: Final = 50_000
_LONGEST_VALUE: Final = 4_000
"""Characters of a message, and of one value of a span's JSON, that come with a page."""
_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")
_JSON_WORD: Final = re.compile(r'"(?:\\.|[^"\\])*"|\s+|\w+|[^\w\s]')
"""As above, but a string is one word: a value is right or wrong as a whole."""
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Away:
    """The span store could not be asked."""

    message: str
    hint: str


def reach(read: Callable[[], Found], otherwise: Found) -> tuple[Found, Away | None]:
    """What `read` gives; while the span store is away `otherwise`, and the reason. The one place that catches this."""
    try:
        return read(), None
    except Unavailable as error:
        return otherwise, Away(error.message, error.hint)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message as it is read."""

    role: str
    text: str
    typed: bool
    """Whether it is JSON, which is set as one would type it."""
    calls: list[tuple[str, str]]
    """(tool, arguments)."""
    others: list[str]
    """Kinds of parts that are not text; they are not loaded."""
    length: int = 0
    """Characters in all, when `text` is only the beginning."""


def turns(messages: Iterable[Mapping[str, Any]]) -> list[Turn]:
    """Messages of any dialect as turns."""
    return [_turn(message) for message in messages]


@dataclass(frozen=True, slots=True)
class Document:
    """One document that a retrieval found."""

    text: str
    id: str = ""
    score: float | None = None
    length: int = 0
    """Characters in all, when `text` is only the beginning."""


def documents(messages: Iterable[Mapping[str, Any]]) -> list[Document]:
    """What a retrieval brought, in its order: a message each, or one message that is a JSON list of them."""
    found = []
    for message in messages:
        content = message.get("content")
        value = _parsed(content) if isinstance(content, str) else content
        items = value if isinstance(value, list) else [{"content": content, **(message.get("document") or {})}]
        found += [_document(item.get("document") or item) for item in items if isinstance(item, dict)]
    return found


def _document(item: Mapping[str, Any]) -> Document:
    text = str(next((item[name] for name in ("content", "text", "page_content") if item.get(name)), ""))
    score = item.get("score")
    number = float(score) if isinstance(score, int | float) and math.isfinite(score) else None
    return Document(
        text[:_LONGEST_TURN], str(item.get("id") or ""), number, len(text) if len(text) > _LONGEST_TURN else 0
    )


@dataclass(frozen=True, slots=True)
class Opinion:
    """What people thought of an answer, in three marks."""

    up: int
    down: int
    corrected: bool


def opinion(scores: Sequence[ScoreView]) -> Opinion:
    """Only what users and people said counts; code and judges have columns of their own in evaluations."""
    said = [sign(score) for score in scores if score.is_feedback]
    corrected = any(score.correction for score in scores if score.source in {"user", "person"})
    return Opinion(said.count(1), said.count(-1), corrected)


def sign(score: ScoreView) -> int:
    """1 for good, -1 for bad, 0 when it says neither: a number under another name than feedback is good or bad as 1, 0 and -1 only."""
    if score.number is not None:
        return (1 if score.number > 0 else -1) if score.name == "feedback" or score.number in {-1, 0, 1} else 0
    return 1 if score.label.lower() in GOOD else -1 if score.label.lower() in BAD else 0


def difference(given: str, wanted: str) -> list[Edit]:
    """The way from one answer to another, word by word. `alike` says whether it is worth reading."""
    left, right = pretty(given), pretty(wanted)
    if left == right:
        return [("same", left)]
    if max(len(left), len(right)) > _LONGEST_DIFF:
        return [("wanted", right)]
    word = _WORD if _parsed(given) is None or _parsed(wanted) is None else _JSON_WORD
    a, b = word.findall(left), word.findall(right)
    edits: list[Edit] = []
    gone, come = "", ""
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        left, right = "".join(a[a0:a1]), "".join(b[b0:b1])
        if kind == "equal" and (left.strip() or not (gone or come)):
            edits += [*_edits(gone, come), ("same", left)]
            gone, come = "", ""
        else:  # words that all differ are one change, whatever lies between them
            gone, come = gone + left, come + right
    return edits + _edits(gone, come)


def alike(edits: Sequence[Edit]) -> bool:
    """Whether two texts have so much in common that their difference tells more than the two of them side by side."""
    sizes = {"same": 0, "given": 0, "wanted": 0}
    for kind, text in edits:
        sizes[kind] += sum(not letter.isspace() for letter in text)
    most = max(sizes["given"], sizes["wanted"]) + sizes["same"]
    return sizes["same"] >= _ALIKE * most


def corrected(given: str, wanted: str) -> list[Edit]:
    """A correction as the way to it from the answer, or as it stands when the two have little in common."""
    edits = difference(given, wanted)
    return edits if alike(edits) else [("wanted", pretty(wanted))]


def _edits(gone: str, come: str) -> list[Edit]:
    both: list[Edit] = [("given", gone), ("wanted", come)]
    return [one for one in both if one[1]]


def pretty(text: str) -> str:
    """JSON objects and lists over several lines, with letters of any script as they are; other text as it is."""
    value = _parsed(text)
    return text if value is None else json.dumps(value, ensure_ascii=False, indent=2)


@dataclass(frozen=True, slots=True)
class Bar:
    """One span in the waterfall; `left`, `waited` and `width` are percentages of the trace."""

    step: Step
    left: float
    width: float
    waited: float
    """Share until the first token, part of `width`; 0 when that is not known."""
    tone: str


def waterfall(outline: Outline, steps: Sequence[Step]) -> list[Bar]:
    """These of its spans, each on the trace's time."""
    whole = outline.duration_ms or 1.0
    bars = []
    for step in steps:
        width = max(100 * step.duration_ms / whole, 0.4)
        left = min(100 * step.offset_ms / whole, 100 - width)
        waited = min(100 * (step.first_token_ms or 0) / whole, width)
        tone = "bad" if step.status == "error" else "accent" if step.kind in {"llm", "embedding"} else "edge"
        bars.append(Bar(step, round(max(left, 0), 2), round(width, 2), round(waited, 2), tone))
    return bars


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's figures over a time, and its feedback on an interval."""

    figures: Traffic
    low: float | None
    high: float | None


def arms(rows: Iterable[Traffic]) -> list[Arm]:
    """The primary first, then the canary, then others."""
    return [Arm(row, *interval(row.feedback_mean, row.feedback_count)) for row in sorted(rows, key=_rank)]


def interval(mean: float | None, n: int) -> tuple[float | None, float | None]:
    """Wilson's 95 % interval of a mean of values between 0 and 1; (None, None) for values on another scale."""
    if mean is None or n == 0 or not 0 <= mean <= 1:
        return None, None
    z2 = 1.96**2
    middle = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = 1.96 * math.sqrt(mean * (1 - mean) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def per_minute(rows: Sequence[Traffic], now: datetime, minutes: int, name: Callable[[Traffic], str]) -> charts.Spec:
    """Requests a minute of each arm, minutes without any drawn as none, and a mark where some failed or fell back."""
    end = now.replace(second=0, microsecond=0)
    times = [end - _MINUTE * back for back in range(minutes - 1, -1, -1)]
    data = []
    names = list(dict.fromkeys(name(row) for row in sorted(rows, key=_rank)))
    at = {(name(row), row.time): row for row in rows}
    for label in names:
        for time in times:
            row = at.get((label, time))
            data.append(
                {
                    "time": time.strftime("%Y-%m-%dT%H:%M:00Z"),
                    "arm": label,
                    "requests": row.requests if row else 0,
                    "failed": row.errors if row else 0,
                    "fell back": row.fallbacks if row else 0,
                }
            )
    spec = charts.line(data, x="time", y="requests", series="arm", time=True, zero=True, height=150)
    encoding = spec.pop("encoding")
    encoding["x"]["axis"] = {"format": "%H:%M", "tickCount": 6}
    encoding["y"]["axis"] = {"tickMinStep": 1, "tickCount": 4}
    mark = {**spec.pop("mark"), "point": False, "interpolate": "monotone"}
    return {**spec, "layer": [{"mark": mark, "encoding": encoding}, *_marks(encoding)]}


def _marks(encoding: Mapping[str, Any]) -> list[charts.Spec]:
    """Minutes in which requests failed (red) or fell back (hollow)."""
    place = {"x": encoding["x"], "y": encoding["y"], "tooltip": _tooltip()}
    layers = []
    for field, mark in (
        ("fell back", {"filled": False, "color": "var(--warn)", "shape": "circle"}),
        ("failed", {"filled": True, "color": "var(--bad)", "shape": "circle"}),
    ):
        where = {"filter": f"datum['{field}'] > 0"}
        look = {"type": "point", "size": 60, "opacity": 1, **mark}
        layers.append({"transform": [where], "mark": look, "encoding": place})
    return layers


def _tooltip() -> list[dict[str, str]]:
    named = [{"field": field, "type": "quantitative"} for field in ("requests", "failed", "fell back")]
    time = {"field": "time", "type": "temporal", "format": "%H:%M"}
    return [time, {"field": "arm", "type": "nominal"}, *named]


def _rank(row: Traffic) -> tuple[str, int, int]:
    order = {"primary": 0, "canary": 1}
    return row.endpoint, order.get(row.arm, 2), -row.release


def _turn(message: Mapping[str, Any]) -> Turn:
    content = message.get("content")
    texts, others = [], []
    if isinstance(content, str):
        texts.append(content)
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            others.append(str(part.get("type", "part")) if isinstance(part, dict) else "part")
    calls = []
    for call in message.get("tool_calls") or []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            calls.append((str(function.get("name", "")), pretty(str(function.get("arguments", "")))))
    text = "\n".join(texts)
    value = _parsed(text)
    shown = text if value is None else _laid_out(text, value)
    length = len(shown) if len(shown) > _LONGEST_TURN else 0
    return Turn(str(message.get("role", "")), shown[:_LONGEST_TURN], value is not None, calls, others, length)


def lightened(value: Any) -> Any:
    """`value` (JSON) with the beginning of long texts in their place; the whole is a download."""
    if isinstance(value, dict):
        return {name: lightened(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [lightened(inner) for inner in value]
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        return f"{value[:_LONGEST_VALUE]} … ({len(value):,})"
    return value


def _laid_out(text: str, value: Any) -> str:
    return text if len(text) <= 100 and "\n" not in text else json.dumps(value, ensure_ascii=False, indent=2)


def _parsed(text: str) -> Any:
    """The object or list that `text` is as JSON, else None."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
