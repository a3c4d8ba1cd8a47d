"""What spans and journals take of the disk, whether that is too much, and, only if the setting says so, making room.

In: settings and the span store. Out: a Room, which the worker writes where pages find it; dropped weeks are told in the log and in the audit.
"""

import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

from noria.core.settings import Settings
from noria.governance import audit
from noria.stores import ports
from noria.stores.connect import Stores
from noria.tracing import retention
from noria.tracing.retention import Part

logger = logging.getLogger("noria.tracing")

_MB: Final = 1024 * 1024
Level = Literal["ok", "budget", "reserve"]


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes on the disk of the data folder."""

    spans: int
    journals: int
    budget: int
    """What both may take; 0: no limit."""
    free: int
    reserve: int
    drops: bool
    """Whether the oldest weeks go when the budget is exceeded."""

    @property
    def used(self) -> int:
        return self.spans + self.journals

    @property
    def level(self) -> Level:
        """`reserve`: spans wait in journals for want of room, and soon nothing is taken; `budget`: more than people wanted."""
        if self.free < self.reserve:
            return "reserve"
        return "budget" if 0 < self.budget < self.used else "ok"

    @property
    def too_much(self) -> int:
        """Bytes that would have to go."""
        return max(self.used - self.budget if self.budget else 0, self.reserve - self.free, 0)

    def words(self) -> str:
        """What is the matter and what to do; empty when nothing is."""
        if self.level == "reserve":
            return (
                f"The disk of the data folder has {self.free // _MB:,} MB left, less than disk_reserve_mb: spans wait in journals,"
                " and when those find no room either, nothing is taken. Free space; all of it goes on by itself."
            )
        if self.level == "budget":
            then = "the oldest weeks go" if self.drops else "nothing is dropped; shorten keep_span_days or raise it"
            return f"Spans and journals take {self.used // _MB:,} MB, more than the {self.budget // _MB:,} of span_disk_mb: {then}."
        return ""


def look(settings: Settings, spans: ports.Spans) -> Room:
    """As it is now. Raises Unavailable when the store is away."""
    # Parts that were merged or dropped go by themselves within a minute; counting them would drop weeks twice.
    [row] = spans.query(
        "SELECT sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}",
        {"tables": [*retention.CUT, "scores"]},
    )
    return _room(settings, int(row["bytes"]))


def look_at_disk(settings: Settings) -> Room:
    """The same without asking the store: what its folder holds."""
    return _room(settings, _size(settings, "spans"))


def last_seen(settings: Settings) -> Room:
    """What the worker saw last, with the free room of now; for pages."""
    try:
        spans = int(json.loads(settings.folder.room.read_bytes())["spans"])
    except (OSError, ValueError, KeyError, TypeError):
        spans = 0
    return _room(settings, spans)


def remember(settings: Settings, room: Room) -> None:
    """Write it where `last_seen` looks. A full disk keeps nobody from going on."""
    temporary = settings.folder.room.with_suffix(".new")
    try:
        settings.folder.run.mkdir(exist_ok=True, mode=0o700)
        temporary.write_text(json.dumps(asdict(room)))
        temporary.replace(settings.folder.room)
    except OSError as error:
        logger.debug("The room on the disk could not be noted: %s", error.strerror)


def keep(stores: Stores, before: Level) -> Level:
    """Look, tell when it has become worse or better than `before`, and make room if the setting says so. Raises Unavailable."""
    room = look(stores.settings, stores.spans)
    if room.level != "ok" and room.drops:
        make_room(stores, room.too_much)
        room = look(stores.settings, stores.spans)
    remember(stores.settings, room)
    if room.level != before:
        if room.level == "ok":
            logger.warning("Spans and journals have enough room again.")
        else:
            logger.warning("%s", room.words())
    return room.level


def make_room(stores: Stores, wanted: int) -> list[Part]:
    """Drop the oldest weeks until `wanted` bytes are gone, but never the newest week; each project's audit says what went."""
    parts = retention.parts(stores.spans)
    weeks = sorted({part.week for part in parts})[:-1]
    going: list[Part] = []
    for week in weeks:
        if sum(part.bytes for part in going) >= wanted:
            break
        going += [part for part in parts if part.week == week]
    if going:
        retention.drop(stores.spans, going)
        _tell(stores, going)
    return going


def _tell(stores: Stores, gone: Sequence[Part]) -> None:
    logger.warning(
        "span_disk_mb is exceeded, so the weeks %s of spans were dropped: %d MB.",
        ", ".join(sorted({part.week for part in gone})),
        sum(part.bytes for part in gone) // _MB,
    )
    of_project: dict[str, list[Part]] = defaultdict(list)
    for part in gone:
        of_project[part.project_id].append(part)
    with stores.database.begin() as connection:
        for project_id, parts in of_project.items():
            audit.record(
                connection,
                project_id=project_id,
                actor_id="",
                verb="project.spans_dropped",
                target_kind="project",
                target_id=project_id,
                reason="span_disk_mb",
                details={
                    "weeks": sorted({part.week for part in parts}),
                    "spans": sum(part.rows for part in parts if part.table == "spans"),
                },
            )


def _room(settings: Settings, spans: int) -> Room:
    place = next(path for path in (settings.data, *settings.data.parents) if path.exists())
    return Room(
        spans=spans,
        journals=_size(settings, "journal"),
        budget=settings.span_disk_mb * _MB,
        free=shutil.disk_usage(place).free,
        reserve=settings.disk_reserve_mb * _MB,
        drops=settings.drop_oldest_spans,
    )


def _size(settings: Settings, name: str) -> int:
    total = 0
    for path in (settings.data / name).rglob("*"):
        try:
            if not path.is_symlink() and path.is_file():
                total += path.stat().st_size
        except OSError:
            continue  # it has just been carried, or merged
    return total
