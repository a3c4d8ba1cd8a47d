"""Records in a relational database: SQLite (WAL) or PostgreSQL, through SQLAlchemy Core and one set of tables.

Tables are made with `table(...)`, which asks each one whose data it holds and how long it stays. Services open
`with database.begin() as connection:` and execute Core statements; the block is one transaction.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    String,
    Table,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON().with_variant(JSONB(), "postgresql")
"""A JSON document; JSONB on PostgreSQL."""


class UtcTime(TypeDecorator[datetime]):
    """A moment in UTC. Refuses naive times going in, returns aware ones (SQLite itself forgets the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone was about to be stored")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def table(name: str, *columns: Any, subject: str | None, keep_days: int | None) -> Table:
    """Declare a table on the shared metadata.

    `subject` names the column that holds the person whose data a row is (None: rows are no person's data);
    `keep_days` is how long rows stay (None: until they are deleted by a user).
    """
    return Table(name, metadata, *columns, info={"subject": subject, "keep_days": keep_days})


def project_column() -> Column[str]:
    """The column that binds a row to its project; every table that holds a project's data has one."""
    return Column("project_id", String(36), nullable=False, index=True)


class Database:
    """One engine. Safe to share between threads; processes each open their own."""

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: committed at the end of the block, rolled back if it raises."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent read; never waits for a writer. Writing inside it is a mistake."""
        with self.engine.connect().execution_options(noria_read=True) as connection, connection.begin():
            yield connection

    def create_all(self) -> None:
        """Make all declared tables that are missing. For tests; installations migrate (noria.app.migrations)."""
        metadata.create_all(self.engine)

    def scrub(self) -> bool:
        """Take what was deleted out of SQLite's log of writes too; whether that was possible now. PostgreSQL: its vacuum's work."""
        if self.engine.dialect.name != "sqlite":
            return True
        raw = self.engine.raw_connection()  # ours would begin a transaction first, and that forbids it
        try:
            busy = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            raw.close()
        return int(busy) == 0

    def close(self) -> None:
        self.engine.dispose()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def copy_definitions(source: Path, target: Path) -> None:
    """Make `target` an SQLite database with the tables and the revision of `source` and no row of anybody's; `source` is only read."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as of, closing(sqlite3.connect(target)) as to:
        found = of.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        for (statement,) in found.fetchall():
            to.execute(statement)
        if of.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            to.executemany(
                "INSERT INTO alembic_version VALUES (?)", of.execute("SELECT version_num FROM alembic_version")
            )
        to.commit()


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 30})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_pre_ping=True)


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, so that a transaction holds DDL and reads too
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a transaction that starts by reading and then writes would otherwise fail at once when another writes.
    reading = connection.get_execution_options().get("noria_read", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
