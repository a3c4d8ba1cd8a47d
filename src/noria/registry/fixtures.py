"""A recorded call made into test fixtures: cleaned of personal data and keys, and checked that nothing of them is left.

In: an `Exchange`. Out: files by name, in the format of tests/gateway/dialects/fixtures: a request and an answer as JSON with
`source`, `date` and `uncertain`, a stream as server-sent events behind comments that say the same. The decision to know: a
stream is cleaned as the text that it adds up to, because a name is easily cut in two; and what is written is searched
again, so a fixture that cannot be proved clean is not written.
"""

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from noria.core.errors import BadInput
from noria.governance.privacy.masking import Masker
from noria.governance.privacy.patterns import find
from noria.registry.recording import Exchange

_OWN: Final = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key", "user_id", "session_id"})
"""Fields that name somebody or are the application's own; their values go, whatever they are."""
_BLOB: Final = re.compile(r"(?:data:[a-z0-9.+/-]{1,60};base64,)?[A-Za-z0-9+/_-]{200,}={0,2}")
_SECRETS: Final = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|r8|nvapi|pplx|glpat|ghp|gho|ghs|github_pat|noria)[-_][A-Za-z0-9_-]{16,}"
    r"|\bA(?:KIA|SIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|\b(?i:bearer|password|passwd|secret|api[_-]?key)[\"']?\s*[:=]?\s+[\"']?[A-Za-z0-9_./+-]{16,}"
)
_BLANK: Final = "UkVNT1ZFRA=="
"""Stands for long runs of base64: pictures, files, sealed thoughts ("REMOVED")."""
_EVENT_END: Final = re.compile(rb"\r?\n\r?\n")

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Cleaner:
    """Cleans one exchange; the same value becomes the same placeholder wherever it stands. `removed` counts by kind."""

    keys: frozenset[str] = frozenset()
    """Keys of this installation's providers, to be sure of them."""
    removed: dict[str, int] = field(default_factory=dict)
    _masker: Masker = field(default_factory=Masker)
    _secrets: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        """JSON, cleaned."""
        pieces = dict(_leaves(value))
        return _with(value, {path: self.text(text) for path, text in pieces.items()})

    def text(self, text: str) -> str:
        return self.pieces([text])[0]

    def pieces(self, parts: list[str]) -> list[str]:
        """Texts that are one text in pieces, cleaned as the whole; what was found stays in the piece in which it begins."""
        whole = "".join(parts)
        edits = [*self._found(whole)]
        cleaned, at = [], 0
        for part in parts:
            cleaned.append(_edited(whole, at, at + len(part), edits))
            at += len(part)
        return cleaned

    def own(self, value: Any) -> Any:
        """JSON whose fields of the application's own have said nothing."""
        if isinstance(value, dict):
            return {name: _emptied(one) if name in _OWN else self.own(one) for name, one in value.items()}
        return [self.own(one) for one in value] if isinstance(value, list) else value

    def check(self, text: str) -> None:
        """Raises BadInput when something that had to go is still there."""
        if any(key in text for key in self.keys if len(key) >= 8):
            raise BadInput("a provider's key is still in it")
        if any(found[0] not in self._secrets.values() for found in _SECRETS.finditer(text)):
            raise BadInput("something that looks like a key is still in it")
        if found := find(text):
            raise BadInput(f"something that looks like {found[0].kind} is still in it")

    def _found(self, whole: str) -> Iterator[tuple[int, int, str]]:
        """(start, end, what stands there instead), in order and without overlaps."""
        hits: list[tuple[int, int, str]] = []

        def add(start: int, end: int, instead: str, kind: str) -> None:
            if all(end <= other[0] or start >= other[1] for other in hits):
                hits.append((start, end, instead))
                self.removed[kind] = self.removed.get(kind, 0) + 1

        for key in self.keys:
            for match in re.finditer(re.escape(key), whole) if len(key) >= 8 else ():
                add(match.start(), match.end(), self._secret(key), "SECRET")
        for match in _SECRETS.finditer(whole):
            add(match.start(), match.end(), self._secret(match[0]), "SECRET")
        for match in _BLOB.finditer(whole):
            add(
                match.start(),
                match.end(),
                match[0].partition(",")[0] + "," + _BLANK if "," in match[0] else _BLANK,
                "BLOB",
            )
        for one in find(whole):
            masked = self._masker.text(whole[one.start : one.end])
            instead = masked if masked != whole[one.start : one.end] else f"<{one.kind}>"
            add(one.start, one.end, instead, one.kind)
        yield from sorted(hits)

    def _secret(self, text: str) -> str:
        return self._secrets.setdefault(text, f"<SECRET_{len(self._secrets) + 1}>")


def fixtures(exchange: Exchange, name: str, keys: frozenset[str]) -> tuple[dict[str, str], dict[str, int]]:
    """(texts by the name of their file, how many things of which kind were removed). Raises BadInput when the exchange is no
    such traffic, or cannot be proved clean."""
    cleaner = Cleaner(keys)
    told = {
        "source": f"recorded from a provider of kind {exchange.kind}, model {exchange.model}",
        "date": f"{datetime.fromtimestamp(exchange.at, UTC):%Y-%m-%d}",
        "uncertain": "" if exchange.complete else "the answer was not heard to its end",
    }
    where = exchange.dialect
    files = {f"{where}/request_{name}.json": _json({**told, "request": _object(exchange.request, cleaner)})}
    kind = exchange.headers.get("content-type", "")
    if "event-stream" in kind:
        files[f"{where}/stream_{name}.sse"] = _stream(exchange.answer, told, cleaner)
    elif "eventstream" in kind:
        events = _cleaned_events(list(_aws_events(exchange.answer)), cleaner)
        files[f"{where}/stream_{name}.json"] = _json({**told, "events": events})
    else:
        seen = {"status": exchange.status, "headers": exchange.headers}
        files[f"{where}/answer_{name}.json"] = _json({**told, **seen, "answer": _object(exchange.answer, cleaner)})
    for text in files.values():
        cleaner.check(text)
    return files, cleaner.removed


def _object(raw: bytes, cleaner: Cleaner) -> Any:
    try:
        return cleaner.value(cleaner.own(orjson.loads(raw)))
    except orjson.JSONDecodeError:
        raise BadInput("it is no JSON") from None


def _stream(raw: bytes, told: dict[str, str], cleaner: Cleaner) -> str:
    """Server-sent events: data that is JSON is cleaned; everything else is kept line by line."""
    events = [event for event in _EVENT_END.split(raw) if event.strip()]
    datas = [_data_of(event) for event in events]
    cleaned = iter(_cleaned_events([one for one in datas if one is not None], cleaner))
    lines = [f": source: {told['source']}; {told['date']}"]
    lines += [f": uncertain: {told['uncertain']}"] if told["uncertain"] else []
    written = []
    for event, data in zip(events, datas, strict=True):
        text = event.decode("utf-8", "replace")
        if data is None:
            written.append(cleaner.text(text))
            continue
        kept = [line for line in text.splitlines() if line and not line.startswith("data:")]
        written.append("\n".join([*kept, f"data: {orjson.dumps(next(cleaned)).decode()}"]))
    return "\n".join(lines) + "\n" + "\n\n".join(written) + "\n\n"


def _data_of(event: bytes) -> Any:
    """The JSON of an event; None when it has none ("[DONE]", comments)."""
    data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _cleaned_events(events: list[Any], cleaner: Cleaner) -> list[Any]:
    """Events whose texts were cleaned as what they add up to, place by place."""
    plain = [cleaner.own(event) for event in events]
    groups: dict[tuple[Any, ...], list[tuple[int, Path, str]]] = {}
    for number, event in enumerate(plain):
        block = (event.get("index"), event.get("output_index"), event.get("content_index"))
        for path, text in _leaves(event):
            groups.setdefault((block, path), []).append((number, path, text))
    changes: dict[int, dict[Path, str]] = {}
    for group in groups.values():
        for (number, path, _), text in zip(group, cleaner.pieces([text for *_, text in group]), strict=True):
            changes.setdefault(number, {})[path] = text
    return [_with(event, changes.get(number, {})) for number, event in enumerate(plain)]


def _aws_events(raw: bytes) -> Iterator[dict[str, Any]]:
    """{"event", "data"} of every message of AWS's binary stream; its checksums were checked when it was heard."""
    at = 0
    while at + 16 <= len(raw):
        total, length = struct.unpack_from(">II", raw, at)
        if not 16 <= total <= len(raw) - at or length > total - 16:
            raise BadInput("its stream is cut off")
        headers, end = raw[at + 12 : at + 12 + length], at + total - 4
        name = next((value for key, value in _aws_headers(headers) if key in (":event-type", ":exception-type")), "")
        yield {"event": name, "data": orjson.loads(raw[at + 12 + length : end] or b"{}")}
        at += total


def _aws_headers(raw: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(raw):
        size = raw[at]
        name = raw[at + 1 : at + 1 + size].decode("utf-8", "replace")
        if raw[at + 1 + size : at + 2 + size] != b"\x07":
            return
        (length,) = struct.unpack_from(">H", raw, at + 2 + size)
        start = at + 4 + size
        yield name, raw[start : start + length].decode("utf-8", "replace")
        at = start + length


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text in JSON, and every number that is long enough to be somebody's, with where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 10**10 and find(str(value)):
        yield path, str(value)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, (*path, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(one, (*path, number))


def _with(value: Any, texts: dict[Path, str], path: Path = ()) -> Any:
    if path in texts and not isinstance(value, dict | list):
        return texts[path]
    if isinstance(value, dict):
        return {name: _with(one, texts, (*path, name)) for name, one in value.items()}
    if isinstance(value, list):
        return [_with(one, texts, (*path, number)) for number, one in enumerate(value)]
    return value


def _emptied(value: Any) -> Any:
    if isinstance(value, str):
        return "removed"
    if isinstance(value, dict):
        return {}
    return [] if isinstance(value, list) else None


def _edited(whole: str, start: int, end: int, edits: Iterable[tuple[int, int, str]]) -> str:
    """whole[start:end] with the edits that begin in it, and without what belongs to those that began before."""
    out, at = [], start
    for left, right, instead in edits:
        if right <= at or left >= end:
            continue
        if left >= start:
            out += [whole[at:left], instead]
        at = min(right, end)
    return "".join([*out, whole[at:end]])


def _json(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n"
