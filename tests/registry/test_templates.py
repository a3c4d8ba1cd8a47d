"""Templates: what renders, what is refused and where, and what a caller's values cannot do."""

from typing import Any

import pytest

from noria.core.errors import BadInput
from noria.registry.snapshot import PromptEntry
from noria.registry.templates import compile_text, content_text, render_prompt


@pytest.mark.parametrize(
    ("template", "variables", "text"),
    [
        ("", {}, ""),
        ("Hello {{name}}", {"name": "Mina"}, "Hello Mina"),
        ("{{ a.b.c }}", {"a": {"b": {"c": 1}}}, "1"),
        ("{{이름}}", {"이름": "민아"}, "민아"),
        (
            "{{x}}|{{y}}|{{z}}|{{n}}",
            {"x": True, "y": [1, "é"], "z": {"k": None}, "n": None},
            'true|[1,"é"]|{"k":null}|',
        ),
        ("{{#xs}}[{{.}}]{{/xs}}", {"xs": ["a", 2]}, "[a][2]"),
        ("{{#ms}}{{role}}: {{content}}\n{{/ms}}", {"ms": [{"role": "user", "content": "hi"}]}, "user: hi\n"),
        ("{{^xs}}none{{/xs}}{{#xs}}some{{/xs}}", {"xs": []}, "none"),
        ("{{#gone}}x{{/gone}}", {}, ""),
        ("{{#a}}{{outer}}{{/a}}", {"a": {"b": 1}, "outer": "o"}, "o"),
        ("a{{! a remark with {braces} }}b", {}, "ab"),
        ('{"call": {{call}}}', {"call": "x"}, '{"call": x}'),
        ("{{{raw}}}", {"raw": "<&>"}, "<&>"),
        ('write {{"{{"}}name}}', {}, "write {{name}}"),
        ("list:\n{{#xs}}\n- {{.}}\n{{/xs}}\nend", {"xs": [1, 2]}, "list:\n- 1\n- 2\nend"),
        ("  {{! alone }}  \r\nnext", {}, "next"),
        ("{{#a}}\n{{/a}}", {"a": 1}, ""),
    ],
)
def test_renders(template: str, variables: dict[str, Any], text: str) -> None:
    assert compile_text(template).render(variables) == text


@pytest.mark.parametrize(
    ("template", "where", "what"),
    [
        ("a\n b {{name", "line 2, column 4", "never closed"),
        ("{{#a}}", "line 1, column 1", "'a' is never closed"),
        ("x{{/a}}", "line 1, column 2", "never opened"),
        ("{{#a}}\n{{#b}}{{/a}}{{/b}}", "line 2, column 7", "'b' (line 2, column 1) is open"),
        ("{{a b}}", "line 1, column 1", "not a name"),
        ("{{}}", "line 1, column 1", "not a name"),
        ("{{x.__class__()}}", "line 1, column 1", "not a name"),
        ("{{>part}}", "line 1, column 1", "not part of this template language"),
        ("{{#a}}" * 40, "line 1", "nested deeper"),
    ],
)
def test_says_where_a_template_is_wrong(template: str, where: str, what: str) -> None:
    with pytest.raises(BadInput) as caught:
        compile_text(template)
    assert where in caught.value.message
    assert what in caught.value.message


def test_a_missing_variable_is_an_error_that_names_it() -> None:
    with pytest.raises(BadInput, match=r"'customer\.city' \(line 2, column 1\)"):
        compile_text("Hi\n{{customer.city}}").render({"customer": {}})


def test_values_are_never_parsed_and_have_no_attributes() -> None:
    assert compile_text("{{a}}").render({"a": "{{b}}", "b": "secret"}) == "{{b}}"
    with pytest.raises(BadInput):
        compile_text("{{a.__class__}}").render({"a": "text"})


def test_output_and_repetition_are_bounded() -> None:
    with pytest.raises(BadInput, match="repeat"):
        compile_text("{{#a}}{{#a}}{{#a}}{{/a}}{{/a}}{{/a}}").render({"a": [1] * 1000})
    with pytest.raises(BadInput, match="longer"):
        compile_text("{{#a}}{{b}}{{/a}}").render({"a": [1] * 1000, "b": "x" * 100_000})


def test_names_are_the_outermost_ones() -> None:
    assert compile_text("{{a.b}}{{#c}}{{d}}{{/c}}").names == {"a", "c"}


def test_a_text_prompt_sees_the_messages_as_text() -> None:
    entry = PromptEntry(
        "call",
        1,
        "text",
        template="{{#messages}}{{#is_user}}Customer{{/is_user}}{{^is_user}}Agent{{/is_user}}: {{content}}\n{{/messages}}Call:",
    )
    messages: list[dict[str, Any]] = [
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "Book"}, {"type": "text", "text": "a table"}]},
    ]
    assert render_prompt(entry, messages, {}) == "Agent: Hello\nCustomer: Book\na table\nCall:"


def test_a_chat_prompt_places_the_callers_messages_untouched() -> None:
    parts = [
        {"role": "system", "content": "You help {{shop}}."},
        {"role": "messages"},
        {"role": "user", "content": "{{input}}?"},
    ]
    message = {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "{{shop}}"}],
    }
    assert render_prompt(PromptEntry("p", 1, "chat", messages=parts), [message], {"shop": "us"}) == [
        {"role": "system", "content": "You help us."},
        message,
        {"role": "user", "content": "{{shop}}?"},
    ]


def test_content_as_text() -> None:
    assert content_text(None) == ""
    assert content_text(["a", {"type": "text", "text": "b"}, {"type": "image_url"}, 3]) == "a\nb"
