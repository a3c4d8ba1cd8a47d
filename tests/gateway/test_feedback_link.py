"""The link for feedback that an answer carries, from a real gateway."""

from collections.abc import Callable
from dataclasses import replace

from noria.core import ids
from noria.governance.keys import digest, new_key
from noria.governance.links import PATH, Link, Links
from noria.registry.snapshot import EndpointEntry, KeyEntry
from tests.gateway.conftest import Running, release

HEADER = "x-noria-feedback-url"


def project_of_its_own(gateway: Running, *, live: bool = True) -> tuple[str, str]:
    """A project with an endpoint "assistant", and a key of it."""
    project, key = ids.new_id(), new_key()
    entry = KeyEntry("k-own", project, digest(key), "call", live=live)
    provider = replace(gateway.snapshot.providers["p1"], id="p1", project_id=project)
    endpoint = EndpointEntry("e-own", project, "assistant", primary=1, releases={1: release(1, "echo")})
    gateway.publish(
        endpoint,
        keys={**gateway.snapshot.keys, entry.digest: entry},
        providers={**gateway.snapshot.providers, "p1": provider},
    )
    return project, key


def test_an_answer_carries_a_link_to_its_own_trace(make_gateway: Callable[..., Running]) -> None:
    gateway = make_gateway(public_url="https://noria.example.com")
    project, key = project_of_its_own(gateway)
    links = Links(gateway.folder.secret, base_url="", hours=1)
    for stream in (False, True):
        answer = gateway.ask(key=key, stream=stream)
        assert answer.status_code == 200, answer.text
        before, _, token = answer.headers[HEADER].rpartition("/")
        assert f"{before}/" == f"https://noria.example.com{PATH}"
        assert links.read(token) == Link(project, answer.headers["x-noria-trace-id"])
    refused = gateway.ask(model="nothing", key=key)
    assert (refused.status_code, refused.headers.get(HEADER)) == (404, None)


def test_traffic_of_no_user_and_gateways_told_so_carry_none(make_gateway: Callable[..., Running]) -> None:
    gateway = make_gateway()
    _, key = project_of_its_own(gateway, live=False)
    assert HEADER not in gateway.ask(key=key).headers
    off = make_gateway(feedback_hours=0)
    _, key = project_of_its_own(off)
    assert HEADER not in off.ask(key=key).headers
