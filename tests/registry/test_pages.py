"""Pages of registry as a browser's forms use them: every page opens, every form works, in both languages."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from noria.governance import service as governance
from noria.governance.slice import SLICE as GOVERNANCE
from noria.jobs import service as jobs
from noria.jobs.slice import SLICE as JOBS
from noria.registry import detail, lineage, pages, service, views
from noria.registry.kinds import KINDS
from noria.registry.slice import SLICE as REGISTRY
from noria.web import application, i18n
from tests.registry.conftest import PASSWORD, World

pytestmark = pytest.mark.parametrize("registry_stores", ["sqlite"], indirect=True)

Browser = Callable[..., Any]


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    """Asks as somebody signed in by the form; forms carry the token of the page."""
    app = application.create((JOBS, GOVERNANCE, REGISTRY), world.stores, governance.authenticate)
    clients: dict[str, TestClient] = {}
    tokens: dict[str, str] = {}

    def ask(who: str, path: str, form: dict[str, str] | None = None, language: str = "en") -> Any:
        if who not in clients:
            clients[who] = TestClient(app, headers={"referer": "http://testserver/endpoints/assistant"})
            body = {"email": f"{who}@example.org", "password": PASSWORD}
            tokens[who] = clients[who].post("/api/login", json=body).json()["csrf"]
        headers = {"accept-language": language}
        if form is None:
            return clients[who].get(path, headers=headers)
        return clients[who].post(path, data={**form, "csrf": tokens[who]}, headers=headers)

    yield ask
    for client in clients.values():
        client.close()


@pytest.fixture
def filled(world: World) -> World:
    """A primary, a canary and a draft."""
    with world.stores.database.begin() as connection:
        where: dict[str, Any] = {"project_id": world.project_id, "actor_id": world.author, "name": "call"}
        service.create_prompt(connection, **where)
        for template in ("{{input}}", "<b>{{input}}</b>\ncall:"):
            service.add_prompt_version(connection, **where, format="text", template=template)
    world.promote(world.release(note="<script>alert(1)</script>").number)
    world.ready(model="large", prompt="call@2")
    world.canary(2)
    world.release(model_version=world.adapter())
    return world


PATHS = [
    "/endpoints",
    "/endpoints/assistant",
    "/endpoints/assistant/releases/1",
    "/endpoints/assistant/releases/2",
    "/endpoints/assistant/releases/2/gate",
    "/endpoints/assistant/releases/2/engine",
    "/endpoints/assistant/releases/3",
    "/prompts",
    "/prompts/call",
    "/prompts/call?a=2&version=1",
    "/models",
    "/models/calls-lora",
    "/providers",
    "/lineage/release/assistant@3",
    "/lineage/row/none",
]


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("who", ["author", "reviewer"])
def test_pages_open(filled: World, browser: Browser, language: str, who: str) -> None:
    for path in PATHS:
        answer = browser(who, path, language=language)
        assert answer.status_code == 200, (path, answer.text)
        assert "<script>alert" not in answer.text and "secret" not in answer.text and "<b>{{" not in answer.text, path


@pytest.mark.parametrize("language", ["en", "ko"])
def test_empty_pages_say_what_to_do(world: World, browser: Browser, language: str) -> None:
    for path in ("/endpoints", "/prompts", "/models", "/providers", "/endpoints/assistant"):
        assert browser("author", path, language=language).status_code == 200, path


def test_a_release_from_form_to_rollback(world: World, browser: Browser) -> None:
    world.promote(world.release().number)
    page = "/endpoints/assistant"
    made = {"provider": "hosted", "model": "large", "parameters": '{"temperature": 0}', "note": "larger"}
    answer = browser("author", f"{page}/releases", made)
    assert answer.url.path == f"{page}/releases/2" and "Evaluate it next" in answer.text
    release = service.get_release(world.stores, world.project_id, "assistant", 2)
    world.evaluated(release)
    world.gate(release)
    assert "Approve release 2" not in browser("author", f"{page}/releases/2").text
    answer = browser("reviewer", f"{page}/releases/2/approve", {"reason": "checked"})
    assert answer.status_code == 200 and "Approved by Reviewer" in answer.text
    answer = browser("reviewer", f"{page}/releases/2/canary", {"reason": "a quarter", "share": "25"})
    assert "canary 25 %" in answer.text and "Promote release 2" in answer.text
    assert "Promote release 2" not in browser("author", page).text
    assert "Roll back to release 1" in browser("reviewer", f"{page}/releases/2/promote", {"reason": "better"}).text
    answer = browser("reviewer", f"{page}/rollback", {"reason": "worse"})
    assert "release 2 rolled back" in answer.text and world.endpoint.primary == 1


def test_the_gate_is_a_job_that_the_page_follows(world: World, browser: Browser) -> None:
    world.promote(world.release().number)
    world.evaluated(world.release(model="large"))
    page = "/endpoints/assistant/releases/2"
    answer = browser("author", f"{page}/gate", {})
    [job] = jobs.list_jobs(world.stores, world.project_id, name="evaluation.gate")[0]
    assert job.args == {"endpoint": "assistant", "number": 2}
    assert f'data-live="{page}/gate?job={job.id}"' in answer.text
    jobs.cancel(world.stores, world.project_id, job.id)
    after = browser("author", f"{page}/gate?job={job.id}").text
    assert "data-live" not in after and f'data-then="{page}"' in after


def test_prompts_by_form(world: World, browser: Browser) -> None:
    browser("author", "/prompts", {"name": "call"})
    browser("author", "/prompts/call/versions", {"text": "one\r\n{{input}}", "note": "first"})
    answer = browser("author", "/prompts/call/versions", {"text": "two\r\n{{input}}"})
    assert "<del>− one</del>" in answer.text and "<ins>+ two</ins>" in answer.text
    [second, first] = service.prompt_versions(world.stores, world.project_id, "call")
    assert (first.template, second.template) == ("one\n{{input}}", "two\n{{input}}")
    answer = browser("author", "/prompts/call/labels", {"label": "production", "version": "1"})
    assert "production 1" in answer.text
    answer = browser("author", "/prompts/call/versions", {"text": "{{#open}}"})
    assert answer.status_code == 400 and "never closed" in answer.text
    chat = json.dumps([{"role": "system", "content": "Be brief."}, {"role": "messages"}])
    assert browser("author", "/prompts/call/versions", {"text": chat, "format": "chat"}).status_code == 200
    assert browser("author", "/prompts/call/versions", {"text": "{", "format": "chat"}).status_code == 400


def test_endpoints_and_providers_by_form(world: World, browser: Browser) -> None:
    assert browser("author", "/endpoints", {"name": "second"}).url.path == "/endpoints/second"
    gate = json.dumps([{"kind": "score", "metric": "valid", "at_least": 0.9}])
    answer = browser("reviewer", "/endpoints/second", {"gate": gate, "reason": "a start"})
    assert "Valid answers at least .90" in answer.text
    assert browser("reviewer", "/endpoints/second", {"gate": "[", "reason": "x"}).status_code == 400
    for path, form in (
        ("/providers", {"name": "x", "base_url": "http://a.example/v1"}),
        ("/providers/hosted", {"balance": "least_busy"}),
        ("/providers/hosted/keys", {"api_key": "sk-another-key"}),
        ("/providers/hosted/keys/x/rotate", {"api_key": "sk-another-key"}),
        ("/providers/hosted/keys/x/change", {"weight": "1"}),
        ("/providers/hosted/keys/x/remove", {}),
    ):
        assert browser("reviewer", path, form).status_code == 403
    assert browser("author", "/endpoints/second", {"gate": "[]"}).status_code == 403


def test_a_provider_from_a_preset_and_its_keys_by_form(world: World, browser: Browser) -> None:
    page = browser("owner", "/providers?preset=bedrock").text
    assert 'name="region"' in page and "console.aws.amazon.com" in page and 'name="base_url"' not in page
    assert "vLLM" in page and browser("owner", "/providers?preset=nobody").status_code == 400
    assert "Add a provider" not in browser("author", "/providers").text
    made = {"name": "aws", "preset": "bedrock", "region": "eu-west-1", "api_key": "bedrock-api-key-0123456789"}
    page = browser("owner", "/providers", made)
    assert page.url.path == "/providers/aws" and "bedrock-runtime.eu-west-1.amazonaws.com" in page.text
    assert "…6789" in page.text and "0123456789" not in page.text
    page = browser("owner", "/providers/aws/keys", {"api_key": "bedrock-api-key-9876543210", "key_name": "second"})
    assert "…3210" in page.text and "second" in page.text
    with world.stores.database.read() as connection:
        first, second = service.find_provider(connection, world.project_id, "aws").keys
    page = browser("owner", f"/providers/aws/keys/{first.id}/rotate", {"api_key": "bedrock-api-key-5555555555"})
    assert "…5555" in page.text and "…6789" not in page.text
    page = browser("owner", f"/providers/aws/keys/{second.id}/change", {"weight": "7", "key_name": "batch"})
    assert "batch" in page.text and 'value="7"' in page.text
    assert "…3210" not in browser("owner", f"/providers/aws/keys/{second.id}/remove", {"reason": "leaked"}).text
    change = {"options": '{"region": "us-west-2"}', "balance": "least_busy"}
    assert "bedrock-runtime.us-west-2" in browser("owner", "/providers/aws", change).text
    assert browser("owner", "/providers/aws", {"options": "["}).status_code == 400
    page = browser("author", "/providers/aws", language="ko").text
    assert "진행 중인 호출이 적은 쪽으로" in page and "/rotate" not in page


def test_words_from_code_have_korean(world: World) -> None:
    said = [*views.METRICS.values(), *detail.BLOCKED, *pages.NOTICES.values(), *lineage.KINDS.values()]
    said += [kind.title for kind in KINDS.values()]
    for module in ("pages", "pages_contents", "pages_providers"):
        text = (i18n.ROOT / "registry" / f"{module}.py").read_text(encoding="utf-8")
        said += re.findall(r'see_other\([^"]*f?"[^"]*", "([^"]+)"', text)
    for path in sorted((i18n.ROOT / "registry" / "templates").glob("*.html")):
        for block in re.findall(r"facts\(\[(.*?)\]\)", path.read_text(encoding="utf-8"), re.DOTALL):
            said += re.findall(r'^\s*\("([^"]+)",', block, re.MULTILINE)
    assert i18n.missing_translations(said).get("", []) == []
