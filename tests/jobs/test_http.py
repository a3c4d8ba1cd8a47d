"""The JSON API of jobs, with a caller of each kind."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from noria.jobs import service
from noria.jobs.slice import SLICE
from noria.stores.connect import Stores
from noria.web.application import create
from noria.web.auth import Caller
from tests.jobs.conftest import ACTOR, PROJECT


class Api:
    """The application with callers by name, and what it wrote into the audit log."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.audited: list[dict[str, Any]] = []
        app = create([SLICE], stores, self._authenticate)
        app.state.audit = lambda connection, **event: self.audited.append(event)
        self.client = TestClient(app, base_url="http://127.0.0.1")

    async def _authenticate(self, request: Request) -> Caller | None:
        project, _, role = request.headers.get("authorization", "").partition(" ")
        if not role:
            return None
        permissions = frozenset({"view", "edit"} if role == "editor" else {"view"})
        return Caller("key", ACTOR, role, project, role, permissions)  # type: ignore[arg-type]

    def call(self, method: str, path: str, role: str = "editor", project: str = PROJECT) -> Any:
        return self.client.request(method, path, headers={"authorization": f"{project} {role}"})

    def start(self) -> str:
        return service.start(self.stores, name="count", args={"to": 2}, project_id=PROJECT, actor_id=ACTOR).id


@pytest.fixture
def api(stores: Stores) -> Iterator[Api]:
    made = Api(stores)
    with made.client:
        yield made


def test_jobs_are_listed_in_pages(api: Api) -> None:
    made = [api.start() for _ in range(3)]
    first = api.call("GET", "/api/jobs?limit=2").json()
    rest = api.call("GET", f"/api/jobs?limit=2&cursor={first['next']}").json()
    assert {job["id"] for job in first["items"] + rest["items"]} == set(made)
    assert rest["next"] is None
    assert first["items"][0]["state"] == "queued" and first["items"][0]["created_at"].endswith(("Z", "+00:00"))
    assert "owner" not in first["items"][0]


def test_a_job_is_cancelled_once_and_audited(api: Api) -> None:
    job_id = api.start()
    assert api.call("POST", f"/api/jobs/{job_id}/cancel").json()["state"] == "cancelled"
    assert [(e["verb"], e["target_id"], e["actor_id"]) for e in api.audited] == [("job.cancel", job_id, ACTOR)]
    again = api.call("POST", f"/api/jobs/{job_id}/cancel")
    assert again.status_code == 409
    assert len(api.audited) == 1


def test_looking_is_not_cancelling(api: Api) -> None:
    job_id = api.start()
    assert api.call("GET", f"/api/jobs/{job_id}", role="viewer").status_code == 200
    assert api.call("POST", f"/api/jobs/{job_id}/cancel", role="viewer").status_code == 403
    assert api.client.get(f"/api/jobs/{job_id}").status_code == 401


def test_another_project_sees_nothing(api: Api) -> None:
    job_id = api.start()
    for path in (f"/api/jobs/{job_id}", f"/api/jobs/{job_id}/points"):
        assert api.call("GET", path, project="another").status_code == 404
    assert api.call("POST", f"/api/jobs/{job_id}/cancel", project="another").status_code == 404
    assert api.call("GET", "/api/jobs", project="another").json()["items"] == []
