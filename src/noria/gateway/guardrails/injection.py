"""Guardrail of kind `injection`: texts that try to take the model out of its application's hands.

Options: `action` (refuse, flag), `message`. Heuristics, in English and Korean: each shape below has a weight, the weights of those that stand
in what users, tools and documents said are added, and from 1 on the check fires. What that is worth is measured in
docs/guardrails.md: it stops copied attacks, not a person who tries, and says nothing of attacks in other languages or in images. The
application's own words (system, developer) and the model's are not read.
"""

from typing import Any, Final

from noria.gateway.dialects.base import Json
from noria.gateway.guardrails.base import Check, Outcome, Turn, register
from noria.gateway.guardrails.linear import compiled, found_in
from noria.gateway.guardrails.texts import answered, apart, asked
from noria.gateway.steps import Steps

_STOP = r"\b(?:ignore|disregard|forget|override|bypass|neglect|skip|drop|disable|circumvent)\s+(?:about\s+)?"
_ALL = r"(?:(?:all|any|every|each)\s+(?:of\s+)?)?(?:(?:the|your|my|these|those|its)\s+)?"
_EARLIER = (
    r"(?:previous|prior|above|earlier|preceding|former|initial|original|existing|foregoing|system|safety|security|content|"
    r"ethic(?:s|al)|moral)"
)
_RULES = (
    r"(?:instructions?|prompts?|rules?|guidelines?|directi(?:ve|on)s?|commands?|guardrails?|restrictions?|constraints?|context|"
    r"programming|protocols?|polic(?:y|ies)|conversations?|filters?|measures?)"
)

SHAPES: Final[dict[str, tuple[float, str]]] = {
    "forget_rules": (1.0, rf"{_STOP}{_ALL}{_EARLIER}\s+(?:\w+\s+)?{_RULES}"),
    "forget_all_rules": (
        1.0,
        rf"{_STOP}(?:(?:all|any|every)\s+(?:of\s+)?(?:the\s+|your\s+|my\s+)?|your\s+)(?:instructions?|prompts?|rules?|guidelines?)\b",
    ),
    "forget_some_rules": (0.6, rf"{_STOP}(?:(?:the|these|those)\s+)?(?:instructions|prompt|rules|guidelines|ethics)\b"),
    "forget_all": (
        1.0,
        r"\b(?:ignore|disregard|forget)\s+(?:everything|anything|all(?:\s+that)?)\s+"
        r"(?:(?:that\s+)?(?:you\s+)?(?:were|was|been|have\s+been)\s+(?:told|said|instructed)|above|before)"
        r"|\bforget\s+everything\b[,.;:]?\s+(?:and\s+)?(?:now\s+)?you\b",
    ),
    "false_authority": (
        1.0,
        r"\b(?:system|admin(?:istrator)?|developer|root|security)\s+override\b|\boverride\s+(?:all\s+)?(?:safety|security)\b",
    ),
    "no_rules": (
        0.6,
        r"\b(?:do(?:es)?\s+not|don['’]?t|no\s+longer|never)\s+(?:have\s+to\s+)?(?:follow|obey|abide\s+by|comply\s+with)\s+"
        rf"{_ALL}(?:{_EARLIER}\s+)?(?:{_RULES}|polic(?:y|ies))",
    ),
    "without_limits": (
        0.6,
        r"\b(?:without|free\s+(?:of|from)|no|not\s+bound\s+by)\s+(?:any\s+)?(?:ethical|moral|safety|content)\s+"
        r"(?:restrictions?|limits?|limitations?|guidelines?|filters?|constraints?|rules?)",
    ),
    "new_rules": (
        0.6,
        r"\b(?:new|updated|real|actual|following)\s+(?:system\s+)?(?:instructions?|prompt|rules?)\s*(?:are|is)?\s*:",
    ),
    "other_self": (
        0.5,
        r"\b(?:you\s+are\s+now|from\s+now\s+on,?\s+you\b|pretend\s+(?:to\s+be|(?:that\s+)?you)\b|"
        r"act\s+as\s+(?:if\s+you|an?\s+(?:unrestricted|unfiltered|evil|jailbroken)))",
    ),
    "dan": (0.5, r"\b(?:are|as|be|become)\s+(?:now\s+)?(?:a\s+)?DAN\b"),
    "known_names": (
        1.0,
        r"\b(?:do\s+anything\s+now|DAN\s+mode|jail\s?broken|developer\s+mode\s+(?:enabled|on)|god\s+mode|now\s+unrestricted|"
        r"unrestricted\s+(?:ai|(?:\w+\s+)?mode|model|assistant)|jailbreak(?:\s+mode|:\s*enabled)|unfiltered\s+(?:ai|mode|model))\b",
    ),
    "show_prompt": (
        1.0,
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|expose|write|share)\s+(?:me\s+|us\s+|out\s+|down\s+)*"
        r"(?:exactly\s+|verbatim\s+)?(?:all\s+(?:of\s+)?)?(?:your|the)\s+(?:\w+\s+)?"
        r"(?:system\s+(?:prompt|message|instructions?)|(?:initial|hidden|secret|original|internal)\s+(?:prompt|instructions?|rules?)|"
        r"instructions?\s+(?:above|verbatim))",
    ),
    "words_above": (
        1.0,
        r"\b(?:repeat|print|output|copy)\s+(?:all\s+|everything\s+)?(?:the\s+)?(?:words|text|everything|content)\s+above\b",
    ),
    "false_turn": (
        1.0,
        r"<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[/?INST\]|<</?SYS>>|<start_of_turn>|"
        r"(?m:^\s*#{2,}\s*(?:system|instructions?)\s*:?\s*$)",
    ),
    "false_sender": (0.5, r"(?m:^\s*(?:\[?system\]?|\[?developer\]?|assistant)\s*(?:message|prompt)?\s*:)"),
    "send_away": (
        0.6,
        r"\b(?:send|post|upload|forward|exfiltrate|append)\b.{0,80}\b(?:api\s+keys?|passwords?|credentials?|conversation|chat\s+history|secrets?)\b"
        r".{0,80}(?:https?://|@)",
    ),
    "forget_rules_ko": (
        1.0,
        r"(?:이전|앞선|앞의|위의?|기존|지금까지의?|모든|원래)\s*(?:모든\s*)?(?:지시|명령|규칙|프롬프트|지침|설정)(?:\s*사항)?(?:들)?(?:을|를|은|는)?\s*"
        r"(?:모두\s*|전부\s*|다\s*)?(?:무시|잊|따르지|버리)",
    ),
    "show_prompt_ko": (
        1.0,
        r"(?:시스템|초기|숨겨진|비밀|내부)\s*(?:프롬프트|지시|지침|명령|메시지)(?:을|를)?\s*(?:그대로\s*|전부\s*|모두\s*|다\s*)?"
        r"(?:보여|알려|출력|공개|말해|적어|써|반복)",
    ),
    "other_self_ko": (0.5, r"(?:너는|넌|당신은)\s*(?:이제|지금)(?:부터)?\b.{0,40}(?:이다|이야|입니다|역할|행동)"),
}
_FIRES_AT = 1.0
_STRANGERS = ("user", "tool", "function")


@register("injection")
class Injection(Check):
    def __init__(self, options: Json, steps: Steps) -> None:
        self._names = list(SHAPES)
        self._shapes: list[Any] = [compiled(shape, True) for _, shape in SHAPES.values()]
        self._action = options.get("action", "refuse")
        self._message = options.get("message") or "It looks like an attempt to change what the model was told to do."

    async def before(self, turn: Turn) -> Outcome | None:
        return await self._check(asked(turn.ask, roles=_STRANGERS))

    async def after(self, turn: Turn, answer: Json) -> Outcome | None:
        return await self._check(answered(answer))

    async def _check(self, found: list[str]) -> Outcome | None:
        hits = await apart(sum(map(len, found)), lambda: found_in(self._shapes, found))
        names = [self._names[hit] for hit in hits]
        score = round(sum(SHAPES[name][0] for name in names), 2)
        if score < _FIRES_AT:
            return None
        return Outcome(self._action, reason=self._message, details={"score": score, "shapes": names})
