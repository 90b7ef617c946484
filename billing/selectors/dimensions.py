"""Which values there are to filter by."""

from datetime import datetime, timedelta

from django.db import connections
from psycopg.sql import SQL

from billing.selectors.sources import ONE_TENANT, list_pending_entries, name_period
from tenants.scope import reading_scope

VALUES_MAX = 1_000
LISTED = ("feature", "model", "provider", "environment", "cost_center", "operation", "service_tier", "key")

# Each is read where it has the fewest rows.
LIST_DIMENSION_VALUES_SQL = SQL("""
    WITH used AS (
        SELECT stored.*
        FROM (VALUES ('day', %(first_day)s::date, %(first_week)s::date),
                     ('week', %(first_week)s::date, %(end_week)s::date),
                     ('day', %(end_week)s::date, %(end_day)s::date)) AS part (span, first, "end")
        CROSS JOIN LATERAL (
            SELECT DISTINCT slice, feature, model, provider, environment, cost_center, operation, service_tier,
                            api_key_id
            FROM cost_slice
            WHERE tenant_id = %(tenant_id)s AND cost_slice.span = part.span AND day >= part.first AND day < part."end"
              AND slice IN ('feature', 'model', 'total', 'cost_center', 'operation', 'key')) AS stored
        UNION ALL
        SELECT DISTINCT '', feature, model, provider, environment, cost_center, operation, service_tier, api_key_id
        FROM ({pending}) AS entry
        WHERE charge_period_start >= %(start)s AND charge_period_start < %(end)s)
    SELECT DISTINCT dimension, value
    FROM used CROSS JOIN LATERAL (VALUES
        ('feature', 'feature', feature), ('model', 'model', model), ('model', 'provider', provider),
        ('total', 'environment', environment), ('cost_center', 'cost_center', cost_center),
        ('operation', 'operation', operation), ('operation', 'service_tier', service_tier),
        ('key', 'key', api_key_id)) AS listed (listed_in, dimension, value)
    WHERE slice IN (listed_in, '')
    ORDER BY dimension, value""").format(pending=list_pending_entries(ONE_TENANT))
# A day of the tenant's begins at most 14 hours before UTC's and ends 12 after, hence the day on each side: a value
# too many harms no menu.
BESIDE = timedelta(days=1)


def list_dimension_values(
    *, tenant_id: int, start: datetime, end: datetime, using: str = "default"
) -> dict[str, tuple[str, ...]]:
    """The values that occur about [start, end), sorted, by dimension (LISTED); '' where an entry has none.

    At most VALUES_MAX of each. Users are not listed: there are too many.
    """
    around = name_period(start - BESIDE, end + 2 * BESIDE, timezone="UTC")
    values = {**around, "tenant_id": tenant_id, "start": start, "end": end}
    found: dict[str, list[str]] = {name: [] for name in LISTED}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_DIMENSION_VALUES_SQL, values)
        for dimension, value in cursor.fetchall():
            found[dimension].append(value)
    return {name: tuple(listed[:VALUES_MAX]) for name, listed in found.items()}
