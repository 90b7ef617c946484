"""The bill that nobody saw coming: a feature ships on a Friday evening, and one user's agent loops until Tuesday."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.anomalies.runs import watch_hours, watch_minutes
from alerts.budgets import create_budget
from alerts.core.budget_terms import load_terms
from alerts.evaluation import evaluate_budgets
from alerts.models import Alert
from billing.ingestion import ingest_events
from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.factories import make_event, make_tenant, publish_test_rates
from tests.rows import read

pytestmark = pytest.mark.usefixtures("committed_db")

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG_AGO = datetime.now(UTC) - 5 * DAY
# The last Friday of so long ago that its Tuesday is over, at 17:00 UTC.
SHIPPED = (LONG_AGO - (LONG_AGO.weekday() - 4) % 7 * DAY).replace(hour=17, minute=0, second=0, microsecond=0)
CALLS, HOURS = 847, 96


def book(tenant, events):
    """Book, and roll up, as the worker does every two seconds."""
    for first in range(0, len(events), 1000):
        part = list(enumerate(events[first : first + 1000]))
        ingest_events(tenant_id=tenant.id, api_key_id="loop", events=part, rejected=[], now=datetime.now(UTC))
    while apply_batches(now=datetime.now(UTC)):
        pass


def make_usual_hours(start, end):
    """Five chats an hour, each for 0.0125 + 0.0075 USD: ten US cents an hour."""
    usage = {"input_tokens": 5_000, "output_tokens": 750}
    return [
        make_event(time=start + number * HOUR + call * 2 * MINUTE, feature="chat", user=f"u-{call}", usage=usage)
        for number in range((end - start) // HOUR)
        for call in range(5)
    ]


def list_alerts(tenant):
    with tenant_scope(tenant.id):
        return list(Alert.objects.filter(tenant_id=tenant.id).order_by("opened_at", "id"))


def test_a_loop_of_847_calls_over_a_weekend_is_told_within_its_first_hour_with_feature_user_and_model():
    publish_test_rates()
    acme = make_tenant()
    terms = load_terms({
        "name": "Everything", "scope": {}, "window": "month", "amount": "100.00", "currency": "USD",
        "actions": [{"at_percent": 80, "on": "actual", "do": "notify"}],
    })  # fmt: skip
    create_budget(terms, tenant_id=acme.id, actor="person 7", now=SHIPPED - 20 * DAY)
    book(acme, make_usual_hours(SHIPPED - 15 * DAY, SHIPPED + HOURS * HOUR))

    # 847 calls in 96 hours are one in 6.8 minutes; each takes 50,000 tokens in and 1,000 out: 0.125 + 0.01 USD.
    step = HOURS * HOUR / CALLS
    loop = [
        make_event(
            time=SHIPPED + number * step + MINUTE,
            feature="agent",
            user="u-lin",
            model="gpt-4o-2024-08-06",
            usage={"input_tokens": 50_000, "output_tokens": 1_000},
        )
        for number in range(CALLS)
    ]

    # The first hour, as it happens: a run each minute.
    first_hour = [event for event in loop if event.time < SHIPPED + HOUR]
    told_at = None
    for minute in range(1, 61):
        now = SHIPPED + minute * MINUTE
        if due := [event for event in first_hour if now - MINUTE <= event.time < now]:
            book(acme, due)
        watch_minutes(now=now + timedelta(seconds=5), since=now - MINUTE)
        if told_at is None and list_alerts(acme):
            told_at = now
    assert told_at is not None
    assert told_at - loop[0].time <= 10 * MINUTE
    [alert] = list_alerts(acme)
    [(user_ref,)] = read(acme, "SELECT DISTINCT user_ref FROM ledger_entry WHERE feature = 'agent'")
    assert alert.rule == "heavy_user"
    assert alert.scope == {"user": user_ref}
    assert "feature agent, model gpt-4o-2024-08-06" in alert.title

    # The first full hour: above what any hour cost, and it is said who moved.
    watch_hours(now=SHIPPED + HOUR + 6 * MINUTE)
    spike = next(alert for alert in list_alerts(acme) if alert.rule == "hourly_spike")
    moved = {(mover["dimension"], mover["value"]) for mover in spike.facts["movers"]}
    assert {("feature", "agent"), ("user", user_ref)} <= moved
    assert spike.facts["anomaly"]["cause"]["value"] in ("agent", user_ref)

    # Four days later: still the same episodes, grown, and not a message an hour.
    book(acme, loop[len(first_hour) :])
    for hour in range(2, HOURS + 1):
        now = SHIPPED + hour * HOUR + 6 * MINUTE
        watch_hours(now=now, since=now - HOUR)
        watch_minutes(now=now, since=now - HOUR)
    evaluate_budgets(now=SHIPPED + HOURS * HOUR, since=SHIPPED)
    alerts = list_alerts(acme)
    [heavy] = [alert for alert in alerts if alert.rule == "heavy_user" and alert.scope == {"user": user_ref}]
    # 847 × 0.135 USD, less a hundredth of a day of the budget (100 / 30) in each of 96 or 97 hours.
    assert Decimal("111") < heavy.impact < Decimal("112")
    assert {"hourly_spike", "new", "budget"} <= {alert.rule for alert in alerts}
    assert len(alerts) < 20
