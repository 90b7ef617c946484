"""The demo's spike is found hour by hour, told by channels that send nothing, answered, and over; and made once."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from alerts.channels import list_channels, send_test
from alerts.deliveries import deliver_due, send_outgoing
from alerts.demo_alerts import seed_alerts
from alerts.inbox import list_alerts, list_deliveries, list_events
from tests.alerts.watching import DAY, HOUR, book, make_hours
from tests.billing.ledger_rows import make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    """Fifteen days of one USD an hour, and two hours of thirty on the third day before today."""
    now = timezone.now()
    noon = (now - 3 * DAY).replace(hour=12, minute=0, second=0, microsecond=0)
    tenant = make_tenant("acme", is_demo=True)
    spike = [make_entry(time=noon + number * HOUR, cost="29", feature="agent", user_ref="u7") for number in (0, 1)]
    book(tenant, [*make_hours(start=noon - 15 * DAY, end=now.replace(minute=0, second=0, microsecond=0)), *spike])
    return replace(tenant, slug="acme"), noon, now


def test_the_spike_is_an_episode_with_its_cause_its_deliveries_and_its_end(acme):
    tenant, noon, now = acme
    assert (seed_alerts(tenant=tenant, now=now), seed_alerts(tenant=tenant, now=now)) == (1, 0)
    [alert] = list_alerts(tenant_id=tenant.id)
    assert (alert.rule, alert.state, alert.feedback, alert.impact) == ("hourly_spike", "resolved", "real", Decimal(58))
    assert (alert.facts.start, alert.facts.end) == (noon, noon + 2 * HOUR)
    assert sum(part.amount for part in alert.facts.parts) == 58
    assert ("feature", "agent") in {(mover.dimension, mover.value) for mover in alert.facts.movers}
    events = [event.event for event in list_events(tenant_id=tenant.id, alert_id=alert.id)]
    assert events == ["opened", "grown", "acknowledged", "feedback", "resolved"]
    deliveries = list_deliveries(tenant_id=tenant.id, alert_id=alert.id)
    assert {(one.kind, one.state, one.channel.kind, len(one.attempts)) for one in deliveries} == {
        ("opened", "delivered", "email", 1), ("opened", "delivered", "slack", 2),
        ("grown", "delivered", "email", 1), ("grown", "delivered", "slack", 1),
        ("resolved", "delivered", "email", 1), ("resolved", "delivered", "slack", 1),
    }  # fmt: skip


def test_nothing_is_sent_by_the_demos_channels_when_they_are_tried_either(acme, settings):
    tenant, _, now = acme
    settings.EMAIL_HOST = ""  # a mail would fail
    seed_alerts(tenant=tenant, now=now)
    for channel in list_channels(tenant_id=tenant.id):
        send_test(tenant_id=tenant.id, channel_id=channel.id, actor="person 1", now=now)
    deliver_due(clock=lambda: now + timedelta(seconds=1), seconds=1, send=send_outgoing)
    tests = [one for one in list_deliveries(tenant_id=tenant.id) if one.kind == "test"]
    assert [one.attempts[-1].detail for one in tests] == ["simulated: nothing leaves the demo"] * 2


def test_another_tenant_has_no_channel_and_no_alert():
    globex = make_tenant("globex", is_demo=True)
    assert seed_alerts(tenant=globex, now=timezone.now()) == 0
    assert list_channels(tenant_id=globex.id) == []
