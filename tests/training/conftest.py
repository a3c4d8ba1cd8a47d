"""A project with a base model, a prompt and rows to train on."""

from dataclasses import dataclass
from typing import Any

import pytest

from noria.core.records import Message
from noria.datasets import service as datasets
from noria.datasets.records import DatasetVersion, Example
from noria.governance import service as governance
from noria.registry import models, prompts
from noria.serving import package
from noria.stores.connect import Stores
from noria.training import service
from noria.training.records import TrainingRun

TEMPLATE = "{{#messages}}{{role}}: {{content}}\n{{/messages}}call:"
PLACES = (
    "mill",
    "river",
    "garden",
    "bridge",
    "tower",
    "harbour",
    "field",
    "market",
    "station",
    "library",
    "school",
    "inn",
)


def asked(place: str, side: str) -> list[Message]:
    return [{"role": "user", "content": f"Please turn the wheel at the {place} to the {side}."}]


def answered(place: str, side: str) -> str:
    return f'{{"name":"TurnWheel","place":"{place}","side":"{side}"}}'


@dataclass
class Workshop:
    """Starts runs."""

    stores: Stores
    project_id: str
    actor_id: str
    key: str
    version: DatasetVersion

    def start(self, **options: Any) -> TrainingRun:
        asked_for = {"dataset": "wheels:1", "prompt": "call@1", "model": "wheels-lora", **options}
        return service.start(self.stores, project_id=self.project_id, actor_id=self.actor_id, **asked_for)

    def get(self, run: TrainingRun) -> TrainingRun:
        return service.get(self.stores, self.project_id, run.id)


@pytest.fixture
def workshop(stores: Stores) -> Workshop:
    """The base model is registered but its file need not be there."""
    first = governance.bootstrap(stores)
    assert first is not None
    with stores.database.begin() as connection:
        actor_id = _first_person(connection)
        models.ensure_local_base(
            connection,
            project_id=first.project_id,
            name=package.MODEL,
            path=str(package.model_path(stores.settings.folder)),
            sha256=package.SHA256,
            size=1,
        )
        prompts.create_prompt(connection, project_id=first.project_id, name="call", actor_id=actor_id)
        prompts.add_prompt_version(
            connection,
            project_id=first.project_id,
            name="call",
            format="text",
            template=TEMPLATE,
            actor_id=actor_id,
        )
    rows = [(place, side) for place in PLACES for side in ("left", "right")]
    examples = [
        Example(f"row-{n}", "train", [*asked(*row), {"role": "assistant", "content": answered(*row)}])
        for n, row in enumerate(rows)
    ]
    version = datasets.write_version(
        stores,
        project_id=first.project_id,
        name="wheels",
        examples=examples,
        parent_id=None,
        operation="import",
        report={},
        actor_id=actor_id,
    )
    return Workshop(stores, first.project_id, actor_id, first.key, version)


def _first_person(connection: Any) -> str:
    from sqlalchemy import select

    from noria.governance.tables import people

    return str(connection.execute(select(people.c.id)).scalar_one())
