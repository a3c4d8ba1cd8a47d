"""Looks for words in the bytes of a data folder's files, also inside the blocks that ClickHouse compresses.

In: a folder and words. Out: for each word, the files in which it stands. Nothing is asked of any engine, so what this does not find is
not there, whatever an engine would say. A compressed block is a 16-byte checksum, a method (0x82 LZ4, 0x90 ZSTD, 0x91 several, 0x02 none),
its size with these 9 bytes, the size of its content, and the content; blocks follow one another, in packed files after bytes of another kind.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

_HEAD: Final = 9
_CHECKSUM: Final = 16
_MOST: Final = 64 * 1024 * 1024
_METHODS: Final = re.compile(rb"[\x02\x82\x90\x91]")
_OVERLAP: Final = 512
"""Bytes of the block before that are looked at with the next: a word may lie across the border."""
_CHUNK: Final = 8 * 1024 * 1024


def search(folder: Path, words: Iterable[str]) -> dict[str, list[Path]]:
    """The files below `folder` that hold each word, as UTF-8, as JSON escapes it, or as UTF-16. Upper and lower case differ."""
    names = {word: _forms(word) for word in words}
    found: dict[str, list[Path]] = {word: [] for word in names}
    for path in files(folder):
        for word in matching(path, names):
            found[word].append(path)
    return found


def files(folder: Path) -> Iterator[Path]:
    """Every regular file; what disappears meanwhile is left out."""
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(root, name)
            try:
                if stat.S_ISREG(path.lstat().st_mode):
                    yield path
            except FileNotFoundError:
                continue


def matching(path: Path, names: Mapping[str, tuple[bytes, ...]]) -> set[str]:
    """Those of the words that stand in one file, in its bytes or in its compressed blocks."""
    found: set[str] = set()
    try:
        for piece in _plain(path):
            found |= _in(piece, names, found)
        if "spans" in path.parts or "store" in path.parts:
            before = b""
            for content in blocks(path.read_bytes()):
                found |= _in(before[-_OVERLAP:] + content, names, found)
                before = content
    except FileNotFoundError:
        pass
    return found


def blocks(data: bytes) -> Iterator[bytes]:
    """The contents of all compressed blocks in `data`, in order, wherever they begin."""
    at = 0
    while at + _CHECKSUM + _HEAD < len(data):
        content, size = _block(data, at + _CHECKSUM)
        if content is not None:
            yield content
            at += _CHECKSUM + size
            continue
        following = _METHODS.search(data, at + _CHECKSUM + 1)
        if following is None:
            return
        at = following.start() - _CHECKSUM


def _block(data: bytes, at: int) -> tuple[bytes | None, int]:
    """The content of the block whose method stands at `at`, and how long the block is; None when there is none."""
    size, plain = (int.from_bytes(data[at + start : at + start + 4], "little") for start in (1, 5))
    if not (_HEAD < size <= len(data) - at and 0 < plain <= _MOST):
        return None, 0
    return _content(data[at], data[at + _HEAD : at + size], plain), size


def _content(method: int, packed: bytes, plain: int) -> bytes | None:
    """What is in it; None when these bytes are no such block."""
    import lz4.block  # type: ignore[import-untyped]
    from backports import zstd

    try:
        match method:
            case 0x02:
                return packed if len(packed) == plain else None
            case 0x82:
                content = bytes(lz4.block.decompress(packed, uncompressed_size=plain))
            case 0x90:
                content = bytes(zstd.decompress(packed))
            case 0x91:  # the number of methods, their codes, and a block of the last of them
                inner, _ = _block(packed, 1 + packed[0])
                return inner
            case _:
                return None
    except (lz4.block.LZ4BlockError, zstd.ZstdError, ValueError, IndexError, RuntimeError):
        return None
    return content if len(content) == plain else None


def _plain(path: Path) -> Iterator[bytes]:
    before = b""
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield before + piece
            before = piece[-_OVERLAP:]


def _in(content: bytes, names: Mapping[str, tuple[bytes, ...]], known: set[str]) -> set[str]:
    return {word for word, forms in names.items() if word not in known and any(form in content for form in forms)}


def _forms(word: str) -> tuple[bytes, ...]:
    escaped = "".join(char if ord(char) < 128 else f"\\u{ord(char):04x}" for char in word)
    return tuple(dict.fromkeys((word.encode(), escaped.encode(), word.encode("utf-16-le"))))
