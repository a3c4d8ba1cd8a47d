"""How long a project's spans stay: over the API, on the page, from the shell; by admins only."""

import re
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from noria.governance import audit, commands
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores
from tests.governance.conftest import PASSWORD


def test_the_api(admin: TestClient, stores: Stores, first: FirstLogin) -> None:
    assert admin.get("/api/project").json()["keep_span_days"] is None
    changed = admin.patch("/api/project", json={"keep_span_days": 30, "reason": "contract"}).json()
    assert changed["keep_span_days"] == 30 and changed["limits"]["day_micros"] == 0
    assert admin.patch("/api/project", json={"limits": {}}).json()["keep_span_days"] == 30
    assert admin.patch("/api/project", json={"keep_span_days": 0}).status_code == 400
    assert admin.patch("/api/project", json={"keep_span_days": None}).json()["keep_span_days"] is None
    with stores.database.read() as connection:
        told = audit.entries(connection, first.project_id, verb="project.keep_spans").items
    assert [(entry.details, entry.reason) for entry in told] == [
        ({"from": 30, "to": None}, ""),
        ({"from": None, "to": 30}, "contract"),
    ]


@pytest.mark.parametrize("role", ["viewer", "editor", "reviewer"])
def test_it_is_for_admins(anybody: TestClient, person: Callable[[str], str], role: str) -> None:
    login = anybody.post("/api/login", json={"email": person(role), "password": PASSWORD}).json()
    token = {"x-csrf-token": login["csrf"]}
    assert anybody.patch("/api/project", json={"keep_span_days": 1}, headers=token).status_code == 403
    assert anybody.post("/settings/project/keep-spans", data={"csrf": login["csrf"], "days": "1"}).status_code == 403
    assert anybody.get("/settings/project").status_code == 403


def test_the_page(anybody: TestClient, first: FirstLogin) -> None:
    form = {"email": first.email, "password": first.password, "next": "/settings/project"}
    answer = anybody.post("/login", data=form)
    assert "90 days, as the installation" in answer.text
    found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
    assert found
    token = {"csrf": found[1]}
    after = anybody.post("/settings/project/keep-spans", data={**token, "days": "1000", "reason": "law"})
    assert "How long spans stay is changed." in after.text and "1,000 days in this project" in after.text
    wrong = anybody.post("/settings/project/keep-spans", data={**token, "days": "many"})
    assert wrong.status_code == 400 and "Days are a whole number" in wrong.text
    assert "90 days, as" in anybody.post("/settings/project/keep-spans", data={**token, "days": ""}).text


def test_the_command(stores: Stores, first: FirstLogin) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(commands.project, ["keep-spans", *words, "--data", str(stores.settings.data)])
        return done.output

    assert run() == "Project default: spans are kept for 90 days, the installation's setting.\n"
    assert run("30", "--reason", "contract") == "Project default: spans are kept for 30 days.\n"
    assert "the installation's setting" in run("default")
    assert "whole number" in run("many") and "keep_span_days" in run("0")
