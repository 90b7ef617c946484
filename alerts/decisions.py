"""How often each budget allowed, warned, throttled and denied, by the hour."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection, connections

from alerts.counters import CountersAway, Tally, get_counters
from tenants.scope import reading_scope, tenant_scope

COUNTED_IN_DATABASE = "database"
HOUR_OVER = timedelta(hours=2)  # no check counts for such an hour any more

# A set of counts grows by itself: what is read of it later replaces what was read before.
KEEP_DECISIONS_SQL = """
    INSERT INTO quota_decision_hour AS kept (tenant_id, budget_id, hour, decision, counter, checks)
    SELECT %(tenant_id)s, * FROM unnest(%(budget_ids)s::bigint[], %(hours)s::timestamptz[], %(decisions)s::text[],
                                        %(counters)s::text[], %(checks)s::bigint[])
    ON CONFLICT (tenant_id, budget_id, hour, decision, counter)
        DO UPDATE SET checks = greatest(kept.checks, excluded.checks)"""
COUNT_DECISION_SQL = """
    INSERT INTO quota_decision_hour AS kept (tenant_id, budget_id, hour, decision, counter, checks)
    VALUES (%(tenant_id)s, %(budget_id)s, date_trunc('hour', now(), 'UTC'), %(decision)s, %(counter)s, 1)
    ON CONFLICT (tenant_id, budget_id, hour, decision, counter) DO UPDATE SET checks = kept.checks + 1"""
READ_DECISIONS_SQL = """
    SELECT budget_id, hour, decision, sum(checks)::bigint
    FROM quota_decision_hour
    WHERE tenant_id = %(tenant_id)s AND budget_id = ANY(%(budget_ids)s)
      AND hour >= %(start)s AND hour < %(end)s
    GROUP BY budget_id, hour, decision
    ORDER BY hour, budget_id, decision"""


class DecisionHour(NamedTuple):
    """How often a budget decided so in an hour."""

    budget_id: int
    hour: datetime
    decision: str
    checks: int


def read_decisions(
    *, tenant_id: int, budget_ids: Sequence[int], start: datetime, end: datetime, using: str = "default"
) -> list[DecisionHour]:
    """By hour, budget and decision, in the hours that begin within [start, end); the last minute may be missing.

    Each check stands at the budget that decided it, one that was allowed at the budget with least left.
    """
    values = {"tenant_id": tenant_id, "budget_ids": list(budget_ids), "start": start, "end": end}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(READ_DECISIONS_SQL, values)
        return [DecisionHour(*row) for row in cursor.fetchall()]


COUNT_DECISIONS_SQL = """
    SELECT budget_id, decision, sum(checks)::bigint
    FROM quota_decision_hour JOIN unnest(%(budget_ids)s::bigint[], %(starts)s::timestamptz[]) AS asked (id, start)
      ON asked.id = budget_id AND hour >= asked.start
    WHERE tenant_id = %(tenant_id)s
    GROUP BY budget_id, decision"""


def count_decisions(
    *, tenant_id: int, starts: Mapping[int, datetime], using: str = "default"
) -> dict[int, dict[str, int]]:
    """By budget and decision, each since the hour that its own moment lies in; the last minute may be missing."""
    values = {
        "tenant_id": tenant_id,
        "budget_ids": list(starts),
        "starts": [start.replace(minute=0, second=0, microsecond=0) for start in starts.values()],
    }
    found: dict[int, dict[str, int]] = {}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(COUNT_DECISIONS_SQL, values)
        for budget_id, decision, checks in cursor.fetchall():
            found.setdefault(budget_id, {})[decision] = checks
    return found


def fold_decisions(*, now: datetime) -> None:
    """Bring what Redis has counted into the table: twice is as good as once, and later does where Redis is away."""
    counters = get_counters()
    try:
        for tenant_id in counters.list_tenants():
            tallies = counters.read_tallies(tenant_id)
            _keep_tallies(tenant_id, tallies)
            over = [tally for tally in tallies if now - tally.hour > HOUR_OVER]
            counters.drop_tallies(tenant_id, over, is_last=len(over) == len(tallies))
    except CountersAway:
        return


def _keep_tallies(tenant_id: int, tallies: Sequence[Tally]) -> None:
    if not tallies:
        return
    values = {
        "tenant_id": tenant_id,
        "budget_ids": [tally.budget_id for tally in tallies],
        "hours": [tally.hour for tally in tallies],
        "decisions": [tally.decision for tally in tallies],
        "counters": [tally.counter for tally in tallies],
        "checks": [tally.checks for tally in tallies],
    }
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(KEEP_DECISIONS_SQL, values)


def count_decision(*, tenant_id: int, budget_id: int, decision: str) -> None:
    """One that Redis could not count, in the caller's transaction."""
    values = {"tenant_id": tenant_id, "budget_id": budget_id, "decision": decision, "counter": COUNTED_IN_DATABASE}
    with connection.cursor() as cursor:
        cursor.execute(COUNT_DECISION_SQL, values)
