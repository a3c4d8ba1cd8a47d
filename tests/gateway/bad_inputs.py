"""Bad requests as data: what is sent on the wire, and the status that refuses it.

`KEY` in the raw bytes stands for a valid key. A status of 0 means that the connection is closed without an answer,
because there is no request that could be answered.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

KEY = b"noria_KEY"
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
GOOD: dict[str, Any] = {"model": "assistant", "messages": [{"role": "user", "content": "hi"}]}
HI = b'"messages":[{"role":"user","content":"hi"}]'


@dataclass(frozen=True)
class Bad:
    """One bad request. `hang_up`: the client sends no more after `raw`, and says so."""

    name: str
    raw: bytes
    status: int
    hang_up: bool = False


def request(
    body: bytes = b"", path: str | bytes = CHAT, *headers: bytes, method: bytes = b"POST", version: bytes = b"1.1"
) -> bytes:
    """A request with a valid key. A header of ours is left out when `headers` has one of its name."""
    target = path.encode() if isinstance(path, str) else path
    names = {header.split(b":")[0].lower() for header in headers}
    usual = [b"host: gateway", b"authorization: Bearer " + KEY, b"content-type: application/json"]
    if b"transfer-encoding" not in names:
        usual.append(b"content-length: %d" % len(body))
    kept = [header for header in usual if header.split(b":")[0] not in names]
    lines = [b"%s %s HTTP/%s" % (method, target, version), *kept, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def deep(levels: int, opening: bytes = b"[", closing: bytes = b"]", core: bytes = b"1") -> bytes:
    return b'{"model":"assistant",' + HI + b',"x":' + opening * levels + core + closing * levels + b"}"


def no_json() -> Iterator[Bad]:
    """Bodies that are not JSON, or more than the standard allows."""
    valid = json.dumps(GOOD).encode()
    bodies = {
        "empty": b"",
        "blank": b" \n\t ",
        "one brace": b"{",
        "cut in a string": valid[:40],
        "cut before the end": valid[:-1],
        "null": b"null",
        "list": b"[" + valid + b"]",
        "text": b'"hello"',
        "number": b"12",
        "true": b"true",
        "two documents": valid + valid,
        "rubbish after it": valid + b" x",
        "trailing comma": valid[:-1] + b",}",
        "single quotes": valid.replace(b'"', b"'"),
        "comment": b"/* hello */" + valid,
        "name without quotes": b"{model: 1}",
        "byte order mark": b"\xef\xbb\xbf" + valid,
        "UTF-16": valid.decode().encode("utf-16"),
        "UTF-32": valid.decode().encode("utf-32"),
        "Latin-1": b'{"model":"assistant",' + HI.replace(b"hi", b"caf\xe9") + b"}",
        "overlong UTF-8": b'{"model":"assistant",' + HI.replace(b"hi", b"\xc0\xaf") + b"}",
        "surrogate as UTF-8": b'{"model":"assistant",' + HI.replace(b"hi", b"\xed\xa0\x80") + b"}",
        "lone high surrogate": b'{"model":"assistant",' + HI.replace(b"hi", b"\\ud800") + b"}",
        "lone low surrogate": b'{"model":"assistant",' + HI.replace(b"hi", b"\\udfff") + b"}",
        "surrogate in a name": b'{"\\ud800":1,"model":"assistant",' + HI + b"}",
        "broken escape": b'{"model":"assistant",' + HI.replace(b"hi", b"\\x41") + b"}",
        "short escape": b'{"model":"assistant",' + HI.replace(b"hi", b"\\u12") + b"}",
        "NaN": b'{"model":"assistant",' + HI + b',"temperature":NaN}',
        "Infinity": b'{"model":"assistant",' + HI + b',"temperature":Infinity}',
        "minus Infinity": b'{"model":"assistant",' + HI + b',"x":-Infinity}',
        "1e400": b'{"model":"assistant",' + HI + b',"x":1e400}',
        "400 digits": b'{"model":"assistant",' + HI + b',"x":' + b"9" * 400 + b"}",
        "10,000 digits": b'{"model":"assistant",' + HI + b',"x":' + b"9" * 10_000 + b"}",
        "hexadecimal": b'{"model":"assistant",' + HI + b',"x":0x10}',
        "leading zero": b'{"model":"assistant",' + HI + b',"x":010}',
        "raw control character": b'{"model":"assistant",' + HI.replace(b"hi", b"a\x01b") + b"}",
        "raw null byte": b'{"model":"assistant",' + HI.replace(b"hi", b"a\x00b") + b"}",
        "null bytes only": b"\x00" * 100,
        "300 lists deep": deep(300),
        "300 objects deep": deep(300, b'{"x":', b"}"),
        "10,000 lists deep": deep(10_000),
        "10,000 objects deep": deep(10_000, b'{"x":', b"}"),
        "100,000 brackets": b"[" * 100_000,
        "form": b"model=assistant&messages=hi",
        "XML": b"<?xml version='1.0'?><model>assistant</model>",
    }
    for name, body in bodies.items():
        yield Bad(f"JSON: {name}", request(body), 400)


def wrong_types() -> Iterator[Bad]:
    """Fields with values of the wrong type."""
    texts: list[Any] = [5, True, [], {}]
    numbers: list[Any] = ["1", [], {}, True]
    wrong: dict[str, list[Any]] = {
        "model": [None, "", *texts],
        "messages": [None, [], "hi", {}, 5, ["hi"], [None], [[]], [{"content": "hi"}], [{"role": 1, "content": "hi"}]],
        "stream": ["yes", 1, [], {}],
        "stream_options": ["x", [1], 5],
        "temperature": numbers,
        "top_p": numbers,
        "presence_penalty": numbers,
        "frequency_penalty": numbers,
        "max_tokens": [*numbers, 1.5, 10**30],
        "max_completion_tokens": [*numbers, 1.5, -(10**30)],
        "n": [*numbers, 0.5],
        "seed": [*numbers, 10**40],
        "top_logprobs": numbers,
        "stop": [5, True, {}],
        "tools": ["x", {}, 5],
        "functions": ["x", {}],
        "tool_choice": [5, [], True],
        "parallel_tool_calls": ["yes", 1],
        "response_format": ["json", [], 5],
        "logit_bias": [[], "x"],
        "metadata": [[], "x", 5],
        "logprobs": ["yes", [], {}],
        "user": texts,
        "store": ["x", 1],
        "modalities": ["text", {}],
        "service_tier": texts,
        "reasoning_effort": texts,
        "noria": ["x", "", 5, 0, False, [1], []],
    }
    for name, values in wrong.items():
        for value in values:
            body = json.dumps({**GOOD, name: value}).encode()
            yield Bad(f"type: {name}={str(value)[:30]!r}", request(body), 400)
    for content in (5, True, {"a": 1}):
        body = json.dumps({**GOOD, "messages": [{"role": "user", "content": content}]}).encode()
        yield Bad(f"type: content={content}", request(body), 400)
    prompts: list[Any] = [None, 5, [], {}, True]
    for prompt in prompts:
        body = json.dumps({"model": "assistant", "prompt": prompt}).encode()
        yield Bad(f"type: prompt={prompt}", request(body, TEXT), 400)
    for name in ("model", "messages"):
        body = json.dumps({field: value for field, value in GOOD.items() if field != name}).encode()
        yield Bad(f"type: no {name}", request(body), 400)
    wrong_own: list[dict[str, Any]] = [{"variables": [1]}, {"tags": "x"}, {"session": 5}, {"user": []}]
    for own in wrong_own:
        body = json.dumps({**GOOD, "noria": own}).encode()
        yield Bad(f"type: noria={own}", request(body), 400)


def names() -> Iterator[Bad]:
    """Models and paths that name nothing, or try to name something else."""
    models = [
        "nobody",
        "../../etc/passwd",
        "..\\..\\secret.key",
        "%2e%2e%2f",
        "assistant\x00",
        "assistant\r\nx-evil: 1",
    ]
    models += [
        "a" * 1_000_000,
        "\u202eassistant",
        "ASSISTANT",
        " assistant",
        "assistant@",
        "assistant@²",
        "@1",
        "{{model}}",
    ]
    for model in models:
        body = json.dumps({**GOOD, "model": model}).encode()
        yield Bad(f"model: {model[:24]!r}", request(body), 404)
    yield Bad("model: a release", request(json.dumps({**GOOD, "model": "assistant@1"}).encode()), 403)
    paths = ["/v1/models/../../secret.key", "/v1/models/%2e%2e%2f%2e%2e%2fsecret.key", "/v1/models/%00"]
    paths += [
        "/v1/models/%0d%0aset-cookie:x=1",
        "/v1/models/%ed%a0%80",
        "/v1/models/%ff",
        "/v1/models/",
        "/v1/models/%",
    ]
    paths += ["/", "/v1", "/v1//models", "/v1/models/" + "a/" * 5000, "//evil/v1/models", "/etc/passwd", "/v1/nothing"]
    for path in paths:
        yield Bad(f"path: {path[:40]}", request(b"", path, method=b"GET"), 404)
    for method in (b"GET", b"DELETE", b"PATCH", b"PUT", b"OPTIONS", b"TRACE", b"HEAD"):
        yield Bad(f"method: {method.decode()}", request(b"", CHAT, method=method), 405)
    yield Bad("method: POST on a list", request(b"{}", "/v1/models"), 405)
    socket = (b"connection: upgrade", b"upgrade: websocket", b"sec-websocket-version: 13", b"sec-websocket-key: eA==")
    yield Bad("method: websocket", request(b"", CHAT, *socket, method=b"GET"), 405)


def keys() -> Iterator[Bad]:
    """No key, or one that is none."""
    for name, header in {
        "empty": b"authorization:",
        "scheme only": b"authorization: Bearer",
        "basic": b"authorization: Basic bm9yaWE6eA==",
        "unknown": b"authorization: Bearer noria_" + b"x" * 43,
        "bare": b"authorization: " + KEY,
        "two keys": b"authorization: Bearer " + KEY + b" " + KEY,
        "quoted": b'authorization: Bearer "' + KEY + b'"',
        "not ASCII": b"authorization: Bearer \xff\xfe",
        "20 KB": b"authorization: Bearer " + b"x" * 20_000,
    }.items():
        yield Bad(f"key: {name}", request(json.dumps(GOOD).encode(), CHAT, header), 401)
    yield Bad("key: in the query", request(b"", b"/v1/models?key=" + KEY, b"authorization:", method=b"GET"), 401)


def bodies() -> Iterator[Bad]:
    """Lengths, encodings and chunks that do not fit their body."""
    body = json.dumps(GOOD).encode()
    bomb = gzip.compress(b" " * 50_000_000)
    yield Bad("encoding: gzip bomb", request(bomb, CHAT, b"content-encoding: gzip"), 400)
    for encoding in (b"deflate", b"br", b"zstd", b"gzip, gzip", b"nonsense"):
        yield Bad(f"encoding: {encoding.decode()}", request(body, CHAT, b"content-encoding: " + encoding), 400)
    chunked = b"transfer-encoding: chunked"
    for name, chunks in {
        "no number": b"zz\r\n{}\r\n0\r\n\r\n",
        "negative": b"-2\r\n{}\r\n0\r\n\r\n",
        "past 64 bits": b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "too short": b"1\r\n{}\r\n0\r\n\r\n",
        "no line end": b"2{}0\r\n\r\n",
    }.items():
        yield Bad(f"chunks: {name}", request(chunks, CHAT, chunked), 400)
    yield Bad("chunks: gzip", request(b"0\r\n\r\n", CHAT, b"transfer-encoding: chunked, gzip"), 400)
    yield Bad(
        "chunks: nested too deep", request(b"%x\r\n%s\r\n0\r\n\r\n" % (len(deep(5000)), deep(5000)), CHAT, chunked), 400
    )
    yield Bad("length: and chunks", request(b"0\r\n\r\n", CHAT, chunked, b"content-length: 5"), 400)
    yield Bad("length: two", request(body, CHAT, b"content-length: 5", b"content-length: 6"), 400)
    for length in (b"-1", b"five", b"0x10", b"1e3", b"9" * 30, b"1_0", b"\xb2"):
        yield Bad(f"length: {length!r}", request(body, CHAT, b"content-length: " + length), 400)
    yield Bad("length: 5,000 zeros", request(b"", CHAT, b"content-length: " + b"0" * 5000), 413)
    for length in (b"100000000", b"18446744073709551615"):
        yield Bad(f"length: {length.decode()}", request(b"", CHAT, b"content-length: " + length), 413)
    waits = b"expect: 100-continue"
    yield Bad("length: 1 GB, asks first", request(b"", CHAT, waits, b"content-length: 1000000000"), 413)
    yield Bad("length: cut short", request(body, CHAT, b"content-length: 5000"), 0, hang_up=True)
    yield Bad("chunks: cut short", request(b"5\r\n{", CHAT, chunked), 0, hang_up=True)


def wires() -> Iterator[Bad]:
    """What is hardly HTTP, or too much of it."""
    yield Bad("head: cut short", request()[:40], 0, hang_up=True)
    for name, header, status in (
        ("64 KB in one", b"x-long: " + b"x" * 65_536, 431),
        ("64 KB of name", b"x" * 65_536 + b": 1", 431),
        ("1 MB in one", b"x-long: " + b"x" * 1_000_000, 431),
        ("5,000 of them", b"\r\n".join(b"x-%d: 12345678" % number for number in range(5000)), 431),
        ("null byte", b"x-null: a\x00b", 400),
        ("bare carriage return", b"x-bare: a\rx-injected: b", 400),
        ("space in a name", b"x y: 1", 400),
        ("no colon", b"nonsense", 400),
        ("no name", b": 1", 400),
        ("name not ASCII", "세션: 1".encode(), 400),
    ):
        yield Bad(f"head: {name}", request(b"{}", CHAT, header), status)
    yield Bad("head: 64 KB path", request(b"", "/v1/models/" + "x" * 65_536, method=b"GET"), 431)
    yield Bad("head: path with a space", request(b"", "/v1/mod els", method=b"GET"), 400)
    yield Bad("head: path not ASCII", request(b"", "/v1/models/모델", method=b"GET"), 400)
    yield Bad("head: path without a slash", request(b"", "v1/models", method=b"GET"), 400)
    yield Bad("head: unknown method", request(b"", CHAT, method=b"BREW"), 400)
    yield Bad("head: small letters", request(b"", CHAT, method=b"post"), 400)
    yield Bad("head: CONNECT", request(b"", "evil:443", method=b"CONNECT"), 400)
    for version in (b"0.9", b"2.0", b"9.9", b"x"):
        yield Bad(f"head: HTTP/{version.decode()}", request(b"", "/v1/models", method=b"GET", version=version), 400)
    yield Bad("wire: HTTP/0.9", b"GET /v1/models\r\n\r\n", 400)
    yield Bad("wire: HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400)
    yield Bad("wire: TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400)
    yield Bad("wire: null bytes", b"\x00" * 1000, 400)
    yield Bad("wire: SSH", b"SSH-2.0-OpenSSH_9.9\r\n", 400)
    yield Bad("wire: nothing", b"", 0, hang_up=True)


BAD = [*no_json(), *wrong_types(), *names(), *keys(), *bodies(), *wires()]
