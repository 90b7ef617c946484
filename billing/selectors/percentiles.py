"""Percentiles of calls, from histograms that are added up."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connections
from psycopg.sql import SQL, Composed, Identifier

from billing.core.histograms import estimate_value
from billing.rollups.tables import HISTOGRAM_SLICES, MEASURES, bucket_of
from billing.selectors.queries import QueryRefused
from billing.selectors.sources import (
    DAYS,
    ONE_TENANT,
    WEEKS_AND_DAYS,
    list_pending_entries,
    name_days,
    name_filters,
    write_filters,
)
from tenants.scope import tenant_scope

FILTERS = ("environment", "feature", "model")

# The nearest rank of each percent is the first bucket up to which so many calls lie.
FIND_PERCENTILES = SQL("""
    WITH counted AS MATERIALIZED (
        SELECT value, bucket, sum(calls)::bigint AS calls FROM ({sources}) AS histogram GROUP BY value, bucket)
    SELECT value, percent, min(bucket)
    FROM (SELECT value, bucket, (sum(calls) OVER (PARTITION BY value ORDER BY bucket))::bigint AS seen,
                 (sum(calls) OVER (PARTITION BY value))::bigint AS total
          FROM ({counted}) AS counted) AS ranked
    CROSS JOIN unnest(%(percents)s::int[]) AS percent
    WHERE total > 0 AND seen * 100 >= percent * total
    GROUP BY value, percent""")
# Sums of sums are few, where the buckets of all days would be counted twice. A null value is all values together.
WHOLE = SQL("SELECT * FROM counted")
VALUES_AND_WHOLE = SQL("""
            SELECT * FROM counted
            UNION ALL SELECT NULL, bucket, sum(calls)::bigint FROM counted GROUP BY bucket""")

# Two unnests beside each other go in step, as the arrays do, and take two thirds of the time of a lateral one.
FROM_DAYS = SQL("""
                SELECT {value}, unnest(buckets) AS bucket, unnest(calls) AS calls FROM histogram
                WHERE tenant_id = %(tenant_id)s AND day >= %({first})s AND day < %({end})s
                  AND measure = %(measure)s AND {filters}""")
FROM_WEEKS = SQL("""
                SELECT {value}, unnest(buckets) AS bucket, unnest(calls) AS calls FROM cost_histogram_week
                WHERE tenant_id = %(tenant_id)s AND slice = {slice} AND week >= %(first_week)s AND week < %(end_week)s
                  AND {filters}""")

FROM_PENDING = SQL("""
                SELECT {value}, {bucket} AS bucket, calls
                FROM (SELECT *, (charge_period_start AT TIME ZONE
                                 (SELECT timezone FROM tenant WHERE id = %(tenant_id)s))::date AS day
                      FROM ({pending}) AS entry) AS entry
                WHERE {measure} IS NOT NULL AND day >= %(first_day)s AND day < %(end_day)s AND {filters}""")


@dataclass(frozen=True, slots=True)
class PercentilesBy:
    """Percentiles by percent: of all calls, and of those of each value of a dimension."""

    whole: Mapping[int, Decimal]
    values: Mapping[str, Mapping[int, Decimal]]


def get_percentiles(
    *,
    tenant_id: int,
    start_day: date,
    end_day: date,
    measure: str,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    percents: Sequence[int] = (50, 95, 99),
    using: str = "default",
) -> dict[int, Decimal]:
    """Percentiles of a measure over the calls of [start_day, end_day), days in the tenant's time zone; within 1 %.

    measure: of MEASURES; calls without it, such as unpriced ones without a cost, do not count. filters: environment,
    feature, model. Empty where there was no call. Raises QueryRefused.
    """
    return _find(None, tenant_id, (start_day, end_day), measure, filters or {}, percents, using).get(None, {})


def get_percentiles_by(
    dimension: str,
    *,
    tenant_id: int,
    start_day: date,
    end_day: date,
    measure: str,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    percents: Sequence[int] = (50, 95, 99),
    using: str = "default",
) -> PercentilesBy:
    """The same for each value of environment, feature or model, and for all of them together, in one statement."""
    found = _find(dimension, tenant_id, (start_day, end_day), measure, filters or {}, percents, using)
    return PercentilesBy(whole=found.pop(None, {}), values=found)


def _find(
    dimension: str | None,
    tenant_id: int,
    days: tuple[date, date],
    measure: str,
    filters: Mapping[str, tuple[str, ...]],
    percents: Sequence[int],
    using: str,
) -> dict[str | None, dict[int, Decimal]]:
    """Percentiles by value; None stands for all values."""
    if measure not in MEASURES:
        raise QueryRefused(f"measure is one of {', '.join(MEASURES)}, not {measure!r}")
    if {dimension, *filters} - {None, *FILTERS}:
        raise QueryRefused(f"percentiles are kept by {', '.join(FILTERS)} only")
    values = {
        "tenant_id": tenant_id,
        "measure": measure,
        "percents": list(percents),
        **name_days(*days),
        **name_filters(filters),
    }
    found: dict[str | None, dict[int, Decimal]] = defaultdict(dict)
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(find_percentiles(dimension, measure=measure, filters=tuple(filters)), values)
        for value, percent, bucket in cursor.fetchall():
            found[value][percent] = estimate_value(bucket)
    return found


def find_percentiles(dimension: str | None, *, measure: str, filters: tuple[str, ...]) -> Composed:
    """The statement that finds the buckets of percentiles; see `sources` for its parameters."""
    conditions = write_filters(filters)
    value = SQL("{} AS value").format(Identifier(dimension) if dimension else SQL("NULL::text"))
    used = {dimension, *filters} - {None, "environment"}
    name = next((name for name, kept in HISTOGRAM_SLICES.items() if used <= set(kept)), None)
    by_weeks = measure == "billed_cost" and name is not None
    sources = [
        FROM_WEEKS.format(value=value, filters=conditions, slice=name)
        if span == "week"
        else FROM_DAYS.format(value=value, filters=conditions, first=SQL(first), end=SQL(end))
        for span, first, end in (WEEKS_AND_DAYS if by_weeks else DAYS)
    ]
    sources.append(
        FROM_PENDING.format(
            value=value,
            filters=conditions,
            measure=Identifier(measure),
            bucket=bucket_of(measure),
            pending=list_pending_entries(ONE_TENANT),
        )
    )
    return FIND_PERCENTILES.format(
        sources=SQL("\n            UNION ALL").join(sources), counted=VALUES_AND_WHOLE if dimension else WHOLE
    )
