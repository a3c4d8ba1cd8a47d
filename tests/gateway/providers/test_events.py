"""Streams cut into events, however the network cut them before."""

import json

import pytest

from noria.core.errors import ProviderFailed
from noria.gateway.providers.events import AwsEvents, ServerSentEvents
from tests.gateway.providers.aws_stream import event, framed, message

SSE = [
    (b"data: {}\n\n", [("", b"{}")]),
    (b"data:{}\n\n", [("", b"{}")]),
    (b"event: message_start\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n", [("message_start", b"{}"), ("", b"[DONE]")]),
    (b"data: 1\r\rdata: 2\r\r", [("", b"1"), ("", b"2")]),
    (b": a comment\n\nretry: 5\n\ndata: x\n\n", [("", b"x")]),
    (b"data: a\ndata: b\n\n", [("", b"a\nb")]),
    ("data: 안녕\n\n".encode(), [("", "안녕".encode())]),
    (b"\n\n\ndata: x\n\n", [("", b"x")]),
    (b"data: x", [("", b"x")]),
    (b"", []),
]


@pytest.mark.parametrize(("stream", "wanted"), SSE)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_server_sent_events(stream: bytes, wanted: list[tuple[str, bytes]], size: int) -> None:
    cutter = ServerSentEvents()
    found = []
    for at in range(0, len(stream), size):
        found += cutter.feed(stream[at : at + size])
    assert found + cutter.end() == wanted


def test_an_event_without_an_end_is_bounded() -> None:
    cutter = ServerSentEvents()
    with pytest.raises(ProviderFailed, match="without an end"):
        for _ in range(40):
            cutter.feed(b"x" * 1_000_000)


STREAM = event("messageStart", b'{"role":"assistant"}') + event("contentBlockDelta", '{"delta":{"text":"안"}}'.encode())


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_binary_events(size: int) -> None:
    cutter = AwsEvents()
    found = []
    for at in range(0, len(STREAM), size):
        found += cutter.feed(STREAM[at : at + size])
    assert not cutter.end()
    assert [name for name, _ in found] == ["messageStart", "contentBlockDelta"]
    assert json.loads(found[1][1]) == {"delta": {"text": "안"}}


PUBLISHED = [
    (bytes.fromhex("000000100000000005c248eb7d98c8ff"), ("", b"")),
    (bytes.fromhex("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936"), ("", b"{'foo':'bar'}")),
]
"""empty_message and payload_no_headers of AWS's event stream test suite (awslabs/aws-c-event-stream)."""


@pytest.mark.parametrize(("data", "wanted"), PUBLISHED)
def test_published_messages(data: bytes, wanted: tuple[str, bytes]) -> None:
    assert AwsEvents().feed(data) == [wanted]


def test_exceptions_and_errors_have_names() -> None:
    slow = message({":message-type": "exception", ":exception-type": "throttlingException"}, b'{"message":"slow"}')
    broken = message({":message-type": "error", ":error-code": "500", ":error-message": "gone"}, b"")
    assert AwsEvents().feed(slow) == [("throttlingException", b'{"message":"slow"}')]
    [(name, data)] = AwsEvents().feed(broken)
    assert name == "error" and json.loads(data) == {"message": "gone", "code": "500"}


def test_headers_of_every_type_are_passed_over() -> None:
    head = b"".join(
        bytes([1]) + b"h" + bytes([kind]) + value
        for kind, value in (
            (0, b""),
            (1, b""),
            (2, b"x"),
            (3, b"xx"),
            (4, b"xxxx"),
            (5, b"x" * 8),
            (6, b"\x00\x02xx"),
            (8, b"x" * 8),
            (9, b"x" * 16),
        )
    )
    named = bytes([len(":event-type")]) + b":event-type" + b"\x07\x00\x01e"
    assert AwsEvents().feed(framed(head + named, b"p")) == [("e", b"p")]


@pytest.mark.parametrize("place", range(len(STREAM)))
def test_one_wrong_byte_anywhere_is_noticed(place: int) -> None:
    damaged = bytearray(STREAM)
    damaged[place] ^= 0x10
    cutter = AwsEvents()
    with pytest.raises(ProviderFailed):
        cutter.feed(bytes(damaged))
        cutter.end()


@pytest.mark.parametrize(
    "data",
    [
        b"<html>an error page</html>",
        STREAM[:-3],
        framed(b"\x05ab", b""),
        framed(b"\x01a\x63", b""),
        framed(b"\x01a\x07\x00\x01\xff", b""),
    ],
)
def test_what_is_no_event_stream(data: bytes) -> None:
    cutter = AwsEvents()
    with pytest.raises(ProviderFailed):
        cutter.feed(data)
        cutter.end()
