"""Terms of the filter language as ClickHouse conditions over `traces`. Values are bound, never formatted into the text.

Tokens and cost are those of the trace; endpoint, release, arm, provider, model and prompt are looked for in each of its model calls,
which `traces` holds as arrays. Kind, name, error and attributes are looked for in all spans of a trace: such a condition holds a
reading of `spans` between {from_ns:Int64} and {to_ns:Int64}, which whoever lists sets, window by window, so that the newest page
never reads all there is.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from noria.core.errors import Sentence
from noria.tracing import schema
from noria.tracing.filters import BadFilter, Term

_COLUMNS: Final = {
    **{"error": "error_type", "endpoint": "endpoint", "arm": "arm", "provider": "provider", "kind": "kind"},
    **{"name": "name", "session": "session_id", "user": "subject_id", "trace": "trace_id", "key": "key_id"},
    **{"code": "status_code", "tokens": "(input_tokens + output_tokens)", "input_tokens": "input_tokens"},
    **{"output_tokens": "output_tokens", "status": "status"},
}
_DEEP: Final = frozenset({"kind", "name", "error", "attr"})
OF_CALLS: Final = frozenset({"model", "provider", "prompt", "endpoint", "arm", "release"})
"""Fields that speak of model calls."""
_WIDE: Final = _DEEP | {"", "input", "output"}
_IS: Final = {"live": "live", "evaluation": "NOT live", "streamed": "streamed"}
_SCORED: Final = "trace_id IN (SELECT trace_id FROM scores WHERE project_id = {project:String}"
_HAS: Final = {
    "feedback": f"{_SCORED} AND source IN ('user', 'person'))",
    "score": f"{_SCORED})",
    "session": "session_id != ''",
    "user": "subject_id != ''",
    "tag": "notEmpty(tags)",
    "cost": "cost_micros > 0",
}
_INNER: Final = (
    "trace_id IN (SELECT trace_id FROM spans WHERE project_id = {project:String} AND parent_id != ''"
    " AND start_ns >= {from_ns:Int64} - 60000000000 AND start_ns < {to_ns:Int64} + 86400000000000 AND (CONDITION))"
)


@dataclass(slots=True)
class Where:
    """Conditions, all of which must hold, and the values that they bind."""

    plain: list[str] = field(default_factory=list)
    """Over columns of `traces` that are read quickly."""
    wide: list[str] = field(default_factory=list)
    """Over all spans (these need from_ns and to_ns), or over texts: to be read in order, in shorter windows."""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def conditions(self) -> list[str]:
        return [*self.plain, *self.wide]

    def bind(self, value: Any, type_: str) -> str:
        """The place of `value` in the text."""
        name = f"f{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{type_}}}"

    def add(self, condition: str, values: Mapping[str, Any] | None = None) -> None:
        """One more plain condition, with values under names of its own."""
        self.plain.append(condition)
        self.values.update(values or {})


def where(terms: Iterable[Term]) -> Where:
    """The conditions of these terms."""
    made = Where()
    for term in terms:
        condition = _condition(made, term)
        place = made.wide if term.field in _WIDE else made.plain
        place.append(f"NOT ({condition})" if term.negated else condition)
    return made


def in_span(made: Where, term: Term, text: str) -> str:
    """The condition of a term about one span (of `spans`), whose words are in the expression `text`. Raises BadFilter."""
    if term.field == "":
        found = _words(made, str(term.value), text, whole=term.quoted)
    elif term.field in _DEEP | (OF_CALLS - {"release"}):
        found = _turned(_in_span(made, term), term)
    elif term.field in {"status", "latency", "cost", "tokens", "input_tokens", "output_tokens", "code"}:
        found = _own(made, term)
    else:
        raise BadFilter(
            Sentence("{field} is not a field of a span.", field=term.field), hint="Look for it in the list of traces."
        )
    return f"NOT ({found})" if term.negated else f"({found})"


def in_one_call(made: Where, term: Term) -> str:
    """The condition of a term of OF_CALLS about one call, whose columns are named c_…; `traces` holds them as arrays."""
    match term.field:
        case "model":
            found = f"({_text(made, term, 'c_served_model')} OR {_text(made, term, 'c_requested_model')})"
        case "prompt":
            found = _prompt(made, term, "c_prompt_name", "c_prompt_version")
        case "release":
            sign = f"{'=' if term.operator == '!=' else term.operator} {made.bind(term.value, 'Float64')}"
            found = f"(c_release {sign} OR c_requested_release {sign})"
        case _:
            found = _text(made, term, f"c_{_COLUMNS[term.field]}")
    found = _turned(found, term)
    return f"NOT ({found})" if term.negated else f"({found})"


def like(text: str) -> str:
    """A LIKE pattern that finds `text` anywhere."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _condition(made: Where, term: Term) -> str:
    if term.field in _DEEP:
        return _anywhere(made, term)
    if term.field in OF_CALLS:
        return _turned(_in_call(made, term), term)
    return _SPECIAL.get(term.field, _own)(made, term)


def _said(made: Where, term: Term) -> str:
    return _words(made, str(term.value), "text", whole=term.quoted)


def _part(made: Where, term: Term) -> str:
    return _words(made, str(term.value), f"lower(preview_{term.field})", whole=term.quoted)


def _tag(made: Where, term: Term) -> str:
    return _turned(_among(made, term, "tags"), term)


def _time(made: Where, term: Term) -> str:
    sign = ">=" if term.field == "since" else "<"
    return _turned(f"listed_ns {sign} {made.bind(term.value, 'Int64')}", term)


def _own(made: Where, term: Term) -> str:
    match term.field:
        case "cost":
            return f"cost_micros {term.operator} {made.bind(float(term.value) * 1e6, 'Float64')}"
        case "latency":
            return f"(end_ns - start_ns) {term.operator} {made.bind(round(float(term.value) * 1e9), 'Int64')}"
        case "first_token":
            value = made.bind(round(float(term.value) * 1e9), "Int64")
            return f"(first_token_ns > 0 AND (first_token_ns - start_ns) {term.operator} {value})"
        case _ if isinstance(term.value, str):
            return _turned(_text(made, term, _COLUMNS[term.field]), term)
        case _:
            return f"{_COLUMNS[term.field]} {term.operator} {made.bind(term.value, 'Float64')}"


def _anywhere(made: Where, term: Term) -> str:
    """In the root span, or in one below it."""
    condition = _in_span(made, term)
    return _turned(f"({condition} OR {_INNER.replace('CONDITION', condition)})", term)


def _in_span(made: Where, term: Term) -> str:
    match term.field:
        case "model":
            return f"({_text(made, term, 'served_model')} OR {_text(made, term, 'requested_model')})"
        case "prompt":
            return _prompt(made, term)
        case "attr":
            return _attribute(made, term)
        case _:
            return _text(made, term, _COLUMNS[term.field])


def _in_call(made: Where, term: Term) -> str:
    """In one of the trace's model calls."""
    match term.field:
        case "model":
            return f"({_among(made, term, 'calls.served_model')} OR {_among(made, term, 'calls.requested_model')})"
        case "release":
            sign = "=" if term.operator == "!=" else term.operator
            each = f"x -> x > 0 AND x {sign} {made.bind(term.value, 'Float64')}"
            return f"(arrayExists({each}, calls.release) OR arrayExists({each}, calls.requested_release))"
        case "prompt":
            each = _prompt(made, term, "n", "v")
            return f"arrayExists((n, v) -> {each}, calls.prompt_name, calls.prompt_version)"
        case _:
            return _among(made, term, f"calls.{_COLUMNS[term.field]}")


def _attribute(made: Where, term: Term) -> str:
    start = f"{term.key}="
    if isinstance(term.value, str):
        return _among(made, Term("attr", "=", start + term.value, quoted=term.quoted), "facts")
    number, place = made.bind(term.value, "Float64"), made.bind(start, "String")
    value = f"toFloat64OrNull(substring(x, {len(start.encode()) + 1}))"
    return f"arrayExists(x -> startsWith(x, {place}) AND {value} {term.operator} {number}, facts)"


def _prompt(made: Where, term: Term, named: str = "prompt_name", numbered: str = "prompt_version") -> str:
    name, at, version = str(term.value).rpartition("@")
    if at and version.isascii() and version.isdecimal() and len(version) < 10:
        same = _text(made, Term("prompt", "=", name, quoted=term.quoted), named)
        return f"({same} AND {numbered} = {made.bind(int(version), 'Int64')})"
    return _text(made, term, named)


def _score(made: Where, term: Term) -> str:
    name = made.bind(term.key, "String")
    if isinstance(term.value, str):
        value = made.bind(term.value, "String")
        judged = f"(label = {value} OR (label = '' AND number = toFloat64OrNull({value})))"
    else:
        judged = f"number {term.operator} {made.bind(term.value, 'Float64')}"
    found = _SCORED.replace("FROM scores", "FROM scores FINAL") + f" AND name = {name} AND {judged})"
    return _turned(found, term)


def _text(made: Where, term: Term, column: str) -> str:
    """Equal to the value, or like it when it has a star."""
    if term.prefix:
        return f"{column} LIKE {made.bind(_pattern(str(term.value)), 'String')}"
    return f"{column} = {made.bind(str(term.value), 'String')}"


def _among(made: Where, term: Term, column: str) -> str:
    if term.prefix:
        return f"arrayExists(x -> x LIKE {made.bind(_pattern(str(term.value)), 'String')}, {column})"
    return f"has({column}, {made.bind(str(term.value), 'String')})"


def _pattern(value: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", value).replace("*", "%")


def _words(made: Where, text: str, column: str, *, whole: bool) -> str:
    """Each word somewhere, or all of a quoted text in one piece."""
    found: Sequence[str] = [schema.searchable(text)] if whole else schema.searchable(text).split()
    return " AND ".join(f"{column} LIKE {made.bind(like(word), 'String')}" for word in found) or "1"


def _turned(condition: str, term: Term) -> str:
    return f"NOT ({condition})" if term.operator == "!=" else condition


_SPECIAL: Final[Mapping[str, Callable[[Where, Term], str]]] = {
    "": _said,
    "input": _part,
    "output": _part,
    "is": lambda _, term: _turned(_IS[str(term.value)], term),
    "has": lambda _, term: _turned(_HAS[str(term.value)], term),
    "since": _time,
    "until": _time,
    "score": _score,
    "tag": _tag,
}
