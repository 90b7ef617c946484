"""Where cost stands: in the days, the hours, or the batches that no rollup holds yet; each as a part of a statement.

Parameters of what is composed here: tenant_id, start, end, timezone, and `only_<dimension>` for each filter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier

from billing.rollups.tables import MONEY, QUANTITIES, TOKENS, list_names
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
SUMS = SQL(", ").join(
    SQL("sum({0})::{1} AS {0}").format(Identifier(name), SQL("numeric" if name in MONEY else "bigint"))
    for name in QUANTITIES
)

FROM_DAYS = SQL("""
            SELECT {columns} FROM cost_day
            WHERE {tenant} AND day >= (%(start)s::timestamptz AT TIME ZONE %(timezone)s)::date
              AND day < (%(end)s::timestamptz AT TIME ZONE %(timezone)s)::date AND {filters}""")

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
ENTRY_QUANTITIES = SQL(", ").join(
    [
        SQL("calls::bigint AS calls"),
        SQL("CASE WHEN pricing_status = 'unpriced' THEN calls ELSE 0 END::bigint AS unpriced_calls"),
        SQL("CASE WHEN status = 'error' THEN calls ELSE 0 END::bigint AS error_calls"),
        *(Identifier(name) for name in TOKENS),
        *(SQL("coalesce({0}, 0) AS {0}").format(Identifier(name)) for name in MONEY),
    ]
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
    filters: Mapping[str, tuple[str, ...]],
) -> Composed:
    """Sum every quantity by `period` and the columns `groups`.

    `period` is null for the granularity `total`, a moment for `hour`, else the first day as a date of `timezone`.
    by_days: start and end are beginnings of days in `timezone`, so days are enough where they are the tenant's own.
    """
    parts = {
        "sight": sight,
        "granularity": granularity,
        "groups": groups,
        "filters": _write_filters(filters),
    }
    sources = [
        _sum_hours(table="cost_user_hour" if by_users else "cost_hour", all_tenants=not by_days, **parts),
        _sum_pending(**parts),
    ]
    if by_days:
        sources.append(_sum_days(**parts))
    return SUM_SOURCES.format(
        groups=list_names(("period", *groups)), sums=SUMS, sources=SQL("\n            UNION ALL").join(sources)
    )


def _sum_days(*, sight: Sight, granularity: str, groups: tuple[str, ...], filters: Composable) -> Composed:
    period = _truncate(granularity, day=SQL("day"), hour=SQL("NULL"))
    return FROM_DAYS.format(
        columns=_write_columns(period, groups, list_names(QUANTITIES)), tenant=sight.in_zone, filters=filters
    )


def _sum_hours(
    *, table: str, all_tenants: bool, sight: Sight, granularity: str, groups: tuple[str, ...], filters: Composable
) -> Composed:
    period = _truncate(granularity, day=SQL("(hour AT TIME ZONE %(timezone)s)::date"), hour=SQL("hour"))
    return FROM_HOURS.format(
        columns=_write_columns(period, groups, list_names(QUANTITIES)),
        table=Identifier(table),
        tenant=sight.all if all_tenants else sight.elsewhere,
        filters=filters,
    )


def _sum_pending(*, sight: Sight, granularity: str, groups: tuple[str, ...], filters: Composable) -> Composed:
    period = _truncate(
        granularity,
        day=SQL("(charge_period_start AT TIME ZONE %(timezone)s)::date"),
        hour=SQL("date_trunc('hour', charge_period_start, 'UTC')"),
    )
    return FROM_PENDING.format(
        columns=_write_columns(period, groups, ENTRY_QUANTITIES), entries=list_pending_entries(sight), filters=filters
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


def _write_filters(filters: Mapping[str, tuple[str, ...]]) -> Composed:
    conditions = [
        write_condition(DIMENSIONS[dimension], operator, f"only_{name}")
        for name in filters
        for dimension, operator in [split_match(name)]
    ]
    return SQL(" AND ").join([SQL("true"), *conditions])


def name_filters(filters: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """The filters as parameters of a composed statement."""
    return {f"only_{name}": make_values(split_match(name)[1], wanted) for name, wanted in filters.items()}
