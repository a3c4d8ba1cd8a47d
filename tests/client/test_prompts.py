"""Prompts from a server that answers, fails or is away, and templates as the gateway renders them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import noria_client
from noria.core.errors import BadInput
from noria.registry.templates import compile_text
from noria_client import PromptUnavailable, prompt
from noria_client.templates import TemplateError, render
from tests.client.conftest import Configure
from tests.client.receiver import Receiver, receiving

PATH = "/api/prompts/support/versions/production"


def version(number: int, text: str) -> dict[str, Any]:
    return {"prompt": "support", "version": number, "format": "text", "template": text, "messages": []}


def test_a_prompt_is_fetched_once_then_refreshed_behind_the_callers_back(
    receiver: Receiver, configure: Configure
) -> None:
    receiver.answers[PATH] = version(1, "one {{x}}")
    configure(prompt_seconds=0.0)
    assert prompt("support").text(x=1) == "one 1"
    receiver.answers[PATH] = version(2, "two")
    assert prompt("support").version == 1
    receiver.wait(lambda: len(receiver.gets) == 2)
    while prompt("support").version == 1:
        receiver.wait(lambda: True)
    receiver.status = 503
    assert prompt("support", fallback="never").version == 2
    assert prompt("support").attributes() == {"gen_ai.prompt.name": "support", "gen_ai.prompt.version": 2}


def test_a_fixed_version_is_fetched_once(receiver: Receiver, configure: Configure) -> None:
    receiver.answers["/api/prompts/support/versions/3"] = {
        **version(3, ""),
        "format": "chat",
        "messages": [{"role": "system", "content": "Help {{who}}."}, {"role": "messages"}],
    }
    configure(prompt_seconds=0.0)
    for _ in range(3):
        told = prompt("support", version=3).chat([{"role": "user", "content": "{{hi}}"}], who="Kim")
    assert told == [{"role": "system", "content": "Help Kim."}, {"role": "user", "content": "{{hi}}"}]
    assert len(receiver.gets) == 1


def test_a_fallback_stands_in(receiver: Receiver, configure: Configure) -> None:
    configure()
    told = prompt("support", fallback=[{"role": "system", "content": "Hi."}])
    assert (told.is_fallback, told.format, told.chat()) == (True, "chat", [{"role": "system", "content": "Hi."}])
    with pytest.raises(PromptUnavailable, match="support"):
        prompt("support")
    assert len(receiver.gets) == 1, "who has just failed is not waited for again"


def test_a_server_that_is_away_is_not_waited_for(configure: Configure) -> None:
    with receiving() as away:
        url = away.url
    configure(url=url)
    assert prompt("support", fallback="text").text() == "text"


TAGS = [
    "{{a}}",
    "{{b.c}}",
    "{{{a}}}",
    "{{#a}}",
    "{{/a}}",
    "{{^a}}",
    "{{#b}}",
    "{{/b}}",
    "{{.}}",
    "{{! note }}",
    '{{"{{"}}',
]
TEXTS = [" ", "\n", "\r\n", "물", "{", "}}", "x", "\t", "{{#d}}", "{{/d}}", "{{ e }}", "{{"]
TEMPLATES = st.lists(st.sampled_from([*TAGS, *TEXTS]), max_size=14).map("".join)
VALUES = st.sampled_from([None, "", "text", 0, 1.5, True, [], [1, "z"], {"c": "in"}, {"c": None, "a": 2}, {"c": [1]}])


@given(template=TEMPLATES, a=VALUES, b=VALUES, d=VALUES)
def test_a_template_renders_as_it_does_on_the_server(template: str, a: Any, b: Any, d: Any) -> None:
    variables = {"a": a, "b": b, "d": d}
    try:
        expected = compile_text(template).render(variables)
    except BadInput:
        with pytest.raises(TemplateError):
            render(template, variables)
        return
    assert render(template, variables) == expected


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(TemplateError, match="'a'"):
        render("{{a}}", {"a": Path})
    with pytest.raises(TemplateError, match="not given"):
        render("{{a}}", {})
    assert noria_client.TemplateError is TemplateError
