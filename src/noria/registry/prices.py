"""What a million tokens cost: the dated table of this version of Noria, under a file of the installation's own.

In: prices.toml beside this module, and prices.toml in the data folder. Out: the `Price` of a provider's model, which a
release takes when it is made and keeps. The decision to know: a price is of a place, not of a name, so the table speaks of a
provider only when it is where its makers run it (noria.registry.presets); a proxy or a deployment of one's own costs
what its owner says.
"""

import logging
import re
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from noria.core.errors import BadInput
from noria.registry.kinds import KINDS
from noria.registry.presets import PRESETS
from noria.registry.records import Provider
from noria.registry.snapshot import LongPrompts

logger = logging.getLogger("noria.registry")

COLUMNS: Final = ("input_micros", "output_micros", "cached_micros", "cache_write_micros", "cache_write_1h_micros")
"""Of a release; the last three are None where they are as other input."""

_SAME_MODEL: Final = re.compile(r"(-\d{4}-\d{2}-\d{2}|[-@]\d{8}|-latest)$")
_AMOUNTS: Final = ("input", "cached", "write", "write_1h", "output")
_MOST: Final = 10**12
_LOOKED: Final = 1.0
"""Seconds for which it is believed that a file has not changed."""
_LIST: Final = frozenset({"provider", "source", "read", "told_by", "note", "models"})


@dataclass(frozen=True, slots=True)
class Price:
    """One row: micro-dollars for a million tokens."""

    provider: str
    """A preset or kind (noria.registry.presets, .kinds); in a file of one's own also the name of a provider."""
    model: str
    """A name, "*" for any part of it; a date or "-latest" behind it is the same model."""
    input_micros: int
    output_micros: int
    cached_micros: int | None = None
    """Of input read from the provider's cache; None: as other input."""
    cache_write_micros: int | None = None
    """Of input written to it; None: as other input."""
    cache_write_1h_micros: int | None = None
    """The same for an hour; None: as for minutes."""
    long_prompts: LongPrompts | None = None
    version: str = ""
    source: str = ""
    """Where it is published."""
    read: str = ""
    """The day on which that was read."""
    told_by: tuple[str, ...] = ()
    """Whose record of the source was read, where it was not the source itself."""
    note: str = ""


class PriceTable:
    """Rows in the order in which they count: the installation's own before this version's."""

    def __init__(self, rows: Iterable[Price]) -> None:
        self.rows = tuple(rows)

    def find(self, names: Iterable[str], model: str) -> Price | None:
        """The price of a model at a provider that goes by any of `names`; a full name goes before a pattern."""
        wanted, plain = set(names), _SAME_MODEL.sub("", model)
        here = [row for row in self.rows if row.provider in wanted]
        for name in dict.fromkeys((model, plain)):
            if found := next((row for row in here if row.model == name), None):
                return found
        patterns = [row for row in here if "*" in row.model and fnmatchcase(model, row.model)]
        return max(patterns, key=lambda row: len(row.model), default=None)

    def search(self, text: str = "") -> list[Price]:
        """Rows whose model or provider has `text` in it."""
        return [row for row in self.rows if text.lower() in f"{row.provider}/{row.model}".lower()]


def table(file: Path | None = None) -> PriceTable:
    """This version's prices under those of `file` (Folder.prices), which need not exist. Raises BadInput for a file that
    cannot be read."""
    own = _rows(_parsed(file), file.name) if file is not None and file.is_file() else ()
    return PriceTable([*own, *_shipped()])


class Current:
    """What `table(file)` gives, kept for those who ask often: the file is read again within a second of its change.

    A file that cannot be read is told in the log, once, and what was read before stays in force.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, ...] | None = ()
        self._looked_at = 0.0
        self._table = PriceTable(())

    def table(self) -> PriceTable:
        """The same object for as long as nothing has changed."""
        now = time.monotonic()
        if self._seen == () or now - self._looked_at >= _LOOKED:
            self._looked_at = now
            self._look()
        return self._table

    def _look(self) -> None:
        try:
            status = self._file.stat()
            mark: tuple[int, ...] | None = (status.st_mtime_ns, status.st_ino, status.st_size)
        except OSError:
            mark = None
        if mark == self._seen:
            return
        try:
            self._table = table(self._file)
        except BadInput as error:
            if not self._table.rows:
                self._table = table()
            logger.error("What was read before stays in force: %s %s", error.message, error.hint)
        self._seen = mark


def names_of(name: str, kind: str, base_url: str) -> tuple[str, ...]:
    """What a provider goes by in the table: its own name, its kind where that says who runs it, and the service at its address."""
    host = urlsplit(base_url).hostname or ""
    services = (preset.name for preset in PRESETS.values() if not preset.port and _host(preset.base_url) == host)
    known = [*services] if host else []
    if kind in ("azure", "bedrock") or (KINDS[kind].base_url and _host(KINDS[kind].base_url) == host):
        known.append(kind)
    return (name, *known)


def for_release(
    provider: Provider, model: str, known: PriceTable, said: Mapping[str, int | None], today: str
) -> dict[str, Any]:
    """The columns of a release's price: what was said of it (micro-dollars by column), else what the provider's own price
    is, else the table's, else 0. Raises BadInput for a price below 0.

    Whoever says what input costs has said it of cached input too, unless that has a price of its own.
    """
    own = {name: value for name, value in said.items() if value is not None}
    if min(own.values(), default=0) < 0:
        raise BadInput("A price is not below 0.", hint="In micro-dollars for a million tokens.")
    if provider.input_micros or provider.output_micros:
        row = Price(provider.name, model, provider.input_micros, provider.output_micros, version=today)
    else:
        names = names_of(provider.name, provider.kind, provider.base_url)
        row = known.find(names, model) or Price(provider.name, model, 0, 0)
    columns = {name: getattr(row, name) for name in COLUMNS}
    if "input_micros" in own:
        columns.update(dict.fromkeys(COLUMNS[2:]))
    columns.update(own)
    long = row.long_prompts if not own else None
    version = row.version if not own else today if any(columns.values()) else ""
    return {**columns, "long_prompts": asdict(long) if long else {}, "price_version": version}


@cache
def _shipped() -> tuple[Price, ...]:
    path = Path(__file__).with_name("prices.toml")
    return tuple(_rows(_parsed(path), path.name))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}", hint="Correct the file or remove it.") from error


def _rows(raw: Mapping[str, Any], where: str) -> Iterator[Price]:
    version = raw.get("version")
    if not isinstance(version, str) or not 0 < len(version) <= 40:
        raise _wrong(where, "`version` is missing", 'Like version = "2026-11"; spans carry it beside their cost.')
    lists = raw.get("list")
    if not isinstance(lists, list) or not all(isinstance(one, Mapping) for one in lists):
        raise _wrong(where, "there is no [[list]]", "docs/prices.md shows one.")
    for one in lists:
        if unknown := one.keys() - _LIST:
            raise _wrong(where, f"a list has no {min(unknown)!r}", f"It has: {', '.join(sorted(_LIST))}.")
        for row in one.get("models", ()):
            yield _row(one, row, where, version)


def _row(one: Mapping[str, Any], row: Any, where: str, version: str) -> Price:
    provider = one.get("provider")
    model = row.get("model") if isinstance(row, Mapping) else None
    if not isinstance(provider, str) or not isinstance(model, str) or not provider or not model:
        raise _wrong(where, "a price names no provider or no model", "docs/prices.md shows one.")
    what = f"{provider}/{model}"
    if unknown := row.keys() - {"model", "long", *_AMOUNTS}:
        raise _wrong(where, f"{what} has no {min(unknown)!r}", f"It has: {', '.join(_AMOUNTS)}, long.")
    amounts = {name: _amount(row.get(name), where, f"{what}: {name}") for name in _AMOUNTS}
    return Price(
        provider=provider,
        model=model,
        input_micros=amounts["input"] or 0,
        output_micros=amounts["output"] or 0,
        cached_micros=amounts["cached"],
        cache_write_micros=amounts["write"],
        cache_write_1h_micros=amounts["write_1h"],
        long_prompts=_long(row.get("long"), where, what),
        version=version,
        source=str(one.get("source", "")),
        read=str(one.get("read", "")),
        told_by=tuple(str(url) for url in one.get("told_by", ())),
        note=str(one.get("note", "")),
    )


def _long(raw: Any, where: str, what: str) -> LongPrompts | None:
    if raw is None:
        return None
    names = ("above", "input", "output")
    if not isinstance(raw, Mapping) or set(raw) != set(names):
        raise _wrong(where, f"{what}: long has above, input and output", "The last two are percents, like 200.")
    above, entered, left = (_amount(raw[name], where, f"{what}: long.{name}") or 0 for name in names)
    return LongPrompts(above, entered, left)


def _amount(value: Any, where: str, what: str) -> int | None:
    if value is not None and not (type(value) is int and 0 <= value <= _MOST):
        raise _wrong(where, f"{what} is no whole number", "In micro-dollars for a million tokens: 2_000_000 is $2.")
    return value


def _wrong(where: str, what: str, hint: str) -> BadInput:
    return BadInput(f"{where}: {what}.", hint=hint)
