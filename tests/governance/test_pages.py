"""Pages of access, as a browser without scripts would use them."""

import html
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from noria.governance.records import FirstLogin
from tests.governance.conftest import PASSWORD


def _csrf(page: str) -> dict[str, str]:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, "the page has no form"
    return {"csrf": found[1]}


@pytest.fixture
def browser(anybody: TestClient, first: FirstLogin) -> TestClient:
    """Signed in as the first admin."""
    answer = anybody.post("/login", data={"email": first.email, "password": first.password, "next": "/settings"})
    assert answer.status_code == 200 and answer.url.path == "/settings"
    return anybody


def test_the_door(anybody: TestClient, first: FirstLogin) -> None:
    assert anybody.get("/settings?x=1").url.path == "/login"
    assert 'value="/settings?x=1"' in anybody.get("/settings?x=1").text
    wrong = anybody.post("/login", data={"email": first.email, "password": "wrong", "next": "/settings"})
    assert wrong.status_code == 401 and "The address or the password is not right." in wrong.text
    assert first.email in wrong.text and "wrong" not in wrong.text
    elsewhere = {"email": first.email, "password": first.password, "next": "//evil.example/"}
    assert anybody.post("/login", data=elsewhere, follow_redirects=False).headers["location"] == "/"


def test_sign_out(browser: TestClient) -> None:
    token = _csrf(browser.get("/settings").text)
    assert browser.post("/logout", data={}).status_code == 403
    assert browser.post("/logout", data=token).url.path == "/login"
    assert browser.get("/api/me").status_code == 401


def test_a_key_is_shown_once(browser: TestClient) -> None:
    token = _csrf(browser.get("/settings/keys").text)
    made = browser.post("/settings/keys", data={**token, "name": "app <1>", "scope": "call"})
    key = re.search(r"<code>(noria_[\w-]+)</code>", made.text)
    assert key and "app &lt;1&gt;" in made.text
    assert made.headers["cache-control"] == "no-store"
    again = browser.get("/settings/keys").text
    assert key[1] not in again and key[1][-4:] in again
    number = re.search(r"/settings/keys/([0-9a-f-]{36})/revoke", again)
    assert number
    after = browser.post(f"/settings/keys/{number[1]}/revoke", data={**token, "reason": "lost it"})
    assert "The key is revoked." in after.text
    assert "The key is revoked." not in browser.get("/settings/keys").text, "a notice is said once"
    assert "lost it" in browser.get("/audit").text


def test_people(browser: TestClient) -> None:
    token = _csrf(browser.get("/settings/people").text)
    made = browser.post("/settings/people", data={**token, "email": "kim@example.org", "role": "editor"})
    assert made.status_code == 200 and "<code>" in made.text
    twice = browser.post("/settings/people", data={**token, "email": "kim@example.org", "role": "editor"})
    assert twice.status_code == 409 and "There is an account with this address." in html.unescape(twice.text)
    wrong = browser.post("/settings/people", data={**token, "email": "kim2@example.org", "role": "owner"})
    assert wrong.status_code == 400


def test_what_others_see(anybody: TestClient, person: Callable[[str], str]) -> None:
    anybody.post("/login", data={"email": person("viewer"), "password": PASSWORD})
    page = anybody.get("/settings/people").text
    assert "Add a person" not in page and "/settings/keys" not in page
    refused = anybody.get("/settings/keys")
    assert refused.status_code == 403 and "Ask an admin" in refused.text and 'class="i on"' in refused.text


def test_own_password_and_key(anybody: TestClient, person: Callable[[str], str]) -> None:
    email = person("viewer")
    anybody.post("/login", data={"email": email, "password": PASSWORD})
    token = _csrf(anybody.get("/settings").text)
    made = anybody.post("/settings/my-keys", data={**token, "name": "mine", "role": "viewer", "hours": "24"})
    assert "noria_" in made.text
    assert anybody.post("/settings/my-keys", data={**token, "name": "x", "role": "viewer", "hours": "soon"}).is_error
    changed = anybody.post("/settings/password", data={**token, "old": PASSWORD, "new": "another long one"})
    assert changed.url.path == "/login"


@pytest.mark.parametrize("path", ["/settings", "/settings/people", "/settings/keys", "/audit"])
def test_korean(browser: TestClient, path: str) -> None:
    browser.headers["accept-language"] = "ko"
    page = browser.get(path)
    assert '<html lang="ko">' in page.text and "로그아웃" in page.text
    assert page.headers["vary"] == "cookie, accept-language"


def test_audit_pages_and_filters(browser: TestClient) -> None:
    page = browser.get("/audit?limit=1").text
    assert "session.start" in page
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following
    older = browser.get(html.unescape(following[1])).text
    assert "key.create" in older and "session.start" not in older
    assert "person.add" not in browser.get("/audit?verb=key").text
