"""What was found, for those who ask: the newest first, a page at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connections
from psycopg.sql import SQL

from alerts.core.findings import RULES
from tenants.scope import reading_scope

ANOMALIES_PER_PAGE_MAX = 500
CONDITIONS = {
    "kinds": SQL("facts #>> '{anomaly,kind}' = ANY(%(kinds)s)"),
    "levels": SQL("facts #>> '{anomaly,level}' = ANY(%(levels)s)"),
    "states": SQL("state = ANY(%(states)s)"),
    "feedback": SQL("feedback = ANY(%(feedback)s)"),
    "start": SQL("opened_at >= %(start)s"),
    "end": SQL("opened_at < %(end)s"),
    "before": SQL("id < %(before)s"),
}
LIST_ANOMALIES = SQL("""
    SELECT id, opened_at, resolved_at, rule, scope, severity, state, title, facts, impact, feedback
    FROM alert
    WHERE tenant_id = %(tenant_id)s AND rule = ANY(%(rules)s) AND {conditions}
    ORDER BY id DESC LIMIT %(limit)s""")


@dataclass(frozen=True, slots=True)
class FoundAnomaly:
    """An anomaly's alert. anomaly: as alerts.core.findings.write_anomaly writes it; times: of its episode."""

    id: int
    opened_at: datetime
    resolved_at: datetime | None
    rule: str
    scope: Mapping[str, str]
    severity: str
    state: str
    title: str
    sentence: str
    anomaly: Mapping[str, Any]
    times: Sequence[datetime]
    impact: Decimal | None
    feedback: str


@dataclass(frozen=True, slots=True)
class AnomalyFilters:
    """Empty, or None: any. start, end: when it was first told, half-open."""

    kinds: Sequence[str] = ()
    levels: Sequence[str] = ()
    states: Sequence[str] = ()
    feedback: Sequence[str] = ()
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class AnomalyPage:
    """next: what the following page comes `before`; None at the end."""

    anomalies: list[FoundAnomaly]
    next: int | None


def list_anomalies(
    *, tenant_id: int, filters: AnomalyFilters, before: int | None = None, limit: int = 100, using: str = "default"
) -> AnomalyPage:
    """The tenant's anomalies that pass the filters, the latest found first; before: `next` of the page before."""
    values = {part.name: getattr(filters, part.name) for part in fields(filters)} | {"before": before}
    used = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}
    conditions = SQL(" AND ").join([SQL("true"), *(CONDITIONS[name] for name in used)])
    values = used | {"tenant_id": tenant_id, "rules": list(RULES), "limit": limit + 1}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_ANOMALIES.format(conditions=conditions), values)
        rows = cursor.fetchall()
    found = [_read(row) for row in rows[:limit]]
    return AnomalyPage(found, found[-1].id if len(rows) > limit else None)


def _read(row: Sequence[Any]) -> FoundAnomaly:
    facts = json.loads(row[8])
    return FoundAnomaly(
        *row[:4],
        scope=json.loads(row[4]),
        severity=row[5],
        state=row[6],
        title=row[7],
        sentence=facts.get("sentence", ""),
        anomaly=facts["anomaly"],
        times=sorted(datetime.fromisoformat(when) for when in facts["course"]["whens"]),
        impact=row[9],
        feedback=row[10],
    )
