"""A person is erased: unseen when the request is answered, gone from the files, never back; and only an admin may ask for it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from starlette.testclient import TestClient

from noria.app import schema
from noria.core import ids
from noria.core.errors import NotFound
from noria.core.slices import Subject
from noria.governance import audit, erasure, service
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores
from noria.stores.journal import segments
from noria.tracing import erasure as traces
from noria.tracing import leftovers
from noria.tracing import service as tracing
from noria.web import i18n
from tests.tracing.conftest import Traffic, whole
from tests.tracing.test_erasers import is_kept, keep

ROOT = Path(__file__).parents[2]
SUBJECT = "mina"


@pytest.fixture
def first(stores: Stores) -> FirstLogin:
    schema.declare()
    stores.database.create_all()
    made = service.bootstrap(stores)
    assert made is not None
    return made


@pytest.fixture
def project(first: FirstLogin) -> str:
    return first.project_id


@pytest.fixture
def client(stores: Stores, first: FirstLogin) -> Iterator[TestClient]:
    with TestClient(whole(stores)) as made:
        made.headers["authorization"] = f"Bearer {first.key}"
        yield made


def there(stores: Stores, project: str, trace_id: str) -> bool:
    try:
        return bool(tracing.get_trace(stores, project, trace_id).spans)
    except NotFound:
        return False


def carry(traffic: Traffic) -> None:
    traffic.carry()


def ask(client: TestClient) -> str:
    answer = client.post(f"/api/subjects/{SUBJECT}/erasure", json={"reason": "asked for it"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_the_proof_holds_for_some_thousand_spans() -> None:
    """The search of the raw files finds the person's words before, and none after."""
    command = [sys.executable, "benchmarks/erasure.py", "--spans", "2000", "--traces", "8", "--days", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0 and told["passed"], told
    assert told["figures"]["files_before"] > 20 and told["figures"]["seen_before"] > 50


def test_what_would_go_is_only_counted(client: TestClient, traffic: Traffic, stores: Stores, project: str) -> None:
    mine = traffic.span("hello", subject_id=SUBJECT)
    traffic.span("step", trace_id=mine.trace_id, parent_id=mine.span_id)
    traffic.carry()
    keep(stores, project, b"a picture", mine.trace_id)
    counts = client.post(f"/api/subjects/{SUBJECT}/erasure", json={"dry_run": True}).json()["counts"]
    assert (counts["traces"], counts["spans"], counts["media files"]) == (1, 2, 1)
    assert i18n.missing_translations(list(counts)).get("", []) == []
    assert there(stores, project, mine.trace_id)
    assert client.get("/api/erasures").json()["items"] == []


def test_late_spans_stay_out_and_new_traces_come_in(
    client: TestClient, traffic: Traffic, stores: Stores, project: str
) -> None:
    mine, other = traffic.span("hello", subject_id=SUBJECT), traffic.span("hello", subject_id="jun")
    traffic.carry()
    waiting = traffic.span("on its way", subject_id=SUBJECT)
    early = traffic.span("a step whose root comes later", parent_id="ab" * 8, subject_id="")
    picture = keep(stores, project, b"of somebody who is not known yet", early.trace_id)
    ask(client)
    assert not there(stores, project, mine.trace_id)
    traffic.carry()
    assert there(stores, project, early.trace_id), "nobody can know yet whose it is"
    assert is_kept(stores, project, picture)
    late = traffic.span("late step", trace_id=mine.trace_id, parent_id=mine.span_id)
    root = traffic.span("its root", trace_id=early.trace_id, subject_id=SUBJECT, start_ns=early.start_ns)
    back = traffic.span("again", subject_id=SUBJECT)
    traffic.carry()
    gone = (mine, waiting, late, root, early)
    assert [there(stores, project, span.trace_id) for span in gone] == [False] * len(gone)
    assert not is_kept(stores, project, picture)
    assert there(stores, project, other.trace_id) and there(stores, project, back.trace_id)


def test_the_record_names_nobody(client: TestClient, traffic: Traffic, stores: Stores, project: str) -> None:
    traffic.span("hello", subject_id="mina-who-is-erased")
    traffic.carry()
    made = client.post("/api/subjects/mina-who-is-erased/erasure", json={"reason": "asked"}).json()
    with stores.database.read() as connection:
        entries = audit.entries(connection, project, verb="subject").items
    assert [entry.verb for entry in entries] == ["subject.erase"]
    assert "mina-who-is-erased" not in json.dumps([entry.details for entry in entries])
    left = stores.spans.query("SELECT count() AS n FROM system.mutations WHERE command LIKE '%mina%'")
    assert left == [{"n": 0}]
    assert len(made["digest"]) == 64


def test_only_an_admin_erases(client: TestClient, stores: Stores, project: str) -> None:
    with stores.database.begin() as connection:
        _, key = service.mint_key(
            connection, project_id=project, name="r", scope="manage", role="reviewer", ttl_hours=None, actor_id=""
        )
    for headers, status in (({"authorization": f"Bearer {key}"}, 403), ({"authorization": ""}, 401)):
        for dry_run in (True, False):
            body = {"dry_run": dry_run}
            answer = client.post(f"/api/subjects/{SUBJECT}/erasure", json=body, headers=headers)
            assert answer.status_code == status
        assert client.get("/api/erasures", headers=headers).status_code == status
    assert client.post("/api/subjects/%20/erasure", json={}).status_code == 400


def test_a_second_request_joins_the_first(client: TestClient) -> None:
    assert ask(client) == ask(client)
    assert len(client.get("/api/erasures").json()["items"]) == 1


def test_a_strangers_project_keeps_its_traces(client: TestClient, traffic: Traffic, stores: Stores) -> None:
    elsewhere = ids.new_id()
    theirs = traffic.span("hello", subject_id=SUBJECT, project_id=elsewhere)
    traffic.carry()
    ask(client)
    assert there(stores, elsewhere, theirs.trace_id)


def test_leftovers_of_journals(tmp_path: Path) -> None:
    writer = tmp_path / "gateway"
    writer.mkdir()
    marks = leftovers.Marks("p", SUBJECT, frozenset({"ab" * 16}))
    lines = [
        {"batch": "b", "record": {"project_id": "p", "subject_id": SUBJECT}},
        {"batch": "b", "record": {"project_id": "p", "trace_id": "ab" * 16}},
        {"batch": "b", "record": {"project_id": "p", "subject_id": "jun"}},
        {"batch": "b", "record": {"project_id": "q", "subject_id": SUBJECT}},
    ]
    (writer / "rejected.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    (writer / "1.damaged").write_bytes(b"\x00 mina \x00")
    (writer / "2.damaged").write_bytes(b"\x00 jun \x00")
    assert leftovers.find(tmp_path, marks) == 3
    assert leftovers.remove(tmp_path, marks) == 3
    assert leftovers.find(tmp_path, marks) == 0
    assert [orjson.loads(line) for line in (writer / "rejected.jsonl").read_bytes().splitlines()] == lines[2:]
    assert sorted(path.name for path in writer.iterdir()) == ["2.damaged", "rejected.jsonl"]


def test_an_open_segment_is_turned_over(traffic: Traffic, stores: Stores) -> None:
    journal = stores.settings.folder.journal
    traffic.span("hello")
    [before] = segments(journal / "gateway")
    leftovers.turn_over(journal, lambda _: carry(traffic))
    assert not before.exists()
    after = traffic.span("afterwards")
    assert traffic.carry() == 1 and there(stores, traffic.project, after.trace_id)


def test_what_is_written_down_survives_its_run(traffic: Traffic, stores: Stores, project: str) -> None:
    """Killed after the traces were hidden: the next run still knows which they were."""
    mine = traffic.span("hello", subject_id=SUBJECT)
    traffic.carry()
    subject = Subject(project, SUBJECT, ids.new_id())
    traces.hide(stores, subject)
    assert traces.trace_ids(stores, subject) == [mine.trace_id]
    traces.hide(stores, replace(subject))
    assert traces.trace_ids(stores, subject) == [mine.trace_id]
    assert erasure.digest(stores, project, SUBJECT) != erasure.digest(stores, ids.new_id(), SUBJECT)
