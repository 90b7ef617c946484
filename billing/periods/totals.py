"""What the ledger says of a month: summed for its close, and compared with what was kept then."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection, connections

from billing.core.month_totals import MonthDifference, MonthSums, MonthTotals, add_sums, compare_months
from ledger.core.identity import make_uuid7
from ledger.sealing.proofs import get_head
from tenants.scope import reading_scope

BOOKED_BEFORE = timedelta(minutes=10)  # what was used at a month's first moment may be booked by a clock that is behind
SETTLED_AFTER = timedelta(minutes=1)  # what was booked before that is summed while bookings go on
LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SettledSums:
    """The month's entries booked before `until`, and how many of any month the ledger held then."""

    until: datetime
    entries: int
    by_cost_center: Mapping[str, MonthSums]


READ_CLOCK_SQL = "SELECT clock_timestamp()"


def sum_settled(*, tenant_id: int, period: date) -> SettledSums:
    """What takes long of a month's sums, for `complete_totals`. Inside the tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(READ_CLOCK_SQL)
        until = cursor.fetchone()[0] - SETTLED_AFTER
    # Counted before it is summed: what is booked in between makes the later count another one.
    entries = _count_booked(tenant_id, period, until)
    return SettledSums(until, entries, _sum_month(tenant_id, period, until=until))


def complete_totals(settled: SettledSums, *, tenant_id: int, period: date) -> MonthTotals:
    """The month's control totals, while bookings are kept out. Where the past grew, all of it is summed again."""
    if _count_booked(tenant_id, period, settled.until) == settled.entries:
        parts = [settled.by_cost_center, _sum_month(tenant_id, period, since=settled.until)]
    else:
        parts = [_sum_month(tenant_id, period)]
    head = get_head(tenant_id=tenant_id)
    by_cost_center = dict(sorted(add_sums(parts).items()))
    return MonthTotals(period, by_cost_center, head.size if head else 0, head.root.hex() if head else "")


COUNT_BOOKED_SQL = """
    SELECT coalesce(sum(entry_count), 0)::bigint FROM ledger_batch
    WHERE tenant_id = %(tenant_id)s AND batch_id >= %(since)s AND batch_id < %(until)s"""


def _count_booked(tenant_id: int, period: date, until: datetime) -> int:
    """How many entries the batches since the month began and before `until` hold: their ids begin with their time."""
    first, last = (make_uuid7(moment, bytes(8)) for moment in (_begin_booking(period), until))
    with connection.cursor() as cursor:
        cursor.execute(COUNT_BOOKED_SQL, {"tenant_id": tenant_id, "since": first, "until": last})
        return cursor.fetchone()[0]


SUM_MONTH_BY_COST_CENTER_SQL = """
    SELECT cost_center, count(*), sum(calls)::bigint,
           coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0)::bigint,
           coalesce(sum(billed_cost), 0), coalesce(sum(list_cost), 0)
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND kind <> 'admin_act'
      AND recorded_at >= %(since)s AND recorded_at < %(until)s AND batch_id >= %(first_batch)s
    GROUP BY cost_center"""


def _sum_month(
    tenant_id: int, period: date, *, since: datetime | None = None, until: datetime = LATEST
) -> dict[str, MonthSums]:
    first = _begin_booking(period)
    since = max(since or first, first)
    values = {"tenant_id": tenant_id, "period": period, "since": since, "until": until}
    values["first_batch"] = make_uuid7(since, bytes(8))  # what a minute holds is found by the key
    with connection.cursor() as cursor:
        cursor.execute(SUM_MONTH_BY_COST_CENTER_SQL, values)
        return {name: MonthSums(*sums) for name, *sums in cursor.fetchall()}


def _begin_booking(period: date) -> datetime:
    """Before it nothing is booked that is charged in the month."""
    return datetime.combine(period, time(), UTC) - BOOKED_BEFORE


# Every entry, whenever it was booked: a row with another time of booking than it can have is a difference too.
SUM_CLOSED_MONTHS_SQL = """
    SELECT billing_period, cost_center, count(*), sum(calls)::bigint,
           coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0)::bigint,
           coalesce(sum(billed_cost), 0), coalesce(sum(list_cost), 0)
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = ANY(%(periods)s::date[]) AND kind <> 'admin_act'
    GROUP BY billing_period, cost_center"""
LIST_KEPT_TOTALS_SQL = """
    SELECT DISTINCT ON (period) totals
    FROM billing_period JOIN billing_period_step AS step USING (tenant_id, period)
    WHERE tenant_id = %(tenant_id)s AND state = 'closed' AND step.step = 'closed'
    ORDER BY period, step.id DESC"""


def compare_closed_periods(*, tenant_id: int, using: str = "default") -> list[MonthDifference]:
    """Where the ledger now says something else of a closed month than what was kept at its close."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_KEPT_TOTALS_SQL, {"tenant_id": tenant_id})
        kept = {totals.period: totals for totals in (MonthTotals.read(text) for (text,) in cursor.fetchall())}
        if not kept:
            return []
        cursor.execute(SUM_CLOSED_MONTHS_SQL, {"tenant_id": tenant_id, "periods": list(kept)})
        found: dict[date, dict[str, MonthSums]] = defaultdict(dict)
        for period, cost_center, *sums in cursor.fetchall():
            found[period][cost_center] = MonthSums(*sums)
    return [
        difference
        for period, totals in kept.items()
        for difference in compare_months(MonthTotals(period, found[period]), totals)
    ]
