"""Saved views of the list of traces: a filter and columns under a name, each person's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from noria.core import clock, ids
from noria.core.errors import BadInput, Conflict, NotFound, Sentence
from noria.governance import audit
from noria.stores.connect import Stores
from noria.tracing import filters
from noria.tracing.tables import saved_views

MOST: Final = 50


@dataclass(frozen=True, slots=True)
class SavedView:
    """One view of one person."""

    id: str
    name: str
    q: str
    traffic: str
    columns: list[str]


def list_views(stores: Stores, project_id: str, person_id: str) -> list[SavedView]:
    """A person's views by name."""
    wanted = (saved_views.c.project_id == project_id) & (saved_views.c.person_id == person_id)
    columns = (saved_views.c[name] for name in SavedView.__dataclass_fields__)
    with stores.database.read() as connection:
        rows = connection.execute(select(*columns).where(wanted).order_by(saved_views.c.name, saved_views.c.id))
        return [SavedView(**row) for row in rows.mappings()]


def save_view(
    stores: Stores, *, project_id: str, person_id: str, name: str, q: str, traffic: str, columns: Sequence[str]
) -> str:
    """Keep a view and return its id; a view of the same name is replaced. Raises BadInput, BadFilter, Conflict."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 80:
        raise BadInput("A view needs a name of 1 to 80 characters.")
    filters.parse(q)
    own = (saved_views.c.project_id == project_id) & (saved_views.c.person_id == person_id)
    view_id = ids.new_id()
    with stores.database.begin() as connection:
        connection.execute(delete(saved_views).where(own & (saved_views.c.name == name)))
        if connection.execute(select(func.count()).select_from(saved_views).where(own)).scalar_one() >= MOST:
            raise Conflict(
                Sentence("You have {n} views, which is the most.", n=MOST), hint="Delete one that you do not need."
            )
        values = {"name": name, "q": q, "traffic": traffic, "columns": list(columns), "created_at": clock.now()}
        connection.execute(insert(saved_views).values(id=view_id, project_id=project_id, person_id=person_id, **values))
        _record(connection, project_id, person_id, "view.save", view_id)
    return view_id


def delete_view(stores: Stores, *, project_id: str, person_id: str, view_id: str) -> None:
    """Forget one of a person's own views. Raises NotFound."""
    wanted = (saved_views.c.project_id == project_id) & (saved_views.c.person_id == person_id)
    with stores.database.begin() as connection:
        gone = connection.execute(delete(saved_views).where(wanted & (saved_views.c.id == view_id))).rowcount
        if not gone:
            raise NotFound("You have no such view.")
        _record(connection, project_id, person_id, "view.delete", view_id)


def _record(connection: Connection, project_id: str, person_id: str, verb: str, view_id: str) -> None:
    audit.record(
        connection, project_id=project_id, actor_id=person_id, verb=verb, target_kind="view", target_id=view_id
    )
