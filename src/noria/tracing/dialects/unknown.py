"""A dialect nobody has told us of: model and tokens by the words that end an attribute's name.

Only asked where no table found a model and tokens, so that it never overrules a convention.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from noria.tracing.dialects.values import READERS, text

_RANK: Final = 998
_GUESSES: Final = {
    "requested_model": re.compile(r"(?:^|[._])(?:model|model[._]?(?:name|id)|request[._]model)$"),
    "input_tokens": re.compile(r"(?:^|[._])(?:input|prompt)[._]?tokens?$|token_?count[._](?:input|prompt)$"),
    "output_tokens": re.compile(r"(?:^|[._])(?:output|completion)[._]?tokens?$|token_?count[._](?:output|completion)$"),
    "session_id": re.compile(r"(?:^|[._])(?:session|conversation|thread)[._]?id$"),
    "subject_id": re.compile(r"(?:^|[._])user[._]?id$"),
}
_SMALL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def guess(fields: dict[str, tuple[int, Any]], attributes: Mapping[str, Any]) -> None:
    """Add to `fields` what names suggest."""
    if "requested_model" in fields or "served_model" in fields or "output_tokens" in fields:
        return
    for name, value in attributes.items():
        if not any(word in name.lower() for word in ("model", "token", "session", "conversation", "thread", "user")):
            continue
        plain = _SMALL.sub("_", name).lower()
        for field, pattern in _GUESSES.items():
            if field not in fields and pattern.search(plain):
                reader: Callable[[Any], Any] = READERS.get(field, text)
                read = reader(value)
                if read is not None:
                    fields[field] = (_RANK, read)
