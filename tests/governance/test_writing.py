"""Several projects: who lets a key write to another one, who ends it, and that a key or an admin of one project gets into no other."""

import re
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from noria.core.errors import BadInput, Conflict, Forbidden, NotFound
from noria.governance import audit, commands, people, projects, service, sessions, writing
from noria.governance.records import FirstLogin, KeyRow
from noria.stores.connect import Stores
from tests.governance.conftest import PASSWORD


@dataclass
class Two:
    """The first project, and "shop", in which the first admin is an admin too; "lab" has people of its own."""

    stores: Stores
    home: str
    shop: str
    lab: str
    admin: str

    def key(self, *named: str) -> tuple[KeyRow, str]:
        """A key of the first project that the owner lets into others."""
        with self.stores.database.begin() as connection:
            return service.mint_key(
                connection,
                project_id=self.home,
                name="sender",
                scope="write_traces",
                projects=writing.found(connection, self.home, named),
                actor_id="",
            )

    def writable(self, key: str) -> set[str]:
        caller = sessions.of_key(self.stores, key)
        assert caller is not None
        with self.stores.database.read() as connection:
            return set(writing.writable(connection, caller).values())

    def verbs(self, project_id: str) -> list[str]:
        with self.stores.database.read() as connection:
            return [entry.verb for entry in audit.entries(connection, project_id).items]


@pytest.fixture
def two(stores: Stores, first: FirstLogin) -> Two:
    with stores.database.begin() as connection:
        shop = projects.create_project(connection, "shop").id
        lab = projects.create_project(connection, "lab").id
        people.join_project(connection, project_id=shop, email=first.email, role="admin", actor_id="")
        people.add_person(
            connection,
            project_id=lab,
            email="lab@example.org",
            name="Lab",
            role="admin",
            password=PASSWORD,
            actor_id="",
        )
        admin = people.find_person(connection, first.project_id, first.email).id
    return Two(stores, first.project_id, shop, lab, admin)


def sign_in(client: TestClient, email: str, password: str) -> dict[str, str]:
    client.headers.pop("authorization", None)
    return {"x-csrf-token": client.post("/api/login", json={"email": email, "password": password}).json()["csrf"]}


def test_a_key_writes_to_its_project_and_those_it_was_let_into(two: Two) -> None:
    row, key = two.key("shop")
    assert row.projects == ("shop",)
    assert two.writable(key) == {two.home, two.shop}
    assert two.verbs(two.shop)[0] == "key.admit" and "key.admit" not in two.verbs(two.home)
    _, bound = two.key()
    assert two.writable(bound) == {two.home}


def test_a_key_of_another_project_ends_at_a_word_of_either(two: Two) -> None:
    row, key = two.key("shop", two.lab)
    with two.stores.database.begin() as connection:
        assert [guest.project for guest in writing.guests(connection, two.shop)] == ["default"]
        writing.withdraw(connection, project_id=two.shop, key_id=row.id, actor_id="", reason="moved")
        with pytest.raises(NotFound):
            writing.withdraw(connection, project_id=two.shop, key_id=row.id, actor_id="")
        assert service.get_key(connection, two.home, row.id).projects == ("lab",)
    assert two.writable(key) == {two.home, two.lab}
    assert two.verbs(two.shop)[0] == two.verbs(two.home)[0] == "key.withdraw"
    with two.stores.database.begin() as connection:
        with pytest.raises(NotFound):  # a guest's project has no word about the key itself
            service.revoke_key(connection, project_id=two.lab, key_id=row.id, actor_id="")
        service.revoke_key(connection, project_id=two.home, key_id=row.id, actor_id="")
        assert writing.guests(connection, two.lab) == []
    assert sessions.of_key(two.stores, key) is None


@pytest.mark.parametrize("scope", ["call", "candidate", "manage"])
def test_only_keys_that_write_traces_go_elsewhere(two: Two, scope: str) -> None:
    more = {"manage": {"role": "admin"}, "candidate": {"release": "a@1"}}.get(scope, {})
    with two.stores.database.begin() as connection, pytest.raises(BadInput, match="stays in its project"):
        where = {"project_id": two.home, "name": "k", "actor_id": ""}
        service.mint_key(connection, scope=scope, projects=[two.shop], **where, **more)  # type: ignore[arg-type]


def test_the_api_lets_admins_of_both_and_in_person(anybody: TestClient, two: Two, first: FirstLogin) -> None:
    wanted = {"name": "sender", "scope": "write_traces", "projects": ["shop"]}
    by_key = anybody.post("/api/keys", json=wanted, headers={"authorization": f"Bearer {first.key}"})
    assert by_key.status_code == 403 and "A key stays in its project" in by_key.text
    token = sign_in(anybody, first.email, first.password)
    for strange in ("lab", two.lab, "nowhere"):
        refused = anybody.post("/api/keys", json={**wanted, "projects": ["shop", strange]}, headers=token)
        assert refused.status_code == 403 and f"not an admin of a project '{strange}'" in refused.json()["detail"]
    with two.stores.database.begin() as connection:
        assert [key.name for key in service.list_keys(connection, two.home)] == ["first key"], "nothing was made"
    made = anybody.post("/api/keys", json={**wanted, "projects": ["shop", two.home]}, headers=token).json()
    assert two.writable(made["key"]) == {two.home, two.shop}
    listed = anybody.get("/api/keys").json()["items"]
    assert [key["projects"] for key in listed] == [["shop"], []]
    with two.stores.database.begin() as connection:
        people.add_person(
            connection,
            project_id=two.shop,
            email="b@example.org",
            name="",
            role="admin",
            password=PASSWORD,
            actor_id="",
        )
        people.set_role(connection, project_id=two.shop, person_id=two.admin, role="editor", actor_id="")
    assert anybody.post("/api/keys", json=wanted, headers=token).status_code == 403, "an editor there lets nothing in"


def test_the_api_ends_it(anybody: TestClient, two: Two) -> None:
    row, key = two.key("lab")
    token = sign_in(anybody, "lab@example.org", PASSWORD)
    assert [guest["id"] for guest in anybody.get("/api/guest-keys").json()["items"]] == [row.id]
    assert anybody.get("/api/keys").json()["items"] == [], "it is not a key of this project"
    assert anybody.delete(f"/api/guest-keys/{row.id}", headers=token).status_code == 204
    assert anybody.delete(f"/api/guest-keys/{row.id}", headers=token).status_code == 404
    assert two.writable(key) == {two.home}


def test_no_admin_gets_into_another_project_by_a_password(two: Two, first: FirstLogin) -> None:
    with two.stores.database.begin() as connection:
        _, lab = people.add_person(
            connection, project_id=two.shop, email="s@example.org", name="", role="admin", actor_id=""
        )
        shop_admin = people.find_person(connection, two.shop, "s@example.org").id
        with pytest.raises(Forbidden, match="works in other projects too"):
            people.set_password(connection, project_id=two.shop, person_id=two.admin, actor_id=shop_admin)
        with pytest.raises(Conflict):  # nor by adding somebody's account to one's own project
            people.add_person(connection, project_id=two.lab, email=first.email, name="", role="viewer", actor_id="x")
        assert people.set_password(connection, project_id=two.shop, person_id=shop_admin, actor_id=two.admin)
    assert lab
    assert sessions.login(two.stores, first.email, first.password).caller.id == two.admin


def test_people_change_between_their_projects(anybody: TestClient, two: Two, first: FirstLogin) -> None:
    token = sign_in(anybody, first.email, first.password)
    mine = anybody.get("/api/me/projects").json()["items"]
    assert [(one["name"], one["role"]) for one in mine] == [("default", "admin"), ("shop", "admin")]
    assert anybody.post("/api/me/project", json={"project_id": two.lab}, headers=token).status_code == 404
    assert anybody.get("/api/me").json()["project_id"] == two.home
    assert anybody.post("/api/me/project", json={"project_id": two.shop}).status_code == 403, "without the token"
    assert anybody.post("/api/me/project", json={"project_id": two.shop}, headers=token).json() == {"done": True}
    assert anybody.get("/api/me").json()["project_id"] == two.shop
    assert two.verbs(two.shop)[0] == "session.switch"
    anybody.cookies.clear()
    bearer = {"authorization": f"Bearer {first.key}"}
    assert anybody.post("/api/me/project", json={"project_id": two.shop}, headers=bearer).status_code == 403
    assert [one["id"] for one in anybody.get("/api/me/projects", headers=bearer).json()["items"]] == [two.home]


def test_the_pages(anybody: TestClient, two: Two, first: FirstLogin) -> None:
    page = anybody.post("/login", data={"email": first.email, "password": first.password, "next": "/settings/keys"})
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found and f'name="projects" value="{two.shop}"' in page.text and two.lab not in page.text
    token = {"csrf": found[1]}
    form = {**token, "name": "sender", "scope": "write_traces", "projects": [two.shop]}
    made = anybody.post("/settings/keys", data=form)
    assert "also writes to shop" in made.text
    key = re.search(r"<code>(noria_[\w-]+)</code>", made.text)
    assert key and two.writable(key[1]) == {two.home, two.shop}
    assert anybody.post("/settings/keys", data={**form, "projects": [two.lab]}).status_code == 403
    assert anybody.post("/settings/my-project", data={**token, "project_id": two.shop}).status_code != 403
    there = anybody.get("/settings/keys").text
    assert "Keys of other projects that write here" in there and "sender" in there
    guest = re.search(r"/settings/guest-keys/([\w-]+)/withdraw", there)
    assert guest
    after = anybody.post(f"/settings/guest-keys/{guest[1]}/withdraw", data={**token, "reason": "done"})
    assert "The key writes here no more." in after.text and "Keys of other projects" not in after.text
    assert two.writable(key[1]) == {two.home}
    assert "Your projects" in anybody.get("/settings").text


def test_the_commands(stores: Stores, first: FirstLogin, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(group: str, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(getattr(commands, group), [*words, "--data", str(stores.settings.data)])
        assert done.exit_code == code, done.output
        return done.output

    assert "Made the project shop" in run("project", "create", "shop", "--admin", first.email)
    assert "already" in run("project", "create", "shop", "--admin", first.email, code=1)
    for wrong in ("", "a/b", "x" * 81, "0" * 32):
        assert "cannot be the name" in run("project", "create", wrong, "--admin", first.email, code=1)
    assert "Nobody has an account" in run("project", "create", "lab", "--admin", "no@example.org", code=1)
    assert "lab" not in run("project", "list"), "all or nothing"
    made = run("keys", "create", "sender", "--scope", "write_traces", "--writes-to", "shop")
    assert "There is no project 'lab'" in run(
        "keys", "create", "k", "--scope", "write_traces", "--writes-to", "lab", code=1
    )
    assert "(also writes to shop)" in run("keys", "list")
    monkeypatch.setenv("NORIA_PROJECT", "shop")
    guest = run("keys", "list")
    assert "(of default)" in guest and "first key" not in guest
    assert "Added" in run("people", "add", "lee@example.org", "--role", "viewer")
    assert "There is an account" in run("people", "add", "lee@example.org", code=1)
    assert "no more" in run("keys", "withdraw", guest.split()[0])
    assert run("keys", "list") == ""
    key = re.findall(r"noria_[\w-]+", made)[0]
    caller = sessions.of_key(stores, key)
    assert caller is not None and caller.project_id == first.project_id
    monkeypatch.setenv("NORIA_PROJECT", first.project_id)
    assert "is now editor in this project too" in run("people", "add", "lee@example.org", "--role", "editor")
    assert "lee@example.org" in run("people", "list")
    monkeypatch.setenv("NORIA_PROJECT", "nowhere")
    assert "There is no project 'nowhere'" in run("keys", "list", code=1)
