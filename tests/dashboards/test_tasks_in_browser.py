"""What people open the pages for, done in a real browser: why did it rise, what is a figure made of, look at this."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browsing import PHONE, WIDE
from tests.dashboards.bookings import book
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)
NOW = datetime.now(UTC)


@pytest.fixture
def acme(committed_db):
    """Two quiet features; in the last week one user of *search* made forty calls. A call costs 0.00475."""
    publish_test_rates()
    tenant = make_tenant("acme")
    before, lately = NOW - timedelta(days=20), NOW - timedelta(days=2)
    book(
        tenant,
        *({"feature": "chat", "user": "ann", "time": moment} for moment in (before, lately)),
        *({"feature": "search", "user": "ann", "time": moment} for moment in (before, lately)),
        *({"feature": "search", "user": "bob", "time": lately + timedelta(seconds=i)} for i in range(40)),
    )
    return tenant


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_one_finds_why_cost_rose_and_follows_the_figure_down_to_its_rows(open_page, acme, size):
    day = (NOW - timedelta(days=14)).date()
    page = open_page(f"/?from={day}&to={NOW.date()}", client=sign_in(acme), size=size)
    page.get_by_role("region", name="What changed").get_by_role("link", name="search").click()
    page.wait_for_url("**/explore?**")
    # Forty more calls of the same: it is volume.
    bridge = page.get_by_role("region", name="What changed").get_by_role("row", name="Total")
    assert bridge.locator("data").evaluate_all("cells => cells.map(cell => cell.value)") == [
        "0.00475", "0.19475", "0.19", "0.19",
    ]  # fmt: skip
    page.get_by_role("link", name="Do not group by model").click()
    expect(page.get_by_role("link", name="Do not group by model")).to_have_count(0)
    page.get_by_label("Group by another").click()
    page.get_by_role("link", name="User", exact=True).click()
    by_user = page.get_by_role("region", name="By user").get_by_role("row", name="bob")
    expect(by_user.locator("data").first).to_have_attribute("value", "0.19")
    by_user.get_by_role("link", name="0.19").click()
    page.wait_for_url("**/ledger?**")
    expect(page.get_by_role("heading", name="Ledger")).to_be_visible()
    expect(page.locator("tfoot data").last).to_have_attribute("value", "0.19")
    page.get_by_role("row").nth(1).get_by_role("link").click()
    page.wait_for_url("**/ledger/*.*")
    expect(page.get_by_role("heading", name="Explanation")).to_be_visible()
    assert page.complaints == []


def test_one_gives_a_colleague_a_view_by_keyboard_alone(open_page, acme):
    page = open_page("/explore?period=30d", client=sign_in(acme))
    page.get_by_label("Group by another").press("Enter")
    page.get_by_role("link", name="Feature", exact=True).press("Enter")
    page.wait_for_url("**by=feature**")
    page.get_by_text("+ Filter").press("Enter")
    page.get_by_label("How", exact=True).select_option("not")
    page.get_by_label("Value; empty for none").fill("chat")
    page.keyboard.press("Enter")
    page.wait_for_url("**/explore?**feature.not=chat**")
    expect(page.get_by_role("link", name="Remove filter: Feature is not chat")).to_be_visible()
    page.locator("summary", has_text="Views").press("Enter")
    page.get_by_label("Save this view as").fill("All but chat")
    page.get_by_label("for my colleagues too").press("Space")
    with page.expect_event("load"):
        page.get_by_role("button", name="Save view").press("Enter")
    expect(page).to_have_url(re.compile(r"/explore\?.*feature\.not=chat"))

    other = open_page("/explore", client=sign_in(acme))
    other.locator("summary", has_text="Views").press("Enter")
    other.get_by_role("link", name="All but chat").press("Enter")
    expect(other.get_by_role("link", name="Remove filter: Feature is not chat")).to_be_visible()
    expect(other.locator(".big data")).to_have_attribute("value", "0.1995")  # 42 × 0.00475
    assert page.complaints == other.complaints == []


def test_the_search_finds_by_a_key_and_a_part_of_a_name(open_page, acme):
    page = open_page("/ledger", client=sign_in(acme))
    page.keyboard.press("/")
    page.keyboard.type("sear")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Remove filter: Feature is search")).to_be_visible()
    assert page.complaints == []


def test_explore_is_read_without_scripts(open_page, acme):
    page = open_page("/explore?period=30d&by=feature", client=sign_in(acme), java_script_enabled=False)
    expect(page.get_by_role("table")).to_have_count(2)
    page.get_by_role("link", name="What changed against").click()
    expect(page.get_by_role("table")).to_have_count(3)
    page.locator("summary", has_text="File").click()
    expect(page.get_by_role("link", name="By time, CSV")).to_be_visible()
