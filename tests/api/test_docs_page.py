"""The page to try the contract on, in a real browser: under its strict policy, with a key, to an answer."""

import os
import re
import shutil

import pytest

from tests.factories import make_key, make_tenant

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
if not CHROMIUM:
    pytest.skip(
        "no Chromium is installed: on Debian, apt-get install chromium; or name one in CHROMIUM",
        allow_module_level=True,
    )

from playwright.sync_api import sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def page(live_server_url, monkeypatch):
    # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.complaints = []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.strangers = []
        page.on(
            "request", lambda r: None if r.url.startswith((live_server_url, "data:")) else page.strangers.append(r.url)
        )
        page.goto(f"{live_server_url}/v1/docs")
        yield page
        browser.close()


def test_a_call_is_tried_with_a_key_from_the_page(page, committed_db):
    acme = make_tenant("acme")
    page.locator(".opblock-summary-path", has_text=re.compile(r"^/v1/me$")).wait_for()
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill(make_key(acme, "read"))
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper button.btn-done").click()
    page.locator("#operations-reading-get_me .opblock-summary-control").click()
    page.locator("#operations-reading-get_me button.execute").click()
    answer = page.locator("#operations-reading-get_me .live-responses-table")
    answer.wait_for()
    assert acme.slug in answer.inner_text()
    assert page.complaints == []
    assert page.strangers == []
