"""The main pages in a real browser: they open, fit, speak both languages, and read without JavaScript.

With NORIA_SHOTS=FOLDER every page is also saved as a picture, light and dark, wide and narrow.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from noria.app.demo.api import Json
from tests.app.conftest import Running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SHOTS = os.environ.get("NORIA_SHOTS", "")
WIDE, NARROW = (1320, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as the set-up found or installed it."""
    program = os.environ.get("NORIA_BROWSER")
    if not program:
        pytest.skip("needs a browser: run through `make test`, or set NORIA_BROWSER to Chromium's path")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield opened
        opened.close()


def paths(ids: Json) -> dict[str, str]:
    """The main pages, by the name that a picture gets."""
    return {
        "overview": "/",
        "traces": "/traces",
        "trace": f"/traces/{ids['trace_id']}",
        "import": "/traces/import",
        "dashboard": "/dashboard",
        "costs": "/costs",
        "sessions": "/sessions",
        "users": "/users",
        "scores": "/scores",
        "project": "/settings/project",
        "datasets": "/datasets",
        "dataset": "/datasets/conversations",
        "evaluations": "/evaluations",
        "evaluation": f"/evaluations/{ids['evaluations']['2']}",
        "training": "/training",
        "endpoints": "/endpoints",
        "endpoint": "/endpoints/assistant",
        "prompt": "/prompts/call",
        "settings": "/settings",
    }


NAMES = tuple(paths({"trace_id": "", "evaluations": {"2": ""}}))


def signed_in(
    browser: Browser,
    running: Running,
    *,
    language: str = "en",
    dark: bool = False,
    scripts: bool = True,
    size: tuple[int, int] = WIDE,
) -> BrowserContext:
    """A window of the admin, signed in by the form."""
    context = browser.new_context(
        base_url=running.url,
        locale="ko-KR" if language == "ko" else "en-GB",
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        viewport={"width": size[0], "height": size[1]},
    )
    page = context.new_page()
    page.goto("/login")
    page.fill("input[name=email]", running.admin_login.email)
    page.fill("input[name=password]", running.admin_login.password)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{running.url}/")
    page.close()
    return context


@pytest.fixture(scope="module")
def window(browser: Browser, seeded: tuple[Running, Json]) -> Iterator[Callable[..., BrowserContext]]:
    """Windows of the admin, each look signed in once."""
    made: dict[tuple[tuple[str, object], ...], BrowserContext] = {}

    def of(**look: object) -> BrowserContext:
        key = tuple(sorted(look.items()))
        if key not in made:
            made[key] = signed_in(browser, seeded[0], **look)  # type: ignore[arg-type]
        return made[key]

    yield of
    for context in made.values():
        context.close()


def opened(context: BrowserContext, path: str) -> tuple[Page, list[str]]:
    """A loaded page and what it complained about."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    response = page.goto(path)
    assert response is not None
    assert response.status == 200, f"{path} answered {response.status}"
    return page, complaints


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_page_opens_without_complaint_and_fits(
    window: Callable[..., BrowserContext], seeded: tuple[Running, Json], name: str, size: tuple[int, int], dark: bool
) -> None:
    page, complaints = opened(window(dark=dark, size=size), paths(seeded[1])[name])
    page.wait_for_load_state("networkidle")
    assert complaints == []
    assert page.locator("h1").count() == 1
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{name} is {wider} px wider than its window"
    if SHOTS:
        picture = Path(SHOTS) / f"{name}-{'dark' if dark else 'light'}-{'wide' if size == WIDE else 'narrow'}.png"
        page.screenshot(path=str(picture), full_page=True)
    page.close()


@pytest.mark.parametrize("name", NAMES)
def test_page_speaks_korean_and_reads_without_javascript(
    window: Callable[..., BrowserContext], seeded: tuple[Running, Json], name: str
) -> None:
    page, _ = opened(window(language="ko", scripts=False), paths(seeded[1])[name])
    assert page.locator("html").get_attribute("lang") == "ko"
    assert any("가" <= letter <= "힣" for letter in page.locator("nav").inner_text())
    assert len(page.locator("main").inner_text().strip()) > 40
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}-ko.png"), full_page=True)
    page.close()


def test_a_stranger_sees_the_login_and_nothing_else(browser: Browser, seeded: tuple[Running, Json]) -> None:
    running, ids = seeded
    context = browser.new_context(base_url=running.url)
    for path in paths(ids).values():
        page = context.new_page()
        page.goto(path)
        assert "/login" in page.url
        page.close()
    context.close()


def test_the_wrong_password_is_refused_without_saying_which_part_was_wrong(
    browser: Browser, seeded: tuple[Running, Json]
) -> None:
    running, _ = seeded
    context = browser.new_context(base_url=running.url)
    page = context.new_page()
    said = []
    for email in (running.admin_login.email, "nobody@localhost"):
        page.goto("/login")
        page.fill("input[name=email]", email)
        page.fill("input[name=password]", "not the password")
        page.click("main button[type=submit]")
        said.append(page.locator("[role=alert]").inner_text())
    assert said[0] == said[1]
    context.close()
