"""A caller's request, checked as far as its translation and the span need: BadInput names the field that is wrong.

Source: platform.claude.com/docs/en/api/messages/create, November 2026. The decision to know: only what would be
misunderstood is refused; block types, tools and fields that are not known here pass on unread.
"""

from collections.abc import Callable
from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json

_ROLES = ("user", "assistant", "system")
_CHOICES = ("auto", "any", "tool", "none")


def check(body: Json, *, counting: bool = False) -> None:
    """Raises BadInput. A request to count tokens needs no `max_tokens`."""
    most = body.get("max_tokens")
    if (most is not None or not counting) and (type(most) is not int or most < 0):
        raise BadInput('"max_tokens" must be a whole number of tokens.', hint="Anthropic's dialect requires it.")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadInput('"messages" must be a list with at least one message.')
    for index, message in enumerate(messages):
        _message(message, f"messages[{index}]")
    if body.get("system") is not None:
        _content(body["system"], "system", _TEXT_ONLY)
    _parameters(body)
    _tools(body)


def _parameters(body: Json) -> None:
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and (type(value) not in (int, float) or not 0 <= value <= 1):
            raise BadInput(f'"{name}" must be a number from 0 to 1.')
    for name in ("metadata", "thinking", "output_config", "tool_choice"):
        if body.get(name) is not None and not isinstance(body[name], dict):
            raise BadInput(f'"{name}" must be an object.')
    sequences = body.get("stop_sequences")
    if sequences is not None and not (isinstance(sequences, list) and all(isinstance(one, str) for one in sequences)):
        raise BadInput('"stop_sequences" must be a list of texts.')
    user = (body.get("metadata") or {}).get("user_id")
    if user is not None and not isinstance(user, str):
        raise BadInput('"metadata.user_id" must be text.')
    form = (body.get("output_config") or {}).get("format")
    if form is not None and not (isinstance(form, dict) and isinstance(form.get("schema"), dict)):
        raise BadInput('"output_config.format" must be an object with a "schema".')


def _tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise BadInput('"tools" must be a list.')
    for index, tool in enumerate(tools or ()):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise BadInput(f'"{where}" must be an object.')
        if tool.get("type") in (None, "custom"):
            _need(tool, "name", str, where, "text")
            _need(tool, "input_schema", dict, where, "an object")
    choice = body.get("tool_choice")
    if choice is None:
        return
    if choice.get("type") not in _CHOICES:
        raise BadInput(f'"tool_choice.type" must be one of {", ".join(_CHOICES)}.')
    if choice["type"] == "tool":
        _need(choice, "name", str, "tool_choice", "text")


def _message(message: Any, where: str) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise BadInput(f'"{where}" must be an object whose "role" is one of {", ".join(_ROLES)}.')
    _content(message.get("content"), f"{where}.content", _BLOCKS)


def _content(content: Any, where: str, known: dict[str, Callable[[Json, str], None]]) -> None:
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise BadInput(f'"{where}" must be text or a list of blocks.')
    for index, block in enumerate(content):
        at = f"{where}[{index}]"
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise BadInput(f'"{at}" must be an object with a "type".')
        if checked := known.get(block["type"]):
            checked(block, at)
        elif known is _TEXT_ONLY:
            raise BadInput(f'"{at}" must be text.')


def _text(block: Json, where: str) -> None:
    _need(block, "text", str, where, "text")


def _sourced(block: Json, where: str) -> None:
    _need(block, "source", dict, where, "an object")


def _tool_use(block: Json, where: str) -> None:
    _need(block, "id", str, where, "text")
    _need(block, "name", str, where, "text")
    _need(block, "input", dict, where, "an object")


def _tool_result(block: Json, where: str) -> None:
    _need(block, "tool_use_id", str, where, "text")
    if block.get("content") is not None:
        _content(block["content"], f"{where}.content", _RESULT)


def _need(value: Json, name: str, kind: type, where: str, what: str) -> None:
    if not isinstance(value.get(name), kind):
        raise BadInput(f'"{where}.{name}" must be {what}.')


_TEXT_ONLY: dict[str, Callable[[Json, str], None]] = {"text": _text}
_RESULT: dict[str, Callable[[Json, str], None]] = {"text": _text, "image": _sourced, "document": _sourced}
_BLOCKS: dict[str, Callable[[Json, str], None]] = {**_RESULT, "tool_use": _tool_use, "tool_result": _tool_result}
