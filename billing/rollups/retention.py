"""Minutes are kept for 30 days: spikes are looked for in them, and nothing older."""

from datetime import datetime, timedelta

from django.db import connection

from billing.rollups.tables import MINUTES_KEPT_DAYS
from tenants.scope import tenant_scope


def first_minute_kept(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) - timedelta(days=MINUTES_KEPT_DAYS)


PRUNE_CALLS_MINUTE_SQL = "DELETE FROM calls_minute WHERE tenant_id = %(tenant_id)s AND minute < %(minutes_from)s"


def prune_calls_minute(*, tenant_id: int, now: datetime) -> int:
    """Drop the tenant's minutes that are too old; how many rows. A second call drops none."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(PRUNE_CALLS_MINUTE_SQL, {"tenant_id": tenant_id, "minutes_from": first_minute_kept(now)})
        return cursor.rowcount
