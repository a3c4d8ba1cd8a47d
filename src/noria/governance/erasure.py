"""Erasing a person: what would go, the request, and the work of its job.

In: a subject (the text by which traces name a person) and the manifests of all slices, whose erasers know what they hold. Out: a
row of `erasures`. When `request` returns nothing of the subject can be read any more; when the job is done nothing of it is in a file,
and the row knows the subject only by a keyed digest, under which late records are still recognised.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, insert, select, update

from noria.core import clock, ids
from noria.core.errors import BadInput, NotFound, Unavailable
from noria.core.slices import Eraser, Progress, Slice, Subject, resolve
from noria.governance import audit, sealing
from noria.governance.tables import erasures, people
from noria.jobs import service as jobs
from noria.stores.connect import Stores
from noria.web import paging

JOB: Final = "app.erase"
_PURPOSE: Final = "erased subjects"
_LONGEST: Final = 2_000
_SCRUBS: Final = 5
_PASSES: Final = 3
"""What was on its way while the first pass worked is found by the second."""

State = Literal["erasing", "done"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """One request to erase a person, and what became of it."""

    id: str
    subject_id: str
    """Empty once it is done."""
    digest: str
    state: State
    counts: dict[str, int]
    """What was removed, by the names of things."""
    proof: dict[str, int]
    """What was looked for afterwards, and how much of it is left: zeros."""
    job_id: str
    actor: str
    reason: str
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """An erasure as whoever takes records in must know it."""

    id: str
    project_id: str
    digest: str
    before_ns: int


def digest(stores: Stores, project_id: str, subject_id: str) -> str:
    """The subject under the data folder's key: 64 hex digits that say nothing to whoever lacks the key."""
    return digest_of(key(stores), project_id, subject_id)


def key(stores: Stores) -> bytes:
    """The key of `digest_of`. Raises Unsealable."""
    return sealing.derived(stores.settings.folder.secret, _PURPOSE)


def digest_of(key: bytes, project_id: str, subject_id: str) -> str:
    return hmac.new(key, f"{project_id}\x00{subject_id}".encode(errors="replace"), hashlib.sha256).hexdigest()


def erasers(slices: Iterable[Slice]) -> list[Eraser]:
    """Those of all slices, in the order in which data flows through them."""
    return [resolve(part.erase) for part in slices if part.erase]


def preview(stores: Stores, slices: Sequence[Slice], project_id: str, subject_id: str) -> dict[str, int]:
    """What an erasure would remove now. Raises BadInput, Unavailable."""
    subject = Subject(project_id, check(subject_id))
    return _sum(eraser.find(stores, subject) for eraser in erasers(slices))


def request(
    stores: Stores, slices: Sequence[Slice], *, project_id: str, subject_id: str, actor_id: str, reason: str = ""
) -> Erasure:
    """Begin to erase the subject; when this returns nothing of it can be read. A second request joins an unfinished first.

    The job goes on from here even if this process dies at once. Raises BadInput, and Unavailable when the span store is away:
    then the job hides and erases as soon as the store is there.
    """
    subject_id = check(subject_id)
    made = ids.new_id()
    marked = digest(stores, project_id, subject_id)
    with stores.database.begin() as connection:
        running = (erasures.c.project_id == project_id) & (erasures.c.digest == marked) & (erasures.c.state != "done")
        found = connection.execute(select(erasures.c.id, erasures.c.job_id).where(running)).first()
        job = jobs.start(
            stores,
            name=JOB,
            args={"erasure_id": found.id if found else made},
            project_id=project_id,
            actor_id=actor_id,
            connection=connection,
        )
        before_ns = clock.now_ns()
        if found:
            again = {"before_ns": before_ns, "job_id": job.id}
            connection.execute(update(erasures).where(erasures.c.id == found.id).values(again))
        else:
            connection.execute(
                insert(erasures).values(
                    id=made,
                    project_id=project_id,
                    subject_id=subject_id,
                    digest=marked,
                    before_ns=before_ns,
                    state="erasing",
                    counts={},
                    proof={},
                    job_id=job.id,
                    actor_id=actor_id,
                    reason=reason,
                    created_at=clock.now(),
                )
            )
        erasure_id = found.id if found else made
        audit.record(
            connection,
            project_id=project_id,
            actor_id=actor_id,
            verb="subject.erase",
            target_kind="erasure",
            target_id=erasure_id,
            reason=reason,
            details={"subject_digest": marked},
        )
    subject = Subject(project_id, subject_id, erasure_id, before_ns)
    hide(stores, slices, subject)
    return get(stores, project_id, erasure_id)


def hide(stores: Stores, slices: Sequence[Slice], subject: Subject) -> None:
    """Make the subject's data invisible. Raises Unavailable."""
    for eraser in erasers(slices):
        if eraser.hide is not None:
            eraser.hide(stores, subject)


def perform(stores: Stores, slices: Sequence[Slice], erasure_id: str, progress: Progress) -> dict[str, Any]:
    """The work of the job; goes on where an earlier run ended. Raises Unavailable, NotFound."""
    subject, state, before = _subject(stores, erasure_id)
    if state == "done":
        return {"erasure_id": erasure_id}
    hide(stores, slices, subject)
    counts = dict(before)
    left: dict[str, int] = {}
    for _ in range(_PASSES):
        for eraser in erasers(slices):
            # Counted before it goes as well: a run that is killed in between leaves nothing to count.
            _add(counts, {name: count for name, count in eraser.find(stores, subject).items() if count})
            _note(stores, erasure_id, {"counts": counts})
            _add(counts, eraser.erase(stores, subject, progress))
            _note(stores, erasure_id, {"counts": counts})
        left = _sum(eraser.find(stores, subject) for eraser in erasers(slices))
        if not any(left.values()):
            break
    else:
        raise Unavailable(
            "Something of the subject came in meanwhile and is not erased yet.",
            hint="It cannot be seen. Request the erasure again.",
        )
    with stores.database.begin() as connection:
        ended = {"state": "done", "subject_id": "", "proof": left, "counts": counts, "ended_at": clock.now()}
        connection.execute(update(erasures).where(erasures.c.id == erasure_id).values(ended))
        audit.record(
            connection,
            project_id=subject.project_id,
            actor_id="",
            verb="subject.erased",
            target_kind="erasure",
            target_id=erasure_id,
            details=counts,
        )
    progress("taking it out of the records' log")
    scrubbed = any(stores.database.scrub() for _ in range(_SCRUBS))  # each waits for readers as long as it may
    return {"erasure_id": erasure_id, "records_scrubbed": scrubbed}


def list_erasures(
    connection: Connection, project_id: str, *, limit: int = 50, cursor: str | None = None
) -> paging.Page[Erasure]:
    """The newest first."""
    query = _select().where(erasures.c.project_id == project_id)
    if after := paging.decode(cursor, str):
        query = query.where(erasures.c.id < after[0])
    rows = connection.execute(query.order_by(erasures.c.id.desc()).limit(limit + 1)).mappings().all()
    return paging.cut([_erasure(dict(row)) for row in rows], limit, lambda erasure: [erasure.id])


def get(stores: Stores, project_id: str, erasure_id: str) -> Erasure:
    """Raises NotFound."""
    with stores.database.read() as connection:
        query = _select().where(erasures.c.project_id == project_id, erasures.c.id == erasure_id)
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound("There is no such erasure.")
    return _erasure(dict(row))


def wanted(connection: Connection) -> list[Wanted]:
    """All erasures of all projects, done ones too: a client may send an old span again."""
    columns = (erasures.c[name] for name in Wanted.__dataclass_fields__)
    return [Wanted(*row) for row in connection.execute(select(*columns))]


def check(subject_id: str) -> str:
    """Raises BadInput when nobody can be called so."""
    if not subject_id.strip() or len(subject_id) > _LONGEST:
        raise BadInput("A subject has 1 to 2,000 characters.", hint="It is the user that traces name.")
    return subject_id


def _subject(stores: Stores, erasure_id: str) -> tuple[Subject, str, Mapping[str, int]]:
    with stores.database.read() as connection:
        row = connection.execute(select(erasures).where(erasures.c.id == erasure_id)).mappings().first()
    if row is None:
        raise NotFound("There is no such erasure.")
    return Subject(row["project_id"], row["subject_id"], erasure_id, row["before_ns"]), row["state"], row["counts"]


def _note(stores: Stores, erasure_id: str, values: Mapping[str, Any]) -> None:
    with stores.database.begin() as connection:
        connection.execute(update(erasures).where(erasures.c.id == erasure_id).values(values))


def _add(counts: dict[str, int], found: Mapping[str, int]) -> None:
    for name, count in found.items():
        counts[name] = max(count, counts.get(name, 0))


def _select() -> Any:
    columns = [erasures.c[name] for name in Erasure.__dataclass_fields__ if name != "actor"]
    joined = erasures.outerjoin(people, people.c.id == erasures.c.actor_id)
    return select(*columns, people.c.name.label("actor")).select_from(joined)


def _erasure(row: Mapping[str, Any]) -> Erasure:
    return Erasure(**{**row, "actor": row["actor"] or ""})


def _sum(found: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for counts in found:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total
