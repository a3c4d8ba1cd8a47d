"""A dialect nobody has told us of: model, tokens and messages by the words that end an attribute's name.

Only asked where no table found a model or tokens, so that it never overrules a convention; and messages only of a span whose model or
tokens were guessed, so that a database's query is not taken for one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from noria.tracing.dialects.table import Side
from noria.tracing.dialects.values import READERS, text

RANK: Final = 998
_GUESSES: Final = {
    "requested_model": re.compile(r"(?:^|[._])(?:model|model[._]?(?:name|id)|request[._]model)$"),
    "input_tokens": re.compile(r"(?:^|[._])(?:input|prompt)[._]?tokens?$|token_?count[._](?:input|prompt)$"),
    "output_tokens": re.compile(r"(?:^|[._])(?:output|completion)[._]?tokens?$|token_?count[._](?:output|completion)$"),
    "session_id": re.compile(r"(?:^|[._])(?:session|conversation|thread)[._]?id$"),
    "subject_id": re.compile(r"(?:^|[._])user[._]?id$"),
}
_SAID: Final[Mapping[Side, re.Pattern[str]]] = {
    "input": re.compile(r"(?:^|[._])(?:messages|prompts?|input|request|question)$"),
    "output": re.compile(r"(?:^|[._])(?:completions?|output|response|answer|reply)$"),
}
_WORDS: Final = ("model", "token", "session", "conversation", "thread", "user")
_SMALL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def guess(fields: dict[str, tuple[int, Any]], attributes: Mapping[str, Any]) -> dict[Side, str]:
    """Add to `fields` what names suggest; the attributes that seem to hold the messages."""
    if "requested_model" in fields or "served_model" in fields or "output_tokens" in fields:
        return {}
    plain = {name: _SMALL.sub("_", name).lower() for name in attributes}
    for name, words in plain.items():
        if not any(word in words for word in _WORDS):
            continue
        for field, pattern in _GUESSES.items():
            if field not in fields and pattern.search(words):
                reader: Callable[[Any], Any] = READERS.get(field, text)
                read = reader(attributes[name])
                if read is not None:
                    fields[field] = (RANK, read)
    if "requested_model" not in fields and "output_tokens" not in fields:
        return {}
    found: dict[Side, str] = {}
    for side, pattern in _SAID.items():
        if (name := next((name for name, words in plain.items() if pattern.search(words)), "")) and attributes[name]:
            found[side] = name
    return found
