"""Replaces personal data by placeholders: <EMAIL_1>, <PHONE_1>, <CARD_1>, <RRN_1>, <SSN_1>.

One `Masker` serves one row or one request: the same value gets the same placeholder wherever it stands in it, so that the target
still speaks of what the input said, also where the words around it that gave it away are missing. Text that is JSON stays
JSON: its values are masked one by one.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from noria.governance.privacy.patterns import Found, find

_PLACEHOLDER = re.compile(r"[<\[](EMAIL|PHONE|CARD|RRN|SSN)_(\d{1,9})[>\]]")


class Masker:
    """Masks the texts of one row. `counts` says how many different values of each kind it replaced, `originals` what stood
    in the place of each placeholder, as it was first written."""

    def __init__(self, finder: Callable[[str], list[Found]] = find, *, brackets: str = "<>") -> None:
        self._find = finder
        self._opens, self._closes = brackets[0], brackets[1]
        self._names: dict[tuple[str, str], str] = {}
        self._written: dict[str, str] = {}
        self._used: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.originals: dict[str, str] = {}

    def text(self, text: str) -> str:
        """`text` with placeholders; the very same string when there is nothing to mask."""
        if text[:1] in "{[" and text[-1:] in "}]" and text:
            try:
                value = json.loads(text)
            except ValueError:
                return self._plain(text)
            masked = self.value(value)
            if masked == value:
                return text
            spaced = '": ' in text or '", "' in text
            return json.dumps(masked, ensure_ascii=False, separators=(", ", ": ") if spaced else (",", ":"))
        return self._plain(text)

    def value(self, value: Any) -> Any:
        """JSON with its strings, and numbers that are personal data, masked; keys stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(inner) for inner in value]
        if isinstance(value, dict):
            return {key: self.value(inner) for key, inner in value.items()}
        if isinstance(value, int) and not isinstance(value, bool) and value >= 10**8:
            masked = self._plain(str(value))
            return value if masked == str(value) else masked
        return value

    def _plain(self, text: str) -> str:
        found = self._find(text)
        if not found and not self._written:
            return text
        # A row may already hold placeholders of an earlier masking: theirs and ours must not mean two things.
        for kind, number in _PLACEHOLDER.findall(text):
            self._used[kind] = max(self._used.get(kind, 0), int(number))
        pieces, at = [], 0
        for hit in found:
            placeholder = self._placeholder(hit, text)
            self._written[text[hit.start : hit.end]] = placeholder
            pieces += [self._known(text[at : hit.start]), placeholder]
            at = hit.end
        return "".join([*pieces, self._known(text[at:])])

    def _known(self, text: str) -> str:
        """`text` without what this row has already shown to be personal data, letter by letter the same."""
        for written, placeholder in self._written.items():
            if written in text:
                text = re.sub(rf"(?<!\w){re.escape(written)}(?!\w)", placeholder, text)
        return text

    def _placeholder(self, hit: Found, text: str) -> str:
        key = (hit.kind, hit.value)
        name = self._names.get(key)
        if name is None:
            number = max(self.counts.get(hit.kind, 0), self._used.get(hit.kind, 0)) + 1
            self.counts[hit.kind] = number
            name = self._names[key] = f"{self._opens}{hit.kind}_{number}{self._closes}"
            self.originals[name] = text[hit.start : hit.end]
        return name
