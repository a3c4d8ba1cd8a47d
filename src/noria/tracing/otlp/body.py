"""The body of an OTLP request: its encoding undone within bounds.

In: bytes as they came and the headers that describe them. Out: bytes of protobuf or JSON. Inflating stops at the limit, so
that a small body cannot become a large one.
"""

import zlib
from typing import Final

from noria.core.errors import BadInput, TooLarge

JSON: Final = "application/json"
PROTOBUF: Final = "application/x-protobuf"
_WINDOW: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def is_json(content_type: str) -> bool:
    """Which of the two encodings a body has. Raises BadInput for a third one."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return True
    if kind in {PROTOBUF, "application/protobuf", "application/octet-stream", ""}:
        return False
    raise BadInput("The content-type is not one that OTLP knows; nothing was kept.", hint=f"Send {PROTOBUF} or {JSON}.")


def inflated(data: bytes, encoding: str, limit: int) -> bytes:
    """`data` without its content-encoding. Raises BadInput, and TooLarge when it would be more than `limit` bytes."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return data
    if encoding not in _WINDOW:
        raise BadInput("The content-encoding is not known; nothing was kept.", hint="Send gzip, or none.")
    found, rest = bytearray(), data
    try:
        while rest:
            inflating = zlib.decompressobj(_WINDOW[encoding])
            found += inflating.decompress(rest, limit - len(found) + 1)
            if len(found) > limit:
                raise TooLarge(
                    f"Unpacked, the body is more than {limit // 1_048_576} MB; nothing was kept.",
                    hint="Send smaller batches, or raise the setting max_body_mb.",
                )
            if not inflating.eof:
                raise zlib.error("it ends too early")
            rest = inflating.unused_data if encoding != "deflate" else b""
    except zlib.error as error:
        raise BadInput(f"The body is not {encoding}: it is broken or cut off; nothing was kept.") from error
    return bytes(found)
