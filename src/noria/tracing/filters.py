"""The filter language: `status:error model:gpt-4o* cost>0.01 latency>2s score.helpful<0.5 -tag:test "refund"`.

In: what a person typed. Out: terms, all of which must hold. A term is a field with an operator and a value, or words that input
or output hold; `-` before it turns it around. Nothing here knows SQL (noria.tracing.conditions does) or a store, so that pages,
API, commands and monitors read one language.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from noria.core.errors import BadInput, Sentence

Kind = Literal["text", "choice", "number", "dollars", "duration", "time", "open"]
Operator = Literal["=", "!=", "<", "<=", ">", ">="]

MOST_TERMS: Final = 30
LONGEST: Final = 1000
_OPERATORS: Final = (">=", "<=", "!=", ">", "<", "=", ":")
_FIELD: Final = re.compile(r"([A-Za-z_][\w.\-/]*)(>=|<=|!=|>|<|=|:)", re.ASCII)
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_WORD: Final = re.compile(r"\S+")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)?")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", re.I)


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a filter may name."""

    name: str
    kind: Kind
    help: str
    choices: tuple[str, ...] = ()


FIELDS: Final = {
    field.name: field
    for field in (
        Field("status", "choice", "ok or error", ("ok", "error")),
        Field("error", "text", "kind of error, like timed_out"),
        Field("endpoint", "text", "name of the endpoint"),
        Field("release", "number", "number of the release that answered or was chosen"),
        Field("arm", "text", "primary, canary, shadow or candidate"),
        Field("model", "text", "model that was asked for or answered, in any span"),
        Field("provider", "text", "provider, in any span"),
        Field("kind", "text", "kind of a span, like tool or retrieval"),
        Field("name", "text", "name of a span"),
        Field("prompt", "text", "name of the prompt, or name@version"),
        Field("session", "text", "id of the session"),
        Field("user", "text", "id of the user"),
        Field("tag", "text", "one of the tags"),
        Field("trace", "text", "id of the trace"),
        Field("key", "text", "id of the key that asked"),
        Field("code", "number", "HTTP status of the answer"),
        Field("cost", "dollars", "US dollars"),
        Field("tokens", "number", "tokens in and out together"),
        Field("input_tokens", "number", "tokens in"),
        Field("output_tokens", "number", "tokens out"),
        Field("latency", "duration", "like 300ms, 2s, 1m; seconds without a unit"),
        Field("first_token", "duration", "time to the first token"),
        Field("since", "time", "from a moment on: 2026-05-01, 2026-05-01T12:30, or 24h ago as 24h"),
        Field("until", "time", "before a moment"),
        Field("is", "choice", "live, evaluation or streamed", ("live", "evaluation", "streamed")),
        Field("has", "choice", "what is there at all", ("feedback", "score", "session", "user", "tag", "cost")),
        Field("input", "text", "words at the beginning of the input"),
        Field("output", "text", "words at the beginning of the output"),
    )
}
"""Beside these: `score.NAME` and `attr.KEY`."""
_OPEN: Final = {
    "score": "a score's name, like score.helpful<0.5",
    "attr": "an attribute's key, like attr.customer:gold",
}
_LESS: Final = "Ask for less at once."
_ORDERED: Final = frozenset({"number", "dollars", "duration"})


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that must hold. `field` is "" for words; `key` is what follows `score.` or `attr.`."""

    field: str
    operator: Operator
    value: str | float | int
    """Text as typed; seconds, dollars, numbers; nanoseconds since 1970 for moments."""
    key: str = ""
    negated: bool = False
    quoted: bool = False
    """Text in quotes is meant as it stands: its * is a star."""

    @property
    def prefix(self) -> bool:
        """Whether the value has a * that stands for anything."""
        return isinstance(self.value, str) and not self.quoted and "*" in self.value


class BadFilter(BadInput):
    """A filter that cannot be read; the message names the position (from 1)."""

    code = "bad_filter"


def parse(text: str, now: datetime | None = None) -> tuple[Term, ...]:
    """The terms of `text`; `now` is what "24h ago" counts from. Raises BadFilter."""
    if len(text) > LONGEST:
        raise BadFilter(Sentence("A filter may have at most {n:,} characters.", n=LONGEST), hint=_LESS)
    terms = []
    at = 0
    while (start := _skip(text, at)) < len(text):
        term, at = _term(text, start, now or datetime.now(UTC))
        terms.append(term)
        if len(terms) > MOST_TERMS:
            raise BadFilter(Sentence("A filter may have at most {n} parts.", n=MOST_TERMS), hint=_LESS)
    return tuple(terms)


def pieces(text: str) -> list[tuple[str, Term]]:
    """Each term as it was typed, and as it is read. Raises BadFilter."""
    found = []
    at = 0
    while (start := _skip(text, at)) < len(text):
        one, at = _term(text, start, datetime.now(UTC))
        found.append((text[start:at], one))
    return found


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """`text` with other values of these fields, in place of all that it says of them so far; "" only takes away. Raises BadFilter."""
    kept = [typed for typed, one in pieces(text) if one.field not in changes]
    return joined([*kept, *(term(field, value) for field, value in changes.items() if value)])


def term(field: str, value: str, operator: str = ":") -> str:
    """One term as one would type it, its value quoted where it must be."""
    return f"{field}{operator}{quoted(value)}"


def quoted(value: str) -> str:
    """`value` as one value of the language."""
    plain = value and not re.search(r'[\s"*\\]', value)
    return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def joined(parts: Iterable[str]) -> str:
    """Several pieces of a filter as one."""
    return " ".join(part.strip() for part in parts if part.strip())


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _term(text: str, start: int, now: datetime) -> tuple[Term, int]:
    negated = text[start] == "-" and start + 1 < len(text) and not text[start + 1].isspace() and text[start + 1] != "-"
    at = start + negated
    if text[at] == '"':
        value, end = _quoted(text, at)
        return Term("", "=", value, negated=negated, quoted=True), end
    if (found := _FIELD.match(text, at)) is None:
        word = text[at:].split(maxsplit=1)[0]
        return Term("", "=", word, negated=negated), at + len(word)
    field, key = _known(found[1], at)
    value, quoted_, end = _value(text, found.end(), found[1])
    operator: Operator = "=" if found[2] == ":" else found[2]  # type: ignore[assignment]
    if operator == "=" and not quoted_ and (more := re.match(r"(>=|<=|>|<)(?=.)", value)) and field.kind != "text":
        operator, value = more[1], value[more.end() :]  # type: ignore[assignment]  # "cost:>1" is meant as "cost>1"
    read = _read(field, operator, value, now, found.end() + 1)
    return Term(field.name, operator, read, key, negated, quoted_), end


def _known(name: str, at: int) -> tuple[Field, str]:
    """The field, and the key behind `score.` or `attr.`. Raises BadFilter."""
    head, _, key = name.partition(".")
    if head.lower() in _OPEN:
        if not key:
            raise BadFilter(
                Sentence("{field} at position {at} lacks a name.", field=head, at=at + 1),
                hint=Sentence("Write {help}.", help=Sentence(_OPEN[head.lower()])),
            )
        return Field(head.lower(), "open", _OPEN[head.lower()]), key
    if (field := FIELDS.get(name.lower())) is not None:
        return field, ""
    near = difflib.get_close_matches(name.lower(), [*FIELDS, *(f"{one}." for one in _OPEN)], 1, 0.5)
    if near:
        hint = Sentence("Did you mean {field}? Put it in quotes to search for the words.", field=near[0])
    else:
        fields = ", ".join([*FIELDS, "score.NAME", "attr.KEY"])
        hint = Sentence("Fields are {fields}. Put it in quotes to search for the words.", fields=fields)
    raise BadFilter(Sentence("There is no field {name!r} (position {at}).", name=name[:40], at=at + 1), hint=hint)


def _value(text: str, at: int, name: str) -> tuple[str, bool, int]:
    if at < len(text) and text[at] == '"':
        value, end = _quoted(text, at)
        return value, True, end
    found = _WORD.match(text, at)
    if found is None:
        raise BadFilter(
            Sentence("{field} lacks a value at position {at}.", field=name, at=at + 1),
            hint=Sentence("Like {field}:something.", field=name),
        )
    return found[0], False, found.end()


def _quoted(text: str, at: int) -> tuple[str, int]:
    found = _QUOTED.match(text, at)
    if found is None:
        raise BadFilter(Sentence("The quote at position {at} is never closed.", at=at + 1), hint='End it with ".')
    return re.sub(r"\\(.)", r"\1", found[1]), found.end()


def _read(field: Field, operator: str, value: str, now: datetime, at: int) -> str | float | int:
    if operator not in {"=", "!="} and field.kind not in _ORDERED | {"open"}:
        raise BadFilter(
            Sentence(
                "{field} cannot be compared with {operator} (position {at}).",
                field=field.name,
                operator=operator,
                at=at,
            ),
            hint=Sentence("Write {field}:value.", field=field.name),
        )
    match field.kind:
        case "text":
            return value
        case "choice":
            return _choice(field, value, at)
        case "time":
            return _moment(value, now, at)
        case "duration":
            return _duration(field, value, at)
        case "open" if operator in {"=", "!="}:
            return value
        case _:
            number = value.removeprefix("$") if field.kind == "dollars" else value
            if not _NUMBER.fullmatch(number):
                raise BadFilter(
                    Sentence(
                        "{field} takes a number, not {value!r} (position {at}).",
                        field=field.name,
                        value=value[:40],
                        at=at,
                    ),
                    hint=Sentence("{field}: {help}.", field=field.name, help=Sentence(field.help)),
                )
            return float(number)


def _choice(field: Field, value: str, at: int) -> str:
    if value.lower() in field.choices:
        return value.lower()
    near = difflib.get_close_matches(value.lower(), field.choices, 1, 0.5)
    if near:
        hint = Sentence("Did you mean {field}:{value}?", field=field.name, value=near[0])
    else:
        hint = Sentence("It is one of {choices}.", choices=", ".join(field.choices))
    said = Sentence("{field} is never {value!r} (position {at}).", field=field.name, value=value[:40], at=at)
    raise BadFilter(said, hint=hint)


def _duration(field: Field, value: str, at: int) -> float:
    found = _DURATION.fullmatch(value.lower())
    if found is None:
        said = Sentence(
            "{field} takes a time, not {value!r} (position {at}).", field=field.name, value=value[:40], at=at
        )
        raise BadFilter(said, hint="Like 300ms, 2s or 1m.")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def _moment(value: str, now: datetime, at: int) -> int:
    """Nanoseconds since 1970; a time without a zone is UTC."""
    ago = _DURATION.fullmatch(value.lower())
    try:
        if ago is not None and ago[2]:
            time = now - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
        else:
            time = datetime.fromisoformat(value)
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        found = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError) as error:
        raise BadFilter(
            Sentence("{value!r} is no moment (position {at}).", value=value[:40], at=at),
            hint="Like 2026-05-01, 2026-05-01T12:30 or 24h.",
        ) from error
    return max(-(2**63), min(found, 2**63 - 1))


def value_of(terms: Sequence[Term], field: str) -> str:
    """What `field` is asked to be, when one plain term says so; else "". Forms show it as chosen."""
    found = [one for one in terms if one.field == field and one.operator == "=" and not one.negated and not one.prefix]
    return (
        f"{found[0].value:g}" if found and isinstance(found[0].value, float) else str(found[0].value) if found else ""
    )
