"""Identifiers: their shape, their order, and that they do not repeat."""

import re
import uuid

from noria.core import ids


def test_record_ids_are_uuids_of_version_7() -> None:
    made = uuid.UUID(ids.new_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_record_ids_sort_by_time() -> None:
    made = [ids.new_id() for _ in range(2000)]
    stamps = [text[:13] for text in made]
    assert stamps == sorted(stamps)
    assert len(set(made)) == len(made)


def test_trace_and_span_ids_have_the_size_of_opentelemetry() -> None:
    assert re.fullmatch("[0-9a-f]{32}", ids.new_trace_id())
    assert re.fullmatch("[0-9a-f]{16}", ids.new_span_id())
