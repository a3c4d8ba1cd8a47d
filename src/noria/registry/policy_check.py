"""Whether a policy can be used: every field with its range. In: what a person wrote. Out: a `Policy`.

What needs the records (whether a fallback is a release that may serve) is checked where it is saved,
noria.registry.policies.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from noria.core import checks
from noria.core.errors import BadInput
from noria.governance.limits import check_limits
from noria.registry.guardrails import check_guardrail, check_step
from noria.registry.policy import Breaker, Cache, Hedge, Policy, Retries, Timeouts

PARTS: Final = ("fallbacks", "timeouts", "retries", "breaker", "hedge", "limits", "cache", "guardrails")
"""The parts of a policy, in the order in which they are shown."""
MOST_FALLBACKS: Final = 8
MOST_GUARDRAILS: Final = 20

Number = tuple[type, float, float, str]
"""(int or float, least, most, its unit or what 0 means)."""
NUMBERS: Final[dict[type, dict[str, Number]]] = {
    Timeouts: {
        "connect": (float, 0, 300, "In seconds; 0: the installation's setting."),
        "first_byte": (float, 0, 3_600, "In seconds; 0: the installation's setting."),
        "idle": (float, 0, 3_600, "In seconds; 0: the installation's setting."),
        "total": (float, 0, 86_400, "In seconds; 0: the installation's setting."),
    },
    Retries: {
        "attempts": (int, 0, 5, "Tries after the first."),
        "base_ms": (int, 1, 60_000, "In milliseconds."),
        "most_ms": (int, 1, 600_000, "In milliseconds."),
    },
    Breaker: {
        "failures": (int, 0, 1_000, "0: no breaker."),
        "window_seconds": (float, 0.1, 3_600, "In seconds."),
        "open_seconds": (float, 0.1, 3_600, "In seconds."),
    },
    Hedge: {"after_ms": (int, 0, 600_000, "In milliseconds; 0: no second try.")},
    Cache: {
        "ttl_seconds": (int, 1, 2_592_000, "In seconds, up to 30 days."),
        "threshold": (float, 0, 1, "A cosine similarity."),
    },
}


def check_policy(raw: Any, *, allow_private: bool = True) -> Policy:
    """The policy in `raw`; what it does not say is as in the empty one. A field `version` is left out: versions are
    counted where policies are saved. Raises BadInput that names the path of the field and what it may be."""
    given = checks.fields(raw, "", (*PARTS, "version"))
    return Policy(
        fallbacks=_fallbacks(given.get("fallbacks", ())),
        timeouts=_timeouts(given.get("timeouts", {})),
        retries=_retries(given.get("retries", {})),
        breaker=Breaker(**_numbers(Breaker, given.get("breaker", {}), "breaker")),
        hedge=Hedge(**_numbers(Hedge, given.get("hedge", {}), "hedge")),
        limits=check_limits(given.get("limits", {})),
        cache=_cache(given.get("cache", {}), allow_private=allow_private),
        guardrails=tuple(
            check_guardrail(one, f"guardrails[{number}]", allow_private=allow_private)
            for number, one in enumerate(checks.listed(given.get("guardrails", ()), "guardrails", MOST_GUARDRAILS))
        ),
    )


def _fallbacks(value: Any) -> tuple[int, ...]:
    found = checks.listed(value, "fallbacks", MOST_FALLBACKS)
    numbers = [checks.whole(one, f"fallbacks[{at}]", 1, 10**9) for at, one in enumerate(found)]
    if len(set(numbers)) < len(numbers):
        raise BadInput("fallbacks names a release twice.", hint="Each is asked once, in this order.")
    return tuple(numbers)


def _timeouts(value: Any) -> Timeouts:
    made = Timeouts(**_numbers(Timeouts, value, "timeouts"))
    for name in ("connect", "first_byte", "idle"):
        if made.total and getattr(made, name) > made.total:
            raise BadInput(f"timeouts.{name} is longer than timeouts.total.", hint="The total ends every call.")
    return made


def _retries(value: Any) -> Retries:
    made = Retries(**_numbers(Retries, value, "retries"))
    if made.base_ms > made.most_ms:
        raise BadInput("retries.base_ms is longer than retries.most_ms.", hint="The pause doubles up to most_ms.")
    return made


def _cache(value: Any, *, allow_private: bool) -> Cache:
    given = checks.fields(value, "cache", [one.name for one in fields(Cache)])
    mode = checks.choice(given.get("mode", "off"), "cache.mode", ("off", "exact", "semantic"))
    step = checks.text(given.get("step", ""), "cache.step", 2_000)
    if mode == "semantic" and not step:
        raise BadInput(
            "cache.step is missing: a semantic cache needs the address of the step that embeds texts.",
            hint="Like http://127.0.0.1:9000/embed.",
        )
    kept = {name: given[name] for name in NUMBERS[Cache] if name in given}
    return Cache(
        mode=mode,  # type: ignore[arg-type]  # `choice` has seen that it is one
        step=check_step(step, "cache.step", allow_private=allow_private) if step else "",
        **_numbers(Cache, kept, "cache"),
    )


def _numbers(kind: type, value: Any, where: str) -> dict[str, Any]:
    known = NUMBERS[kind]
    given: Mapping[str, Any] = checks.fields(value, where, list(known))
    found: dict[str, Any] = {}
    for name, one in given.items():
        number, least, most, hint = known[name]
        if number is int:
            found[name] = checks.whole(one, f"{where}.{name}", int(least), int(most), hint)
        else:
            found[name] = checks.number(one, f"{where}.{name}", least, most, hint)
    return found
