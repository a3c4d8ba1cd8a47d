"""Requests of OTLP in JSON, one a row, as OpenTelemetry's Collector writes them to a file."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from noria.tracing.imports.items import Item, Row
from noria.tracing.otlp import from_json
from noria.tracing.otlp.raw import Refused

NAME: Final = "otlp"


def fits(row: Mapping[str, Any]) -> bool:
    """Whether `row` is an export request."""
    return isinstance(row.get("resourceSpans"), list)


class Otlp:
    """One request a row."""

    def __call__(self, row: Row) -> Iterable[Item]:
        """Raises Refused."""
        if not fits(row):
            raise Refused("it has no resourceSpans")
        return from_json.spans(orjson.dumps(row))
