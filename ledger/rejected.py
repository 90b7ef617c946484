"""Events that could not be booked: kept whole for a while, corrected and sent again."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet

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


@dataclass(frozen=True, slots=True)
class RejectedFilters:
    """Which of them; what is empty asks for any. start, end: half-open, of their arrival. text: within what was sent.

    waiting: only those that were not booked after all, or with False only those that were.
    """

    code: str = ""
    api_key_id: str = ""
    text: str = ""
    start: datetime | None = None
    end: datetime | None = None
    waiting: bool | None = None


ANY = RejectedFilters()


def list_rejected(
    *,
    tenant_id: int,
    before: UUID | None = None,
    limit: int = 100,
    filters: RejectedFilters = ANY,
    using: str = "default",
) -> list[Rejected]:
    """The tenant's rejected events, latest first; those older than the id `before` where it is given."""
    with tenant_scope(tenant_id, using=using):
        events = _select(tenant_id, filters, using)
        if before:
            events = events.filter(id__lt=before)
        return [_describe(event) for event in events.order_by("-id")[:limit]]


def count_rejected(
    *, tenant_id: int, filters: RejectedFilters = ANY, by: str = "code", using: str = "default"
) -> list[tuple[str, int]]:
    """How many there are by `code` or by `api_key_id`, most first."""
    with tenant_scope(tenant_id, using=using):
        counted = _select(tenant_id, filters, using).values_list(by).annotate(number=Count("*"))
        return list(counted.order_by("-number", by))


def list_waiting(
    *, tenant_id: int, filters: RejectedFilters, after: UUID | None = None, limit: int, locks: bool = False
) -> list[Rejected]:
    """Those that were not booked after all, oldest first, and later than the id `after` where it is given.

    locks: until the end of the caller's transaction nobody else books them.
    """
    with tenant_scope(tenant_id):
        events = _select(tenant_id, filters, "default").filter(replayed_at=None)
        if after:
            events = events.filter(id__gt=after)
        if locks:
            events = events.select_for_update()
        return [_describe(event) for event in events.order_by("id")[:limit]]


def lock_rejected(*, tenant_id: int, rejected_id: UUID) -> Rejected:
    """One of the tenant's rejected events, held until the end of the caller's transaction. Raises LookupError."""
    with tenant_scope(tenant_id):
        event = RejectedEvent.objects.select_for_update().filter(tenant_id=tenant_id, id=rejected_id).first()
    if event is None:
        raise LookupError(f"no rejected event {rejected_id}")
    return _describe(event)


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


def mark_replayed(*, tenant_id: int, rejected_ids: Sequence[UUID], now: datetime) -> None:
    """Note that these events were booked after all."""
    with tenant_scope(tenant_id):
        RejectedEvent.objects.filter(tenant_id=tenant_id, id__in=rejected_ids, replayed_at=None).update(replayed_at=now)


def prune_rejected(*, tenant_id: int, now: datetime) -> int:
    """Drop the tenant's rejected events of more than 30 days ago; how many. A second call drops none."""
    with tenant_scope(tenant_id):
        events = RejectedEvent.objects.filter(
            tenant_id=tenant_id, received_at__lt=now - timedelta(days=REJECTED_KEPT_DAYS)
        )
        count, _ = events.delete()
    return count


def _select(tenant_id: int, filters: RejectedFilters, using: str) -> QuerySet[RejectedEvent]:
    wanted = Q(tenant_id=tenant_id)
    if filters.code:
        wanted &= Q(code=filters.code)
    if filters.api_key_id:
        wanted &= Q(api_key_id=filters.api_key_id)
    if filters.text:
        wanted &= Q(body__icontains=filters.text)
    if filters.start:
        wanted &= Q(received_at__gte=filters.start)
    if filters.end:
        wanted &= Q(received_at__lt=filters.end)
    if filters.waiting is not None:
        wanted &= Q(replayed_at__isnull=filters.waiting)
    return RejectedEvent.objects.using(using).filter(wanted)


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
