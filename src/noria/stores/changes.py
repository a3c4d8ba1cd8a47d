"""A counter that every transaction bumps when it changes something the gateway must know.

Whoever changes a key, endpoint, release or provider calls `bump` inside the same transaction, from whichever process or
layer; the server sees the counter move and publishes a new snapshot with that version.
"""

from sqlalchemy import BigInteger, Column, Connection, String, insert, select, update

from noria.stores.sql import table

_changes = table(
    "changes",
    Column("name", String(32), primary_key=True),
    Column("counter", BigInteger, nullable=False),
    subject=None,
    keep_days=None,
)


def bump(connection: Connection, name: str = "snapshot") -> int:
    """Count one change and return the new count; concurrent transactions wait for each other here."""
    done = connection.execute(update(_changes).where(_changes.c.name == name).values(counter=_changes.c.counter + 1))
    if done.rowcount == 0:
        connection.execute(insert(_changes).values(name=name, counter=1))
    return current(connection, name)


def current(connection: Connection, name: str = "snapshot") -> int:
    """How many changes there have been."""
    return connection.execute(select(_changes.c.counter).where(_changes.c.name == name)).scalar() or 0
