"""Erasing a person's traces: whole traces, their scores, their messages, and what of them still lies in journals.

The decision to know: the ids of the traces that are to go are written down first, in the table `erased`, and everything else is
"delete what is written there". So a deletion's own record (`system.mutations`, which is kept) names no person, a run that was killed goes
on, and the tailer knows a late span by its trace. A deletion hides rows at once (1 million spans: 4 s); the rows leave the files when
the parts are written anew without them and the old parts are removed.
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Final

from sqlalchemy import delete, select

from noria.core import clock
from noria.core.errors import Unavailable
from noria.core.slices import Eraser, Progress, Subject
from noria.governance.tables import erasures
from noria.jobs import leftovers as unfinished
from noria.stores.connect import Stores
from noria.stores.spans import NoTable
from noria.tracing import filters, leftovers, media_erasing, migrations, tables

TABLES: Final = ("traces", "spans", "contents", "scores")
_ERASED: Final = (
    "CREATE TABLE IF NOT EXISTS erased (project_id LowCardinality(String), erasure_id String, trace_id String,"
    " session_id String, at_ns Int64, INDEX trace trace_id TYPE bloom_filter GRANULARITY 1)"
    " ENGINE = ReplacingMergeTree ORDER BY (project_id, erasure_id, trace_id, session_id)"
)
"""Random ids only: no person, no text. `session_id` says which sessions' scores go, as a hash."""
_OF_SUBJECT: Final = (
    "SELECT DISTINCT trace_id FROM TABLE WHERE project_id = {project:String} AND subject_id = {subject:String}"
    " AND start_ns < {before:Int64}"
)
_FOUND: Final = " UNION DISTINCT ".join(_OF_SUBJECT.replace("TABLE", table) for table in ("traces", "spans"))
_WRITTEN: Final = "SELECT trace_id FROM erased WHERE project_id = {project:String} AND erasure_id = {erasure:String} AND trace_id != ''"
_GONE: Final = f"project_id = {{project:String}} AND trace_id IN ({_WRITTEN})"
_SESSIONS: Final = (
    "project_id = {project:String} AND trace_id = '' AND session_id != '' AND hex(sipHash128(session_id)) IN"
    " (SELECT session_id FROM erased WHERE project_id = {project:String} AND erasure_id = {erasure:String}"
    " AND session_id != '')"
)
_WHERE: Final = {**dict.fromkeys(TABLES, _GONE), "scores": f"({_GONE}) OR ({_SESSIONS})"}
_NO_PARTITION: Final = "none"
_TURN: Final = 0.2
_WAKE: Final = 0.05
_PATIENCE: Final = 3600.0


def find(stores: Stores, subject: Subject) -> dict[str, int]:
    """How many traces, spans, scores and message events are the subject's, and saved views that name it."""
    spans = stores.spans
    values = _values(subject)
    counts: dict[str, int] = {}
    for table in TABLES:
        mine = f"SELECT count() AS n FROM {table} WHERE project_id = {{project:String}} AND trace_id IN ({_FOUND})"  # noqa: S608
        counts[_NAMES[table]] = _ask(stores, mine, values)[0]["n"]
    counts["traces"] = _ask(stores, f"SELECT count() AS n FROM ({_FOUND})", values)[0]["n"]  # noqa: S608
    if subject.erasure_id:
        prepare(stores)
        for table in TABLES:
            left = spans.query(f"SELECT count() AS n FROM {table} WHERE {_WHERE[table]}", values)[0]["n"]  # noqa: S608
            counts[_NAMES[table]] += left
    ids, which = frozenset(trace_ids(stores, subject)), _WRITTEN if subject.erasure_id else _FOUND
    counts[MEDIA] = len(media_erasing.find(stores, media_erasing.Going(subject.project_id, ids, which, values)))
    counts["saved views"] = len(_views(stores, subject))
    counts["journal leftovers"] = leftovers.find(stores.settings.folder.journal, _marks(stores, subject))
    return counts


def hide(stores: Stores, subject: Subject) -> None:
    """No question to the span store finds the subject any more when this returns. Raises Unavailable."""
    prepare(stores)
    _write_down(stores, subject)
    delete_traces(stores, subject.project_id, subject.erasure_id)
    delete_media(stores, subject.project_id, subject.erasure_id, trace_ids(stores, subject))


def erase(stores: Stores, subject: Subject, progress: Progress) -> dict[str, int]:
    """Take the subject's traces out of store and journals, and out of their files. Raises Unavailable."""
    journal = stores.settings.folder.journal
    unfinished.sweep(stores)
    progress("waiting until the journals are carried")
    leftovers.turn_over(journal, progress)
    hide(stores, subject)
    marks = _marks(stores, subject)
    removed = leftovers.remove(journal, marks)
    views = _views(stores, subject)
    with stores.database.begin() as connection:
        if views:
            connection.execute(delete(tables.saved_views).where(tables.saved_views.c.id.in_(views)))
    rewrite(stores, TABLES, progress)
    return {**_counts(stores, subject), "saved views": len(views), "journal leftovers": removed}


def prepare(stores: Stores) -> None:
    """Make the tables that are missing."""
    try:
        stores.spans.query("SELECT 1 FROM erased LIMIT 0")
    except NoTable:
        migrations.prepare(stores.spans)
        stores.spans.command(_ERASED)


def trace_ids(stores: Stores, subject: Subject) -> list[str]:
    """The subject's traces: those that an erasure has written down, or those that are there."""
    values = _values(subject)
    if not subject.erasure_id:
        return [row["trace_id"] for row in _ask(stores, _FOUND, values)]
    prepare(stores)
    written = _WRITTEN.replace("SELECT", "SELECT DISTINCT", 1)
    return [row["trace_id"] for row in stores.spans.query(written, values)]


def is_erased(stores: Stores, project_id: str, trace_id: str) -> bool:
    """Whether a trace was erased, so that what still comes of it is not wanted. Raises Unavailable."""
    with stores.database.read() as connection:
        if (
            connection.execute(select(erasures.c.id).where(erasures.c.project_id == project_id).limit(1)).first()
            is None
        ):
            return False
    asked = "SELECT 1 FROM erased WHERE project_id = {project:String} AND trace_id = {trace:String} LIMIT 1"
    prepare(stores)
    return bool(stores.spans.query(asked, {"project": project_id, "trace": trace_id}))


def write_down(stores: Stores, project_id: str, erasure_id: str, found: Iterable[str], *, token: str) -> None:
    """Traces that turned out to be a subject's only as they came in."""
    rows = [[project_id, erasure_id, trace_id, "", clock.now_ns()] for trace_id in sorted(set(found))]
    columns = ("project_id", "erasure_id", "trace_id", "session_id", "at_ns")
    stores.spans.insert("erased", columns, rows, token=token)


def written_down(stores: Stores, traces: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Project and erasure of those of `traces` (project, trace) that were erased. Raises Unavailable; NoTable when nothing ever was."""
    wanted = set(traces)
    sql = (
        "SELECT DISTINCT project_id, trace_id, erasure_id FROM erased WHERE project_id IN {projects:Array(String)}"
        " AND trace_id IN {traces:Array(String)}"
    )
    values = {"projects": sorted({one for one, _ in wanted}), "traces": sorted({trace for _, trace in wanted})}
    rows = stores.spans.query(sql, values)
    return {(row["project_id"], row["erasure_id"]) for row in rows if (row["project_id"], row["trace_id"]) in wanted}


def delete_traces(stores: Stores, project_id: str, erasure_id: str) -> None:
    """Hide the rows of all traces that are written down for this erasure; waits until it is so."""
    values = {"project": project_id, "erasure": erasure_id}
    media_erasing.note(stores, _going(project_id, erasure_id))

    def hidden(table: str) -> None:
        held = f"SELECT 1 FROM {table} WHERE {_WHERE[table]} LIMIT 1"  # noqa: S608 - no value is in it
        if stores.spans.query(held, values):
            stores.spans.command(f"DELETE FROM {table} WHERE {_WHERE[table]}", values)  # noqa: S608

    with ThreadPoolExecutor(len(TABLES)) as pool:
        working = [pool.submit(hidden, table) for table in TABLES]
        while wait(working, timeout=_WAKE).not_done:
            _wake(stores, TABLES)
    for one in working:
        one.result()


def delete_media(stores: Stores, project_id: str, erasure_id: str, traces: Iterable[str]) -> None:
    """Remove the media files of these traces, which are written down for this erasure. Raises Unavailable."""
    media_erasing.remove(stores, _going(project_id, erasure_id, traces))


def rewrite(stores: Stores, names: Iterable[str], progress: Progress) -> None:
    """Write every part that holds hidden rows anew without them, and see the old parts' files gone. Raises Unavailable."""
    names = list(names)
    spans = stores.spans
    for table in names:
        # A removed part waits before its files go, in case a new one was not on the disk when the power failed: so see to that.
        spans.command(f"ALTER TABLE {table} MODIFY SETTING old_parts_lifetime = 1, min_rows_to_fsync_after_merge = 1")
    try:
        masked = "SELECT DISTINCT table FROM system.parts WHERE active AND has_lightweight_delete AND SCOPE"
        for table in sorted(row["table"] for row in spans.query(_scoped(masked), {"tables": names})):
            progress(f"writing {table} anew")
            spans.command(f"ALTER TABLE {table} APPLY DELETED MASK SETTINGS mutations_sync = 0")
        _until_written(stores, names, progress)
        progress("waiting until the old files are removed")
        moment = spans.query("SELECT toUnixTimestamp(now()) AS now")[0]["now"]
        old = "SELECT count() AS n FROM system.parts WHERE NOT active AND toUnixTimestamp(remove_time) <= {now:Int64} AND SCOPE"

        def gone() -> bool:
            if not spans.query(_scoped(old), {"tables": names, "now": moment})[0]["n"]:
                return True
            for table in names:
                # There is no such partition. But dropping removes old files at once, and what else does so sleeps for half a minute.
                spans.command(f"ALTER TABLE {table} DROP PARTITION ID '{_NO_PARTITION}'")
            return False

        _until(gone, progress)
    finally:
        for table in names:
            spans.command(f"ALTER TABLE {table} RESET SETTING old_parts_lifetime, min_rows_to_fsync_after_merge")


def _wake(stores: Stores, names: Iterable[str]) -> None:
    """Have the store look for parts to write now: it takes a few at a time and sleeps in between, which is most of what a deletion takes."""
    for table in names:
        stores.spans.command(f"SYSTEM START MERGES {table}")


def _until_written(stores: Stores, names: list[str], progress: Progress) -> None:
    running = (
        "SELECT count() AS n, countIf(latest_fail_reason != '') AS failed FROM system.mutations"
        " WHERE NOT is_done AND NOT is_killed AND SCOPE"
    )

    def done() -> bool:
        [row] = stores.spans.query(_scoped(running), {"tables": names})
        if row["failed"]:
            raise Unavailable(
                "The span store could not write its files anew; nothing of the subject can be seen.",
                hint="Look for room on its disk, then request the erasure again.",
            )
        if row["n"]:
            _wake(stores, names)
        return not row["n"]

    _until(done, progress)


def _until(done: Any, progress: Progress) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise Unavailable("The span store is not done after an hour.", hint="Request the erasure again.")
        progress("")
        time.sleep(_TURN)


def _scoped(sql: str) -> str:
    return sql.replace("SCOPE", "database = currentDatabase() AND table IN {tables:Array(String)}")


def _write_down(stores: Stores, subject: Subject) -> None:
    """The subject's traces, and the sessions that hold traces of nobody else."""
    values = {**_values(subject), "now": clock.now_ns()}
    stores.spans.command(
        "INSERT INTO erased (project_id, erasure_id, trace_id, session_id, at_ns) SELECT {project:String},"  # noqa: S608
        f" {{erasure:String}}, trace_id, '', {{now:Int64}} FROM ({_FOUND})",
        values,
    )
    stores.spans.command(
        "INSERT INTO erased (project_id, erasure_id, trace_id, session_id, at_ns) SELECT {project:String},"
        " {erasure:String}, '', hex(sipHash128(session_id)), {now:Int64} FROM traces WHERE project_id = {project:String}"
        " AND session_id IN (SELECT session_id FROM traces WHERE project_id = {project:String}"
        " AND subject_id = {subject:String} AND session_id != '')"
        " GROUP BY session_id HAVING countIf(subject_id != {subject:String} OR start_ns >= {before:Int64}) = 0",
        values,
    )


def _going(project_id: str, erasure_id: str, traces: Iterable[str] = ()) -> media_erasing.Going:
    values = {"project": project_id, "erasure": erasure_id}
    return media_erasing.Going(project_id, frozenset(traces), _WRITTEN, values, target=("erasure", erasure_id))


def _counts(stores: Stores, subject: Subject) -> dict[str, int]:
    files = media_erasing.removed(stores, subject.project_id, subject.erasure_id)
    return {"traces": len(trace_ids(stores, subject)), MEDIA: files}


def _marks(stores: Stores, subject: Subject) -> leftovers.Marks:
    return leftovers.Marks(subject.project_id, subject.subject_id, frozenset(trace_ids(stores, subject)))


def _views(stores: Stores, subject: Subject) -> list[str]:
    """Saved views whose filter names the subject."""
    table = tables.saved_views
    with stores.database.read() as connection:
        query = select(table.c.id, table.c.q).where(table.c.project_id == subject.project_id)
        rows = connection.execute(query.where(table.c.q.contains(subject.subject_id, autoescape=True))).all()
    return [row.id for row in rows if subject.subject_id in _users(row.q)]


def _users(q: str) -> set[str]:
    try:
        return {str(term.value) for term in filters.parse(q, clock.now()) if term.field == "user"}
    except filters.BadFilter:
        return set()


def _values(subject: Subject) -> dict[str, Any]:
    return {
        "project": subject.project_id,
        "subject": subject.subject_id,
        "erasure": subject.erasure_id,
        "before": min(subject.before_ns, 2**62),
    }


def _ask(stores: Stores, sql: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return stores.spans.query(sql, values)
    except NoTable:
        migrations.prepare(stores.spans)
        return stores.spans.query(sql, values)


MEDIA: Final = "media files"
_NAMES: Final = {"traces": "traces", "spans": "spans", "contents": "message events", "scores": "scores"}
ERASER: Final = Eraser(find=find, erase=erase, hide=hide)
