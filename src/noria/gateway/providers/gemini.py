"""Google Gemini: its own dialect, the model and the verb in the path, the key in `x-goog-api-key`.

Source: https://ai.google.dev/api, /gemini-api/docs/thinking, /thought-signatures, /openai and google.rpc.Status (read November
2026). The decision to know: what differs between generations of models is settled here, where the model is known. Models before
3 want a thinking budget where later ones want a level; later ones refuse a call of a tool that comes back without a thought
signature, so where a client lost it, the text stands there that Google gives for histories of other models.

Embeddings go by Google's OpenAI-compatible path below the same base URL.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from yarl import URL

from noria.gateway.providers import base, openai
from noria.gateway.providers.base import Call, Events, Flags, Refusal
from noria.gateway.providers.events import ServerSentEvents
from noria.registry.snapshot import ProviderEntry

NO_SIGNATURE: Final = "skip_thought_signature_validator"
_GENERATION = re.compile(r"(?:models/)?gemini-(\d{1,2})")
_COLLECTIONS: Final = ("models/", "tunedModels/")
_BUDGETS: Final = {"MINIMAL": 1_024, "LOW": 1_024, "MEDIUM": 8_192, "HIGH": 24_576, "XHIGH": 24_576}
"""As Google's OpenAI-compatible endpoint translates `reasoning_effort`."""
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


class Gemini:
    """The Gemini API."""

    flags = Flags(speaks=("gemini", "embeddings"), embeddings=True)

    def spoken(self, provider: ProviderEntry) -> tuple[str, ...]:
        return base.spoken(self.flags, provider)

    def url(self, call: Call) -> URL:
        root = call.base.rstrip("/")
        if call.dialect == "embeddings":
            return base.address(f"{root}/openai/embeddings")
        collection = next((one for one in _COLLECTIONS if call.model.startswith(one)), "")
        model = base.segment(call.model.removeprefix(collection))
        verb = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return base.address(f"{root}/{collection or 'models/'}{model}:{verb}")

    def headers(self, call: Call, key: str, url: URL, body: bytes) -> dict[str, str]:
        found = base.common_headers(call)
        if not key:
            return found
        if call.dialect == "embeddings":
            return {**found, "Authorization": f"Bearer {key}"}
        return {**found, "x-goog-api-key": key}

    def body(self, call: Call, fields: dict[str, Any]) -> bytes:
        if call.dialect == "embeddings":
            return base.encoded(openai.with_model(call, fields))
        return base.encoded(_fitted(call.model, fields))

    def events(self, call: Call) -> Events:
        return ServerSentEvents()

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
        """{"error": {"code", "message", "status", "details": […]}}; a wrong key is a 400 with a reason."""
        error = base.error_json(body).get("error")
        detail: dict[str, Any] = error if isinstance(error, dict) else {}
        listed = detail.get("details")
        details = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        reasons = {base.word(one.get("reason")) for one in details}
        delay = next(
            (_DELAY.fullmatch(base.text_of(one.get("retryDelay"), 40)) for one in details if "retryDelay" in one), None
        )
        after = base.retry_after(headers)
        said = Refusal(
            base.text_of(detail.get("message")),
            code=base.word(detail.get("status")),
            retry_after=float(delay[1]) if after is None and delay else after,
            key_refused=status in {401, 403} or "API_KEY_INVALID" in reasons,
        )
        return replace(said, code="API_KEY_INVALID") if "API_KEY_INVALID" in reasons else said


def _fitted(model: str, fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` as the model's generation wants them; they are left as they are."""
    match = _GENERATION.match(model)
    generation = int(match[1]) if match else 0
    if generation >= 3:
        return {**fields, "contents": [_signed(content) for content in fields.get("contents") or ()]}
    config = fields.get("generationConfig")
    thinking = config.get("thinkingConfig") if isinstance(config, dict) else None
    if (
        generation == 0
        or not isinstance(config, dict)
        or not isinstance(thinking, dict)
        or "thinkingLevel" not in thinking
    ):
        return fields
    told = {name: value for name, value in thinking.items() if name != "thinkingLevel"}
    told.setdefault("thinkingBudget", _BUDGETS.get(str(thinking["thinkingLevel"]).upper(), -1))
    return {**fields, "generationConfig": {**config, "thinkingConfig": told}}


def _signed(content: dict[str, Any]) -> dict[str, Any]:
    """Only the first of a step's calls has to have a signature."""
    parts = content.get("parts") or []
    for place, part in enumerate(parts):
        if "functionCall" in part:
            if part.get("thoughtSignature"):
                return content
            signed = {**part, "thoughtSignature": NO_SIGNATURE}
            return {**content, "parts": [*parts[:place], signed, *parts[place + 1 :]]}
    return content
