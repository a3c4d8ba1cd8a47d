"""Guardrails as they are written into a policy: the kinds, where each may stand, their options. Checked when saved.

In: one guardrail as a person wrote it. Out: a `Guardrail` whose options are complete, so that the gateway looks up and
never guesses. What each does with a request is the gateway's; docs/policy.md says it for readers.
"""

from collections.abc import Callable
from typing import Any, Final

from noria.core import checks
from noria.core.errors import BadInput
from noria.registry.addresses import check_base_url
from noria.registry.policy import GUARDRAILS, Guardrail

PERSONAL: Final = ("EMAIL", "PHONE", "CARD", "RRN", "SSN")
"""Kinds of personal data that patterns find (noria.governance.privacy)."""
WHEN: Final[dict[str, tuple[str, ...]]] = {
    "pii": ("before", "after", "both"),
    "deny": ("before", "after", "both"),
    "allow": ("before", "after", "both"),
    "schema": ("after",),
    "injection": ("before", "after", "both"),
    "secrets": ("before", "after", "both"),
    "max_cost": ("before",),
    "step": ("before", "after", "both"),
}
"""Where a kind may stand; the first is what it is when nothing is said."""
ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "pii": ("mask", "refuse", "flag"),
    "deny": ("refuse", "flag"),
    "allow": ("refuse", "flag"),
    "injection": ("refuse", "flag"),
    "secrets": ("refuse", "mask", "flag"),
}
"""What a kind may do when it fires, the first by default. "flag" only notes it on the span."""

_FIELDS = ("kind", "when", "on_trouble", "timeout_ms", "options")
_MOST_PATTERNS = 100
_MOST_PATTERN = 500
_MOST_JSON = 64_000


def check_guardrail(raw: Any, where: str, *, allow_private: bool) -> Guardrail:
    """The guardrail in `raw`, its options complete. Raises BadInput with the path below `where`."""
    given = checks.fields(raw, where, _FIELDS, required=("kind",))
    kind = checks.choice(given["kind"], f"{where}.kind", GUARDRAILS)
    when = checks.choice(given.get("when", WHEN[kind][0]), f"{where}.when", WHEN[kind])
    options = _options(kind, given.get("options", {}), f"{where}.options")
    if kind == "step":
        options["url"] = check_step(options["url"], f"{where}.options.url", allow_private=allow_private)
    return Guardrail(
        kind=kind,  # type: ignore[arg-type]  # `choice` has seen that it is one
        when=when,  # type: ignore[arg-type]
        on_trouble=checks.choice(given.get("on_trouble", "closed"), f"{where}.on_trouble", ("open", "closed")),  # type: ignore[arg-type]
        timeout_ms=checks.whole(given.get("timeout_ms", 500), f"{where}.timeout_ms", 1, 60_000, "In milliseconds."),
        options=options,
    )


def check_step(url: Any, where: str, *, allow_private: bool) -> str:
    """The address of a step process, which obeys what a provider's address obeys."""
    text = checks.text(url, where, 2_000, empty=False)
    try:
        return check_base_url(text, allow_private=allow_private)
    except BadInput as error:
        what = error.message.replace("A provider's address", "A step's address").replace("to a provider", "to a step")
        raise BadInput(f"{where}: {what}", hint="Like http://127.0.0.1:9000/check.") from error


def _options(kind: str, raw: Any, where: str) -> dict[str, Any]:
    known = {name: default for name, (default, _) in OPTIONS[kind].items()}
    required = [name for name, default in known.items() if default is None]
    given = checks.fields(raw, where, list(known), required=required)
    return {
        name: check(given[name], f"{where}.{name}") if name in given else default
        for name, (default, check) in OPTIONS[kind].items()
    }


def _patterns(value: Any, where: str) -> list[str]:
    found = checks.listed(value, where, _MOST_PATTERNS, least=1)
    return [_pattern(one, f"{where}[{number}]") for number, one in enumerate(found)]


def _pattern(value: Any, where: str) -> str:
    """Compiled by what the gateway searches with: RE2, whose time grows with the text and nothing else."""
    import re2

    pattern = checks.text(value, where, _MOST_PATTERN, empty=False)
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        what = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else ""
        hint = "In RE2's notation, which has no backreferences and looks neither ahead nor behind."
        raise BadInput(f"{where} is no regular expression: {what[:200]}.", hint=hint) from error
    return pattern


def _kinds(value: Any, where: str) -> list[str]:
    found = checks.listed(value, where, len(PERSONAL), least=1)
    return [checks.choice(one, f"{where}[{number}]", PERSONAL) for number, one in enumerate(found)]


def _schema(value: Any, where: str) -> dict[str, Any]:
    import jsonschema_rs

    schema = checks.json_object(value, where, _MOST_JSON)
    if not schema:
        raise BadInput(f"{where} demands nothing.", hint='Like {"type": "object", "required": ["name"]}.')
    if (there := _reference(schema)) is not None:
        raise BadInput(f"{where} refers to {there[:80]!r}.", hint='A reference stays inside: "#/$defs/…".')
    try:
        jsonschema_rs.Draft202012Validator(schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.instance_path)
        raise BadInput(f"{where}{place} is no JSON schema: {error.message[:200]}.", hint="Draft 2020-12.") from error
    except ValueError as error:
        raise BadInput(f"{where} is nested too deep.") from error
    return schema


def _reference(value: Any) -> str | None:
    """A reference that leads out of the schema, which the gateway would have to fetch."""
    if isinstance(value, dict):
        own = value.get("$ref", value.get("$dynamicRef"))
        if isinstance(own, str) and not own.startswith("#"):
            return own
        return next((found for one in value.values() if (found := _reference(one)) is not None), None)
    if isinstance(value, list):
        return next((found for one in value if (found := _reference(one)) is not None), None)
    return None


def _payload(value: Any, where: str) -> dict[str, Any]:
    return checks.json_object(value, where, _MOST_JSON)


def _acts(kind: str) -> tuple[str, Callable[[Any, str], Any]]:
    return ACTIONS[kind][0], lambda value, where: checks.choice(value, where, ACTIONS[kind])


def _message(value: Any, where: str) -> str:
    return checks.text(value, where, 300)


def _micros(value: Any, where: str) -> int:
    return checks.whole(value, where, 1, 10**12, "In micro-dollars: 50,000 is five cents.")


_Option = tuple[Any, Callable[[Any, str], Any]]
"""(default or None when it must be given, what checks it)."""
OPTIONS: Final[dict[str, dict[str, _Option]]] = {
    "pii": {
        "kinds": (list(PERSONAL), _kinds),
        "restore": (True, checks.flag),
        "action": _acts("pii"),
    },
    "deny": {
        "patterns": (None, _patterns),
        "ignore_case": (False, checks.flag),
        "message": ("", _message),
        "action": _acts("deny"),
    },
    "allow": {
        "patterns": (None, _patterns),
        "ignore_case": (False, checks.flag),
        "message": ("", _message),
        "action": _acts("allow"),
    },
    "schema": {"schema": (None, _schema), "repair": (True, checks.flag)},
    "injection": {"message": ("", _message), "action": _acts("injection")},
    "secrets": {"message": ("", _message), "action": _acts("secrets")},
    "max_cost": {"micros": (None, _micros)},
    "step": {
        "url": (None, lambda value, where: checks.text(value, where, 2_000, empty=False)),
        "payload": ({}, _payload),
    },
}
