"""The verbs of scores: give some, list them, give feedback by a signed link.

A score judges a span, a trace or a session; its value is a number, yes or no, a category or a text. Giving writes to this
process's journal in one append, so all of a batch is kept or nothing; a second score of the same target, name and key
replaces the first.
"""

import math
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from noria.core import clock, ids
from noria.core.errors import BadInput, Forbidden, Limited
from noria.core.records import Score, ScoreSource, ScoreType
from noria.governance.links import Links
from noria.stores.connect import Stores
from noria.tracing import schema
from noria.tracing.reading import ask, moment, nanoseconds
from noria.tracing.records import NewScore, ScoreFilter, ScoreRow
from noria.tracing.service import give_feedback, keep
from noria.web.auth import Caller
from noria.web.paging import Page, cut, decode

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_LONGEST: Final = {
    "label": 200,
    "text": 10_000,
    "comment": 10_000,
    "key": 200,
    "session_id": 256,
    "correction": 100_000,
}
_TARGET: Final = re.compile(r"(?:span|session):[^\x00]*\x00")
_LINK_USES: Final = 20
_LINK_SECONDS: Final = 3600.0
_LINKS_KNOWN: Final = 10_000
_FEEDBACK_A_SECOND: Final = 100


def give_scores(stores: Stores, caller: Caller, given: list[NewScore]) -> list[Score]:
    """Keep all of them or none; on disk when this returns. What a person gives is in the audit.

    Raises BadInput that names the score, Forbidden for a source that the caller cannot speak for, Unavailable.
    """
    scores = [_score(caller, new, f"scores[{number}]: " if len(given) > 1 else "") for number, new in enumerate(given)]
    keep(stores, scores, person_id=caller.id if caller.role else "")  # a key without a role is no person
    return scores


def list_scores(
    stores: Stores, project_id: str, which: ScoreFilter | None = None, *, limit: int = 50, cursor: str | None = None
) -> Page[ScoreRow]:
    """The newest scores first. Raises Unavailable."""
    conditions, values = conditions_of(which or ScoreFilter())
    if (after := decode(cursor, int, str)) is not None:
        conditions.append("(time_ns, score_id) < ({after_time:Int64}, {after_id:String})")
        values |= {"after_time": after[0], "after_id": after[1]}
    rows = ask(
        stores,
        schema.select(
            schema.SCORE_COLUMNS,
            f"FROM scores FINAL WHERE {' AND '.join(['project_id = {project:String}', *conditions])}"
            " ORDER BY time_ns DESC, score_id DESC LIMIT {limit:UInt32}",
        ),
        {**values, "project": project_id, "limit": limit + 1},
    )
    page = cut(rows, limit, lambda row: (row["time_ns"], row["score_id"]))
    return Page([_row(schema.score_of(row)) for row in page.items], page.next)


class SignedFeedback:
    """Feedback of whoever has a link: on its trace only, as a user's, and so often. One for the process."""

    def __init__(self, stores: Stores) -> None:
        settings = stores.settings
        self._stores = stores
        self._links = Links(settings.folder.secret, base_url=settings.public_url or settings.server_url, hours=1)
        self._lock = threading.Lock()
        self._uses: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._second = (0, 0)

    def give(self, token: str, *, name: str, value: float | None, label: str, text: str, correction: str) -> Score:
        """A second judgement of the same name by the same link replaces the first. Raises Forbidden, Limited, BadInput."""
        link = self._links.read(token)
        self._bound(token)
        return give_feedback(
            self._stores,
            project_id=link.project_id,
            author_id="",
            source="user",
            trace_id=link.trace_id,
            name=name,
            value=value,
            label=label,
            text=text,
            correction=correction,
            key="link",
        )

    def _bound(self, token: str) -> None:
        now = time.monotonic()
        with self._lock:
            began, uses = self._uses.pop(token, (now, 0))
            if now - began > _LINK_SECONDS:
                began, uses = now, 0
            self._uses[token] = (began, uses + 1)
            if len(self._uses) > _LINKS_KNOWN:
                self._uses.popitem(last=False)
            second, count = self._second
            count = count + 1 if second == int(now) else 1
            self._second = (int(now), count)
        if uses >= _LINK_USES or count > _FEEDBACK_A_SECOND:
            raise Limited("Too much feedback came by links; this was not kept.", hint="Try again later.")


@dataclass(frozen=True, slots=True)
class _Value:
    type: ScoreType
    number: float | None = None
    label: str = ""
    text: str = ""


def _score(caller: Caller, new: NewScore, where: str) -> Score:
    trace_id, span_id, session_id = new.trace_id.lower(), new.span_id.lower(), new.session_id
    if bool(trace_id) == bool(session_id):
        raise BadInput(f"{where}a score judges a trace (or a span of it) or a session: give trace_id or session_id.")
    if trace_id and not _TRACE_ID.fullmatch(trace_id):
        raise BadInput(f"{where}trace_id must be 32 hex digits.", hint="It is the answer's header x-noria-trace-id.")
    if span_id and not (trace_id and _SPAN_ID.fullmatch(span_id)):
        raise BadInput(f"{where}span_id must be 16 hex digits, beside the trace_id.")
    if not _NAME.fullmatch(new.name):
        raise BadInput(f"{where}name must be 1 to 64 small letters, digits, '_', '.' or '-', a letter first.")
    for field in ("comment", "key", "session_id", "correction"):
        if len(getattr(new, field)) > _LONGEST[field] or "\x00" in getattr(new, field):
            raise BadInput(f"{where}{field} may have at most {_LONGEST[field]:,} characters.")
    _check_source(caller, new.source, where)
    value = _value(new, where)
    target = f"span:{span_id}\x00" if span_id else f"session:{session_id}\x00" if session_id else ""
    return Score(
        score_id=ids.new_id(),
        project_id=caller.project_id,
        trace_id=trace_id,
        span_id=span_id,
        session_id=session_id,
        name=new.name,
        source=new.source,
        time_ns=nanoseconds(new.time) if new.time else clock.now_ns(),
        value_type=value.type,
        number=value.number,
        label=value.label,
        text=value.text or new.comment,
        correction=new.correction,
        author_id=caller.id,
        key=target + new.key if new.key else "",
    )


def _check_source(caller: Caller, source: ScoreSource, where: str) -> None:
    """A key that only gives feedback speaks for users; one that sends traces for code and judges as well; a person for all."""
    if source == "user" or caller.role or (source != "person" and "write_traces" in caller.permissions):
        return
    raise Forbidden(
        f"{where}this key cannot give scores of the source {source!r}; nothing was kept.",
        hint="A person labels after signing in or with a manage key; code and judges want a key of scope write_traces.",
    )


def _value(new: NewScore, where: str) -> _Value:
    value, wanted = new.value, new.type
    if value is None:
        if not new.correction:
            raise BadInput(f"{where}the score says nothing.", hint="Give a value, or a correction.")
        return _Value(wanted)
    if isinstance(value, bool):
        found = _Value("boolean", number=float(value))
    elif isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > 1e9:
            raise BadInput(f"{where}value must be a finite number, at most a billion.")
        found = _Value("numeric", number=float(value))
        if wanted == "boolean" and value in (0, 1):
            found = _Value("boolean", number=float(value))
    elif wanted == "text":
        found = _Value("text", text=value)
    else:
        found = _Value("categorical", label=value)
    if wanted and wanted != found.type:
        raise BadInput(f"{where}the value is {found.type}, and the type says {wanted}.")
    if isinstance(value, str) and not 0 < len(value) <= _LONGEST["text" if found.type == "text" else "label"]:
        hint = "" if found.type == "text" else 'Longer ones are of the type "text".'
        raise BadInput(
            f"{where}a value has 1 to {_LONGEST['text' if wanted == 'text' else 'label']:,} characters.", hint=hint
        )
    if found.type == "text" and new.comment:
        raise BadInput(f"{where}a text needs no comment.")
    return found


def conditions_of(which: ScoreFilter) -> tuple[list[str], dict[str, Any]]:
    """What `which` asks for, as conditions over `scores` and the values that they bind."""
    equal = {
        "trace_id": which.trace_id.lower(),
        "span_id": which.span_id.lower(),
        "session_id": which.session_id,
        "name": which.name,
        "source": which.source,
        "value_type": which.type,
        "label": which.label,
        "author_id": which.author_id,
    }
    conditions = [f"{column} = {{{column}:String}}" for column, value in equal.items() if value]
    values: dict[str, Any] = {column: value for column, value in equal.items() if value}
    bounds = {"since": ("time_ns", ">=", which.since), "until": ("time_ns", "<", which.until)}
    for name, (column, operator, at) in bounds.items():
        if at is not None:
            conditions.append(f"{column} {operator} {{{name}:Int64}}")
            values[name] = nanoseconds(at)
    for name, operator, number in (("least", ">=", which.least), ("most", "<=", which.most)):
        if number is not None:
            conditions.append(f"number {operator} {{{name}:Float64}}")
            values[name] = number
    return conditions, values


def _row(score: Score) -> ScoreRow:
    value: float | bool | str | None = score.number
    if score.value_type == "boolean" and score.number is not None:
        value = bool(score.number)
    elif score.number is None:
        value = score.label or (score.text if score.value_type == "text" else None)
    key = _TARGET.sub("", score.key, count=1)
    return ScoreRow(
        score_id=score.score_id,
        trace_id=score.trace_id,
        span_id=score.span_id,
        session_id=score.session_id,
        name=score.name,
        source=score.source,
        type=score.value_type or _feedback_type(score),
        value=value,
        comment="" if score.value_type == "text" else score.text,
        correction=score.correction,
        author_id=score.author_id,
        key="" if key == score.score_id else key,
        time=moment(score.time_ns),
    )


def _feedback_type(score: Score) -> ScoreType:
    return "numeric" if score.number is not None else "categorical" if score.label else ""
