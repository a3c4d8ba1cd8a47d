"""Values of JSON from outside, and the pieces of chat bodies that every provider dialect takes apart.

What a provider sent is read without trusting it: what is missing or of another type is the empty one. What a caller sent is
checked: what cannot be used is BadInput that names the field.
"""

import base64
import binascii
import json
import mimetypes
import os
import re
from collections.abc import Iterator
from typing import Any

import orjson

from noria.core.errors import BadInput
from noria.gateway import payload
from noria.gateway.dialects.base import Json

_MOST = 10**9
BROKEN = "INVALID_JSON"
"""The name under which arguments of a call stand that are no JSON object."""
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def count(value: Any) -> int:
    return min(value, _MOST) if type(value) is int and value > 0 else 0


def obj(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def new_id(prefix: str) -> str:
    """An id for an answer or a call whose provider gave none."""
    return f"{prefix}{os.urandom(12).hex()}"


def arguments(value: Any) -> str:
    """A call's input as the JSON text that chat has for it."""
    told = obj(value)
    try:
        return orjson.dumps(told).decode()
    except TypeError:  # half a surrogate pair, which only JSON's escapes can carry
        return json.dumps(told)


def tool_input(value: Any) -> Json:
    """A call's arguments, JSON text in chat, as an object; what is none stands under BROKEN."""
    if isinstance(value, dict):
        return value
    written = text(value)
    if not written.strip():
        return {}
    told = parsed(written)
    return told if isinstance(told, dict) else {BROKEN: written}


def parsed(written: str) -> Any:
    """The JSON in a text, None when it is none."""
    try:
        return payload.tolerant(written.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None


def turns(messages: Any) -> Iterator[tuple[str, Json, str]]:
    """(role, message, where) of each message. Raises BadInput for what is no message."""
    if not isinstance(messages, list):
        raise BadInput('"messages" must be a list.')
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise BadInput(f'"{where}" must be an object.')
        role = "system" if message.get("role") == "developer" else message.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            raise BadInput(f'"{where}.role" must be system, developer, user, assistant or tool.')
        yield role, message, where


def parts(content: Any, where: str) -> Iterator[tuple[str, Json, str]]:
    """(type, part, where) of each part of a message's content; a plain text is one part."""
    if content is None or content == "":
        return
    if isinstance(content, str):
        yield "text", {"type": "text", "text": content}, where
        return
    if not isinstance(content, list):
        raise BadInput(f'"{where}" must be text or a list of parts.')
    for index, part in enumerate(content):
        here = f"{where}[{index}]"
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise BadInput(f'"{here}" must be an object with a "type".')
        kind = part["type"]
        if kind in ("text", "refusal") and not isinstance(part.get(kind), str):
            raise BadInput(f'"{here}.{kind}" must be text.')
        yield kind, part, here


def plain_text(content: Any, where: str) -> str:
    """The text of a content that may hold nothing else."""
    said = []
    for kind, part, here in parts(content, where):
        if kind not in ("text", "refusal"):
            raise BadInput(f'"{here}" must be text: {kind!r} does not work here.')
        said.append(part[kind])
    return "\n".join(said)


def media(kind: str, part: Json, where: str) -> tuple[str, str, str]:
    """(type, data in base64, address) of an image, a sound or a file; either data or an address is there.

    Raises BadInput when it is none of them. The type is "" where nobody says it.
    """
    inner = obj(part.get(kind))
    name = text(inner.get("filename")) or text(inner.get("url"))
    if kind == "input_audio":
        return (
            f"audio/{text(inner.get('format')) or 'wav'}",
            checked_base64(inner.get("data"), f"{where}.{kind}.data"),
            "",
        )
    source = inner.get("url") if kind in ("image_url", "video_url") else inner.get("file_data") or inner.get("file_id")
    if kind == "image_url" and isinstance(part.get(kind), str):
        source = part[kind]
    if kind not in ("image_url", "video_url", "file") or not isinstance(source, str) or not source:
        raise BadInput(f'"{where}" holds {kind!r}, which the provider behind this endpoint cannot be told.')
    guessed = mimetypes.guess_type(name.partition("?")[0])[0] or ""
    if match := _DATA_URL.match(source):
        data = checked_base64(source[match.end() :], where)
        return match["type"] or guessed, data, ""
    if source.startswith("data:"):
        raise BadInput(f'"{where}" must hold its data as base64.')
    if kind == "file" and inner.get("file_data"):
        return guessed, checked_base64(source, f"{where}.file.file_data"), ""
    return guessed, "", source


def checked_base64(value: Any, where: str) -> str:
    """`value`. Raises BadInput unless it is base64."""
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise BadInput(f'"{where}" must be base64.') from error
    return str(value)


def calls(message: Json, where: str) -> Iterator[tuple[Json, str, str]]:
    """(call, name, where) of each tool call of an assistant. Raises BadInput for what is none."""
    if message.get("function_call") is not None or message.get("audio") is not None:
        raise BadInput(f'"{where}" holds a function_call or audio, which do not work here.', hint="Use tool_calls.")
    listed = message.get("tool_calls")
    if listed is not None and not isinstance(listed, list):
        raise BadInput(f'"{where}.tool_calls" must be a list.')
    for index, call in enumerate(listed or ()):
        here = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadInput(f'"{here}.function" must be an object with a "name".')
        yield call, function["name"], here


def functions(tools: Any) -> Iterator[tuple[Json, Json | None, str]]:
    """(tool, its function, where) of each tool; the function is None for a tool of another type."""
    if tools is None:
        return
    if not isinstance(tools, list):
        raise BadInput('"tools" must be a list.')
    for index, tool in enumerate(tools):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise BadInput(f'"{where}" must be an object.')
        if tool.get("type") != "function":
            yield tool, None, where
            continue
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadInput(f'"{where}.function" must be an object with a "name".')
        if function.get("parameters") is not None and not isinstance(function["parameters"], dict):
            raise BadInput(f'"{where}.function.parameters" must be an object.')
        yield tool, function, where


def chosen(choice: Any) -> tuple[str, list[str]]:
    """("auto" | "none" | "required" | "", names that may be called) of a `tool_choice`."""
    if choice is None:
        return "", []
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        return choice, []
    if isinstance(choice, dict) and choice.get("type") == "function":
        name = obj(choice.get("function")).get("name")
        if isinstance(name, str):
            return "required", [name]
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = obj(choice.get("allowed_tools"))
        names = [text(obj(tool.get("function")).get("name")) for tool in objects(allowed.get("tools"))]
        if allowed.get("mode") in ("auto", "required") and names and all(names):
            return str(allowed["mode"]), names
    raise BadInput('"tool_choice" must be auto, none, required or a function with a name.')


def schema_of(response_format: Any) -> tuple[str, Json]:
    """("text" | "json_object" | "json_schema", what json_schema says: name, schema, …) of a `response_format`."""
    kind = response_format.get("type") if isinstance(response_format, dict) else None
    if response_format is None or kind == "text":
        return "text", {}
    if kind == "json_object":
        return kind, {}
    wanted = obj(response_format.get("json_schema")) if isinstance(response_format, dict) else {}
    if kind != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise BadInput(
            '"response_format" must be text, json_object, or json_schema with a schema.',
            hint='Like {"type": "json_schema", "json_schema": {"name": …, "schema": …}}.',
        )
    return kind, wanted


def limit(chat: Json) -> Any:
    """The most tokens that an answer may have, under either of its names; None when nobody says."""
    most = chat.get("max_completion_tokens")
    return chat.get("max_tokens") if most is None else most


def stops(chat: Json) -> list[Any]:
    stop = chat.get("stop")
    if not stop:
        return []
    if isinstance(stop, str):
        return [stop]
    if not isinstance(stop, list) or not all(isinstance(one, str) for one in stop):
        raise BadInput('"stop" must be text or a list of texts.')
    return stop


def refuse(chat: Json, no_word: dict[str, tuple[Any, ...]]) -> None:
    """Raises BadInput for a name that the provider has no word for, unless its value asks for nothing."""
    for name, nothing in no_word.items():
        if chat.get(name) is not None and chat[name] not in nothing:
            raise BadInput(f"{name!r} does not work here: the provider behind this endpoint has no such thing.")
