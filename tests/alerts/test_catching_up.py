"""After an outage rollups catch up while jobs run already: what was booked meanwhile is told all the same, and once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from alerts import tasks
from alerts.core.budgets import Action, BudgetTerms
from alerts.models import Alert
from billing.job_runs import find_last_slot, record_run
from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.alerts.budgets import create
from tests.billing.ledger_rows import book_entries, make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURLY = BudgetTerms(name="An hour", window="hour", amount=Decimal(10), actions=(Action(100, "actual", "notify"),))


def roll_up():
    while apply_batches(now=datetime.now(UTC)):
        pass


@pytest.fixture
def clock(monkeypatch):
    """What the jobs take for now."""
    clock = SimpleNamespace(moment=datetime.now(UTC))
    monkeypatch.setattr(tasks, "timezone", SimpleNamespace(now=lambda: clock.moment))
    return clock


def test_hours_that_ended_while_rollups_were_behind_are_looked_at_until_these_have_all(monkeypatch, clock):
    roll_up()
    now, acme = clock.moment, make_tenant("acme")
    monkeypatch.setattr(tasks, "EVALUATE_JOB", f"evaluate budgets of test {acme.id}")
    begun = (now - 6 * HOUR).replace(second=0, microsecond=0)
    record_run(job=tasks.EVALUATE_JOB, slot=begun, result="before the outage")
    create(acme, HOURLY, now=now - timedelta(days=9))
    book_entries(acme, make_entry(time=now - 4 * HOUR, cost="80"))

    def count_told():
        tasks.evaluate_every_budget()
        with tenant_scope(acme.id):
            return Alert.objects.filter(tenant_id=acme.id).count()

    clock.moment = now + 2 * MINUTE  # worker and beat are back, and rollups are not as far
    assert (count_told(), find_last_slot(job=tasks.EVALUATE_JOB)) == (0, begun)
    roll_up()
    clock.moment = now + 3 * MINUTE
    assert count_told() == 1
    assert find_last_slot(job=tasks.EVALUATE_JOB) == clock.moment.replace(second=0, microsecond=0)
    clock.moment = now + 4 * MINUTE
    assert count_told() == 1


def test_anomalies_are_looked_for_as_far_back_until_rollups_have_all(monkeypatch, clock):
    roll_up()
    now, acme, seen = clock.moment, make_tenant("acme"), []
    slot = now.replace(second=0, microsecond=0)
    record_run(job=f"watch {acme.id}", slot=slot - HOUR, result="before the outage")
    book_entries(acme, make_entry(time=now - 30 * MINUTE, cost="80"))
    for minutes in (2, 3, 4):
        if minutes == 3:
            roll_up()
        clock.moment = now + minutes * MINUTE
        tasks._watch(
            f"watch {acme.id}", lambda now, since: seen.append(since), slot=slot + minutes * MINUTE, now=clock.moment
        )
    assert seen == [slot - HOUR, slot - HOUR, slot + 3 * MINUTE]


def test_a_run_that_died_is_made_again_within_the_hour(clock):
    roll_up()
    acme, seen = make_tenant("acme"), []
    slot = clock.moment.replace(minute=0, second=0, microsecond=0)
    record_run(job=f"watch {acme.id}", slot=slot - HOUR, result="before")

    def watch(minutes, *, dies=False):
        clock.moment = slot + minutes * MINUTE

        def work(now, since):
            seen.append((minutes, since))
            assert not dies

        tasks._watch(f"watch {acme.id}", work, slot=slot, now=clock.moment)

    with pytest.raises(AssertionError):
        watch(5, dies=True)
    for minutes in (6, 36, 37, 38):
        watch(minutes)
    assert seen == [(5, slot - HOUR), (37, slot - HOUR)]
