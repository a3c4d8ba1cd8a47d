"""The two doors of imports: an upload that starts a job, and the command line."""

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from noria.core import ids
from noria.governance import service as governance
from noria.governance.tables import audit
from noria.jobs import service as jobs
from noria.jobs.context import JobContext
from noria.stores.connect import Stores
from noria.tracing import jobs as tracing_jobs
from noria.tracing.commands_import import import_
from tests.tracing.otlp_kit import Otlp

ROW = {
    "id": "0b9c8f0e-6f1c-4d3a-9a51-6f0e2d3c4b5a",
    "trace_id": "0b9c8f0e-6f1c-4d3a-9a51-6f0e2d3c4b5a",
    "name": "ask",
    "run_type": "chain",
    "start_time": "2026-10-01T10:00:00",
    "end_time": "2026-10-01T10:00:02",
    "inputs": {"q": "my secret words"},
}


def upload(otlp: Otlp, key: str, content: bytes, tool: str = "auto") -> tuple[int, dict[str, str]]:
    answer = otlp.client.post(
        "/api/traces/import",
        headers={"authorization": f"Bearer {key}"},
        files={"files": ("runs.jsonl", content)},
        data={"tool": tool},
    )
    return answer.status_code, answer.json()


def run(otlp: Otlp, job_id: str) -> dict[str, object]:
    job = jobs.get(otlp.stores, otlp.project, job_id)
    context = JobContext(job.id, otlp.project, job.actor_id, job.args, otlp.stores, lambda *_: None, lambda *_: None)
    return tracing_jobs.import_traces(context)


def test_an_upload_starts_a_job_that_takes_the_traces_in(otlp: Otlp) -> None:
    status, answer = upload(otlp, otlp.key, orjson.dumps(ROW))
    assert status == 202
    done = run(otlp, answer["job"])
    assert (done["tool"], done["spans"]) == ("langsmith", 1)
    otlp.carry()
    assert [span.name for span in otlp.spans()] == ["ask"]
    with otlp.stores.database.read() as connection:
        entry = connection.execute(select(audit).where(audit.c.verb == "traces.import")).one()
    assert (entry.target_id, entry.project_id) == (answer["job"], otlp.project)
    assert "secret" not in str(entry)


def test_an_upload_of_nothing_known_fails_its_job(otlp: Otlp) -> None:
    _, answer = upload(otlp, otlp.key, b'{"what": "is this"}')
    with pytest.raises(Exception, match="not recognised"):
        run(otlp, answer["job"])


def test_who_may_not_write_traces_may_not_import(otlp: Otlp) -> None:
    with otlp.stores.database.begin() as connection:
        _, call = governance.mint_key(connection, project_id=otlp.project, actor_id="", name="app", scope="call")
    assert upload(otlp, call, orjson.dumps(ROW))[0] == 403
    assert upload(otlp, "noria-unknown", orjson.dumps(ROW))[0] == 401
    status, answer = upload(otlp, otlp.key, orjson.dumps(ROW), tool="excel")
    assert (status, "excel" in answer["detail"]) == (400, True)
    assert jobs.list_jobs(otlp.stores, otlp.project)[0] == []


def test_the_command_line_tells_what_came_and_what_did_not(stores: Stores, tmp_path: Path) -> None:
    governance.bootstrap(stores)
    file = tmp_path / "runs.jsonl"
    old = {**ROW, "id": ids.new_id(), "trace_id": ids.new_id(), "start_time": "2019-01-01T00:00:00"}
    file.write_bytes(b"\n".join([orjson.dumps(ROW), b"{nothing", orjson.dumps(old)]))
    done = CliRunner().invoke(import_, ["auto", str(file), "--dry-run", "--data", str(stores.settings.data)])
    assert done.exit_code == 0, done.output
    assert "Would import 2 spans" in done.output
    assert "1 of them are older than 90 days" in done.output
    assert "runs.jsonl, 2: it is not JSON" in done.output
    assert not list(stores.settings.folder.journal.rglob("*.seg"))
    done = CliRunner().invoke(import_, ["langsmith", str(file), "--data", str(stores.settings.data)])
    assert "Imported 2 spans" in done.output
    assert list(stores.settings.folder.journal.rglob("*.seg"))
