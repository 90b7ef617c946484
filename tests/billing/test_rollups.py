"""Rollups: what is booked is added once, whatever runs, fails or is killed."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import close_old_connections, connection, connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier

from billing import migrations, rollups
from billing.core.histograms import find_bucket
from billing.rollups import apply_batches, fold_intake, prune_calls_minute, rebuild_rollups, retry_failed_batches
from billing.rollups.batches import apply_claim
from billing.rollups.tables import bucket_of
from billing.selectors import get_rollup_lag
from billing.tasks import apply_rollups
from tenants.scope import tenant_scope
from tests.billing.ledger_rows import (
    book_entries,
    first_minute,
    make_entry,
    read_entries,
    read_rollups,
    read_table,
    reverse,
    sum_entries,
)
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime.now(UTC).replace(microsecond=0)
NOON = NOW.replace(hour=12, minute=30, second=15) - timedelta(days=2)


@pytest.fixture
def acme():
    return make_tenant("acme")


def apply_all(now=NOW):
    while apply_batches(now=now):
        pass


def assert_equal_to_ledger(tenant, *, booked_in=None):
    expected = sum_entries(
        read_entries(tenant, booked_in=booked_in), timezone=tenant.timezone, minutes_from=first_minute(NOW)
    )
    assert read_rollups(tenant) == expected


def set_outbox(tenant, **columns):
    assignments = ", ".join(f"{name} = %s" for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE outbox SET {assignments} WHERE tenant_id = %s", [*columns.values(), tenant.id])


def read_outbox(tenant, *columns):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM outbox WHERE topic = 'rollup' AND tenant_id = %s ORDER BY id",
            [tenant.id],
        )
        return cursor.fetchall()


def test_a_batch_is_added_to_its_hour_day_user_minute_and_histograms(acme):
    book_entries(
        acme,
        make_entry(time=NOON, cost="0.5", input_tokens=1000, user_ref="u1", latency_ms=None),
        make_entry(time=NOON + timedelta(minutes=1), cost="0.25", input_tokens=10, user_ref="u2", status="error"),
        make_entry(time=NOON + timedelta(hours=1), cost=None, input_tokens=5, user_ref="u1", reasoning_tokens=7),
    )
    apply_all()
    hour, day = NOON.replace(minute=0, second=0), NOON.date()
    columns = ("calls", "unpriced_calls", "error_calls", "input_tokens", "billed_cost")
    assert sorted(read_table(acme, "cost_hour", "hour", *columns)) == [
        (hour, 2, 0, 1, 1010, Decimal("0.75")),
        (hour + timedelta(hours=1), 1, 1, 0, 5, Decimal(0)),
    ]
    assert read_table(acme, "cost_day", "day", *columns, "reasoning_tokens") == [
        (day, 3, 1, 1, 1015, Decimal("0.75"), 7)
    ]
    assert sorted(read_table(acme, "cost_user_hour", "hour", "user_ref", *columns)) == [
        (hour, "u1", 1, 0, 0, 1000, Decimal("0.5")),
        (hour, "u2", 1, 0, 1, 10, Decimal("0.25")),
        (hour + timedelta(hours=1), "u1", 1, 1, 0, 5, Decimal(0)),
    ]
    minute = NOON.replace(second=0)
    assert sorted(read_table(acme, "calls_minute", "minute", "feature", "calls", "error_calls", "billed_cost")) == [
        (minute, "summarizer", 1, 0, Decimal("0.5")),
        (minute + timedelta(minutes=1), "summarizer", 1, 1, Decimal("0.25")),
        (minute + timedelta(hours=1), "summarizer", 1, 0, Decimal(0)),
    ]
    # Two priced calls, three with tokens, two with a latency.
    assert sorted(read_table(acme, "histogram", "measure", "buckets", "calls")) == [
        ("billed_cost", [find_bucket(Decimal("0.25")), find_bucket(Decimal("0.5"))], [1, 1]),
        ("input_tokens", [find_bucket(5), find_bucket(10), find_bucket(1000)], [1, 1, 1]),
        ("latency_ms", [find_bucket(800)], [2]),
        ("output_tokens", [find_bucket(300)], [3]),
    ]
    assert_equal_to_ledger(acme)


def test_applying_again_changes_nothing(acme):
    book_entries(acme, make_entry(time=NOON))
    apply_all()
    before = read_rollups(acme)
    apply_all()
    assert read_rollups(acme) == before
    assert read_outbox(acme, "id") == []


def test_a_late_event_is_added_to_the_hour_of_its_use(acme):
    book_entries(acme, make_entry(time=NOON, cost="1"))
    apply_all()
    book_entries(acme, make_entry(time=NOON, cost="2"), make_entry(time=NOON - timedelta(days=90), cost="4"))
    apply_all()
    assert sorted(read_table(acme, "cost_day", "day", "billed_cost")) == [
        (NOON.date() - timedelta(days=90), Decimal(4)),
        (NOON.date(), Decimal(3)),
    ]
    assert_equal_to_ledger(acme)


def test_a_reversal_takes_away_what_its_entry_added(acme):
    wrong = make_entry(time=NOON, cost="3", input_tokens=70)
    book_entries(acme, wrong, make_entry(time=NOON, cost="1", input_tokens=70))
    apply_all()
    book_entries(acme, reverse(wrong))
    apply_all()
    assert read_table(acme, "cost_hour", "calls", "input_tokens", "billed_cost") == [(1, 70, Decimal(1))]
    counts = dict(zip(*read_table(acme, "histogram", "measure", "buckets", "calls")[0][1:], strict=True))
    assert counts == {find_bucket(1): 1, find_bucket(3): 0} or counts == {find_bucket(70): 1}
    assert_equal_to_ledger(acme)


@pytest.mark.parametrize(
    ("timezone", "moment", "day"),
    [
        ("UTC", "2026-10-24T23:30:00", date(2026, 10, 24)),
        ("Europe/Berlin", "2026-10-24T22:30:00", date(2026, 10, 25)),  # 00:30 in summer time
        ("Europe/Berlin", "2026-10-25T22:30:00", date(2026, 10, 25)),  # 23:30 in winter time: a day of 25 hours
        ("Europe/Berlin", "2026-10-25T23:30:00", date(2026, 10, 26)),
        ("Asia/Kolkata", "2026-10-24T18:29:59", date(2026, 10, 24)),  # + 5:30
        ("Asia/Kolkata", "2026-10-24T18:30:00", date(2026, 10, 25)),
        ("America/Los_Angeles", "2026-10-25T06:59:59", date(2026, 10, 24)),
    ],
)
def test_a_day_is_the_tenants_own(timezone, moment, day):
    acme = make_tenant("acme", timezone=timezone)
    book_entries(acme, make_entry(time=datetime.fromisoformat(moment).replace(tzinfo=UTC)))
    apply_all()
    assert read_table(acme, "cost_day", "day") == [(day,)]
    assert {row[0] for row in read_table(acme, "histogram", "day")} == {day}


def test_each_tenants_batches_go_to_its_own_rollups(acme):
    globex = make_tenant("globex")
    book_entries(acme, make_entry(time=NOON, cost="1"))
    book_entries(globex, make_entry(time=NOON, cost="2"))
    apply_all()
    assert read_table(acme, "cost_day", "billed_cost") == [(Decimal(1),)]
    assert read_table(globex, "cost_day", "billed_cost") == [(Decimal(2),)]


def test_minutes_are_kept_for_thirty_days(acme):
    old, young = NOW - timedelta(days=31), NOW - timedelta(days=29)
    book_entries(acme, make_entry(time=old), make_entry(time=young))
    apply_all()
    assert read_table(acme, "calls_minute", "minute") == [(young.replace(second=0),)]
    assert prune_calls_minute(tenant_id=acme.id, now=NOW) == 0
    assert prune_calls_minute(tenant_id=acme.id, now=NOW + timedelta(days=2)) == 1
    assert read_table(acme, "calls_minute", "minute") == []


def test_a_claim_ends_where_it_holds_enough_entries(acme, monkeypatch):
    monkeypatch.setattr("billing.rollups.batches.ENTRIES_PER_CLAIM_MAX", 3)
    for _ in range(4):
        book_entries(acme, make_entry(time=NOON), make_entry(time=NOON))
    assert apply_claim(tenant_id=acme.id, now=NOW) == 2
    assert apply_claim(tenant_id=acme.id, now=NOW) == 2
    assert apply_claim(tenant_id=acme.id, now=NOW) == 0
    assert_equal_to_ledger(acme)


def test_a_batch_that_does_not_show_all_its_entries_is_kept_and_holds_up_no_other(acme):
    book_entries(acme, make_entry(time=NOON), make_entry(time=NOON))
    set_outbox(acme, entry_count=3)
    good = book_entries(acme, make_entry(time=NOON))
    apply_all()
    assert_equal_to_ledger(acme, booked_in={good})
    [(tries, not_before, last_error)] = read_outbox(acme, "tries", "not_before", "last_error")
    assert (tries, not_before) == (1, NOW + timedelta(seconds=30))
    assert last_error == f"BatchIncomplete: 2 of 3 entries of tenant {acme.id} are visible"


def test_a_bad_batch_is_tried_five_times_at_growing_intervals_and_then_reported(acme):
    batch = book_entries(acme, make_entry(time=NOON))
    set_outbox(acme, entry_count=2)
    now, waits = NOW, []
    for _ in range(7):
        apply_all(now)
        [(not_before,)] = read_outbox(acme, "not_before")
        waits.append((not_before - now).total_seconds())
        now = max(not_before, now)
    assert waits == [30, 120, 480, 1920, 7680, 0, 0]
    assert get_rollup_lag(tenant_id=acme.id).failed_batches == 1
    assert read_rollups(acme)["cost_hour"] == {}
    set_outbox(acme, entry_count=1)
    assert retry_failed_batches(tenant_id=acme.id) == 1
    apply_all()
    assert_equal_to_ledger(acme, booked_in={batch})
    assert get_rollup_lag(tenant_id=acme.id).failed_batches == 0


def test_a_tenant_that_cannot_be_added_holds_up_no_other(acme, monkeypatch):
    globex = make_tenant("globex")
    for tenant in (acme, globex):
        book_entries(tenant, make_entry(time=NOON))

    def fail_for_acme(tenant_id):
        if tenant_id == acme.id:
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")

    monkeypatch.setattr("billing.rollups.batches.fold_tallies", fail_for_acme)
    apply_batches(now=NOW)
    assert read_outbox(acme, "tries") == [(0,)]
    assert_equal_to_ledger(globex)


def test_nothing_is_claimed_where_row_security_hides_the_entries(acme):
    # The claim of a tenant in the scope of another: work would be deleted and nothing added.
    book_entries(acme, make_entry(time=NOON))
    globex = make_tenant("globex")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox SET tenant_id = %s WHERE tenant_id = %s", [globex.id, acme.id])
    apply_all()
    assert read_outbox(globex, "tries") == [(1,)]
    assert read_rollups(globex)["cost_hour"] == {}


def run_threads(*works):
    """Run the works at once, each on connections of its own; the first error is raised."""
    errors = []

    def run(work):
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_many_workers_beside_many_writers_add_each_batch_once(acme):
    writers_are_done = threading.Event()

    def write(seed):
        chance = random.Random(seed)
        for _ in range(15):
            times = [NOON - timedelta(minutes=chance.randrange(3000)) for _ in range(chance.randrange(1, 8))]
            book_entries(acme, *(make_entry(time=time, feature=f"f{chance.randrange(3)}") for time in times))

    def work():
        while not writers_are_done.is_set() or read_outbox(acme, "id"):
            apply_batches(now=NOW + timedelta(days=1))

    def write_all():
        try:
            run_threads(*(lambda seed=seed: write(seed) for seed in range(3)))
        finally:
            writers_are_done.set()

    run_threads(write_all, *[work] * 4)
    assert len(read_table(acme, "ledger_batch", "batch_id")) == 45
    assert read_outbox(acme, "id") == []
    assert_equal_to_ledger(acme)


def hold_claim(tenant, *, while_held):
    """Do `while_held` in another thread while a worker has claimed the tenant's batches and not committed."""
    claimed, may_commit = threading.Event(), threading.Event()

    def hold():
        with tenant_scope(tenant.id):
            assert apply_claim(tenant_id=tenant.id, now=NOW) == 1
            claimed.set()
            may_commit.wait(10)

    def look():
        assert claimed.wait(10)
        try:
            while_held(may_commit)
        finally:
            may_commit.set()

    run_threads(hold, look)


def test_while_a_worker_is_at_a_tenant_another_leaves_it_alone(acme):
    book_entries(acme, make_entry(time=NOON))

    def claim_more(may_commit):
        book_entries(acme, make_entry(time=NOON))
        assert apply_claim(tenant_id=acme.id, now=NOW) == 0

    hold_claim(acme, while_held=claim_more)
    assert apply_claim(tenant_id=acme.id, now=NOW) == 1
    assert_equal_to_ledger(acme)


def test_rollups_are_made_again_only_when_no_worker_is_at_them(acme):
    book_entries(acme, make_entry(time=NOON))
    order = []

    def rebuild():
        rebuild_rollups(tenant_id=acme.id, now=NOW)
        order.append("made again")
        connections.close_all()

    def rebuild_meanwhile(may_commit):
        rebuilding = threading.Thread(target=rebuild)
        rebuilding.start()
        rebuilding.join(0.5)
        order.append("committed")
        may_commit.set()
        rebuilding.join(10)

    hold_claim(acme, while_held=rebuild_meanwhile)
    assert order == ["committed", "made again"]
    assert_equal_to_ledger(acme)


DIE_BEFORE_COMMIT = """
import os, signal, sys
from datetime import datetime
import django
django.setup()
from billing.rollups.batches import apply_claim
from tenants.scope import tenant_scope
tenant_id, now = int(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
with tenant_scope(tenant_id):
    print(apply_claim(tenant_id=tenant_id, now=now), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_is_killed_before_its_commit_has_added_nothing_and_lost_nothing(acme):
    book_entries(acme, make_entry(time=NOON), make_entry(time=NOON))
    died = subprocess.run(
        [sys.executable, "-c", DIE_BEFORE_COMMIT, str(acme.id), NOW.isoformat()],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "1\n"), died.stderr
    while not apply_batches(now=NOW):  # until PostgreSQL has noticed that the client is gone
        pass
    apply_all()
    assert_equal_to_ledger(acme)


def test_a_claim_costs_a_fixed_number_of_statements(acme, django_assert_num_queries):
    book_entries(acme, make_entry(time=NOON))
    with tenant_scope(acme.id), django_assert_num_queries(13):
        apply_claim(tenant_id=acme.id, now=NOW)
    for _ in range(20):
        book_entries(acme, *(make_entry(time=NOON, feature=f"f{n}") for n in range(10)))
    with tenant_scope(acme.id), django_assert_num_queries(13):
        apply_claim(tenant_id=acme.id, now=NOW)


def tally(tenant, number, *, received_at, key="testkey", received=1, booked=1, duplicates=0, conflicts=0, rejected=0):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO intake_tally VALUES (%s, uuidv7(), %s, %s, %s, %s, %s, %s, %s)",
            [tenant.id, received_at, key, received, booked, duplicates, conflicts, rejected],
        )


def test_tallies_are_folded_into_their_keys_hour_once(acme):
    hour = NOON.replace(minute=0, second=0)
    tally(acme, 1, received_at=NOON, received=5, booked=3, duplicates=1, conflicts=1)
    tally(acme, 2, received_at=NOON, received=2, booked=1, rejected=1)
    tally(acme, 3, received_at=NOON + timedelta(hours=1), key="other")
    fold_intake()
    tally(acme, 4, received_at=NOON, received=1, booked=0, duplicates=1)
    fold_intake()
    fold_intake()
    columns = ("hour", "api_key_id", "received", "booked", "duplicates", "conflicts", "rejected")
    assert sorted(read_table(acme, "intake_hour", *columns)) == [
        (hour, "testkey", 8, 4, 2, 1, 1),
        (hour + timedelta(hours=1), "other", 1, 1, 0, 0, 0),
    ]
    assert read_table(acme, "intake_tally", "id") == []


def test_tallies_go_with_the_tenants_batches(acme):
    tally(acme, 1, received_at=NOON)
    book_entries(acme, make_entry(time=NOON))
    apply_all()
    assert read_table(acme, "intake_hour", "received") == [(1,)]


entries = st.builds(
    lambda minutes, cost, tokens, feature, user, status, is_reversal: (reverse if is_reversal else lambda entry: entry)(
        make_entry(
            time=NOW - timedelta(minutes=minutes),
            cost=cost,
            input_tokens=tokens,
            feature=feature,
            user_ref=user,
            status=status,
        )
    ),
    st.integers(-5, 60 * 24 * 32),
    st.sampled_from([None, "0", "0.000000000001", "1", "9999999.999999999999"]),
    st.sampled_from([0, 1, 999, 10**12]),
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["", "u"]),
    st.sampled_from(["ok", "error"]),
    st.booleans(),
)
steps = st.lists(
    st.one_of(
        st.lists(entries, min_size=1, max_size=5),
        st.sampled_from(["apply", "apply one claim", "apply twice", "die before commit"]),
    ),
    max_size=12,
)


class Died(Exception):
    """Stands for a worker's death: the transaction rolls back."""


def run_step(tenant, step):
    if step == "apply":
        apply_all()
    elif step == "apply one claim":
        apply_claim(tenant_id=tenant.id, now=NOW)
    elif step == "apply twice":
        run_threads(apply_all, apply_all)
    elif step == "die before commit":
        with pytest.raises(Died), tenant_scope(tenant.id):
            apply_claim(tenant_id=tenant.id, now=NOW)
            raise Died
    else:
        book_entries(tenant, *step)


def test_what_comes_while_the_rollup_works_waits_for_its_next_turn_and_is_added_at_once(acme, monkeypatch):
    book_entries(acme, make_entry(time=NOON))
    turns = []

    def apply_and_book(**options):
        turns.append(apply_batches(**options))
        book_entries(acme, make_entry(time=NOON))
        book_entries(acme, make_entry(time=NOON))
        return turns[-1]

    monkeypatch.setattr(rollups, "apply_batches", apply_and_book)
    apply_rollups()
    assert turns == [1, 0]
    monkeypatch.undo()
    assert len(read_outbox(acme, "id")) == 4
    assert apply_batches(now=NOW) == 4


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
def test_in_whatever_order_workers_run_or_die_the_rollups_equal_the_ledger(steps, timezone):
    close_old_connections()
    acme = make_tenant("acme", timezone=timezone)
    for step in steps:
        run_step(acme, step)
    waiting = {batch_id for (batch_id,) in read_outbox(acme, "batch_id")}
    settled = {batch_id for (batch_id,) in read_table(acme, "ledger_batch", "batch_id")} - waiting
    assert_equal_to_ledger(acme, booked_in=settled)
    apply_all()
    assert_equal_to_ledger(acme)


def empty(table):
    """Of every tenant's rows: a migration fills them for all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM tenant")
        for (tenant_id,) in cursor.fetchall():
            with tenant_scope(tenant_id):
                cursor.execute(SQL("DELETE FROM {}").format(Identifier(table)))


@pytest.mark.parametrize(
    ("upgrade", "table"), [("0006", "cost_slice"), ("0014", "histogram_slice"), ("0010", "trace_day")]
)
def test_an_upgrade_that_brought_sums_of_sums_fills_them(acme, upgrade, table):
    globex = make_tenant("globex", timezone="Asia/Tokyo")
    for number in range(12):
        entry = make_entry(
            time=NOON - timedelta(days=3 * number),
            feature=f"feature-{number % 3}",
            model=f"model-{number % 4}",
            cost_center="" if number % 2 else "retail",
            trace_id=f"t{number % 5}",
        )
        book_entries(globex if number % 4 == 1 else acme, entry, api_key_id=f"key-{number % 2}")
    apply_all()
    statements = (Path(migrations.__file__).parent / "sql" / f"{upgrade}_{table}.up.sql").read_text()
    fill = re.search(r"DO \$\$.*?END \$\$;", statements, re.DOTALL).group()
    empty(table)
    with connection.cursor() as cursor:
        cursor.execute(fill)
    assert_equal_to_ledger(acme)
    assert_equal_to_ledger(globex)


def test_a_trace_is_one_sum_whatever_order_its_calls_come_in_and_knows_twenty_of_each_name(acme):
    # 30 calls of 0.5 USD, a second apart; those that began first are booked last.
    for number in reversed(range(30)):
        fields = {"feature": f"f{number:02}", "environment": "staging" if number == 7 else "production"}
        book_entries(acme, make_entry(time=NOON + timedelta(seconds=number), trace_id="t", session_id="s", **fields))
        if number % 4 == 0:
            apply_all()
    book_entries(acme, make_entry(time=NOON), make_entry(time=NOON, trace_id="u", cost=None, status="error"))
    apply_all()
    assert_equal_to_ledger(acme)
    columns = ("trace_id", "environment", "first_at", "last_at", "calls", "unpriced_calls", "error_calls", "tokens",
               "billed_cost", "session_ids")  # fmt: skip
    assert sorted(read_table(acme, "trace_cost", *columns)) == [
        ("t", "production", NOON, NOON + timedelta(seconds=29, milliseconds=800), 29, 0, 0, 29 * 1300,
         Decimal("14.5"), ["s"]),
        ("t", "staging", NOON + timedelta(seconds=7), NOON + timedelta(seconds=7, milliseconds=800), 1, 0, 0, 1300,
         Decimal("0.5"), ["s"]),
        ("u", "production", NOON, NOON + timedelta(milliseconds=800), 1, 1, 1, 1300, Decimal(0), []),
    ]  # fmt: skip
    names = next(row[0] for row in read_table(acme, "trace_cost", "features", "environment") if len(row[0]) > 1)
    assert names == [f"f{number:02}" for number in range(21) if number != 7]


def test_a_call_that_says_it_took_a_million_years_does_not_stop_the_rollups(acme):
    book_entries(acme, make_entry(time=NOON, trace_id="t", latency_ms=2**62))
    apply_all()
    assert read_table(acme, "trace_cost", "last_at") == [(NOON + timedelta(days=30),)]


def test_the_upgrade_that_brought_traces_fills_them_from_what_is_settled(acme):
    book_entries(acme, *(make_entry(time=NOON, trace_id=f"t{n % 3}", feature=f"f{n}", cost=None) for n in range(9)))
    apply_all()
    expected = read_rollups(acme)["trace_cost"]
    book_entries(acme, make_entry(time=NOON, trace_id="waits"))
    statements = (Path(migrations.__file__).parent / "sql" / "0007_trace_cost.up.sql").read_text()
    fill = re.search(r"DO \$\$.*?END \$\$;", statements, re.DOTALL).group()
    empty("trace_cost")
    with connection.cursor() as cursor:
        cursor.execute(fill)
    assert read_rollups(acme)["trace_cost"] == expected
    assert len(expected) == 3


def test_a_trace_that_began_the_day_before_as_it_turns_out_counts_there_alone(acme):
    midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
    book_entries(acme, make_entry(time=midnight, trace_id="t"), make_entry(time=midnight, trace_id="u"))
    apply_all()
    book_entries(acme, make_entry(time=midnight - timedelta(seconds=1), trace_id="t"))
    apply_all()
    assert_equal_to_ledger(acme)
    days = {day: tuple(sums) for day, *sums in read_table(acme, "trace_day", "day", "traces", "calls", "billed_cost")}
    assert days == {
        (midnight - timedelta(days=1)).date(): (1, 2, Decimal(1)),
        midnight.date(): (1, 1, Decimal("0.5")),
    }


def test_postgresql_finds_the_same_buckets_as_python():
    chance = random.Random(7)
    numbers = [Decimal(text) for text in ("0", "1", "-1", "0.000000000001", "1000000000000")]
    numbers += [Decimal(chance.lognormvariate(0, 8)).quantize(Decimal("1e-12")) for _ in range(5000)]
    numbers += [Decimal(chance.randrange(1, 200_000)) for _ in range(5000)]
    statement = SQL("SELECT {} FROM unnest(%s::numeric[]) WITH ORDINALITY AS given (number, place) ORDER BY place")
    with connection.cursor() as cursor:
        cursor.execute(statement.format(bucket_of("number")), [numbers])
        assert [bucket for (bucket,) in cursor.fetchall()] == [find_bucket(number) for number in numbers]
