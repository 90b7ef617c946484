"""Who is new, and whose keys pause."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connections


class SourcePauses(NamedTuple):
    """When a key sent something, by hours of arrival. longest_pause: from the end of one to the next one's start."""

    tenant_id: int
    api_key_id: str
    first_hour: datetime
    last_hour: datetime
    longest_pause: timedelta


LIST_SOURCE_PAUSES_SQL = """
    SELECT tenant_id, api_key_id, min(hour), max(hour),
           coalesce(max(hour - before), interval '1 hour') - interval '1 hour'
    FROM (SELECT tenant_id, api_key_id, hour,
                 lag(hour) OVER (PARTITION BY tenant_id, api_key_id ORDER BY hour) AS before
          FROM unnest(%(tenant_ids)s::bigint[]) AS tenant (id)
          CROSS JOIN LATERAL (
              SELECT tenant_id, api_key_id, hour FROM intake_hour
              WHERE tenant_id = tenant.id AND hour >= %(start)s AND hour < %(end)s AND received > 0) AS hours) AS hours
    GROUP BY tenant_id, api_key_id ORDER BY tenant_id, api_key_id"""


def list_source_pauses(
    *, tenant_ids: Sequence[int], start: datetime, end: datetime, using: str = "reader"
) -> list[SourcePauses]:
    """The keys that sent something in [start, end)."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_SOURCE_PAUSES_SQL, {"tenant_ids": list(tenant_ids), "start": start, "end": end})
        return [SourcePauses(*row) for row in cursor.fetchall()]


class NewValue(NamedTuple):
    """A value that had no call before first_day, and what it has cost since."""

    tenant_id: int
    dimension: str
    value: str
    first_day: date
    billed_cost: Decimal


LIST_NEW_VALUES_SQL = """
    SELECT tenant.id, recent.slice, recent.value, recent.first_day, recent.cost
    FROM unnest(%(tenant_ids)s::bigint[], %(start_days)s::date[], %(costs_min)s::numeric[])
             AS tenant (id, start_day, cost_min)
    CROSS JOIN LATERAL (
        SELECT slice, feature, model, api_key_id, feature || model || api_key_id AS value, min(day) AS first_day,
               sum(billed_cost) AS cost
        FROM cost_slice
        WHERE tenant_id = tenant.id AND slice IN ('feature', 'model', 'key') AND span = 'day'
          AND day >= tenant.start_day
        GROUP BY slice, feature, model, api_key_id
        HAVING sum(billed_cost) > tenant.cost_min) AS recent
    WHERE recent.value <> '' AND NOT EXISTS (
        SELECT 1 FROM cost_slice AS old
        WHERE old.tenant_id = tenant.id AND old.slice = recent.slice AND old.span = 'day'
          AND old.day < tenant.start_day AND old.feature = recent.feature AND old.model = recent.model
          AND old.api_key_id = recent.api_key_id)
    ORDER BY 1, 2, 3"""


def list_new_values(
    *, start_days: dict[int, date], costs_min: dict[int, Decimal], using: str = "reader"
) -> list[NewValue]:
    """The features, models and keys that cost more than that since each tenant's start day, and were not before."""
    values = {
        "tenant_ids": list(start_days),
        "start_days": list(start_days.values()),
        "costs_min": [costs_min[tenant_id] for tenant_id in start_days],
    }
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_NEW_VALUES_SQL, values)
        return [NewValue(*row) for row in cursor.fetchall()]


LIST_NEW_USERS_SQL = """
    SELECT tenant.id, 'user', recent.user_ref, recent.first_hour, recent.cost
    FROM unnest(%(tenant_ids)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(costs_min)s::numeric[])
             AS tenant (id, start, "end", cost_min)
    CROSS JOIN LATERAL (
        SELECT user_ref, min(hour) AS first_hour, sum(billed_cost) AS cost
        FROM cost_user_hour
        WHERE tenant_id = tenant.id AND hour >= tenant.start AND hour < tenant."end" AND user_ref <> ''
        GROUP BY user_ref HAVING sum(billed_cost) > tenant.cost_min) AS recent
    WHERE NOT EXISTS (
        SELECT 1 FROM cost_user_hour AS old
        WHERE old.tenant_id = tenant.id AND old.hour < tenant.start AND old.user_ref = recent.user_ref)
    ORDER BY 1, 3"""


def list_new_users(
    *, days: dict[int, tuple[datetime, datetime]], costs_min: dict[int, Decimal], using: str = "reader"
) -> list[NewValue]:
    """The users who cost more than that within each tenant's period, and never called before it."""
    values = {
        "tenant_ids": list(days),
        "starts": [start for start, _ in days.values()],
        "ends": [end for _, end in days.values()],
        "costs_min": [costs_min[tenant_id] for tenant_id in days],
    }
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_NEW_USERS_SQL, values)
        return [NewValue(*row[:3], row[3].date(), row[4]) for row in cursor.fetchall()]
