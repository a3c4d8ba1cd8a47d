"""What a verb changed is in force when it answers: no caller has to wait for the next look at the snapshot."""

from collections.abc import Iterator

import httpx
import pytest

from noria.app.demo.data import shipped
from tests.app.conftest import ENDPOINT, Running, serve_first_release, start, stop


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    started = start(tmp_path_factory.mktemp("effect"), shipped(traffic=60))
    yield started
    stop(started)


def call(running: Running, key: str) -> httpx.Response:
    body = {"model": ENDPOINT, "messages": [{"role": "user", "content": "Where is order 10482?"}]}
    url = f"{running.installation.settings.gateway_url}/v1/chat/completions"
    return httpx.post(url, json=body, headers={"authorization": f"Bearer {key}"}, timeout=30)


def test_a_promoted_release_serves_and_a_rollback_returns_at_once(running: Running) -> None:
    serve_first_release(running)
    assert call(running, running.key).headers["x-noria-release"] == f"{ENDPOINT}@1"
    running.admin.patch(f"/api/endpoints/{ENDPOINT}", gate=[])
    running.admin.post(f"/api/endpoints/{ENDPOINT}/releases", provider="loopback", model="good", note="another model")
    running.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/2/approve", reason="looked at it")
    for _ in range(5):  # the gateway looks every 0.1 s by itself, so luck would not last
        running.reviewer.post(f"/api/endpoints/{ENDPOINT}/releases/2/promote", reason="try it")
        assert call(running, running.key).headers["x-noria-release"] == f"{ENDPOINT}@2"
        running.reviewer.post(f"/api/endpoints/{ENDPOINT}/rollback", reason="back")
        assert call(running, running.key).headers["x-noria-release"] == f"{ENDPOINT}@1"


def test_a_new_key_works_and_a_revoked_one_does_not_at_once(running: Running) -> None:
    for number in range(5):
        made = running.admin.post("/api/keys", name=f"shop {number}", scope="call")
        assert call(running, made["key"]).status_code == 200
        running.admin.delete(f"/api/keys/{made['id']}")
        assert call(running, made["key"]).status_code == 401
