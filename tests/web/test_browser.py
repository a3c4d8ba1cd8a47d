"""The page kit in a real browser: the strict policy holds, live parts update in place, hands work, narrow pages fit."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import uvicorn
from fastapi import APIRouter, Request
from jinja2 import DictLoader
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.responses import Response

from noria.core import clock
from noria.core.slices import Nav, Slice
from noria.stores.connect import Stores
from noria.web import application, charts, templates
from noria.web.auth import Caller, allow

pytestmark = pytest.mark.browser

router = APIRouter()
rounds = {"n": 0}

PAGE = """
{% extends "web/base.html" %}
{% from "web/kit.html" import chip, ci, facts, empty, verb, tabs, code, ago, spark, shares, chain, chart, secret %}
{% block title %}kit{% endblock %}
{% block main %}
<header><h1>assistant</h1>{{ chip("serving") }}{{ chip("failed") }}</header>
<input type="search" name="q" aria-label="search">
{% include "t/live.html" %}
<section>{{ shares([("release 1", 0.75), ("release 2", 0.25)]) }}
<div class="act">{{ verb("/t/act", "Promote", "main") }}{{ verb("/t/act", "Roll back", "danger", reason="required") }}</div></section>
<section><div class="scroll"><table data-list>
{% for n in range(3) %}<tr><td><a href="#{{ n }}">row {{ n }}</a></td><td>{{ ci(0.7, 0.66, 0.74) }}</td><td>{{ spark([1, 3, 2]) }}</td></tr>{% endfor %}
</table></div></section>
<section>{{ chart(spec, "Loss") }}</section>
<section>{{ tabs([("Overview", "/t")], "/t") }}{{ facts([("name", ago(now))]) }}{{ chain([("traces", "/t")]) }}
{{ code({"city": "부산"}) }}{{ secret("noria_x") }}{{ empty("No runs yet.", "noria demo") }}</section>
{% endblock %}
"""
LIVE = """
{% from "web/kit.html" import progress %}
<section id="live"{% if n < 6 %} data-live="/t/live" data-every="500"{% endif %}>{{ progress(n, 6, "working") }}
<label>note <input id="note"></label><button id="stay">n is {{ n }}</button></section>
"""


@router.get("/t")
def page(request: Request, caller: Annotated[Caller, allow("view")]) -> Response:
    rounds["n"] = 0
    rows = [{"step": i, "loss": 3 / (i + 1)} for i in range(30)]
    spec = charts.line(rows, x="step", y="loss")
    return templates.render(request, caller, "t/page.html", n=0, spec=spec, now=clock.now())


@router.get("/t/live")
def live(request: Request, caller: Annotated[Caller, allow("view")]) -> Response:
    rounds["n"] += 1
    return templates.render(request, caller, "t/live.html", n=rounds["n"])


SMALL = Slice(name="t", pages=f"{__name__}:router", nav=(Nav("Overview", "/t"), Nav("Datasets", "/d", "Improve")))


async def authenticate(request: Request) -> Caller | None:
    return Caller("person", "n", "Jihye Kim", "p", "editor", frozenset({"view", "edit"}), csrf="secret")


@pytest.fixture
def address(stores: Stores) -> Iterator[str]:
    app = application.create((SMALL,), stores, authenticate)
    loader: Any = app.state.pages.environment.loader
    loader.mapping["t"] = DictLoader({"page.html": PAGE, "live.html": LIVE})
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = os.environ.get("NORIA_BROWSER") or shutil.which("chromium") or ""
    with sync_playwright() as playwright:
        program = path if path and Path(path).exists() else None
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens /t; at the end no page may have complained."""
    complaints: list[str] = []
    contexts = []

    def opened(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.goto(f"{address}/t")
        return shown

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def test_charts_are_drawn_under_the_strict_policy(visit: Callable[..., Page]) -> None:
    shown = visit()
    line = shown.locator("figure.chart svg path[stroke]").first
    line.wait_for(timeout=20_000, state="attached")
    assert "var(--accent)" in shown.locator("figure.chart svg").inner_html()
    box = shown.locator("figure.chart svg").bounding_box()
    assert box is not None and box["width"] > 400


def test_live_parts_change_in_place_and_leave_focus_alone(visit: Callable[..., Page]) -> None:
    shown = visit()
    button = shown.locator("#stay").element_handle()
    shown.fill("#note", "half a sent")
    expect(shown.locator("#stay")).to_have_text("n is 6", timeout=20_000)
    assert button is not None and button.evaluate("e => e.isConnected"), "the button is the same element"
    assert shown.input_value("#note") == "half a sent"
    assert shown.evaluate("document.activeElement.id") == "note"
    assert shown.get_attribute("progress", "value") == "6"
    asked = rounds["n"]
    shown.wait_for_timeout(1200)
    assert rounds["n"] == asked, "it stops when the answer has no data-live"


def test_keyboard(visit: Callable[..., Page]) -> None:
    shown = visit()
    shown.keyboard.press("j")
    shown.keyboard.press("j")
    assert shown.evaluate("document.activeElement.textContent") == "row 1"
    shown.keyboard.press("k")
    assert shown.evaluate("document.activeElement.textContent") == "row 0"
    shown.keyboard.press("/")
    assert shown.evaluate("document.activeElement.name") == "q"
    shown.keyboard.type("j/k")
    assert shown.input_value("input[name=q]") == "j/k"


def test_reason_is_asked_before_a_dangerous_verb(visit: Callable[..., Page]) -> None:
    shown = visit()
    shown.click("summary.danger")
    assert shown.locator("details[open] input[name=reason]").get_attribute("required") is not None
    assert shown.locator("details[open] input[name=csrf]").get_attribute("value") == "secret"


def test_readable_without_scripts(visit: Callable[..., Page]) -> None:
    shown = visit(java_script_enabled=False, viewport={"width": 360, "height": 740})
    assert shown.locator("h1").inner_text() == "assistant"
    assert not shown.locator("nav .list").is_visible()
    shown.click("nav .open")
    assert shown.locator("nav .list a", has_text="Datasets").is_visible()
    shown.click("figure.chart summary")
    assert shown.locator("figure.chart table").is_visible()


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
def test_nothing_sticks_out(visit: Callable[..., Page], width: int, language: str) -> None:
    shown = visit(viewport={"width": width, "height": 800}, locale=language)
    deadline = time.monotonic() + 20
    while shown.locator("figure.chart svg").count() == 0 and time.monotonic() < deadline:
        shown.wait_for_timeout(100)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.locator("html").get_attribute("lang") == language[:2]
