"""Every bad request of bad_inputs.py is refused in OpenAI's shape, leaves no trace of a key, and harms nobody after it."""

import asyncio
import contextlib
import http.client
import json
import socket
from typing import Any

import httpx
import pytest

from noria.gateway import ask
from noria.gateway.failures import BodyLate
from noria.gateway.guard import Receive
from tests.gateway.bad_inputs import BAD, CHAT, GOOD, KEY, Bad, request
from tests.gateway.conftest import PROVIDER_KEY, Running

SLOW = 40
FINE = Bad("fine", request(json.dumps(GOOD).encode()), 200)


def connect(gateway: Running) -> socket.socket:
    return socket.create_connection((gateway.settings.host, gateway.settings.gateway_port), timeout=20)


def keyed(gateway: Running, raw: bytes) -> bytes:
    """`raw` with the gateway's key, as long as the stand-in so that lengths stay true."""
    return raw.replace(KEY, gateway.key.encode())


def answer_on(wire: socket.socket, method: str = "POST") -> tuple[int, bytes]:
    """Status and body of the next answer; (0, b"") when the connection is closed instead."""
    response = http.client.HTTPResponse(wire, method=method)
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.BadStatusLine, ConnectionResetError):
        return 0, b""


def send(gateway: Running, bad: Bad) -> tuple[int, bytes]:
    with connect(gateway) as wire:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            wire.sendall(keyed(gateway, bad.raw))
            if bad.hang_up:
                wire.shutdown(socket.SHUT_WR)
        return answer_on(wire, bad.raw.split(b" ")[0].decode("latin-1"))


def test_there_are_many() -> None:
    assert len(BAD) >= 60
    assert len({bad.name for bad in BAD}) == len(BAD)
    assert all(400 <= bad.status < 500 or bad.status == 0 for bad in BAD)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_it_is_refused_and_the_next_request_is_answered(gateway: Running, bad: Bad) -> None:
    if "assistant" not in str(gateway.snapshot.endpoints):
        gateway.serve("ok")
    status, body = send(gateway, bad)
    assert (status, body[:300]) == (bad.status, body[:300])
    if body:
        error = json.loads(body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] in {"invalid_request_error", "authentication_error", "permission_error"}
        assert len(body) < 2000
    assert gateway.key not in body.decode("latin-1")
    assert send(gateway, FINE)[0] == 200


def test_the_connection_lives_on_after_a_refused_body(gateway: Running) -> None:
    gateway.serve("ok")
    with connect(gateway) as wire:
        for body in (b"{", b"[" * 10_000, json.dumps(GOOD).encode()):
            wire.sendall(keyed(gateway, request(body)))
            status, _ = answer_on(wire)
    assert status == 200


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_100_mb(gateway: Running, declared: bool) -> None:
    """Refused without reading it all into memory; whoever goes on sending is cut off."""
    gateway.serve("ok")
    length = b"content-length: 100000000" if declared else b"transfer-encoding: chunked"
    piece = b"x" * 1_000_000 if declared else b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n"
    with connect(gateway) as wire:
        wire.sendall(keyed(gateway, request(b"", CHAT, length)))
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for sent in range(100):  # noqa: B007 - how far it came
                wire.sendall(piece)
        status, body = answer_on(wire)
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large"), sent
    assert gateway.ask().status_code == 200


def test_slow_connections_are_closed_and_block_nobody(gateway: Running) -> None:
    """Some send nothing, some a head without an end, some a body after its answer, some line ends after theirs."""
    gateway.serve("ok")
    head = keyed(gateway, request(b"", "/v1/models", method=b"GET"))[:-2] + b"x-slow: "
    early = keyed(gateway, request(b"", CHAT, b"authorization: Bearer nobody", b"content-length: 1000"))
    whole = keyed(gateway, request(b"", "/healthz", method=b"GET"))
    kinds = [(b"", b""), (head, b"z"), (early, b"z"), (whole, b"\r\n")]

    async def all_of_them() -> list[bytes]:
        slow = [asyncio.create_task(_until_closed(gateway, *kinds[number % 4])) for number in range(SLOW)]
        answer = await asyncio.to_thread(gateway.ask)
        assert answer.status_code == 200
        async with asyncio.timeout(15):
            return await asyncio.gather(*slow)

    told = asyncio.run(all_of_them())
    assert [text[9:12] for text in told] == [b"", b"408", b"401", b"200"] * (SLOW // 4)
    assert gateway.ask().status_code == 200


async def _until_closed(gateway: Running, begin: bytes, drip: bytes) -> bytes:
    """What came before the gateway closed; `drip` is sent every now and then, to look alive."""
    reader, writer = await asyncio.open_connection(gateway.settings.host, gateway.settings.gateway_port)
    writer.write(begin)
    told = b""
    while True:
        try:
            piece = await asyncio.wait_for(reader.read(65_536), 0.5)
        except TimeoutError:
            writer.write(drip)
        except ConnectionResetError:
            break
        else:
            told += piece
            if not piece:
                break
    writer.close()
    return told


def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent() -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(ask, "_BODY_SECONDS", 0.05)
    with pytest.raises(BodyLate) as caught:
        asyncio.run(ask.read_body({b"content-length": b"10"}, Receive(silent, None), 100))
    assert caught.value.status == 408


@pytest.mark.parametrize(
    ("name", "body", "headers"),
    [
        ("names said twice", b'{"model":"nobody",' + json.dumps(GOOD).encode()[1:], ()),
        (
            "a null character in text",
            json.dumps({**GOOD, "messages": [{"role": "user", "content": "\0"}]}).encode(),
            (),
        ),
        ("a number past 64 bits", json.dumps({**GOOD, "brand_new": 10**30}).encode(), ()),
        ("a whole number with a point", json.dumps({**GOOD, "n": 1.0}).encode(), ()),
        ("another content type", json.dumps(GOOD).encode(), (b"content-type: text/plain",)),
        ("no content type", json.dumps(GOOD).encode(), (b"content-type:",)),
        ("200 levels", json.dumps(GOOD).encode()[:-1] + b',"x":' + b"[" * 200 + b"]" * 200 + b"}", ()),
        ("30 KB of headers", json.dumps(GOOD).encode(), (b"x-long: " + b"x" * 30_000,)),
        ("a folded header", json.dumps(GOOD).encode(), (b"x-noria-tags: a,\xff\xfe,,b",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_odd_but_good(gateway: Running, name: str, body: bytes, headers: tuple[bytes, ...]) -> None:
    gateway.serve("ok:odd")
    with connect(gateway) as wire:
        wire.sendall(keyed(gateway, request(body, CHAT, *headers)))
        assert answer_on(wire)[0] == 200
    assert gateway.calls("odd")["seen"]["body"]["model"] == "ok:odd"


def test_http_1_0_gets_its_answer_and_the_end(gateway: Running) -> None:
    gateway.serve("ok")
    with connect(gateway) as wire:
        wire.sendall(keyed(gateway, request(json.dumps(GOOD).encode(), version=b"1.0")))
        assert answer_on(wire)[0] == 200
        assert wire.recv(10) == b""


def test_pipelined_requests_are_answered_in_order(gateway: Running) -> None:
    gateway.serve("ok")
    bodies = [json.dumps({**GOOD, "messages": [{"role": "user", "content": f"{n}"}]}).encode() for n in range(5)]
    with connect(gateway) as wire:
        wire.sendall(keyed(gateway, b"".join(request(body) for body in bodies)))
        reader = wire.makefile("rb")
        for number in range(5):
            length = 0
            while (line := reader.readline()) != b"\r\n":
                length = int(line[15:]) if line.lower().startswith(b"content-length:") else length
            assert json.loads(reader.read(length))["choices"][0]["message"]["content"] == f"echo: {number}"


def test_no_key_is_in_a_log_an_error_or_a_span(gateway: Running) -> None:
    """Looks at what all tests above left behind."""
    assert httpx.get(f"{gateway.url}/readyz").status_code == 200
    journal = b"".join(path.read_bytes() for path in gateway.folder.journal.rglob("*") if path.is_file())
    for secret in (gateway.key, PROVIDER_KEY):
        assert secret not in gateway.log
        assert secret.encode() not in journal
    assert "Traceback" not in gateway.log
