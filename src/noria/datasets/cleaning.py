"""A version in, a cleaned version out, and what was done to which row and why. Runs in jobs only.

Three stages: each row is repaired and masked and written to scratch; all rows are compared; what stays is streamed into the new
version. The rules to know: rows whose targets differ are never merged, a row that also stands in a held-out split goes from the
split that is taught (never from the test), and only what is taught loses outliers and conflicts.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from noria.datasets import changes, dedup, outliers, parquet
from noria.datasets.changes import Action, Change
from noria.datasets.options import Options
from noria.datasets.records import Example, message_text
from noria.datasets.repair import LOST, in_strings, repair
from noria.governance.privacy.masking import Masker

HELD_OUT: Final[dict[str, int]] = {"test": 0, "validation": 1}
"""Splits that measure; a row that stands in two goes from the one with the higher number. All others teach (2)."""
_TAUGHT: Final = 2
_ID_KEYS: Final = frozenset({"id", "row_id", "trace_id", "session"})

Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class _Rows:
    """What is kept in memory of each row, by position."""

    ids: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    contexts: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, example: Example) -> None:
        system = [m for m in example.input if m["role"] in {"system", "developer"}]
        said = [m for m in example.input if m["role"] not in {"system", "developer"}]
        self.ids.append(example.row_id)
        self.splits.append(example.split)
        self.texts.append("\n".join(map(message_text, said)))
        self.whole.append(_hash(orjson.dumps(example.messages, option=orjson.OPT_SORT_KEYS)))
        self.targets.append(_hash(_meaning(example.target)))
        self.contexts.append(_hash(orjson.dumps([system, [m["role"] for m in said]], option=orjson.OPT_SORT_KEYS)))
        self.lengths.append(sum(len(message_text(message)) for message in example.messages))

    def rank(self, position: int) -> int:
        return HELD_OUT.get(self.splits[position], _TAUGHT)


class Cleaning:
    """One run. Iterate `examples()` once; `report` is complete after that."""

    def __init__(self, paths: list[Path], options: Options, work: Path, progress: Progress = lambda *_: None) -> None:
        """`paths` are the parts of the version; `work` is an empty folder for scratch."""
        self.paths, self.options, self.work, self.progress = paths, options, work, progress
        self.report: dict[str, Any] = {}
        self._rows = _Rows()
        self._found: list[Change] = []
        self._removed: set[int] = set()
        self._masked = Counter[str]()
        self._conflicts = 0

    def examples(self) -> Iterator[Example]:
        """The rows that stay, in their order. Writes the list of changes to `work`/changes.parquet at the end."""
        scratch = self.work / "scratch"
        scratch.mkdir()
        parts = parquet.write_parts(scratch, self._tidied())
        self._compare()
        after: dict[int, int] = {}
        for position, example in parquet.read(parts.paths):
            if position not in self._removed:
                after[position] = len(after)
                yield example
        self._found = [
            found if found.action == "removed" else replace(found, after=after.get(found.before, -1))
            for found in sorted(self._found, key=lambda found: found.before)
        ]
        changes.write(self.work / "changes.parquet", self._found)
        self._summarise(len(after))

    def _tidied(self) -> Iterator[Example]:
        for position, (_, example) in enumerate(parquet.read(self.paths)):
            if position % 2_000 == 0:
                self.progress(position, 0, f"{position:,} rows repaired and masked")
            tidy = self._mask(position, self._repair(position, example))
            self._rows.add(tidy)
            yield tidy

    def _repair(self, position: int, example: Example) -> Example:
        if any(LOST in message_text(message) for message in example.messages):
            self._note(position, example, "reported", "unreadable", "letters were lost before the import (U+FFFD)")
        if not self.options.repair:
            return example
        fixed = replace(
            example, messages=in_strings(example.messages, repair), meta=in_strings(example.meta, repair, _ID_KEYS)
        )
        if fixed != example:
            self._note(position, example, "changed", "encoding", "")
        return fixed

    def _mask(self, position: int, example: Example) -> Example:
        if not self.options.mask:
            return example
        masker = Masker()
        masked = replace(
            example,
            messages=in_strings(example.messages, masker.text, frozenset({"role", "type"})),
            meta=in_strings(example.meta, masker.text, _ID_KEYS),
        )
        if masker.counts:
            self._masked.update(masker.counts)
            detail = ", ".join(f"{kind.lower()} {count}" for kind, count in sorted(masker.counts.items()))
            self._note(position, example, "changed", "masked", detail)
        return masked

    def _compare(self) -> None:
        rows = self._rows
        total = len(rows.ids)
        self.progress(0, 0, f"comparing {total:,} rows")
        same = self._pairs()
        if self.options.leakage:
            self._leaks(same)
        if self.options.exact:
            self._exact()
        if self.options.near:
            for pair in same:
                here = rows.splits[pair.first] == rows.splits[pair.second]
                if here and pair.same_target and self._both_stay(pair):
                    self._remove(pair.second, "near_duplicate", f"{pair.alike:.0%} alike", pair.first)
        self._disagreements(same)
        if self.options.outliers:
            self._lengths()

    def _pairs(self) -> list[dedup.Pair]:
        rows = self._rows
        return dedup.pairs(
            rows.texts,
            np.array(rows.targets, dtype=np.uint64),
            np.array(rows.contexts, dtype=np.uint64),
            threshold=self.options.threshold,
            check=lambda: self.progress(0, 0, f"comparing {len(rows.ids):,} rows"),
        )

    def _leaks(self, same: list[dedup.Pair]) -> None:
        rows = self._rows
        first: dict[int, int] = {}
        for position in sorted(range(len(rows.ids)), key=lambda position: (rows.rank(position), position)):
            other = first.setdefault(rows.whole[position], position)
            if rows.rank(other) < rows.rank(position):
                self._leak(position, other, "the same row")
        for pair in same:
            kept, gone = sorted((pair.first, pair.second), key=rows.rank)
            if pair.same_target and rows.rank(kept) < rows.rank(gone) and self._both_stay(pair):
                self._leak(gone, kept, f"{pair.alike:.0%} alike")

    def _leak(self, gone: int, kept: int, how: str) -> None:
        self._remove(gone, "leakage", f"also in {self._rows.splits[kept]}: {how}", kept)

    def _exact(self) -> None:
        rows = self._rows
        first: dict[tuple[str, int], int] = {}
        for position, (split, whole) in enumerate(zip(rows.splits, rows.whole, strict=True)):
            if position not in self._removed and (other := first.setdefault((split, whole), position)) != position:
                self._remove(position, "exact_duplicate", "", other)

    def _disagreements(self, same: list[dedup.Pair]) -> None:
        seen: set[int] = set()
        for pair in same:
            if pair.same_target or pair.second in seen or not self._both_stay(pair):
                continue
            seen.add(pair.second)
            self._conflicts += 1
            if not self.options.remove_conflicts:
                self._note_row(pair.second, "conflict", "conflict", f"{pair.alike:.0%} alike", pair.first)
                continue
            for gone, other in ((pair.second, pair.first), (pair.first, pair.second)):
                if self._rows.rank(gone) == _TAUGHT:
                    self._remove(gone, "conflict", f"{pair.alike:.0%} alike", other)

    def _lengths(self) -> None:
        scores = outliers.length_scores(self._rows.lengths)
        for position in np.flatnonzero(np.abs(scores) > self.options.report_z):
            score, length = float(scores[position]), self._rows.lengths[position]
            if int(position) in self._removed:
                continue
            reason = "too_long" if score > 0 else "too_short"
            detail = f"{length:,} characters, robust z {score:+.1f}"
            if abs(score) > self.options.remove_z and self._rows.rank(int(position)) == _TAUGHT:
                self._remove(int(position), reason, detail)
            else:
                self._note_row(int(position), "reported", reason, detail)

    def _both_stay(self, pair: dedup.Pair) -> bool:
        return pair.first not in self._removed and pair.second not in self._removed

    def _remove(self, position: int, reason: str, detail: str, other: int = -1) -> None:
        self._removed.add(position)
        self._note_row(position, "removed", reason, detail, other)

    def _note_row(self, position: int, action: Action, reason: str, detail: str, other: int = -1) -> None:
        rows = self._rows
        other_id = rows.ids[other] if other >= 0 else ""
        self._found.append(
            Change(rows.ids[position], rows.splits[position], action, reason, detail, other_id, position, -1, other)
        )

    def _note(self, position: int, example: Example, action: Action, reason: str, detail: str) -> None:
        self._found.append(Change(example.row_id, example.split, action, reason, detail, "", position, -1, -1))

    def _summarise(self, left: int) -> None:
        rows = self._rows
        self.report |= {
            "removed": self._count("removed"),
            "changed": self._count("changed"),
            "reported": self._count("reported"),
            "conflicts": self._conflicts,
            "masked": dict(sorted(self._masked.items())),
            "rows_before": len(rows.ids),
            "rows_after": left,
            "by_split": self._by_split(),
            "options": asdict(self.options),
        }

    def _by_split(self) -> dict[str, dict[str, int]]:
        before = Counter(self._rows.splits)
        gone = Counter(self._rows.splits[position] for position in self._removed)
        return {split: {"before": n, "removed": gone[split], "after": n - gone[split]} for split, n in before.items()}

    def _count(self, action: Action) -> dict[str, int]:
        return dict(Counter(found.reason for found in self._found if found.action == action).most_common())


def _meaning(target: str) -> bytes:
    """The target without what carries no content: order and spacing of JSON, case and spacing of text."""
    if target[:1] in "{[":
        try:
            return orjson.dumps(orjson.loads(target), option=orjson.OPT_SORT_KEYS)
        except orjson.JSONDecodeError:
            pass
    return " ".join(target.casefold().split()).encode("utf-8", "replace")


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())
