"""How many calls were cut off by a length, as the provider said; read from the entries themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from django.db import connections
from psycopg.sql import SQL, Composed, Identifier, Placeholder

from tenants.scope import reading_scope

COLUMNS = {"environment": "environment", "feature": "feature", "model": "model", "cost_center": "cost_center",
           "user": "user_ref"}  # fmt: skip
# OpenAI and most others; Anthropic; Gemini says it in capitals; OpenAI's responses.
CUT_OFF = ("length", "max_tokens", "max_output_tokens")

COUNT_TRUNCATED = SQL("""
    SELECT coalesce(sum(calls) FILTER (WHERE lower(finish_reason) = ANY(%(cut_off)s)), 0)::bigint,
           coalesce(sum(calls), 0)::bigint
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND charge_period_start >= %(start)s AND charge_period_start < %(end)s
      AND finish_reason <> '' AND {filters}""")


@dataclass(frozen=True, slots=True)
class Truncation:
    """truncated: calls that a length ended, of the `told` ones that said why they ended."""

    truncated: int
    told: int


def count_truncated(
    *, tenant_id: int, start: datetime, end: datetime, filters: Mapping[str, tuple[str, ...]], using: str = "default"
) -> Truncation:
    """Of the tenant's calls in [start, end) that pass the filters (COLUMNS).

    It reads every entry of that time, by the index on time: for a time of few calls.
    """
    values = {
        "tenant_id": tenant_id,
        "start": start,
        "end": end,
        "cut_off": list(CUT_OFF),
        **{f"only_{name}": list(some) for name, some in filters.items()},
    }
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(_write_question(filters), values)
        return Truncation(*cursor.fetchone())


def _write_question(filters: Mapping[str, tuple[str, ...]]) -> Composed:
    conditions = [
        SQL("{} = ANY({})").format(Identifier(COLUMNS[name]), Placeholder(f"only_{name}")) for name in filters
    ]
    return COUNT_TRUNCATED.format(filters=SQL(" AND ").join([SQL("true"), *conditions]))


class FeatureTruncation(NamedTuple):
    """Of a feature's calls that were read: how many a length ended, what those cost, and how many said why they end."""

    tenant_id: int
    feature: str
    truncated: int
    truncated_cost: Decimal
    told: int


SAMPLE_MAX = 5_000
LIST_TRUNCATIONS_SQL = """
    SELECT tenant.id, feature, count(*) FILTER (WHERE is_cut_off),
           coalesce(sum(billed_cost) FILTER (WHERE is_cut_off), 0), count(*)
    FROM unnest(%(tenant_ids)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
             AS tenant (id, start, "end")
    CROSS JOIN LATERAL (
        SELECT feature, lower(finish_reason) = ANY(%(cut_off)s) AS is_cut_off, billed_cost
        FROM ledger_entry
        WHERE tenant_id = tenant.id AND charge_period_start >= tenant.start AND charge_period_start < tenant."end"
          AND finish_reason <> '' AND calls = 1
        ORDER BY charge_period_start DESC LIMIT %(sample_max)s) AS call
    GROUP BY tenant.id, feature ORDER BY tenant.id, feature"""


def list_truncations_of_tenants(
    *, periods: Mapping[int, tuple[datetime, datetime]], using: str = "reader"
) -> list[FeatureTruncation]:
    """By feature, of the last SAMPLE_MAX calls of each tenant in its period; in one statement, as one who sees all."""
    values = {
        "tenant_ids": list(periods),
        "starts": [start for start, _ in periods.values()],
        "ends": [end for _, end in periods.values()],
        "cut_off": list(CUT_OFF),
        "sample_max": SAMPLE_MAX,
    }
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_TRUNCATIONS_SQL, values)
        return [FeatureTruncation(*row) for row in cursor.fetchall()]
