"""An endpoint with guardrails, and what its answers, spans and refusals say."""

import json
from itertools import count
from typing import Any

import httpx

from noria.registry.policy import Cache, Guardrail, Policy
from noria.registry.snapshot import EndpointEntry
from tests.gateway.conftest import Running, release

PERSONAL = "write to mina.kim@example.com or call 010-1234-5678"
names = count()
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}


def guarded(
    gateway: Running, *guardrails: Guardrail, mode: str = "say", cache: Cache | None = None, **more: Any
) -> str:
    """A fresh endpoint with these guardrails; its name is the one its provider counts its calls under."""
    name = f"guarded-{next(names)}"
    policy = Policy(version=1, guardrails=guardrails, cache=cache or Cache())
    one = release(1, f"{mode}:{name}", **more)
    gateway.publish(EndpointEntry(f"e-{name}", "project", name, primary=1, policy=policy, releases={1: one}))
    return name


def content(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["content"]


def streamed(response: httpx.Response) -> str:
    """The text of a stream, which must have ended well."""
    assert response.status_code == 200, response.text
    assert response.text.endswith("data: [DONE]\n\n"), response.text
    chunks = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


def fired(gateway: Running, response: httpx.Response) -> list[dict[str, Any]]:
    span = gateway.span(response.headers["x-noria-trace-id"])
    return list(span["attributes"].get("guardrails", []))


def refusal(response: httpx.Response, kind: str) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (400, "guardrail_refused", "invalid_request_error")
    assert f"({kind})" in error["message"]
    return error


def seen(gateway: Running, name: str) -> dict[str, Any]:
    return dict(gateway.calls(name)["seen"]["body"])


# Personal data
