"""A finance person gives last week's calls a cost centre in a real browser: tried, added, re-allocated."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, RuleTerms
from billing.cost_centers import create_cost_center, list_cost_centers
from billing.mapping import add_rule
from billing.reratings import list_jobs, start_reallocation, work_job
from tests.browsing import LIST_WEIGHTS, PAGE_BYTES_MAX, look_at
from tests.dashboards.bookings import book
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.timeout(300)
NOW = datetime.now(UTC)


@pytest.fixture
def acme(committed_db):
    """With a cost centre, and three calls of a week ago that name none; 0.00475 USD each."""
    publish_test_rates()
    acme = make_tenant("acme")
    create_cost_center(CostCenterTerms(code="growth", name="Growth"), tenant_id=acme.id, actor="person 7", now=NOW)
    time = NOW - timedelta(days=7)
    book(acme, *[{"time": time, "feature": name, "cost_center": ""} for name in ("chat", "chat", "mail")])
    return acme


def test_last_weeks_calls_get_a_cost_centre_by_a_rule_that_was_tried_first(open_page, acme):
    page = open_page("/", client=sign_in(acme, role="owner"))
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Mapping rules").click()
    expect(page.get_by_text("There is none yet")).to_be_visible()
    page.get_by_label("Features, with commas between").fill("Chat")
    page.get_by_role("button", name="Try it on the last 30 days").click()
    tried = page.get_by_role("table", name="What each rule would take")
    expect(tried.get_by_role("row", name="the rule of the form")).to_contain_text("0.00950")
    expect(tried.get_by_role("row", name="Stays unallocated")).to_contain_text("0.00475")

    page.get_by_role("button", name="Add the rule").click()
    expect(page.get_by_role("status")).to_contain_text("The rule holds")
    page.get_by_label("Why").fill("The rule came after the calls")
    page.get_by_role("button", name="Re-allocate these days").click()
    expect(page.get_by_role("heading", name="Re-allocation")).to_be_visible()
    expect(page.get_by_text("waiting")).to_be_visible()
    (job,) = list_jobs(tenant_id=acme.id)
    while work_job(job.id, now=datetime.now(UTC)):
        pass
    expect(page.get_by_text("3 looked at, 0 to do.")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("done", exact=True)).to_be_visible()

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Cost centres").click()
    page.get_by_text("Daily figures as a table").click()
    week_ago = page.get_by_role("table", name="Daily cost").get_by_role("row").filter(has_text="0.0142")
    expect(week_ago).to_contain_text("0.00475")
    expect(week_ago).to_contain_text("33.3")


def test_the_pages_fit_are_silent_light_and_accessible(open_page, acme):
    own = {"tenant_id": acme.id, "now": NOW}
    term = Term("feature", ("chat", "a-feature-with-a-rather-long-name-that-nobody-types"))
    rule = RuleTerms(terms=(term,), cost_center="growth")
    add_rule(rule, actor="person 7", **own)
    add_rule(rule, actor="person 7", **own)
    days = {"used_from": NOW - timedelta(days=9), "used_to": NOW}
    job_id = start_reallocation(reason="late", requested_by="person 7", **days, **own)
    (center,) = list_cost_centers(tenant_id=acme.id)
    client = sign_in(acme, role="owner")
    for path in (
        "/settings/cost-centers",
        f"/settings/cost-centers/{center.id}",
        "/settings/mapping-rules?trial=1",
        f"/settings/re-allocations/{job_id}",
    ):
        page = open_page(path, client=client, theme="dark")
        look_at(page)
        weights = page.evaluate(LIST_WEIGHTS)
        assert sum(size for url, size in weights if not url.endswith("plotly.min.js")) < PAGE_BYTES_MAX, weights
