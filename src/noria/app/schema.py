"""Which version records and span store have, and bringing them to this version of Noria.

Whether there is anything to do is answered without Alembic (file names carry the revisions: 0001_initial.py), so that a
process that finds its database up to date does not hold Alembic in memory.
"""

import importlib
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event, inspect, text

from noria.app.slices import SLICES
from noria.core.errors import Conflict, Unavailable
from noria.core.slices import Slice
from noria.stores import sql
from noria.stores.connect import Stores
from noria.stores.sql import Database, metadata, sqlite_url
from noria.tracing import migrations as steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"


def declare(slices: tuple[Slice, ...] = SLICES) -> None:
    """Import the tables of all slices, so that the shared metadata knows them."""
    importlib.import_module("noria.stores.changes")
    for part in slices:
        if part.tables:
            importlib.import_module(part.tables)


def revisions() -> list[str]:
    """All revisions of this version of Noria, oldest first."""
    return sorted(path.stem.partition("_")[0] for path in (SCRIPTS / "versions").glob("[0-9]*_*.py"))


def current(database: Database) -> str:
    """The revision of the database; empty before the first migration."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def is_current(database: Database) -> bool:
    """Whether the database fits this version of Noria. Raises Conflict when a newer Noria has migrated it."""
    known, found = revisions(), current(database)
    if found and found not in known:
        raise Conflict(
            f"The database was migrated by a newer version of Noria (to {found}; this one knows {known[-1]}).",
            hint="Install that version again, or restore the backup from before the upgrade.",
        )
    return found == known[-1]


def migrate(database: Database, *, dry_run: bool = False) -> list[str]:
    """Bring the database to the newest revision; returns the statements. With `dry_run` all of it is rolled back."""
    if is_current(database):
        return []
    statements: list[str] = []
    with _migrating(database) as engine:
        event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        with engine.connect() as connection, connection.begin() as transaction:
            statements.clear()
            upgrade(connection)
            if dry_run:
                transaction.rollback()
    return [statement for statement in statements if _is_change(statement)]


def planned(stores: Stores) -> list[str]:
    """What a migration would run on records and span store, as SQL. Nothing is touched: a database of SQLite is played through on an
    empty one with the same tables, one of PostgreSQL in a transaction that is taken back (Alembic's offline mode cannot copy tables).
    """
    settings = stores.settings
    if settings.database_url:
        lines = migrate(stores.database, dry_run=True)
    else:
        lines = _planned_sqlite(settings.folder.records)
    told = [f"{line.strip()};" for line in lines] or ["-- records: nothing to do"]
    return [*told, *planned_spans(stores)]


def planned_spans(stores: Stores) -> list[str]:
    """The span store's part of it."""
    try:
        missing = steps.pending(stores.spans)
    except Unavailable:
        return ["-- the span store does not run: all its steps are shown", *steps.lines(steps.STEPS)]
    return [f"{line};" if not line.startswith("--") else line for line in steps.lines(missing)] or [
        "-- span store: nothing to do"
    ]


def migrate_spans(stores: Stores) -> str:
    """Bring the span store to this version if it runs; what happened, in words."""
    try:
        missing = steps.pending(stores.spans)
        steps.prepare(stores.spans)
    except Unavailable:
        return "The span store does not run; its worker brings it to this version when it does."
    return f"{len(missing)} steps ran; the span store is at this version."


def _planned_sqlite(path: Path) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "records.db"
        if path.exists():
            sql.copy_definitions(path, empty)
        database = Database(sqlite_url(empty))
        try:
            return migrate(database)
        finally:
            database.close()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run Alembic within the open transaction of `connection`."""
    from alembic import command

    command.upgrade(config(connection), revision)


def config(connection: Connection) -> "Config":
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    made.attributes["connection"] = connection
    return made


def differences(connection: Connection) -> list[Any]:
    """What Alembic would change to make the database look like the declared tables; empty when they agree."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    declare()
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def prepare_database(stores: Stores) -> None:
    """Migrate if needed. Safe to call at every start."""
    if not is_current(stores.database):
        migrate(stores.database)


@contextmanager
def _migrating(database: Database) -> "Iterator[Engine]":
    """An engine whose SQLite connections do not enforce foreign keys: copying a table would otherwise empty its children."""
    if database.engine.dialect.name != "sqlite":
        yield database.engine
        return
    own = Database(str(database.engine.url))
    event.listen(own.engine, "connect", lambda raw, _: raw.execute("PRAGMA foreign_keys=OFF") and None)
    try:
        yield own.engine
    finally:
        own.close()


def _is_change(statement: str) -> bool:
    return not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN", "SHOW"))
