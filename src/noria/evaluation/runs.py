"""One evaluation run: every chosen row is answered, judged and kept; then the report is computed.

In: the evaluation's row and its dataset version. Out: rows in evaluation_results and the report. The decision to know: results are
written about once a second, each with the counts of all scorers, so a run that was killed goes on with the rows that
have no result yet, and scores can be compared later without the answers.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import insert, select, update

from noria.datasets import service as datasets
from noria.evaluation import baselines, report, results, rows, service, tables
from noria.evaluation.asking import Reply, Target
from noria.evaluation.cpu import CpuClock
from noria.evaluation.records import Evaluation, Result
from noria.evaluation.rows import Row, Rows
from noria.evaluation.scorers import Answer, judge
from noria.governance import service as governance
from noria.jobs.context import JobContext
from noria.registry import releases

_WRITE_EVERY = 1.0
_WRITE_ROWS = 200
_KEY_HOURS = 24.0


def run(context: JobContext) -> dict[str, Any]:
    """The job "evaluation.run" with the argument `evaluation_id`."""
    stores = context.stores
    evaluation = service.get(stores, context.project_id, str(context.args["evaluation_id"]))
    if evaluation.report is None:
        version = datasets.get_version(stores, context.project_id, evaluation.dataset_version_id)
        context.progress(0, 0, "choosing rows")
        chosen = rows.choose(stores, version, split=evaluation.split, limit=evaluation.limit)
        _Run(context, evaluation, chosen, lambda: _learning_rows(context, evaluation)).play()
        evaluation = service.get(stores, context.project_id, evaluation.id)
    return {"evaluation_id": evaluation.id, "report": evaluation.report}


def _learning_rows(context: JobContext, evaluation: Evaluation) -> list[Row]:
    """What a baseline may learn from: the train split, or all splits but the evaluated one when none has that name."""
    version = datasets.get_version(context.stores, context.project_id, evaluation.dataset_version_id)
    names = [name for name in version.splits if name != evaluation.split]
    names = ["train"] if "train" in names else names
    return [row for name in names for row in rows.read(context.stores, version, name)]


class _Run:
    """The work between "these rows" and "this report"."""

    def __init__(
        self, context: JobContext, evaluation: Evaluation, chosen: Rows, learn_from: Callable[[], list[Row]]
    ) -> None:
        self.context = context
        self.stores = context.stores
        self.evaluation = evaluation
        self.rows = chosen
        self.learn_from = learn_from
        self.done = 0
        self.waiting: list[Result] = []
        self.written_at = time.monotonic()
        self.cpu = CpuClock(self.stores.settings, evaluation)

    def play(self) -> None:
        answered = self._answered()
        remaining = [row for row in self.rows.chosen if row.row_id not in answered]
        self.done = len(self.rows.chosen) - len(remaining)
        self._progress("starting")
        try:
            if self.evaluation.baseline:
                self._run_baseline(remaining)
            elif remaining:
                with self._candidate_key() as key:
                    asyncio.run(self._run_release(remaining, key))
        finally:
            self._write()
        self._finish()

    def _answered(self) -> set[str]:
        query = select(tables.results.c.row_id).where(tables.results.c.evaluation_id == self.evaluation.id)
        with self.stores.database.read() as connection:
            return set(connection.execute(query).scalars())

    def _progress(self, note: str) -> None:
        self.context.progress(self.done, len(self.rows.chosen), note)

    def _run_baseline(self, remaining: list[Row]) -> None:
        answer_of = baselines.fit(self.evaluation.baseline, self.learn_from(), self.rows.task)
        for row in remaining:
            began = time.perf_counter()
            text = answer_of(row)
            self._keep(row, Reply(text=text, finish_reason="stop", latency_ms=(time.perf_counter() - began) * 1000))
            if self._due():
                self._write()
            self._progress("answering")

    @contextlib.contextmanager
    def _candidate_key(self) -> Iterator[str]:
        """A key that may call this one release, revoked at the end; one that a killed run left behind is revoked first."""
        self._revoke_key()
        with self.stores.database.begin() as connection:
            row, key = governance.mint_key(
                connection,
                project_id=self.context.project_id,
                name=f"evaluation of {self.evaluation.target}",
                scope="candidate",
                release=self.evaluation.target,
                live=False,
                ttl_hours=_KEY_HOURS,
                actor_id=self.context.actor_id,
            )
            connection.execute(self._change(key_id=row.id))
            if self.evaluation.release_id:
                release = releases.get_release_by_id(connection, self.context.project_id, self.evaluation.release_id)
                releases.touch(connection, release)  # the job may have waited long enough for its engine to sleep
        try:
            yield key
        finally:
            self._revoke_key()

    def _revoke_key(self) -> None:
        table = tables.evaluations
        with self.stores.database.begin() as connection:
            key_id = connection.execute(select(table.c.key_id).where(table.c.id == self.evaluation.id)).scalar()
            if key_id:
                governance.revoke_key(
                    connection,
                    project_id=self.context.project_id,
                    key_id=key_id,
                    actor_id=self.context.actor_id,
                    reason="the evaluation ended",
                )
                connection.execute(self._change(key_id=""))

    def _change(self, **values: Any) -> Any:
        return update(tables.evaluations).where(tables.evaluations.c.id == self.evaluation.id).values(**values)

    async def _run_release(self, remaining: list[Row], key: str) -> None:
        options = self.evaluation.options
        settings = self.stores.settings
        target = Target(
            settings.gateway_url,
            key,
            self.evaluation.target,
            options["max_tokens"],
            timeout=settings.provider_total_timeout,
        )
        async with target:
            await self._wake(target, remaining[0])
            await self._ask_all(target, remaining, options["concurrency"])

    async def _wake(self, target: Target, row: Row) -> None:
        waking = asyncio.create_task(target.wake(row.messages))
        try:
            while not waking.done():
                self._progress("waiting for the release to answer")
                await asyncio.wait({waking}, timeout=1.0)
            waking.result()
        finally:
            waking.cancel()

    async def _ask_all(self, target: Target, remaining: list[Row], concurrency: int) -> None:
        queue, running = iter(remaining), dict[asyncio.Task[Reply], Row]()
        try:
            while True:
                for row in islice(queue, concurrency - len(running)):
                    running[asyncio.create_task(target.ask(row.row_id, row.messages))] = row
                if not running:
                    return
                ended, _ = await asyncio.wait(running, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    self._keep(running.pop(task), task.result())
                if self._due():
                    await asyncio.to_thread(self._write)
                self._progress("answering")
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _keep(self, row: Row, reply: Reply) -> None:
        answer = Answer(row.expected, reply.text, not reply.error and reply.finish_reason != "length", self.rows.labels)
        scores = judge(self.rows.task, answer)
        self.waiting.append(
            Result(
                row_id=row.row_id,
                position=row.position,
                output=reply.text,
                scores=scores,
                correct=bool(scores.get("accuracy") or scores.get("exact_match")),
                valid=bool(scores.get("valid")),
                latency_ms=reply.latency_ms,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                finish_reason=reply.finish_reason,
                error=reply.error,
                trace_id=reply.trace_id,
            )
        )
        self.done += 1

    def _due(self) -> bool:
        return len(self.waiting) >= _WRITE_ROWS or time.monotonic() - self.written_at > _WRITE_EVERY

    def _write(self) -> None:
        """Store what waits, with the CPU time that it took."""
        self.written_at = time.monotonic()
        batch, self.waiting = self.waiting, []
        cpu = self.cpu.seconds()
        with self.stores.database.begin() as connection:
            if batch:
                fixed = {"evaluation_id": self.evaluation.id, "project_id": self.context.project_id}
                values = [{**fixed, **{name: getattr(one, name) for name in Result.__slots__}} for one in batch]
                connection.execute(insert(tables.results), values)
            connection.execute(self._change(cpu_seconds=tables.evaluations.c.cpu_seconds + cpu))

    def _finish(self) -> None:
        self._progress("computing the report")
        found = results.all_results(self.stores, self.evaluation)
        cpu_seconds = service.cpu_seconds(self.stores, self.evaluation)
        document = report.build(self.evaluation, self.rows.task, found, cpu_seconds=cpu_seconds)
        with self.stores.database.begin() as connection:
            service.finish(connection, self.evaluation, document, actor_id=self.context.actor_id)
        if not self.evaluation.baseline:
            self._start_baselines()

    def _start_baselines(self) -> None:
        """A cheap baseline always stands beside a model: start those that nobody has run on these rows."""
        for kind in service.missing_baselines(self.stores, self.evaluation, baselines.fitting(self.rows.task)):
            service.start(
                self.stores,
                project_id=self.context.project_id,
                actor_id=self.context.actor_id,
                dataset=self.evaluation.dataset,
                split=self.evaluation.split,
                limit=self.evaluation.limit,
                target=f"baseline:{kind}",
            )
