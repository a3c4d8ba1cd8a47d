"""What becomes of a job, with a real worker process: done, failed, cancelled, killed and taken up again."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from noria.core.errors import Conflict, NotFound
from noria.jobs import service
from noria.stores.connect import Stores
from tests.jobs.conftest import ACTOR, PROJECT, Jobs, wait_for


@pytest.fixture(params=["jobs", "postgres_jobs"])
def both(request: pytest.FixtureRequest) -> Jobs:
    """The worker on SQLite, then on PostgreSQL."""
    found: Jobs = request.getfixturevalue(request.param)
    return found


def test_a_job_runs_and_reports(both: Jobs) -> None:
    job = both.end(both.start("count", to=30))
    assert job.state == "done"
    assert job.result == {"counted": 30, "started_at": 0}
    assert (job.done, job.total) == (30, 30)
    assert job.cpu_seconds > 0
    assert job.started_at is not None and job.ended_at is not None
    assert job.created_at <= job.started_at <= job.ended_at
    wait_for(lambda: not (both.stores.settings.folder.work / job.id).exists(), "the removal of its folder")


def test_a_curve_can_be_read_in_parts(both: Jobs) -> None:
    job = both.end(both.start("curve"))
    points = service.points(both.stores, PROJECT, job.id)
    assert [point["step"] for point in points] == list(range(20))
    assert points[1]["values"] == {"loss": 0.5}  # what is not a number is left out
    assert len(service.points(both.stores, PROJECT, job.id, after_step=14)) == 5


def test_cancelling_a_running_job_ends_it_and_its_children(both: Jobs, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job_id = both.start("wait", pids=str(pids))
    both.reach(job_id, 1)
    running = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    service.cancel(both.stores, PROJECT, job_id)
    job = both.end(job_id, seconds=5)
    assert job.state == "cancelled"
    assert job.cpu_seconds > 0
    wait_for(lambda: not any(_alive(process) for process in running), "the end of all processes", 5)


def test_killing_the_worker_loses_nothing(both: Jobs) -> None:
    job_id = both.start("count", to=40, pause_at=17)
    both.reach(job_id, 1)
    wait_for((both.stores.settings.folder.work / job_id / "paused").exists, "the pause")
    assert both.process is not None
    both.process.kill()
    both.process.wait()
    both.start_worker()
    job = both.end(job_id, seconds=15)
    assert job.state == "done"
    assert job.result == {"counted": 40, "started_at": 17}


def test_a_refusal_becomes_the_jobs_error(jobs: Jobs) -> None:
    job = jobs.end(jobs.start("refuse"))
    assert job.state == "failed"
    assert job.error == {
        "code": "bad_input",
        "message": "Line 3 is not JSON.",
        "hint": "Correct it and import the file again.",
    }
    wait_for(lambda: not (jobs.stores.settings.folder.work / job.id).exists(), "the removal of what was uploaded")


def test_an_unexpected_error_names_the_place_but_no_data(jobs: Jobs) -> None:
    job = jobs.end(jobs.start("crash"))
    assert job.state == "failed" and job.error is not None
    assert "RuntimeError" in job.error["message"] and "handlers.py" in job.error["message"]
    assert "Kim" not in str(job.error)


def test_a_missing_package_is_named(jobs: Jobs) -> None:
    job = jobs.end(jobs.start("lost_package"))
    assert job.error is not None
    assert "package_that_nobody_has" in job.error["message"]
    assert "noria doctor" in job.error["hint"]


def test_an_unknown_job_fails_with_its_name(jobs: Jobs) -> None:
    job = jobs.end(jobs.start("no.such.job"))
    assert job.state == "failed" and job.error is not None
    assert "no.such.job" in job.error["message"]


def test_a_killed_child_is_started_again(jobs: Jobs) -> None:
    job = jobs.end(jobs.start("die_once"))
    assert job.state == "done"
    assert job.result == {"survived": True}


def test_a_job_that_always_dies_fails_with_a_reason(jobs: Jobs) -> None:
    job = jobs.end(jobs.start("die"))
    assert job.state == "failed" and job.error is not None
    assert job.error["code"] == "job_died"
    assert "3 times" in job.error["message"] and "SIGKILL" in job.error["message"]


def test_the_children_die_with_a_killed_worker(jobs: Jobs, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job_id = jobs.start("wait", pids=str(pids))
    jobs.reach(job_id, 1)
    first, grandchild = (psutil.Process(int(pid)) for pid in pids.read_text().split())
    assert jobs.process is not None
    jobs.process.kill()
    jobs.process.wait()
    wait_for(lambda: not _alive(first), "the child's end", 5)
    jobs.start_worker()
    wait_for(lambda: not _alive(grandchild), "the end of what the child had started", 10)
    service.cancel(jobs.stores, PROJECT, job_id)
    assert jobs.end(job_id).state == "cancelled"


def test_a_worker_that_is_asked_to_end_gives_its_job_back(jobs: Jobs) -> None:
    job_id = jobs.start("count", to=20, pause_at=5)
    wait_for((jobs.stores.settings.folder.work / job_id / "paused").exists, "the pause")
    jobs.stop_worker()
    assert jobs.get(job_id).state == "queued"
    jobs.start_worker()
    assert jobs.end(job_id).result == {"counted": 20, "started_at": 5}


def test_a_cancellation_that_a_library_swallows_is_raised_again(jobs: Jobs) -> None:
    job_id = jobs.start("stubborn")
    jobs.reach(job_id, 1)
    service.cancel(jobs.stores, PROJECT, job_id)
    assert jobs.end(job_id, seconds=5).state == "cancelled"


def test_a_stopped_worker_loses_its_job_only_after_the_lease(jobs: Jobs) -> None:
    job_id = jobs.start("count", to=20, pause_at=5)
    wait_for((jobs.stores.settings.folder.work / job_id / "paused").exists, "the pause")
    assert jobs.process is not None
    os.kill(jobs.process.pid, signal.SIGSTOP)
    try:
        other = Jobs(jobs.stores)
        other.start_worker()  # takes the next slot; the job is not free
        done = other.end(other.start("count", to=3))
        assert done.state == "done"
        assert jobs.get(job_id).state == "running"
        other.stop_worker()
    finally:
        os.kill(jobs.process.pid, signal.SIGCONT)
    service.cancel(jobs.stores, PROJECT, job_id)
    assert jobs.end(job_id).state == "cancelled"


def test_a_queued_job_is_cancelled_at_once_and_only_once(stores: Stores) -> None:
    job = service.start(stores, name="count", args={"to": 3}, project_id=PROJECT, actor_id=ACTOR)
    assert service.cancel(stores, PROJECT, job.id).state == "cancelled"
    with pytest.raises(Conflict, match="already ended"):
        service.cancel(stores, PROJECT, job.id)


def test_a_job_belongs_to_its_project(stores: Stores) -> None:
    job = service.start(stores, name="count", args={}, project_id=PROJECT, actor_id=ACTOR)
    for verb in (service.get, service.cancel, service.points):
        with pytest.raises(NotFound):
            verb(stores, "another", job.id)
    assert service.list_jobs(stores, "another")[0] == []


def test_a_job_starts_with_the_transaction_that_wanted_it(stores: Stores) -> None:
    class Stop(Exception):
        pass

    with pytest.raises(Stop), stores.database.begin() as connection:
        service.start(stores, name="count", args={}, project_id=PROJECT, actor_id=ACTOR, connection=connection)
        raise Stop
    assert service.list_jobs(stores, PROJECT) == ([], None)


def test_the_list_is_paged_newest_first(stores: Stores) -> None:
    made = [service.start(stores, name="count", args={}, project_id=PROJECT, actor_id=ACTOR).id for _ in range(5)]
    first, cursor = service.list_jobs(stores, PROJECT, limit=3)
    rest, end = service.list_jobs(stores, PROJECT, limit=3, cursor=cursor)
    assert sorted(job.id for job in first + rest) == sorted(made)
    assert min(job.id for job in first) > max(job.id for job in rest)
    assert end is None


def _alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
