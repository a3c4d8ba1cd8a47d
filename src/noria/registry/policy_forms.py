"""Parts of a policy as forms send them. In: the fields of a form, all text. Out: the part as it would be written in a file,
which noria.registry.policy_check then checks; an empty field says nothing, so it is as in the empty policy.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.datastructures import FormData

from noria.core import money
from noria.core.errors import BadInput
from noria.governance import allowances
from noria.registry.policy import Breaker, Cache, Hedge, Retries, Timeouts
from noria.registry.policy_check import NUMBERS

_NUMERIC: Final[dict[str, type]] = {"timeouts": Timeouts, "retries": Retries, "breaker": Breaker, "hedge": Hedge}
FORMS: Final = ("fallbacks", *_NUMERIC, "limits", "cache")
"""Parts that are changed by one form each; guardrails have one form for each guardrail."""


def part(name: str, form: FormData) -> Any:
    """The part that the form is for; None takes it away. Raises BadInput."""
    if name == "fallbacks":
        return [allowances.whole(one) for one in _text(form, "fallbacks").replace(",", " ").split()] or None
    if name == "limits":
        typed = {field: _text(form, field) for field in allowances.FIELDS}
        return {key: value for key, value in allowances.from_fields(typed).items() if value} or None
    if name == "cache":
        mode = _text(form, "mode") or "off"
        words = {"mode": mode, "step": _text(form, "step")} if mode != "off" else {}
        return {key: value for key, value in {**words, **_numbers(Cache, form)}.items() if value != ""} or None
    return _numbers(_NUMERIC[name], form) or None


def guardrail(kind: str, form: FormData) -> dict[str, Any]:
    """The guardrail that the form describes. Raises BadInput."""
    made: dict[str, Any] = {"kind": kind, "options": _OPTIONS[kind](form)}
    for name in ("when", "on_trouble"):
        if text := _text(form, name):
            made[name] = text
    if text := _text(form, "timeout_ms"):
        made["timeout_ms"] = allowances.whole(text)
    return made


def moved(guardrails: Sequence[Any], at: int, to: int) -> list[Any]:
    """The same list with one of them elsewhere; they are asked in this order."""
    rest = [one for number, one in enumerate(guardrails) if number != at]
    rest.insert(max(to, 0), guardrails[at])
    return rest


def _numbers(kind: type, form: FormData) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (number, *_) in NUMBERS[kind].items():
        if text := _text(form, name):
            found[name] = allowances.whole(text) if number is int else _fraction(text)
    return found


def _fraction(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError as error:
        raise BadInput(f"{text[:40]!r} is not a number.", hint="Like 2.5. Nothing was changed.") from error


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _json(form: FormData, name: str) -> Any:
    try:
        return orjson.loads(_text(form, name) or "{}")
    except orjson.JSONDecodeError as error:
        raise BadInput(
            f"{name} is not JSON: {error.msg} (line {error.lineno}).", hint="Nothing was changed."
        ) from error


def _personal(form: FormData) -> dict[str, Any]:
    kinds = [one for one in form.getlist("kinds") if isinstance(one, str)]
    return {"kinds": kinds, "restore": bool(_text(form, "restore")), "action": _text(form, "action")}


def _matching(form: FormData) -> dict[str, Any]:
    patterns = [line.strip() for line in _text(form, "patterns").splitlines() if line.strip()]
    return {"patterns": patterns, "ignore_case": bool(_text(form, "ignore_case")), **_finding(form)}


def _finding(form: FormData) -> dict[str, Any]:
    return {"message": _text(form, "message"), "action": _text(form, "action")}


_OPTIONS: Final[Mapping[str, Any]] = {
    "pii": _personal,
    "deny": _matching,
    "allow": _matching,
    "injection": _finding,
    "secrets": _finding,
    "schema": lambda form: {"schema": _json(form, "schema"), "repair": bool(_text(form, "repair"))},
    "max_cost": lambda form: {"micros": money.micros(_text(form, "dollars"))},
    "step": lambda form: {"url": _text(form, "url"), "payload": _json(form, "payload")},
}
