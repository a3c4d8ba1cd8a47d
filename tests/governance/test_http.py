"""The JSON API of access, through the whole application."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.governance.records import FirstLogin
from noria.web import application
from tests.governance.conftest import PASSWORD


def _sign_in(client: TestClient, email: str, password: str = PASSWORD) -> dict[str, str]:
    answer = client.post("/api/login", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    return {"x-csrf-token": answer.json()["csrf"]}


def test_login_me_logout(anybody: TestClient, first: FirstLogin) -> None:
    answer = anybody.post("/api/login", json={"email": first.email, "password": first.password})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie
    me = anybody.get("/api/me").json()
    assert me["role"] == "admin" and me["kind"] == "person"
    assert anybody.post("/api/logout").status_code == 403, "a logout needs its token too"
    anybody.post("/api/logout", headers={"x-csrf-token": answer.json()["csrf"]})
    assert anybody.get("/api/me").status_code == 401


def test_a_bad_login_tells_nothing(anybody: TestClient, first: FirstLogin) -> None:
    answers = [
        anybody.post("/api/login", json={"email": email, "password": "wrong password"})
        for email in (first.email, "nobody@example.org")
    ]
    assert answers[0].status_code == answers[1].status_code == 401
    assert answers[0].json() == answers[1].json()
    assert "set-cookie" not in answers[0].headers


def test_another_site_cannot_sign_its_visitors_in(anybody: TestClient, first: FirstLogin) -> None:
    body = {"email": first.email, "password": first.password}
    assert anybody.post("/api/login", json=body, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_people(admin: TestClient) -> None:
    made = admin.post("/api/people", json={"email": "Kim@Example.org", "name": "Kim", "role": "reviewer"}).json()
    assert made["email"] == "kim@example.org" and made["password"]
    given = {"email": "lee@example.org", "name": "Lee", "role": "viewer", "password": PASSWORD}
    assert "password" not in admin.post("/api/people", json=given).json()
    assert [p["name"] for p in admin.get("/api/people").json()["items"]] == ["admin", "Kim", "Lee"]
    assert admin.patch(f"/api/people/{made['id']}", json={"role": "editor"}).json()["role"] == "editor"
    assert admin.delete(f"/api/people/{made['id']}?reason=left").status_code == 204
    assert len(admin.get("/api/people").json()["items"]) == 2
    entry = admin.get("/api/audit?verb=person.remove").json()["items"][0]
    assert entry["reason"] == "left" and entry["actor"] == "admin" and entry["target_id"] == made["id"]


def test_keys(admin: TestClient) -> None:
    made = admin.post("/api/keys", json={"name": "app", "scope": "call"}).json()
    assert made["key"].startswith("noria_") and made["key"].endswith(made["hint"][1:])
    listed = admin.get("/api/keys")
    assert made["key"] not in listed.text and "digest" not in listed.text
    as_app = {"authorization": f"Bearer {made['key']}"}
    assert admin.get("/api/me", headers=as_app).status_code == 403
    assert admin.delete(f"/api/keys/{made['id']}").json()["revoked_at"]
    assert admin.get("/api/me", headers=as_app).status_code == 401


def test_own_keys_never_reach_above_their_person(anybody: TestClient, person: Callable[[str], str]) -> None:
    token = _sign_in(anybody, person("reviewer"))
    own = anybody.get("/api/me").json()["id"]
    made = anybody.post("/api/me/keys", json={"name": "mine", "role": "admin"}, headers=token).json()
    anybody.cookies.clear()
    me = anybody.get("/api/me", headers={"authorization": f"Bearer {made['key']}"}).json()
    assert me["id"] == own and me["role"] == "reviewer" and me["kind"] == "key"


def test_password_change(anybody: TestClient, person: Callable[[str], str]) -> None:
    email = person("viewer")
    token = _sign_in(anybody, email)
    wrong = anybody.post("/api/me/password", json={"old": "wrong", "new": "x" * 12}, headers=token)
    assert wrong.status_code == 403
    assert anybody.post("/api/me/password", json={"old": PASSWORD, "new": "x" * 12}, headers=token).json()["done"]
    assert anybody.get("/api/me").status_code == 401
    _sign_in(anybody, email, "x" * 12)


ADMIN_ONLY: list[tuple[str, str, Any]] = [
    ("POST", "/api/people", {"email": "x@example.org", "role": "admin"}),
    ("PATCH", "/api/people/any", {"role": "admin"}),
    ("DELETE", "/api/people/any", None),
    ("GET", "/api/keys", None),
    ("POST", "/api/keys", {"name": "x", "scope": "call"}),
    ("DELETE", "/api/keys/any", None),
    ("PATCH", "/api/keys/any", {"limits": {}}),
    ("PATCH", "/api/project", {"limits": {}}),
    ("GET", "/api/guest-keys", None),
    ("DELETE", "/api/guest-keys/any", None),
]


@pytest.mark.parametrize("role", ["viewer", "editor", "reviewer"])
def test_what_is_for_admins_is_for_admins(anybody: TestClient, person: Callable[[str], str], role: str) -> None:
    token = _sign_in(anybody, person(role))
    for method, path, body in ADMIN_ONLY:
        assert anybody.request(method, path, json=body, headers=token).status_code == 403, (method, path)


def test_every_change_of_access_wants_more_than_viewing(anybody: TestClient) -> None:
    own = {"/logout", "/settings/password", "/settings/my-keys", "/settings/my-keys/{key_id}/revoke"}
    own |= {"/api/logout", "/api/me/password", "/api/me/keys", "/api/me/keys/{key_id}"}
    own |= {"/settings/my-project", "/api/me/project"}
    own |= {"/mcp"}  # each of its tools asks for a permission of its own
    wants = application.guarded(anybody.app)  # type: ignore[arg-type]
    lax = {path for (method, path), permission in wants.items() if method != "GET" and permission == "view"}
    assert lax <= own
    assert application.unguarded(anybody.app) == []  # type: ignore[arg-type]
