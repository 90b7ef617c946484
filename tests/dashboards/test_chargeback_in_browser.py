"""A rule of chargeback tried and added without a script, and the month that adds up by it."""

import pytest
from playwright.sync_api import expect

from tests.browsing import PHONE, WIDE, list_too_wide, list_violations
from tests.chargeback.months import make_centers, spend
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def acme(committed_db):
    """October: 100 of the platform, 300 of sales, 100 of legal."""
    publish_test_rates()
    acme = make_tenant("acme")
    make_centers(acme, "platform", "sales", "legal")
    spend(acme, {"platform": 100, "sales": 300, "legal": 100})
    return acme


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_one_tries_a_rule_adds_it_and_finds_its_lines_in_the_month(open_page, acme, size, theme):
    page = open_page(
        f"/chargeback?period=2026-10&tenant={acme.slug}", client=sign_in(role="finance"), size=size, theme=theme
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("Chargeback")
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_role("link", name="Rules", exact=True).click()
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_label("Name").fill("Platform")
    page.get_by_label("From the month").fill("2026-10")
    page.get_by_label("Cost centres", exact=True).fill("platfrom")
    page.get_by_role("button", name="Try it on the month").press("Enter")
    expect(page.get_by_label("Cost centres", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("names platfrom, which is no cost centre")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_label("Cost centres", exact=True).fill("platform")
    page.get_by_role("button", name="Try it on the month").press("Enter")
    expect(page.get_by_role("row", name="sales").get_by_text("+75.00")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_role("button", name="Add the rule").press("Enter")
    page.wait_for_url("**done=created")
    expect(page.get_by_text("100 % of platform to everyone, by cost")).to_be_visible()
    page.goto(f"/chargeback?period=2026-10&tenant={acme.slug}")
    expect(page.get_by_role("row", name="sales").get_by_text("375.00")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.get_by_role("link", name="sales").click()
    expect(page.get_by_text("100.00 USD × 300.00 USD of 400.00 USD by direct cost")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    page.goto(f"/chargeback/rates?tenant={acme.slug}")
    expect(page.get_by_role("button", name="Enter the rate")).to_be_visible()
    assert list_too_wide(page) == [] and list_violations(page) == []
    assert [text for text in page.complaints if "422" not in text] == []
