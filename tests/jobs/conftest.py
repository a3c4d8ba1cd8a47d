"""A real worker process for these tests, on both SQL engines."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from noria.core.settings import Settings
from noria.jobs import service
from noria.jobs.records import Job
from noria.stores import lifeline
from noria.stores.connect import Stores
from noria.stores.sql import Database

PROJECT = "0190a000-0000-7000-8000-000000000001"
ACTOR = "0190a000-0000-7000-8000-000000000002"
ROOT = Path(__file__).parents[2]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true value of `condition`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


class Jobs:
    """Starts and watches jobs, and the worker process that runs them."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.process: subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.process"],
            cwd=ROOT,
            env=lifeline.mark({**os.environ, **self.stores.settings.environment()}),
        )

    def stop_worker(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def start(self, name: str, **args: Any) -> str:
        return service.start(self.stores, name=name, args=args, project_id=PROJECT, actor_id=ACTOR).id

    def get(self, job_id: str) -> Job:
        return service.get(self.stores, PROJECT, job_id)

    def end(self, job_id: str, seconds: float = 30) -> Job:
        wait_for(lambda: self.get(job_id).ended, "the end of the job", seconds)
        return self.get(job_id)

    def reach(self, job_id: str, done: int) -> None:
        wait_for(lambda: self.get(job_id).done >= done, f"progress {done}")


@pytest.fixture
def jobs(stores: Stores) -> Iterator[Jobs]:
    """A worker on SQLite."""
    running = Jobs(stores)
    running.start_worker()
    yield running
    running.stop_worker()


@pytest.fixture
def postgres_jobs(settings: Settings, postgres_server: str) -> Iterator[Jobs]:
    """A worker on PostgreSQL, in a schema of its own."""
    from noria.jobs import tables

    admin = Database(postgres_server)
    schema = f"jobs_{os.getpid()}_{time.monotonic_ns()}"
    with admin.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    admin.close()
    separator = "&" if "?" in postgres_server else "?"
    stores = Stores(replace(settings, database_url=f"{postgres_server}{separator}options=-csearch_path%3D{schema}"))
    tables.jobs.metadata.create_all(stores.database.engine, tables=[tables.jobs, tables.points])
    running = Jobs(stores)
    running.start_worker()
    yield running
    running.stop_worker()
    stores.close()
