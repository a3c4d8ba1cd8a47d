"""A chat body as a request to Bedrock's Converse.

The decisions to know:
- System and developer messages go to `system`, wherever they stood. Roles must alternate, so neighbours of one role become one
  message; the results of tools stand in what the user says next.
- Signed thoughts (`thinking_blocks` of a message, as the Anthropic dialect has them) go back as `reasoningContent`; others are
  left out, because models refuse a thought without a signature.
- What Converse has no word for but a model may know goes into `additionalModelRequestFields` under its own name: AWS passes it
  on, and the model refuses what it does not know. Names that only steer OpenAI's service are left out.
- A temperature above 1 is told as 1: the scale ends there.
"""

from typing import Any

import orjson

from noria.core.errors import BadInput
from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.converse.blocks import blocks, cache_point, tool_id

_TRANSLATED = frozenset(
    {
        *(
            "messages",
            "model",
            "stream",
            "stream_options",
            "max_tokens",
            "max_completion_tokens",
            "stop",
            "temperature",
        ),
        *("top_p", "tools", "tool_choice", "response_format", "reasoning_effort", "service_tier", "output_config"),
    }
)
_HINTS = frozenset(
    {
        *("user", "metadata", "store", "prediction", "seed", "safety_identifier", "verbosity", "top_logprobs"),
        *("prompt_cache_key", "prompt_cache_retention", "cache_control"),
    }
)
_NO_WORD: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "parallel_tool_calls": (True,),
    "logit_bias": ({},),
    "modalities": (["text"], []),
    "audio": (),
    "functions": ([],),
    "function_call": ("auto", "none"),
    "web_search_options": (),
}
_OWN = {
    "guardrail_config": "guardrailConfig",
    "performance_config": "performanceConfig",
    "request_metadata": "requestMetadata",
    "prompt_variables": "promptVariables",
    "inference_config": "inferenceConfig",
    "additional_model_request_fields": "additionalModelRequestFields",
    "additional_model_response_field_paths": "additionalModelResponseFieldPaths",
    "service_tier_config": "serviceTier",
}
_NOTHING = {"presence_penalty": (0,), "frequency_penalty": (0,)}
_EFFORTS = {"minimal": "low"}


def from_chat(chat: Json) -> Json:
    """The whole request, without the model. Raises BadInput for what cannot be said."""
    told = parameters(chat)
    system, told["messages"], used = _conversation(chat.get("messages"))
    if system:
        told["system"] = system
    if values.chosen(chat.get("tool_choice"))[0] == "none":
        if used:
            raise BadInput(
                "'tool_choice' cannot be none after tools were called: the provider has no word for it.",
                hint="Leave it out.",
            )
        told.pop("toolConfig", None)
    return told


def parameters(chat: Json) -> Json:
    """Everything but the conversation, in Converse's names; nothing is added that nobody asked for."""
    values.refuse(chat, _NO_WORD)
    left_out = _TRANSLATED | _HINTS | _NO_WORD.keys()
    told: Json = {}
    more: Json = {}
    for name, value in chat.items():
        if name in left_out or value is None or value in _NOTHING.get(name, ()):
            continue
        if name in _OWN or name in _OWN.values():
            told[_OWN.get(name, name)] = value
        else:
            more[name] = value
    if config := _inference(chat):
        told["inferenceConfig"] = {**config, **values.obj(told.get("inferenceConfig"))}
    if tools := _tools(chat):
        told["toolConfig"] = tools
    if isinstance(tier := chat.get("service_tier"), str) and tier != "auto":
        told.setdefault("serviceTier", {"type": tier})
    _output(chat, told, more)
    if more:
        told["additionalModelRequestFields"] = {**more, **values.obj(told.get("additionalModelRequestFields"))}
    return told


def _inference(chat: Json) -> Json:
    told: Json = {}
    if (most := values.limit(chat)) is not None:
        told["maxTokens"] = most
    if (temperature := chat.get("temperature")) is not None:
        told["temperature"] = min(temperature, 1) if type(temperature) in (int, float) else temperature
    if chat.get("top_p") is not None:
        told["topP"] = chat["top_p"]
    if stop := values.stops(chat):
        told["stopSequences"] = stop
    return told


def _output(chat: Json, told: Json, more: Json) -> None:
    """The shape of the answer and the effort; effort "none" means no thinking."""
    config: Json = {}
    effort = chat.get("reasoning_effort") or values.obj(chat.get("output_config")).get("effort")
    if effort == "none":
        more.setdefault("thinking", {"type": "disabled"})
    elif isinstance(effort, str):
        config["effort"] = _EFFORTS.get(effort, effort)
    kind, wanted = values.schema_of(chat.get("response_format"))
    if kind == "json_object":
        raise BadInput(
            "'response_format' must be text or json_schema here: the provider knows no JSON without a schema.",
            hint='Send {"type": "json_schema", "json_schema": {"name": …, "schema": …}}.',
        )
    if kind == "json_schema":
        named = {name: wanted[name] for name in ("name", "description") if values.text(wanted.get(name))}
        schema = {**named, "schema": orjson.dumps(wanted["schema"]).decode()}
        config["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    if config:
        told["outputConfig"] = config


def _tools(chat: Json) -> Json:
    tools: list[Json] = []
    for tool, function, where in values.functions(chat.get("tools")):
        if function is None:
            if "type" in tool:
                raise BadInput(f'"{where}" is of a type that the provider behind this endpoint does not offer.')
            tools.append(tool)  # one of Converse's own, like {"systemTool": {"name": …}}
            continue
        schema = {"type": "object", **(function.get("parameters") or {"properties": {}})}
        told: Json = {"name": function["name"], "inputSchema": {"json": schema}}
        if description := values.text(function.get("description")):
            told["description"] = description
        if isinstance(function.get("strict"), bool):
            told["strict"] = function["strict"]
        tools += [{"toolSpec": told}, *cache_point(tool)]
    if not tools:
        return {}
    mode, names = values.chosen(chat.get("tool_choice"))
    if len(names) > 1 or (names and mode == "auto"):
        raise BadInput("'tool_choice' can name one function here, which is then called.")
    if names:
        return {"tools": tools, "toolChoice": {"tool": {"name": names[0]}}}
    choice: Json = {"auto": {"auto": {}}, "required": {"any": {}}}.get(mode, {})
    return {"tools": tools, **({"toolChoice": choice} if choice else {})}


def _conversation(messages: Any) -> tuple[list[Json], list[Json], bool]:
    """(system, messages, whether tools were called)."""
    system: list[Json] = []
    told: list[Json] = []
    used = False
    for role, message, where in values.turns(messages):
        content = message.get("content")
        if role == "system":
            for block in blocks(content, f"{where}.content"):
                if "text" not in block and "cachePoint" not in block:
                    raise BadInput(f'"{where}.content" must be text.')
                system.append(block)
            continue
        if role == "tool":
            said, used = [{"toolResult": _result(message, where)}, *cache_point(message)], True
        elif role == "assistant":
            said = _assistant(message, where)
        else:
            said = blocks(content, f"{where}.content")
        speaker = "assistant" if role == "assistant" else "user"
        if told and told[-1]["role"] == speaker:
            told[-1]["content"] += said
        elif said:
            told.append({"role": speaker, "content": said})
    return system, told, used


def _result(message: Json, where: str) -> Json:
    told: Json = {
        "toolUseId": tool_id(message.get("tool_call_id"), f"{where}.tool_call_id"),
        "content": [block for block in blocks(message.get("content"), f"{where}.content") if "cachePoint" not in block],
    }
    return {**told, "status": "error"} if message.get("is_error") else told


def _assistant(message: Json, where: str) -> list[Json]:
    told = [_thought(block) for block in values.objects(message.get("thinking_blocks"))]
    told = [block for block in told if block]
    told += values.objects(values.obj(values.obj(message.get("extra_content")).get("bedrock")).get("blocks"))
    told += blocks(message.get("content"), f"{where}.content")
    if refusal := values.text(message.get("refusal")).strip():
        told.append({"text": refusal})
    for call, name, here in values.calls(message, where):
        known = tool_id(call.get("id"), f"{here}.id")
        given = values.tool_input(call["function"].get("arguments"))
        told.append({"toolUse": {"toolUseId": known, "name": name, "input": given}})
    return told


def _thought(block: Json) -> Json:
    if block.get("type") == "redacted_thinking" and values.text(block.get("data")):
        return {"reasoningContent": {"redactedContent": block["data"]}}
    if block.get("type") == "thinking" and values.text(block.get("signature")):
        said = {"text": values.text(block.get("thinking")), "signature": block["signature"]}
        return {"reasoningContent": {"reasoningText": said}}
    return {}
