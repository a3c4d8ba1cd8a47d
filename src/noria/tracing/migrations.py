"""The span store's own migrations: numbered steps that only go forward, each noted in the table `schema_steps` when it is done.

A step's statements may run again after a death in the middle, so each says IF NOT EXISTS or is otherwise the same the second
time. Before the first release there is one step; from then on a step that was published never changes, and the next is added below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from noria.core import clock, ids
from noria.core.errors import Conflict
from noria.stores import ports
from noria.stores.spans import NoTable
from noria.tracing import schema


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the span store's tables."""

    number: int
    name: str
    statements: tuple[str, ...]


STEPS: Final = (Step(1, "tables of spans, traces, contents and scores", tuple(schema.statements())),)
NOTES: Final = (
    "CREATE TABLE IF NOT EXISTS schema_steps (number UInt32, name String, time_ns Int64)"
    " ENGINE = ReplacingMergeTree ORDER BY number"
)
_COLUMNS: Final = ("number", "name", "time_ns")


def prepare(spans: ports.Spans) -> None:
    """Bring the span store to this version of Noria. Safe at every start. Raises Conflict for a newer store, Unavailable."""
    missing = pending(spans)
    if missing:
        spans.command(NOTES)
    for step in missing:
        for statement in step.statements:
            spans.command(statement)
        row = [step.number, step.name, clock.now_ns()]
        spans.insert("schema_steps", _COLUMNS, [row], token=ids.new_id())


def pending(spans: ports.Spans, steps: Sequence[Step] = STEPS) -> list[Step]:
    """The steps that are not done yet, oldest first. Raises Conflict when a newer Noria has been at this store, Unavailable."""
    try:
        done = {row["number"] for row in spans.query("SELECT number FROM schema_steps")}
    except NoTable:
        done = set()
    newest = max((step.number for step in steps), default=0)
    if done and max(done) > newest:
        raise Conflict(
            f"The span store was changed by a newer version of Noria (step {max(done)}; this one knows {newest}).",
            hint="Install that version again, or restore the backup from before the upgrade (docs/backup.md).",
            code="newer_store",
        )
    return [step for step in steps if step.number not in done]


def lines(steps: Sequence[Step]) -> list[str]:
    """The SQL of these steps, as people read it."""
    return [line for step in steps for line in (f"-- span store, step {step.number}: {step.name}", *step.statements)]
