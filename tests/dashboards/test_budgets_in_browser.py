"""A budget made without a script, tried first, and the Overview's figure of it."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.browsing import PHONE, WIDE, list_too_wide, list_violations
from tests.dashboards.bookings import book
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def acme(committed_db):
    """Four calls of now, of 0.00475 each."""
    publish_test_rates()
    tenant = make_tenant("acme")
    book(tenant, *({"feature": "chat", "time": datetime.now(UTC)} for _ in range(4)))
    return tenant


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_one_tries_a_budget_makes_it_and_finds_it_on_the_overview(open_page, acme, size, theme):
    page = open_page("/budgets", client=sign_in(acme, role="owner"), size=size, theme=theme)
    page.get_by_role("link", name="New budget").click()
    page.wait_for_url("**/budgets/new")
    page.get_by_label("Name").fill("Everything")
    page.get_by_label("Amount, USD").fill("lots")
    page.get_by_role("button", name="Make the budget").press("Enter")
    expect(page.get_by_label("Amount, USD")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("must be a decimal as text")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_label("Amount, USD").fill("0.02")
    page.get_by_role("button", name="Try it on the past").press("Enter")
    expect(page.get_by_text("In the last 30 days it would have told 2 times.")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_role("button", name="Make the budget").press("Enter")
    page.wait_for_url("**?done=created")
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything")
    expect(page.get_by_text("95 %").first).to_be_visible()
    page.goto("/")
    figure = page.locator(".figures > div", has_text="Budget used")
    expect(figure.get_by_role("link", name="95 %")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    assert [text for text in page.complaints if "422" not in text] == []
