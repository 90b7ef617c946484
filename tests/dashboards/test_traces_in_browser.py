"""The pages of traces in a real browser: both widths, both themes, and the way from the list down to an entry."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.browsing import PHONE, WIDE, list_too_wide, list_violations
from tests.dashboards.bookings import book
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def acme(committed_db):
    """A trace of a chain, an orphan, a failure, a call without a price and one with a very long name."""
    publish_test_rates()
    tenant = make_tenant("acme", is_demo=True)
    start = datetime.now(UTC) - timedelta(minutes=9)
    chain = [
        {"span_id": f"s{n}", "parent_span_id": f"s{n - 1}" if n else "", "time": start + timedelta(seconds=n)}
        for n in range(14)
    ]
    others = [
        {"span_id": "lost", "parent_span_id": "nobody", "latency_ms": 90_000, "time": start},
        {"span_id": "bad", "status": "error", "usage": {"input_tokens": 0, "output_tokens": 0}, "time": start},
        {"span_id": "dark", "model": "a-model-that-nobody-has-ever-put-a-price-on-2026-11-19", "time": start},
    ]
    book(tenant, *({"trace_id": TRACE, "user": "u", **each} for each in (*chain, *others)))
    book(tenant, {"trace_id": "another-trace-with-a-name-that-is-far-too-long-to-be-one-" * 3, "time": start})
    return tenant


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_fit_are_silent_and_accessible(open_page, acme, size, theme):
    page = open_page("/traces", client=sign_in(acme), size=size, theme=theme)
    for path in ("/traces", "/traces?feature=none", f"/traces/{TRACE}", f"/traces/{TRACE}?under=s3"):
        page.goto(path)
        assert list_too_wide(page) == [], path
        assert list_violations(page) == [], path
    assert page.complaints == []


def test_one_follows_the_dearest_trace_to_its_dearest_call_by_keyboard_and_without_scripts(open_page, acme):
    page = open_page("/traces", client=sign_in(acme), java_script_enabled=False)
    page.locator(".traces tbody th a").first.press("Enter")
    page.wait_for_url(f"**/traces/{TRACE}")
    leaf = page.locator("tr.dear").last
    expect(leaf).to_contain_text("dearest path")
    leaf.locator('a[href^="/ledger/"]').press("Enter")
    page.wait_for_url("**/ledger/*.*")
    page.get_by_role("link", name=TRACE, exact=True).press("Enter")
    page.wait_for_url(f"**/traces/{TRACE}")
    page.locator("th.in-3 a").press("Enter")
    page.wait_for_url("**under=s3")
    expect(page.locator(".waterfall tbody tr")).to_have_count(11)
