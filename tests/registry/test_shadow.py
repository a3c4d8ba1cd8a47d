"""Shadows: who may listen, what is published, and how one becomes a canary or the primary."""

import hashlib
from typing import Any

import pytest
from click.testing import CliRunner

from noria.core.errors import BadInput, Conflict, Unavailable
from noria.governance import audit
from noria.registry import commands, engines, publish, service
from noria.registry.snapshot import EndpointEntry, read
from tests.registry.conftest import BASE_SHA, Client, World


def published(world: World) -> EndpointEntry:
    snapshot = read(world.stores.settings.folder.snapshot)
    assert snapshot is not None
    entry = snapshot.endpoint(world.project_id, "assistant")
    assert entry is not None
    return entry


def test_a_shadow_listens_and_goes(world: World) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    after = world.shadow(2, 0.5)
    assert (after.primary, after.canary, after.shadow, after.shadow_share) == (1, 0, 2, 0.5)
    assert world.state(2) == "shadow"
    entry = published(world)
    assert (entry.shadow, entry.shadow_share, entry.releases[2].state) == (2, 0.5, "shadow")
    assert world.shadow(2, 1.0).shadow_share == 1.0
    after = world.unshadow()
    assert (after.shadow, after.shadow_share, world.state(2)) == (0, 0.0, "approved")
    assert (published(world).shadow, published(world).shadow_share) == (0, 0.0)
    with pytest.raises(Conflict, match="has no shadow"):
        world.unshadow()
    told = service.history(world.stores, world.project_id, "assistant").items
    assert [(one.event, one.share) for one in told[1:]] == [("shadow", 0.5), ("shadow", 1.0), ("unshadow", 0.0)]
    with world.stores.database.read() as connection:
        entries = audit.entries(connection, world.project_id, verb="release.shadow").items
        [gone] = audit.entries(connection, world.project_id, verb="release.unshadow").items
    assert entries[0].details["from"] == 0.5 and entries[0].reason == "listen first" and gone.reason == "heard enough"


def test_who_may_listen(world: World) -> None:
    world.ready()
    with pytest.raises(Conflict, match="Nothing serves"):
        world.shadow(1)
    world.promote(1)
    world.release(model="untested")
    with pytest.raises(Conflict, match="assistant@2 is not approved"):
        world.shadow(2)
    with pytest.raises(Conflict, match="takes traffic"):
        world.shadow(1)
    for share in (0.0, 1.1, -1.0, float("nan")):
        with pytest.raises(BadInput, match="share"):
            world.shadow(2, share)
    world.ready(model="large")
    world.ready(model="larger")
    world.shadow(3)
    with pytest.raises(Conflict, match="assistant@3 is the shadow"):
        world.shadow(4)
    where: dict[str, Any] = {"project_id": world.project_id, "endpoint": "assistant", "actor_id": world.reviewer}
    with pytest.raises(Conflict, match="is the shadow"):
        service.retire(world.stores, number=3, reason="no", **where)
    with pytest.raises(Conflict, match="it cannot be rejected"), world.stores.database.begin() as connection:
        service.reject(connection, number=3, reason="no", **where)


def test_a_shadow_wants_an_approval_but_no_gate(world: World) -> None:
    world.promote(world.release().number)
    release = world.release(model="large")
    world.evaluated(release)
    world.approve(release)
    with pytest.raises(Conflict):
        world.canary(2)
    assert world.shadow(2).shadow == 2
    with pytest.raises(Conflict):
        world.canary(2)
    world.gate(release)
    assert (world.canary(2).canary, world.endpoint.shadow, world.endpoint.shadow_share) == (2, 0, 0.0)


def test_a_shadow_becomes_the_primary(world: World) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    world.shadow(2)
    after = world.promote(2)
    assert (after.primary, after.shadow, world.state(2)) == (2, 0, "primary")
    after = world.rollback()
    assert (after.primary, after.shadow, world.state(2)) == (1, 0, "approved")


def test_a_shadow_stays_when_others_move(world: World) -> None:
    world.promote(world.release().number)
    for model in ("large", "larger"):
        world.ready(model=model)
    world.shadow(2)
    world.canary(3)
    after = world.rollback()
    assert (after.primary, after.canary, after.shadow) == (1, 0, 2)


def test_a_local_shadow_waits_for_its_engine_and_keeps_it(world: World) -> None:
    world.promote(world.release().number)
    local = world.ready(provider="local", model="", model_version=world.adapter())
    with pytest.raises(Unavailable, match="is starting"):
        world.shadow(local.number)
    adapter = hashlib.sha256(b"adapter").hexdigest()
    key = hashlib.sha256((BASE_SHA + adapter).encode()).hexdigest()[:16]
    world.engines("ready", key)
    assert engines.running(world.stores.settings.folder)[key]["state"] == "ready"
    world.shadow(local.number)
    for number in range(4):
        world.release(provider="local", model="", model_version=world.adapter(f"other {number}".encode()))
    assert key in publish.build(world.stores).engines


def test_the_api_and_who_may_use_it(world: World, client: Client) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    path, away = "/api/endpoints/assistant/releases/2/shadow", "/api/endpoints/assistant/unshadow"
    for where in (path, away):
        assert client.ask("author", "POST", where, json={"reason": "x"}).status_code == 403
    assert client.ask("reviewer", "POST", path, json={"share": 0.2}).status_code == 400, "it wants a reason"
    answer = client.ask("reviewer", "POST", path, json={"share": 0.2, "reason": "listen"})
    assert answer.status_code == 200 and answer.json()["shadow_share"] == 0.2, answer.text
    assert client.ask("reviewer", "POST", away, json={"reason": "enough"}).json()["shadow"] == 0


@pytest.mark.parametrize("registry_stores", ["sqlite"], indirect=True)
def test_the_command(world: World) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    data = ("--data", str(world.stores.settings.data))
    done = CliRunner().invoke(
        commands.release, ["shadow", "assistant@2", "--share", "0.5", "--reason", "listen", *data]
    )
    assert done.output == "Release 2 hears 50% of the sessions of assistant.\n"
    assert "release 2 as shadow of 50%" in CliRunner().invoke(commands.endpoints, data).output
    assert CliRunner().invoke(commands.release, ["unshadow", "assistant", "--reason", "x", *data]).exit_code == 0
    assert world.state(2) == "approved"
