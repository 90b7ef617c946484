"""The pages of alerts in a browser: they fit, are accessible in both themes, and are worked by keyboard."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from alerts.channels import create_channel, send_test
from alerts.core.channels import read_terms
from alerts.episodes import open_alert, resolve_alert
from alerts.inbox import get_alert
from tests.browsing import PHONE, WIDE, list_too_wide, list_violations, wait_for_chart
from tests.dashboards.pages import sign_in
from tests.dashboards.test_alerts import FACTS, HOOK
from tests.factories import make_tenant


@pytest.fixture
def acme(committed_db):
    return make_tenant("acme")


def fill(tenant):
    """Two channels, a test that waits, and an alert of each kind of page; the id of the one with a chart."""
    now = datetime.now(UTC) + timedelta(days=2)  # so that no worker of another test sends what waits
    document = HOOK | {
        "name": "A channel with a name that is rather long for a narrow page",
        "scope": {"feature": "chat"},
    }
    channel, _ = create_channel(read_terms(document), tenant_id=tenant.id, actor="person 1", now=now)
    quiet = HOOK | {"name": "Night", "quiet_hours": {"from": "22:00", "to": "07:00"}, "severity_min": "high"}
    create_channel(read_terms(quiet), tenant_id=tenant.id, actor="person 1", now=now)
    send_test(tenant_id=tenant.id, channel_id=channel.id, actor="person 1", now=now)
    given = {"tenant_id": tenant.id, "rule": "hourly_spike", "scope": {"feature": "chat"}, "now": now}
    over = open_alert(**given, episode="0", severity="info", title="Over by now", facts={}, impact=None)
    resolve_alert(tenant_id=tenant.id, alert_id=over, now=now)
    open_alert(**given, episode="1", severity="critical", title="feature-with-a-name-" * 8, facts={}, impact=None)
    return open_alert(**given, episode="2", severity="high", title="Chat cost 2.1 times its usual day", facts=FACTS,
                      impact=FACTS.expected.actual), channel.id  # fmt: skip


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide", "phone"])
def test_every_page_of_alerts_fits_is_silent_and_is_accessible(open_page, acme, size, theme):
    alert_id, channel_id = fill(acme)
    page = open_page("/alerts", client=sign_in(acme, role="owner"), size=size, theme=theme, reduced_motion="reduce")
    for path in (
        "/alerts", "/alerts?q=nothing", f"/alerts/{alert_id}", f"/alerts/{alert_id - 1}", "/alerts/channels",
        f"/alerts/channels/{channel_id}", "/alerts/channels/new?kind=webhook", "/alerts/deliveries",
    ):  # fmt: skip
        page.goto(path)
        wait_for_chart(page)
        assert list_too_wide(page) == [], path
        assert list_violations(page) == [], path
    assert page.complaints == []


def test_an_alert_is_acknowledged_by_keyboard_from_the_inbox(open_page, acme):
    alert_id, _ = fill(acme)
    page = open_page("/alerts", client=sign_in(acme, role="owner"), size=PHONE)
    page.get_by_label("Acknowledge Chat cost 2.1 times its usual day").press("Enter")
    assert list_too_wide(page) == []
    page.get_by_role("textbox", name="What is being done").locator("visible=true").fill("On it.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Acknowledged")
    expect(page.get_by_role("row", name="Chat cost 2.1 times")).to_contain_text("acknowledged")
    assert get_alert(tenant_id=acme.id, alert_id=alert_id).state == "acknowledged"
    assert page.complaints == []


def test_a_channel_is_made_and_its_secret_shown_once(open_page, acme):
    page = open_page("/alerts/channels", client=sign_in(acme, role="owner"))
    page.get_by_role("link", name="Webhook").first.click()
    page.get_by_label("Name").fill("Pipeline")
    page.get_by_label("Address that takes a POST").fill("https://hooks.example.com/alerts")
    page.get_by_role("button", name="Make the channel").click()
    expect(page.get_by_role("heading", name="Signing secret")).to_be_visible()
    expect(page.locator(".secret")).to_contain_text("whsec_")
    assert list_violations(page) == []
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("status")).to_contain_text("A test is on its way.")
    assert page.complaints == []
