"""Answers kept to be given again: to the same request (exact), or to the same question in other words (semantic).

In: a request whose endpoint has a cache. Out: the kept answer, or None and the key under which the one that comes may be kept. The
decision to know: the key is a hash over everything that could change the answer (project, endpoint, release, policy, the whole body), so
that a new field of a provider makes a new key and not a wrong answer. A cache fails open: what cannot be had is a miss.
"""

import asyncio
import logging
import re
import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from noria.core.errors import NoriaError
from noria.gateway.ask import Ask
from noria.gateway.dialects.base import Json
from noria.gateway.dialects.chat import CHAT
from noria.gateway.spans import Call
from noria.gateway.steps import StepFailed, Steps
from noria.gateway.upstream import Whole
from noria.gateway.usage import usage_in
from noria.registry.policy import Cache as CachePolicy
from noria.stores import ports

_log = logging.getLogger("noria.gateway")
_NO_MATTER: Final = frozenset({"user", "metadata", "stream", "stream_options", "safety_identifier", "prompt_cache_key"})
"""Fields that say who asks and how the answer is sent."""
_COMPLETE: Final = frozenset({"stop", "length", "tool_calls", "function_call"})
_STEP_SECONDS: Final = 0.5
_PAUSE: Final = 5.0
_MOST_WAITING: Final = 64
_MOST_QUESTION: Final = 2_000
_NUMBER: Final = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Directives:
    """What the caller's cache-control header asks for."""

    look: bool = True
    keep: bool = True
    max_age: float = float("inf")

    @classmethod
    def of(cls, text: str) -> "Directives":
        if not text:
            return _ALL
        look, keep, max_age = True, True, float("inf")
        for part in text.lower().split(","):
            name, _, value = part.strip().partition("=")
            if name == "no-store":
                look = keep = False
            elif name == "no-cache":
                look = False
            elif name == "max-age" and (digits := value.strip('" ')).isdecimal():
                max_age = float(digits[:10])
        return cls(look, keep, max_age)


_ALL: Final = Directives()


class AnswerCache:
    """The caches of all endpoints; one for the process."""

    def __init__(self, store: ports.Cache, steps: Steps) -> None:
        self._store = store
        self._steps = steps
        self._alone_until: dict[str, float] = {}
        self._waiting: set[asyncio.Task[Json | None]] = set()

    async def find(self, call: Call, ask: Ask) -> Whole | None:
        """A kept answer. Notes on the call whether there was one, and the key under which to keep the one that comes."""
        wants = Directives.of(ask.cache_control)
        if not wants.keep or not _is_for_caches(call, ask):
            return None
        call.cache, call.cache_key = "miss", _key(call, ask, ask.chat if ask.retold else ask.body)
        if not wants.look:
            return None
        kept = await self._entry(call.cache_key, wants) or await self._similar(call, ask, wants)
        return None if kept is None else _hit(call, kept)

    def keep(self, call: Call, chat: Json) -> None:
        """Keep the answer of the call, when it is complete and came from the release that was chosen."""
        route, ask = call.route, call.ask
        if not call.cache_key or call.cache != "miss" or route is None or ask is None:
            return
        is_whole = bool(chat.get("data")) if ask.caller == "embeddings" else is_complete(chat)
        if call.release is not route.release or not is_whole:
            return
        policy = route.endpoint.policy.cache
        try:
            value = orjson.dumps({"at": time.time(), "chat": chat})
        except TypeError:  # half a surrogate pair, or nested too deeply
            return
        self._store.put(call.cache_key, value, policy.ttl_seconds)
        more = {"do": "keep", "key": call.cache_key, "ttl_seconds": policy.ttl_seconds}
        if policy.mode == "semantic" and len(self._waiting) < _MOST_WAITING:
            task = asyncio.get_running_loop().create_task(self._ask(call, ask, policy, more))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        for task in self._waiting:
            task.cancel()
        await self._store.close()

    async def _entry(self, key: str, wants: Directives) -> Json | None:
        value = await self._store.get(key)
        if value is None:
            return None
        try:
            kept = orjson.loads(value)
            fresh = time.time() - float(kept["at"]) <= wants.max_age and isinstance(kept["chat"], dict)
        except (ValueError, KeyError, TypeError):
            return None
        return kept if fresh else None

    async def _similar(self, call: Call, ask: Ask, wants: Directives) -> Json | None:
        """The answer to the nearest question, as the endpoint's step finds it."""
        policy = call.route.endpoint.policy.cache if call.route else CachePolicy()
        if policy.mode != "semantic":
            return None
        near = await self._ask(call, ask, policy, {"do": "find", "threshold": policy.threshold}) or {}
        key, similarity = near.get("key"), near.get("similarity")
        if not isinstance(key, str) or not key.startswith(f"{call.key.project_id}/"):
            return None
        if not isinstance(similarity, int | float) or similarity < policy.threshold:
            return None
        if (kept := await self._entry(key[:200], wants)) is not None:
            call.attributes["cache_similarity"] = round(float(similarity), 4)
        return kept

    async def _ask(self, call: Call, ask: Ask, policy: CachePolicy, more: Json) -> Json | None:
        """The step's answer; None where there is no question for it, and while it is in trouble."""
        question = _question(ask)
        if question is None or not policy.step or time.monotonic() < self._alone_until.get(policy.step, 0.0):
            return None
        told = {"step": "cache", "partition": _partition(call, ask, question), "text": question, **more}
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                return await self._steps.call(policy.step, told)
        except (StepFailed, TimeoutError) as error:
            what = error.message if isinstance(error, NoriaError) else "It took too long."
            _log.warning("the step of a semantic cache is in trouble: %s", what)
            self._alone_until[policy.step] = time.monotonic() + _PAUSE
            call.attributes["cache_trouble"] = what
            return None


def _is_for_caches(call: Call, ask: Ask) -> bool:
    """Not for evaluations, which measure the release, nor for what an answer cannot be given to twice: a conversation that is
    kept under an id, and log probabilities of texts, which have no place in a chat answer."""
    if call.route is None or call.route.arm == "candidate" or ask.body.get("previous_response_id") is not None:
        return False
    return ask.caller != "text" or ask.body.get("logprobs") is None


def is_complete(chat: Json) -> bool:
    """Whether every choice came to an end of its own."""
    choices = chat.get("choices")
    if not isinstance(choices, list) or not choices:
        return False
    return all(isinstance(choice, dict) and choice.get("finish_reason") in _COMPLETE for choice in choices)


def _hit(call: Call, kept: Json) -> Whole:
    chat: Json = kept["chat"]
    call.cache, call.cache_key = "hit", ""
    route, usage = call.route, usage_in(chat.get("usage"))
    if route is not None:
        call.release = route.release
        call.attributes["saved_micros"] = usage.cost_micros(route.release)
    call.attributes["saved_input_tokens"] = usage.input
    call.attributes["saved_output_tokens"] = usage.output
    call.attributes["cache_age_seconds"] = round(max(time.time() - float(kept["at"]), 0.0), 1)
    return Whole(orjson.dumps(chat), chat, chat, CHAT)


def _key(call: Call, ask: Ask, body: Any, more: Any = None) -> str:
    """A hash over everything that could change the answer, below the project that it belongs to."""
    route = call.route
    if route is None:
        raise RuntimeError("a cache is asked after the route was chosen")
    asked = {name: value for name, value in body.items() if name not in _NO_MATTER}
    where = [route.endpoint.project_id, route.endpoint.id, route.release.number, route.endpoint.policy.version]
    facts = [*where, ask.caller, ask.retold, asked, ask.variables, more]
    digest = blake2b(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS), digest_size=24).hexdigest()
    return f"{route.endpoint.project_id}/{digest}"


def _question(ask: Ask) -> str | None:
    """The text that may be said in other words: the last message, when it is the user's and plain text."""
    last = ask.messages[-1] if ask.messages else {}
    content = last.get("content")
    is_plain = last.get("role") == "user" and isinstance(content, str) and 0 < len(content) <= _MOST_QUESTION
    return content if is_plain else None


def _partition(call: Call, ask: Ask, question: str) -> str:
    """Questions are compared only where all else is the same: the conversation before, the parameters, and the numbers in them."""
    before = {**ask.chat, "messages": ask.messages[:-1]}
    return _key(call, ask, before, _NUMBER.findall(question))
