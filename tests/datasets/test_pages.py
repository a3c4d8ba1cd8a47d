"""Pages of datasets as a browser without scripts gets them: what a version holds, what was done to it, what comes next."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.core import ids
from noria.datasets import changes, jobs, pages, service, views
from noria.datasets.options import Options
from noria.datasets.records import DatasetVersion
from noria.datasets.slice import SLICE
from noria.governance import people
from noria.governance import service as governance
from noria.governance.slice import SLICE as GOVERNANCE
from noria.jobs import service as job_service
from noria.jobs.context import JobContext
from noria.jobs.slice import SLICE as JOBS
from noria.registry import endpoints
from noria.registry.slice import SLICE as REGISTRY
from noria.stores.connect import Stores
from noria.web import application, i18n

PASSWORD = "a long enough password"
TRAIN = "".join(
    f'{{"messages":[{{"role":"user","content":"{text}"}},{{"role":"assistant","content":"{answer}"}}]}}\n'
    for text, answer in (
        ("Where is my order 10482, please?", "track"),
        ("Where is my order 10482, please?", "track"),
        ("Write to jane.doe@example.org about it", "write"),
        ("I want <b>another</b> colour for the chair", "change"),
        ("Can I pay with a voucher in the shop?", "pay"),
    )
)
TEST = '{"messages":[{"role":"user","content":"Can I pay with a voucher in the shop?"},{"role":"assistant","content":"pay"}]}\n'


@dataclass
class Desk:
    """A signed-in person's browser on an installation with datasets."""

    stores: Stores
    project_id: str
    client: TestClient
    csrf: dict[str, str]

    def as_(self, role: str) -> TestClient:
        self.client.cookies.clear()
        body = {"email": f"{role}@example.org", "password": PASSWORD}
        self.csrf[role] = self.client.post("/api/login", json=body).json()["csrf"]
        return self.client

    def read(self, path: str, role: str = "viewer", language: str = "en") -> str:
        answer = self.as_(role).get(path, headers={"accept-language": language})
        assert answer.status_code == 200, answer.text
        assert " style=" not in answer.text and "<b>another" not in answer.text
        return re.sub(r"\s+", " ", html.unescape(answer.text))

    def send(self, path: str, form: dict[str, Any], role: str = "editor", **more: Any) -> Any:
        client = self.as_(role)
        return client.post(path, data={**form, "csrf": self.csrf[role]}, follow_redirects=False, **more)

    def run(self, job_id: str) -> DatasetVersion:
        """Do here and now what the worker would do, as far as pages see it."""
        job = job_service.get(self.stores, self.project_id, job_id)
        function = {"datasets.import": jobs.import_files, "datasets.clean": jobs.clean}[job.name]
        context = JobContext(
            job.id, self.project_id, job.actor_id, job.args, self.stores, lambda *_: None, lambda *_: None
        )
        return service.get_version(self.stores, self.project_id, function(context)["version_id"])


@pytest.fixture
def desk(stores: Stores) -> Iterator[Desk]:
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        for role in ("viewer", "editor"):
            people.add_person(
                connection,
                project_id=first.project_id,
                email=f"{role}@example.org",
                name=role.title(),
                role=role,
                password=PASSWORD,
                actor_id="test",
            )
    with TestClient(application.create((JOBS, GOVERNANCE, REGISTRY, SLICE), stores, governance.authenticate)) as app:
        yield Desk(stores, first.project_id, app, {})


def imported(desk: Desk) -> str:
    """Start an import through the form; the job's id."""
    files = [("files", ("train.jsonl", TRAIN)), ("files", ("test.jsonl", TEST))]
    answer = desk.send("/datasets/import", {"name": "calls"}, files=files)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/datasets?job=")


@pytest.fixture
def cleaned(desk: Desk) -> Desk:
    desk.run(imported(desk))
    steps = [step for step in pages.STEPS if getattr(Options(), step)]
    answer = desk.send("/datasets/calls/clean", {"version": "1", "steps": steps})
    assert answer.status_code == 303
    desk.run(answer.headers["location"].partition("job=")[2])
    return desk


def test_an_empty_list_says_how_to_fill_it(desk: Desk) -> None:
    page = desk.read("/datasets", "editor")
    assert "noria datasets import train.jsonl" in page and 'enctype="multipart/form-data"' in page
    assert 'action="/datasets/import"' not in desk.read("/datasets", "viewer")


def test_an_import_is_followed_to_its_version(desk: Desk) -> None:
    job = imported(desk)
    page = desk.read(f"/datasets?job={job}")
    assert f'data-live="/datasets/_job/{job}"' in page and "waiting for a worker" in page
    version = desk.run(job)
    page = desk.read("/datasets/calls")
    assert f"{version.rows} rows as they came in; every line could be read." in page
    assert "not cleaned yet" in page and "train.jsonl" in page and "Clean version 1" not in page
    assert "Clean version 1" in desk.read("/datasets/calls", "editor")
    assert "calls" in desk.read("/datasets")


def test_a_failed_import_says_why_where_it_was_started(desk: Desk) -> None:
    answer = desk.send("/datasets/import", {"name": "calls"}, files=[("files", ("train.jsonl", ""))])
    assert answer.status_code == 400 and "train.jsonl is empty." in html.unescape(answer.text)
    answer = desk.send("/datasets/import", {"name": "no/name"}, files=[("files", ("train.jsonl", TRAIN))])
    assert answer.status_code == 400
    assert "No datasets yet." in desk.read("/datasets")


def test_a_cleaning_is_told_reason_by_reason_and_row_by_row(cleaned: Desk) -> None:
    page = cleaned.read("/datasets/calls")
    assert "4 of 6 rows are left after cleaning version 1." in page
    for title, count in (("Exact duplicates", 1), ("Leakage", 1), ("Personal data", 1)):
        assert re.search(rf"<b>{title}</b>.{{0,400}}>{count}</a>", page), title
    assert "e-mail addresses: 1" in page
    rows = cleaned.read("/datasets/calls/changes")
    assert "the same row is in test" in rows and "<EMAIL_1>" in rows and "jane.doe@example.org" in rows
    only = cleaned.read("/datasets/calls/changes?reason=leakage")
    assert "voucher" in only and "jane.doe" not in only
    assert "시험" not in only and "누출" in cleaned.read("/datasets/calls/changes", language="ko")


def test_rows_are_found_by_text_and_split_and_opened(cleaned: Desk) -> None:
    page = cleaned.read("/datasets/calls?q=voucher")
    (path,) = set(re.findall(r"/datasets/calls/rows/[0-9a-f]{32}\?version=2", page))
    row = cleaned.read(path)
    assert "Can I pay with a voucher in the shop?" in row and "test.jsonl, line 1" in row
    assert "calls:1" in row and "calls:2" in row
    assert "No row is like that." in cleaned.read("/datasets/calls?q=voucher&split=train")
    assert "the latest is 2" in cleaned.read("/datasets/calls?version=1")


def test_strangers_rows_and_wrong_roles_are_refused(cleaned: Desk) -> None:
    for path in ("/datasets/others", "/datasets/calls?version=9", f"/datasets/calls/rows/{'0' * 32}"):
        assert cleaned.as_("viewer").get(path).status_code == 404
    job = job_service.start(cleaned.stores, name="datasets.clean", args={}, project_id=ids.new_id(), actor_id="x")
    assert cleaned.as_("viewer").get(f"/datasets/_job/{job.id}").status_code == 404
    assert "/datasets/_job/" not in cleaned.read(f"/datasets?job={job.id}")
    for path, form in (
        ("/datasets/calls/clean", {"version": "1"}),
        ("/datasets/calls/feedback", {"version": "1", "endpoint": "assistant"}),
    ):
        assert cleaned.send(path, form, "viewer").status_code == 403
    files = [("files", ("train.jsonl", TRAIN))]
    assert cleaned.send("/datasets/import", {"name": "calls"}, "viewer", files=files).status_code == 403
    assert cleaned.as_("editor").post("/datasets/calls/clean", data={"version": "1"}).status_code == 403


def test_feedback_is_added_from_a_chosen_endpoint(cleaned: Desk) -> None:
    with cleaned.stores.database.begin() as connection:
        endpoints.create_endpoint(connection, project_id=cleaned.project_id, name="assistant", actor_id="test")
    assert "Add feedback" in cleaned.read("/datasets/calls", "editor")
    answer = cleaned.send("/datasets/calls/feedback", {"version": "2", "endpoint": "assistant"})
    job_id = answer.headers["location"].removeprefix("/datasets/calls?version=2&job=")
    job = job_service.get(cleaned.stores, cleaned.project_id, job_id)
    assert (job.name, job.args["endpoint"]) == ("datasets.from_feedback", "assistant")
    assert job.args["base_version_id"] == service.find_version(cleaned.stores, cleaned.project_id, "calls", 2).id


def test_every_detail_that_cleaning_writes_is_said_in_words() -> None:
    for detail, sentence in (
        ("93% alike", "{share} % alike"),
        ("also in test: the same row", "the same row is in {split}"),
        ("also in test: 93% alike", "{share} % alike to a row of {split}"),
        ("1,204 characters, robust z +9.2", "{n} characters, robust z {z}"),
        ("letters were lost before the import (U+FFFD)", "letters were lost before the import (U+FFFD)"),
    ):
        ((words, values),) = views.detail_words(detail)
        assert words == sentence and "{" not in i18n.words("ko")(words, **values)
    assert [words for words, _ in views.detail_words("card 1, email 2")] == [
        views.MASKED["CARD"],
        views.MASKED["EMAIL"],
    ]
    assert views.detail_words("") == [] and views.detail_words("new")[0][1] == {"detail": "new"}
    assert set(views.TITLES) == set(changes.REASONS)


def test_words_from_code_have_korean() -> None:
    said = [*views.TITLES.values(), *views.MASKED.values(), *changes.REASONS.values(), *pages.STEPS.values()]
    said += [words for _, words in views.DETAILS]
    assert i18n.missing_translations(said).get("", []) == []
