"""Why an answer of Gemini's ended, what it used, and what a part of it is in chat.

The decision to know: chat has fewer reasons, so Gemini's own stands beside as `native_finish_reason`. Gemini counts thoughts
beside the answer and results of its own tools beside the prompt; chat counts them within, so sums are built here.
"""

from typing import Any

from noria.gateway.dialects import values
from noria.gateway.dialects.base import Json

_FILTERED = frozenset(
    {
        *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
_KEPT = ("safetyRatings", "citationMetadata", "groundingMetadata", "urlContextMetadata", "avgLogprobs", "finishMessage")


def index(candidate: Json, place: int) -> int:
    """Its own number; its place among the candidates where it says none."""
    return values.count(candidate["index"]) if "index" in candidate else place


def finish(reason: str, *, calls: bool) -> Json:
    """What a chat choice says of its end."""
    if reason == "MAX_TOKENS":
        told = "length"
    elif reason in _FILTERED:
        told = "content_filter"
    else:
        told = "tool_calls" if calls else "stop"
    return {"finish_reason": told, "native_finish_reason": reason}


def usage(raw: Any) -> Json | None:
    """Gemini's counts as chat's; None when there are none."""
    if not isinstance(raw, dict) or not raw:
        return None
    thoughts = values.count(raw.get("thoughtsTokenCount"))
    prompt = values.count(raw.get("promptTokenCount")) + values.count(raw.get("toolUsePromptTokenCount"))
    output = values.count(raw.get("candidatesTokenCount")) + thoughts
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {
            "cached_tokens": values.count(raw.get("cachedContentTokenCount")),
            **_modalities(raw.get("promptTokensDetails")),
        },
        "completion_tokens_details": {
            "reasoning_tokens": thoughts,
            **_modalities(raw.get("candidatesTokensDetails")),
        },
    }


def _modalities(details: Any) -> Json:
    found: Json = {}
    for one in values.objects(details):
        modality = values.text(one.get("modality")).lower()
        if modality in ("audio", "image", "video"):
            found[f"{modality}_tokens"] = values.count(one.get("tokenCount"))
    return found


def kept(candidate: Json) -> Json:
    """What chat has no word for, under `extra_content.google` of a choice."""
    found = {name: candidate[name] for name in _KEPT if candidate.get(name)}
    return {"extra_content": {"google": found}} if found else {}


def logprobs(candidate: Json) -> Json | None:
    result = values.obj(candidate.get("logprobsResult"))
    chosen = values.objects(result.get("chosenCandidates"))
    if not chosen:
        return None
    tops = values.objects(result.get("topCandidates"))
    content = []
    for index, one in enumerate(chosen):
        others = values.objects(tops[index].get("candidates")) if index < len(tops) else []
        content.append({**_token(one), "top_logprobs": [_token(other) for other in others]})
    return {"content": content, "refusal": None}


def _token(one: Json) -> Json:
    token, value = values.text(one.get("token")), one.get("logProbability")
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return {"token": token, "logprob": value if known else None, "bytes": list(token.encode("utf-8", "replace"))}


def signed(part: Json) -> Json:
    """A part's thought signature where Google's own OpenAI endpoint puts it; {} when it has none."""
    signature = values.text(part.get("thoughtSignature"))
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def call(part: Json, index: int | None = None) -> Json:
    """A functionCall part as a tool call; in a stream with its place."""
    function = values.obj(part.get("functionCall"))
    told = {
        "id": values.text(function.get("id")) or values.new_id("call_"),
        "type": "function",
        "function": {"name": values.text(function.get("name")), "arguments": values.arguments(function.get("args"))},
        **signed(part),
    }
    return told if index is None else {"index": index, **told}


def image(part: Json) -> Json | None:
    """An inlineData part as an image with a data URL; None when it is none."""
    blob = values.obj(part.get("inlineData"))
    mime, data = values.text(blob.get("mimeType")), values.text(blob.get("data"))
    if not data:
        return None
    return {"type": "image_url", "image_url": {"url": f"data:{mime or 'application/octet-stream'};base64,{data}"}}


def blocked(answer: Json) -> Json | None:
    """The choice that stands for a prompt which was blocked; None when it was not."""
    feedback = values.obj(answer.get("promptFeedback"))
    reason = values.text(feedback.get("blockReason"))
    if not reason:
        return None
    why = values.text(feedback.get("blockReasonMessage")) or f"The provider blocked the prompt ({reason[:60]})."
    return {"why": why, "finish_reason": "content_filter", "native_finish_reason": reason}
