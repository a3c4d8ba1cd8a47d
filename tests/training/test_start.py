"""Starting a run, through the service, the API and the pages: what is checked before any trainer is loaded."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from noria.core.errors import BadInput, NotFound
from noria.core.slices import Slice
from noria.governance import service as governance
from noria.jobs import service as jobs
from noria.registry import prompts
from noria.training import configs, lineage
from noria.training.slice import SLICE
from noria.web import application
from tests.training.conftest import Workshop


@pytest.fixture
def client(workshop: Workshop) -> Iterator[TestClient]:
    app = application.create(
        (Slice("governance", pages="noria.governance.pages:router"), SLICE), workshop.stores, governance.authenticate
    )
    with TestClient(app) as opened:
        opened.headers["authorization"] = f"Bearer {workshop.key}"
        yield opened


def test_a_run_notes_all_that_decides_its_result(workshop: Workshop) -> None:
    run = workshop.start(parameters={"examples": 12, "learning_rate": 5e-4})
    assert (run.dataset, run.prompt, run.base, run.state) == ("wheels:1", "call@1", "gemma-3-270m:1", "queued")
    assert run.parameters["examples"] == 12
    assert run.parameters["rank"] == configs.LoraSft().rank
    assert jobs.get(workshop.stores, workshop.project_id, run.job_id).name == "training.run"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dataset": "absent"}, NotFound, "absent"),
        ({"split": "test"}, BadInput, "split"),
        ({"prompt": "call@9"}, NotFound, "call"),
        ({"base": "other:1"}, NotFound, "other:1"),
        ({"recipe": "magic"}, BadInput, "lora_sft"),
        ({"parameters": {"layers": 3}}, BadInput, "layers"),
        ({"parameters": {"batch": 0}}, BadInput, "batch"),
        ({"parameters": {"batch": "many"}}, BadInput, "whole number"),
        ({"parameters": {"learning_rate": float("nan")}}, BadInput, "learning_rate"),
        ({"model": "No Name"}, BadInput, "name"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(
    workshop: Workshop, options: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as told:
        workshop.start(**options)
    assert words in f"{told.value} {getattr(told.value, 'hint', '')}"
    assert jobs.list_jobs(workshop.stores, workshop.project_id)[0] == []


def test_a_chat_prompt_is_refused(workshop: Workshop) -> None:
    with workshop.stores.database.begin() as connection:
        prompts.add_prompt_version(
            connection,
            project_id=workshop.project_id,
            name="call",
            format="chat",
            messages=[{"role": "messages"}],
            actor_id=workshop.actor_id,
        )
    with pytest.raises(BadInput, match="trains on text"):
        workshop.start(prompt="call@2")


def test_the_api_starts_lists_and_shows(client: TestClient) -> None:
    body = {"dataset": "wheels:1", "prompt": "call@1", "model": "wheels-lora", "examples": 8, "epochs": 2}
    started = client.post("/api/training", json=body)
    assert started.status_code == 200, started.text
    shown = client.get(f"/api/training/{started.json()['id']}").json()
    assert shown["job"] == started.json()["job"]
    assert (shown["state"], shown["parameters"]["examples"], shown["parameters"]["epochs"]) == ("queued", 8, 2.0)
    assert [run["id"] for run in client.get("/api/training").json()["items"]] == [started.json()["id"]]
    assert client.get("/api/training/absent").status_code == 404
    assert client.post("/api/training", json={**body, "recipe": "magic"}).status_code == 400


def test_another_project_sees_nothing(workshop: Workshop) -> None:
    from noria.training import service

    run = workshop.start()
    with pytest.raises(NotFound):
        service.get(workshop.stores, "another", run.id)
    assert service.list_runs(workshop.stores, "another").items == []


def test_lineage_names_the_run_even_before_it_made_something(workshop: Workshop) -> None:
    run = workshop.start()
    edges = lineage.edges(workshop.stores, workshop.project_id, "dataset_version", workshop.version.id)
    assert [(edge.target_kind, edge.target_id) for edge in edges] == [("training_run", run.id)]
    assert {
        edge.source_kind for edge in lineage.edges(workshop.stores, workshop.project_id, "training_run", run.id)
    } == {
        "dataset_version",
        "prompt_version",
        "model_version",
    }


def test_pages_say_what_is_there_and_cancel(client: TestClient, workshop: Workshop) -> None:
    assert "No training runs yet" in client.get("/training").text
    run = workshop.start(parameters={"rank": 4})
    page = client.get(f"/training/{run.id}")
    assert page.status_code == 200, page.text
    assert "wheels:1" in page.text
    assert "<b>4</b>" in page.text
    assert run.id in client.get("/training").text
    client.post(f"/training/{run.id}/cancel", follow_redirects=False)
    assert workshop.get(run).state == "cancelled"
    assert "nothing was registered" in client.get(f"/training/{run.id}").text


def test_the_server_loads_no_trainer() -> None:
    program = (
        "import sys, noria.training.http, noria.training.pages, noria.training.lineage\n"
        "print([m for m in ('torch', 'transformers', 'peft', 'numpy', 'pyarrow', 'gguf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
