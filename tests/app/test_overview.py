"""The overview: the first steps, what serves with its figures, and what waits for whom."""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from noria.app import schema
from noria.app.slices import SLICES
from noria.core import clock, ids
from noria.core.settings import load
from noria.governance import people
from noria.governance import service as governance
from noria.jobs import service as jobs
from noria.jobs.tables import jobs as job_table
from noria.registry import endpoints, providers, releases, rollouts
from noria.stores.connect import Stores
from noria.tracing import service as tracing
from noria.web import application
from tests.stores.process import StoreProcess
from tests.tracing.conftest import Traffic

PASSWORD = "a long enough password"
GATE = [{"kind": "approvals", "count": 1}]


@pytest.fixture(scope="module")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    process = StoreProcess(load({}, data=tmp_path_factory.mktemp("store") / "data"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def stores(tmp_path: Path, store_process: StoreProcess) -> Iterator[Stores]:
    """Stores of this test alone, but for the span store."""
    schema.declare()
    settings = load({}, data=tmp_path / "data")
    settings.data.mkdir()
    with closing(Stores(replace(settings, spans_url=store_process.dsn()))) as opened:
        opened.database.create_all()
        yield opened


@dataclass
class Team:
    """An installation with an editor and a reviewer; `as_` opens the overview in somebody's browser."""

    stores: Stores
    project_id: str
    editor: str
    app: TestClient

    def as_(self, role: str, path: str = "/", language: str = "en") -> str:
        self.app.cookies.clear()
        self.app.post("/login", data={"email": f"{role}@example.org", "password": PASSWORD, "next": "/"})
        answer = self.app.get(path, headers={"accept-language": language})
        assert answer.status_code == 200, answer.text
        assert " style=" not in answer.text
        return re.sub(r"\s+", " ", html.unescape(answer.text))

    def endpoint(self) -> None:
        """The endpoint "assistant", served by release 1, with release 2 as a draft."""
        providers.add_provider(
            self.stores,
            project_id=self.project_id,
            name="somewhere",
            kind="openai",
            base_url="http://127.0.0.1:9/v1",
            actor_id=self.editor,
        )
        with self.stores.database.begin() as connection:
            endpoints.create_endpoint(
                connection, project_id=self.project_id, name="assistant", gate=GATE, actor_id=self.editor
            )
        self.release()
        rollouts.promote(
            self.stores,
            project_id=self.project_id,
            endpoint="assistant",
            number=1,
            reason="first",
            actor_id=self.editor,
        )

    def release(self) -> None:
        with self.stores.database.begin() as connection:
            releases.create_release(
                connection,
                project_id=self.project_id,
                endpoint="assistant",
                provider="somewhere",
                model="small",
                actor_id=self.editor,
                note="a <b>smaller</b> one",
            )


def team_of(stores: Stores, client: TestClient) -> Team:
    first = governance.bootstrap(stores)
    assert first is not None
    added = {}
    with stores.database.begin() as connection:
        for role in ("viewer", "editor", "reviewer"):
            added[role], _ = people.add_person(
                connection,
                project_id=first.project_id,
                email=f"{role}@example.org",
                name=role.title(),
                role=role,
                password=PASSWORD,
                actor_id="",
            )
    return Team(stores, first.project_id, added["editor"].id, client)


@pytest.fixture
def team(stores: Stores) -> Iterator[Team]:
    with TestClient(application.create(SLICES, stores, governance.authenticate)) as client:
        yield team_of(stores, client)


@pytest.fixture
def traffic(team: Team) -> Iterator[Traffic]:
    made = Traffic(team.stores, team.project_id)
    yield made
    made.writer.close()


def test_the_first_start_shows_three_steps(team: Team) -> None:
    page = team.as_("viewer")
    assert "noria demo" in page and "noria datasets import" in page and team.stores.settings.gateway_url in page
    assert "Nothing waits for you." in page
    assert "첫 릴리스" in team.as_("viewer", language="ko")


def test_an_endpoint_with_its_last_hour(team: Team, traffic: Traffic) -> None:
    team.endpoint()
    page = team.as_("viewer")
    assert "No requests in the last hour." in page and "1 · 100 %" in page
    for _ in range(3):
        traffic.span("Where is it?", "There")
    traffic.span(release=0, requested_release=1, status="error", error_type="timed_out")
    judged = traffic.span()
    tracing.give_feedback(
        team.stores,
        project_id=team.project_id,
        author_id="key",
        source="user",
        trace_id=judged.trace_id,
        value=1.0,
    )
    traffic.span(endpoint="assistant", live=False)
    traffic.carry()
    page = team.as_("viewer")
    assert "5 requests in the last hour." in page and "1 failed request" in page
    assert "“Where is it?”" in page and 'title="n = 1"' in page
    assert "/traces?endpoint=assistant&release=1&status=error" in page
    part = team.as_("viewer", "/overview/endpoints").strip()
    assert part.startswith('<section id="endpoints" data-live="/overview/endpoints"')


def test_a_release_waits_for_whoever_can_go_on_with_it(team: Team) -> None:
    team.endpoint()
    team.release()
    assert "1 thing needs you" in team.as_("reviewer")
    waiting = team.as_("reviewer", "/overview/waiting")
    assert "assistant@2 waits for approval" in waiting and "somebody else" not in waiting
    assert "a <b>smaller" in waiting and "a &lt;b&gt;smaller" in team.app.get("/overview/waiting").text
    for role in ("editor", "viewer"):
        assert "assistant@2 waits for approval" in team.as_(role, "/overview/waiting")
        assert "somebody else’s turn" in team.as_(role, "/overview/waiting")
        assert "needs you" not in team.as_(role)


def test_an_endpoint_without_a_release_waits_for_one(team: Team) -> None:
    with team.stores.database.begin() as connection:
        endpoints.create_endpoint(connection, project_id=team.project_id, name="support", actor_id=team.editor)
    assert "support has no release yet" in team.as_("editor", "/overview/waiting")
    assert "somebody else’s turn" in team.as_("viewer", "/overview/waiting")


def test_what_was_rolled_back_waits_for_nobody(team: Team, do: Callable[[str, int], None]) -> None:
    team.endpoint()
    team.release()
    do("approve", 2)
    assert "assistant@2 may become the canary" in team.as_("reviewer", "/overview/waiting")
    do("canary", 2)
    assert "1 · 75 %" in team.as_("viewer") and "2 · 25 %" in team.as_("viewer")
    do("rollback", 2)
    assert "Nothing waits for you." in team.as_("reviewer", "/overview/waiting")


@pytest.fixture
def do(team: Team) -> Callable[[str, int], None]:
    """A verb of the reviewer through the API."""

    def act(verb: str, number: int) -> None:
        team.as_("reviewer")
        csrf = re.search(r'name="csrf" value="([^"]+)"', team.app.get("/").text)
        assert csrf
        path = f"/api/endpoints/assistant/releases/{number}/{verb}"
        body = {"reason": "looked at it"} | ({"share": 0.25} if verb == "canary" else {})
        if verb == "rollback":
            path = "/api/endpoints/assistant/rollback"
        answer = team.app.post(path, json=body, headers={"x-csrf-token": csrf[1]})
        assert answer.is_success, answer.text

    return act


def test_jobs_that_run_and_jobs_that_failed(team: Team) -> None:
    team.endpoint()
    evaluation_id = ids.new_id()

    def job(name: str, args: dict[str, str], **values: object) -> str:
        made = jobs.start(team.stores, name=name, args=args, project_id=team.project_id, actor_id=team.editor)
        with team.stores.database.begin() as connection:
            connection.execute(update(job_table).where(job_table.c.id == made.id).values(**values))
        return made.id

    job("evaluation.run", {"evaluation_id": evaluation_id}, state="running", done=30, total=120, note="answering")
    error = {"code": "x", "message": "The file <ends> early.", "hint": ""}
    failed = job("datasets.import", {"name": "calls"}, state="failed", ended_at=clock.now(), error=error)
    page = team.as_("editor", "/overview/waiting")
    assert f"/evaluations/{evaluation_id}" in page and "30 / 120" in page and 'data-every="1500"' in page
    assert "Import: failed" in page and "The file <ends> early." in page
    assert f'href="/datasets?job={failed}"' in page  # the import failed, so there is no dataset to lead to
    assert "가져오기: 실패" in team.as_("editor", "/overview/waiting", language="ko")


def test_the_overview_opens_while_the_store_is_away(tmp_path: Path) -> None:
    schema.declare()
    settings = load({}, data=tmp_path / "data")
    settings.data.mkdir()
    with closing(Stores(settings)) as stores:
        stores.database.create_all()
        with TestClient(application.create(SLICES, stores, governance.authenticate)) as client:
            team = team_of(stores, client)
            team.endpoint()
            page = team.as_("viewer")
            assert "The span store is not there now" in page and "figures are away" in page
            assert "1 · 100 %" in page and "all answered" not in page
