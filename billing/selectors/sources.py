"""Where cost stands: in the days, the hours, or the batches that no rollup holds yet; each as a part of a statement.

Parameters of what is composed here: tenant_id, those of `name_period`, and `only_<dimension>` for each filter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg.sql import SQL, Composable, Composed, Identifier

from billing.rollups.tables import MONEY, QUANTITIES, SLICES, TOKENS, WEEKLY_SLICE, list_names
from billing.selectors.queries import DIMENSIONS
from ledger.matches import make_values, split_match, write_condition


@dataclass(frozen=True, slots=True)
class Sight:
    """Whose rows are summed: conditions on `tenant_id`, for all of them and by whether days are those of `timezone`.

    The zone is compared within the statement: a tenant that changes it at this moment is counted once.
    """

    all: Composable
    in_zone: Composable
    elsewhere: Composable


ONE_TENANT = Sight(
    all=SQL("tenant_id = %(tenant_id)s"),
    in_zone=SQL("tenant_id = %(tenant_id)s AND (SELECT timezone FROM tenant WHERE id = %(tenant_id)s) = %(timezone)s"),
    elsewhere=SQL(
        "tenant_id = %(tenant_id)s AND (SELECT timezone FROM tenant WHERE id = %(tenant_id)s) <> %(timezone)s"
    ),
)
EVERY_TENANT = Sight(
    all=SQL("true"),
    in_zone=SQL("tenant_id = ANY(ARRAY(SELECT id FROM tenant WHERE timezone = %(timezone)s))"),
    elsewhere=SQL("tenant_id = ANY(ARRAY(SELECT id FROM tenant WHERE timezone <> %(timezone)s))"),
)
# Of all time, it is the same whose days they are.
EVERY_TENANT_EVER = Sight(all=SQL("true"), in_zone=SQL("true"), elsewhere=SQL("false"))


SUM_SOURCES = SQL("""
        SELECT {groups}, {sums} FROM ({sources}) AS cost GROUP BY {groups}""")
SUM_QUANTITY = SQL("sum({0})::{1} AS {0}")

FROM_DAYS = SQL("""
            SELECT {columns} FROM {table}
            WHERE {tenant} AND day >= %({first})s::date AND day < %({end})s::date AND {filters}""")
OF_SLICE = SQL("slice = {} AND span = {}")

FROM_HOURS = SQL("""
            SELECT {columns} FROM {table}
            WHERE {tenant} AND hour >= %(start)s AND hour < %(end)s AND {filters}""")

FROM_PENDING = SQL("""
            SELECT {columns} FROM ({entries}) AS entry
            WHERE charge_period_start >= %(start)s AND charge_period_start < %(end)s AND {filters}""")

# A look-up for each batch, whatever the planner expects: OFFSET 0 keeps it from scanning the ledger, and conditions
# on time stand outside, lest it prefer the index by time to that of the batch.
PENDING_ENTRIES = SQL("""
                SELECT found.*
                FROM (SELECT tenant_id, batch_id, recorded_at FROM outbox WHERE topic = 'rollup' AND {tenant}) AS batch
                CROSS JOIN LATERAL (
                    SELECT {columns} FROM ledger_entry
                    WHERE tenant_id = batch.tenant_id AND batch_id = batch.batch_id
                      AND recorded_at = batch.recorded_at
                    OFFSET 0) AS found""")
ENTRY_COLUMNS = (
    "tenant_id", "charge_period_start", "environment", "feature", "cost_center", "provider", "model", "operation",
    "service_tier", "api_key_id", "user_ref", "calls", "pricing_status", "status", *TOKENS, *MONEY, "latency_ms",
)  # fmt: skip

# An entry's quantities, as a rollup would hold them if it were alone.
ENTRY_QUANTITIES = {
    "calls": SQL("calls::bigint AS calls"),
    "unpriced_calls": SQL("CASE WHEN pricing_status = 'unpriced' THEN calls ELSE 0 END::bigint AS unpriced_calls"),
    "error_calls": SQL("CASE WHEN status = 'error' THEN calls ELSE 0 END::bigint AS error_calls"),
    **{name: Identifier(name) for name in TOKENS},
    **{name: SQL("coalesce({0}, 0) AS {0}").format(Identifier(name)) for name in MONEY},
}


# The spans that make up a period of whole days, each with the parameters that say from when to when.
DAYS = (("day", "first_day", "end_day"),)
WEEKS_AND_DAYS = (
    ("day", "first_day", "first_week"),
    ("week", "first_week", "end_week"),
    ("day", "end_week", "end_day"),
)


def list_pending_entries(sight: Sight) -> Composed:
    """The entries of the batches that wait in the outbox: what is there is in no rollup."""
    return PENDING_ENTRIES.format(tenant=sight.all, columns=list_names(ENTRY_COLUMNS))


def sum_costs(
    sight: Sight,
    *,
    granularity: str,
    by_days: bool,
    by_users: bool,
    groups: tuple[str, ...],
    filters: tuple[str, ...],
    quantities: tuple[str, ...] = QUANTITIES,
    with_pending: bool = True,
) -> Composed:
    """Sum `quantities` by `period` and the columns `groups`, of what passes the filters that are named.

    `period` is null for the granularity `total`, a moment for `hour`, else the first day as a date of `timezone`.
    by_days: start and end are beginnings of days in `timezone`, so days are enough where they are the tenant's own,
    and weeks for those within. with_pending: with the batches that no rollup holds yet.
    """
    columns = {*groups, *(DIMENSIONS[split_match(name)[0]] for name in filters)}
    parts = {
        "sight": sight,
        "granularity": granularity,
        "groups": groups,
        "quantities": quantities,
        "filters": write_filters(filters),
    }
    sources = [_sum_hours(table="cost_user_hour" if by_users else "cost_hour", all_tenants=not by_days, **parts)]
    if with_pending:
        sources.append(_sum_pending(**parts))
    if by_days:
        whole = granularity in ("total", "week")
        spans = WEEKS_AND_DAYS if whole else DAYS
        sources += [_sum_days(span=span, first=first, end=end, used=columns, **parts) for span, first, end in spans]
    sums = SQL(", ").join(
        SUM_QUANTITY.format(Identifier(name), SQL("numeric" if name in MONEY else "bigint")) for name in quantities
    )
    return SUM_SOURCES.format(
        groups=list_names(("period", *groups)), sums=sums, sources=SQL("\n            UNION ALL").join(sources)
    )


def _sum_days(
    *,
    span: str,
    first: str,
    end: str,
    used: set[str],
    sight: Sight,
    granularity: str,
    groups: tuple[str, ...],
    quantities: tuple[str, ...],
    filters: Composable,
) -> Composed:
    period = _truncate(granularity, day=SQL("day"), hour=SQL("NULL"))
    slice_name = _find_slice(used, span=span)
    return FROM_DAYS.format(
        columns=_write_columns(period, groups, list_names(quantities)),
        table=Identifier("cost_slice" if slice_name else "cost_day"),
        tenant=SQL("{} AND {}").format(sight.in_zone, OF_SLICE.format(slice_name, span))
        if slice_name
        else sight.in_zone,
        first=SQL(first),
        end=SQL(end),
        filters=filters,
    )


def _find_slice(columns: set[str], *, span: str) -> str | None:
    """The least slice with these columns; None where only whole days have them all."""
    wanted = columns - {"tenant_id", "environment"}
    return next(
        (name for name, kept in SLICES.items() if wanted <= set(kept) and (span == "week" or name != WEEKLY_SLICE)),
        None,
    )


def _sum_hours(
    *,
    table: str,
    all_tenants: bool,
    sight: Sight,
    granularity: str,
    groups: tuple[str, ...],
    quantities: tuple[str, ...],
    filters: Composable,
) -> Composed:
    period = _truncate(granularity, day=SQL("(hour AT TIME ZONE %(timezone)s)::date"), hour=SQL("hour"))
    return FROM_HOURS.format(
        columns=_write_columns(period, groups, list_names(quantities)),
        table=Identifier(table),
        tenant=sight.all if all_tenants else sight.elsewhere,
        filters=filters,
    )


def _sum_pending(
    *, sight: Sight, granularity: str, groups: tuple[str, ...], quantities: tuple[str, ...], filters: Composable
) -> Composed:
    period = _truncate(
        granularity,
        day=SQL("(charge_period_start AT TIME ZONE %(timezone)s)::date"),
        hour=SQL("date_trunc('hour', charge_period_start, 'UTC')"),
    )
    return FROM_PENDING.format(
        columns=_write_columns(period, groups, SQL(", ").join(ENTRY_QUANTITIES[name] for name in quantities)),
        entries=list_pending_entries(sight),
        filters=filters,
    )


def _write_columns(period: Composable, groups: tuple[str, ...], quantities: Composable) -> Composed:
    return SQL(", ").join([SQL("{} AS period").format(period), *map(Identifier, groups), quantities])


def _truncate(granularity: str, *, day: Composable, hour: Composable) -> Composable:
    if granularity == "total":
        return SQL("NULL::date")
    if granularity == "hour":
        return hour
    if granularity == "day":
        return day
    return SQL("date_trunc({}, ({})::timestamp)::date").format(granularity, day)


def write_filters(filters: tuple[str, ...]) -> Composed:
    conditions = [
        write_condition(DIMENSIONS[dimension], operator, f"only_{name}")
        for name in filters
        for dimension, operator in [split_match(name)]
    ]
    return SQL(" AND ").join([SQL("true"), *conditions])


def name_filters(filters: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """The filters as parameters of a composed statement."""
    return {f"only_{name}": make_values(split_match(name)[1], wanted) for name, wanted in filters.items()}


def name_period(start: datetime, end: datetime, *, timezone: str) -> dict[str, object]:
    """The period as parameters of a composed statement: its moments, its days and weeks."""
    zone = ZoneInfo(timezone)
    days = name_days(start.astimezone(zone).date(), end.astimezone(zone).date())
    return {"start": start, "end": end, "timezone": timezone, **days}


def name_days(first_day: date, end_day: date) -> dict[str, object]:
    """The days from `first_day` until before `end_day`, and the weeks that lie within, as WEEKS_AND_DAYS names them."""
    first_week = first_day + timedelta(days=-first_day.weekday() % 7)
    end_week = end_day - timedelta(days=end_day.weekday())
    if first_week > end_week:
        first_week = end_week = first_day
    return {"first_day": first_day, "end_day": end_day, "first_week": first_week, "end_week": end_week}
