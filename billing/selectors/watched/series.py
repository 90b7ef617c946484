"""Cost by the hour and by the day: each tenant's, and that of its features, models and keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from django.db import connections
from numpy.typing import NDArray

# Sparse rows as the server sends integers: made into Python's one by one, they take longer than all the rest.
PLACES, AMOUNTS = np.dtype(">i2"), np.dtype(">i8")
SERIES = ("", "feature", "model", "key")


class Owner(NamedTuple):
    """Whose series it is: a tenant's own, with dimension and value '', or that of a value of one of SERIES."""

    tenant_id: int
    dimension: str
    value: str


@dataclass(frozen=True, slots=True)
class CostSeries:
    """costs: (series, periods) in pico-USD, in step with owners; a period without an entry costs 0."""

    owners: list[Owner]
    costs: NDArray[np.int64]


LIST_HOUR_SERIES_SQL = """
    SELECT tenant.id, dimension, value, string_agg(int2send(place), ''), string_agg(int8send(cost), '')
    FROM unnest(%(tenant_ids)s::bigint[]) AS tenant (id)
    CROSS JOIN LATERAL (
        SELECT CASE grouping(feature, model, api_key_id) WHEN 3 THEN 'feature' WHEN 5 THEN 'model' WHEN 6 THEN 'key'
                    ELSE '' END AS dimension,
               coalesce(feature, model, api_key_id, '') AS value,
               (extract(epoch FROM hour - %(start)s::timestamptz) / 3600)::smallint AS place,
               greatest(least(sum(billed_cost) * 1000000000000, 9e18), -9e18)::bigint AS cost
        FROM cost_hour
        WHERE tenant_id = tenant.id AND hour >= %(start)s AND hour < %(end)s
        GROUP BY hour, GROUPING SETS ((), (feature), (model), (api_key_id))) AS spent
    GROUP BY tenant.id, dimension, value ORDER BY tenant.id, dimension, value"""


def list_hour_series(*, tenant_ids: Sequence[int], start: datetime, hours: int, using: str = "reader") -> CostSeries:
    """The hours of UTC from `start` on: each tenant's, and those of its features, models and keys."""
    end = start + timedelta(hours=hours)
    values = {"tenant_ids": list(tenant_ids), "start": start, "end": end}
    return _read_series(LIST_HOUR_SERIES_SQL, values, periods=hours, using=using)


LIST_DAY_SERIES_SQL = """
    SELECT tenant.id, dimension, value, string_agg(int2send(place), ''), string_agg(int8send(cost), '')
    FROM unnest(%(tenant_ids)s::bigint[], %(end_days)s::date[]) AS tenant (id, end_day)
    CROSS JOIN LATERAL (
        SELECT CASE slice WHEN 'total' THEN '' ELSE slice END AS dimension, feature || model || api_key_id AS value,
               (day - tenant.end_day + %(days)s::integer)::smallint AS place,
               greatest(least(sum(billed_cost) * 1000000000000, 9e18), -9e18)::bigint AS cost
        FROM cost_slice
        WHERE tenant_id = tenant.id AND slice IN ('total', 'feature', 'model', 'key') AND span = 'day'
          AND day >= tenant.end_day - %(days)s::integer AND day < tenant.end_day
        GROUP BY slice, feature, model, api_key_id, day) AS spent
    GROUP BY tenant.id, dimension, value ORDER BY tenant.id, dimension, value"""


def list_day_series(*, end_days: dict[int, date], days: int, using: str = "reader") -> CostSeries:
    """The days before each tenant's end day, as the tenants report: theirs, and of their features, models and keys."""
    values = {"tenant_ids": list(end_days), "end_days": list(end_days.values()), "days": days}
    return _read_series(LIST_DAY_SERIES_SQL, values, periods=days, using=using)


def _read_series(statement: str, values: dict[str, object], *, periods: int, using: str) -> CostSeries:
    with connections[using].cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    costs = np.zeros((len(rows), periods), dtype=np.int64)
    for row, (_, _, _, places, amounts) in enumerate(rows):
        # A model of two providers is one series here.
        np.add.at(costs[row], np.frombuffer(places, PLACES).astype(np.int64), np.frombuffer(amounts, AMOUNTS))
    return CostSeries([Owner(*row[:3]) for row in rows], costs)


LIST_FIRST_HOURS_SQL = """
    SELECT tenant.id, found.hour
    FROM unnest(%(tenant_ids)s::bigint[]) AS tenant (id)
    CROSS JOIN LATERAL (
        SELECT hour FROM cost_hour WHERE tenant_id = tenant.id ORDER BY hour LIMIT 1) AS found"""


def list_first_hours(*, tenant_ids: Sequence[int], using: str = "reader") -> dict[int, datetime]:
    """The first hour of each tenant that has one."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_FIRST_HOURS_SQL, {"tenant_ids": list(tenant_ids)})
        return dict(cursor.fetchall())
