"""Showback in a real browser: every page's looks, a figure followed to its rows, and drivers sent as a file."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from billing.core.drivers import read_driver_lines
from billing.drivers import keep_drivers
from tests.browsing import (
    LIST_WEIGHTS,
    PAGE_BYTES_MAX,
    PHONE,
    WIDE,
    list_too_wide,
    list_violations,
    wait_for_chart,
)
from tests.dashboards.bookings import book
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)
LONG = "feature-with-a-rather-long-name-"


@pytest.fixture
def acme(committed_db):
    """Forty days of 25 features, users and cost centres, a call without a price, and two drivers."""
    publish_test_rates()
    tenant, now = make_tenant("acme", is_demo=True), datetime.now(UTC)
    book(
        tenant,
        *(
            {
                "feature": f"{LONG}{i}", "cost_center": f"centre {i % 7}" if i % 4 else "",
                "user": f"user-{i}@example.com", "time": now - timedelta(days=day),
                "finish_reason": "length" if i % 9 == 0 else "stop",
            }
            for day in range(40)
            for i in range(25)
        ),
        {"feature": "", "model": "a-model-that-nobody-has-ever-put-a-price-on-2026-11-19", "time": now, "user": ""},
        {"environment": "development", "feature": f"{LONG}1", "time": now},
    )  # fmt: skip
    days = [(now - timedelta(days=day)).date() for day in range(1, 30)]
    lines = [f"{name},{day},{1000 + day.day}" for day in days for name in ("orders", "documents of a rather long name")]
    keep_drivers(read_driver_lines("\n".join(lines))[0], tenant_id=tenant.id, actor="person 1", now=now)
    return tenant


def list_pages():
    return [
        "/showback?period=30d&by=feature",
        "/showback?period=30d&by=feature&rows=all&sort=name",
        "/showback?period=30d",
        "/showback?period=30d&by=user",
        "/showback?from=2025-01-01&to=2025-01-02",
        f"/showback/one?period=30d&by=feature&value={LONG}1",
        "/showback/one?period=30d&by=feature&value=",
        "/showback/one?period=30d&by=user&value=user-3@example.com",
        "/showback/one?period=30d&by=cost_center&value=",
        "/showback/one?period=30d&by=model&value=nothing",
        "/showback/drivers",
    ]


@pytest.mark.parametrize(
    ("size", "themes"), [(WIDE, ("light", "dark")), (PHONE, ("dark", "light"))], ids=["wide", "phone"]
)
def test_every_page_fits_is_silent_and_is_accessible(open_page, acme, size, themes):
    rules = {("light", WIDE): None, ("light", PHONE): None, ("dark", WIDE): ["color-contrast"]}
    page = open_page("/showback", client=sign_in(acme, role="owner"), size=size, reduced_motion="reduce")
    for path in list_pages():
        page.emulate_media(color_scheme=themes[0])
        page.goto(path)
        for theme in themes:
            page.emulate_media(color_scheme=theme)
            wait_for_chart(page)
            assert list_too_wide(page) == [], (path, theme)
            assert list_violations(page, rules=rules.get((theme, size), [])) == [], (path, theme)
        assert page.complaints == [], path
        weights = page.evaluate(LIST_WEIGHTS)
        assert sum(bytes for url, bytes in weights if not url.endswith("plotly.min.js")) < PAGE_BYTES_MAX, path


def test_a_figure_is_followed_from_the_table_to_its_rows_without_scripts(open_page, acme):
    page = open_page("/showback?period=30d", client=sign_in(acme), java_script_enabled=False)
    page.get_by_role("link", name="Feature", exact=True).first.click()
    page.get_by_role("link", name=f"{LONG}1", exact=True).click()
    page.wait_for_url("**/showback/one?**")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{LONG}1")
    page.get_by_text("Daily figures as a table").click()
    shown = page.locator("table", has=page.locator("caption", has_text="by day")).locator("tfoot a data")
    cost = shown.get_attribute("value")
    shown.click()
    page.wait_for_url("**/ledger?**")
    expect(page.locator('td[data-l="Cost"] data').last).to_have_attribute("value", cost)


def test_a_file_with_a_slip_is_refused_whole_mended_and_sent_again_and_orders_have_their_cost(open_page, acme):
    page = open_page("/showback?period=30d", client=sign_in(acme, role="owner"))
    page.get_by_role("link", name="Drivers", exact=True).click()
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()

    def send(text):
        page.get_by_label("CSV with name, day, quantity").set_input_files(
            {"name": "seats.csv", "mimeType": "text/csv", "buffer": text.encode()}
        )
        page.get_by_role("button", name="Send the file").click()

    send(f"seats,{yesterday},1.000,5\n")
    expect(page.get_by_text("seats.csv was not taken, and nothing of it was kept.")).to_be_visible()
    page.wait_for_load_state()
    assert list_violations(page) == []
    send(f"seats,{yesterday},50\n")
    expect(page.get_by_text("1 day kept.")).to_be_visible()
    page.get_by_role("link", name="Showback").last.click()
    page.wait_for_url(re.compile(r"/showback(\?|$)"))
    page.goto(f"/showback?by=feature&from={yesterday}&to={yesterday}")
    # 25 calls of 0.00475 for 50 seats.
    row = page.locator("tr", has=page.get_by_role("rowheader", name="seats"))
    expect(row.locator("td.hero data")).to_have_attribute("value", "0.002375")
    page.goto("/showback/drivers")
    page.locator("tr", has_text="seats").locator("summary").press("Enter")
    assert list_too_wide(page) == []
    page.get_by_role("button", name="Take it back").press("Enter")
    expect(page.get_by_text("1 day taken back")).to_be_visible()
    assert [text for text in page.complaints if "422" not in text] == []
