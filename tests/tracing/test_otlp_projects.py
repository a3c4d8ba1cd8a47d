"""The project from the resource: a key writes where it may and nowhere else, over HTTP and gRPC, spans and log events."""

import json
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from noria.governance import projects, writing
from noria.governance import service as governance
from tests.tracing.otlp_kit import Made, Otlp, export, pairs, request, value

TRACES = "trace.v1.TraceService"


@dataclass
class Three:
    """A key of the first project that may write to "shop" as well; "lab" is a stranger's."""

    home: Otlp
    shop: Otlp
    lab: Otlp
    bound: str
    """A key of the first project alone."""

    def names(self) -> list[list[str]]:
        """Of the spans that each project has."""
        self.home.carry()
        return [sorted(span.name for span in one.spans()) for one in (self.home, self.shop, self.lab)]


@pytest.fixture
def three(otlp: Otlp) -> Three:
    made = {}
    with otlp.stores.database.begin() as connection:
        for name in ("shop", "lab"):
            made[name] = projects.create_project(connection, name).id
        _, key = governance.mint_key(
            connection,
            project_id=otlp.project,
            name="sender",
            scope="write_traces",
            projects=writing.found(connection, otlp.project, ["shop"]),
            actor_id="",
        )
    home = replace(otlp, key=key)
    return Three(home, replace(home, project=made["shop"]), replace(home, project=made["lab"]), otlp.key)


def resources(*told: tuple[Any, Made]) -> ExportTraceServiceRequest:
    """A request with one resource for each span, which names the project beside it (None: none)."""
    message = ExportTraceServiceRequest()
    for named, made in told:
        part = ExportTraceServiceRequest.FromString(request(made)).resource_spans[0]
        if named is not None:
            part.resource.attributes.extend(pairs({"noria.project": named}))
        message.resource_spans.append(part)
    return message


def as_json(told: list[tuple[Any, Made]]) -> bytes:
    def span(made: Made) -> dict[str, Any]:
        ids = {"traceId": made.trace_id, "spanId": made.span_id}
        return {**ids, "name": made.name, "startTimeUnixNano": str(made.start_ns), "endTimeUnixNano": str(made.end_ns)}

    def part(named: Any, made: Made) -> dict[str, Any]:
        attributes = [] if named is None else [{"key": "noria.project", "value": {"stringValue": named}}]
        return {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span(made)]}]}

    return json.dumps({"resourceSpans": [part(*one) for one in told]}).encode()


@pytest.mark.parametrize("way", ["protobuf", "json", "grpc", "langfuse"])
def test_a_batch_goes_to_the_projects_its_resources_name(three: Three, channel: Any, way: str) -> None:
    told = [
        (None, Made({}, name="own")),
        ("", Made({}, name="empty")),
        ("default", Made({}, name="named")),
        ("shop", Made({}, name="by name")),
        (three.shop.project, Made({}, name="by id")),
        ("lab", Made({}, name="theirs")),
        (three.lab.project, Made({}, name="theirs by id")),
        ("nowhere", Made({}, name="nowhere")),
    ]
    data = resources(*told).SerializeToString()
    if way == "grpc":
        answer = export(channel, TRACES, data, authorization=f"Bearer {three.home.key}")
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    elif way == "json":
        sent = three.home.post(as_json(told), content_type="application/json")
        found = sent.json()["partialSuccess"]
        partial = ExportTraceServiceResponse().partial_success
        partial.rejected_spans, partial.error_message = int(found["rejectedSpans"]), found["errorMessage"]
    else:
        headers = {"authorization": f"Bearer {three.home.key}", "content-type": "application/x-protobuf"}
        path = "/api/public/otel/v1/traces" if way == "langfuse" else "/v1/traces"
        sent = three.home.client.post(path, content=data, headers=headers)
        assert sent.status_code == 200
        partial = ExportTraceServiceResponse.FromString(sent.content).partial_success
    assert partial.rejected_spans == 3
    for named in ("lab", three.lab.project, "nowhere"):
        assert f"may not write to a project '{named}'" in partial.error_message
    assert three.names() == [["empty", "named", "own"], ["by id", "by name"], []]


@pytest.mark.parametrize("named", ["shop", "lab", "nowhere", "DEFAULT", "default ", ["default"], 5, True])
def test_a_key_of_one_project_stays_in_it(three: Three, channel: Any, named: Any) -> None:
    data = resources((named, Made({}))).SerializeToString()
    bound = replace(three.home, key=three.bound)
    refused = bound.post(data)
    assert refused.status_code == 403 and b"may not write to a project" in refused.content
    with pytest.raises(grpc.RpcError) as error:
        export(channel, TRACES, data, authorization=f"Bearer {three.bound}")
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "may not write to a project" in str(error.value.details())
    assert three.names() == [[], [], []]


def test_a_persons_key_stays_in_its_project_too(three: Three) -> None:
    manage = replace(three.home, key=three.home.admin)
    assert manage.post(resources(("shop", Made({}))).SerializeToString()).status_code == 403
    assert manage.post(resources(("default", Made({}, name="own"))).SerializeToString()).status_code == 200
    assert three.names() == [["own"], [], []]


def test_what_is_taken_away_is_gone_at_once(three: Three) -> None:
    data = resources(("shop", Made({}, name="before"))).SerializeToString()
    assert three.home.post(data).status_code == 200
    with three.home.stores.database.begin() as connection:
        [guest] = writing.guests(connection, three.shop.project)
        writing.withdraw(connection, project_id=three.shop.project, key_id=guest.id, actor_id="")
    assert three.home.post(resources(("shop", Made({}, name="after"))).SerializeToString()).status_code == 403
    assert three.names() == [[], ["before"], []]


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_messages_of_log_events_go_there_too(three: Three, channel: Any, way: str) -> None:
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    mine, theirs = Made(chat, name="chat"), Made(chat, name="secret")
    three.home.post(resources(("shop", mine)).SerializeToString())
    logs = ExportLogsServiceRequest()
    for named, span in (("shop", mine), ("lab", theirs), (None, theirs)):
        part = logs.resource_logs.add()
        part.resource.attributes.extend(pairs({"noria.project": named} if named else {}))
        record = part.scope_logs.add().log_records.add(event_name="gen_ai.user.message", time_unix_nano=span.start_ns)
        record.trace_id, record.span_id = bytes.fromhex(span.trace_id), bytes.fromhex(span.span_id)
        record.body.CopyFrom(value({"content": f"to {named}"}))
    data = logs.SerializeToString()
    if way == "http":
        answer = three.home.post(data, "logs").content
    else:
        answer = export(channel, "logs.v1.LogsService", data, x_api_key=three.home.key)
    partial = ExportLogsServiceResponse.FromString(answer).partial_success
    assert partial.rejected_log_records == 1 and "may not write to a project 'lab'" in partial.error_message
    assert three.names() == [[], ["chat"], []]
    assert three.shop.spans()[0].input_messages == [{"role": "user", "content": "to shop"}]
    del logs.resource_logs[2], logs.resource_logs[0]
    assert three.home.post(logs.SerializeToString(), "logs").status_code == 403
