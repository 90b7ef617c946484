"""The demo's past nights: made once, the same each time, and told what came."""

from datetime import UTC, date, datetime, timedelta

import pytest

from alerts.demo import seed_forecasts
from alerts.forecasts import list_events, list_forecasts, make_forecasts
from billing.rates import forget_rate_book
from tests.dashboards.bookings import book
from tests.factories import make_tenant, publish_test_rates

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


@pytest.fixture
def acme(db):
    """A call a day of the forty days before today."""
    forget_rate_book()
    publish_test_rates()
    tenant = make_tenant("acme")
    book(tenant, *({"time": NOW - timedelta(days=number), "feature": "chat"} for number in range(1, 41)))
    yield tenant
    forget_rate_book()


def list_runs(tenant):
    return list_forecasts(tenant_id=tenant.id, first=date(2026, 9, 1), after=date(2026, 12, 1), scope=None)


def test_each_night_since_the_third_week_is_kept_once_and_settled(acme):
    # From 1 October on: the nights from the 15th to 9 November, of the whole, one environment, cost centre and feature.
    assert seed_forecasts(tenant=acme, days=40, now=NOW) == 26 * 4
    runs = list_runs(acme)
    assert len(runs) == 26 * 4
    assert {run.made_on for run in runs} == {date(2026, 10, 15) + timedelta(days=number) for number in range(26)}
    october = [run for run in runs if run.made_on.month == 10]
    assert {(run.actual - run.expected) for run in october} == {0}  # each day costs the same
    assert {run.actual for run in runs if run.made_on.month == 11} == {None}
    assert seed_forecasts(tenant=acme, days=40, now=NOW) == 26 * 4
    assert list_runs(acme) == runs


def test_the_nightly_job_goes_on_where_the_demo_ends(acme):
    seed_forecasts(tenant=acme, days=40, now=NOW)
    assert make_forecasts(tenant=acme, now=NOW).runs == 4
    assert len(list_runs(acme)) == 27 * 4
    assert list_events(tenant_id=acme.id) == []  # only the demo's own acme has one
