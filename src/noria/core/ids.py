"""Identifiers. Records use UUIDv7 (RFC 9562), whose text sorts by creation time; traces and spans use OpenTelemetry's hex."""

import os
import time


def new_id() -> str:
    """A UUIDv7 as 36 characters; ids made later sort later (to the millisecond)."""
    millis = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (millis & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (random >> 64 & 0xFFF) << 64
    value |= 0b10 << 62 | random & 0x3FFFFFFFFFFFFFFF
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_trace_id() -> str:
    """16 random bytes as 32 lower-case hex digits."""
    return os.urandom(16).hex()


def new_trace() -> tuple[str, str]:
    """A trace id and the id of its first span, for one look at the random source."""
    text = os.urandom(24).hex()
    return text[:32], text[32:]


def new_span_id() -> str:
    """8 random bytes as 16 lower-case hex digits."""
    return os.urandom(8).hex()
