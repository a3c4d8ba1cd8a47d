"""Messages of AWS's binary event stream, as the service writes them."""

import struct
import zlib


def message(headers: dict[str, str], payload: bytes) -> bytes:
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    return framed(head, payload)


def framed(head: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    whole = prelude + head + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def event(name: str, payload: bytes) -> bytes:
    kind = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return message(kind, payload)
