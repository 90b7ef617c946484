"""Reconciliation: every difference between rollups and ledger is found, told and mended; and the daily jobs."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone

from billing import tasks
from billing.job_runs import LEASE, claim_slot, find_daily_slot, record_run
from billing.rollups import apply_batches, rebuild_rollups, reconcile_rollups
from billing.selectors import get_last_reconciliation, get_rollup_lag
from finops.schedule import TIMETABLE
from ledger.rejected import list_rejected, prune_rejected
from tenants.scope import tenant_scope
from tests.billing.ledger_rows import (
    book_entries,
    first_minute,
    make_entry,
    read_entries,
    read_rollups,
    read_table,
    sum_entries,
)
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime.now(UTC).replace(microsecond=0)
NOON = NOW.replace(hour=12, minute=30, second=0) - timedelta(days=2)


@pytest.fixture
def acme():
    return make_tenant("acme")


def apply_all():
    while apply_batches(now=NOW):
        pass


def change(tenant, statement):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount


def reconcile(tenant):
    return reconcile_rollups(tenant_id=tenant.id, now=NOW)


def run_command(*arguments):
    out = StringIO()
    try:
        call_command("reconcile", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), error
    return out.getvalue(), None


def test_sound_rollups_have_no_difference_whatever_still_waits(acme):
    book_entries(acme, make_entry(time=NOON), make_entry(time=NOON, cost=None))
    apply_all()
    book_entries(acme, make_entry(time=NOON))
    result = reconcile(acme)
    assert (result.entries, result.waiting_entries, result.differences) == (3, 1, ())
    assert result.cost_difference == 0


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "UPDATE cost_hour SET billed_cost = billed_cost + 0.000000000001",
            "billed_cost is 0.500000000000 in the ledger, 0.500000000001 in the rollup",
        ),
        ("UPDATE cost_day SET calls = 2", "calls is 1 in the ledger, 2 in the rollup"),
        ("UPDATE cost_day SET feature = 'other'", "feature='other'"),
        ("UPDATE cost_slice SET calls = 2 WHERE slice = 'feature'", "calls is 1 in the ledger, 2 in the rollup"),
        ("DELETE FROM cost_slice WHERE slice = 'all'", "only in the ledger"),
        ("DELETE FROM cost_user_hour", "only in the ledger"),
        (
            "INSERT INTO calls_minute SELECT tenant_id, minute - interval '1 hour', feature, 1, 0, 0 FROM calls_minute",
            "only in the rollup",
        ),
        (
            "UPDATE histogram SET calls = '{2}' WHERE measure = 'latency_ms'",
            "calls is [1] in the ledger, [2] in the rollup",
        ),
        ("UPDATE histogram SET buckets = '{7}' WHERE measure = 'billed_cost'", "[7] in the rollup"),
        (
            "UPDATE histogram_slice SET calls = '{2}' WHERE slice = 'feature'",
            "calls is [1] in the ledger, [2] in the rollup",
        ),
        ("DELETE FROM histogram_slice WHERE slice = 'model'", "only in the ledger"),
        (
            "UPDATE trace_cost SET features = '{other}'",
            "features is ['summarizer'] in the ledger, ['other'] in the rollup",
        ),
        ("DELETE FROM trace_cost", "only in the ledger"),
        ("UPDATE trace_day SET traces = 2", "traces is 1 in the ledger, 2 in the rollup"),
    ],
)
def test_a_changed_rollup_is_found_and_told_and_made_again(acme, statement, told):
    book_entries(acme, make_entry(time=NOON, trace_id="t"))
    apply_all()
    change(acme, statement)
    assert any(told in str(difference) for difference in reconcile(acme).differences)
    out, error = run_command("--tenant", acme.slug)
    assert told in out
    assert error.returncode == 1
    out, error = run_command("--tenant", acme.slug, "--rebuild")
    assert (error, out) == (
        None,
        f"{acme.slug}: 1 entries, 0 of them waiting, 0 differences, 0 USD\nNo difference.\n",
    )
    assert read_rollups(acme) == sum_entries(read_entries(acme), timezone=acme.timezone, minutes_from=first_minute(NOW))


def test_the_difference_is_told_in_money_too(acme):
    book_entries(acme, make_entry(time=NOON, cost="2"), make_entry(time=NOON - timedelta(hours=5), cost="3"))
    apply_all()
    change(acme, "DELETE FROM cost_hour WHERE billed_cost = 3")
    change(acme, "UPDATE cost_hour SET billed_cost = 2.5")
    assert reconcile(acme).cost_difference == Decimal("-2.5")
    last = get_last_reconciliation(tenant_id=acme.id)
    assert (last.checked_at, last.differences, last.cost_difference) == (NOW, 2, Decimal("-2.5"))


def test_a_rollup_made_again_leaves_what_waits_to_the_worker(acme):
    book_entries(acme, make_entry(time=NOON, cost="1"))
    apply_all()
    book_entries(acme, make_entry(time=NOON, cost="2"))
    change(acme, "DELETE FROM cost_hour")
    rebuild_rollups(tenant_id=acme.id, now=NOW)
    assert read_table(acme, "cost_hour", "billed_cost") == [(Decimal(1),)]
    assert get_rollup_lag(tenant_id=acme.id).batches == 1
    apply_all()
    assert reconcile(acme).differences == ()
    assert read_table(acme, "cost_hour", "billed_cost") == [(Decimal(3),)]


def test_reconciling_and_making_again_while_batches_are_booked_and_added_finds_no_difference(acme):
    stop, errors = threading.Event(), []

    def run(work):
        try:
            while not stop.is_set():
                work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    works = (lambda: book_entries(acme, make_entry(time=NOON), make_entry(time=NOON)), apply_all)
    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        for turn in range(8):
            if turn % 2:
                rebuild_rollups(tenant_id=acme.id, now=NOW)
            assert reconcile(acme).differences == ()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    apply_all()
    assert reconcile(acme).differences == ()
    assert get_rollup_lag(tenant_id=acme.id).batches == 0


def test_the_command_knows_only_tenants_that_there_are():
    out, error = run_command("--tenant", "nobody")
    assert str(error) == "There is no tenant 'nobody'."


def test_the_command_makes_batches_that_were_given_up_due_again(acme):
    book_entries(acme, make_entry(time=NOON))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox SET tries = 5 WHERE tenant_id = %s", [acme.id])
    out, error = run_command("--tenant", acme.slug, "--retry")
    assert error is None
    assert out.startswith(f"{acme.slug}: 1 batches are due again\n")
    apply_all()
    assert get_rollup_lag(tenant_id=acme.id).batches == 0


def test_a_slot_is_taken_once():
    slot = NOW - timedelta(days=1000)
    assert claim_slot(job="test once", slot=slot, now=NOW)
    assert not claim_slot(job="test once", slot=slot, now=NOW + timedelta(minutes=1))
    record_run(job="test once", slot=slot, result="done")
    assert not claim_slot(job="test once", slot=slot, now=NOW + LEASE * 2)


def test_a_slot_whose_run_died_is_given_again():
    slot = NOW - timedelta(days=1001)
    assert claim_slot(job="test died", slot=slot, now=NOW)
    assert not claim_slot(job="test died", slot=slot, now=NOW + LEASE - timedelta(seconds=1))
    assert claim_slot(job="test died", slot=slot, now=NOW + LEASE)


def test_of_many_beats_one_takes_the_slot():
    slot, taken = NOW - timedelta(days=1002), []

    def claim():
        taken.append(claim_slot(job="test many", slot=slot, now=NOW))
        connections.close_all()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("now", "slot"),
    [
        ("2026-11-22T02:00:00", "2026-11-22T02:00:00"),
        ("2026-11-22T01:59:59", "2026-11-21T02:00:00"),  # yesterday's, should it have been missed
        ("2026-11-22T23:00:00", "2026-11-22T02:00:00"),
    ],
)
def test_the_slot_is_the_latest_that_has_begun(now, slot):
    found = find_daily_slot(datetime.fromisoformat(now).replace(tzinfo=UTC), hour=2, minute=0)
    assert found == datetime.fromisoformat(slot).replace(tzinfo=UTC)


def test_every_job_of_the_timetable_is_a_task_that_takes_its_arguments(acme):
    from finops.celery import app

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM job_run WHERE job IN ('reconcile', 'prune calls_minute', 'prune rejected_event')")
    for entry in TIMETABLE.values():
        app.loader.import_default_modules()
        assert entry["options"]["expires"] <= entry["schedule"]
        app.tasks[entry["task"]](**entry.get("kwargs", {}))
    assert get_last_reconciliation(tenant_id=acme.id).differences == 0


def test_the_daily_reconciliation_runs_once_in_its_slot(acme):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM job_run WHERE job = 'reconcile'")
    before = timezone.now()
    tasks.reconcile_rollups(hour=2, minute=0)
    first = get_last_reconciliation(tenant_id=acme.id)
    tasks.reconcile_rollups(hour=2, minute=0)
    assert before <= first.checked_at
    assert get_last_reconciliation(tenant_id=acme.id) == first


def test_rejected_events_are_dropped_after_thirty_days(acme):
    with tenant_scope(acme.id), connection.cursor() as cursor:
        for days in (29, 31):
            cursor.execute(
                "INSERT INTO rejected_event VALUES (%s, uuidv7(), %s, 'k', 'e', 'c', 'd', 'b', NULL)",
                [acme.id, NOW - timedelta(days=days)],
            )
    assert prune_rejected(tenant_id=acme.id, now=NOW) == 1
    assert prune_rejected(tenant_id=acme.id, now=NOW) == 0
    assert [event.received_at for event in list_rejected(tenant_id=acme.id)] == [NOW - timedelta(days=29)]
