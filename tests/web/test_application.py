"""The application from outside: guards, errors, limits, headers, on a small slice of this test's own."""

from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel
from starlette.testclient import TestClient

from noria.app.slices import SLICES
from noria.core.errors import Conflict
from noria.core.slices import Slice
from noria.stores.connect import Stores
from noria.web import application
from noria.web.auth import Caller, allow

router = APIRouter(prefix="/api")


class Body(BaseModel):
    name: str
    count: int = 0


@router.get("/seen")
def seen(caller: Annotated[Caller, allow("view")]) -> dict[str, str]:
    return {"name": caller.name}


@router.post("/made")
def made(body: Body, caller: Annotated[Caller, allow("edit")]) -> dict[str, str]:
    return {"name": body.name}


@router.post("/upload")
def upload(file: UploadFile, caller: Annotated[Caller, allow("edit")]) -> dict[str, int]:
    return {"size": len(file.file.read())}


@router.post("/refused")
def refused(caller: Annotated[Caller, allow("edit")]) -> None:
    raise Conflict("The release is live.", hint="Retire it first.")


@router.get("/broken")
def broken(caller: Annotated[Caller, allow("view")]) -> None:
    raise ValueError("kim@example.org")


pages = APIRouter()


@pages.get("/here")
def here(request: Request, caller: Annotated[Caller, allow("view")]) -> dict[str, str]:
    raise Conflict("The <release> is live.", hint="Retire it first.")


@pages.post("/form")
def form(caller: Annotated[Caller, allow("edit")], name: Annotated[str, Form()]) -> dict[str, str]:
    return {"name": name}


open_router = APIRouter()


@open_router.get("/open")
def opened() -> None: ...


SMALL = Slice(name="small", http=f"{__name__}:router", pages=f"{__name__}:pages")


async def authenticate(request: Request) -> Caller | None:
    """`Bearer viewer` and `Bearer editor` are keys; the cookie `who=editor` is a session with the token "secret"."""
    permissions = {"viewer": frozenset({"view"}), "editor": frozenset({"view", "edit"})}
    if (name := request.headers.get("authorization", "").removeprefix("Bearer ")) in permissions:
        return Caller("key", "k", name, "p", name, permissions[name])  # type: ignore[arg-type]
    if (name := request.cookies.get("who", "")) in permissions:
        return Caller("person", "n", name, "p", name, permissions[name], csrf="secret")  # type: ignore[arg-type]
    return None


EDITOR = {"authorization": "Bearer editor"}


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    with TestClient(application.create((SMALL,), stores, authenticate)) as opened:
        yield opened


def test_strangers_get_401_below_api_and_the_login_elsewhere(client: TestClient) -> None:
    answer = client.get("/api/seen")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated" and answer.json()["hint"]
    answer = client.get("/here?a=1", follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/login?next=%2Fhere%3Fa%3D1"


def test_missing_permission_is_403(client: TestClient) -> None:
    answer = client.post("/api/made", json={"name": "x"}, headers={"authorization": "Bearer viewer"})
    assert answer.status_code == 403 and "edit" in answer.json()["detail"]


def test_errors_carry_their_own_words(client: TestClient) -> None:
    answer = client.post("/api/refused", headers=EDITOR)
    assert answer.status_code == 409
    assert answer.json() == {
        "type": "urn:noria:error:conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "The release is live.",
        "hint": "Retire it first.",
        "code": "conflict",
    }
    page = client.get("/here", headers=EDITOR)
    assert page.status_code == 409 and "The &lt;release&gt; is live." in page.text


def test_refused_input_names_the_field_and_never_its_value(client: TestClient) -> None:
    answer = client.post("/api/made", json={"name": "x", "count": "kim@example.org"}, headers=EDITOR)
    assert answer.status_code == 422 and "count" in answer.json()["detail"]
    assert "kim" not in answer.text
    answer = client.post("/api/made", content=b"{not json", headers={**EDITOR, "content-type": "application/json"})
    assert answer.status_code == 400 and answer.json()["detail"] == "The body is not JSON."


def test_our_own_mistakes_have_a_number_and_leak_nothing(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.get("/api/broken", headers=EDITOR)
    assert answer.status_code == 500 and answer.json()["code"] == "internal"
    number = answer.json()["detail"].split("error ")[1].rstrip(").")
    assert number in caplog.text and "ValueError" in caplog.text
    assert "kim@example.org" not in caplog.text + answer.text


def test_unknown_addresses(client: TestClient) -> None:
    assert client.get("/api/nothing").json()["code"] == "not_found"
    assert client.get("/nothing").status_code == 404
    assert client.delete("/api/seen", headers=EDITOR).status_code == 405


def test_sessions_need_their_csrf_token(client: TestClient) -> None:
    client.cookies.set("who", "editor")
    assert client.post("/api/made", json={"name": "x"}).json()["code"] == "csrf"
    assert client.post("/api/made", json={"name": "x"}, headers={"x-csrf-token": "wrong"}).status_code == 403
    assert client.post("/api/made", json={"name": "x"}, headers={"x-csrf-token": "secret"}).json() == {"name": "x"}
    assert client.post("/form", data={"name": "x"}).status_code == 403
    assert client.post("/form", data={"name": "x", "csrf": "secret"}).json() == {"name": "x"}
    upload = {"file": ("a.txt", b"abc")}
    assert client.post("/api/upload", files=upload).status_code == 403
    assert client.post("/api/upload", files=upload, data={"csrf": "secret"}).json() == {"size": 3}


def test_keys_need_no_csrf_token(client: TestClient) -> None:
    assert client.post("/api/made", json={"name": "x"}, headers=EDITOR).status_code == 200


def test_large_bodies_are_refused_stated_or_not(client: TestClient) -> None:
    limit = 20 * 1024 * 1024
    headers = {**EDITOR, "content-type": "application/json"}
    assert client.post("/api/made", content=b"x" * (limit + 1), headers=headers).json()["code"] == "too_large"
    pieces = (b"x" * 1024 * 1024 for _ in range(21))
    assert client.post("/api/made", content=pieces, headers=headers).json()["code"] == "too_large"


def test_strangers_cannot_upload(client: TestClient) -> None:
    answer = client.post("/api/upload", files={"file": ("a.txt", b"abc")})
    assert answer.status_code == 401


def test_headers(client: TestClient) -> None:
    for path in ("/healthz", "/api/seen", "/nothing"):
        headers = client.get(path, headers=EDITOR).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
    assert client.get("/api/seen", headers=EDITOR).headers["cache-control"] == "no-store"


def test_health_and_openapi(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/api/openapi.json").status_code == 401
    document = client.get("/api/openapi.json", headers=EDITOR).json()
    assert "/api/seen" in document["paths"] and "/here" not in document["paths"]


def test_a_route_without_a_guard_is_found(stores: Stores) -> None:
    careless = Slice(name="careless", http=f"{__name__}:open_router")
    assert application.unguarded(application.create((SMALL, careless), stores, authenticate)) == ["/open"]
    assert application.unguarded(application.create((SMALL,), stores, authenticate)) == []


def test_language_is_remembered_and_leads_back_only_here(client: TestClient) -> None:
    answer = client.get("/lang/ko?next=/traces%3Fa=1", follow_redirects=False)
    assert answer.headers["location"] == "/traces?a=1" and "lang=ko" in answer.headers["set-cookie"]
    for elsewhere in ("https://evil.example/x", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        answer = client.get("/lang/xx", params={"next": elsewhere}, follow_redirects=False)
        assert answer.headers["location"] == "/" and "set-cookie" not in answer.headers


def test_every_route_of_the_product_has_a_guard(stores: Stores) -> None:
    whole = application.create(SLICES, stores, authenticate)
    assert application.unguarded(whole) == []
    assert len(application.guarded(whole)) > 20
