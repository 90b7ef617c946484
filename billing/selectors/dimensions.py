"""Which values there are to filter by."""

from datetime import datetime

from django.db import connections
from psycopg.sql import SQL

from billing.selectors.sources import ONE_TENANT, list_pending_entries
from tenants.scope import tenant_scope

VALUES_MAX = 1_000
LISTED = ("feature", "model", "provider", "environment", "cost_center", "operation", "service_tier", "key")

# A day of the tenant's begins at most 14 hours before UTC's and ends 12 after, hence the day on each side: a value
# too many harms no menu.
LIST_DIMENSION_VALUES_SQL = SQL("""
    WITH used AS (
        SELECT feature, model, provider, environment, cost_center, operation, service_tier, api_key_id
        FROM cost_day
        WHERE tenant_id = %(tenant_id)s AND day >= (%(start)s::timestamptz AT TIME ZONE 'UTC')::date - 1
          AND day <= (%(end)s::timestamptz AT TIME ZONE 'UTC')::date + 1
        GROUP BY feature, model, provider, environment, cost_center, operation, service_tier, api_key_id
        UNION ALL
        SELECT feature, model, provider, environment, cost_center, operation, service_tier, api_key_id
        FROM ({pending}) AS entry
        WHERE charge_period_start >= %(start)s AND charge_period_start < %(end)s)
    SELECT DISTINCT dimension, value
    FROM used CROSS JOIN LATERAL (VALUES
        ('feature', feature), ('model', model), ('provider', provider), ('environment', environment),
        ('cost_center', cost_center), ('operation', operation), ('service_tier', service_tier),
        ('key', api_key_id)) AS listed (dimension, value)
    ORDER BY dimension, value""").format(pending=list_pending_entries(ONE_TENANT))


def list_dimension_values(
    *, tenant_id: int, start: datetime, end: datetime, using: str = "default"
) -> dict[str, tuple[str, ...]]:
    """The values that occur about [start, end), sorted, by dimension (LISTED); '' where an entry has none.

    At most VALUES_MAX of each. Users are not listed: there are too many.
    """
    values = {"tenant_id": tenant_id, "start": start, "end": end}
    found: dict[str, list[str]] = {name: [] for name in LISTED}
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_DIMENSION_VALUES_SQL, values)
        for dimension, value in cursor.fetchall():
            found[dimension].append(value)
    return {name: tuple(listed[:VALUES_MAX]) for name, listed in found.items()}
