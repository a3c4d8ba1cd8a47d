"""Taking what OpenTelemetry clients send: decoded, checked, mapped, and in the journal before anybody is told that it was kept.

In: the bytes of one export request. Out: how much of it was refused and why. HTTP and gRPC share these verbs. Metrics are accepted and not
kept: what Noria shows of tokens, cost and time it counts from the spans themselves.
"""

import logging
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from noria.core.errors import BadInput, Forbidden, NoriaError
from noria.stores.connect import Stores
from noria.tracing.dialects.driver import record, unread
from noria.tracing.estimates import Estimates, estimates
from noria.tracing.otlp import from_json, from_protobuf
from noria.tracing.otlp.contents import contents
from noria.tracing.otlp.places import Places, WrongProject
from noria.tracing.otlp.raw import Raw, RawLog, Refused, check
from noria.web.auth import Caller

logger = logging.getLogger("noria.tracing")

COUNTED: Counter[str] = Counter()
"""Spans "kept" and "refused" since this process started."""

Signal = Literal["traces", "logs", "metrics"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one request."""

    kept: int
    refused: int = 0
    reason: str = ""


def take_traces(stores: Stores, caller: Caller, data: bytes, *, json: bool) -> Taken:
    """Journal the good spans, each in the project of its resource.

    Raises BadInput when there are only bad ones, Forbidden when all name projects that are not the key's, and Unavailable when the disk is full.
    """
    kept: list[dict[str, Any]] = []
    reasons: Counter[str] = Counter()
    strange = 0
    places = Places(stores, caller)
    key_id = caller.id if caller.kind == "key" else ""
    prices = estimates(stores.settings.folder.prices)
    for raw in from_json.spans(data) if json else from_protobuf.spans(data):
        try:
            if isinstance(raw, Refused):
                raise raw
            kept.append(as_record(check(raw), places.of(raw.origin.project), key_id, prices))
        except Refused as reason:
            reasons[str(reason)] += 1
            strange += isinstance(reason, WrongProject)
    refused = reasons.total()
    COUNTED["refused"] += refused
    if refused and not kept:
        raise _all_bad(f"None of the {refused:,} spans could be kept: {_told(reasons)}.", forbidden=strange == refused)
    stores.journal.append(kept)
    COUNTED["kept"] += len(kept)
    told = f"{refused:,} spans were not kept: {_told(reasons)}. The other {len(kept):,} were." if refused else ""
    return Taken(len(kept), refused, told)


def as_record(raw: Raw, project_id: str, key_id: str, prices: Estimates) -> dict[str, Any]:
    """The span of `raw`, which has been checked."""
    try:
        return record(raw, project_id, key_id, prices)
    except Exception as error:  # noqa: BLE001
        # The ingest boundary: a span that a table trips over is kept as it came. The error's text may hold what people wrote.
        place = traceback.extract_tb(error.__traceback__)[-1]
        logger.error("A span could not be read: %s at %s:%s", type(error).__name__, place.name, place.lineno)
        return unread(raw, project_id, key_id)


def take_logs(stores: Stores, caller: Caller, data: bytes, *, json: bool) -> Taken:
    """Journal messages that log events hold, for the spans that they belong to.

    Raises BadInput, Forbidden when all name projects that are not the key's, and Unavailable.
    """
    good: list[tuple[str, RawLog]] = []
    strange: Counter[str] = Counter()
    broken = 0
    places = Places(stores, caller)
    for found in from_json.logs(data) if json else from_protobuf.logs(data):
        try:
            if isinstance(found, Refused):
                raise found
            good.append((places.of(found.project), found))
        except WrongProject as reason:
            strange[str(reason)] += 1
        except Refused:
            broken += 1
    if strange and not good:
        raise _all_bad(f"None of the {strange.total():,} log records could be kept: {_told(strange)}.", forbidden=True)
    kept, others = contents(good)
    stores.journal.append(kept)
    idle = broken + others
    told = [f"{idle:,} log records hold no messages of a model call, so they were not kept."] if idle else []
    told += [f"{strange.total():,} log records were not kept: {_told(strange)}."] if strange else []
    return Taken(len(kept), idle + strange.total(), " ".join(told))


def take_metrics(_stores: Stores, _caller: Caller, data: bytes, *, json: bool) -> Taken:
    """Understand and let go. Raises BadInput."""
    refused = from_json.points(data) if json else from_protobuf.points(data)
    told = "Noria keeps no metrics: it counts tokens, cost and time from spans." if refused else ""
    return Taken(0, refused, told)


def _all_bad(message: str, *, forbidden: bool) -> NoriaError:
    hint = "Make a key that may write there as well: noria keys create --scope write_traces --writes-to."
    return Forbidden(message, hint=hint) if forbidden else BadInput(message)


def _told(reasons: Counter[str]) -> str:
    return "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(5))


Take = Callable[..., Taken]
TAKE: dict[Signal, Take] = {"traces": take_traces, "logs": take_logs, "metrics": take_metrics}


def rejected(signal: Signal) -> str:
    """The name of the count in a partial success."""
    return {"traces": "rejected_spans", "logs": "rejected_log_records", "metrics": "rejected_data_points"}[signal]
