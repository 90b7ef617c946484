"""What is to be told, and by which channels: a delivery each, written in the transaction of what it tells.

`alerts.deliveries` works them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from django.db import connection

from alerts.core.messages import Message, identify_delivery, make_message, write_message
from alerts.core.routing import Route, Severity, find_due, pick_routes
from tenants.selectors import TenantInfo, get_tenant_by_id

Step = Literal["opened", "grown", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as its steps are taken. facts: as they are written."""

    tenant_id: int
    id: int
    rule: str
    scope: Mapping[str, str]
    severity: Severity
    state: str
    title: str
    facts: Mapping[str, Any]
    impact: Decimal | None
    told_impact: Decimal | None
    told_at: datetime
    owner: str
    channel_ids: Sequence[int]
    opened_at: datetime


def queue_opening(alert: AlertRow, *, event_id: int, now: datetime) -> int:
    """Tell each channel that takes it of a new alert; how many."""
    tenant = get_tenant_by_id(alert.tenant_id)
    routes = _pick(alert, list_routes(alert.tenant_id))
    body = _make_body(alert, tenant, kind="opened", now=now)
    return _queue(alert, tenant, routes, kind="opened", event_id=event_id, body=body, now=now)


def queue_messages(alert: AlertRow, *, kind: Step, event_id: int, comment: str = "", now: datetime) -> int:
    """Tell those who were told of the alert what became of it; how many.

    What was not sent yet is changed instead: an opening that waits out the night tells of the alert as it has grown by
    then, and of one that is over before nothing is sent at all. A channel that takes it only since it grew is told now.
    """
    tenant = get_tenant_by_id(alert.tenant_id)
    routes = {route.channel_id: route for route in list_routes(alert.tenant_id)}
    told = _list_told(alert)
    queued = 0
    if kind == "grown":
        _refresh_unsent(alert, tenant, routes, now=now)
        fresh = [route for route in _pick(alert, list(routes.values())) if route.channel_id not in told]
        body = _make_body(alert, tenant, kind="opened", now=now)
        queued += _queue(alert, tenant, fresh, kind="opened", event_id=event_id, body=body, now=now)
    if kind == "resolved":
        _withhold_unsent(alert, now=now)
    heard = [
        routes[channel_id]
        for channel_id, is_sent in told.items()
        if channel_id in routes and is_sent and (kind != "acknowledged" or routes[channel_id].kind == "pagerduty")
    ]
    body = _make_body(alert, tenant, kind=kind, now=now, comment=comment)
    return queued + _queue(alert, tenant, heard, kind=kind, event_id=event_id, body=body, now=now)


LIST_ROUTES_SQL = """
    SELECT id, kind, owner, scope, severity_min, quiet_from, quiet_to, digest_hour
    FROM alert_channel
    WHERE tenant_id = %(tenant_id)s AND is_enabled AND removed_at IS NULL
    ORDER BY id"""


def list_routes(tenant_id: int) -> list[Route]:
    """What the tenant's enabled channels take. Call it in the tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_ROUTES_SQL, {"tenant_id": tenant_id})
        return [
            Route(
                channel_id=row[0],
                kind=row[1],
                owner=row[2],
                scope=json.loads(row[3]),
                severity_min=row[4],
                quiet_from=row[5],
                quiet_to=row[6],
                digest_hour=row[7],
            )
            for row in cursor.fetchall()
        ]


def _pick(alert: AlertRow, routes: Sequence[Route]) -> list[Route]:
    return pick_routes(
        routes, severity=alert.severity, scope=alert.scope, owner=alert.owner, channel_ids=alert.channel_ids
    )


# A message that was tried may have arrived, whatever became of the attempt.
LIST_TOLD_SQL = """
    SELECT channel_id, bool_or(attempt_count > 0 OR state = 'collected')
    FROM alert_delivery
    WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s AND kind = 'opened'
    GROUP BY channel_id ORDER BY channel_id"""


def _list_told(alert: AlertRow) -> dict[int, bool]:
    """The channels that have an opening, and whether it was sent, or tried."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_TOLD_SQL, {"tenant_id": alert.tenant_id, "alert_id": alert.id})
        return dict(cursor.fetchall())


LIST_UNSENT_SQL = """
    SELECT id, channel_id
    FROM alert_delivery
    WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s AND state = 'waiting' AND attempt_count = 0
      AND kind = 'opened'
    ORDER BY id FOR UPDATE"""
REFRESH_UNSENT_SQL = """
    UPDATE alert_delivery SET body = %(body)s::jsonb, due_at = %(due_at)s, held_for = %(held_for)s
    WHERE tenant_id = %(tenant_id)s AND id = %(delivery_id)s"""


def _refresh_unsent(alert: AlertRow, tenant: TenantInfo, routes: Mapping[int, Route], *, now: datetime) -> None:
    """Let openings that nobody saw tell of the alert as it is; at once, where it has become urgent."""
    body = json.dumps(_make_body(alert, tenant, kind="opened", now=now))
    with connection.cursor() as cursor:
        cursor.execute(LIST_UNSENT_SQL, {"tenant_id": alert.tenant_id, "alert_id": alert.id})
        for delivery_id, channel_id in cursor.fetchall():
            if route := routes.get(channel_id):
                due_at, held_for = find_due(route, severity=alert.severity, at=now, timezone=tenant.timezone)
                said = {"body": body, "due_at": due_at, "held_for": held_for, "delivery_id": delivery_id}
                cursor.execute(REFRESH_UNSENT_SQL, said | {"tenant_id": alert.tenant_id})


WITHHOLD_UNSENT_SQL = """
    UPDATE alert_delivery
    SET state = 'withheld', finished_at = %(now)s, last_error = 'the alert was over before it was sent'
    WHERE tenant_id = %(tenant_id)s AND alert_id = %(alert_id)s AND state = 'waiting' AND attempt_count = 0"""


def _withhold_unsent(alert: AlertRow, *, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(WITHHOLD_UNSENT_SQL, {"tenant_id": alert.tenant_id, "alert_id": alert.id, "now": now})


QUEUE_DELIVERY_SQL = """
    INSERT INTO alert_delivery (tenant_id, id, channel_id, alert_id, event_id, kind, state, held_for, queued_at, due_at,
                                attempt_count, retried_from, last_error, body)
    VALUES (%(tenant_id)s, %(id)s, %(channel_id)s, %(alert_id)s, %(event_id)s, %(kind)s, 'waiting', %(held_for)s,
            %(now)s, %(due_at)s, 0, 0, '', %(body)s::jsonb)
    ON CONFLICT (tenant_id, id) DO NOTHING"""


def _queue(
    alert: AlertRow,
    tenant: TenantInfo,
    routes: Sequence[Route],
    *,
    kind: Step,
    event_id: int,
    body: Mapping[str, Any],
    now: datetime,
) -> int:
    for route in routes:
        due_at, held_for = find_due(route, severity=alert.severity, at=now, timezone=tenant.timezone)
        queue_delivery(
            tenant_id=alert.tenant_id,
            delivery_id=identify_delivery(alert.tenant_id, alert.id, event_id, route.channel_id),
            channel_id=route.channel_id,
            alert_id=alert.id,
            event_id=event_id,
            kind=kind,
            body=body,
            due_at=due_at,
            held_for=held_for,
            now=now,
        )
    return len(routes)


def queue_delivery(
    *,
    tenant_id: int,
    delivery_id: UUID,
    channel_id: int,
    kind: str,
    body: Mapping[str, Any],
    now: datetime,
    due_at: datetime,
    held_for: str = "",
    alert_id: int | None = None,
    event_id: int | None = None,
) -> None:
    """Write one delivery that waits; a second time changes nothing. Call it in the tenant's scope."""
    with connection.cursor() as cursor:
        cursor.execute(
            QUEUE_DELIVERY_SQL,
            {
                "tenant_id": tenant_id,
                "id": delivery_id,
                "channel_id": channel_id,
                "alert_id": alert_id,
                "event_id": event_id,
                "kind": kind,
                "held_for": held_for,
                "now": now,
                "due_at": due_at,
                "body": json.dumps(dict(body)),
            },
        )


def _make_body(alert: AlertRow, tenant: TenantInfo, *, kind: Step, now: datetime, comment: str = "") -> dict[str, Any]:
    message: Message = make_message(
        kind=kind,
        tenant=tenant.slug,
        tenant_name=tenant.name,
        happened_at=now,
        alert_id=alert.id,
        rule=alert.rule,
        scope=alert.scope,
        severity=alert.severity,
        title=alert.title,
        impact=alert.impact,
        facts=alert.facts,
        opened_at=alert.opened_at,
        comment=comment,
    )
    return write_message(message)
