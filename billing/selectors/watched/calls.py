"""Calls without a price, and calls of unusual size."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connections

from billing.core.histograms import estimate_value


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
