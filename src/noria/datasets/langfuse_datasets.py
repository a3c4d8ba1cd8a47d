"""Datasets in Langfuse's words: made by any name, with metadata and schemas that their items must fit."""

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs
from sqlalchemy import func, select, update

from noria.core import checks
from noria.core.errors import BadInput
from noria.datasets import service, tables
from noria.datasets.items import Known
from noria.datasets.records import Dataset
from noria.datasets.runs import Run, RunItem
from noria.governance import audit
from noria.stores.connect import Stores
from noria.web.langfuse import check_known_as, slug, time_text

_MOST_ABOUT: Final = 200_000
SCHEMAS: Final = {"inputSchema": "input", "expectedOutputSchema": "expected output"}


def put(
    stores: Stores, *, project_id: str, name: str, description: str | None, about: Mapping[str, Any], actor_id: str
) -> Dataset:
    """Make a dataset, or change what is kept beside the one of this name; what is None stays. Raises BadInput."""
    check_known_as(name, "dataset")
    given = {key: value for key, value in about.items() if value is not None}
    checks.json_object(given, "What is kept beside a dataset", _MOST_ABOUT)
    for key in SCHEMAS:
        if key in given:
            _validator(given[key], key)
    own = slug(name)
    table = tables.datasets
    with stores.database.begin() as connection:
        known = (table.c.project_id == project_id) & ((table.c.known_as == name) | (table.c.name == name))
        dataset_id = connection.execute(select(table.c.id).where(known)).scalar()
        if dataset_id is None:
            known_as = "" if own == name else name
            dataset_id = service.create(
                connection,
                project_id=project_id,
                name=own,
                known_as=known_as,
                description=description or "",
                actor_id=actor_id,
            )
        before = connection.execute(select(table.c.about, table.c.description).where(table.c.id == dataset_id)).one()
        after = ({**before.about, **given}, before.description if description is None else description)
        if after != (before.about, before.description):
            values = {"about": after[0], "description": after[1]}
            connection.execute(update(table).where(table.c.id == dataset_id).values(values))
            audit.record(
                connection,
                project_id=project_id,
                actor_id=actor_id,
                verb="dataset.describe",
                target_kind="dataset",
                target_id=dataset_id,
                details={"fields": sorted(given)},
            )
    return service.find_known(stores, project_id, name)


def list_page(stores: Stores, project_id: str, *, page: int, limit: int) -> tuple[list[Dataset], int]:
    """By name, and how many there are."""
    table = tables.datasets
    with stores.database.read() as connection:
        count = select(func.count()).select_from(table).where(table.c.project_id == project_id)
        total = connection.execute(count).scalar_one()
        names = select(table.c.name).where(table.c.project_id == project_id).order_by(table.c.name)
        shown = connection.execute(names.limit(limit).offset((page - 1) * limit)).scalars().all()
    return [service.get(stores, project_id, name) for name in shown], total


def find_by_id(stores: Stores, project_id: str, dataset_id: str) -> Dataset:
    """Raises NotFound."""
    table = tables.datasets
    query = select(table.c.name).where(table.c.id == dataset_id, table.c.project_id == project_id)
    with stores.database.read() as connection:
        name = connection.execute(query).scalar()
    return service.get(stores, project_id, name or "")


def check_item(dataset: Dataset, given: Mapping[str, Any]) -> None:
    """Raise BadInput for a side that does not fit its schema; `given` maps the schema's key to the value."""
    for key, value in given.items():
        schema = dataset.about.get(key)
        if schema is None or value is None:
            continue
        error = next(iter(_validator(schema, key).iter_errors(value)), None)
        if error is not None:
            where = "".join(f"[{step!r}]" for step in error.instance_path)
            rule = "/".join(str(step) for step in error.schema_path)
            raise BadInput(
                f"The item's {SCHEMAS[key]}{where} does not fit the dataset's schema (at {rule}); it was not kept.",
                hint=f"GET /api/public/v2/datasets/{dataset.known_as or dataset.name} shows the schema.",
            )


def dataset_as_theirs(dataset: Dataset) -> dict[str, Any]:
    """A dataset in their words."""
    return {
        "id": dataset.id,
        "name": dataset.known_as or dataset.name,
        "description": dataset.description or None,
        "metadata": dataset.about.get("metadata"),
        "inputSchema": dataset.about.get("inputSchema"),
        "expectedOutputSchema": dataset.about.get("expectedOutputSchema"),
        "projectId": dataset.project_id,
        "createdAt": time_text(dataset.created_at),
        "updatedAt": time_text(dataset.changed_at or dataset.created_at),
    }


def item_as_theirs(known: Known) -> dict[str, Any]:
    """An item in their words, but for its media."""
    item = known.item
    return {
        "id": item.id,
        "status": "ARCHIVED" if known.archived else "ACTIVE",
        "input": item.input,
        "expectedOutput": item.expected_output,
        "metadata": item.metadata,
        "sourceTraceId": item.trace_id or None,
        "sourceObservationId": item.observation_id or None,
        "datasetId": known.dataset.id,
        "datasetName": known.dataset.known_as or known.dataset.name,
        "createdAt": time_text(known.created_at),
        "updatedAt": time_text(known.updated_at),
        "mediaReferences": [],
    }


def run_as_theirs(dataset: Dataset, run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "description": run.description or None,
        "metadata": run.about,
        "datasetId": dataset.id,
        "datasetName": dataset.known_as or dataset.name,
        "createdAt": time_text(run.created_at),
        "updatedAt": time_text(run.updated_at),
    }


def run_item_as_theirs(run: Run, item: RunItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "datasetRunId": run.id,
        "datasetRunName": run.name,
        "datasetItemId": item.item_id,
        "traceId": item.trace_id,
        "observationId": item.observation_id or None,
        "createdAt": time_text(item.created_at),
        "updatedAt": time_text(item.created_at),
    }


def _validator(schema: Any, key: str) -> Any:
    if not isinstance(schema, dict):
        raise BadInput(f"{key} is a JSON schema.")
    try:
        return jsonschema_rs.validator_for(schema)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise BadInput(f"{key} is no JSON schema that can be used.") from error
