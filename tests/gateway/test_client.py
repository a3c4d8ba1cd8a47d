"""The gateway's own HTTP client, against servers that speak properly and servers that do not."""

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from noria.gateway.client import Client, Unreachable
from noria.gateway.http1 import Broken
from noria.gateway.resolver import Resolver

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def client(**options: Any) -> Client:
    return Client(Resolver(allow_private=True), connect_timeout=5.0, **options)


def ask(script: Script, work: Callable[[Client, URL], Awaitable[Any]], **options: Any) -> tuple[Any, int]:
    """What `work` gives with a server that runs `script` for each connection, and how many connections there were."""

    async def run() -> tuple[Any, int]:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            try:
                await script(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=options.pop("server_tls", None))
        scheme = options.pop("scheme", "http")
        host = options.pop("host", "127.0.0.1")
        one = client(**options)
        try:
            url = URL(f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}/v1/x")
            async with asyncio.timeout(20):
                return await work(one, url), connections
        finally:
            await one.close()
            server.close()

    return asyncio.run(run())


async def request_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    return head, await reader.readexactly(length)


def answering(*answers: bytes, close: bool = False) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await request_of(reader)
            writer.write(answer)
            await writer.drain()
        if not close:
            await reader.read(1)

    return script


def plain(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), more, body)


async def read(one: Client, url: URL) -> tuple[int, bytes]:
    response = await one.request("POST", url, headers={"X-A": "b"}, body=b"{}")
    try:
        return response.status, await response.read(10**9)
    finally:
        response.release()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nabcde"
INTERIM = b"HTTP/1.1 100 Continue\r\nX-Early: yes\r\n\r\n" + plain(b"abcde")


@pytest.mark.parametrize("answer", [plain(b"abcde"), CHUNKED, INTERIM])
def test_bodies_are_read_whatever_says_their_length(answer: bytes) -> None:
    assert ask(answering(answer), read) == ((200, b"abcde"), 1)


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    assert ask(answering(UNTIL_CLOSE, close=True), read) == ((200, b"abcde"), 1)


def test_the_request_is_sent_as_it_was_meant() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        writer.write(plain(b"ok"))

    ask(script, read)
    head, body = seen[0]
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nX-A: b\r\nContent-Length: 2\r\n" in head
    assert body == b"{}"


def test_connections_are_kept_and_used_again() -> None:
    async def five(one: Client, url: URL) -> list[Any]:
        return [await read(one, url) for _ in range(5)]

    assert ask(answering(*[plain(b"x")] * 5), five) == ([(200, b"x")] * 5, 1)


def test_a_connection_that_its_server_closes_is_not_used_again() -> None:
    async def two(one: Client, url: URL) -> list[Any]:
        return [await read(one, url) for _ in range(2)]

    assert ask(answering(plain(b"x", b"Connection: close\r\n")), two) == ([(200, b"x")] * 2, 2)


def test_a_kept_connection_that_died_unseen_is_replaced_once() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(plain(b"x"))
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")  # the second request arrives, and is answered by nobody

    async def two(one: Client, url: URL) -> list[Any]:
        return [await read(one, url) for _ in range(2)]

    assert ask(script, two) == ([(200, b"x")] * 2, 2)


def test_a_new_connection_that_dies_is_an_error_and_nothing_is_sent_twice() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)

    async def fails(one: Client, url: URL) -> str:
        with pytest.raises(Broken):
            await read(one, url)
        return "broken"

    assert ask(script, fails) == ("broken", 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: %b\r\n" % (b"y" * 1000) * 100 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
    ],
    ids=["no HTTP", "cut off", "a chunk of nonsense", "too many headers", "no length"],
)
def test_what_is_no_answer_is_broken(answer: bytes) -> None:
    async def fails(one: Client, url: URL) -> str:
        with pytest.raises(Broken):
            await read(one, url)
        return "broken"

    assert ask(answering(answer, close=True), fails)[0] == "broken"


def test_an_answer_to_nothing_is_never_taken_for_the_next_one() -> None:
    async def suspicious(one: Client, url: URL) -> str:
        with pytest.raises(Broken):
            await read(one, url)
        return "broken"

    assert ask(answering(plain(b"mine") + plain(b"forged")), suspicious) == ("broken", 1)


def test_a_header_with_the_end_of_a_line_is_refused() -> None:
    async def injected(one: Client, url: URL) -> str:
        with pytest.raises(ValueError, match="end of a line"):
            await one.request("POST", url, headers={"X-A": "b\r\nX-Evil: c"})
        return "refused"

    assert ask(answering(), injected) == ("refused", 0)


def test_a_reader_that_rests_holds_its_server_back() -> None:
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        for _ in range(800):  # 50 MB
            writer.write(piece)
            sent += 65_536
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        await reader.read(1)

    async def rests(one: Client, url: URL) -> tuple[int, int]:
        response = await one.request("POST", url, headers={})
        still = -1
        while still != sent:  # until the server cannot send any more
            still = sent
            await asyncio.sleep(0.3)
        body = await response.read(10**9)
        response.release()
        return still, len(body)

    (still, size), _ = ask(script, rests)
    assert size == 800 * 65_536
    assert still < size / 2


def test_a_large_body_is_sent_whole() -> None:
    seen: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(len((await request_of(reader))[1]))
        writer.write(plain(b"ok"))

    async def large(one: Client, url: URL) -> int:
        response = await one.request("POST", url, headers={}, body=b"y" * 20_000_000)
        response.release()
        return response.status

    assert ask(script, large)[0] == 200
    assert seen == [20_000_000]


def test_nobody_there_is_unreachable() -> None:
    async def nobody() -> None:
        one = client()
        with pytest.raises(Unreachable):
            await one.request("POST", URL("http://127.0.0.1:9/v1"), headers={})
        await one.close()

    asyncio.run(nobody())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that signs itself, with its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_tls_with_an_authority_that_is_trusted(certificate: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(certificate))
    found, _ = ask(
        answering(plain(b"safe")), read, server_tls=tls_of(certificate), scheme="https", host="localhost", tls=trusting
    )
    assert found == (200, b"safe")


@pytest.mark.parametrize(("host", "trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_tls_that_proves_nothing_is_refused(certificate: Path, host: str, trusted: bool) -> None:
    async def fails(one: Client, url: URL) -> str:
        with pytest.raises(ssl.SSLError):
            await read(one, url)
        return "refused"

    options = {"tls": ssl.create_default_context(cafile=str(certificate))} if trusted else {}
    found, _ = ask(answering(plain(b"x")), fails, server_tls=tls_of(certificate), scheme="https", host=host, **options)
    assert found == "refused"
