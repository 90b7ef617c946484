"""What was spent: rollups plus the batches that still wait, in one statement, so in one snapshot."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from psycopg.sql import SQL

from billing.core.periods import is_day_start, start_of_day
from billing.rollups.tables import QUANTITIES, list_names
from billing.selectors.quantities import Quantities, sum_quantities
from billing.selectors.queries import DIMENSIONS, CostQuery, QueryRefused, check_query, refuse_hours
from billing.selectors.sources import EVERY_TENANT, EVERY_TENANT_EVER, ONE_TENANT, name_filters, name_period, sum_costs
from tenants.prepared import prepared_cursor
from tenants.scope import reading_scope

ROWS_MAX = 10_000


class CostRow(NamedTuple):
    """One group in one period; `group` has the values in the order of `group_by`."""

    period_start: datetime | None  # UTC; None for a total
    group: tuple[str, ...]
    quantities: Quantities


@dataclass(frozen=True, slots=True)
class Costs:
    """Rows by period and group, those without an entry left out; `totals` is their exact sum.

    Everything that was booked before `complete_to` is in it.
    """

    rows: list[CostRow]
    totals: Quantities
    complete_to: datetime


class BilledCost(NamedTuple):
    """The billed cost of one group in one period, as in CostRow; zero where no call has a price."""

    period_start: datetime | None
    group: tuple[str, ...]
    billed_cost: Decimal


@dataclass(frozen=True, slots=True)
class BilledCosts:
    """As Costs, without totals."""

    rows: list[BilledCost]
    complete_to: datetime


@dataclass(frozen=True, slots=True)
class TenantCosts:
    """One tenant's sums, or those of one group of them."""

    tenant_id: int
    slug: str
    group: tuple[str, ...]
    quantities: Quantities


# A row even where nothing was found: it tells how far the answer is complete. As text, for it is read once.
ANSWER_QUERY = SQL("""
    SELECT statement_timestamp()::text, summed.*
    FROM (VALUES (true)) AS always LEFT JOIN ({sums}) AS summed ON true
    ORDER BY {order} LIMIT %(rows_max)s""")
READ_TIMEZONE_SQL = "SELECT timezone FROM tenant WHERE id = %(tenant_id)s"


def get_costs(query: CostQuery, *, using: str = "default") -> Costs:
    """Answer the query: equal to the sum over the ledger's entries, to the last digit. Raises QueryRefused."""
    found, complete_to = _read_sums(query, QUANTITIES, using=using)
    rows = [CostRow(period_start, group, Quantities._make(sums)) for period_start, group, sums in found]
    return Costs(rows, sum_quantities(row.quantities for row in rows), complete_to)


def get_billed_costs(query: CostQuery, *, using: str = "default") -> BilledCosts:
    """The same of the billed cost alone, in a third of the time. Raises QueryRefused."""
    found, complete_to = _read_sums(query, ("billed_cost",), using=using)
    return BilledCosts([BilledCost(period_start, group, cost) for period_start, group, (cost,) in found], complete_to)


def _read_sums(
    query: CostQuery, quantities: tuple[str, ...], *, using: str
) -> tuple[list[tuple[datetime | None, tuple[str, ...], tuple[int | Decimal, ...]]], datetime]:
    """The sums of each period and group, and up to when all is in them."""
    check_query(query)
    statement = _write_question(
        granularity=query.granularity,
        by_days=query.spans_days,
        by_users=query.is_about_users,
        group_by=tuple(query.group_by),
        filters=tuple(query.filters),
        quantities=quantities,
    )
    values = {
        "tenant_id": query.tenant_id,
        **name_period(query.start, query.end, timezone=query.timezone),
        "rows_max": ROWS_MAX + 1,
        **name_filters(query.filters),
    }
    with reading_scope(query.tenant_id, using=using), prepared_cursor(using=using) as cursor:
        if not query.has_whole_hours:
            _check_zone(cursor, query)
        cursor.execute(statement, values)
        found = cursor.fetchall()
    if len(found) > ROWS_MAX:
        raise QueryRefused(f"more than {ROWS_MAX:,} rows: ask for a shorter time, longer periods or fewer groups")
    zone = ZoneInfo(query.timezone)
    periods = {period: _read_period(period, zone) for period in {row[1] for row in found}}
    width = 2 + len(query.group_by)
    # The row that stands for nothing found has no sums.
    sums = [(periods[row[1]], row[2:width], row[width:]) for row in found if row[-1] is not None]
    return sums, datetime.fromisoformat(found[0][0]).astimezone(UTC)


# Putting a statement together takes as long as a short one runs.
@lru_cache(maxsize=500)
def _write_question(
    *,
    granularity: str,
    by_days: bool,
    by_users: bool,
    group_by: tuple[str, ...],
    filters: tuple[str, ...],
    quantities: tuple[str, ...],
) -> str:
    columns = tuple(DIMENSIONS[name] for name in group_by)
    sums = sum_costs(
        ONE_TENANT,
        granularity=granularity,
        by_days=by_days,
        by_users=by_users,
        groups=columns,
        filters=filters,
        quantities=quantities,
    )
    return ANSWER_QUERY.format(sums=sums, order=list_names(("period", *columns))).as_string()


def _check_zone(cursor, query: CostQuery) -> None:
    """Only the tenant's own days are summed where the hours of a zone are not those of UTC."""
    cursor.execute(READ_TIMEZONE_SQL, {"tenant_id": query.tenant_id})
    if cursor.fetchone() != (query.timezone,):
        raise refuse_hours(query)


def _read_period(period: datetime | date | None, zone: ZoneInfo) -> datetime | None:
    if period is None or isinstance(period, datetime):
        return period
    return start_of_day(period, zone)


ANSWER_BY_TENANT = SQL("""
    SELECT tenant_id, (SELECT slug FROM tenant WHERE id = summed.tenant_id) AS slug, {columns}
    FROM ({sums}) AS summed ORDER BY slug, {columns}""")
ALL_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))


def sum_costs_by_tenant(
    *,
    period: tuple[datetime, datetime] = ALL_TIME,
    timezone: str = "UTC",
    group_by: tuple[str, ...] = (),
    filters: Mapping[str, tuple[str, ...]] | None = None,
    using: str = "reader",
) -> list[TenantCosts]:
    """What each tenant spent in a half-open period of whole hours, by slug; tenants without an entry are left out.

    For operators and metrics: it reads as one who sees every tenant. Never by user. `timezone` says only by which
    tenants' days the sum is quick: those whose own zone it is.
    """
    zone = ZoneInfo(timezone)
    groups = ("tenant_id", *(DIMENSIONS[name] for name in group_by))
    sums = sum_costs(
        EVERY_TENANT_EVER if period == ALL_TIME else EVERY_TENANT,
        granularity="total",
        by_days=all(is_day_start(moment, zone) for moment in period),
        by_users=False,
        groups=groups,
        filters=tuple(filters or ()),
    )
    values = {**name_period(*period, timezone=timezone), **name_filters(filters or {})}
    with prepared_cursor(using=using) as cursor:
        cursor.execute(ANSWER_BY_TENANT.format(columns=list_names((*groups[1:], *QUANTITIES)), sums=sums), values)
        return [
            TenantCosts(tenant_id, slug, tuple(rest[: len(group_by)]), Quantities(*rest[len(group_by) :]))
            for tenant_id, slug, *rest in cursor.fetchall()
        ]
