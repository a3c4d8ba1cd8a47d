"""The life of a release: what each verb does, and everything that it refuses."""

import threading
from typing import Any

import pytest

from noria.core.errors import BadInput, Conflict, Forbidden, NoriaError, NotFound, Unavailable
from noria.governance import audit
from noria.registry import engines, service
from noria.registry.publish import build, publish
from noria.registry.snapshot import read
from tests.registry.conftest import GATE, World


def test_a_release_goes_all_the_way_and_back(world: World) -> None:
    first = world.release(note="the small model")
    assert (first.number, first.state, first.endpoint) == (1, "draft", "assistant")
    world.promote(1, "nothing serves yet")
    second = world.release(model="large")
    world.evaluated(second)
    assert world.state(2) == "evaluated"
    world.gate(second)
    assert world.approve(second).state == "approved"
    after = world.canary(2)
    assert (after.primary, after.canary, after.canary_share) == (1, 2, 0.25)
    assert world.canary(2, 0.5).canary_share == 0.5
    after = world.promote(2)
    assert (after.primary, after.canary, after.canary_share) == (2, 0, 0.0)
    assert (world.state(1), world.state(2)) == ("retired", "primary")
    after = world.rollback()
    assert (after.primary, world.state(1), world.state(2)) == (1, "primary", "approved")
    told = service.history(world.stores, world.project_id, "assistant").items
    assert [(one.event, one.release, one.share) for one in told] == [
        ("promote", 1, 1.0),
        ("canary", 2, 0.25),
        ("share", 2, 0.5),
        ("promote", 2, 1.0),
        ("rollback", 2, 0.0),
    ]
    assert {one.actor for one in told} == {"Reviewer"} and told[0].reason == "nothing serves yet"


def test_every_verb_is_in_the_audit(world: World) -> None:
    world.promote(world.release().number)
    release = world.ready(model="large")
    world.canary(release.number)
    world.rollback()
    with world.stores.database.read() as connection:
        verbs = [one.verb for one in audit.entries(connection, world.project_id, verb="release").items]
    assert verbs[::-1] == [
        "release.create",
        "release.promote",
        "release.create",
        "release.evaluated",
        "release.gate",
        "release.approve",
        "release.canary",
        "release.rollback",
    ]


def test_rollback_takes_the_canary_away_first(world: World) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    world.canary(2)
    after = world.rollback()
    assert (after.primary, after.canary, world.state(2)) == (1, 0, "approved")
    with pytest.raises(Conflict, match="no canary and no primary before"):
        world.rollback()
    world.promote(2)
    assert world.endpoint.primary == 2


def test_rollback_goes_back_more_than_once(world: World) -> None:
    world.promote(world.release().number)
    for _ in range(2):
        world.promote(world.ready(model="large").number)
    assert [world.rollback().primary, world.rollback().primary] == [2, 1]


@pytest.mark.parametrize("state", ["draft", "evaluated", "rejected", "retired"])
def test_only_approved_releases_take_traffic(world: World, state: str) -> None:
    world.promote(world.release().number)
    release = world.release(model="large")
    if state != "draft":
        world.evaluated(release)
    where: dict[str, Any] = {"project_id": world.project_id, "endpoint": "assistant", "number": 2, "reason": "no"}
    if state == "rejected":
        with world.stores.database.begin() as connection:
            service.reject(connection, **where, actor_id=world.reviewer)
    if state == "retired":
        service.retire(world.stores, **where, actor_id=world.reviewer)
    for verb in (world.canary, world.promote):
        with pytest.raises(Conflict):
            verb(2)
    assert world.endpoint.primary == 1 and world.state(2) == state


def test_the_author_cannot_approve(world: World) -> None:
    release = world.release()
    world.evaluated(release)
    with pytest.raises(Forbidden, match="Who made assistant@1"):
        world.approve(release, world.author)
    with world.stores.database.begin() as connection:
        service.change_endpoint(
            connection, project_id=world.project_id, name="assistant", self_approval=True, actor_id=world.reviewer
        )
    assert world.approve(release, world.author).state == "approved"


def test_a_key_that_is_nobodys_cannot_approve(world: World) -> None:
    release = world.release()
    world.evaluated(release)
    with pytest.raises(Forbidden, match="Only a person"):
        world.approve(release, "0190-some-key")


def test_what_approval_refuses(world: World) -> None:
    release = world.release()
    with pytest.raises(Conflict, match="has not been evaluated"):
        world.approve(release)
    world.evaluated(release)
    with pytest.raises(BadInput, match="Say why"):
        world.approve(release, reason="  ")
    world.approve(release)
    with pytest.raises(Conflict, match="approved assistant@1 already"):
        world.approve(release)
    world.promote(1)
    with pytest.raises(Conflict, match="is primary"):
        world.approve(release, world.other)


def test_two_approvals_where_the_gate_wants_two(world: World) -> None:
    world.promote(world.release().number)
    gate = [*GATE[:2], {"kind": "approvals", "count": 2}]
    with world.stores.database.begin() as connection:
        service.change_endpoint(
            connection, project_id=world.project_id, name="assistant", gate=gate, actor_id=world.reviewer
        )
    release = world.release(model="large")
    world.evaluated(release)
    world.gate(release)
    assert world.approve(release).state == "evaluated"
    assert world.approve(release, world.other).state == "approved"


def test_no_traffic_without_a_passed_gate(world: World) -> None:
    world.promote(world.release().number)
    release = world.release(model="large")
    world.evaluated(release)
    world.approve(release)
    with pytest.raises(Conflict, match="has not been through its gate"):
        world.canary(2)
    world.gate(release, passed=False)
    with pytest.raises(Conflict, match=r"did not pass its gate\. Said so\."):
        world.canary(2)
    world.gate(release)
    assert world.canary(2).canary == 2


def test_a_gate_result_is_for_one_digest(world: World) -> None:
    with pytest.raises(Conflict, match="something else"):
        world.gate(world.release(), digest="0" * 64)


def test_another_gate_wants_another_result(world: World) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    gate = [{"kind": "score", "metric": "valid", "at_least": 0.99}]
    with world.stores.database.begin() as connection:
        service.change_endpoint(
            connection, project_id=world.project_id, name="assistant", gate=gate, actor_id=world.reviewer
        )
    with pytest.raises(Conflict, match="gate has changed since"):
        world.canary(2)


def test_another_primary_wants_another_result(world: World) -> None:
    world.promote(world.release().number)
    world.ready(model="large")
    world.ready(model="larger")
    world.promote(3)
    with pytest.raises(Conflict, match="Another release serves now"):
        world.promote(2)


def test_a_provider_that_moved_ends_the_evidence(world: World) -> None:
    world.promote(world.release().number)
    release = world.ready(model="large")
    service.update_provider(
        world.stores,
        project_id=world.project_id,
        name="hosted",
        base_url="http://127.0.0.1:8/v1",
        actor_id=world.reviewer,
    )
    with pytest.raises(Conflict, match="another address") as refused:
        world.canary(release.number)
    assert refused.value.code == "digest_mismatch"
    assert "another address" in service.release_detail(world.stores, world.project_id, "assistant", 2).blocked


def test_the_first_release_needs_no_incumbent_but_its_own_evidence_counts(world: World) -> None:
    release = world.release()
    world.evaluated(release, 0.1)
    with world.stores.database.begin() as connection:
        service.record_gate(
            connection,
            project_id=world.project_id,
            release_id=release.id,
            digest=release.digest,
            passed=False,
            clauses=[
                {"clause": GATE[0], "passed": False, "text": "Field F1 .10, below .6."},
                {"clause": GATE[1], "passed": False, "text": "Valid .5, below .97."},
            ],
            actor_id="",
        )
    with pytest.raises(Conflict, match=r"Valid \.5"):
        world.promote(1)


def test_a_canary_needs_something_beside_it_and_there_is_one_at_a_time(world: World) -> None:
    world.ready()
    with pytest.raises(Conflict, match="Nothing serves"):
        world.canary(1)
    world.promote(1)
    world.ready(model="large")
    world.ready(model="larger")
    world.canary(2)
    for verb in (world.canary, world.promote):
        with pytest.raises(Conflict, match="assistant@2 is the canary"):
            verb(3)
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(BadInput, match="share"):
            world.canary(2, share)
    for number in (1, 2):
        with pytest.raises(Conflict, match="takes traffic"):
            service.retire(
                world.stores,
                project_id=world.project_id,
                endpoint="assistant",
                number=number,
                reason="no",
                actor_id=world.reviewer,
            )


def test_two_reviewers_at_once_take_turns(world: World) -> None:
    world.promote(world.release().number)
    for model in ("large", "larger"):
        world.ready(model=model)
    outcomes: list[Any] = []
    barrier = threading.Barrier(2)

    def promote(number: int) -> None:
        barrier.wait()
        try:
            outcomes.append(world.promote(number).primary)
        except NoriaError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=promote, args=(number,)) for number in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = world.endpoint.primary
    assert sorted(map(str, outcomes)) == sorted([str(winner), "stale_gate"])
    assert [world.state(n) for n in (1, winner, 5 - winner)] == ["retired", "primary", "approved"]
    published = read(world.stores.settings.folder.snapshot)
    assert published is not None
    entry = published.endpoint(world.project_id, "assistant")
    assert entry is not None and entry.primary == winner


def test_a_local_release_waits_for_its_engine(world: World) -> None:
    release = world.release(provider="local", model="", model_version=world.local_base())
    assert release.model == "base:1" and release.model_version == "base:1"
    with world.stores.database.read() as connection:
        files = engines.files_of_release(connection, release)
    assert files is not None
    with pytest.raises(Unavailable, match="is starting"):
        world.promote(1)
    world.engines("failed", files.key)
    with pytest.raises(Conflict, match="could not be started: no memory"):
        world.promote(1)
    world.engines("ready", files.key)
    assert world.promote(1).primary == 1
    assert service.release_detail(world.stores, world.project_id, "assistant", 1).serving == "ready"


def test_what_a_release_cannot_be_made_of(world: World) -> None:
    world.local_base()
    for content, words in (
        ({"provider": "nowhere"}, "no provider"),
        ({"provider": "local", "model": ""}, "names a model version"),
        ({"model": ""}, "which of the provider's models"),
        ({"prompt": "call@1"}, "no prompt"),
        ({"model_version": "base:9"}, "no model version"),
        ({"parameters": {"messages": []}}, "not a parameter"),
        ({"parameters": {"temperature": 9}}, "temperature"),
    ):
        with pytest.raises((BadInput, NotFound), match=words):
            world.release(**content)


def test_equal_content_has_an_equal_digest_and_everything_else_another(world: World) -> None:
    with world.stores.database.begin() as connection:
        service.create_prompt(connection, project_id=world.project_id, name="call", actor_id=world.author)
        for template in ("{{input}}", "{{input}} call:"):
            service.add_prompt_version(
                connection,
                project_id=world.project_id,
                name="call",
                format="text",
                template=template,
                actor_id=world.author,
            )
    assert world.release(note="a").digest == world.release(note="b").digest
    contents: list[dict[str, Any]] = [
        {},
        {"model": "other"},
        {"parameters": {"temperature": 0.5}},
        {"prompt": "call@1"},
        {"prompt": "call@2"},
        {"model_version": world.adapter(b"one")},
        {"model_version": world.adapter(b"two")},
    ]
    assert len({world.release(**content).digest for content in contents}) == len(contents)


def test_a_rollback_is_published_before_it_answers(world: World) -> None:
    world.promote(world.release().number)
    world.promote(world.ready(model="large").number)
    world.rollback()
    found = read(world.stores.settings.folder.snapshot)
    assert found is not None
    entry = found.endpoint(world.project_id, "assistant")
    assert entry is not None and entry.primary == 1
    assert publish(world.stores) is False, "there is nothing left to write"
    assert build(world.stores).version == found.version
