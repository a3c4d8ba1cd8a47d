"""Prompt templates, rendered here as the gateway renders them; the language is described in Noria's docs.

The decision to know: a value that nobody gave is an error, a section over a missing name is false. tests/client/test_templates.py
holds this file to the server's renderer.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Write = Callable[[str], None]
Node = Callable[[list[Any], Write], None]
_TAG: Final = re.compile(
    r'\{\{(?:"(?P<quoted>.*?)"|!(?P<remark>.*?)|\{(?P<triple>.*?)\}|(?P<sign>[#^/])?(?P<name>.*?))\}\}', re.S
)
_NAME: Final = re.compile(r"\.|[^\W\d][\w-]*(?:\.[\w-]+)*")
_BLANKS: Final = " \t\r"
_ABSENT: Final = object()


class TemplateError(ValueError):
    """The template cannot be read, or a value that it needs was not given."""


def render(template: str, variables: Mapping[str, Any]) -> str:
    """The text. Raises TemplateError."""
    written: list[str] = []
    for node in _Reader(template).read():
        node([variables], written.append)
    return "".join(written)


def render_messages(
    parts: Sequence[Mapping[str, str]], given: Sequence[Any], variables: Mapping[str, Any]
) -> list[Any]:
    """A chat prompt's messages, with the caller's in the place that is kept for them."""
    told: list[Any] = []
    for part in parts:
        if part["role"] == "messages":
            told.extend(given)
        else:
            told.append({**part, "content": render(part.get("content", ""), variables)})
    return told


class _Reader:
    """From a template to functions that write it."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._open: list[tuple[str, bool, list[Node]]] = [("", False, [])]

    def read(self) -> list[Node]:
        at = 0
        while tag := _TAG.search(self._template, at):
            start, end = tag.span()
            if tag["sign"] or tag["remark"] is not None:
                start, end = self._line_of(start, end, at)
            self._literal(self._template[at:start])
            self._tag(tag)
            at = end
        rest = self._template[at:]
        if "{{" in rest:
            raise TemplateError("A tag of the template is never closed.")
        self._literal(rest)
        if len(self._open) > 1:
            raise TemplateError(f"The section {self._open[-1][0]!r} is never closed.")
        return self._open[0][2]

    def _tag(self, tag: re.Match[str]) -> None:
        if tag["quoted"] is not None:
            self._literal(tag["quoted"])
        elif tag["remark"] is None:
            name = (tag["triple"] if tag["triple"] is not None else tag["name"]).strip()
            if not _NAME.fullmatch(name):
                raise TemplateError(f"{name[:40]!r} is not a name.")
            match tag["sign"]:
                case "#" | "^":
                    self._open.append((name, tag["sign"] == "^", []))
                case "/":
                    self._close(name)
                case _:
                    self._open[-1][2].append(_value(name))

    def _close(self, name: str) -> None:
        opened, inverted, nodes = self._open[-1]
        if opened != name:
            raise TemplateError(f"{name!r} is closed where {opened!r} is open.")
        self._open.pop()
        self._open[-1][2].append(_section(name, inverted, nodes))

    def _literal(self, text: str) -> None:
        if text:
            self._open[-1][2].append(lambda _, write: write(text))

    def _line_of(self, start: int, end: int, after: int) -> tuple[int, int]:
        """A tag that stands alone on its line stands for the line."""
        begin = self._template.rfind("\n", 0, start) + 1
        line_end = self._template.find("\n", end)
        line_end = len(self._template) if line_end < 0 else line_end + 1
        around = self._template[begin:start] + self._template[end:line_end].removesuffix("\n")
        alone = begin >= after and not around.strip(_BLANKS) and "\r" not in self._template[begin:start]
        return (begin, line_end) if alone else (start, end)


def _value(name: str) -> Node:
    def write_value(scopes: list[Any], write: Write) -> None:
        value = _find(name, scopes)
        if value is _ABSENT:
            raise TemplateError(f"The prompt needs the variable {name!r}, which was not given.")
        write(_text(value, name))

    return write_value


def _section(name: str, inverted: bool, nodes: list[Node]) -> Node:
    def write_section(scopes: list[Any], write: Write) -> None:
        value = _find(name, scopes)
        true = value is not _ABSENT and bool(value)
        inner: Sequence[Any] = []
        if inverted:
            inner = [] if true else [scopes[-1]]
        elif true:
            inner = value if isinstance(value, list | tuple) else [value]
        for scope in inner:
            for node in nodes:
                node([*scopes, scope], write)

    return write_section


def _find(name: str, scopes: list[Any]) -> Any:
    if name == ".":
        return scopes[-1]
    first, *rest = name.split(".")
    for scope in reversed(scopes):
        if isinstance(scope, Mapping) and first in scope:
            value = scope[first]
            for step in rest:
                if not isinstance(value, Mapping) or step not in value:
                    return _ABSENT
                value = value[step]
            return value
    return _ABSENT


def _text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TemplateError(f"The variable {name!r} cannot be written as text.") from error
