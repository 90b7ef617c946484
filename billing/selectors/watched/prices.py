"""What models' tokens cost, by day, and whether a rate took effect in between."""

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connections


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
