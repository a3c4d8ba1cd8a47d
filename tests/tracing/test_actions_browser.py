"""Ticks, keys and judgements in a real browser, and the same without scripts."""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from noria.app import schema as records
from noria.app.slices import SLICES
from noria.core import clock
from noria.governance import service as governance
from noria.governance.records import FirstLogin
from noria.stores.connect import Stores
from noria.web import application
from tests.tracing.conftest import TICK, Traffic

pytestmark = pytest.mark.browser
records.declare()


@pytest.fixture
def first(stores: Stores) -> FirstLogin:
    made = governance.bootstrap(stores)
    assert made is not None
    return made


@pytest.fixture
def project(first: FirstLogin) -> str:
    return first.project_id


@pytest.fixture
def address(stores: Stores, first: FirstLogin) -> Iterator[str]:
    app = application.create(SLICES, stores, governance.authenticate)
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


def sign_in(context: BrowserContext, first: FirstLogin) -> Page:
    page = context.new_page()
    page.goto("/login")
    page.fill("input[name=email]", first.email)
    page.fill("input[name=password]", first.password)
    page.click("main button")
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def questions(traffic: Traffic, count: int) -> None:
    now = clock.now_ns()
    for number in range(count):
        traffic.span(f"question {number}", f"answer {number}", start_ns=now - number * TICK)
    traffic.carry()


def test_ticks_keys_and_a_judgement(browser: Browser, address: str, first: FirstLogin, traffic: Traffic) -> None:
    questions(traffic, 5)
    context = browser.new_context(locale="en-US", base_url=address)
    page, complaints = sign_in(context, first), []
    page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/traces")
    buttons, boxes = page.locator("#ticked button"), page.locator("input[name=t]")
    expect(buttons.first).to_be_disabled()
    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.locator("[data-count]")).to_have_text("3 ticked")
    assert page.locator("[data-tick-all] input").evaluate("e => e.indeterminate")
    page.locator("tr[id] a").first.focus()
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert [box.is_checked() for box in boxes.all()] == [True, False, True, True, False]
    expect(page.get_by_role("button", name="Compare two")).to_be_disabled()
    page.locator("[data-tick-all] input").check()
    expect(page.locator("[data-count]")).to_have_text("5 ticked")

    page.get_by_role("button", name="Untick all").click()
    expect(page.locator("[data-count]")).to_have_text("")
    page.goto("/traces?limit=3")
    boxes.nth(2).click()
    expect(page.locator("#count")).to_have_text("5 traces")
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("[data-count]")).to_have_text("1 ticked, 1 of them on other pages")
    boxes.nth(1).click()
    expect(page.locator("[data-count]")).to_have_text("2 ticked, 1 of them on other pages")
    page.go_back()
    expect(page.locator("[data-count]")).to_have_text("2 ticked, 1 of them on other pages")
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator("#answers del")).to_have_text("2")
    expect(page.locator("#answers ins")).to_have_text("4")
    page.goto("/traces?q=question")
    expect(page.locator("[data-count]")).to_have_text("")
    page.goto("/traces")
    expect(page.locator("[data-count]")).to_have_text("2 ticked")
    page.locator("[data-tick-all] input").check()

    page.get_by_role("button", name="Score…").first.click()
    expect(page.locator("h1")).to_have_text("Score")
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_have_text("Your judgement of all of them is kept.")
    expect(page.locator("#rows .good")).to_have_count(5)
    expect(page.locator("[data-count]")).to_have_text("")

    page.locator("tr[id] a").first.click()
    expect(page.locator("#feedback")).to_contain_text("found good")
    page.keyboard.press("b")
    page.fill("textarea[name=correction]", "another answer")
    page.get_by_role("button", name="Keep the judgement").click()
    expect(page.locator("#feedback")).to_contain_text("found bad")
    expect(page.locator("#feedback ins")).to_contain_text("another")

    page.get_by_role("link", name="Add to dataset…").click()
    expect(page.locator(".said")).to_have_text("another answer")
    page.fill("input[name=new]", "질문.1")
    page.get_by_role("button", name="Add to dataset").click()
    expect(page.locator("h1")).to_have_text("질문.1")
    expect(page.locator("#rows")).to_contain_text("another answer")
    context.close()
    assert complaints == []


def test_without_scripts_on_a_telephone(browser: Browser, address: str, first: FirstLogin, traffic: Traffic) -> None:
    questions(traffic, 3)
    context = browser.new_context(
        locale="ko-KR", base_url=address, java_script_enabled=False, viewport={"width": 390, "height": 800}
    )
    page = sign_in(context, first)
    page.goto("/traces")
    page.locator("input[name=t]").nth(0).check()
    page.locator("input[name=t]").nth(2).check()
    page.locator("#ticked button").nth(1).click()
    assert "트레이스 2개" in page.locator("header").inner_text()
    page.fill("input[name=new]", "calls")
    page.locator("main form button.main").click()
    assert "2행, 그중 2행은 트레이스에서 더했습니다." in page.locator("main").inner_text()
    for path in ("/traces", "/scores", "/datasets/calls"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    context.close()
