"""Stores on both SQL engines, three people, and an endpoint with what its releases are made of."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from noria.core.settings import Settings
from noria.governance import service as governance
from noria.governance.slice import SLICE as GOVERNANCE
from noria.registry import service
from noria.registry.records import Endpoint, Release
from noria.registry.slice import SLICE as REGISTRY
from noria.stores.connect import Stores
from noria.stores.sql import Database, metadata
from noria.web import application

PASSWORD = "a long enough password"
GATE: list[dict[str, Any]] = [
    {"kind": "score", "metric": "field_f1", "versus": "primary", "require": "better", "alpha": 0.05, "at_least": 0.6},
    {"kind": "score", "metric": "valid", "at_least": 0.97},
    {"kind": "approvals", "count": 1},
]
BASE_SHA = hashlib.sha256(b"base").hexdigest()


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_stores(request: pytest.FixtureRequest, settings: Settings, stores: Stores) -> Iterator[Stores]:
    """Stores with all tables, on either SQL engine."""
    if request.param == "sqlite":
        yield stores
        return
    own = Stores(settings)
    own.__dict__["database"] = Database(request.getfixturevalue("postgres_server"))
    metadata.create_all(own.database.engine)
    with own.database.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(table.name for table in metadata.sorted_tables)} CASCADE"))
    yield own
    own.close()


@dataclass
class World:
    """An installation with an endpoint named "assistant" whose gate is GATE, and people to act on it."""

    stores: Stores
    project_id: str
    author: str
    reviewer: str
    other: str
    keys: dict[str, str]
    """Manage keys by role: editor, reviewer, admin."""

    def release(self, **content: Any) -> Release:
        given = {"provider": "hosted", "model": "small", "endpoint": "assistant", **content}
        with self.stores.database.begin() as connection:
            return service.create_release(connection, project_id=self.project_id, actor_id=self.author, **given)

    def evaluated(self, release: Release, score: float = 0.7) -> None:
        report = {
            "main_metric": "field_f1",
            "metrics": {"field_f1": {"value": score, "low": score - 0.05, "high": score + 0.05, "n": 200}},
            "latency": {"p50_ms": 400, "p95_ms": 900},
            "tokens": {"prompt_mean": 37},
            "dataset": "calls:2",
            "split": "test",
            "n": 200,
        }
        with self.stores.database.begin() as connection:
            service.mark_evaluated(
                connection,
                project_id=self.project_id,
                release_id=release.id,
                digest=release.digest,
                evaluation_id=f"evaluation-{release.number}",
                report=report,
                actor_id=self.author,
            )

    def gate(self, release: Release, *, passed: bool = True, digest: str = "") -> None:
        endpoint = self.endpoint
        with self.stores.database.begin() as connection:
            service.record_gate(
                connection,
                project_id=self.project_id,
                release_id=release.id,
                digest=digest or release.digest,
                passed=passed,
                clauses=[
                    {"clause": clause, "passed": None if clause["kind"] == "approvals" else passed, "text": "Said so."}
                    for clause in endpoint.gate
                ],
                evaluation_id=f"evaluation-{release.number}",
                p_value=0.001,
                actor_id=self.author,
            )

    def approve(self, release: Release, actor_id: str = "", reason: str = "checked 20 rows") -> Release:
        with self.stores.database.begin() as connection:
            return service.approve(
                connection,
                project_id=self.project_id,
                endpoint=release.endpoint,
                number=release.number,
                reason=reason,
                actor_id=actor_id or self.reviewer,
            )

    def ready(self, **content: Any) -> Release:
        """A release that may take traffic."""
        release = self.release(**content)
        self.evaluated(release)
        self.gate(release)
        return self.approve(release)

    def promote(self, number: int, reason: str = "because") -> Endpoint:
        return service.promote(
            self.stores,
            project_id=self.project_id,
            endpoint="assistant",
            number=number,
            reason=reason,
            actor_id=self.reviewer,
        )

    def canary(self, number: int, share: float = 0.25) -> Endpoint:
        return service.canary(
            self.stores,
            project_id=self.project_id,
            endpoint="assistant",
            number=number,
            share=share,
            reason="because",
            actor_id=self.reviewer,
        )

    def shadow(self, number: int, share: float = 1.0) -> Endpoint:
        return service.shadow(
            self.stores,
            project_id=self.project_id,
            endpoint="assistant",
            number=number,
            share=share,
            reason="listen first",
            actor_id=self.reviewer,
        )

    def unshadow(self) -> Endpoint:
        return service.unshadow(
            self.stores, project_id=self.project_id, endpoint="assistant", reason="heard enough", actor_id=self.reviewer
        )

    def rollback(self) -> Endpoint:
        return service.rollback(
            self.stores, project_id=self.project_id, endpoint="assistant", reason="it fails", actor_id=self.reviewer
        )

    def state(self, number: int) -> str:
        return service.get_release(self.stores, self.project_id, "assistant", number).state

    @property
    def endpoint(self) -> Endpoint:
        with self.stores.database.read() as connection:
            return service.find_endpoint(connection, self.project_id, "assistant")

    def local_base(self) -> str:
        """A base model that a local engine could load; its name."""
        with self.stores.database.begin() as connection:
            return service.ensure_local_base(
                connection, project_id=self.project_id, name="base", path="/models/base.gguf", sha256=BASE_SHA, size=4
            ).name

    def adapter(self, content: bytes = b"adapter", name: str = "calls-lora") -> str:
        """A version of an adapter over the base; its name."""
        base = self.local_base()
        digest = self.stores.files.put(content)
        with self.stores.database.begin() as connection:
            return service.add_model_version(
                connection,
                project_id=self.project_id,
                name=name,
                kind="adapter",
                files=[{"name": "adapter.gguf", "sha256": digest, "size": len(content), "role": "adapter_gguf"}],
                base_id=service.find_model_version(connection, self.project_id, base).id,
                lineage={"training_run_id": "run-7", "dataset_version_id": "dataset-3", "recipe": "lora_sft"},
                actor_id=self.author,
            ).name

    def engines(self, state: str, *keys: str) -> None:
        """Say what runs, as the supervisor does."""
        path = self.stores.settings.folder.engines
        path.parent.mkdir(parents=True, exist_ok=True)
        entry = {"url": "http://127.0.0.1:1", "state": state, "pid": 1, "error": "no memory" * (state == "failed")}
        path.write_text(json.dumps(dict.fromkeys(keys, entry)))


@pytest.fixture
def world(registry_stores: Stores) -> World:
    first = governance.bootstrap(registry_stores)
    assert first is not None
    people, keys = {}, {"admin": first.key}
    with registry_stores.database.begin() as connection:
        for name, role in (("author", "editor"), ("reviewer", "reviewer"), ("other", "reviewer"), ("owner", "admin")):
            person, _ = governance.add_person(
                connection,
                project_id=first.project_id,
                email=f"{name}@example.org",
                name=name.title(),
                role=role,
                password=PASSWORD,
                actor_id="",
            )
            people[name] = person.id
            _, keys[name] = governance.mint_key(
                connection, project_id=first.project_id, name=name, scope="manage", role=role, actor_id=person.id
            )
        service.create_endpoint(
            connection, project_id=first.project_id, name="assistant", gate=GATE, actor_id=people["author"]
        )
    service.add_provider(
        registry_stores,
        project_id=first.project_id,
        name="hosted",
        kind="openai",
        base_url="http://127.0.0.1:9/v1",
        api_key="sk-secret-provider-key",
        actor_id="",
    )
    return World(registry_stores, first.project_id, people["author"], people["reviewer"], people["other"], keys)


class Client:
    """The whole application, asked by one person."""

    def __init__(self, client: TestClient, world: World) -> None:
        self._client = client
        self._world = world

    def ask(self, who: str, method: str, path: str, **options: Any) -> Any:
        headers = {"authorization": f"Bearer {self._world.keys[who]}"}
        return self._client.request(method, path, headers=headers, **options)


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    app = application.create((GOVERNANCE, REGISTRY), world.stores, governance.authenticate)
    with TestClient(app) as inner:
        yield Client(inner, world)
