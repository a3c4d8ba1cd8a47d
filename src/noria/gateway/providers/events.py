"""Streams cut into events: server-sent events, and the binary event stream of AWS.

In: pieces of bytes as the network gave them. Out: (name, data) pairs. Sizes are bounded, checksums are checked; what is no
stream of its kind is ProviderFailed. Formats: WHATWG HTML, "Server-sent events"; AWS Transcribe and SDK documentation,
"Event stream encoding" (application/vnd.amazon.eventstream).
"""

import re
import struct
import zlib
from typing import Final

import orjson

from noria.core.errors import ProviderFailed

_MOST_EVENT: Final = 16_000_000
_END: Final = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


class ServerSentEvents:
    """`event:` and `data:` lines up to an empty line; comments and other fields are passed over."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size > _MOST_EVENT:
            raise ProviderFailed("The provider sent an event without an end.")
        if b"\n" not in piece and b"\r" not in piece:
            return []
        held = b"".join(self._parts)
        found, start = [], 0
        for match in _END.finditer(held):
            if (event := _parsed(held[start : match.start()])) is not None:
                found.append(event)
            start = match.end()
        self._parts = [held[start:]]
        self._size = len(held) - start
        return found

    def end(self) -> list[tuple[str, bytes]]:
        event = _parsed(b"".join(self._parts))
        self._parts, self._size = [], 0
        return [] if event is None else [event]


def _parsed(event: bytes) -> tuple[str, bytes] | None:
    name, data = "", []
    for line in event.splitlines():
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")[:100]
        elif line.startswith(b"error:"):  # llama.cpp's server, in the middle of a text stream
            raise ProviderFailed("The provider broke off with an error.", code="provider_error")
    return (name, b"\n".join(data)) if data else None


_PRELUDE: Final = struct.Struct(">III")
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 (bytes) and 7 (text) say their length."""


class AwsEvents:
    """Messages of application/vnd.amazon.eventstream.

    A message is: total length, length of headers, CRC of both, headers, payload, CRC of all before. An event gives
    (":event-type", payload); an exception (":exception-type", payload); an error ("error", {"message", "code"} as JSON).
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = _PRELUDE.size

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size < self._wanted:
            return []
        held = b"".join(self._parts)
        found, at = [], 0
        self._wanted = _PRELUDE.size
        while len(held) - at >= _PRELUDE.size:
            total, header_length = _sizes(held, at)
            if len(held) - at < total:
                self._wanted = total
                break
            found.append(_message(held[at : at + total], header_length))
            at += total
        self._parts = [held[at:]]
        self._size = len(held) - at
        return found

    def end(self) -> list[tuple[str, bytes]]:
        if self._size:
            raise ProviderFailed("The provider broke off in the middle of an event.")
        return []


def _sizes(held: bytes, at: int) -> tuple[int, int]:
    total, header_length, checksum = _PRELUDE.unpack_from(held, at)
    if zlib.crc32(held[at : at + 8]) != checksum:
        raise ProviderFailed("The provider sent something that is no event stream.")
    if total > _MOST_EVENT or total < header_length + 16:
        raise ProviderFailed("The provider sent an event of an impossible size.")
    return total, header_length


def _message(message: bytes, header_length: int) -> tuple[str, bytes]:
    if zlib.crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
        raise ProviderFailed("The provider sent an event that arrived damaged.")
    start = _PRELUDE.size
    headers = _headers(message[start : start + header_length])
    payload = message[start + header_length : -4]
    match headers.get(":message-type", ""):
        case "exception":
            return headers.get(":exception-type", "exception"), payload
        case "error":
            said = {"message": headers.get(":error-message", ""), "code": headers.get(":error-code", "")}
            return "error", orjson.dumps(said)
        case _:
            return headers.get(":event-type", ""), payload


def _headers(data: bytes) -> dict[str, str]:
    """Headers that hold text; those of other types are passed over."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            at = name_end + 1
            if kind in {6, 7}:
                length = int.from_bytes(data[at : at + 2], "big")
                value = data[at + 2 : at + 2 + length]
                at += 2 + length
                if kind == 7:
                    found[name] = value.decode()
            else:
                at += _FIXED[kind]
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ProviderFailed("The provider sent an event with broken headers.") from error
    if at != len(data):
        raise ProviderFailed("The provider sent an event with broken headers.")
    return found
