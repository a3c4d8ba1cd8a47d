"""A project with a dataset version, a gateway to ask, and evaluations on them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import insert

from noria.core import clock, ids
from noria.core.settings import Settings
from noria.datasets import service as datasets
from noria.datasets.records import DatasetVersion, Example
from noria.evaluation import runs, service, tables
from noria.evaluation.records import Evaluation
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.governance.tables import people
from noria.jobs import service as jobs
from noria.jobs.context import JobContext
from noria.stores.connect import Stores
from tests.evaluation.gateway import StandInGateway

Conversation = tuple[str, str]
"""(what is said, the expected answer)"""


@pytest.fixture
def gateway() -> Iterator[StandInGateway]:
    serving = StandInGateway()
    yield serving
    serving.close()


@pytest.fixture
def settings(settings: Settings, gateway: StandInGateway) -> Settings:
    return replace(settings, gateway_port=gateway.port)


@pytest.fixture
def first(stores: Stores) -> FirstLogin:
    made = governance.bootstrap(stores)
    assert made is not None
    return made


@dataclass
class Laboratory:
    """Makes versions and evaluations and runs them in this process."""

    stores: Stores
    first: FirstLogin
    actor_id: str
    progress: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def project_id(self) -> str:
        return self.first.project_id

    def version(self, name: str, **splits: Sequence[Conversation]) -> DatasetVersion:
        """A version whose row ids are "test-0", "test-1", …"""
        examples = [
            Example(
                f"{split}-{index}",
                split,
                [{"role": "user", "content": said}, {"role": "assistant", "content": answer}],
            )
            for split, rows in splits.items()
            for index, (said, answer) in enumerate(rows)
        ]
        return datasets.write_version(
            self.stores,
            project_id=self.project_id,
            name=name,
            examples=examples,
            parent_id=None,
            operation="import",
            report={},
            actor_id=self.actor_id,
        )

    def evaluation(self, version: DatasetVersion, target: str = "assistant@1", **values: Any) -> Evaluation:
        """An evaluation as `service.start` makes it, of a release that need not exist."""
        evaluation_id = ids.new_id()
        options = {"concurrency": 4, "max_tokens": 96, "seed": 7, **values.pop("options", {})}
        job = jobs.start(
            self.stores,
            name="evaluation.run",
            args={"evaluation_id": evaluation_id},
            project_id=self.project_id,
            actor_id=self.actor_id,
        )
        release = "" if target.startswith("baseline:") else f"digest of {target}"
        row = {
            "id": evaluation_id,
            "project_id": self.project_id,
            "dataset_version_id": version.id,
            "dataset": version.name,
            "split": "test",
            "limit": None,
            "target": target,
            "release_id": "",
            "release_digest": release,
            "options": options,
            "job_id": job.id,
            "key_id": "",
            "cpu_seconds": 0.0,
            "author_id": self.actor_id,
            "created_at": clock.now(),
            **values,
        }
        with self.stores.database.begin() as connection:
            connection.execute(insert(tables.evaluations).values(row))
        return service.get(self.stores, self.project_id, evaluation_id)

    def context(self, evaluation: Evaluation) -> JobContext:
        return JobContext(
            evaluation.job_id,
            self.project_id,
            self.actor_id,
            {"evaluation_id": evaluation.id},
            self.stores,
            report=lambda *told: self.progress.append(told),
            point=lambda *_: None,
        )

    def run(self, evaluation: Evaluation) -> dict[str, Any]:
        """Run it here; its report."""
        report: dict[str, Any] = runs.run(self.context(evaluation))["report"]
        return report


@pytest.fixture
def laboratory(stores: Stores, first: FirstLogin, gateway: StandInGateway) -> Laboratory:
    gateway.stores = stores
    with stores.database.read() as connection:
        actor_id = connection.execute(people.select()).mappings().one()["id"]
    return Laboratory(stores, first, actor_id)


def call(name: str, **fields: Any) -> str:
    """A call as a target or an answer."""
    return json.dumps({"name": name, **fields}, ensure_ascii=False)


@pytest.fixture
def calls() -> Callable[[int], list[Conversation]]:
    """`calls(n)`: conversations whose target is a call, English and Korean."""

    def make(count: int) -> list[Conversation]:
        cities = ["서울", "부산", "Paris", "Lima", "Oslo"]
        return [
            (f"a hotel in {cities[i % 5]} for {i} nights", call("SearchHotel", city=cities[i % 5], nights=i))
            for i in range(count)
        ]

    return make
