"""What the sealer refuses reaches the operator, once, and is over when it is."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.anomalies import seals
from alerts.anomalies.seals import watch_seals
from alerts.core.anomalies import describe_anomaly, find_unsealed
from alerts.inbox import list_alerts
from ledger.sealing.alarms import end_alarm, list_alarms, raise_alarm
from tenants.selectors import get_tenant
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


def list_told():
    operator = get_tenant("operator")
    return [alert for alert in list_alerts(tenant_id=operator.id) if alert.rule == "reconciliation"]


def test_a_refused_tree_is_told_to_the_operator_until_it_is_put_right(monkeypatch):
    acme = make_tenant("acme")
    # What other tests have left standing is not told here.
    monkeypatch.setattr(seals, "measure_outbox", list)
    monkeypatch.setattr(seals, "list_alarms", lambda: [one for one in list_alarms() if one.tenant_id == acme.id])
    raise_alarm(tenant_id=acme.id, subject="tree", kind="shrank", detail="the tree has 4 batches, and 7 were signed")
    now = datetime.now(UTC)
    watch_seals(now=now)
    watch_seals(now=now + timedelta(minutes=1))
    [alert] = [one for one in list_told() if acme.slug in one.title]
    assert alert.title == f"The sealer refuses {acme.slug}, tree: the tree has 4 batches, and 7 were signed."
    assert (alert.state, alert.severity) == ("open", "high")
    end_alarm(tenant_id=acme.id, subject="tree")
    watch_seals(now=now + timedelta(minutes=2))
    assert {one.state for one in list_told() if one.id == alert.id} == {"resolved"}


def test_entries_that_wait_for_an_hour_are_told():
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert find_unsealed(unsealed_since=now - timedelta(minutes=59), now=now).anomaly is None
    anomaly = find_unsealed(unsealed_since=now - timedelta(minutes=90), now=now).anomaly
    assert describe_anomaly(anomaly) == "Entries have waited for their seal for 90 minutes."
