"""The page of imports: files are sent, their job is followed, and its report says what came and what did not."""

import html
import re

import orjson
from starlette.testclient import TestClient

from noria.app import schema
from noria.core import ids
from noria.core.errors import BadInput
from noria.governance import projects
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.jobs import service as jobs
from noria.jobs import tables
from noria.jobs.context import JobContext
from noria.stores.connect import Stores
from noria.tracing import jobs as tracing_jobs
from noria.tracing.imports.taking import Import
from noria.tracing.pages_imports import said
from noria.web.i18n import words
from tests.tracing.import_kit import Desk
from tests.tracing.test_imports_doors import ROW

schema.declare()


def read(browser: TestClient, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", html.unescape(answer.text))


def send(browser: TestClient, content: bytes, tool: str = "auto") -> str:
    """The path that the form leads to."""
    csrf = re.search('name="csrf" value="([^"]+)"', browser.get("/traces/import").text)
    assert csrf is not None
    sent = {"files": ("runs.jsonl", content)}
    answer = browser.post("/traces/import", data={"csrf": csrf[1], "tool": tool}, files=sent, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def work(stores: Stores, project: str, path: str) -> None:
    """What a worker does with the job, up to keeping its result."""
    job = jobs.get(stores, project, path.rpartition("=")[2])
    context = JobContext(job.id, project, job.actor_id, job.args, stores, lambda *_: None, lambda *_: None)
    try:
        ended = {"state": "done", "result": tracing_jobs.import_traces(context)}
    except BadInput as error:
        ended = {"state": "failed", "error": {"message": error.message, "hint": error.hint}}
    with stores.database.begin() as connection:
        connection.execute(tables.jobs.update().where(tables.jobs.c.id == job.id).values(**ended))


def test_files_are_sent_followed_and_reported(browser: TestClient, stores: Stores, first: FirstLogin) -> None:
    old = {**ROW, "id": ids.new_id(), "trace_id": ids.new_id(), "start_time": "2019-01-01T00:00:00"}
    with stores.database.begin() as connection:
        projects.keep_project_spans(connection, project_id=first.project_id, days=400, actor_id="")
    path = send(browser, b"\n".join([orjson.dumps(ROW), b"{nothing", orjson.dumps(old)]))
    page = read(browser, path)
    part = re.search('data-live="(/traces/fragments/import/[^"]+)"', page)
    assert part is not None and "waiting for a worker" in page and "runs.jsonl" in page
    work(stores, first.project_id, path)
    report = read(browser, part[1])
    assert "data-live" not in report, "nothing is left to follow"
    assert "Import LangSmith" in report and "The first began on 1 Jan 2019, 00:00 UTC" in report
    assert "1 span is older than the 400 days for which this project keeps spans" in report
    assert "it is not JSON" in report and "row 2" in report
    assert "attr.noria.imported_from%3Alangsmith" in report
    assert "runs.jsonl" in read(browser, "/traces/import"), "the list of earlier ones"


def test_what_no_tool_has_exported_is_refused(browser: TestClient, stores: Stores, first: FirstLogin) -> None:
    path = send(browser, b'{"what": "is this"}')
    work(stores, first.project_id, path)
    browser.cookies.set("lang", "ko")
    page = read(browser, path)
    assert "Noria가 아는 도구가 내보낸 파일이 아닙니다." in page and "도구를 고르세요: langfuse" in page


def test_how_far_it_is_is_said_in_korean(desk: Desk) -> None:
    notes: list[str] = []
    run = Import(desk.stores, desk.project, tool="auto", files=[desk.lines("runs.jsonl", ROW)])
    run.run(lambda _done, _total, note: notes.append(note))
    assert notes[-1] == "1 spans and 0 scores, 0 refused"
    assert words("ko")(said(notes[-1])) == "스팬 1개, 점수 0개, 거절 0개"
    assert said("reading") == "reading"


def test_who_may_import(browser: TestClient, stores: Stores, first: FirstLogin) -> None:
    with stores.database.begin() as connection:
        _, viewer = governance.mint_key(
            connection, project_id=first.project_id, name="v", scope="manage", role="viewer", actor_id=""
        )
    browser.cookies.clear()
    header = {"authorization": f"Bearer {viewer}"}
    page = browser.get("/traces/import", headers=header)
    assert page.status_code == 200 and '<form method="post" action="/traces/import"' not in page.text
    sent = {"files": ("runs.jsonl", orjson.dumps(ROW))}
    assert browser.post("/traces/import", headers=header, files=sent).status_code == 403
    other = jobs.start(stores, name="training.run", args={}, project_id=first.project_id, actor_id="")
    assert browser.get(f"/traces/import?job={other.id}", headers=header).status_code == 404
    assert jobs.list_jobs(stores, first.project_id, name="tracing.import")[0] == []
