"""A rate edited, examined, submitted and approved in a real browser; its pages at both widths, in both themes."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from billing.core.rate_documents import read_rates
from billing.models import RateVersion
from billing.rates import forget_rate_book, publish_rates
from tests.browsing import LIST_WEIGHTS, PAGE_BYTES_MAX, look_at
from tests.dashboards.drafting import LUNA_BEFORE
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, name_maker

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def acme(committed_db):
    """Luna before its cut, under a provider's name of this test alone: what is published stays."""
    tenant = make_tenant("acme")
    rate = LUNA_BEFORE | {"provider": name_maker(tenant)}
    publish_rates(
        read_rates({"rates": [rate]}), origin="file", created_by="maria", approved_by="wanda", now=datetime.now(UTC)
    )
    forget_rate_book()
    return tenant


def fill_cut(page):
    """What finance types after the cut of 2026-07-30, with a slip in the input's price."""
    for name, price, long in (
        ("input", "0.02", "0.4"), ("cache_read", "0.02", "0.04"), ("cache_write", "0.25", "0.5"),
        ("output", "1.2", "1.8"),
    ):  # fmt: skip
        page.get_by_label(f"Price of {name}", exact=True).fill(price)
        page.get_by_label(f"Price of {name}, long prompts 1", exact=True).fill(long)
    page.get_by_label("From, UTC").fill("2026-07-30")
    page.get_by_label("Source").fill("the cut of July")


def test_finance_writes_a_price_is_asked_and_a_second_person_publishes_it(open_page, acme):
    page = open_page(f"/rates/{name_maker(acme)}/gpt-5.6-luna?tenant={acme.slug}", client=sign_in(role="finance"))
    page.get_by_role("link", name="New version").click()
    page.wait_for_url("**/rates/new?**")
    check = page.get_by_role("region", name="What it would do")
    expect(check.get_by_text("Nothing yet: it says what is in force.")).to_be_visible()

    page.get_by_label("Price of input", exact=True).fill("0.2x")
    hint = page.locator("#price-1-hint")
    expect(hint).to_contain_text("is not a price. Write digits and a point, such as 0.25.")
    fill_cut(page)
    expect(check.get_by_text("The price of input goes from 1 to 0.02 USD per 1,000,000.")).to_be_visible()
    expect(hint).to_have_text("")
    cells = check.locator("tr", has_text="Output").first.locator("th, td")
    expect(cells).to_have_text(["Output", "6.00", "1.20", "▼ 80.0\u202f% less"])
    page.get_by_role("button", name="Submit for approval").click()
    expect(page.get_by_text("Confirm each question by its box")).to_be_visible()
    page.wait_for_load_state()
    assert page.complaints == ["Failed to load resource: the server responded with a status of 409 (Conflict)"]
    page.complaints.clear()
    expect(page.get_by_label("Source")).to_have_value("the cut of July")
    page.get_by_label("The price of input goes from 1 to 0.02").check()
    expect(page.get_by_label("The price of input goes from 1 to 0.02")).to_be_checked()

    # it was a slip: corrected, it asks nothing
    page.get_by_label("Price of input", exact=True).fill("0.2")
    expect(check.get_by_text("Nothing is wrong with it, and nothing to be asked")).to_be_visible()
    page.get_by_label("Comment").fill("see the price page")
    page.get_by_role("button", name="Submit for approval").click()
    expect(page.get_by_text("It is submitted: a second person approves it or sends it back.")).to_be_visible()
    expect(page.get_by_text("Approving is somebody else's.")).to_be_visible()
    page.wait_for_load_state()
    expect(page.get_by_role("button", name="Approve and publish")).to_have_count(0)
    assert page.complaints == []

    address = page.url.split("?")[0].partition("/rates")[2]
    other = open_page(f"/rates{address}?tenant={acme.slug}", client=sign_in(role="admin"))
    expect(other.locator("#impact")).to_contain_text(re.compile("Count|worker"))
    other.get_by_role("button", name="Approve and publish").click()
    expect(other.get_by_text("It is published")).to_be_visible()
    other.goto(f"/rates/{name_maker(acme)}/gpt-5.6-luna?tenant={acme.slug}")
    version = RateVersion.objects.get(
        provider=name_maker(acme), state="published", effective__startswith="2026-07-30T00:00Z"
    )
    row = other.locator("tr", has_text=f"version {version.pk}, in force")
    names = ("Input", "Cache read", "Cache write", "Output")
    shown = [row.locator(f'td[data-l="{name}"]').inner_text().split()[0] for name in names]
    assert shown == ["0.20", "0.02", "0.25", "1.20"]
    assert other.complaints == []


def test_a_rate_is_written_and_submitted_without_scripts(open_page, acme):
    client = sign_in(role="finance")
    path = f"/rates/new?tenant={acme.slug}&provider={name_maker(acme)}&model=gpt-5.6-luna"
    page = open_page(path, client=client, java_script_enabled=False)
    fill_cut(page)
    page.get_by_label("Price of input", exact=True).press("Enter")
    expect(page.get_by_text("Is it meant so? Tick what is.")).to_be_visible()
    page.get_by_label("The price of input goes from 1 to 0.02").check()
    page.get_by_role("button", name="Keep as a draft").click()
    expect(page.get_by_text("The draft is kept.")).to_be_visible()
    page.get_by_label("The price of input goes from 1 to 0.02").check()
    page.get_by_role("button", name="Submit for approval").click()
    expect(page.get_by_text("It is submitted")).to_be_visible()
    page.get_by_text("Withdraw", exact=True).click()
    page.get_by_role("button", name="Withdraw it").click()
    expect(page.get_by_text("It is withdrawn. It stays readable here.")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_a_draft_fit_are_silent_and_accessible(open_page, acme, theme):
    client = sign_in(role="finance")
    path = f"/rates/new?tenant={acme.slug}&provider={name_maker(acme)}&model=gpt-5.6-luna"
    page = open_page(path, client=client, theme=theme)
    weights = page.evaluate(LIST_WEIGHTS)
    assert sum(size for _, size in weights) < PAGE_BYTES_MAX, weights
    fill_cut(page)
    page.get_by_label("To, UTC").fill(f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}")
    expect(
        page.get_by_text("Nothing prices what comes after").or_(page.get_by_text("The price of input goes from")).first
    ).to_be_visible()
    look_at(page)
    closed = page.locator("main details:not([open]) > summary")
    while closed.count():
        closed.first.click()
    page.get_by_label("Price of output", exact=True).fill("1.2.3")
    expect(page.locator("#price-4-hint")).to_contain_text("is not a price")
    look_at(page)
    page.get_by_label("Price of output", exact=True).fill("1.2")
    page.get_by_role("button", name="Keep as a draft").click()
    expect(page.get_by_text("The draft is kept.")).to_be_visible()
    look_at(page)
    page.goto(f"/rates/drafts?tenant={acme.slug}")
    look_at(page)
    page.goto(f"/rates/new?tenant={acme.slug}")
    look_at(page)
