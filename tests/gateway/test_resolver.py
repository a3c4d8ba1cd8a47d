"""What a provider's host resolves to when it is called: real connections, names resolved by a resolver of the test's own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from noria.gateway.client import Client
from noria.gateway.resolver import Resolver, was_refused
from noria.registry.addresses import is_refused

NEVER = [
    "169.254.169.254",
    "169.254.170.2",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "no address",
]
PRIVATE = ["127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "::1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_called(address: str) -> None:
    assert is_refused(address, allow_private=True) and is_refused(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_are_a_setting(address: str) -> None:
    assert not is_refused(address, allow_private=True)
    assert is_refused(address, allow_private=False)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_ones_are_called(address: str) -> None:
    assert not is_refused(address, allow_private=False)


class Names:
    """Knows what each name resolves to; the answer may change from one question to the next."""

    def __init__(self, **known: list[list[str]]) -> None:
        self._known = {name.replace("_", "."): answers for name, answers in known.items()}

    async def __call__(self, host: str, port: int) -> list[str]:
        answers = self._known[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


async def _serve(handle: Callable[[web.Request], Coroutine[Any, Any, web.StreamResponse]]) -> tuple[web.AppRunner, int]:
    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, int(runner.addresses[0][1])


async def _asked(url: str, *, allow_private: bool, names: Names | None = None, times: int = 1) -> list[str]:
    """What came of asking a URL: "200", or "refused"."""
    reached = []

    async def handle(request: web.Request) -> web.StreamResponse:
        reached.append(request.host)
        return web.Response(text="ok")

    runner, port = await _serve(handle)
    client = Client(Resolver(allow_private=allow_private, lookup=names, keep_seconds=0.0), connect_timeout=5.0)
    seen = []
    try:
        for _ in range(times):
            try:
                response = await client.request("GET", URL(url.format(port=port)), headers={})
            except OSError as error:
                assert was_refused(error), error
                seen.append("refused")
            else:
                seen.append(str(response.status))
                response.close()
    finally:
        await client.close()
        await runner.cleanup()
    assert len(reached) == seen.count("200")
    return seen


def test_a_name_is_refused_for_what_it_resolves_to() -> None:
    names = Names(
        good_example=[["127.0.0.1"]],
        meta_example=[["169.254.169.254"]],
        both_example=[["127.0.0.1", "169.254.169.254"]],
        six_example=[["::ffff:169.254.169.254"]],
    )
    for name, outcome in (("good", "200"), ("meta", "refused"), ("both", "refused"), ("six", "refused")):
        url = f"http://{name}.example:{{port}}/"
        assert asyncio.run(_asked(url, allow_private=True, names=names)) == [outcome]
    assert asyncio.run(_asked("http://good.example:{port}/", allow_private=False, names=names)) == ["refused"]


def test_a_name_that_changes_its_mind_is_refused_then() -> None:
    names = Names(rebinding_example=[["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1"]])
    url = "http://rebinding.example:{port}/"
    assert asyncio.run(_asked(url, allow_private=True, names=names, times=3)) == ["200", "refused", "200"]


def test_addresses_in_urls_are_looked_at_too() -> None:
    assert asyncio.run(_asked("http://127.0.0.1:{port}/", allow_private=True)) == ["200"]
    assert asyncio.run(_asked("http://127.0.0.1:{port}/", allow_private=False)) == ["refused"]
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "0.0.0.0"):
        assert asyncio.run(_asked(f"http://{host}:{{port}}/", allow_private=True)) == ["refused"]


def test_names_of_metadata_services_are_not_even_resolved() -> None:
    names = Names(unused_example=[["127.0.0.1"]])
    for name in ("metadata.google.internal", "METADATA.google.internal."):
        assert asyncio.run(_asked(f"http://{name}:{{port}}/", allow_private=True, names=names)) == ["refused"]
