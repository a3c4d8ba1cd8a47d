"""What each adapter sends, and what it reads in an error."""

import json
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from noria.core.errors import BadInput
from noria.gateway.dialects.converse import Converse
from noria.gateway.providers.adapters import ADAPTERS
from noria.gateway.providers.base import Adapter, Call, Refusal
from noria.registry.kinds import KINDS
from noria.registry.presets import PRESETS
from noria.registry.snapshot import ProviderEntry
from tests.gateway.providers.aws_stream import event

FIXTURES = Path(__file__).parents[1] / "dialects" / "fixtures"


def call(
    kind: Any, model: str = "m", dialect: str = "", *, base: str = "", stream: bool = False, **options: Any
) -> tuple[Adapter, Call]:
    adapter = ADAPTERS[kind]
    provider = ProviderEntry("p", "project", "p", kind, base, options=options)
    return adapter, Call(provider, base, model, dialect or adapter.flags.speaks[0], stream)


def url_of(kind: str, *args: Any, **more: Any) -> str:
    adapter, to = call(kind, *args, **more)
    return str(adapter.url(to))


def headers_of(kind: str, key: str, *args: Any, **more: Any) -> dict[str, str]:
    adapter, to = call(kind, *args, **more)
    return adapter.headers(to, key, adapter.url(to), b"{}")


def test_there_is_an_adapter_for_every_kind() -> None:
    assert ADAPTERS.keys() == KINDS.keys()
    for preset in PRESETS.values():
        adapter, to = call(preset.kind, speaks=["chat", *preset.speaks] if preset.speaks else [])
        assert adapter.spoken(to.provider) == (("chat", *preset.speaks) if preset.speaks else adapter.flags.speaks)
        for dialect in adapter.spoken(to.provider):
            url_of(preset.kind, "m", dialect, base="https://a.example/v1", region="us-east-1")


URLS = [
    ("openai", "m", "chat", "https://api.openai.com/v1", {}, "https://api.openai.com/v1/chat/completions"),
    ("openai", "m", "text", "http://127.0.0.1:8000/v1/", {}, "http://127.0.0.1:8000/v1/completions"),
    ("openai", "m", "embeddings", "https://a.example/v1", {}, "https://a.example/v1/embeddings"),
    ("openai", "m", "responses", "https://a.example/v1", {}, "https://a.example/v1/responses"),
    ("local", "m", "text", "http://127.0.0.1:7801/v1", {}, "http://127.0.0.1:7801/v1/completions"),
    ("anthropic", "m", "messages", "https://api.anthropic.com/v1", {}, "https://api.anthropic.com/v1/messages"),
    ("azure", "d", "chat", "https://r.openai.azure.com", {}, "https://r.openai.azure.com/openai/v1/chat/completions"),
    (
        "azure",
        "d",
        "embeddings",
        "https://r.openai.azure.com/openai/v1/",
        {"api_version": "preview"},
        "https://r.openai.azure.com/openai/v1/embeddings?api-version=preview",
    ),
    (
        "azure",
        "my/dep",
        "chat",
        "https://r.openai.azure.com/openai",
        {"api_version": "2024-10-21"},
        "https://r.openai.azure.com/openai/deployments/my%2Fdep/chat/completions?api-version=2024-10-21",
    ),
    (
        "azure",
        "d",
        "responses",
        "https://r.openai.azure.com",
        {"api_version": "2025-04-01-preview"},
        "https://r.openai.azure.com/openai/responses?api-version=2025-04-01-preview",
    ),
]


@pytest.mark.parametrize(("kind", "model", "dialect", "base", "options", "wanted"), URLS)
def test_urls(*, kind: str, model: str, dialect: str, base: str, options: dict[str, str], wanted: str) -> None:
    assert url_of(kind, model, dialect, base=base, **options) == wanted


def test_urls_of_gemini_and_bedrock_name_model_and_verb() -> None:
    gemini, bedrock = (
        "https://generativelanguage.googleapis.com/v1beta",
        "https://bedrock-runtime.eu-west-1.amazonaws.com",
    )
    assert url_of("gemini", "gemini-2.5-pro", base=gemini) == f"{gemini}/models/gemini-2.5-pro:generateContent"
    assert url_of("gemini", "models/g", base=gemini, stream=True) == f"{gemini}/models/g:streamGenerateContent?alt=sse"
    assert url_of("gemini", "tunedModels/t-1", base=gemini) == f"{gemini}/tunedModels/t-1:generateContent"
    assert url_of("gemini", "e", "embeddings", base=gemini) == f"{gemini}/openai/embeddings"
    arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.a.claude-v1:0"
    quoted = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.a.claude-v1%3A0"
    assert url_of("bedrock", arn, base=bedrock) == f"{bedrock}/model/{quoted}/converse"
    assert url_of("bedrock", "a.b-v1:0", base=bedrock, stream=True).endswith("/model/a.b-v1%3A0/converse-stream")


@pytest.mark.parametrize("kind", ["gemini", "bedrock", "azure"])
def test_a_model_does_not_leave_its_place_in_a_path(kind: str) -> None:
    options = {"api_version": "2024-10-21", "region": "us-east-1"}
    with pytest.raises(BadInput, match="model"):
        url_of(kind, "..", base="https://a.example", **options)
    assert "/../" not in url_of(kind, "../../secret", base="https://a.example", **options)
    assert "?x=" not in url_of(kind, "m?x=1#y", base="https://a.example", **options)


@pytest.mark.parametrize(
    ("kind", "dialect", "name", "value"),
    [
        ("openai", "chat", "Authorization", "Bearer k"),
        ("anthropic", "messages", "x-api-key", "k"),
        ("gemini", "gemini", "x-goog-api-key", "k"),
        ("gemini", "embeddings", "Authorization", "Bearer k"),
        ("azure", "chat", "api-key", "k"),
        ("bedrock", "converse", "Authorization", "Bearer k"),
    ],
)
def test_where_the_key_goes(kind: str, dialect: str, name: str, value: str) -> None:
    more = {"base": "https://a.example", "region": "us-east-1", "headers": {"x-own": "1"}}
    with_key = headers_of(kind, "k", "m", dialect, **more)
    assert with_key[name] == value and with_key["x-own"] == "1" and with_key["Accept-Encoding"] == "identity"
    without = headers_of(kind, "", "m", dialect, **more)
    assert name not in without and without.keys() == with_key.keys() - {name}


def test_the_version_of_anthropics_api() -> None:
    assert headers_of("anthropic", "k")["anthropic-version"] == "2023-06-01"
    assert headers_of("anthropic", "k", api_version="2027-01-01")["anthropic-version"] == "2027-01-01"
    assert headers_of("openai", "k", "m", "messages")["anthropic-version"] == "2023-06-01"


def test_keys_of_aws_sign_and_stay_secret() -> None:
    key = "AKIDEXAMPLE123456789:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:token/with+signs=="
    told = headers_of("bedrock", key, base="https://b.example", region="eu-west-1", stream=True)
    assert told["Accept"] == "application/vnd.amazon.eventstream"
    assert told["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE123456789/")
    assert "/eu-west-1/bedrock/aws4_request" in told["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token" in told["Authorization"]
    assert told["X-Amz-Security-Token"] == "token/with+signs=="
    assert not any("wJalr" in value for value in told.values())


def body_of(kind: str, fields: dict[str, Any], *args: Any, **more: Any) -> Any:
    adapter, to = call(kind, *args, **more)
    before = json.dumps(fields)
    told = json.loads(adapter.body(to, fields))
    assert json.dumps(fields) == before
    return told


def test_model_and_stream_stand_where_the_dialect_has_them() -> None:
    counted = {"include_usage": True}
    assert body_of("openai", {"a": 1}) == {"a": 1, "model": "m"}
    streamed = body_of("openai", {"stream_options": {"include_obfuscation": False}}, stream=True)
    assert streamed["stream_options"] == {"include_obfuscation": False, **counted} and streamed["stream"] is True
    assert body_of("azure", {}, stream=True) == {"model": "m", "stream": True, "stream_options": counted}
    assert body_of("anthropic", {"a": 1}, stream=True) == {"a": 1, "model": "m", "stream": True}
    assert body_of("openai", {"input": "x"}, "m", "embeddings", stream=True) == {"input": "x", "model": "m"}
    assert body_of("gemini", {"contents": []}, stream=True) == {"contents": []}
    assert body_of("bedrock", {"messages": []}, stream=True) == {"messages": []}


def test_what_differs_between_generations_of_gemini() -> None:
    thinking = {"generationConfig": {"topP": 1, "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}}
    older = body_of("gemini", {"contents": [], **thinking}, "gemini-2.5-flash")
    assert older["generationConfig"] == {
        "topP": 1,
        "thinkingConfig": {"thinkingBudget": 24576, "includeThoughts": True},
    }
    assert body_of("gemini", thinking, "gemini-3-pro") == {"contents": [], **thinking}
    used = {"functionCall": {"name": "f", "args": {}}}
    content = {"role": "model", "parts": [{"text": "x"}, used, used]}
    lost = body_of("gemini", {"contents": [content]}, "models/gemini-3.1-flash")["contents"][0]["parts"]
    assert [part.get("thoughtSignature") for part in lost] == [None, "skip_thought_signature_validator", None]
    kept = {"role": "model", "parts": [{**used, "thoughtSignature": "c2ln"}, used]}
    assert body_of("gemini", {"contents": [kept]}, "gemini-3-pro")["contents"] == [kept]
    assert body_of("gemini", {"contents": [content]}, "gemini-2.5-pro")["contents"] == [content]


def test_models_of_openai_on_bedrock_take_their_effort_elsewhere() -> None:
    fields = Converse().parameters({"reasoning_effort": "high", "top_k": 1})
    told = body_of("bedrock", fields, "openai.gpt-oss-120b-1:0")
    assert told == {"additionalModelRequestFields": {"reasoning_effort": "high", "top_k": 1}}
    assert body_of("bedrock", fields, "anthropic.claude-v9:0")["outputConfig"] == {"effort": "high"}


def test_a_body_that_is_nested_too_deeply() -> None:
    deep: Any = {}
    for _ in range(2_000):
        deep = {"x": deep}
    for kind in ADAPTERS:
        adapter, to = call(kind)
        with pytest.raises(BadInput, match="deeply"):
            adapter.body(to, deep)


@pytest.mark.parametrize("kind", ["gemini", "converse"])
def test_refusals_of_fixtures(kind: str) -> None:
    found = json.loads((FIXTURES / kind / "errors.json").read_text(encoding="utf-8"))
    assert found["source"] and found["date"] and "uncertain" in found
    adapter = ADAPTERS["bedrock" if kind == "converse" else kind]
    for case in found["cases"]:
        headers = CIMultiDict(case["headers"])
        assert adapter.refusal(case["status"], headers, json.dumps(case["body"]).encode()) == Refusal(**case["refusal"])


REFUSALS: list[tuple[str, int, dict[str, str], Any, Refusal]] = [
    (
        "openai",
        429,
        {"Retry-After-Ms": "1500", "Retry-After": "9"},
        {"error": {"message": "Slow down", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
        Refusal("Slow down", "requests", "rate_limit_exceeded", None, 1.5),
    ),
    ("openai", 404, {}, {"error": "model 'x' not found"}, Refusal("model 'x' not found")),
    ("openai", 422, {}, {"detail": "bad"}, Refusal("bad")),
    ("openai", 400, {}, {"object": "error", "message": "too long", "code": 400}, Refusal("too long", code="400")),
    (
        "anthropic",
        529,
        {"retry-after": "3"},
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"},
        Refusal("Overloaded", "overloaded_error", "overloaded_error", None, 3.0),
    ),
    (
        "azure",
        401,
        {},
        {"error": {"code": "401", "message": "Access denied."}},
        Refusal("Access denied.", code="401", key_refused=True),
    ),
]


@pytest.mark.parametrize(("kind", "status", "headers", "body", "wanted"), REFUSALS)
def test_refusals(kind: str, status: int, headers: dict[str, str], body: Any, wanted: Refusal) -> None:
    assert ADAPTERS[kind].refusal(status, CIMultiDict(headers), json.dumps(body).encode()) == wanted


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"[1]", b'{"error": []}', b'{"error": {"message": 5, "details": 7}}', b"\xff" * 10]
)
def test_no_refusal_is_too_odd_to_read(kind: str, body: bytes) -> None:
    for after in ("", "soon", "-1", "9" * 400, "nan", "Wed, 99 Nov 2026 00:00:00 GMT"):
        told = ADAPTERS[kind].refusal(500, CIMultiDict({"retry-after": after, "retry-after-ms": after}), body)
        assert told == Refusal()


def test_a_date_to_try_again_at() -> None:
    told = ADAPTERS["openai"].refusal(503, CIMultiDict({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), b"")
    assert told.retry_after == 0.0


def test_streams_are_cut_as_each_provider_sends_them() -> None:
    for kind in ADAPTERS:
        adapter, to = call(kind, stream=True)
        sent = event("metadata", b"{}") if kind == "bedrock" else b"data: {}\n\n"
        [(_, data)] = adapter.events(to).feed(sent)
        assert data == b"{}"
