"""Results row by row: filtered and paged for readers, whole for the report and for comparisons.

What was asked and expected is not kept with a result; it is read from the dataset version for the rows that are shown.
"""

from typing import Any

from sqlalchemy import func, select

from noria.core.errors import BadInput
from noria.datasets import service as datasets
from noria.evaluation import tables
from noria.evaluation.records import Evaluation, Result
from noria.stores.connect import Stores
from noria.web import paging


def browse(
    stores: Stores,
    evaluation: Evaluation,
    *,
    only: str = "",
    limit: int = 50,
    cursor: str | None = None,
) -> paging.Page[dict[str, Any]]:
    """Results in the order of the dataset, each with what was asked and expected; `only` "wrong", "invalid" or "failed"."""
    table = tables.results
    query = select(*_result_columns()).where(table.c.evaluation_id == evaluation.id)
    if only == "wrong":
        query = query.where(table.c.correct.is_(False))
    elif only == "invalid":
        query = query.where(table.c.valid.is_(False))
    elif only == "failed":
        query = query.where(table.c.error != "")
    elif only:
        raise BadInput(f"Rows cannot be filtered by {only[:40]!r}.", hint="One of wrong, invalid, failed.")
    if after := paging.decode(cursor, int):
        query = query.where(table.c.position > after[0])
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(table.c.position).limit(limit + 1)).mappings().all()
    page = paging.cut([Result(**row) for row in rows], limit, lambda one: [one.position])
    return paging.Page(with_examples(stores, evaluation, page.items), page.next)


def with_examples(stores: Stores, evaluation: Evaluation, found: list[Result]) -> list[dict[str, Any]]:
    """Results as JSON, with `input` (messages) and `expected` from the dataset version."""
    from noria.datasets import parquet

    version = datasets.get_version(stores, evaluation.project_id, evaluation.dataset_version_id)
    examples = parquet.at(datasets.part_paths(stores, version), [one.position for one in found])
    return [
        {name: getattr(one, name) for name in Result.__slots__}
        | {"input": examples[one.position].input, "expected": examples[one.position].target}
        for one in found
    ]


def row_counts(stores: Stores, evaluation: Evaluation) -> dict[str, int]:
    """How many rows each filter of `browse` lets through; "" is all."""
    table = tables.results
    columns = {
        "": func.count(),
        "wrong": func.count().filter(table.c.correct.is_(False)),
        "invalid": func.count().filter(table.c.valid.is_(False)),
        "failed": func.count().filter(table.c.error != ""),
    }
    query = select(*columns.values()).where(table.c.evaluation_id == evaluation.id)
    with stores.database.read() as connection:
        return dict(zip(columns, connection.execute(query).one(), strict=True))


def differing(
    stores: Stores, a: Evaluation, b: Evaluation, *, limit: int = 25, cursor: str | None = None
) -> paging.Page[dict[str, Any]]:
    """Rows that exactly one of two got right, with both answers as `a` and `b`."""
    first, second = tables.results.alias("first"), tables.results.alias("second")
    columns = [first.c[name] for name in Result.__slots__]
    query = (
        select(*columns, second.c.output.label("other"), second.c.error.label("other_error"))
        .join(second, (second.c.row_id == first.c.row_id) & (second.c.evaluation_id == b.id))
        .where(first.c.evaluation_id == a.id, first.c.correct != second.c.correct)
    )
    if after := paging.decode(cursor, int):
        query = query.where(first.c.position > after[0])
    with stores.database.read() as connection:
        rows = connection.execute(query.order_by(first.c.position).limit(limit + 1)).mappings().all()
    page = paging.cut([dict(row) for row in rows], limit, lambda row: [row["position"]])
    results = [Result(**{name: row[name] for name in Result.__slots__}) for row in page.items]
    told = with_examples(stores, a, results)
    joined = [
        {
            **one,
            "a": row["output"] or row["error"],
            "b": row["other"] or row["other_error"],
            "gained": not row["correct"],
        }
        for one, row in zip(told, page.items, strict=True)
    ]
    return paging.Page(joined, page.next)


def all_results(stores: Stores, evaluation: Evaluation) -> list[Result]:
    """Every result, in the order of the dataset."""
    table = tables.results
    query = select(*_result_columns()).where(table.c.evaluation_id == evaluation.id).order_by(table.c.position)
    with stores.database.read() as connection:
        return [Result(**row) for row in connection.execute(query).mappings()]


def counts(stores: Stores, evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """The counts of every row, by row id."""
    table = tables.results
    query = select(table.c.row_id, table.c.scores).where(table.c.evaluation_id == evaluation.id)
    with stores.database.read() as connection:
        return {row.row_id: row.scores for row in connection.execute(query)}


def _result_columns() -> list[Any]:
    return [tables.results.c[name] for name in Result.__slots__]
