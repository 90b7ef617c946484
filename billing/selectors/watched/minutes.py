"""Busy minutes and dear users: what is looked for each minute."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connections


class BusyMinute(NamedTuple):
    """A minute of a feature."""

    tenant_id: int
    feature: str
    minute: datetime
    calls: int
    billed_cost: Decimal


LIST_BUSY_MINUTES_SQL = """
    SELECT tenant_id, feature, minute, calls, billed_cost
    FROM unnest(%(tenant_ids)s::bigint[], %(calls_min)s::bigint[]) AS tenant (id, calls_min)
    CROSS JOIN LATERAL (
        SELECT * FROM calls_minute
        WHERE tenant_id = tenant.id AND minute >= %(start)s AND minute < %(end)s AND calls >= tenant.calls_min) AS busy
    ORDER BY tenant_id, feature, minute"""


def list_busy_minutes(
    *, start: datetime, end: datetime, calls_min: dict[int, int], using: str = "reader"
) -> list[BusyMinute]:
    """The minutes of [start, end) in which a feature had so many calls, by tenant."""
    values = {"tenant_ids": list(calls_min), "calls_min": list(calls_min.values()), "start": start, "end": end}
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_BUSY_MINUTES_SQL, values)
        return [BusyMinute(*row) for row in cursor.fetchall()]


LIST_USUAL_CALLS_SQL = """
    SELECT tenant.id, feature, sum(calls)::bigint
    FROM unnest(%(tenant_ids)s::bigint[]) AS tenant (id)
    CROSS JOIN unnest(%(hours)s::timestamptz[]) AS same (hour)
    CROSS JOIN LATERAL (
        SELECT feature, calls FROM cost_hour WHERE tenant_id = tenant.id AND cost_hour.hour = same.hour) AS found
    GROUP BY tenant.id, feature"""


def list_usual_calls(
    *, tenant_ids: Sequence[int], hours: Sequence[datetime], using: str = "reader"
) -> dict[tuple[int, str], int]:
    """The calls of each tenant's features in these hours, all together."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_USUAL_CALLS_SQL, {"tenant_ids": list(tenant_ids), "hours": list(hours)})
        return {(tenant_id, feature): calls for tenant_id, feature, calls in cursor.fetchall()}


class UserHour(NamedTuple):
    """What one user cost within an hour, with one feature and model."""

    tenant_id: int
    hour: datetime
    user: str
    feature: str
    model: str
    calls: int
    billed_cost: Decimal


LIST_DEAR_USERS_SQL = """
    SELECT tenant_id, hour, user_ref, feature, model, calls, billed_cost
    FROM (SELECT dear.*, sum(billed_cost) OVER (PARTITION BY tenant_id, hour, user_ref) AS whole, tenant.cost_min
          FROM unnest(%(tenant_ids)s::bigint[], %(costs_min)s::numeric[]) AS tenant (id, cost_min)
          CROSS JOIN LATERAL (
              SELECT tenant_id, hour, user_ref, feature, model, sum(calls)::bigint AS calls,
                     sum(billed_cost) AS billed_cost
              FROM cost_user_hour
              WHERE tenant_id = tenant.id AND hour >= %(start)s AND hour < %(end)s AND user_ref <> ''
              GROUP BY tenant_id, hour, user_ref, feature, model) AS dear) AS dear
    WHERE whole > cost_min
    ORDER BY tenant_id, hour, user_ref, billed_cost DESC, feature, model"""


def list_dear_users(
    *, start: datetime, end: datetime, costs_min: dict[int, Decimal], using: str = "reader"
) -> list[UserHour]:
    """The users who cost more than that within one of the hours of [start, end), each by feature and model."""
    values = {"tenant_ids": list(costs_min), "costs_min": list(costs_min.values()), "start": start, "end": end}
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_DEAR_USERS_SQL, values)
        return [UserHour(*row) for row in cursor.fetchall()]
