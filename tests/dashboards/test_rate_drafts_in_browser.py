"""A rate edited, examined, submitted and approved in a real browser; its pages at both widths, in both themes."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.core.rate_documents import read_rates
from billing.models import RateVersion
from billing.rates import forget_rate_book, publish_rates
from tests.dashboards.drafting import LUNA_BEFORE
from tests.dashboards.pages import sign_in
from tests.dashboards.test_browser import (  # noqa: F401 - the fixtures are its own
    LIST_TOO_WIDE,
    LIST_WEIGHTS,
    PAGE_BYTES_MAX,
    PHONE,
    WIDE,
    chromium,
    list_violations,
    open_page,
    wait_until,
)
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


def test_finance_writes_a_price_is_asked_and_a_second_person_publishes_it(open_page, acme):  # noqa: F811
    page = open_page(f"/rates/{name_maker(acme)}/gpt-5.6-luna?tenant={acme.slug}", client=sign_in(role="finance"))
    page.get_by_role("link", name="New version").click()
    check = page.get_by_role("region", name="What it would do")
    check.get_by_text("Nothing yet: it says what is in force.").wait_for()

    page.get_by_label("Price of input", exact=True).fill("0.2x")
    page.locator("#price-1-hint", has_text="is not a price. Write digits and a point, such as 0.25.").wait_for()
    fill_cut(page)
    check.get_by_text("The price of input goes from 1 to 0.02 USD per 1,000,000.").wait_for()
    assert page.locator("#price-1-hint").inner_text() == ""
    line = check.locator("tr", has_text="Output").first
    wait_until(page, lambda: line.inner_text().split() == ["Output", "6.00", "1.20", "▼", "80.0", "%", "less"])
    page.get_by_role("button", name="Submit for approval").click()
    page.get_by_text("Confirm each question by its box").wait_for()
    assert page.complaints == ["Failed to load resource: the server responded with a status of 409 (Conflict)"]
    page.complaints.clear()
    assert page.get_by_label("Source").input_value() == "the cut of July"
    page.get_by_label("The price of input goes from 1 to 0.02").check()
    wait_until(page, lambda: page.get_by_label("The price of input goes from 1 to 0.02").is_checked())

    # it was a slip: corrected, it asks nothing
    page.get_by_label("Price of input", exact=True).fill("0.2")
    check.get_by_text("Nothing is wrong with it, and nothing to be asked").wait_for()
    page.get_by_label("Comment").fill("see the price page")
    page.get_by_role("button", name="Submit for approval").click()
    page.get_by_text("It is submitted: a second person approves it or sends it back.").wait_for()
    assert page.get_by_role("button", name="Approve and publish").count() == 0
    page.get_by_text("Approving is somebody else's.").wait_for()
    assert page.complaints == []

    address = page.url.split("?")[0].partition("/rates")[2]
    other = open_page(f"/rates{address}?tenant={acme.slug}", client=sign_in(role="admin"))
    other.locator("#impact", has_text="Count").or_(other.locator("#impact", has_text="worker")).first.wait_for()
    other.get_by_role("button", name="Approve and publish").click()
    other.get_by_text("It is published").wait_for()
    other.goto(f"/rates/{name_maker(acme)}/gpt-5.6-luna?tenant={acme.slug}")
    version = RateVersion.objects.get(
        provider=name_maker(acme), state="published", effective__startswith="2026-07-30T00:00Z"
    )
    row = other.locator("tr", has_text=f"version {version.pk}, in force")
    names = ("Input", "Cache read", "Cache write", "Output")
    shown = [row.locator(f'td[data-l="{name}"]').inner_text().split()[0] for name in names]
    assert shown == ["0.20", "0.02", "0.25", "1.20"]
    assert other.complaints == []


def test_a_rate_is_written_and_submitted_without_scripts(open_page, acme):  # noqa: F811
    client = sign_in(role="finance")
    path = f"/rates/new?tenant={acme.slug}&provider={name_maker(acme)}&model=gpt-5.6-luna"
    page = open_page(path, client=client, java_script_enabled=False)
    fill_cut(page)
    page.get_by_label("Price of input", exact=True).press("Enter")
    assert page.get_by_text("Is it meant so? Tick what is.").is_visible()
    page.get_by_label("The price of input goes from 1 to 0.02").check()
    page.get_by_role("button", name="Keep as a draft").click()
    assert page.get_by_text("The draft is kept.").is_visible()
    page.get_by_label("The price of input goes from 1 to 0.02").check()
    page.get_by_role("button", name="Submit for approval").click()
    assert page.get_by_text("It is submitted").is_visible()
    page.get_by_text("Withdraw", exact=True).click()
    page.get_by_role("button", name="Withdraw it").click()
    assert page.get_by_text("It is withdrawn. It stays readable here.").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_a_draft_fit_are_silent_and_accessible(open_page, acme, theme):  # noqa: F811
    client = sign_in(role="finance")
    path = f"/rates/new?tenant={acme.slug}&provider={name_maker(acme)}&model=gpt-5.6-luna"
    page = open_page(path, client=client, theme=theme)
    weights = page.evaluate(LIST_WEIGHTS)
    assert sum(size for _, size in weights) < PAGE_BYTES_MAX, weights
    fill_cut(page)
    page.get_by_label("To, UTC").fill(f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}")
    page.get_by_text("Nothing prices what comes after").or_(
        page.get_by_text("The price of input goes from")
    ).first.wait_for()
    look_at(page)
    closed = page.locator("main details:not([open]) > summary")
    while closed.count():
        closed.first.click()
    page.get_by_label("Price of output", exact=True).fill("1.2.3")
    page.locator("#price-4-hint", has_text="is not a price").wait_for()
    look_at(page)
    page.get_by_label("Price of output", exact=True).fill("1.2")
    page.get_by_role("button", name="Keep as a draft").click()
    page.get_by_text("The draft is kept.").wait_for()
    look_at(page)
    page.goto(f"/rates/drafts?tenant={acme.slug}")
    look_at(page)
    page.goto(f"/rates/new?tenant={acme.slug}")
    look_at(page)


def look_at(page):
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    assert list_violations(page) == [], page.url
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    wait_until(page, lambda: page.evaluate(LIST_TOO_WIDE) == [])
    assert page.complaints == [], page.url
