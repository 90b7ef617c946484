"""The acts that a ledger keeps, newest first: read from the headers of their batches, so that usage costs nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections

from tenants.scope import reading_scope


@dataclass(frozen=True, slots=True)
class ActFilters:
    """Which acts; an empty tuple asks for any. names: whole, or what stands before the dot. start, end: half-open, of
    their booking.
    """

    names: Sequence[str] = ()
    actors: Sequence[str] = ()
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeptAct:
    """Who did what, and with which facts. acted_at: as whoever acted had it; recorded_at: by the database's clock."""

    batch_id: UUID
    recorded_at: datetime
    acted_at: datetime
    name: str
    actor: str
    facts: dict[str, str] = field(hash=False)

    @property
    def entry_id(self) -> str:
        return f"{self.batch_id}.0"


LIST_ACTS_SQL = """
    SELECT batch_id, entry.recorded_at, entry.charge_period_start, entry.operation, entry.tags
    FROM (
        SELECT tenant_id, batch_id, recorded_at FROM ledger_batch
        WHERE tenant_id = %(tenant_id)s AND kind = 'admin_act'
          AND (%(before)s::uuid IS NULL OR batch_id < %(before)s::uuid)
          AND (%(start)s::timestamptz IS NULL OR recorded_at >= %(start)s)
          AND (%(end)s::timestamptz IS NULL OR recorded_at < %(end)s)) AS batch
    JOIN ledger_entry AS entry USING (tenant_id, batch_id, recorded_at)
    WHERE entry.tenant_id = %(tenant_id)s
      AND (%(names)s::text[] = '{}' OR operation = ANY(%(names)s::text[])
           OR split_part(operation, '.', 1) = ANY(%(names)s::text[]))
      AND (%(actors)s::text[] = '{}' OR tags ->> 'actor' = ANY(%(actors)s::text[]))
      AND (%(among)s::text[] IS NULL OR operation = ANY(%(among)s::text[]))
      AND (%(but_rates)s::bigint[] IS NULL OR rate_version_id IS NULL
           OR rate_version_id <> ALL(%(but_rates)s::bigint[]))
    ORDER BY batch_id DESC
    LIMIT %(limit)s"""


def list_acts(
    *,
    tenant_id: int,
    filters: ActFilters,
    before: UUID | None = None,
    limit: int,
    among: Sequence[str] | None = None,
    but_rates: Sequence[int] | None = None,
    using: str = "default",
) -> list[KeptAct]:
    """The acts behind the batch `before`. among: of these names alone; but_rates: of none of these rates."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            LIST_ACTS_SQL,
            {
                "tenant_id": tenant_id,
                "names": list(filters.names),
                "actors": list(filters.actors),
                "start": filters.start,
                "end": filters.end,
                "before": before,
                "among": None if among is None else list(among),
                "but_rates": None if but_rates is None else list(but_rates),
                "limit": limit,
            },
        )
        return [_read_act(row) for row in cursor.fetchall()]


LIST_ACT_NAMES_SQL = """
    SELECT DISTINCT entry.operation
    FROM ledger_batch AS batch
    JOIN ledger_entry AS entry USING (tenant_id, batch_id, recorded_at)
    WHERE batch.tenant_id = %(tenant_id)s AND batch.kind = 'admin_act'
    ORDER BY entry.operation"""


def list_act_names(*, tenant_id: int, using: str = "default") -> list[str]:
    """What was ever done, by name: the choices of a filter."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_ACT_NAMES_SQL, {"tenant_id": tenant_id})
        return [name for (name,) in cursor.fetchall()]


def _read_act(row: Sequence[Any]) -> KeptAct:
    *when, name, tags = row
    facts = json.loads(tags)
    return KeptAct(*when, name, facts.pop("actor", ""), facts)
