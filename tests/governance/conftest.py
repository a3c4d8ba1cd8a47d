"""A started installation, and clients that speak to it as somebody."""

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from noria.governance import people, service
from noria.governance.records import FirstLogin
from noria.governance.slice import SLICE
from noria.stores.connect import Stores
from noria.web import application

PASSWORD = "a long enough password"


@pytest.fixture
def first(stores: Stores) -> FirstLogin:
    """The first admin."""
    made = service.bootstrap(stores)
    assert made is not None
    return made


@pytest.fixture
def anybody(stores: Stores, first: FirstLogin) -> Iterator[TestClient]:
    """A client without a key or session."""
    app = application.create((SLICE,), stores, service.authenticate)
    with TestClient(app) as client:
        yield client


@pytest.fixture
def admin(anybody: TestClient, first: FirstLogin) -> TestClient:
    """The first admin's key."""
    anybody.headers["authorization"] = f"Bearer {first.key}"
    return anybody


@pytest.fixture
def person(stores: Stores, first: FirstLogin) -> Callable[[str], str]:
    """Adds a person with a role; returns their address. Everybody's password is PASSWORD."""

    def add(role: str) -> str:
        with stores.database.begin() as connection:
            made, _ = people.add_person(
                connection,
                project_id=first.project_id,
                email=f"{role}@example.org",
                name=role.title(),
                role=role,
                password=PASSWORD,
                actor_id="",
            )
        return made.email

    return add
