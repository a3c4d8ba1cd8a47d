"""A chat body as a request to Gemini.

The decisions to know:
- System and developer messages become `systemInstruction`, wherever they stood. The results of one turn's tools stand in one
  content, because Gemini counts them against its calls.
- A thought signature travels where Google's own OpenAI endpoint puts it: `extra_content.google.thought_signature` of a message
  or of a tool call. Thoughts themselves are not sent back.
- JSON schemas go into `responseJsonSchema` and `parametersJsonSchema`, which take them as they are.
- `reasoning_effort` is told as a level; the adapter, which knows the model, makes a budget of it for those that want one.
- Names that only steer OpenAI's service are left out; Gemini's own names pass in either spelling, at the top or in `google`;
  everything else is refused, because Gemini refuses unknown names too.
"""

from typing import Any

from noria.core.errors import BadInput
from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json

_RENAMED = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "seed": "seed",
    "top_logprobs": "logprobs",
}
_TRANSLATED = frozenset(
    {
        *_RENAMED,
        *("messages", "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "logprobs"),
        *("response_format", "reasoning_effort", "thinking", "modalities", "tools", "tool_choice"),
        *("web_search_options", "google", "extra_body"),
    }
)
_HINTS = frozenset(
    {
        *("user", "metadata", "store", "prediction", "service_tier", "safety_identifier", "verbosity"),
        *("prompt_cache_key", "prompt_cache_retention", "cache_control"),
    }
)
_NO_WORD: dict[str, tuple[Any, ...]] = {
    "parallel_tool_calls": (True,),
    "logit_bias": ({},),
    "audio": (),
    "functions": ([],),
    "function_call": ("auto", "none"),
}
_OWN = {
    "safety_settings": "safetySettings",
    "cached_content": "cachedContent",
    "tool_config": "toolConfig",
    "generation_config": "generationConfig",
}
_THINKING = {"thinking_config", "thinkingConfig"}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}


def from_chat(chat: Json) -> Json:
    """The whole request, without the model. Raises BadInput for what cannot be said."""
    told = parameters(chat)
    system, told["contents"] = _conversation(chat.get("messages"))
    if system:
        told["systemInstruction"] = {"parts": system}
    return told


def parameters(chat: Json) -> Json:
    """Everything but the conversation, in Gemini's names; nothing is added that nobody asked for."""
    values.refuse(chat, _NO_WORD)
    own = _own(chat)
    config = {**_config(chat), **values.obj(own.pop("generationConfig", None))}
    thinking = {**_thinking(chat), **values.obj(own.pop("thinkingConfig", None))}
    if thinking:
        config["thinkingConfig"] = {**thinking, **values.obj(config.get("thinkingConfig"))}
    told = {**_tools(chat), **own}
    if config:
        told["generationConfig"] = config
    return told


def _own(chat: Json) -> Json:
    """What was said in Gemini's own names."""
    given: Json = {}
    for name, value in chat.items():
        if name in _TRANSLATED or name in _HINTS or name in _NO_WORD or value is None:
            continue
        given[name] = value
    google = values.obj(values.obj(chat.get("extra_body")).get("google")) | values.obj(chat.get("google"))
    told: Json = {}
    for name, value in (google | given).items():
        if name in _THINKING:
            told["thinkingConfig"] = _camel(value)
        elif name in _OWN or name in _OWN.values():
            told[_OWN.get(name, name)] = value
        else:
            raise BadInput(f"{name!r} does not work here: the provider behind this endpoint has no such thing.")
    return told


def _camel(config: Any) -> Any:
    spelt = {"include_thoughts": "includeThoughts", "thinking_budget": "thinkingBudget"}
    spelt["thinking_level"] = "thinkingLevel"
    return {spelt.get(name, name): value for name, value in config.items()} if isinstance(config, dict) else config


def _config(chat: Json) -> Json:
    told = {_RENAMED[name]: chat[name] for name in _RENAMED if chat.get(name) is not None}
    if told.get("candidateCount") == 1:
        del told["candidateCount"]
    if (most := values.limit(chat)) is not None:
        told["maxOutputTokens"] = most
    if stop := values.stops(chat):
        told["stopSequences"] = stop
    if chat.get("logprobs"):
        told["responseLogprobs"] = True
    else:
        told.pop("logprobs", None)
    kind, wanted = values.schema_of(chat.get("response_format"))
    if kind != "text":
        told["responseMimeType"] = "application/json"
    if kind == "json_schema":
        told["responseJsonSchema"] = wanted["schema"]
    modalities = chat.get("modalities")
    if isinstance(modalities, list) and modalities not in (["text"], []):
        told["responseModalities"] = [str(one).upper() for one in modalities]
    return told


def _thinking(chat: Json) -> Json:
    """`reasoning_effort`, and `thinking` as Anthropic's clients ask for it."""
    effort = chat.get("reasoning_effort")
    wanted = values.obj(chat.get("thinking"))
    if wanted.get("type") == "disabled" or effort == "none":
        return {"thinkingBudget": 0}
    told: Json = {}
    if isinstance(effort, str):
        if effort not in _LEVELS:
            raise BadInput(f'"reasoning_effort" must be none, {", ".join(_LEVELS)}.')
        told["thinkingLevel"] = _LEVELS[effort]
    elif wanted:
        told["thinkingBudget"] = values.count(wanted.get("budget_tokens")) or -1
    return {**told, "includeThoughts": True} if told else {}


def _tools(chat: Json) -> Json:
    declared, others, strict = [], [], False
    for tool, function, where in values.functions(chat.get("tools")):
        if function is None:
            if "type" in tool:
                raise BadInput(f'"{where}" is of a type that the provider behind this endpoint does not offer.')
            others.append(tool)  # one of Gemini's own, like {"googleSearch": {}}
            continue
        strict = strict or function.get("strict") is True
        told = {"name": function["name"]}
        if description := values.text(function.get("description")):
            told["description"] = description
        if function.get("parameters"):
            told["parametersJsonSchema"] = function["parameters"]
        declared.append(told)
    if chat.get("web_search_options") is not None:
        others.append({"googleSearch": {}})
    tools = [{"functionDeclarations": declared}, *others] if declared else others
    told_all: Json = {"tools": tools} if tools else {}
    if config := _choice(chat.get("tool_choice"), strict=strict):
        told_all["toolConfig"] = {"functionCallingConfig": config}
    return told_all


def _choice(choice: Any, *, strict: bool) -> Json:
    mode, names = values.chosen(choice)
    if mode in ("", "auto"):
        if not (strict or names):
            return {"mode": "AUTO"} if mode else {}
        return {"mode": "VALIDATED", **({"allowedFunctionNames": names} if names else {})}
    if mode == "none":
        return {"mode": "NONE"}
    return {"mode": "ANY", **({"allowedFunctionNames": names} if names else {})}


def _conversation(messages: Any) -> tuple[list[Json], list[Json]]:
    system: list[Json] = []
    contents: list[Json] = []
    names: dict[str, str] = {}
    results: list[Json] | None = None
    for role, message, where in values.turns(messages):
        if role == "system":
            if said := values.plain_text(message.get("content"), f"{where}.content"):
                system.append({"text": said})
        elif role == "tool":
            if results is None:
                results = []
                contents.append({"role": "user", "parts": results})
            results.append({"functionResponse": _result(message, where, names)})
        else:
            results = None
            if role == "assistant":
                told = {"role": "model", "parts": _assistant(message, where, names)}
            else:
                told = {"role": "user", "parts": _parts(message.get("content"), f"{where}.content")}
            if told["parts"]:
                contents.append(told)
    return system, contents


def _parts(content: Any, where: str) -> list[Json]:
    return [_part(kind, part, here) for kind, part, here in values.parts(content, where)]


def _part(kind: str, part: Json, where: str) -> Json:
    if kind in ("text", "refusal"):
        return {"text": part[kind]}
    mime, data, address = values.media(kind, part, where)
    if data:
        return {"inlineData": {"mimeType": mime or "application/octet-stream", "data": data}}
    return {"fileData": {"fileUri": address, **({"mimeType": mime} if mime else {})}}


def _assistant(message: Json, where: str, names: dict[str, str]) -> list[Json]:
    google = values.obj(values.obj(message.get("extra_content")).get("google"))
    told = [*values.objects(google.get("parts")), *_parts(message.get("content"), f"{where}.content")]
    if refusal := values.text(message.get("refusal")):
        told.append({"text": refusal})
    for image in values.objects(message.get("images")):
        told.append(_part(values.text(image.get("type")), image, f"{where}.images"))
    if signature := values.text(google.get("thought_signature")):
        if not told:
            told.append({"text": ""})
        told[-1] = {**told[-1], "thoughtSignature": signature}
    for call, name, _ in values.calls(message, where):
        known = values.text(call.get("id"))
        if known:
            names[known] = name
        part: Json = {"functionCall": {"name": name, "args": values.tool_input(call["function"].get("arguments"))}}
        if known:
            part["functionCall"]["id"] = known
        if signature := values.text(
            values.obj(values.obj(call.get("extra_content")).get("google")).get("thought_signature")
        ):
            part["thoughtSignature"] = signature
        told.append(part)
    return told


def _result(message: Json, where: str, names: dict[str, str]) -> Json:
    known = message.get("tool_call_id")
    name = names.get(known, "") if isinstance(known, str) else ""
    name = name or values.text(message.get("name"))
    if not name:
        raise BadInput(f'"{where}.tool_call_id" must name a call of an assistant before it.')
    media: list[Json] = []
    texts: list[Json] = []
    for kind, part, here in values.parts(message.get("content"), f"{where}.content"):
        told = _part(kind, part, here)
        (texts if "text" in told else media).append(told)
    said = "\n".join(part["text"] for part in texts)
    answer = values.parsed(said) if said else None
    if message.get("is_error"):
        response: Json = {"error": said}
    else:
        response = answer if isinstance(answer, dict) else {"output": said}
    result: Json = {"name": name, "response": response}
    if isinstance(known, str) and known:
        result["id"] = known
    if media:
        result["parts"] = media
    return result
