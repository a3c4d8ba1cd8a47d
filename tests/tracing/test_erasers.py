"""What else is held of a person: media files, uploads, kept responses, recorded calls, dataset rows, answers of evaluations."""

import base64
import hashlib
import os
import time
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import insert, select

from noria.app import schema
from noria.core import clock, ids
from noria.core.errors import NotFound
from noria.core.ids import new_id
from noria.core.slices import Subject
from noria.datasets import erasing as rows
from noria.datasets import service as datasets
from noria.datasets.records import Example, trace_row_id
from noria.evaluation import erasing as answers
from noria.evaluation.tables import evaluations, results
from noria.gateway import erasing as responses
from noria.governance import audit
from noria.governance.sealing import Sealer
from noria.governance.tables import erasures
from noria.jobs import leftovers
from noria.jobs import service as jobs
from noria.registry import erasing as recordings
from noria.registry.recording import Exchange, write
from noria.stores import rawsearch
from noria.stores.connect import Stores
from noria.tracing import erasure as traces
from noria.tracing import media, media_aging, retention, tables
from tests.tracing.conftest import Traffic

SUBJECT = "mina"


def silent(_words: str) -> None:
    """Progress that nobody follows."""


@pytest.fixture
def subject(stores: Stores, traffic: Traffic, project: str) -> Subject:
    """Somebody with one trace, which an erasure has written down."""
    schema.declare()
    stores.database.create_all()
    traffic.span("hello", subject_id=SUBJECT)
    traffic.carry()
    made = Subject(project, SUBJECT, ids.new_id(), time.time_ns() + 10**12)
    traces.hide(stores, made)
    return made


def example(row_id: str, text: str, trace_id: str = "x") -> Example:
    said = [{"role": "user", "content": text}, {"role": "assistant", "content": "answer"}]
    return Example(row_id, "train", said, source={"trace_id": trace_id})


def test_rows_leave_versions_that_keep_their_names(stores: Stores, subject: Subject) -> None:
    [trace_id] = traces.trace_ids(stores, subject)
    theirs, other = example("of a span", "zwergmaulwurf", trace_id), example("ab" * 16, "hauskatze")
    common: dict[str, Any] = {"project_id": subject.project_id, "actor_id": "", "operation": "from_feedback"}
    one = datasets.write_version(stores, name="d", examples=[theirs, other], parent_id=None, report={}, **common)
    two = datasets.write_version(
        stores, name="d", examples=[theirs], parent_id=one.id, report={"changes": stores.files.put(b"places")}, **common
    )
    before = {digest for version in (one, two) for digest in version.parts}
    assert rows.find(stores, subject) == {rows.ROWS: 2}
    assert rows.erase(stores, subject, silent) == {rows.ROWS: 2}
    assert rows.find(stores, subject) == {rows.ROWS: 0}
    now = datasets.get_version(stores, subject.project_id, one.id)
    assert (now.name, now.rows, now.report["erased_rows"]) == ("d:1", 1, 1)
    assert [row.row_id for row in datasets.read_examples(stores, now)] == [other.row_id]
    empty = datasets.get_version(stores, subject.project_id, two.id)
    assert (empty.rows, "changes" in empty.report) == (0, False)
    assert not any(map(stores.files.exists, before - set(now.parts)))
    assert rows.erase(stores, subject, silent) == {rows.ROWS: 0}, "a second run has nothing to do"


def test_answers_lose_their_words_and_keep_their_scores(stores: Stores, subject: Subject) -> None:
    [trace_id] = traces.trace_ids(stores, subject)
    made = {
        "id": new_id(),
        "project_id": subject.project_id,
        "created_at": clock.now(),
        "options": {},
        "cpu_seconds": 0,
    }
    made |= dict.fromkeys(("dataset_version_id", "dataset", "split", "target", "release_id", "release_digest"), "")
    made |= dict.fromkeys(("job_id", "key_id", "author_id"), "")
    result = {"evaluation_id": made["id"], "project_id": subject.project_id, "position": 0, "scores": {"exact": 1}}
    result |= {"correct": True, "valid": True, "finish_reason": "stop", "error": "", "trace_id": ""}
    with stores.database.begin() as connection:
        connection.execute(insert(evaluations).values(made))
        for row_id in (trace_row_id(trace_id), "other"):
            connection.execute(insert(results).values({**result, "row_id": row_id, "output": "words"}))
    assert answers.find(stores, subject) == {answers.ANSWERS: 1}
    assert answers.erase(stores, subject, silent) == {answers.ANSWERS: 1}
    with stores.database.read() as connection:
        left = connection.execute(select(results.c.row_id, results.c.output, results.c.scores)).all()
    assert {row.row_id: row.output for row in left} == {trace_row_id(trace_id): "", "other": "words"}
    assert all(row.scores == {"exact": 1} for row in left)


def test_kept_responses_of_the_person_go(stores: Stores, subject: Subject) -> None:
    folder = stores.settings.folder.responses / "1" / "aa"
    folder.mkdir(parents=True)
    kept = {
        "theirs": {"project": subject.project_id, "subject": SUBJECT, "response": {}, "items": []},
        "echoed": {"project": subject.project_id, "response": {"user": SUBJECT}, "items": []},
        "speaks of them": {"project": subject.project_id, "subject": "jun", "response": {}, "items": [SUBJECT]},
        "elsewhere": {"project": "another", "subject": SUBJECT, "response": {}, "items": []},
    }
    for name, content in kept.items():
        (folder / f"{name}.json").write_bytes(orjson.dumps(content))
    assert responses.find(stores, subject) == {responses.KEPT: 2}
    assert responses.erase(stores, subject, silent) == {responses.KEPT: 2}
    assert sorted(path.stem for path in folder.iterdir()) == ["elsewhere", "speaks of them"]


def test_recorded_calls_of_the_person_go(stores: Stores, subject: Subject) -> None:
    sealer = Sealer(stores.settings.folder.secret)
    folder = stores.settings.folder.recordings / "r1"
    folder.mkdir(parents=True)
    for number, user in enumerate((SUBJECT, "jun")):
        request = orjson.dumps({"user": user})
        exchange = Exchange("openai", "chat", "m", "/", time.time(), request, 200, {}, b"{}")
        write(folder / f"{number:04d}.sealed", exchange, sealer)
    assert recordings.find(stores, subject) == {recordings.RECORDED: 1}
    assert recordings.erase(stores, subject, silent) == {recordings.RECORDED: 1}
    assert [path.name for path in folder.iterdir()] == ["0001.sealed"]


def test_an_erased_name_leaves_the_records_file(stores: Stores, subject: Subject) -> None:
    name = "zwergmaulwurf-the-name"
    with stores.database.begin() as connection:
        datasets.create(connection, project_id=subject.project_id, name="x", actor_id="", description=name)
    assert rawsearch.search(stores.settings.data, [name])[name]
    with stores.database.begin() as connection:
        from noria.datasets.tables import datasets as table

        connection.execute(table.update().values(description=""))
    assert stores.database.scrub()
    assert rawsearch.search(stores.settings.data, [name]) == {name: []}


def keep(stores: Stores, project: str, content: bytes, trace_id: str) -> str:
    """A media file that a client announces for a trace and puts; its id."""
    sha256 = base64.b64encode(hashlib.sha256(content).digest()).decode()
    told: dict[str, Any] = {"content_type": "image/png", "size": len(content), "sha256": sha256, "trace_id": trace_id}
    found, url = media.announce(stores, project_id=project, actor_id="", **told)
    if url:
        media.receive(stores, project, found.id, content)
    return found.id


def speaking_of(media_id: str) -> str:
    return f"look: @@@langfuseMedia:type=image/png|id={media_id}|source=bytes@@@"


def is_kept(stores: Stores, project: str, media_id: str) -> bool:
    try:
        return stores.media.exists(media.find(stores, project, media_id).digest)
    except NotFound:
        return False


def test_media_files_go_with_their_traces(stores: Stores, subject: Subject, traffic: Traffic) -> None:
    project, elsewhere = subject.project_id, ids.new_id()
    someone = Subject(project, "quappe", ids.new_id(), subject.before_ns)
    mine, theirs = ids.new_trace_id(), ids.new_trace_id()
    own = keep(stores, project, b"picture of quappe", mine)
    shared = keep(stores, project, b"everybody's logo", mine)
    keep(stores, project, b"everybody's logo", theirs)
    quoted = keep(stores, project, b"what another trace quotes", mine)
    of_a_dataset = keep(stores, project, b"what a dataset needs", mine)
    keep(stores, project, b"what a dataset needs", "")
    unannounced = keep(stores, project, b"announced for a trace that never came", "")
    only_named = keep(stores, project, b"named in words", mine.upper())
    also_there = keep(stores, elsewhere, b"picture of quappe", mine)
    traffic.span(speaking_of(only_named), trace_id=mine, subject_id="quappe")
    traffic.span(speaking_of(quoted), trace_id=theirs, subject_id="jun")
    traffic.carry()
    assert traces.find(stores, Subject(project, "quappe"))[traces.MEDIA] == 2
    traces.hide(stores, someone)
    kept = {one: is_kept(stores, project, one) for one in (own, only_named, shared, quoted, of_a_dataset, unannounced)}
    assert list(kept.values()) == [False, False, True, True, True, True]
    assert is_kept(stores, elsewhere, also_there), "the same bytes in another project"
    assert rawsearch.search(stores.settings.data, ["named in words"]) == {"named in words": []}
    assert traces.find(stores, someone)[traces.MEDIA] == 0
    traces.hide(stores, someone)
    with stores.database.read() as connection:
        [entry] = audit.entries(connection, project, verb="media.erase").items
    assert (entry.target_id, entry.details) == (someone.erasure_id, {"files": 2})


def test_media_files_of_late_spans_stay_out(stores: Stores, subject: Subject) -> None:
    [erased] = traces.trace_ids(stores, subject)
    row = {"id": subject.erasure_id, "project_id": subject.project_id, "subject_id": SUBJECT, "before_ns": 2**62}
    row |= {"digest": "0" * 64, "state": "erasing", "counts": {}, "proof": {}, "job_id": "", "actor_id": ""}
    with stores.database.begin() as connection:
        connection.execute(insert(erasures).values(**row, reason="", created_at=clock.now()))
    late = keep(stores, subject.project_id, b"comes too late", erased)
    assert not is_kept(stores, subject.project_id, late)
    assert is_kept(stores, subject.project_id, keep(stores, subject.project_id, b"comes too late", ids.new_trace_id()))


def test_a_removal_that_was_killed_is_finished(stores: Stores, subject: Subject, traffic: Traffic) -> None:
    """Killed when the bytes were gone and the record was not: whoever announces the file again may put it again."""
    someone = Subject(subject.project_id, "quappe", ids.new_id(), subject.before_ns)
    mine = traffic.span("hello", subject_id="quappe").trace_id
    traffic.carry()
    picture = keep(stores, subject.project_id, b"picture of quappe", mine)
    stores.media.delete(media.find(stores, subject.project_id, picture).digest)
    with stores.database.begin() as connection:
        connection.execute(tables.media.update().values(uploaded_at=None))
    traces.hide(stores, someone)
    with pytest.raises(NotFound):
        media.find(stores, subject.project_id, picture)
    assert is_kept(
        stores, subject.project_id, keep(stores, subject.project_id, b"picture of quappe", ids.new_trace_id())
    )


def test_media_files_go_when_their_traces_went_by_age(stores: Stores, subject: Subject, traffic: Traffic) -> None:
    project, gone = subject.project_id, ids.new_trace_id()
    here = traffic.span("hello").trace_id
    traffic.carry()
    old = [keep(stores, project, content, gone) for content in (b"old", b"old and shared", b"old and quoted")]
    keep(stores, project, b"old and shared", here)
    traffic.span(speaking_of(old[2]))
    traffic.carry()
    old.append(keep(stores, project, b"old, of a dataset", ""))
    with stores.database.begin() as connection:
        connection.execute(tables.media.update().values(created_at=clock.now() - timedelta(days=98)))
    fresh = keep(stores, project, b"its spans come later", ids.new_trace_id())
    what = retention.kept(clock.now(), 90, {})
    media_aging.drop_old(stores, retention.kept(clock.now(), 30, {project: 92}))
    assert is_kept(stores, project, old[0]), "this project keeps its spans for longer"
    for _ in range(2):
        media_aging.drop_old(stores, what)
        kept = [is_kept(stores, project, one) for one in (*old, fresh)]
        assert kept == [False, True, True, True, True]
    with stores.database.read() as connection:
        [entry] = audit.entries(connection, project, verb="media.drop").items
    assert (entry.target_kind, entry.details) == ("project", {"files": 1})


def test_nothing_stays_of_uploads_whose_job_is_over(stores: Stores, subject: Subject) -> None:
    folder = stores.settings.folder
    waiting, ended = (
        jobs.start(stores, name="tracing.import", args={}, project_id=subject.project_id, actor_id="").id for _ in "ab"
    )
    jobs.cancel(stores, subject.project_id, ended)
    kept = [
        folder.work / waiting,
        folder.work / "upload-new",
        folder.work / "backup",
        folder.media / "incoming" / "new",
    ]
    gone = [
        folder.work / ended,
        folder.work / "upload-old",
        folder.work / ids.new_id(),
        folder.files / "incoming" / "old",
    ]
    for path in (*kept, *gone):
        target = path / "0" if path.parent == folder.work else path
        target.parent.mkdir(parents=True)
        target.write_bytes(b"what people wrote")
        if path in gone[1:] or path.name == "backup":
            for old in (target, target.parent):
                os.utime(old, (0, 0))
    assert leftovers.sweep(stores) == len(gone)
    assert [path.exists() for path in (*kept, *gone)] == [True] * len(kept) + [False] * len(gone)
