"""What was sent, and what became of it."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connections

from tenants.scope import reading_scope


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """One key's events that arrived in one hour: received = booked + duplicates + conflicts + rejected."""

    hour: datetime
    api_key_id: str
    received: int
    booked: int
    duplicates: int
    conflicts: int
    rejected: int


SUM_INTAKE_SQL = """
    SELECT hour, api_key_id, sum(received)::bigint, sum(booked)::bigint, sum(duplicates)::bigint,
           sum(conflicts)::bigint, sum(rejected)::bigint
    FROM (SELECT hour, api_key_id, received, booked, duplicates, conflicts, rejected
          FROM intake_hour WHERE tenant_id = %(tenant_id)s
          UNION ALL
          SELECT date_trunc('hour', received_at, 'UTC') AS hour, api_key_id, received, booked, duplicates, conflicts,
                 rejected
          FROM intake_tally WHERE tenant_id = %(tenant_id)s) AS intake
    WHERE hour >= %(start)s AND hour < %(end)s
    GROUP BY hour, api_key_id ORDER BY hour, api_key_id"""


def get_intake(*, tenant_id: int, start: datetime, end: datetime, using: str = "default") -> list[IntakeRow]:
    """The intake by hour of arrival and key between two full hours, to the last request that was answered."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(SUM_INTAKE_SQL, {"tenant_id": tenant_id, "start": start, "end": end})
        return [IntakeRow(*row) for row in cursor.fetchall()]


LIST_LAST_INTAKES_SQL = """
    SELECT api_key_id, max(hour)
    FROM (SELECT api_key_id, hour FROM intake_hour WHERE tenant_id = %(tenant_id)s
          UNION ALL
          SELECT api_key_id, date_trunc('hour', received_at, 'UTC') AS hour
          FROM intake_tally WHERE tenant_id = %(tenant_id)s) AS intake
    GROUP BY api_key_id"""


def list_last_intakes(*, tenant_id: int, using: str = "default") -> dict[str, datetime]:
    """The hour in which each key last sent something, by the key's public id; those that never did are left out."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_LAST_INTAKES_SQL, {"tenant_id": tenant_id})
        return dict(cursor.fetchall())


@dataclass(frozen=True, slots=True)
class TenantIntake:
    """What one tenant ever sent, and what became of it."""

    slug: str
    booked: int
    duplicates: int
    conflicts: int
    rejected: int


SUM_INTAKE_BY_TENANT_SQL = """
    SELECT slug, sum(booked)::bigint, sum(duplicates)::bigint, sum(conflicts)::bigint, sum(rejected)::bigint
    FROM (SELECT tenant_id, booked, duplicates, conflicts, rejected FROM intake_hour
          UNION ALL
          SELECT tenant_id, booked, duplicates, conflicts, rejected FROM intake_tally) AS intake
    JOIN tenant ON tenant.id = tenant_id
    GROUP BY slug ORDER BY slug"""


def sum_intake_by_tenant(*, using: str = "reader") -> list[TenantIntake]:
    """The intake of every tenant since the beginning, for metrics: it reads as the reader, who sees every tenant."""
    with connections[using].cursor() as cursor:
        cursor.execute(SUM_INTAKE_BY_TENANT_SQL)
        return [TenantIntake(*row) for row in cursor.fetchall()]
