"""What a refusal says and records; bad_inputs.py has the long list of what is refused."""

import http.client
import json
from typing import Any

import httpx
import pytest

from noria.governance.keys import new_key
from noria.registry.snapshot import PromptEntry
from tests.gateway.conftest import PROVIDER_KEY, Running, until

GOOD: dict[str, Any] = {"model": "assistant", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    "body",
    [b"{", b"null", b'{"model": "assistant", "messages": NaN}', {"model": "assistant"}, {**GOOD, "stream": "yes"}],
    ids=lambda body: repr(body)[:60],
)
def test_a_bad_body_is_a_400_with_a_span(gateway: Running, body: Any) -> None:
    gateway.serve("ok")
    answer = gateway.post(body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert (span["status"], span["status_code"]) == ("error", 400)


def test_what_a_text_prompt_cannot_do_is_said(gateway: Running) -> None:
    gateway.serve("ok", prompt=PromptEntry("p", 1, "text", template="{{input}}"))
    for extra in ({"tools": [{"type": "function"}]}, {"response_format": {"type": "json_object"}}):
        answer = gateway.post({**GOOD, **extra})
        assert answer.status_code == 400
        assert next(iter(extra)) in answer.json()["error"]["message"]
    several = {"model": "assistant", "prompt": ["a", "b"]}
    assert gateway.post(several, path="/v1/completions").status_code == 400
    gateway.serve("ok")
    assert gateway.post({"model": "assistant", "prompt": ["a"]}, path="/v1/completions").status_code != 400


def test_large_and_odd_but_good_input_goes_through(gateway: Running) -> None:
    gateway.serve("ok:large")
    body = {**GOOD, "messages": [{"role": "user", "content": "한글 😀 " * 200_000}], "brand_new_field": {"x": [1, 2]}}
    answer = gateway.post(body)
    assert answer.status_code == 200
    assert gateway.calls("large")["seen"]["body"]["brand_new_field"] == {"x": [1, 2]}
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert span["attributes"]["input_truncated"]


def test_a_body_over_the_limit_is_refused_declared_or_not(gateway: Running) -> None:
    gateway.serve("ok")
    body = b'{"x": "' + b"y" * 21_000_000 + b'"}'
    assert gateway.post(body).status_code == 413
    chunks = (body[at : at + 1_000_000] for at in range(0, len(body), 1_000_000))
    headers = {"authorization": f"Bearer {gateway.key}"}
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", content=chunks, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


def test_auth_comes_before_the_body(gateway: Running) -> None:
    """The answer is there although the declared body never arrives."""
    host, port = gateway.settings.host, gateway.settings.gateway_port
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Authorization", "Bearer noria_nonsense")
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 401
    assert json.loads(answer.read())["error"]["code"] == "invalid_api_key"
    connection.close()


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer noria_x", "Bearer \xff\xfe"])
def test_no_key_or_a_wrong_one(gateway: Running, header: str) -> None:
    url = f"{gateway.url}/v1/chat/completions"
    answer = httpx.post(url, json=GOOD, headers=[(b"authorization", header.encode("latin-1"))])
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"
    assert httpx.get(f"{gateway.url}/v1/models").status_code == 401


def test_an_expired_key_is_refused(gateway: Running) -> None:
    assert gateway.ask(key=gateway.new_key(expires_at=1.0)).status_code == 401


def test_an_unknown_endpoint_names_what_exists(gateway: Running) -> None:
    gateway.serve("ok")
    answer = gateway.ask(model="../../etc/passwd")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "model_not_found"
    assert "assistant" in error["message"]
    assert gateway.span(answer.headers["x-noria-trace-id"])["requested_model"] == "../../etc/passwd"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/completions", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/v1/traces", 404, "not_found"),
        ("POST", "/v1/images", 404, "not_found"),
        ("PUT", "/v1/responses/resp_1", 405, "method_not_allowed"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/models/../../secret.key", 401, "invalid_api_key"),
    ],
)
def test_wrong_paths_and_methods(gateway: Running, method: str, path: str, status: int, code: str) -> None:
    connection = http.client.HTTPConnection(gateway.settings.host, gateway.settings.gateway_port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    error = json.loads(answer.read())["error"]
    connection.close()
    assert (answer.status, error["code"]) == (status, code)
    if path == "/v1/traces":
        assert gateway.settings.server_url in error["message"]


def test_odd_headers_become_bounded_text(gateway: Running) -> None:
    gateway.serve("ok")
    headers = {"x-noria-session": "세션".encode() + b"\xff" + b"x" * 5000, "traceparent": b"00-" + b"0" * 32 + b"-x-01"}
    answer = httpx.post(
        f"{gateway.url}/v1/chat/completions",
        json=GOOD,
        headers={**headers, "authorization": f"Bearer {gateway.key}".encode()},  # type: ignore[arg-type]
    )
    span = gateway.span(answer.headers["x-noria-trace-id"])
    assert span["session_id"].startswith("세션")
    assert len(span["session_id"]) <= 256


def test_a_traceparent_puts_the_span_into_the_callers_trace(gateway: Running) -> None:
    gateway.serve("ok")
    answer = gateway.ask(headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"})
    assert answer.headers["x-noria-trace-id"] == "ab" * 16
    assert gateway.span("ab" * 16)["parent_id"] == "cd" * 8


def test_no_key_is_in_the_log_or_the_journal(gateway: Running) -> None:
    gateway.serve("error-500")
    gateway.ask()
    wrong = new_key()
    assert gateway.ask(key=wrong).status_code == 401
    until(gateway.spans)
    journal = b"".join(path.read_bytes() for path in gateway.folder.journal.rglob("*") if path.is_file())
    for secret in (gateway.key, wrong, PROVIDER_KEY):
        assert secret not in gateway.log
        assert secret.encode() not in journal
