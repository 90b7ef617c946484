"""Calls as they were booked, model by model in the order of their use, and what corrected them: for re-rating.

Read by key and never by offset, a page a statement: nothing is locked, and nothing is held open between two pages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import sql

COSTS = ("input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
         "saved_cost")  # fmt: skip
PRICED_BY = (
    "billing_period", "rate_version_id", "provider", "model", "service_tier", "region", "status", "cache_hit",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "other_usage", "reported_cost",
)  # fmt: skip
_PRICED_BY_SQL, _COSTS_SQL = (sql.SQL(", ").join(map(sql.Identifier, names)) for names in (PRICED_BY, COSTS))
# A moment of Django's connections costs twenty times what a number costs, and a preview reads a hundred thousand.
_MICROSECONDS_SQL = sql.SQL("(extract(epoch FROM charge_period_start) * 1000000)::bigint")


@dataclass(frozen=True, slots=True)
class CallsOf:
    """A tenant's calls of one model, as provider and model were sent; used in [`start`, `end`)."""

    tenant_id: int
    provider: str
    model: str
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class CallPlace:
    """A call's place in the order of use: what comes after it was used later."""

    time: datetime
    batch_id: UUID
    line: int


# One index entry for each pair, however many calls it has.
LIST_CALLED_MODELS_SQL = """
    WITH RECURSIVE pair AS (
        (SELECT provider, model FROM ledger_entry
         WHERE tenant_id = %(tenant_id)s ORDER BY provider, model LIMIT 1)
        UNION ALL
        SELECT found.provider, found.model
        FROM pair CROSS JOIN LATERAL (
            SELECT provider, model FROM ledger_entry
            WHERE tenant_id = %(tenant_id)s AND (provider, model) > (pair.provider, pair.model)
            ORDER BY provider, model LIMIT 1) AS found)
    SELECT provider, model FROM pair"""


def list_called_models(*, tenant_id: int, using: str = "default") -> list[tuple[str, str]]:
    """Every (provider, model) of the tenant's entries, as they were sent. Call it inside the tenant's scope."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_CALLED_MODELS_SQL, {"tenant_id": tenant_id})
        return cursor.fetchall()


# What was used at `start` was booked at most ten minutes earlier; older partitions go unread.
COUNT_CALLS_SQL = """
    SELECT count(*) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND provider = %(provider)s AND model = %(model)s
      AND charge_period_start >= %(start)s AND charge_period_start < coalesce(%(end)s::timestamptz, 'infinity')
      AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'"""


def count_calls(calls: CallsOf, *, using: str = "default") -> int:
    """About how many calls there are: corrections of them are counted too. Call it inside the tenant's scope."""
    with connections[using].cursor() as cursor:
        cursor.execute(COUNT_CALLS_SQL, _name(calls))
        return cursor.fetchone()[0]


LIST_CALLS_SQL = sql.SQL("""
    SELECT batch_id::text, line, {microseconds}, {priced_by}, {costs}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND provider = %(provider)s AND model = %(model)s AND kind = 'usage'
      AND charge_period_start >= greatest(%(start)s, %(after_time)s::timestamptz)
      AND charge_period_start < coalesce(%(end)s::timestamptz, 'infinity')
      AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'
      AND (%(after_time)s::timestamptz IS NULL OR (charge_period_start, batch_id, line)
           > (%(after_time)s::timestamptz, %(after_batch_id)s::uuid, %(after_line)s::int))
    ORDER BY charge_period_start, batch_id, line
    LIMIT %(limit)s""").format(microseconds=_MICROSECONDS_SQL, priced_by=_PRICED_BY_SQL, costs=_COSTS_SQL)


def list_calls(calls: CallsOf, *, after: CallPlace | None, limit: int, using: str = "default") -> list[tuple[Any, ...]]:
    """One page of calls: batch, line, microseconds since 1970, PRICED_BY, COSTS as they were first booked.

    Call it inside the tenant's scope.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(
            LIST_CALLS_SQL,
            {
                **_name(calls),
                "after_time": after.time if after else None,
                "after_batch_id": after.batch_id if after else None,
                "after_line": after.line if after else None,
                "limit": limit,
            },
        )
        return cursor.fetchall()


LIST_RESTATEMENTS_SQL = sql.SQL("""
    SELECT corrects, batch_id::text || '.' || line, calls, tags ->> 'tokenledger.reverses', billing_period,
           rate_version_id, {costs}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND corrects = ANY(%(entry_ids)s) AND kind IN ('rating', 'correction')
      AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'""").format(costs=_COSTS_SQL)


def find_restatements(
    *, tenant_id: int, entry_ids: Sequence[str], start: datetime, using: str = "default"
) -> dict[str, tuple[Any, ...]]:
    """For each corrected call the entry whose costs stand: id, billing period, rate version, COSTS.

    Of the entries that state a call, that one stands which no other takes back. start: when the calls were used. Call
    it inside the tenant's scope.
    """
    if not entry_ids:
        return {}
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_RESTATEMENTS_SQL, {"tenant_id": tenant_id, "entry_ids": list(entry_ids), "start": start})
        rows = cursor.fetchall()
    taken_back = {reverses for _, _, calls, reverses, *_ in rows if calls < 0}
    return {
        corrects: (entry_id, *stated)
        for corrects, entry_id, calls, _, *stated in rows
        if calls > 0 and entry_id not in taken_back
    }


def _name(calls: CallsOf) -> Mapping[str, object]:
    return {name: getattr(calls, name) for name in CallsOf.__slots__}


def list_entry_ids(rows: Iterable[Sequence[Any]]) -> list[str]:
    """The public ids of rows that begin with batch and line."""
    return [f"{batch_id}.{line}" for batch_id, line, *_ in rows]
