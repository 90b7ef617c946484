"""The pages of exports in a browser: they fit, are accessible in both themes, and a bucket is added by hand."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from playwright.sync_api import expect

from chargeback.exports.runs import queue_days
from chargeback.exports.targets import list_targets, remove_target
from tenants.scope import tenant_scope
from tests.browsing import PHONE, list_too_wide, list_violations, look_at
from tests.dashboards.pages import sign_in
from tests.dashboards.test_export_targets import add_bucket
from tests.factories import make_tenant

NOW = datetime(2026, 11, 23, 1, tzinfo=UTC)
TELL_SQL = """
    UPDATE export_run
    SET state = CASE day WHEN '2026-11-22' THEN 'waiting' WHEN '2026-11-21' THEN 'dead' ELSE 'sent' END,
        finished_at = CASE day WHEN '2026-11-22' THEN NULL ELSE due_at END, due_at = '2999-01-01T00:00:00Z',
        last_error = CASE WHEN day < '2026-11-21' THEN '' ELSE '503: the server asks to come back later' END,
        rows = 77123, billed_cost = 1234.567, manifest_sha256 = repeat('a', 64)
    WHERE tenant_id = %(tenant_id)s"""


@pytest.fixture
def acme(committed_db):
    tenant = make_tenant("acme")
    yield tenant
    for target in list_targets(tenant_id=tenant.id):
        remove_target(tenant_id=tenant.id, target_id=target.id, actor="person 1", now=NOW)


def fill(tenant):
    """A target with days that arrived, one that waits and one that was given up."""
    target = add_bucket(tenant, name="A lake with a name that is rather long for a narrow page", first_day="2026-11-16")
    queue_days(tenant_id=tenant.id, now=NOW)
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(TELL_SQL, {"tenant_id": tenant.id})
    return target


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_of_exports_fits_and_is_accessible(open_page, acme, theme):
    target = fill(acme)
    client = sign_in(acme, role="owner")
    page = open_page("/settings/exports", client=client, theme=theme)
    for path in ("/settings/exports", f"/settings/exports/{target.id}", "/settings/exports/new?kind=s3"):
        page.goto(path)
        look_at(page)


def test_a_bucket_is_added_by_hand_and_a_slip_is_told_beside_its_field(open_page, acme):
    page = open_page("/settings/exports", client=sign_in(acme, role="owner"))
    page.locator("summary", has_text="New target").click()
    page.get_by_role("link", name="Bucket").click()
    page.get_by_label("Name", exact=True).fill("Lake")
    page.get_by_label("Bucket and prefix").fill("Lake")
    page.get_by_label("Access key").fill("AKIAEXAMPLE")
    page.get_by_label("Its secret").fill("hush-hush")
    page.get_by_role("button", name="Add the target").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was kept.")
    expect(page.get_by_label("Its secret")).to_have_value("")
    page.get_by_label("Bucket and prefix").fill("lake/cost")
    page.get_by_label("Its secret").fill("hush-hush")
    page.get_by_role("button", name="Add the target").click()
    expect(page.get_by_role("status")).to_contain_text("The target is added.")
    expect(page.get_by_role("rowheader", name="Lake")).to_be_visible()
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert list_violations(page) == [] and list_too_wide(page) == []
