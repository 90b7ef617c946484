"""Events that could not be booked: kept whole for a while, corrected and sent again."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ledger.core.identity import make_uuid7
from ledger.models import RejectedEvent
from tenants.scope import tenant_scope

REJECTED_PER_PAGE_MAX = 500
REJECTED_KEPT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event that could not be booked, as it was sent, and why."""

    id: UUID
    received_at: datetime
    api_key_id: str
    event_id: str
    code: str
    detail: str
    body: str
    replayed_at: datetime | None


def list_rejected(
    *, tenant_id: int, before: UUID | None = None, limit: int = 100, using: str = "default"
) -> list[Rejected]:
    """The tenant's rejected events, latest first; those older than the id `before` where it is given."""
    with tenant_scope(tenant_id, using=using):
        events = RejectedEvent.objects.using(using).filter(tenant_id=tenant_id)
        if before:
            events = events.filter(id__lt=before)
        return [_describe(event) for event in events.order_by("-id")[:limit]]


def get_rejected(*, tenant_id: int, rejected_id: UUID, using: str = "default") -> Rejected | None:
    """One of the tenant's rejected events."""
    with tenant_scope(tenant_id, using=using):
        event = RejectedEvent.objects.using(using).filter(tenant_id=tenant_id, id=rejected_id).first()
    return _describe(event) if event else None


def keep_rejected(
    *, tenant_id: int, api_key_id: str, events: Sequence[tuple[str, str, str, str]], now: datetime
) -> None:
    """Keep events beside those that a booking rejects: (event id, code, detail, body) each."""
    with tenant_scope(tenant_id):
        RejectedEvent.objects.bulk_create(
            RejectedEvent(
                tenant_id=tenant_id,
                id=make_uuid7(now + timedelta(microseconds=number), os.urandom(8)),
                received_at=now,
                api_key_id=api_key_id,
                event_id=event_id,
                code=code,
                detail=detail,
                body=body,
            )
            for number, (event_id, code, detail, body) in enumerate(events)
        )


def mark_replayed(*, tenant_id: int, rejected_id: UUID, now: datetime) -> None:
    """Note that the event was booked after all."""
    with tenant_scope(tenant_id):
        RejectedEvent.objects.filter(tenant_id=tenant_id, id=rejected_id, replayed_at=None).update(replayed_at=now)


def prune_rejected(*, tenant_id: int, now: datetime) -> int:
    """Drop the tenant's rejected events of more than 30 days ago; how many. A second call drops none."""
    with tenant_scope(tenant_id):
        events = RejectedEvent.objects.filter(
            tenant_id=tenant_id, received_at__lt=now - timedelta(days=REJECTED_KEPT_DAYS)
        )
        count, _ = events.delete()
    return count


def _describe(event: RejectedEvent) -> Rejected:
    return Rejected(
        event.id,
        event.received_at,
        event.api_key_id,
        event.event_id,
        event.code,
        event.detail,
        event.body,
        event.replayed_at,
    )
