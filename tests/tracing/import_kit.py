"""What tests of imports share: a desk that imports and reads what came of it, and a trace as Langfuse exports it."""

from pathlib import Path
from typing import Any

import orjson

from noria.core.records import Span
from noria.stores.connect import Stores
from noria.tracing import reading, schema, service
from noria.tracing.imports.taking import File, Import, Tally
from noria.tracing.records import Trace
from noria.tracing.tailer import Tailer

UUID = "0b9c8f0e-6f1c-4d3a-9a51-6f0e2d3c4b5a"
TRACE = UUID.replace("-", "")
RUN = "7d1f0a52-93f2-4a44-8f0a-52c1b8f6a0d1"


def quiet(_done: int, _total: int, _note: str) -> None:
    """Tells nobody."""


class Desk:
    """Imports into one project and reads what came of it."""

    def __init__(self, stores: Stores, project: str, folder: Path) -> None:
        self.stores, self.project, self.folder = stores, project, folder
        self.tailer = Tailer(stores)

    def file(self, name: str, content: Any) -> File:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
        return File(path, name)

    def lines(self, name: str, *rows: Any) -> File:
        return self.file(name, b"\n".join(row if isinstance(row, bytes) else orjson.dumps(row) for row in rows))

    def take(self, tool: str, *files: File, dry_run: bool = False) -> Tally:
        run = Import(self.stores, self.project, tool=tool, files=files, dry_run=dry_run)
        tally = run.run(quiet)
        self.tailer.run_once()
        return tally

    def trace(self, number: str = TRACE) -> Trace:
        return service.get_trace(self.stores, self.project, number)

    def spans(self, number: str = TRACE) -> dict[str, Span]:
        return {node.span["name"]: Span.from_dict(node.span) for node in self.trace(number).spans}

    def count(self, table: str) -> int:
        rows = reading.ask(
            self.stores,
            schema.select(["count() AS n"], f"FROM {table} FINAL WHERE project_id = {{project:String}}"),
            {"project": self.project},
        )
        return int(rows[0]["n"])


def langfuse_trace() -> dict[str, Any]:
    """As the page and GET /api/public/traces/{id} give it."""
    return {
        "id": UUID,
        "timestamp": "2026-10-01T10:00:00.000Z",
        "name": "ask",
        "userId": "kim",
        "sessionId": "s-1",
        "tags": ["refund", "ko"],
        "input": {"question": "환불은 언제?"},
        "output": "사흘 안에",
        "totalCost": 0.5,
        "latency": 2.5,
        "observations": [
            {
                "id": RUN,
                "traceId": UUID,
                "type": "GENERATION",
                "name": "answer",
                "startTime": "2026-10-01T10:00:00.500Z",
                "endTime": "2026-10-01T10:00:02.250Z",
                "completionStartTime": "2026-10-01T10:00:01.000Z",
                "parentObservationId": None,
                "level": "DEFAULT",
                "model": "gpt-4o",
                "modelParameters": {"temperature": 0.2},
                "input": [{"role": "user", "content": "환불은 언제?"}],
                "output": {"role": "assistant", "content": "사흘 안에"},
                "usageDetails": {"input": 12, "output": 5, "total": 17},
                "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003},
                "promptName": "refunds",
                "promptVersion": 3,
            },
            {
                "id": "look-up",
                "traceId": UUID,
                "type": "TOOL",
                "name": "search",
                "startTime": "2026-10-01T10:00:00.600Z",
                "endTime": "2026-10-01T10:00:00.700Z",
                "parentObservationId": RUN,
                "level": "ERROR",
                "statusMessage": "no such order",
                "input": {"order": 7},
            },
        ],
        "scores": [
            {
                "id": "sc-1",
                "traceId": UUID,
                "name": "Answer Relevancy",
                "value": 0.75,
                "source": "EVAL",
                "dataType": "NUMERIC",
            },
            {
                "id": "sc-2",
                "observationId": RUN,
                "name": "tone",
                "stringValue": "kind",
                "source": "ANNOTATION",
                "dataType": "CATEGORICAL",
            },
        ],
    }
