"""Percentiles of calls, from histograms that are added up."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from django.db import connections
from psycopg.sql import SQL

from billing.core.histograms import find_percentiles
from billing.rollups.tables import MEASURES, bucket_of
from billing.selectors.queries import QueryRefused
from billing.selectors.sources import ONE_TENANT, list_pending_entries
from tenants.scope import tenant_scope

FILTERS = ("environment", "feature", "model")

SUM_HISTOGRAMS_SQL = SQL("""
    SELECT bucket, sum(calls)::bigint
    FROM (SELECT bucket, count.calls
          FROM histogram CROSS JOIN LATERAL unnest(buckets, calls) AS count (bucket, calls)
          WHERE tenant_id = %(tenant_id)s AND measure = %(measure)s
            AND day >= %(start_day)s AND day < %(end_day)s
            AND (%(environment)s::text[] IS NULL OR environment = ANY(%(environment)s::text[]))
            AND (%(feature)s::text[] IS NULL OR feature = ANY(%(feature)s::text[]))
            AND (%(model)s::text[] IS NULL OR model = ANY(%(model)s::text[]))
          UNION ALL
          SELECT {bucket}, calls
          FROM (SELECT *, CASE %(measure)s::text WHEN 'billed_cost' THEN billed_cost
                              WHEN 'input_tokens' THEN input_tokens WHEN 'output_tokens' THEN output_tokens
                              WHEN 'latency_ms' THEN latency_ms END AS measured,
                       (charge_period_start AT TIME ZONE (SELECT timezone FROM tenant WHERE id = %(tenant_id)s))::date
                           AS day
                FROM ({pending}) AS entry) AS entry
          WHERE measured IS NOT NULL AND day >= %(start_day)s AND day < %(end_day)s
            AND (%(environment)s::text[] IS NULL OR environment = ANY(%(environment)s::text[]))
            AND (%(feature)s::text[] IS NULL OR feature = ANY(%(feature)s::text[]))
            AND (%(model)s::text[] IS NULL OR model = ANY(%(model)s::text[]))) AS counted (bucket, calls)
    GROUP BY bucket""").format(bucket=bucket_of("measured"), pending=list_pending_entries(ONE_TENANT))


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
    filters = filters or {}
    if measure not in MEASURES:
        raise QueryRefused(f"measure is one of {', '.join(MEASURES)}, not {measure!r}")
    if set(filters) - set(FILTERS):
        raise QueryRefused(f"percentiles are kept by {', '.join(FILTERS)} only")
    values = {
        "tenant_id": tenant_id,
        "start_day": start_day,
        "end_day": end_day,
        "measure": measure,
        **{name: list(filters[name]) if name in filters else None for name in FILTERS},
    }
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(SUM_HISTOGRAMS_SQL, values)
        return find_percentiles(dict(cursor.fetchall()), percents)
