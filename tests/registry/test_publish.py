"""The snapshot: what is in it, which engines it asks for, and how fast a change gets there."""

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from noria.governance import service as governance
from noria.registry import publish, service
from noria.registry.snapshot import EndpointEntry, Snapshot, decode, encode, read
from tests.registry.conftest import BASE_SHA, World


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def entry(snapshot: Snapshot | None, world: World) -> EndpointEntry:
    assert snapshot is not None
    found = snapshot.endpoint(world.project_id, "assistant")
    assert found is not None
    return found


def key_of(*contents: str) -> str:
    return hashlib.sha256("".join(contents).encode()).hexdigest()[:16]


@pytest.fixture
def publisher(world: World) -> Iterator[publish.Publisher]:
    running = publish.Publisher(world.stores)
    running.start()
    yield running
    running.stop()


def test_the_snapshot_says_all_and_survives_its_file(world: World) -> None:
    with world.stores.database.begin() as connection:
        where: dict[str, Any] = {"project_id": world.project_id, "name": "call", "actor_id": world.author}
        service.create_prompt(connection, **where)
        service.add_prompt_version(connection, format="text", template="{{input}} call:", **where)
    world.promote(world.release(prompt="call@1", parameters={"max_tokens": 96}, input_micros=150_000).number)
    world.ready(provider="local", model="", model_version=world.adapter(), prompt="call@1")
    built = publish.build(world.stores)
    assert decode(encode(built)) == built
    found = entry(built, world)
    assert (found.primary, found.canary, sorted(found.releases)) == (1, 0, [1, 2])
    first = found.releases[1]
    assert first.prompt is not None and first.prompt.template == "{{input}} call:"
    assert (first.model, first.parameters, first.input_micros) == ("small", {"max_tokens": 96}, 150_000)
    assert first.engine == "" and first.price_version
    adapter = hashlib.sha256(b"adapter").hexdigest()
    engine = built.engines[key_of(BASE_SHA, adapter)]
    assert found.releases[2].engine == engine.key
    assert engine.model_path == "/models/base.gguf"
    assert engine.adapter_path == str(world.stores.files.path(adapter))


def test_equal_weights_share_an_engine_and_few_candidates_are_warm(world: World) -> None:
    local = {"provider": "local", "model": ""}
    base = world.local_base()
    for _ in range(2):
        world.release(**local, model_version=base)
    assert list(publish.build(world.stores).engines) == [key_of(BASE_SHA)]
    names = [world.adapter(f"adapter {n}".encode()) for n in range(5)]
    for name in names:
        world.release(**local, model_version=name)
    expected = [key_of(BASE_SHA, hashlib.sha256(f"adapter {n}".encode()).hexdigest()) for n in range(5)]
    assert sorted(publish.build(world.stores).engines) == sorted(expected[2:])
    service.wake(world.stores, service.get_release(world.stores, world.project_id, "assistant", 3))
    assert sorted(publish.build(world.stores).engines) == sorted([expected[0], *expected[3:]])
    assert sorted(entry(publish.build(world.stores), world).releases) == list(range(1, 8)), "all can still be named"


def test_what_a_rollback_returns_to_stays_warm(world: World) -> None:
    base, lora = world.local_base(), world.adapter()
    keys = [key_of(BASE_SHA), key_of(BASE_SHA, hashlib.sha256(b"adapter").hexdigest())]
    world.engines("ready", *keys)
    world.promote(world.release(provider="local", model="", model_version=base).number)
    world.promote(world.ready(provider="local", model="", model_version=lora).number)
    built = publish.build(world.stores)
    assert sorted(built.engines) == sorted(keys)
    assert entry(built, world).releases[1].state == "retired"
    world.rollback()
    where: dict[str, Any] = {
        "project_id": world.project_id,
        "endpoint": "assistant",
        "number": 2,
        "actor_id": world.reviewer,
    }
    service.retire(world.stores, **where, reason="it is over")
    assert list(publish.build(world.stores).engines) == keys[:1]
    assert sorted(entry(publish.build(world.stores), world).releases) == [1]


def test_a_lost_file_keeps_no_other_release_from_being_published(world: World) -> None:
    world.release(provider="local", model="", model_version=world.adapter())
    world.stores.files.delete(hashlib.sha256(b"adapter").hexdigest())
    built = publish.build(world.stores)
    assert built.engines == {} and sorted(entry(built, world).releases) == [1]


def test_a_revoked_key_is_gone_within_a_second(world: World, publisher: publish.Publisher) -> None:
    path = world.stores.settings.folder.snapshot
    with world.stores.database.begin() as connection:
        row, _ = governance.mint_key(
            connection, project_id=world.project_id, name="shop", scope="call", actor_id=world.reviewer
        )

    def known() -> bool:
        found = read(path)
        return found is not None and row.id in {key.id for key in found.keys.values()}

    eventually(known)
    with world.stores.database.begin() as connection:
        governance.revoke_key(connection, project_id=world.project_id, key_id=row.id, actor_id=world.reviewer)
    eventually(lambda: not known(), seconds=1.0)


def test_the_publisher_repairs_a_damaged_snapshot(world: World, publisher: publish.Publisher) -> None:
    path = world.stores.settings.folder.snapshot
    eventually(path.exists)
    path.write_bytes(b"{")
    world.release()

    def repaired() -> bool:
        try:
            return sorted(entry(read(path), world).releases) == [1]
        except ValueError:
            return False

    eventually(repaired)
