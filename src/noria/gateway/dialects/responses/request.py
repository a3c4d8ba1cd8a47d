"""A Responses request, told as a chat body.

In: the body as the caller sent it, its earlier conversation already put before its `input`. Out: a chat body. The decision
to know: `store` and `metadata` are Noria's to keep, not the provider's (OpenAI's chat refuses metadata without store), and
tools that OpenAI runs itself are refused by name, because no chat model could call them.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.responses.input import messages_of
from noria.gateway.dialects.responses.values import given, rest, text, wanted_list, wanted_object, wanted_text

_HERE = (
    *("model", "stream", "stream_options", "input", "instructions", "store", "metadata", "previous_response_id"),
    *("include", "truncation", "background", "max_tool_calls", "max_output_tokens", "top_logprobs"),
    *("text", "reasoning", "tools", "tool_choice", "parallel_tool_calls"),
)
"""Fields that are told in other words, or answered here; all others pass on under their own names."""

_ELSEWHERE = ("conversation", "prompt", "context_management", "n")
_MODES = ("none", "auto", "required")


def to_chat(body: Json) -> Json:
    """Raises BadInput that names what is wrong, or what a chat model cannot do."""
    for name in _ELSEWHERE:
        if body.get(name) is not None:
            raise BadInput(f'"{name}" does not work here: this endpoint\'s model speaks chat completions.')
    if body.get("background"):
        raise BadInput('"background" does not work here: the answer is made while the request waits.')
    chat: Json = {"messages": messages_of(body.get("instructions"), body.get("input"))}
    if not chat["messages"]:
        raise BadInput('"input" must hold at least one item.')
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    chat |= _text(body.get("text")) | _reasoning(body.get("reasoning")) | _logprobs(body) | _tools(body)
    return {**chat, **rest(body, *_HERE)}


def _text(config: Any) -> Json:
    if config is None:
        return {}
    fields = wanted_object(config, "text")
    told = given(fields, "verbosity")
    if fields.get("format") is not None:
        told["response_format"] = _format(wanted_object(fields["format"], "text.format"))
    return told


def _format(wanted: Json) -> Json:
    kind = wanted_text(wanted.get("type"), "text.format.type")
    if kind != "json_schema":
        return wanted
    wanted_object(wanted.get("schema"), "text.format.schema")
    return {"type": kind, "json_schema": rest(wanted, "type")}


def _reasoning(config: Any) -> Json:
    """`summary` asks that thoughts be shown; they always are, when the model shows any."""
    if config is None:
        return {}
    fields = wanted_object(config, "reasoning")
    for name, value in rest(fields, "effort", "summary", "generate_summary").items():
        if value not in ("auto", "standard"):
            raise BadInput(f'"reasoning.{name}" does not work here: this endpoint\'s model speaks chat completions.')
    return {"reasoning_effort": fields["effort"]} if fields.get("effort") is not None else {}


def _logprobs(body: Json) -> Json:
    include = body.get("include")
    wanted = [] if include is None else wanted_list(include, "include")
    top = body.get("top_logprobs")
    if not top and "message.output_text.logprobs" not in wanted:
        return {}
    return {"logprobs": True, "top_logprobs": top} if top else {"logprobs": True}


def _tools(body: Json) -> Json:
    tools = body.get("tools")
    nested = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(wanted_list(tools or [], "tools"))]
    choice = _choice(body.get("tool_choice"))
    if not nested:
        return {"tool_choice": choice} if choice not in (None, "auto", "none") else {}
    told: Json = {"tools": nested, **given(body, "parallel_tool_calls")}
    return {**told, "tool_choice": choice} if choice is not None else told


def _tool(raw: Any, field: str) -> Json:
    tool = wanted_object(raw, field)
    kind = wanted_text(tool.get("type"), f"{field}.type")
    if kind not in ("function", "custom"):
        raise BadInput(
            f'The tool {kind!r} in "{field}" cannot be used here: this endpoint\'s model speaks chat completions.',
            hint="Use tools of type function, or an endpoint whose provider speaks the Responses API.",
        )
    wanted_text(tool.get("name"), f"{field}.name")
    inner = rest(tool, "type")
    if isinstance(shape := inner.get("format"), dict) and shape.get("type") == "grammar":
        inner["format"] = {"type": "grammar", "grammar": rest(shape, "type")}
    return {"type": kind, kind: inner}


def _choice(choice: Any) -> Any:
    if choice is None or (isinstance(choice, str) and choice in _MODES):
        return choice
    fields = wanted_object(choice, "tool_choice")
    kind = text(fields.get("type"))
    if kind in ("function", "custom"):
        return {"type": kind, kind: {"name": wanted_text(fields.get("name"), "tool_choice.name")}}
    if kind == "allowed_tools":
        tools = wanted_list(fields.get("tools"), "tool_choice.tools")
        allowed = [_allowed(tool, f"tool_choice.tools[{index}]") for index, tool in enumerate(tools)]
        return {"type": kind, kind: {"mode": fields.get("mode") or "auto", "tools": allowed}}
    raise BadInput(f'"tool_choice" asks for the tool {kind!r}, which cannot be used here.')


def _allowed(raw: Any, field: str) -> Json:
    tool = wanted_object(raw, field)
    kind = text(tool.get("type"))
    if kind not in ("function", "custom"):
        raise BadInput(f'"{field}" asks for the tool {kind!r}, which cannot be used here.')
    return {"type": kind, kind: rest(tool, "type")}
