"""Where pages and machines read alerts: the list, one with its history and deliveries, and how many wait."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q

from alerts.channels import Channel, name_channels
from alerts.core.facts import Facts, read_facts
from alerts.core.routing import Severity
from alerts.episodes import AlertUnknown
from alerts.models import Alert, AlertAttempt, AlertDelivery, AlertEvent
from tenants.scope import reading_scope

STATES = ("open", "acknowledged", "snoozed", "resolved")
ALERTS_PER_PAGE_MAX = 500


@dataclass(frozen=True, slots=True)
class AlertInfo:
    """An alert, as others see it. impact: USD beyond what was expected, None where nobody knows it."""

    id: int
    rule: str
    scope: Mapping[str, str]
    episode: str
    severity: Severity
    state: str
    title: str
    facts: Facts
    impact: Decimal | None
    budget_id: int | None
    owner: str
    opened_at: datetime
    changed_at: datetime
    snoozed_until: datetime | None
    resolved_at: datetime | None
    feedback: str


@dataclass(frozen=True, slots=True)
class EventInfo:
    """A step of an alert. actor: as acts name one, '' for ourselves."""

    event: str
    happened_at: datetime
    actor: str
    comment: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One try to deliver. status: of HTTP or SMTP; None without an answer, as duration_ms of one that is under way."""

    number: int
    started_at: datetime
    duration_ms: int | None
    outcome: str
    status: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryInfo:
    """One message to one channel, with each attempt, the oldest first."""

    id: UUID
    alert_id: int | None
    kind: str
    state: str
    held_for: str
    title: str
    channel: Channel
    queued_at: datetime
    due_at: datetime
    finished_at: datetime | None
    last_error: str
    attempts: tuple[AttemptInfo, ...]


@dataclass(frozen=True, slots=True)
class AlertFilters:
    """Which of them; what is empty asks for any. start, end: half-open, of their opening. text: within the title."""

    states: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    owner: str = ""
    budget_id: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """What came of a rule's alerts: how many there were, and how many were judged how."""

    alerts: int
    real: int
    planned: int
    wrong: int


ANY = AlertFilters()


def list_alerts(
    *, tenant_id: int, filters: AlertFilters = ANY, before: int | None = None, limit: int = 100
) -> list[AlertInfo]:
    """The tenant's alerts, latest first; those opened before the alert `before` where it is given.

    Raises AlertUnknown where `before` is none of the tenant's.
    """
    with reading_scope(tenant_id):
        rows = Alert.objects.filter(_match(filters), tenant_id=tenant_id)
        if before is not None:
            last = Alert.objects.filter(tenant_id=tenant_id, id=before).first()
            if last is None:
                raise AlertUnknown(f"there is no alert {before}")
            rows = rows.filter(Q(opened_at__lt=last.opened_at) | Q(opened_at=last.opened_at, id__lt=last.id))
        return [_describe(row) for row in rows.order_by("-opened_at", "-id")[:limit]]


def _match(filters: AlertFilters) -> Q:
    asked: dict[str, Any] = {
        "state__in": filters.states,
        "severity__in": filters.severities,
        "rule__in": filters.rules,
        "owner": filters.owner,
        "budget_id": filters.budget_id,
        "opened_at__gte": filters.start,
        "opened_at__lt": filters.end,
        "title__icontains": filters.text,
    }
    return Q(**{name: value for name, value in asked.items() if value not in ((), "", None)})


def get_alert(*, tenant_id: int, alert_id: int) -> AlertInfo:
    """One alert. Raises AlertUnknown."""
    with reading_scope(tenant_id):
        row = Alert.objects.filter(tenant_id=tenant_id, id=alert_id).first()
    if row is None:
        raise AlertUnknown(f"there is no alert {alert_id}")
    return _describe(row)


def list_events(*, tenant_id: int, alert_id: int) -> list[EventInfo]:
    """The steps of an alert, the first one first."""
    with reading_scope(tenant_id):
        rows = AlertEvent.objects.filter(tenant_id=tenant_id, alert_id=alert_id).order_by("id")
        return [EventInfo(row.event, row.happened_at, row.actor, row.comment, row.facts) for row in rows]


def list_deliveries(
    *,
    tenant_id: int,
    alert_id: int | None = None,
    delivery_id: UUID | None = None,
    states: Sequence[str] = (),
    limit: int = 200,
) -> list[DeliveryInfo]:
    """Deliveries with their attempts: those of an alert in their order, else the latest first."""
    with reading_scope(tenant_id):
        rows = AlertDelivery.objects.filter(tenant_id=tenant_id)
        if alert_id is not None:
            rows = rows.filter(alert_id=alert_id).order_by("queued_at", "channel_id", "id")
        else:
            rows = rows.order_by("-queued_at", "-id")
        if delivery_id is not None:
            rows = rows.filter(id=delivery_id)
        if states:
            rows = rows.filter(state__in=states)
        found = list(rows[:limit])
        attempts = _list_attempts(tenant_id, [row.id for row in found])
        channels = name_channels([row.channel_id for row in found], tenant_id=tenant_id)
    return [_describe_delivery(row, channels[row.channel_id], attempts.get(row.id, ())) for row in found]


def count_alerts(*, tenant_id: int) -> dict[str, dict[str, int]]:
    """How many there are by state, and within it by severity; without those that are resolved."""
    with reading_scope(tenant_id):
        rows = Alert.objects.filter(tenant_id=tenant_id).exclude(state="resolved")
        counted = rows.values_list("state", "severity").annotate(count=Count("id")).order_by()
        found: dict[str, dict[str, int]] = {}
        for state, severity, count in counted:
            found.setdefault(state, {})[severity] = count
    return found


COUNT_OPEN_SQL = "SELECT count(*) FROM alert WHERE tenant_id = %(tenant_id)s AND state = 'open'"


def count_open_alerts(*, tenant_id: int) -> int:
    """How many wait for somebody: open, and neither acknowledged nor snoozed."""
    with reading_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(COUNT_OPEN_SQL, {"tenant_id": tenant_id})
        return cursor.fetchone()[0]


def list_rules(*, tenant_id: int) -> list[str]:
    """The rules that ever opened an alert of the tenant, by name."""
    with reading_scope(tenant_id):
        return list(
            Alert.objects.filter(tenant_id=tenant_id).values_list("rule", flat=True).distinct().order_by("rule")
        )


def measure_rule(*, tenant_id: int, rule: str, since: datetime) -> RuleRecord:
    """What came of a rule's alerts since then."""
    with reading_scope(tenant_id):
        rows = Alert.objects.filter(tenant_id=tenant_id, rule=rule, opened_at__gte=since)
        judged = {f"is_{word}": Count("id", filter=Q(feedback=word)) for word in ("real", "planned", "wrong")}
        found = rows.aggregate(alerts=Count("id"), **judged)
    return RuleRecord(found["alerts"], found["is_real"], found["is_planned"], found["is_wrong"])


def _list_attempts(tenant_id: int, delivery_ids: Iterable[UUID]) -> dict[UUID, tuple[AttemptInfo, ...]]:
    rows = AlertAttempt.objects.filter(tenant_id=tenant_id, delivery_id__in=list(delivery_ids)).order_by("number")
    found: dict[UUID, tuple[AttemptInfo, ...]] = {}
    for row in rows:
        told = AttemptInfo(row.number, row.started_at, row.duration_ms, row.outcome, row.status, row.detail)
        found[row.delivery_id] = (*found.get(row.delivery_id, ()), told)
    return found


def _describe(row: Alert) -> AlertInfo:
    return AlertInfo(
        id=row.id,
        rule=row.rule,
        scope=row.scope,
        episode=row.episode,
        severity=row.severity,
        state=row.state,
        title=row.title,
        facts=read_facts(row.facts),
        impact=row.impact,
        budget_id=row.budget_id,
        owner=row.owner,
        opened_at=row.opened_at,
        changed_at=row.changed_at,
        snoozed_until=row.snoozed_until,
        resolved_at=row.resolved_at,
        feedback=row.feedback,
    )


def _describe_delivery(row: AlertDelivery, channel: Channel, attempts: tuple[AttemptInfo, ...]) -> DeliveryInfo:
    return DeliveryInfo(
        id=row.id,
        alert_id=row.alert_id,
        kind=row.kind,
        state=row.state,
        held_for=row.held_for if row.state == "waiting" else "",
        title=row.body["title"],
        channel=channel,
        queued_at=row.queued_at,
        due_at=row.due_at,
        finished_at=row.finished_at,
        last_error=row.last_error,
        attempts=attempts,
    )
