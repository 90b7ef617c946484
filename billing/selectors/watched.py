"""What is watched of every tenant at once, for the jobs that look for what is out of the ordinary.

Each is one statement whatever the number of tenants, read as one who sees them all, and from the rollups alone: a batch
that still waits is seen at the next run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from django.db import connections
from numpy.typing import NDArray

from billing.core.histograms import estimate_value

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


class UnpricedCalls(NamedTuple):
    """Calls of a model without a price, of all its calls in an hour."""

    tenant_id: int
    model: str
    hour: datetime
    unpriced: int
    calls: int


LIST_UNPRICED_CALLS_SQL = """
    SELECT tenant.id, model, hour, unpriced, calls
    FROM unnest(%(tenant_ids)s::bigint[]) AS tenant (id)
    CROSS JOIN LATERAL (
        SELECT model, hour, sum(unpriced_calls)::bigint AS unpriced, sum(calls)::bigint AS calls
        FROM cost_hour
        WHERE tenant_id = tenant.id AND hour >= %(start)s AND hour < %(end)s
        GROUP BY model, hour HAVING sum(unpriced_calls) > 0) AS found
    ORDER BY tenant.id, model, hour"""


def list_unpriced_calls(
    *, tenant_ids: Sequence[int], start: datetime, end: datetime, using: str = "reader"
) -> list[UnpricedCalls]:
    """By tenant, model and hour."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_UNPRICED_CALLS_SQL, {"tenant_ids": list(tenant_ids), "start": start, "end": end})
        return [UnpricedCalls(*row) for row in cursor.fetchall()]


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


class ModelUse(NamedTuple):
    """What one feature used of one model in a service tier: on the last day, or in the days before. Money in USD."""

    tenant_id: int
    is_last: bool
    feature: str
    provider: str
    model: str
    service_tier: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    input_cost: Decimal
    cache_read_cost: Decimal
    output_cost: Decimal


LIST_MODEL_USE_SQL = """
    SELECT tenant.id, is_last, feature, provider, model, service_tier, input_tokens, cache_read_tokens,
           cache_write_tokens, output_tokens, input_cost, cache_read_cost, output_cost
    FROM unnest(%(tenant_ids)s::bigint[], %(end_days)s::date[]) AS tenant (id, end_day)
    CROSS JOIN LATERAL (
        SELECT day = tenant.end_day - 1 AS is_last, feature, provider, model, service_tier,
               sum(input_tokens)::bigint AS input_tokens, sum(cache_read_tokens)::bigint AS cache_read_tokens,
               sum(cache_write_tokens + cache_write_1h_tokens)::bigint AS cache_write_tokens,
               sum(output_tokens)::bigint AS output_tokens, sum(input_cost) AS input_cost,
               sum(cache_read_cost) AS cache_read_cost, sum(output_cost) AS output_cost
        FROM cost_day
        WHERE tenant_id = tenant.id AND day >= tenant.end_day - 1 - %(days)s::integer AND day < tenant.end_day
          AND unpriced_calls = 0
        GROUP BY 1, feature, provider, model, service_tier) AS used"""


def list_model_use(*, end_days: dict[int, date], days: int, using: str = "reader") -> list[ModelUse]:
    """The use of the day before each tenant's end day, and of `days` days before that; without what is not priced."""
    values = {"tenant_ids": list(end_days), "end_days": list(end_days.values()), "days": days}
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_MODEL_USE_SQL, values)
        return [ModelUse(*row) for row in cursor.fetchall()]


class HeaviestCall(NamedTuple):
    """Of a feature's calls of a day, the most tokens that one of them took in or gave out, within 1 %.

    calls, tokens: all of the days that are looked at, whose mean is the usual.
    """

    tenant_id: int
    feature: str
    most_tokens: int
    calls: int
    tokens: int


LIST_HEAVIEST_CALLS_SQL = """
    SELECT tenant.id, heavy.feature, heavy.bucket, used.calls, used.tokens
    FROM unnest(%(tenant_ids)s::bigint[], %(days)s::date[]) AS tenant (id, day)
    CROSS JOIN LATERAL (
        SELECT feature, max(buckets[cardinality(buckets)]) AS bucket
        FROM histogram
        WHERE tenant_id = tenant.id AND day = tenant.day AND measure IN ('input_tokens', 'output_tokens')
        GROUP BY feature) AS heavy
    CROSS JOIN LATERAL (
        SELECT sum(calls)::bigint AS calls,
               sum(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens
                   + output_tokens)::bigint AS tokens
        FROM cost_slice
        WHERE tenant_id = tenant.id AND slice = 'feature' AND span = 'day' AND cost_slice.day > tenant.day - 7
          AND cost_slice.day <= tenant.day AND feature = heavy.feature) AS used
    WHERE used.calls > 0
    ORDER BY tenant.id, heavy.feature"""


def list_heaviest_calls(*, days: dict[int, date], using: str = "reader") -> list[HeaviestCall]:
    """By tenant and feature, of each tenant's day; the usual is of the week that ends with it."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_HEAVIEST_CALLS_SQL, {"tenant_ids": list(days), "days": list(days.values())})
        return [
            HeaviestCall(tenant_id, feature, int(estimate_value(bucket)), calls, tokens)
            for tenant_id, feature, bucket, calls, tokens in cursor.fetchall()
        ]


class LargestCall(NamedTuple):
    """The call of most tokens, all of them counted."""

    time: datetime
    tokens: int
    user: str
    model: str
    entry_id: str
    billed_cost: Decimal  # 0 where it has no price


GET_LARGEST_CALL_SQL = """
    SELECT charge_period_start,
           input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens + output_tokens AS tokens,
           user_ref, model, batch_id::text || '.' || line, coalesce(billed_cost, 0)
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND charge_period_start >= %(start)s AND charge_period_start < %(end)s
      AND feature = %(feature)s AND calls = 1
    ORDER BY tokens DESC, charge_period_start LIMIT 1"""


def get_largest_call(
    *, tenant_id: int, feature: str, start: datetime, end: datetime, using: str = "reader"
) -> LargestCall | None:
    """Of a feature's calls of a day. It reads them all: for one of which something is known."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_LARGEST_CALL_SQL, {"tenant_id": tenant_id, "feature": feature, "start": start, "end": end})
        row = cursor.fetchone()
    return LargestCall(*row) if row else None


LIST_RECONCILIATIONS_SQL = """
    SELECT DISTINCT ON (job) split_part(job, ' ', 2)::bigint, slot, (result::json ->> 'differences')::integer,
           (result::json ->> 'cost_difference')::numeric
    FROM job_run
    WHERE job LIKE 'reconcile %%' AND job <> 'reconcile' AND finished_at IS NOT NULL
    ORDER BY job, slot DESC"""


class TenantReconciliation(NamedTuple):
    """A tenant's latest comparison of rollups and ledger; see LastReconciliation."""

    tenant_id: int
    checked_at: datetime
    differences: int
    cost_difference: Decimal


def list_reconciliations(*, using: str = "reader") -> list[TenantReconciliation]:
    """The latest one of every tenant."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_RECONCILIATIONS_SQL)
        return [TenantReconciliation(*row) for row in cursor.fetchall()]


SUM_HOURS_SQL = """
    SELECT tenant_id, sum(billed_cost) FROM cost_hour WHERE tenant_id = ANY(%(tenant_ids)s) GROUP BY tenant_id"""


def sum_hours(*, tenant_ids: Sequence[int], using: str = "reader") -> dict[int, Decimal]:
    """What the hours say that each tenant ever cost."""
    with connections[using].cursor() as cursor:
        cursor.execute(SUM_HOURS_SQL, {"tenant_ids": list(tenant_ids)})
        return dict(cursor.fetchall())


LIST_RATE_STARTS_SQL = """
    SELECT DISTINCT provider FROM rate_version
    WHERE state IN ('published', 'superseded') AND tenant_id IN (0, %(tenant_id)s)
      AND ((lower(effective) >= %(start)s AND lower(effective) < %(end)s)
           OR (published_at >= %(start)s AND published_at < %(end)s))"""


def list_providers_with_new_rates(
    *, tenant_id: int, start: datetime, end: datetime, using: str = "reader"
) -> frozenset[str]:
    """The providers of whom a price for the tenant took effect, or was published, in that time."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_RATE_STARTS_SQL, {"tenant_id": tenant_id, "start": start, "end": end})
        return frozenset(provider for (provider,) in cursor.fetchall())
