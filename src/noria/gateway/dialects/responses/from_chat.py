"""A chat body, told as a Responses request.

In: chat messages and parameters. Out: `input` items and parameters. Three decisions to know. `store` is false unless the
caller asked otherwise: chat keeps nothing by default, Responses does. A function without `strict` is told `strict: false`,
because that is what chat means by leaving it out. Reasoning is told only where its `reasoning_details` came from a Responses
provider that can read it again: encrypted, as open text, or by its id where the provider keeps it. Bare `reasoning_content`
is for people; a provider refuses thoughts that it cannot recognise as its own.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.input import FORMAT
from noria.gateway.dialects.responses.values import (
    given,
    mapping,
    objects,
    rest,
    text,
    wanted_list,
    wanted_object,
    wanted_text,
)

_TOLD = (
    *("messages", "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "response_format"),
    *(
        "verbosity",
        "reasoning_effort",
        "reasoning",
        "text",
        "tools",
        "tool_choice",
        "logprobs",
        "top_logprobs",
        "include",
    ),
)
_UNSAID: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stop": ([],),
    "seed": (),
    "logit_bias": ({},),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "prediction": (),
    "audio": (),
    "modalities": (["text"],),
    "web_search_options": (),
    "functions": ([],),
    "function_call": (),
}
"""Parameters without a word in Responses, and their values that change nothing."""

_MESSAGE = (
    *("role", "content", "refusal", "tool_calls", "tool_call_id", "annotations"),
    *("reasoning", "reasoning_content", "reasoning_details"),
)


def from_chat(chat: Json) -> Json:
    """Raises BadInput that names what is wrong, or what Responses cannot say."""
    items: list[Json] = []
    custom: set[str] = set()
    for index, message in enumerate(wanted_list(chat.get("messages"), "messages")):
        items += _items(wanted_object(message, f"messages[{index}]"), f"messages[{index}]", custom)
    told: Json = {"store": False, **parameters(chat)}
    told["input"] = [item for item in items if told["store"] or _readable(item)]
    if told.get("reasoning", {}).get("effort") not in (None, "none") and not told["store"]:
        told["include"] = [*told.get("include", []), "reasoning.encrypted_content"]
    return told


def _readable(item: Json) -> bool:
    return item["type"] != "reasoning" or bool(item.get("encrypted_content") or item.get("content"))


def parameters(chat: Json) -> Json:
    """Everything but the messages. Raises BadInput for a parameter that Responses cannot say."""
    told = rest(chat, *_TOLD, *_UNSAID)
    for name, harmless in _UNSAID.items():
        if (value := chat.get(name)) is not None and value not in harmless:
            raise BadInput(f'"{name}" does not work here: this endpoint\'s provider speaks the Responses API.')
    limit = chat.get("max_completion_tokens")
    if (limit := chat.get("max_tokens") if limit is None else limit) is not None:
        told["max_output_tokens"] = limit
    if config := _text(chat):
        told["text"] = config
    reasoning = wanted_object(chat["reasoning"], "reasoning") if chat.get("reasoning") is not None else {}
    if chat.get("reasoning_effort") is not None:
        reasoning = {**reasoning, "effort": chat["reasoning_effort"]}
    if reasoning:
        told["reasoning"] = reasoning
    return told | _tools(chat) | _logprobs(chat)


def _text(chat: Json) -> Json:
    config = wanted_object(chat["text"], "text") if chat.get("text") is not None else {}
    config = {**config, **given(chat, "verbosity")}
    if chat.get("response_format") is not None:
        wanted = wanted_object(chat["response_format"], "response_format")
        if wanted.get("type") == "json_schema":
            wanted = {"type": "json_schema", **wanted_object(wanted.get("json_schema"), "response_format.json_schema")}
        config["format"] = wanted
    return config


def _logprobs(chat: Json) -> Json:
    include = chat.get("include")
    listed = [] if include is None else wanted_list(include, "include")
    told: Json = given(chat, "top_logprobs") if chat.get("logprobs") else {}
    if chat.get("logprobs"):
        listed = [*listed, "message.output_text.logprobs"]
    return {**told, "include": listed} if listed else told


def _tools(chat: Json) -> Json:
    told: Json = {}
    if chat.get("tools") is not None:
        tools = wanted_list(chat["tools"], "tools")
        told["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    if (choice := chat.get("tool_choice")) is not None:
        told["tool_choice"] = choice if isinstance(choice, str) else _choice(wanted_object(choice, "tool_choice"))
    return told


def _tool(raw: Any, field: str) -> Json:
    tool = wanted_object(raw, field)
    kind = wanted_text(tool.get("type"), f"{field}.type")
    if kind not in ("function", "custom"):
        return tool  # a tool that only a Responses provider knows
    inner = wanted_object(tool.get(kind), f"{field}.{kind}")
    if kind == "function":
        return {"type": kind, "parameters": None, "strict": False, **rest(inner)}
    if isinstance(shape := inner.get("format"), dict) and shape.get("type") == "grammar":
        inner = {**inner, "format": {"type": "grammar", **mapping(shape.get("grammar"))}}
    return {"type": kind, **rest(inner)}


def _choice(choice: Json) -> Json:
    kind = text(choice.get("type"))
    inner = mapping(choice.get(kind))
    if kind == "allowed_tools":
        tools = [{"type": tool.get("type"), **_named(tool)} for tool in objects(inner.get("tools"))]
        return {"type": kind, "mode": inner.get("mode") or "auto", "tools": tools}
    return {"type": kind, **inner} if kind in ("function", "custom") else choice


def _named(tool: Json) -> Json:
    return mapping(tool.get(text(tool.get("type")))) or rest(tool, "type")


def _items(message: Json, field: str, custom: set[str]) -> list[Json]:
    role = message.get("role")
    if message.get("name") is not None or message.get("audio") is not None or message.get("function_call") is not None:
        name = next(name for name in ("name", "audio", "function_call") if message.get(name) is not None)
        raise BadInput(f'"{field}.{name}" does not work here: this endpoint\'s provider speaks the Responses API.')
    if role == "tool":
        call_id = wanted_text(message.get("tool_call_id"), f"{field}.tool_call_id")
        kind = "custom_tool_call_output" if call_id in custom else "function_call_output"
        return [{"type": kind, "call_id": call_id, "output": _content(message.get("content"), f"{field}.content")}]
    if role == "assistant":
        return _turn(message, field, custom)
    if role not in ("user", "system", "developer"):
        raise BadInput(f'"{field}.role" must be user, assistant, system, developer or tool.')
    content = _content(message.get("content"), f"{field}.content")
    return [{"type": "message", "role": role, "content": content, **rest(message, *_MESSAGE)}]


def _turn(message: Json, field: str, custom: set[str]) -> list[Json]:
    items = reasoning_items(message.get("reasoning_details"))
    notes = [flat_annotation(note) for note in objects(message.get("annotations"))]
    content, refusal = message.get("content"), message.get("refusal")
    said: list[Json] = []
    if isinstance(content, list):
        said = [_said(part, f"{field}.content[{index}]") for index, part in enumerate(content)]
    elif content:
        said = [{"type": "output_text", "text": wanted_text(content, f"{field}.content"), "annotations": notes}]
    if refusal:
        said.append({"type": "refusal", "refusal": wanted_text(refusal, f"{field}.refusal")})
    if said:
        items.append({"type": "message", "role": "assistant", "content": said, **rest(message, *_MESSAGE)})
    calls = message.get("tool_calls")
    for index, call in enumerate(wanted_list(calls or [], f"{field}.tool_calls")):
        items.append(_call(wanted_object(call, f"{field}.tool_calls[{index}]"), f"{field}.tool_calls[{index}]", custom))
    if not items:  # an empty turn is a turn
        items.append({"type": "message", "role": "assistant", "content": ""})
    return items


def _said(raw: Any, field: str) -> Json:
    part = wanted_object(raw, field)
    if part.get("type") == "refusal":
        return {"type": "refusal", "refusal": wanted_text(part.get("refusal"), f"{field}.refusal")}
    if part.get("type") == "text":
        return {"type": "output_text", "text": wanted_text(part.get("text"), f"{field}.text"), "annotations": []}
    raise BadInput(f'"{field}.type" must be text or refusal.')


def reasoning_items(details: Any) -> list[Json]:
    """Reasoning items made again from what responses_input.reasoning_details made of them."""
    items: list[Json] = []
    for detail in objects(details):
        if detail.get("format") != FORMAT:
            continue
        if not items or items[-1].get("id") != detail.get("id"):
            items.append({"type": "reasoning", **given(detail, "id"), "summary": []})
        item = items[-1]
        if detail.get("type") == "reasoning.encrypted":
            item["encrypted_content"] = text(detail.get("data"))
        elif detail.get("type") == "reasoning.text":
            item.setdefault("content", []).append({"type": "reasoning_text", "text": text(detail.get("text"))})
        elif summary := text(detail.get("summary")):
            item["summary"].append({"type": "summary_text", "text": summary})
    return items


def flat_annotation(note: Json) -> Json:
    """The inverse of responses_input.nested_annotation."""
    kind = text(note.get("type"))
    return {"type": kind, **mapping(note[kind])} if kind in note else note


def _call(call: Json, field: str, custom: set[str]) -> Json:
    call_id = wanted_text(call.get("id"), f"{field}.id")
    if call.get("type") == "custom":
        custom.add(call_id)
        inner = wanted_object(call.get("custom"), f"{field}.custom")
        said = wanted_text(inner.get("input"), f"{field}.custom.input")
        return {"type": "custom_tool_call", "call_id": call_id, "name": _name(inner, f"{field}.custom"), "input": said}
    inner = wanted_object(call.get("function"), f"{field}.function")
    arguments = wanted_text(inner.get("arguments"), f"{field}.function.arguments")
    name = _name(inner, f"{field}.function")
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _name(inner: Json, field: str) -> str:
    return wanted_text(inner.get("name"), f"{field}.name")


def _content(content: Any, field: str) -> str | list[Json]:
    if content is None or isinstance(content, str):
        return content or ""
    return [_part(part, f"{field}[{index}]") for index, part in enumerate(wanted_list(content, field))]


def _part(raw: Any, field: str) -> Json:
    part = wanted_object(raw, field)
    kind = part.get("type")
    if kind == "text":
        return {**part, "type": "input_text", "text": wanted_text(part.get("text"), f"{field}.text")}
    if kind == "image_url":
        image = part.get("image_url")
        image = {"url": image} if isinstance(image, str) else wanted_object(image, f"{field}.image_url")
        told = {"image_url": wanted_text(image.get("url"), f"{field}.image_url.url"), "detail": "auto"}
        return {**rest(part, "image_url"), "type": "input_image", **told, **rest(image, "url")}
    if kind == "file":
        return {
            "type": "input_file",
            **rest(wanted_object(part.get("file"), f"{field}.file")),
            **rest(part, "type", "file"),
        }
    if kind == "input_audio":
        return part
    raise BadInput(f'"{field}.type" must be text, image_url, file or input_audio.')
