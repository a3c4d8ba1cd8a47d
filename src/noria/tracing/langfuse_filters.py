"""Langfuse's conditions on observations as ClickHouse conditions: the parameters of a route, and the JSON of `filter`.

A column of theirs is an expression of ours and a kind; an operator of a kind is a condition with one place for a bound value. What
neither table knows is refused by name, so that nobody reads more than was asked for.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from noria.core.errors import BadInput
from noria.tracing import schema
from noria.tracing.langfuse_shapes import TYPES
from noria.tracing.reading import nanoseconds
from noria.web.langfuse import words

Conditions = tuple[list[str], dict[str, Any]]
_MOST: Final = 50
_SPAN_ID: Final = re.compile(r"[0-9a-f]{16}")
_TYPE: Final = "JSONExtractString(attributes, 'langfuse.observation.type')"
_KINDS: Final = ", ".join(f"'{kind}'" for kind in TYPES)
_NAMES: Final = ", ".join(f"'{name}'" for name in TYPES.values())
_LEVEL: Final = "upper(JSONExtractString(attributes, 'langfuse.observation.level'))"


def _attribute(name: str, otherwise: str = "''") -> str:
    said = f"JSONExtractString(attributes, '{name}')"
    around = f"JSONExtractString(attributes, 'resource.{name}')"
    return f"multiIf({said} != '', {said}, {around} != '', {around}, {otherwise})"


TYPE: Final = f"upper(if({_TYPE} != '', {_TYPE}, transform(toString(kind), [{_KINDS}], [{_NAMES}], 'SPAN')))"
LEVEL: Final = f"multiIf({_LEVEL} != '', {_LEVEL}, status = 'error', 'ERROR', 'DEFAULT')"
ENVIRONMENT: Final = _attribute("langfuse.environment", "'default'")
_MODEL: Final = "if(served_model != '', toString(served_model), toString(requested_model))"
_TRACE_NAME: Final = "JSONExtractString(attributes, 'langfuse.trace.name')"
_SECONDS: Final = "((end_ns - start_ns) / 1000000000)"

COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "id": ("span_id", "string"),
    "traceId": ("trace_id", "string"),
    "parentObservationId": ("parent_id", "string"),
    "name": ("name", "string"),
    "type": (TYPE, "string"),
    "level": (LEVEL, "string"),
    "environment": (ENVIRONMENT, "string"),
    "version": (_attribute("langfuse.version"), "string"),
    "release": (_attribute("langfuse.release"), "string"),
    "statusMessage": (_attribute("langfuse.observation.status_message", "error_message"), "string"),
    "userId": ("subject_id", "string"),
    "sessionId": ("session_id", "string"),
    "traceName": (_TRACE_NAME, "string"),
    "model": (_MODEL, "string"),
    "providedModelName": (_MODEL, "string"),
    "promptName": ("toString(prompt_name)", "string"),
    "promptVersion": ("prompt_version", "number"),
    "input": ("concat(input_messages, JSONExtractString(attributes, 'langfuse.observation.input'))", "string"),
    "output": ("concat(output_messages, JSONExtractString(attributes, 'langfuse.observation.output'))", "string"),
    "startTime": ("start_ns", "datetime"),
    "endTime": ("end_ns", "datetime"),
    "isRootObservation": ("(parent_id = '')", "boolean"),
    "tags": ("tags", "array"),
    "traceTags": ("tags", "array"),
    "latency": (_SECONDS, "number"),
    "timeToFirstToken": ("((first_token_ns - start_ns) / 1000000000)", "number"),
    "inputTokens": ("input_tokens", "number"),
    "outputTokens": ("output_tokens", "number"),
    "totalTokens": ("(input_tokens + output_tokens)", "number"),
    "totalCost": ("(cost_micros / 1000000)", "number"),
}
"""Columns of theirs, as an expression over `spans` and a kind."""

_TEXT: Final = {
    "=": "{column} = {value}",
    "<>": "{column} != {value}",
    "contains": "position({column}, {value}) > 0",
    "matches": "positionCaseInsensitive({column}, {value}) > 0",
    "does not contain": "position({column}, {value}) = 0",
    "starts with": "startsWith({column}, {value})",
    "ends with": "endsWith({column}, {value})",
}
_MANY: Final = {"any of": "{column} IN {value}", "none of": "{column} NOT IN {value}"}
_ARRAY: Final = {
    "any of": "hasAny({column}, {value})",
    "none of": "NOT hasAny({column}, {value})",
    "all of": "hasAll({column}, {value})",
}
_ORDER: Final = {sign: f"{{column}} {sign} {{value}}" for sign in ("=", ">", "<", ">=", "<=")}
_TRUTH: Final = {"=": "{column} = {value}", "<>": "{column} != {value}"}
_EMPTY: Final = {"is null": "{column} = ''", "is not null": "{column} != ''"}


def of_own_id(observation_id: str) -> Conditions:
    """The observation of this id, or that its client (an older SDK) calls so."""
    if _SPAN_ID.fullmatch(observation_id):
        return of_parameters({"id": observation_id})
    return ["has(facts, {own:String})"], {"own": f"langfuse.observation.id={observation_id}"[: schema.FACT]}


def of_parameters(given: Mapping[str, Any]) -> Conditions:
    """Conditions that the named columns equal these values; a list means any of it, None and [] do not restrict."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == []:
            continue
        expression, kind = COLUMNS[name]
        place = f"p_{name}"
        if isinstance(value, list):
            conditions.append(f"{expression} IN {{{place}:Array(String)}}")
            values[place] = [str(one) for one in value]
        elif kind == "boolean":
            conditions.append(f"{expression} = {{{place}:Bool}}")
            values[place] = bool(value)
        else:
            conditions.append(f"{expression} = {{{place}:String}}")
            values[place] = str(value)
    return conditions, values


def of_filter(text: str) -> Conditions:
    """What the JSON list `text` asks for. Raises BadInput that names the condition."""
    try:
        wanted = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput("filter is not JSON.", hint='Like [{"type": "string", "column": "name", …}].') from error
    if not isinstance(wanted, list) or len(wanted) > _MOST or not all(isinstance(one, dict) for one in wanted):
        raise BadInput(f"filter is a list of at most {_MOST} conditions.")
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for number, one in enumerate(wanted):
        condition, more = _condition(one, number)
        conditions.append(condition)
        values |= more
    return conditions, values


def _condition(one: Mapping[str, Any], number: int) -> tuple[str, dict[str, Any]]:
    kind, operator, where = str(one.get("type")), str(one.get("operator")), f"filter[{number}]"
    place = f"f{number}"
    column, values = _column(one, where, place)
    known = _OPERATORS.get(kind)
    if known is None:
        raise BadInput(f"{where}: conditions of the type {kind[:40]!r} are not known here.", hint=_listed(_OPERATORS))
    patterns, type_, read = known
    if operator not in patterns:
        raise BadInput(f"{where}: there is no operator {operator[:40]!r} for {kind}.", hint=_listed(patterns))
    text = patterns[operator].format(column=column, value=f"{{{place}:{type_}}}")
    if "{" in text and type_:
        values[place] = read(one.get("value"), where)
    return text, values


def _column(one: Mapping[str, Any], where: str, place: str) -> tuple[str, dict[str, Any]]:
    name = str(one.get("column"))
    if name == "metadata":
        key = {f"{place}_key": f"langfuse.observation.metadata.{one.get('key', '')}"}
        return f"trim(BOTH '\"' FROM JSONExtractRaw(attributes, {{{place}_key:String}}))", key
    if name not in COLUMNS:
        raise BadInput(f"{where}: there is no column {name[:40]!r} to filter by here.", hint=_listed(COLUMNS))
    return COLUMNS[name][0], {}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadInput(f"{where}: the value is text.")
    return value


def _many(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadInput(f"{where}: the value is a list of texts.")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"{where}: the value is a number.")
    return float(value)


def _moment(value: Any, where: str) -> int:
    try:
        return nanoseconds(datetime.fromisoformat(str(value)))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{where}: the value is a time, like 2026-11-24T09:00:00Z.") from error


def _truth(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{where}: the value is true or false.")
    return value


def _nothing(_value: Any, _where: str) -> None:
    return None


_OPERATORS: Final[Mapping[str, tuple[Mapping[str, str], str, Callable[[Any, str], Any]]]] = {
    "string": (_TEXT, "String", _text),
    "stringObject": (_TEXT, "String", _text),
    "stringOptions": (_MANY, "Array(String)", _many),
    "arrayOptions": (_ARRAY, "Array(String)", _many),
    "number": (_ORDER, "Float64", _number),
    "datetime": (_ORDER, "Int64", _moment),
    "boolean": (_TRUTH, "Bool", _truth),
    "null": (_EMPTY, "", _nothing),
}


def _listed(known: Mapping[str, Any]) -> str:
    return f"Known: {', '.join(known)}."


def groups(fields: str | None) -> list[str]:
    """The groups of fields that a parameter names; `basic` when it names none."""
    return words(fields) or ["basic"]
