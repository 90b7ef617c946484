"""Rollups against the ledger: every difference, and making them again from it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection

from billing.core.month_totals import MonthDifference
from billing.job_runs import record_run
from billing.periods.totals import compare_closed_periods
from billing.rollups.batches import SET_WORK_MEMORY_SQL
from billing.rollups.retention import first_minute_kept
from billing.rollups.tables import (
    CALLS_MINUTE,
    COST_DAY,
    COST_HOUR,
    COST_SLICE,
    COST_USER_HOUR,
    DAILY_TABLES,
    HISTOGRAM,
    HISTOGRAM_SLICE,
    TABLES,
    TRACE_COST,
    TRACE_DAY,
    RollupTable,
    clear_rows_of,
    compare_with_ledger,
    sum_ledger_into,
)
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import tenant_scope

RECONCILE_JOB = "reconcile {tenant_id}"


@dataclass(frozen=True, slots=True)
class Difference:
    """One group of one rollup: what the ledger's entries sum to, what is stored; None where there is no such group."""

    table: str
    key: Mapping[str, str]
    ledger: Mapping[str, object] | None
    rollup: Mapping[str, object] | None

    def __str__(self) -> str:
        key = " ".join(f"{name}={value!r}" for name, value in self.key.items())
        if self.ledger is None or self.rollup is None:
            return f"{self.table} {key}: only in the {'rollup' if self.ledger is None else 'ledger'}"
        differing = [name for name in self.ledger if self.ledger[name] != self.rollup[name]]
        return f"{self.table} {key}: " + ", ".join(
            f"{name} is {self.ledger[name]} in the ledger, {self.rollup[name]} in the rollup" for name in differing
        )


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A tenant's rollups compared with all of its entries that are not waiting in the outbox; its closed months too."""

    tenant_id: int
    checked_at: datetime
    entries: int  # that the ledger holds
    waiting_entries: int  # of them not in the rollups yet
    differences: tuple[Difference, ...]
    month_differences: tuple[MonthDifference, ...] = ()  # of closed months, from what was kept at their close

    @property
    def count(self) -> int:
        return len(self.differences) + len(self.month_differences)

    @property
    def cost_difference(self) -> Decimal:
        """Billed cost in the rollups less that in the ledger."""
        return sum(
            (
                _billed_cost(difference.rollup) - _billed_cost(difference.ledger)
                for difference in self.differences
                if difference.table == COST_HOUR.name
            ),
            Decimal(0),
        )


def _billed_cost(quantities: Mapping[str, object] | None) -> Decimal:
    return Decimal(str(quantities["billed_cost"])) if quantities else Decimal(0)


COUNT_LEDGER_SQL = """
    SELECT (SELECT coalesce(sum(entry_count), 0) FROM ledger_batch WHERE tenant_id = %(tenant_id)s),
           (SELECT coalesce(sum(entry_count), 0) FROM outbox WHERE topic = 'rollup' AND tenant_id = %(tenant_id)s)"""
COMPARE_COST_HOUR_SQL = compare_with_ledger(COST_HOUR)
COMPARE_COST_DAY_SQL = compare_with_ledger(COST_DAY)
COMPARE_COST_SLICE_SQL = compare_with_ledger(COST_SLICE)
COMPARE_COST_USER_HOUR_SQL = compare_with_ledger(COST_USER_HOUR)
COMPARE_CALLS_MINUTE_SQL = compare_with_ledger(CALLS_MINUTE)
COMPARE_HISTOGRAM_SQL = compare_with_ledger(HISTOGRAM)
COMPARE_HISTOGRAM_SLICE_SQL = compare_with_ledger(HISTOGRAM_SLICE)
COMPARE_TRACE_COST_SQL = compare_with_ledger(TRACE_COST)
COMPARE_TRACE_DAY_SQL = compare_with_ledger(TRACE_DAY)
COMPARISONS = (
    (COST_HOUR, COMPARE_COST_HOUR_SQL),
    (COST_DAY, COMPARE_COST_DAY_SQL),
    (COST_SLICE, COMPARE_COST_SLICE_SQL),
    (COST_USER_HOUR, COMPARE_COST_USER_HOUR_SQL),
    (CALLS_MINUTE, COMPARE_CALLS_MINUTE_SQL),
    (HISTOGRAM, COMPARE_HISTOGRAM_SQL),
    (HISTOGRAM_SLICE, COMPARE_HISTOGRAM_SLICE_SQL),
    (TRACE_COST, COMPARE_TRACE_COST_SQL),
    (TRACE_DAY, COMPARE_TRACE_DAY_SQL),
)


def reconcile_rollups(*, tenant_id: int, now: datetime) -> Reconciliation:
    """Compare the tenant's rollups, and its closed months, with the ledger, and keep the result for the pages.

    Booking and rolling up go on meanwhile: each comparison is one statement, so one snapshot of ledger, outbox and
    rollup together.
    """
    # A day less than is kept: what is pruned while this runs is no difference.
    values = {"tenant_id": tenant_id, "minutes_from": first_minute_kept(now) + timedelta(days=1)}
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(SET_WORK_MEMORY_SQL)
        cursor.execute(COUNT_LEDGER_SQL, values)
        entries, waiting_entries = cursor.fetchone()
        differences = [
            difference for table, statement in COMPARISONS for difference in _compare(cursor, table, statement, values)
        ]
        months = compare_closed_periods(tenant_id=tenant_id)
    reconciliation = Reconciliation(tenant_id, now, entries, waiting_entries, tuple(differences), tuple(months))
    record_run(job=RECONCILE_JOB.format(tenant_id=tenant_id), slot=now, result=_write_result(reconciliation))
    return reconciliation


def _compare(cursor, table: RollupTable, statement: object, values: Mapping[str, object]) -> Iterator[Difference]:
    cursor.execute(statement, values)
    for ledger, rollup in cursor.fetchall():
        ledger, rollup = _read_group(ledger), _read_group(rollup)
        known = ledger or rollup or {}
        yield Difference(table.name, {name: known[name] for name in table.keys}, ledger, rollup)


def _read_group(text: str | None) -> dict[str, object] | None:
    return None if text is None else json.loads(text, parse_float=Decimal)


def _write_result(reconciliation: Reconciliation) -> str:
    return json.dumps(
        {
            "entries": int(reconciliation.entries),
            "waiting_entries": int(reconciliation.waiting_entries),
            "differences": reconciliation.count,
            "cost_difference": format(reconciliation.cost_difference, "f"),
        }
    )


LOCK_ROLLUPS_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('rollup ' || %(tenant_id)s::bigint, 0))"
CLEAR_COST_HOUR_SQL = clear_rows_of(COST_HOUR)
CLEAR_COST_DAY_SQL = clear_rows_of(COST_DAY)
CLEAR_COST_SLICE_SQL = clear_rows_of(COST_SLICE)
CLEAR_COST_USER_HOUR_SQL = clear_rows_of(COST_USER_HOUR)
CLEAR_CALLS_MINUTE_SQL = clear_rows_of(CALLS_MINUTE)
CLEAR_HISTOGRAM_SQL = clear_rows_of(HISTOGRAM)
CLEAR_HISTOGRAM_SLICE_SQL = clear_rows_of(HISTOGRAM_SLICE)
CLEAR_TRACE_COST_SQL = clear_rows_of(TRACE_COST)
CLEAR_TRACE_DAY_SQL = clear_rows_of(TRACE_DAY)
SUM_COST_HOUR_SQL = sum_ledger_into(COST_HOUR)
SUM_COST_DAY_SQL = sum_ledger_into(COST_DAY)
SUM_COST_SLICE_SQL = sum_ledger_into(COST_SLICE)
SUM_COST_USER_HOUR_SQL = sum_ledger_into(COST_USER_HOUR)
SUM_CALLS_MINUTE_SQL = sum_ledger_into(CALLS_MINUTE)
SUM_HISTOGRAM_SQL = sum_ledger_into(HISTOGRAM)
SUM_HISTOGRAM_SLICE_SQL = sum_ledger_into(HISTOGRAM_SLICE)
SUM_TRACE_COST_SQL = sum_ledger_into(TRACE_COST)
SUM_TRACE_DAY_SQL = sum_ledger_into(TRACE_DAY)
REBUILDS = {
    "cost_hour": (CLEAR_COST_HOUR_SQL, SUM_COST_HOUR_SQL),
    "cost_day": (CLEAR_COST_DAY_SQL, SUM_COST_DAY_SQL),
    "cost_slice": (CLEAR_COST_SLICE_SQL, SUM_COST_SLICE_SQL),
    "cost_user_hour": (CLEAR_COST_USER_HOUR_SQL, SUM_COST_USER_HOUR_SQL),
    "calls_minute": (CLEAR_CALLS_MINUTE_SQL, SUM_CALLS_MINUTE_SQL),
    "histogram": (CLEAR_HISTOGRAM_SQL, SUM_HISTOGRAM_SQL),
    "histogram_slice": (CLEAR_HISTOGRAM_SLICE_SQL, SUM_HISTOGRAM_SLICE_SQL),
    "trace_cost": (CLEAR_TRACE_COST_SQL, SUM_TRACE_COST_SQL),
    "trace_day": (CLEAR_TRACE_DAY_SQL, SUM_TRACE_DAY_SQL),
}


def rebuild_rollups(*, tenant_id: int, now: datetime, tables: Sequence[RollupTable] = TABLES) -> None:
    """Make the tenant's rollups again from the ledger, in one transaction; booking and reading go on meanwhile.

    No worker adds to them until it is done: so what is settled stays settled, whatever is booked in between.
    """
    values = {"tenant_id": tenant_id, "minutes_from": first_minute_kept(now)}
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_ROLLUPS_SQL, values)
        cursor.execute(SET_WORK_MEMORY_SQL)
        for table in tables:
            for statement in REBUILDS[table.name]:
                cursor.execute(statement, values)


GET_TIMEZONE_SQL = "SELECT timezone FROM tenant WHERE id = %(tenant_id)s"
SET_TIMEZONE_SQL = "UPDATE tenant SET timezone = %(timezone)s WHERE id = %(tenant_id)s"


def change_reporting_timezone(*, tenant_id: int, timezone: str, actor: str, now: datetime) -> None:
    """Let the tenant's days and months be those of another time zone: its days are summed again, in one transaction.

    Raises django.db.DataError for a zone that PostgreSQL does not know, and then changes nothing.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        # Before the zone is changed: a worker that is adding days has read the old one.
        cursor.execute(LOCK_ROLLUPS_SQL, {"tenant_id": tenant_id})
        cursor.execute(GET_TIMEZONE_SQL, {"tenant_id": tenant_id})
        (before,) = cursor.fetchone()
        cursor.execute(SET_TIMEZONE_SQL, {"tenant_id": tenant_id, "timezone": timezone})
        facts = {"timezone": timezone, "timezone_before": before}
        book_act(tenant_id=tenant_id, act=Act("tenant.changed", actor, facts), now=now)
        rebuild_rollups(tenant_id=tenant_id, now=now, tables=DAILY_TABLES)
