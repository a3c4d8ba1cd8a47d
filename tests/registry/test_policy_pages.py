"""The page of a policy as a browser's forms use it: every part, guardrails, comparing, restoring; in both languages."""

import html
import re
from typing import Any

import pytest
from starlette.datastructures import FormData

from noria.core.errors import BadInput
from noria.registry import guardrails, pages, pages_policy, policy_forms, service
from noria.registry.policy import GUARDRAILS, Limits, Policy, decode
from noria.registry.policy_check import check_policy
from noria.web import i18n
from tests.registry.conftest import World
from tests.registry.test_pages import Browser, browser

__all__ = ["browser"]

pytestmark = pytest.mark.parametrize("registry_stores", ["sqlite"], indirect=True)

PAGE = "/endpoints/assistant/policy"
EXAMPLES: dict[str, dict[str, Any]] = {
    "pii": {"kinds": "EMAIL", "restore": "1", "action": "mask", "when": "both"},
    "deny": {"patterns": "(?i)secret\n\n<b>bold</b>\n", "ignore_case": "1", "message": "No.", "action": "refuse"},
    "allow": {"patterns": "order", "action": "flag"},
    "schema": {"schema": '{"type": "object"}', "repair": "1"},
    "injection": {"action": "flag"},
    "secrets": {"action": "mask", "when": "after"},
    "max_cost": {"dollars": "0.05"},
    "step": {"url": "http://127.0.0.1:9000/check", "payload": '{"strict": true}', "timeout_ms": "1,500"},
}
PARTS: list[tuple[str, dict[str, str], str]] = [
    ("limits", {"requests_per_minute": "6,000", "day_dollars": "2.50"}, "6,000 requests a minute"),
    ("cache", {"mode": "exact", "ttl_seconds": "7200"}, "given again for 2 h."),
    ("cache", {"mode": "semantic", "step": "http://127.0.0.1:9/e", "threshold": ".9"}, "(similarity .90 or more)"),
    ("fallbacks", {"fallbacks": "2, 1"}, "asked in this order"),
    ("retries", {"attempts": "2", "base_ms": "100"}, "tried up to 2 more times"),
    ("retries", {"attempts": "1"}, "tried 1 more time."),
    ("timeouts", {"connect": "2.5", "first_byte": "20"}, "2.5 s to connect, 20 s to its first byte"),
    ("breaker", {"failures": "5"}, "fails 5 times in a row within 30 s is left alone for 15 s"),
    ("hedge", {"after_ms": "900"}, "has not come after 900 ms"),
]


@pytest.fixture
def served(world: World) -> World:
    world.promote(world.release().number)
    world.ready(model="large")
    return world


def version(world: World) -> int:
    return service.get_policy(world.stores, world.project_id, "assistant").version


def policy(world: World) -> Policy:
    return decode(service.get_policy(world.stores, world.project_id, "assistant").policy)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("who", ["author", "reviewer"])
def test_the_page_opens_empty_and_full(served: World, browser: Browser, language: str, who: str) -> None:
    assert browser(who, PAGE, language=language).status_code == 200
    for kind, form in EXAMPLES.items():
        sent = {**form, "kind": kind, "base": str(version(served)), "reason": f"add {kind}"}
        assert browser("reviewer", f"{PAGE}/guardrails", sent).status_code == 200
    for part, form, _ in PARTS:
        browser("reviewer", f"{PAGE}/{part}", {**form, "base": str(version(served)), "reason": "x"})
    asked = ["", "?before=0&after=9", *(f"?guard={one}" for one in (*GUARDRAILS, 1, 8, 99, "x"))]
    for query in asked:
        answer = browser(who, PAGE + query, language=language)
        assert answer.status_code == 200, answer.text
        assert "<b>bold" not in answer.text and "<script>alert" not in answer.text
    assert browser(who, "/endpoints/assistant", language=language).status_code == 200
    assert browser(who, f"{PAGE}?before=0&after=99").status_code == 404


@pytest.mark.parametrize(("part", "form", "said"), PARTS)
def test_each_part_has_a_form(served: World, browser: Browser, part: str, form: dict[str, str], said: str) -> None:
    answer = browser("reviewer", f"{PAGE}/{part}", {**form, "base": "0", "reason": "for a test"})
    text = html.unescape(re.sub(r"\s+", " ", answer.text))
    assert answer.url.path == PAGE and said in text and "for a test" in text, text
    assert "The policy is changed." in text and version(served) == 1
    empty = {"base": "1", "reason": "back"}
    assert browser("reviewer", f"{PAGE}/{part}", empty).status_code == 200
    assert policy(served) == Policy(), "an empty form takes the part away"


def test_forms_that_cannot_be_used_say_why(served: World, browser: Browser) -> None:
    for part, form, said in (
        ("retries", {"attempts": "two"}, "is not a whole number"),
        ("retries", {"attempts": "9"}, "retries.attempts is a whole number from 0 to 5"),
        ("timeouts", {"connect": "soon"}, "is not a number"),
        ("timeouts", {"connect": "inf"}, "timeouts.connect"),
        ("fallbacks", {"fallbacks": "9"}, "has no release 9"),
        ("limits", {"day_dollars": "ten"}, "is not an amount of dollars"),
        ("guardrails", {"kind": "deny"}, "patterns is a list of 1 to 100"),
        ("guardrails", {"kind": "deni"}, "kind is one of"),
        ("guardrails", {"kind": "schema", "schema": "{"}, "schema is not JSON"),
        ("guardrails/7", {}, "There is no guardrail 7"),
    ):
        answer = browser("reviewer", f"{PAGE}/{part}", {**form, "base": "0", "reason": "x"})
        assert answer.status_code == 400 and said in html.unescape(answer.text), (part, answer.text)
    assert browser("reviewer", f"{PAGE}/hedge", {"after_ms": "5", "base": "0"}).status_code == 400, "a reason is wanted"
    assert version(served) == 0


def test_guardrails_are_added_changed_moved_and_removed(served: World, browser: Browser) -> None:
    for kind in ("pii", "deny", "max_cost"):
        base = str(version(served))
        browser("reviewer", f"{PAGE}/guardrails", {**EXAMPLES[kind], "kind": kind, "base": base, "reason": "x"})
    assert [one.kind for one in policy(served).guardrails] == ["pii", "deny", "max_cost"]
    deny = policy(served).guardrails[1]
    assert deny.options["patterns"] == ["(?i)secret", "<b>bold</b>"] and deny.options["ignore_case"]
    shown = browser("reviewer", f"{PAGE}?guard=3").text
    assert 'name="dollars"' in shown and 'value="0.05"' in shown
    changed = {"dollars": "0.2", "on_trouble": "open", "base": "3", "reason": "dearer"}
    browser("reviewer", f"{PAGE}/guardrails/3", changed)
    cost = policy(served).guardrails[2]
    assert (cost.kind, cost.options, cost.on_trouble) == ("max_cost", {"micros": 200_000}, "open")
    browser("reviewer", f"{PAGE}/guardrails/3/up", {"base": "4", "reason": "cheap to ask"})
    assert [one.kind for one in policy(served).guardrails] == ["pii", "max_cost", "deny"]
    stale = browser("reviewer", f"{PAGE}/guardrails/1/remove", {"base": "4", "reason": "x"})
    assert stale.status_code == 409 and len(policy(served).guardrails) == 3
    browser("reviewer", f"{PAGE}/guardrails/1/remove", {"base": "5", "reason": "not wanted"})
    assert [one.kind for one in policy(served).guardrails] == ["max_cost", "deny"]


def test_comparing_restoring_and_replacing(served: World, browser: Browser) -> None:
    browser("reviewer", f"{PAGE}/limits", {"concurrent": "4", "base": "0", "reason": "calm"})
    browser("reviewer", f"{PAGE}/limits", {"concurrent": "8", "base": "1", "reason": "less calm"})
    text = browser("author", f"{PAGE}?before=1&after=2").text
    assert "limits.concurrent\n<del>− 4</del>\n<ins>+ 8</ins>" in text
    answer = browser("reviewer", f"{PAGE}/restore", {"version": "1", "reason": "too lively"})
    assert "From version 2 to 3" in answer.text and policy(served).limits == Limits(concurrent=4)
    whole = {"policy": '{"hedge": {"after_ms": 700}}', "base": "3", "reason": "all new"}
    browser("reviewer", PAGE, whole)
    assert policy(served).limits == Limits() and policy(served).hedge.after_ms == 700
    assert browser("reviewer", PAGE, {**whole, "policy": "[]", "base": "4"}).status_code == 400


def test_only_reviewers_change_it(served: World, browser: Browser) -> None:
    browser("reviewer", f"{PAGE}/limits", {"concurrent": "4", "base": "0", "reason": "calm"})
    page = browser("author", PAGE).text
    assert '<form method="post" action="/endpoints' not in page and "Restore" not in page
    for path in ("", "/limits", "/restore", "/guardrails", "/guardrails/1", "/guardrails/1/remove"):
        form = {"base": "1", "version": "0", "kind": "pii", "policy": "{}", "reason": "x"}
        assert browser("author", PAGE + path, form).status_code == 403, path
    assert browser("author", "/endpoints/assistant/unshadow", {"reason": "x"}).status_code == 403


def test_a_shadow_from_form_to_history(served: World, browser: Browser) -> None:
    page = "/endpoints/assistant"
    assert "Let release 2 listen as the shadow" in browser("reviewer", f"{page}/releases/2").text
    answer = browser("reviewer", f"{page}/releases/2/shadow", {"share": "40", "reason": "listen"})
    assert "shadow 40 %" in answer.text and "hears 40 % of the sessions" in answer.text
    assert "Take the shadow away" in browser("reviewer", f"{page}/releases/2").text
    assert "shadow 40 %" in browser("author", "/endpoints").text
    assert "Take the shadow away" not in browser("author", page).text
    answer = browser("reviewer", f"{page}/unshadow", {"reason": "enough"})
    assert "release 2 is the shadow no more" in answer.text and served.state(2) == "approved"


def test_what_forms_show_can_be_sent_back(served: World) -> None:
    for kind, form in EXAMPLES.items():
        pairs = [(key, value) for key, value in {**form, "kind": kind}.items()]
        made = policy_forms.guardrail(kind, FormData(pairs))
        assert check_policy({"guardrails": [made]}).guardrails[0].kind == kind
    assert set(EXAMPLES) == set(GUARDRAILS) == set(guardrails.WHEN)
    with pytest.raises(BadInput):
        policy_forms.part("fallbacks", FormData([("fallbacks", "one")]))


def test_notices_have_korean(world: World) -> None:
    said = [pages_policy.CHANGED, *pages.NOTICES.values(), "The shadow is taken away. Its release is approved again."]
    assert i18n.missing_translations(said).get("", []) == []
