"""A trace of 50,000 spans, and the list, in a real browser: quick to open, smooth to scroll, found in, and safe."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from noria.app import schema as records
from noria.core import clock, ids
from noria.core.records import Span
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores
from noria.tracing import migrations, rollup, schema
from tests.tracing.conftest import TICK, Traffic, pages_of, served

pytestmark = pytest.mark.browser
records.declare()

SPANS = 50_000
QUICK = 1.5
"""Seconds until a large trace can be read."""


@pytest.fixture
def project(first: FirstLogin) -> str:
    return first.project_id


@pytest.fixture
def address(stores: Stores, first: FirstLogin) -> Iterator[str]:
    with served(pages_of(stores)) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("NORIA_BROWSER") or shutil.which("chromium") or ""
    with sync_playwright() as playwright:
        program = path if path and Path(path).exists() else None
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def shown(browser: Browser, address: str, first: FirstLogin) -> Iterator[Page]:
    """A page that is signed in; at the end it may not have complained, nor have asked anybody else for anything."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US", base_url=address)
    page = context.new_page()
    page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(address) else None)
    page.goto("/login")
    page.fill("input[name=email]", first.email)
    page.fill("input[name=password]", first.password)
    page.click("main button")
    page.wait_for_url(lambda url: "/login" not in url)
    yield page
    context.close()
    assert complaints == []


def large_trace(stores: Stores, project: str, count: int) -> str:
    """Put a trace of `count` spans into the store: an agent whose steps have ten calls each."""
    migrations.prepare(stores.spans)
    trace, now = ids.new_trace_id(), clock.now_ns() - 60 * 10**9
    spans = []
    for number in range(count):
        parent = "" if number == 0 else f"{0 if number % 11 == 1 else number - (number - 1) % 11:016x}"
        spans.append(
            Span(
                trace_id=trace, span_id=f"{number:016x}", project_id=project, parent_id=parent,
                name=f"step {number}", kind="llm" if number % 3 else "tool",
                start_ns=now + number * TICK, end_ns=now + (number + 40) * TICK if number else now + (count + 40) * TICK,
                input_messages=[{"role": "user", "content": f"question {number} 질문"}],
                output_messages=[{"role": "assistant", "content": "an answer of some words " * 5}],
            )
        )  # fmt: skip
    columns = (*schema.SPAN_COLUMNS, "facts")
    for at in range(0, count, 10_000):
        rows = [schema.span_row(span) for span in spans[at : at + 10_000]]
        stores.spans.insert("spans", columns, rows, token=f"large/{trace}/{at}")
    stores.spans.insert("traces", schema.TRACE_COLUMNS, [rollup.row(spans, [], None, 1)], token=f"large/{trace}")
    return trace


def test_a_trace_of_50000_spans(stores: Stores, project: str, shown: Page) -> None:
    trace = large_trace(stores, project, SPANS)
    began = time.monotonic()
    shown.goto(f"/traces/{trace}")
    expect(shown.locator("tr#w-0000000000000003")).to_be_visible()
    took = time.monotonic() - began
    print(f"opened in {took:.2f} s")
    assert took < QUICK
    assert "50,000 spans" in shown.locator("#waterfall .h").inner_text()
    box = shown.locator("[data-pieces]")
    assert shown.locator("table.tree tr").count() < 1000, "only what is near the view is in the page"
    height = box.evaluate("e => e.scrollHeight")
    for share in (0.5, 0.9, 0.1, 1.0):
        box.evaluate("(e, share) => { e.scrollTop = e.scrollHeight * share }", share)
        shown.wait_for_function(
            "() => { const box = document.querySelector('[data-pieces]'), view = box.getBoundingClientRect();"
            " return [...box.querySelectorAll('tr[id]')].some(row => { const at = row.getBoundingClientRect();"
            " return at.top >= view.top - 40 && at.bottom <= view.bottom + 40 }) }"
        )
    assert shown.locator(f"tr#w-{SPANS - 1:016x}").count() == 1
    assert shown.locator("table.tree tr").count() < 1000
    assert box.evaluate("e => e.scrollHeight") == pytest.approx(height, rel=0.01), "nothing jumps"

    began = time.monotonic()
    shown.fill("input[name=find]", '"question 43210 질문"')
    shown.keyboard.press("Enter")
    found = shown.locator("table.tree tr")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("step 43210")
    print(f"found in {time.monotonic() - began:.2f} s")
    shown.click("table.tree tr a")
    expect(shown.locator("#span")).to_contain_text("question 43210 질문")
    expect(shown.locator("tr.on")).to_be_visible()


def test_a_large_trace_without_scripts(stores: Stores, project: str, browser: Browser, shown: Page) -> None:
    trace = large_trace(stores, project, 500)
    context = browser.new_context(java_script_enabled=False, storage_state=shown.context.storage_state())
    page = context.new_page()
    page.goto(f"{shown.url.split('/', 3)[0]}//{shown.url.split('/')[2]}/traces/{trace}")
    assert page.locator("table.tree tr").count() == 200
    page.click("a[rel=next]")
    assert page.locator("table.tree tr").first.inner_text().startswith("step 200")
    context.close()


def test_hands_and_followed_lists(shown: Page, traffic: Traffic) -> None:
    now = clock.now_ns()
    for number in range(3):
        traffic.span(f"question {number}", start_ns=now - number * TICK)
    traffic.carry()
    shown.goto("/traces?tail=1")
    shown.keyboard.press("j")
    shown.keyboard.press("j")
    assert shown.evaluate("document.activeElement.textContent") == "question 1"
    traffic.span("a new one")
    traffic.carry()
    expect(shown.locator("#rows tr[id]")).to_have_count(4, timeout=10_000)
    assert shown.evaluate("document.activeElement.textContent") == "question 1", "what one is about to open stays"
    shown.keyboard.press("/")
    shown.keyboard.type("status:error")
    shown.keyboard.press("Enter")
    expect(shown.locator("input[name=q]").first).to_have_value("status:error")
    expect(shown.locator("#rows tr[id]")).to_have_count(0)


def test_strangers_words_stay_words(shown: Page, traffic: Traffic) -> None:
    evil = (
        "<script>document.title='taken'</script><img src='https://evil.example/x' onerror=\"document.title='taken'\">"
    )
    span = traffic.span(evil, evil, session_id="s", name=evil, tags=[evil], subject_id=evil)
    traffic.span(evil, evil, trace_id=span.trace_id, parent_id=span.span_id, name="<b>x</b>")
    traffic.carry()
    for path in ("/traces", f"/traces/{span.trace_id}", "/sessions/s", "/users"):
        shown.goto(path)
        expect(shown.locator("main")).to_contain_text("evil.example")
        assert shown.title() != "taken"
        assert shown.locator("main img").count() == 0
