"""Prompt templates: text with variables and sections in, compiled once into segments, rendered by a join.

    {{name}}  {{customer.city}}     a value; text goes in as it is, other values as JSON; null gives nothing
    {{#items}}…{{/items}}           once for each item of a list, or once when the value is true; {{.}} is the item
    {{^items}}…{{/items}}           when the value is missing, false or empty
    {{! a remark }}                 nothing
    {{"{{"}}                        the quoted text itself, for braces that are meant

Sections and remarks alone on a line take the whole line with them. A message in the section `messages` has `role`,
`content` (text), `first`, `last` and `is_system`, `is_user`, `is_assistant`, `is_tool`; `{{input}}` is the text of the
caller's last user message. A leaf: gateway and training both render here, so that training text equals serving text.

The decision to know: a *variable* that nobody gave is an error, because an empty hole in a prompt goes unnoticed for
weeks; a *section* over a missing name is simply false, which is how optional parts are written. There are no calls,
filters or attributes, and values are never parsed again, so a template has nothing to escape from.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from noria.core.errors import BadInput
from noria.core.records import Message
from noria.registry.snapshot import PromptEntry

_NAME = re.compile(r"\.|[^\W\d][\w-]*(?:\.[\w-]+)*")
_MAX_DEPTH = 32
_MAX_STEPS = 100_000
_MAX_CHARS = 8_000_000
_BRACES_HINT = 'For two braces that are meant, write {{"{{"}}.'
_ROLES = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class _Variable:
    path: tuple[str, ...]
    where: str


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[str, ...]
    inverted: bool
    nodes: "tuple[_Node, ...]"


_Node = str | _Variable | _Section


@dataclass(frozen=True, slots=True)
class CompiledText:
    """A checked template. `names` are the top names it reads, for forms and for warnings."""

    nodes: tuple[_Node, ...]
    names: frozenset[str]

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text. Raises BadInput for a variable that was not given, or an answer that grows without bound."""
        rendering = _Rendering()
        rendering.run(self.nodes, [variables])
        return "".join(rendering.out)


@lru_cache(maxsize=1024)
def compile_text(template: str) -> CompiledText:
    """The template, checked. Raises BadInput that names line and column."""
    return _Compiler(template).compile()


def render_prompt(entry: PromptEntry, messages: list[Message], variables: Mapping[str, Any]) -> str | list[Message]:
    """What the provider gets: text for a prompt of format "text", messages for one of format "chat".

    In a chat prompt the entry {"role": "messages"} stands for the caller's messages, which pass through untouched.
    """
    seen: dict[str, Any] = {"messages": _views(messages), "input": _last_user(messages), **variables}
    if entry.format == "text":
        return compile_text(entry.template).render(seen)
    rendered: list[Message] = []
    for part in entry.messages:
        if part["role"] == "messages":
            rendered.extend(messages)
        else:
            rendered.append({**part, "content": compile_text(part.get("content", "")).render(seen)})
    return rendered


def content_text(content: Any) -> str:
    """A message's content as text: a list of parts is flattened to its text parts, one a line."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, list):
        return "\n".join(filter(None, (_part_text(part) for part in content)))
    return _text(content)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    return ""


def _views(messages: list[Message]) -> list[dict[str, Any]]:
    end = len(messages) - 1
    return [
        {
            **message,
            "content": content_text(message.get("content")),
            "first": index == 0,
            "last": index == end,
            **{f"is_{role}": message.get("role") == role for role in _ROLES},
        }
        for index, message in enumerate(messages)
    ]


def _last_user(messages: list[Message]) -> str:
    for message in reversed(messages):
        if message.get("role") == "user":
            return content_text(message.get("content"))
    return ""


class _Rendering:
    def __init__(self) -> None:
        self.out: list[str] = []
        self._chars = 0
        self._steps = 0

    def run(self, nodes: tuple[_Node, ...], scopes: list[Any]) -> None:
        for node in nodes:
            if isinstance(node, str):
                self._put(node)
            elif isinstance(node, _Variable):
                found, value = _look_up(node.path, scopes)
                if not found:
                    raise BadInput(
                        f"The prompt needs the variable {'.'.join(node.path)!r} ({node.where}), which was not given.",
                        hint='Send it as "noria": {"variables": {…}}, or make it optional with a section.',
                    )
                self._put(_text(value))
            else:
                for scope in _scopes_of(node, scopes):
                    self._step()
                    self.run(node.nodes, [*scopes, scope])

    def _put(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > _MAX_CHARS:
            raise BadInput(f"The rendered prompt is longer than {_MAX_CHARS:,} characters.", hint="Send less.")
        self.out.append(text)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise BadInput(f"The prompt's sections repeat more than {_MAX_STEPS:,} times.", hint="Send shorter lists.")


def _scopes_of(section: _Section, scopes: list[Any]) -> Iterator[Any]:
    _, value = _look_up(section.path, scopes)
    if section.inverted:
        return iter(()) if value else iter((scopes[-1],))
    if isinstance(value, list | tuple):
        return iter(value)
    return iter((value,)) if value else iter(())


def _look_up(path: tuple[str, ...], scopes: list[Any]) -> tuple[bool, Any]:
    """The innermost scope that has the path's first name decides."""
    if path == (".",):
        return True, scopes[-1]
    for scope in reversed(scopes):
        if isinstance(scope, Mapping) and path[0] in scope:
            value: Any = scope[path[0]]
            for name in path[1:]:
                if not isinstance(value, Mapping) or name not in value:
                    return False, None
                value = value[name]
            return True, value
    return False, None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError) as error:
        raise BadInput(f"A prompt variable cannot be written as text: {type(value).__name__}.") from error


@dataclass(slots=True)
class _Open:
    """A section whose end has not come yet."""

    name: str
    inverted: bool
    start: int
    nodes: list[_Node]


class _Compiler:
    """One pass over the template; `_at` is where the next tag is looked for."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._at = 0
        self._stack = [_Open("", False, 0, [])]
        self._names: set[str] = set()

    def compile(self) -> CompiledText:
        template = self._template
        while (start := template.find("{{", self._at)) >= 0:
            body, end = self._tag(start)
            text_end, next_at = start, end
            if body[:1] in {"#", "^", "/", "!"}:
                text_end, next_at = self._whole_line(start, end)
            self._literal(template[self._at : text_end])
            self._add(body, start)
            self._at = next_at
        self._literal(template[self._at :])
        unfinished = self._stack.pop()
        if self._stack:
            raise self._error(unfinished.start, f"the section {unfinished.name!r} is never closed")
        return CompiledText(tuple(unfinished.nodes), frozenset(self._names))

    def _tag(self, start: int) -> tuple[str, int]:
        """What stands between the braces at `start`, and where the tag ends."""
        template = self._template
        if template.startswith('{{"', start):
            closing, skip = '"}}', 2
        elif template.startswith("{{!", start):
            closing, skip = "}}", 2
        elif template.startswith("{{{", start):
            closing, skip = "}}}", 3
        else:
            closing, skip = "}}", 2
        end = template.find(closing, start + 2)
        if end < 0:
            raise self._error(start, f"this tag is never closed by {closing}", _BRACES_HINT)
        body = template[start + skip : end]
        if closing == '"}}':
            body += '"'
        return body.strip(), end + len(closing)

    def _whole_line(self, start: int, end: int) -> tuple[int, int]:
        """A tag alone on its line takes the line's blanks and its end with it."""
        template = self._template
        line_start = template.rfind("\n", 0, start) + 1
        line_end = template.find("\n", end)
        after = template[end:] if line_end < 0 else template[end:line_end]
        if line_start < self._at or template[line_start:start].strip(" \t") or after.strip(" \t\r"):
            return start, end
        return line_start, len(template) if line_end < 0 else line_end + 1

    def _add(self, body: str, start: int) -> None:
        kind = body[:1]
        if kind == "!":
            return
        if kind == '"':
            self._literal(body[1:-1])
        elif kind in {"#", "^"}:
            name = self._name(body[1:], start)
            if len(self._stack) > _MAX_DEPTH:
                raise self._error(start, f"sections are nested deeper than {_MAX_DEPTH}")
            self._stack.append(_Open(name, kind == "^", start, []))
        elif kind == "/":
            self._close(self._name(body[1:], start), start)
        elif kind in {">", "=", "&"}:
            raise self._error(start, f"{{{{{kind} is not part of this template language", _BRACES_HINT)
        else:
            path = _path(self._name(body, start))
            self._stack[-1].nodes.append(_Variable(path, self._where(start)))

    def _close(self, name: str, start: int) -> None:
        if len(self._stack) == 1:
            raise self._error(start, f"the section {name!r} was never opened")
        section = self._stack.pop()
        if section.name != name:
            raise self._error(
                start, f"{name!r} is closed here, but {section.name!r} ({self._where(section.start)}) is open"
            )
        self._stack[-1].nodes.append(_Section(_path(name), section.inverted, tuple(section.nodes)))

    def _name(self, text: str, start: int) -> str:
        name = text.strip()
        if not _NAME.fullmatch(name):
            raise self._error(start, f"{name[:40]!r} is not a name", _BRACES_HINT)
        if len(self._stack) == 1 and name != ".":
            self._names.add(name.partition(".")[0])
        return name

    def _literal(self, text: str) -> None:
        if text:
            self._stack[-1].nodes.append(text)

    def _where(self, at: int) -> str:
        line = self._template.count("\n", 0, at) + 1
        return f"line {line}, column {at - self._template.rfind(chr(10), 0, at)}"

    def _error(self, at: int, what: str, hint: str = "") -> BadInput:
        return BadInput(f"Prompt template, {self._where(at)}: {what}.", hint=hint)


def _path(name: str) -> tuple[str, ...]:
    return (".",) if name == "." else tuple(name.split("."))
