"""A chat body as a request that Anthropic's API takes.

In: chat's `messages` and parameters. Out: Anthropic's. The decisions to know:
- `max_tokens` is required there: a caller that sends none gets 4,096, more when it asked for a thinking budget.
- System and developer messages go to `system`, wherever they stood, as Anthropic's own OpenAI endpoint has it; only some
  of its models take them in between.
- Names that only steer OpenAI's service (`seed`, `store`, …) are left out, as are defaults (`n: 1`). What would change the
  answer and has no word (`n: 2`, `logprobs`, penalties, JSON without a schema) is refused. Every other name passes.
- A temperature above 1 is told as 1: the scale ends there.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.messages import lenient
from noria.gateway.dialects.messages.conversation import conversation

DEFAULT_MAX_TOKENS = 4096

_TRANSLATED = frozenset(
    {
        "messages",
        "model",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "temperature",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "user",
        "metadata",
        "service_tier",
        "response_format",
        "reasoning_effort",
        "output_config",
    }
)
_HINTS = frozenset(
    {"seed", "store", "prediction", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "top_logprobs"}
)
_NO_WORD: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"], []),
    "audio": (),
    "functions": ([],),
    "function_call": (),
}
"""Names without a word in Anthropic's dialect, and the values with which they ask for nothing."""
_EFFORTS = {"minimal": "low"}
_TIERS = {"default": "standard_only", "priority": "auto"}


def from_chat(chat: Json) -> Json:
    """The whole request, without `model` and `stream`. Raises BadInput for what cannot be said."""
    told = parameters(chat)
    system, told["messages"] = conversation(chat.get("messages"))
    if system:
        told["system"] = system
    if told.get("max_tokens") is None:
        budget = lenient.count(lenient.obj(told.get("thinking")).get("budget_tokens"))
        told["max_tokens"] = DEFAULT_MAX_TOKENS + budget
    return told


def parameters(chat: Json) -> Json:
    """Everything but the conversation, in Anthropic's names; nothing is added that the caller did not ask for."""
    for name, nothing in _NO_WORD.items():
        if chat.get(name) is not None and chat[name] not in nothing:
            raise BadInput(f"{name!r} does not work here: the provider behind this endpoint has no such thing.")
    left_out = _TRANSLATED | _HINTS | _NO_WORD.keys()
    told = {name: value for name, value in chat.items() if name not in left_out and value is not None}
    most = chat.get("max_completion_tokens")
    most = chat.get("max_tokens") if most is None else most
    if most is not None:
        told["max_tokens"] = most
    if chat.get("stop"):
        told["stop_sequences"] = [chat["stop"]] if isinstance(chat["stop"], str) else chat["stop"]
    if (temperature := chat.get("temperature")) is not None:
        told["temperature"] = min(temperature, 1) if type(temperature) in (int, float) else temperature
    if user := _user(chat):
        told["metadata"] = {"user_id": user}
    if isinstance(tier := chat.get("service_tier"), str):
        told["service_tier"] = _TIERS.get(tier, tier)
    _output(chat, told)
    _tools(chat, told)
    return told


def _user(chat: Json) -> str:
    given = (chat.get("user"), lenient.obj(chat.get("metadata")).get("user_id"), chat.get("safety_identifier"))
    return next((user for user in given if isinstance(user, str) and user), "")


def _output(chat: Json, told: Json) -> None:
    """The shape of the answer and the effort; effort "none" means no thinking."""
    config = dict(lenient.obj(chat.get("output_config")))
    effort = chat.get("reasoning_effort")
    if effort == "none":
        told.setdefault("thinking", {"type": "disabled"})
    elif isinstance(effort, str):
        config["effort"] = _EFFORTS.get(effort, effort)
    shape = chat.get("response_format")
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind == "json_schema" and isinstance(shape, dict):
        schema = lenient.obj(shape.get("json_schema")).get("schema")
        if not isinstance(schema, dict):
            raise BadInput('"response_format.json_schema.schema" must be an object.')
        config["format"] = {"type": "json_schema", "schema": schema}
    elif shape is not None and kind != "text":
        raise BadInput(
            "'response_format' must be text or json_schema here: the provider knows no JSON without a schema.",
            hint='Send {"type": "json_schema", "json_schema": {"name": …, "schema": …}}.',
        )
    if config:
        told["output_config"] = config


def _tools(chat: Json, told: Json) -> None:
    tools = chat.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise BadInput('"tools" must be a list.')
    if tools:
        told["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    choice = _choice(chat.get("tool_choice"))
    if chat.get("parallel_tool_calls") is False and tools:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice = {**choice, "disable_parallel_tool_use": True}
    if choice:
        told["tool_choice"] = choice


def _tool(tool: Any, where: str) -> Json:
    """A function; a tool with a type of Anthropic's own passes as it is."""
    if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
        raise BadInput(f'"{where}" must be an object with a "type".')
    if tool["type"] == "custom":
        raise BadInput(f'"{where}" takes free text, which the provider behind this endpoint does not offer.')
    if tool["type"] != "function":
        return tool
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadInput(f'"{where}.function" must be an object with a "name".')
    schema = function.get("parameters")
    if schema is not None and not isinstance(schema, dict):
        raise BadInput(f'"{where}.function.parameters" must be an object.')
    told = lenient.without(function, "parameters")
    told = {name: value for name, value in told.items() if value is not None}
    told["input_schema"] = {"type": "object", **schema} if schema else {"type": "object", "properties": {}}
    return {**told, **lenient.without(tool, "type", "function")}


def _choice(choice: Any) -> Json | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        return {"type": "any" if choice == "required" else choice}
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadInput('"tool_choice" must be auto, none, required or a function with a name.')
    return {"type": "tool", "name": function["name"]}
