"""What people type into forms of registry."""

from typing import Any

import orjson

from noria.core.errors import BadInput


def parse_json(text: str, kind: type) -> Any:
    """What was typed into a form. Raises BadInput unless it is JSON of that kind."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"That is not JSON: {error.msg} (line {error.lineno}).", hint="Nothing was changed.") from error
    if not isinstance(value, kind):
        raise BadInput(f"A JSON {'list' if kind is list else 'object'} is wanted here.", hint="Nothing was changed.")
    return value
