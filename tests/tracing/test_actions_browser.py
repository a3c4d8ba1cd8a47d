"""Ticks, keys, judgements and an erasure in a real browser, and without scripts."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from noria.app import schema as records
from noria.app.slices import SLICES
from noria.core import clock
from noria.governance import erasure, people
from noria.governance.records import FirstLogin
from noria.jobs.tables import jobs
from noria.stores.connect import Stores
from tests.tracing.conftest import TICK, Traffic, served, whole

pytestmark = pytest.mark.browser
records.declare()


@pytest.fixture
def project(first: FirstLogin) -> str:
    return first.project_id


@pytest.fixture
def address(stores: Stores, first: FirstLogin) -> Iterator[str]:
    with served(whole(stores)) as url:
        yield url


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


def test_a_person_is_erased_on_the_page(
    browser: Browser, address: str, first: FirstLogin, stores: Stores, traffic: Traffic
) -> None:
    name = "mina-" + "x" * 80
    traffic.span(subject_id=name)
    traffic.carry()
    context = browser.new_context(locale="en-US", base_url=address, viewport={"width": 380, "height": 800})
    page, complaints = sign_in(context, first), []
    page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/settings/privacy")
    page.fill("input[name=subject]", name)
    page.get_by_role("button", name="Show what would go").click()
    assert page.locator("dl.facts").inner_text().split() == ["user", name, "traces", "1", "spans", "1"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.fill("input[name=reason]", "a letter")
    page.get_by_role("button", name="Erase this person").click()
    expect(page.locator(".notice")).to_contain_text("Nothing of the person can be seen any more.")
    expect(page.locator("#erasures .chip")).to_have_text("erasing")
    assert page.locator("#erasures .scroll").evaluate("e => e.scrollWidth <= e.clientWidth")
    [asked] = erasure_list(stores, first.project_id)
    failed = {"message": "It stopped.", "hint": "Look why.", "code": "x"}
    with stores.database.begin() as connection:
        connection.execute(jobs.update().values(state="failed", error=failed, ended_at=clock.now()))
    expect(page.locator("#erasures")).to_contain_text("It stopped. Look why.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.get_by_role("button", name="Go on erasing").click()
    expect(page.locator("#erasures .chip")).to_have_text("erasing")
    erasure.perform(stores, SLICES, asked.id, lambda _: carry(traffic))
    expect(page.locator("#erasures .chip")).to_have_text("done")
    assert name not in page.content() and "traces 1" in page.locator("#erasures").inner_text()
    context.close()
    assert complaints == []


def test_who_may_not_erase_sees_no_page(browser: Browser, address: str, first: FirstLogin, stores: Stores) -> None:
    common = {"email": "r@example.org", "name": "R", "role": "reviewer", "password": "a long enough password"}
    with stores.database.begin() as connection:
        people.add_person(connection, project_id=first.project_id, actor_id="", **common)
    context = browser.new_context(locale="en-US", base_url=address)
    page = sign_in(context, replace(first, email=common["email"], password=common["password"]))
    page.goto("/settings")
    assert "Privacy" not in page.locator(".tabs").inner_text()
    answer = page.goto("/settings/privacy")
    assert answer is not None and answer.status == 403 and "Ask an admin" in page.content()
    context.close()


def carry(traffic: Traffic) -> None:
    traffic.carry()


def erasure_list(stores: Stores, project: str) -> list[erasure.Erasure]:
    with stores.database.read() as connection:
        return erasure.list_erasures(connection, project).items
