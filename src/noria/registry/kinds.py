"""Kinds of provider: where each one is by default, and which options it may have. Pure; nothing here is secret.

Options are what a kind must know beside the address: `region` (bedrock), `api_version` (azure, anthropic), `speaks` (which
dialects are there beside the usual ones), `headers` (sent with each call). They are kept, shown and published in the
clear, so headers that carry keys are refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from noria.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Kind:
    """What providers of one kind have in common."""

    title: str
    base_url: str = ""
    """Where it is unless somebody says otherwise; `{region}` and `{suffix}` stand for a region's. Empty: must be given."""
    options: frozenset[str] = frozenset()
    speaks: tuple[str, ...] = ()
    """Dialects that can be named in the option `speaks`, most used first."""


KINDS: Final[Mapping[str, Kind]] = {
    "openai": Kind(
        "OpenAI-compatible",
        options=frozenset({"speaks", "headers"}),
        speaks=("chat", "text", "responses", "messages", "embeddings"),
    ),
    "anthropic": Kind("Anthropic", "https://api.anthropic.com/v1", frozenset({"api_version", "headers"})),
    "gemini": Kind("Google Gemini", "https://generativelanguage.googleapis.com/v1beta", frozenset({"headers"})),
    "bedrock": Kind("AWS Bedrock", "https://bedrock-runtime.{region}.{suffix}", frozenset({"region", "headers"})),
    "azure": Kind(
        "Azure OpenAI",
        options=frozenset({"api_version", "speaks", "headers"}),
        speaks=("chat", "text", "responses", "embeddings"),
    ),
    "local": Kind("This installation"),
}

_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_VERSIONS: Final = {
    "azure": (re.compile(r"v1|preview|\d{4}-\d{2}-\d{2}(-preview)?"), "Like 2024-10-21, or v1 for the newer path."),
    "anthropic": (re.compile(r"\d{4}-\d{2}-\d{2}"), "Like 2023-06-01."),
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")
_NOT_OURS_TO_SET = re.compile(
    r"authorization|cookie|host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|accept|accept-encoding"
    r"|keep-alive|proxy-.*|x-amz-.*|.*(api-?key|token|secret|password).*",
    re.IGNORECASE,
)


def check_kind(kind: str) -> Kind:
    """Raises BadInput when there is none of this name."""
    if (found := KINDS.get(kind)) is None:
        raise BadInput(f"There is no kind of provider {kind[:40]!r}.", hint=f"One of {', '.join(KINDS)}.")
    return found


def default_url(kind: str, options: Mapping[str, Any]) -> str:
    """Where a provider of this kind is when nobody says otherwise; "" when somebody must."""
    region = str(options.get("region", ""))
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return KINDS[kind].base_url.format(region=region, suffix=suffix)


def check_options(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say something, checked. Raises BadInput that names the one which is wrong."""
    known = check_kind(kind)
    given = {name: value for name, value in options.items() if value not in (None, "", [], {}, ())}
    for name in given:
        if name not in known.options:
            allowed = ", ".join(sorted(known.options)) or "none"
            raise BadInput(f"A provider of kind {kind} has no option {name[:40]!r}.", hint=f"It has: {allowed}.")
    if kind == "bedrock" and not given.get("region"):
        raise BadInput("A provider of kind bedrock needs a region.", hint="Like us-east-1, as the option region.")
    checks = {"region": _region, "api_version": _version, "speaks": _speaks, "headers": _headers}
    return {name: checks[name](kind, value) for name, value in sorted(given.items())}


def _region(_: str, value: Any) -> str:
    if not isinstance(value, str) or not _REGION.fullmatch(value):
        raise BadInput("The option region is no region of AWS.", hint="Like us-east-1.")
    return value


def _version(kind: str, value: Any) -> str:
    pattern, hint = _VERSIONS[kind]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadInput("The option api_version is no version of this API.", hint=hint)
    return value


def _speaks(kind: str, value: Any) -> list[str]:
    allowed = KINDS[kind].speaks
    listed = list(value) if isinstance(value, list | tuple) else []
    if not listed or any(one not in allowed for one in listed) or len(set(listed)) != len(listed):
        raise BadInput("The option speaks is a list of dialects.", hint=f"Some of {', '.join(allowed)}.")
    return listed


def _headers(_: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 20:
        raise BadInput("The option headers is an object of at most 20 names and values.")
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise BadInput(f"{str(name)[:60]!r} cannot be the name of a header.", hint="Letters, digits and hyphens.")
        if _NOT_OURS_TO_SET.fullmatch(name):
            raise BadInput(
                f"The header {name[:60]!r} cannot be an option.",
                hint="Headers are shown to everybody in the project; give keys as keys.",
            )
        if not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
            raise BadInput(f"The header {name[:60]!r} has a value that no header may have.", hint="Plain ASCII text.")
    return dict(value)
