"""Limits of keys and of the project: what is refused, who may change them, and how people type them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from noria.core import money
from noria.core.errors import BadInput, Conflict, NotFound
from noria.governance import allowances, audit, commands, projects, service
from noria.governance.limits import NO_LIMITS, Limits, check_limits, decode_limits, sparse
from noria.governance.records import FirstLogin, KeyRow
from noria.stores import changes
from noria.stores.connect import Stores
from tests.governance.conftest import PASSWORD


def mint(stores: Stores, first: FirstLogin, **more: Any) -> KeyRow:
    with stores.database.begin() as connection:
        given = {"project_id": first.project_id, "name": "app", "scope": "call", "actor_id": "", **more}
        return service.mint_key(connection, **given)[0]


def limit(stores: Stores, first: FirstLogin, key_id: str, **limits: Any) -> KeyRow:
    with stores.database.begin() as connection:
        return service.limit_key(
            connection, project_id=first.project_id, key_id=key_id, limits=limits, reason="too much", actor_id=""
        )


def test_what_cannot_be_a_limit_is_named() -> None:
    for raw, said, hint in (
        ([], "limits is an object", "concurrent"),
        ({"request_per_minute": 1}, "has no field", "Did you mean requests_per_minute?"),
        ({"concurrent": -1}, "limits.concurrent is a whole number from 0 to", "0: not limited."),
        ({"concurrent": True}, "limits.concurrent", ""),
        ({"day_micros": 1.5}, "limits.day_micros", ""),
        ({"day_micros": 10**16}, "limits.day_micros", ""),
    ):
        with pytest.raises(BadInput) as caught:
            check_limits(raw)
        assert said in caught.value.message and hint in caught.value.hint


def test_limits_are_kept_without_zeros() -> None:
    limits = check_limits({"concurrent": 3, "day_micros": 0})
    assert sparse(limits) == {"concurrent": 3} and decode_limits(sparse(limits)) == limits
    assert decode_limits({}) is NO_LIMITS and decode_limits({"later": 1}) == NO_LIMITS


def test_a_key_has_limits_from_the_start_and_later(stores: Stores, first: FirstLogin) -> None:
    key = mint(stores, first, limits={"requests_per_minute": 60, "concurrent": 0})
    assert key.limits == Limits(requests_per_minute=60)
    with stores.database.read() as connection:
        before = changes.current(connection)
    changed = limit(stores, first, key.id, day_micros=2_000_000)
    assert changed.limits == Limits(requests_per_minute=60, day_micros=2_000_000), "the others stay"
    assert limit(stores, first, key.id, requests_per_minute=0).limits == Limits(day_micros=2_000_000)
    assert limit(stores, first, key.id, requests_per_minute=0).limits == Limits(day_micros=2_000_000)
    with stores.database.read() as connection:
        assert changes.current(connection) == before + 2, "gateways are told of each change, and of nothing else"
        [entry] = service.gateway_keys(connection)
        assert entry.limits == Limits(day_micros=2_000_000)
        told = audit.entries(connection, first.project_id, verb="key.limits").items
    assert [one.details["to"] for one in told] == [
        {"day_micros": 2_000_000},
        {"requests_per_minute": 60, "day_micros": 2_000_000},
    ]
    assert told[0].reason == "too much" and told[0].target_id == key.id


def test_what_has_nothing_to_limit(stores: Stores, first: FirstLogin) -> None:
    with pytest.raises(BadInput, match="calls no model"):
        mint(stores, first, scope="write_traces", limits={"concurrent": 1})
    writer = mint(stores, first, scope="write_traces")
    with pytest.raises(BadInput, match="calls no model"):
        limit(stores, first, writer.id, concurrent=1)
    key = mint(stores, first)
    with stores.database.begin() as connection:
        service.revoke_key(connection, project_id=first.project_id, key_id=key.id, actor_id="")
    with pytest.raises(Conflict, match="works no more"):
        limit(stores, first, key.id, concurrent=1)
    with pytest.raises(NotFound):
        limit(stores, first, "nobody", concurrent=1)


def test_a_project_has_limits(stores: Stores, first: FirstLogin) -> None:
    with stores.database.begin() as connection:
        assert projects.all_limits(connection) == {}
        before = changes.current(connection)
        where: dict[str, Any] = {"project_id": first.project_id, "actor_id": "", "reason": "budget"}
        projects.limit_project(connection, limits={"month_micros": 90_000_000}, **where)
        again = projects.limit_project(connection, limits={"month_micros": 90_000_000}, **where)
        assert again.limits == Limits(month_micros=90_000_000)
        assert projects.all_limits(connection) == {first.project_id: Limits(month_micros=90_000_000)}
        assert changes.current(connection) == before + 1
        [entry] = audit.entries(connection, first.project_id, verb="project.limits").items
    assert (entry.reason, entry.details) == ("budget", {"from": {}, "to": {"month_micros": 90_000_000}})


def test_the_api(admin: TestClient) -> None:
    made = admin.post("/api/keys", json={"name": "app", "scope": "call", "limits": {"concurrent": 2}}).json()
    [key] = [one for one in admin.get("/api/keys").json()["items"] if one["id"] == made["id"]]
    assert key["limits"]["concurrent"] == 2 and key["limits"]["day_micros"] == 0
    path = f"/api/keys/{made['id']}"
    changed = admin.patch(path, json={"limits": {"tokens_per_minute": 9}, "reason": "r"}).json()
    assert (changed["limits"]["concurrent"], changed["limits"]["tokens_per_minute"]) == (2, 9)
    refused = admin.patch(path, json={"limits": {"token_per_minute": 9}})
    assert refused.status_code == 400 and refused.json()["hint"] == "Did you mean tokens_per_minute?"
    assert admin.patch("/api/project", json={"limits": {"day_micros": 5}}).json()["limits"]["day_micros"] == 5
    assert admin.get("/api/project").json()["name"] == "default"


@pytest.mark.parametrize("role", ["viewer", "editor", "reviewer"])
def test_limits_are_for_admins(anybody: TestClient, person: Callable[[str], str], role: str) -> None:
    login = anybody.post("/api/login", json={"email": person(role), "password": PASSWORD}).json()
    token = {"x-csrf-token": login["csrf"]}
    for path in ("/api/keys/any", "/api/project"):
        assert anybody.patch(path, json={"limits": {}}, headers=token).status_code == 403
    for path in ("/settings/keys/any/limits", "/settings/limits"):
        assert anybody.post(path, data={"csrf": login["csrf"]}).status_code == 403
    assert anybody.get("/api/project").status_code == 200


@pytest.mark.parametrize(
    ("typed", "kept", "shown"),
    [
        ("", 0, "0.00"),
        ("12", 12_000_000, "12.00"),
        (" $1,200.5 ", 1_200_500_000, "1,200.50"),
        ("0.000125", 125, "0.000125"),
    ],
)
def test_money_as_it_is_typed_and_read(typed: str, kept: int, shown: str) -> None:
    assert money.micros(typed) == kept and money.dollars(kept) == shown


@pytest.mark.parametrize("typed", ["-1", "1.0000001", "ten", "NaN", "Infinity", "1e400", "1e999999999", "٣.٣.٣"])
def test_what_is_no_money(typed: str) -> None:
    with pytest.raises(BadInput, match="is not an amount of dollars"):
        money.micros(typed)


def test_fields_of_a_form() -> None:
    assert allowances.from_fields({"requests_per_minute": "6,000", "day_dollars": "2.50", "concurrent": None}) == {
        "requests_per_minute": 6_000,
        "day_micros": 2_500_000,
    }
    limits = Limits(tokens_per_minute=5, month_micros=1_200_500_000)
    assert decode_limits(allowances.from_fields(allowances.to_fields(limits))) == limits
    for typed in ("-1", "1.5", "many", "9" * 19, "²"):
        with pytest.raises(BadInput, match="is not a whole number"):
            allowances.from_fields({"concurrent": typed})
    assert allowances.sentence(Limits(600, day_micros=5_000_000)) == "600 requests/min, $5.00/day"


def test_commands(stores: Stores, first: FirstLogin) -> None:
    data = str(stores.settings.data)

    def run(group: str, *words: str) -> str:
        done = CliRunner().invoke(getattr(commands, group), [*words, "--data", data])
        assert done.exit_code == 0, done.output
        return done.output

    made = run("keys", "create", "shop", "--requests-per-minute", "60", "--day-dollars", "5")
    key = re.findall(r"noria_[\w-]+", made)[0]
    assert "60 requests/min, $5.00/day" in run("keys", "list")
    assert "60 requests/min, 4 at a time, $5.00/day" in run("keys", "limit", key[-4:], "--concurrent", "4")
    assert run("keys", "limit", key[-4:], "--day-dollars", "0", "--reason", "free").endswith("4 at a time.\n")
    assert run("project", "limits") == "Project default: not limited.\n"
    assert "$90.00/month" in run("project", "limits", "--month-dollars", "90", "--reason", "budget")
    refused = CliRunner().invoke(commands.keys, ["limit", key[-4:], "--concurrent", "x", "--data", data])
    assert refused.exit_code == 1 and "not a whole number" in refused.output


def test_the_page(anybody: TestClient, first: FirstLogin) -> None:
    answer = anybody.post("/login", data={"email": first.email, "password": first.password, "next": "/settings/keys"})
    assert "Nothing is limited for the project as a whole." in answer.text
    found = re.search(r'name="csrf" value="([^"]+)"', answer.text)
    assert found
    token = {"csrf": found[1]}
    form = {"name": "app", "scope": "call", "requests_per_minute": "1,200", "day_dollars": "2.5", "concurrent": ""}
    made = anybody.post("/settings/keys", data={**token, **form})
    assert (
        "1,200 requests a minute" in made.text and "$2.50 a day" in made.text and "requests at a time" not in made.text
    )
    path = re.search(r"/settings/keys/[0-9a-f-]{36}/limits", made.text)
    assert path
    after = anybody.post(path[0], data={**token, "concurrent": "3", "day_dollars": "2.50", "reason": "calm"})
    assert "The limits of the key are changed." in after.text and "3 requests at a time" in after.text
    assert "1,200 requests a minute" not in after.text and "$2.50 a day" in after.text
    after = anybody.post("/settings/limits", data={**token, "month_dollars": "90"})
    assert "$90.00 a month" in after.text and "The limits of the project are changed." in after.text
    wrong = anybody.post("/settings/limits", data={**token, "month_dollars": "ninety"})
    assert wrong.status_code == 400 and "is not an amount of dollars" in wrong.text
