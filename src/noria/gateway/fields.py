"""The types of the request fields that all providers know, checked before anything is rendered, limited or paid.

In: a caller's JSON object, whatever its dialect. Out: nothing, or BadInput that names the field. The decision to know:
only the type is checked, only for published fields, and null always passes: ranges, and what a provider adds of its own,
are the provider's to judge.
"""

from typing import Any

from noria.core.errors import BadInput

Kind = tuple[str, frozenset[type]]
_LARGEST = 2.0**63


def _kind(words: str, *types: type) -> Kind:
    return words, frozenset(types)


_TEXT, _LIST, _OBJECT, _SWITCH = (
    _kind("text", str),
    _kind("a list", list),
    _kind("an object", dict),
    _kind("true or false", bool),
)
_WHOLE, _NUMBER = _kind("a whole number of at most 64 bits", int), _kind("a number", int, float)
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("user", "suffix", "reasoning_effort", "service_tier", "encoding_format", "verbosity"), _TEXT),
    **dict.fromkeys(("tools", "functions", "modalities", "stop_sequences", "include"), _LIST),
    **dict.fromkeys(("response_format", "metadata", "logit_bias", "stream_options", "audio", "prediction"), _OBJECT),
    **dict.fromkeys(("stream", "store", "parallel_tool_calls", "echo"), _SWITCH),
    **dict.fromkeys(("max_tokens", "max_completion_tokens", "max_output_tokens"), _WHOLE),
    **dict.fromkeys(("n", "best_of", "seed", "top_logprobs", "dimensions"), _WHOLE),
    **dict.fromkeys(("temperature", "top_p", "frequency_penalty", "presence_penalty"), _NUMBER),
    **dict.fromkeys(("tool_choice", "function_call"), _kind("text or an object", str, dict)),
    "model": _TEXT,
    "stop": _kind("text or a list", str, list),
    "logprobs": _kind("true, false or a whole number", bool, int),
}


_OWN: dict[str, Kind] = {"variables": _OBJECT, "session": _TEXT, "user": _TEXT, "tags": _LIST}


def check_types(body: dict[str, Any]) -> None:
    """Raises BadInput for the first field whose value has the wrong type. A whole number said as 5.0 becomes 5."""
    _check(body, _KINDS, "")


def check_own(own: dict[str, Any]) -> None:
    """The same for what stands under "noria"."""
    _check(own, _OWN, "noria.")


def _check(body: dict[str, Any], kinds: dict[str, Kind], where: str) -> None:
    for name, value in body.items():
        if (kind := kinds.get(name)) is None or value is None or type(value) in kind[1]:
            continue
        if int not in kind[1] or type(value) is not float or not value.is_integer() or abs(value) >= _LARGEST:
            raise BadInput(f'"{where}{name}" must be {kind[0]}.')
        body[name] = int(value)
