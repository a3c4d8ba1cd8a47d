"""Which encoding a text file has: bytes in, the name of a codec out. One pass over the file, line by line.

The decision to know: a file that is UTF-8 but for a few lines stays UTF-8, and those lines are refused one by one with their
numbers. Guessing another encoding for the whole file because of one broken byte would silently spoil all others.
"""

import codecs
from dataclasses import dataclass
from pathlib import Path

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SAMPLE_LINES = 2_000


@dataclass(frozen=True, slots=True)
class Encoding:
    """`name` is a Python codec; `note` says what a person should know about the choice (empty: nothing)."""

    name: str
    note: str = ""


def detect(path: Path) -> Encoding:
    """utf-8, utf-8-sig, utf-16 (by its mark), cp949 (which holds euc-kr), else cp1252 or latin-1 as the last resort."""
    with path.open("rb") as file:
        head = file.read(4)
        for mark, name in MARKS.items():
            if head.startswith(mark):
                return Encoding(name)
        file.seek(0)
        foreign, broken = 0, 0
        sample: list[bytes] = []
        for line in file:
            if line.isascii():
                continue
            foreign += 1
            if not _decodes(line, "utf-8"):
                broken += 1
                if len(sample) < SAMPLE_LINES:
                    sample.append(line)
    if broken == 0 or broken * 10 <= foreign:
        return Encoding("utf-8")
    return _guess(sample)


def broken_bytes(text: str) -> str:
    """The bytes of `text` that its encoding could not read (decoded with surrogateescape), as "0xff 0xfe"; empty: none."""
    if text.isascii():
        return ""
    found = [f"0x{ord(letter) - 0xDC00:02x}" for letter in text if 0xDC80 <= ord(letter) <= 0xDCFF]
    return " ".join(found[:4]) + (" …" if len(found) > 4 else "")


def _guess(lines: list[bytes]) -> Encoding:
    """Korean if nearly all lines read as cp949 and what is not ASCII in them is mostly Hangul, else a Western codec."""
    korean = [line.decode("cp949") for line in lines if _decodes(line, "cp949")]
    letters = [letter for line in korean for letter in line if not letter.isascii()]
    hangul = sum("가" <= letter <= "힣" or "ㄱ" <= letter <= "ㅣ" for letter in letters)
    if len(korean) * 10 >= len(lines) * 9 and letters and hangul * 2 > len(letters):
        return Encoding("cp949", "The file is not UTF-8; it was read as Korean cp949 (euc-kr).")
    name = "cp1252" if all(_decodes(line, "cp1252") for line in lines) else "latin-1"
    return Encoding(
        name,
        f"The file is not UTF-8; it was read as {name}, which fits any bytes: look at accented letters, or save it as UTF-8.",
    )


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
