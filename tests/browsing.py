"""Pages in a real browser, measured as one looks at them. The fixtures `chromium` and `open_page` stand in conftest.py.

Playwright's clicks, and its keys even less, do not wait for the page that they lead to. So a test asks by `expect`,
which asks again; what is read as it stands is read after `page.wait_for_url`, which waits for the whole page, or after
`page.expect_event("load")` around the click where the address stays the same.
"""

import os
import shutil
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_MISSING = "no Chromium is installed: on Debian, apt-get install chromium; or name one in CHROMIUM"
# As long as Playwright waits for what it clicks: on a busy machine a page takes many seconds.
expect.set_options(timeout=30_000)

WIDE, PHONE = (1280, 900), (390, 844)
PAGE_BYTES_MAX = 120_000  # of everything but the chart's script, as it travels
LIST_WEIGHTS = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map((entry) => [entry.name, entry.encodedBodySize])"""
LIST_TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const clips = (element) => element
        && (getComputedStyle(element).overflowX !== "visible" || clips(element.parentElement));
    return [...document.body.querySelectorAll("*")]
        .filter((element) => element.getBoundingClientRect().right > width && !clips(element.parentElement))
        .map((element) => element.outerHTML.slice(0, 200)).slice(0, 6);
}"""
ALIKE = "tbody tr:nth-child(n + 9):not(:last-child)"  # rows that the first eight and the last one stand for


def launch_chromium(playwright: Playwright) -> Browser:
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)


def wait_for_chart(page: Page) -> None:
    """Until it is drawn, where the page, which is there whole, has one."""
    if page.locator("#chart").count():
        expect(page.locator("#chart .trace path").first).to_be_attached()


def list_violations(page: Page, *, rules: list[str] | None = None) -> list[tuple[str, list[str]]]:
    """What axe finds by `rules`, by all of them where none is named; nothing for []. A long table is not read whole."""
    if rules == []:
        return []
    options = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = Axe().run(page, context={"exclude": [ALIKE]}, options=options).response["violations"]
    return [(violation["id"], [node["html"][:200] for node in violation["nodes"]][:3]) for violation in found]


def list_too_wide(page: Page, *, seconds: float = 10) -> list[str]:
    """What still reaches beyond the page's right edge after that time: a chart follows a new width a little later."""
    deadline = time.monotonic() + seconds
    while (found := page.evaluate(LIST_TOO_WIDE)) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    return found


def look_at(page: Page) -> None:
    """The page fits at both widths, is accessible, and complained of nothing."""
    page.wait_for_load_state()
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    assert list_violations(page) == [], page.url
    assert list_too_wide(page) == [], page.url
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert list_too_wide(page) == [], page.url
    assert page.complaints == [], page.url
