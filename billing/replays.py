"""Rejected events booked after all: one by one, corrected or as they were sent, or all of one code at once."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from billing.core.usage import UsageEvent
from billing.core.wire_checks import ItemProblem
from billing.core.wire_events import ParsedItem, parse_event
from billing.ingestion import ItemResult, Receipt, ingest_events
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.rejected import Rejected, RejectedFilters, list_waiting, lock_rejected, mark_replayed
from ledger.selectors import get_entry
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo

REPLAYED_AT_ONCE_MAX = 1_000
KEPT = ("accepted", "duplicate")  # verdicts after which the ledger holds the event


class ReplayedAlready(ValueError):
    """The rejected event was booked before."""


class StillRefused(ValueError):
    """The event cannot be booked as it stands; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Sequence[ItemProblem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of an event now: its problems, or what the booking says and the entry as it would stand."""

    problems: Sequence[ItemProblem] = ()
    result: ItemResult | None = None
    entry: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of many rejected events: how many were tried, booked, in the ledger before, and left.

    act: the entry of the act, None where nothing was booked. last: the last that was tried; more: whether others wait
    behind it. reservation_ids: what was held for those that the ledger has now.
    """

    counts: Counter[str]
    act: str | None
    last: UUID | None
    more: bool
    reservation_ids: Sequence[str] = ()


def book_rejected(*, tenant_id: int, rejected_id: UUID, event: UsageEvent, api_key_id: str, now: datetime) -> Receipt:
    """Book the event in the place of a rejected one, which is marked unless the event is in conflict.

    As safe to repeat as `ingest_events`, and raises as that does.
    """
    receipt = ingest_events(tenant_id=tenant_id, api_key_id=api_key_id, events=[(0, event)], now=now)
    [result] = receipt.results
    if result.status in KEPT:
        mark_replayed(tenant_id=tenant_id, rejected_ids=[rejected_id], now=now)
    return receipt


def judge_text(text: str, *, tenant: TenantInfo, now: datetime) -> ParsedItem:
    """A rejected event's text, or a corrected one, by the rules of `POST /v1/events` for a key without `backfill`.

    It may name the tenant in whose list it stands, as an operator's key did.
    """
    item = parse_event(text.encode("utf-8", "surrogatepass"), now=now, may_backfill=False)
    if item.tenant not in ("", tenant.slug):
        problem = ItemProblem("tenant", "tenant_forbidden", "is another tenant; leave it out")
        return ParsedItem(0, item.event_id, None, item.tenant, (*item.problems, problem))
    return item


class _OnlyTried(Exception):
    """Takes back what a trial booked."""


def try_rejected(*, tenant: TenantInfo, rejected: Rejected, text: str, now: datetime) -> Verdict:
    """What booking this text would say: it is booked, looked at and taken back, all inside one savepoint.

    Call it inside a transaction, whose partition is there (`ensure_partition`).
    """
    item = judge_text(text, tenant=tenant, now=now)
    if item.event is None:
        return Verdict(problems=item.problems)
    verdict = Verdict()
    try:
        with transaction.atomic():
            receipt = ingest_events(
                tenant_id=tenant.id, api_key_id=rejected.api_key_id, events=[(0, item.event)], now=now
            )
            [result] = receipt.results
            verdict = Verdict(result=result, entry=get_entry(tenant_id=tenant.id, entry_id=result.entry_id))
            raise _OnlyTried
    except _OnlyTried:
        return verdict


def replay_rejected(
    *, tenant: TenantInfo, rejected_id: UUID, text: str, actor: str, now: datetime
) -> tuple[ItemResult, str]:
    """Book this text in the place of a rejected event, for a person: an act of the ledger beside the entry.

    The result, and the reservation that the text names, '' for none: it may be let go of after the commit.
    It stays the sending key's, whose cost it is. Two at once book it once: the second is told so by ReplayedAlready.
    Raises StillRefused, with the id's conflict as a problem too. Call it as `try_rejected`.
    """
    with tenant_scope(tenant.id):
        rejected = lock_rejected(tenant_id=tenant.id, rejected_id=rejected_id)
        if rejected.replayed_at:
            raise ReplayedAlready(str(rejected_id))
        item = judge_text(text, tenant=tenant, now=now)
        if item.event is None:
            raise StillRefused(item.problems)
        receipt = book_rejected(
            tenant_id=tenant.id, rejected_id=rejected_id, event=item.event, api_key_id=rejected.api_key_id, now=now
        )
        [result] = receipt.results
        if result.status not in KEPT:
            raise StillRefused([ItemProblem("id", result.code, result.detail)])
        facts = {
            "rejected": str(rejected_id),
            "code": rejected.code,
            "event_id": result.id,
            "entry": result.entry_id,
            "result": result.status,
            "text": "as it was sent" if text == rejected.body else "corrected",
        }
        book_act(tenant_id=tenant.id, act=Act(name="rejected.replayed", actor=actor, facts=facts), now=now)
    return result, item.reservation_id


def replay_many(
    *, tenant: TenantInfo, filters: RejectedFilters, after: UUID | None, actor: str, now: datetime
) -> Replay:
    """Try what waits by these filters as it was sent, the oldest REPLAYED_AT_ONCE_MAX behind `after`.

    What passes now is booked, one batch for each key that sent it; the rest stays as it is. One transaction and one
    act. Call it as `try_rejected`.
    """
    with tenant_scope(tenant.id):
        waiting = list_waiting(
            tenant_id=tenant.id, filters=filters, after=after, limit=REPLAYED_AT_ONCE_MAX + 1, locks=True
        )
        tried = waiting[:REPLAYED_AT_ONCE_MAX]
        counts = Counter(tried=len(tried))
        by_key: dict[str, list[tuple[UUID, UsageEvent]]] = defaultdict(list)
        held: dict[UUID, str] = {}
        for rejected in tried:
            item = judge_text(rejected.body, tenant=tenant, now=now)
            if item.event is None:
                counts["refused"] += 1
            else:
                by_key[rejected.api_key_id].append((rejected.id, item.event))
                held[rejected.id] = item.reservation_id
        batches: list[str] = []
        freed: list[str] = []
        for api_key_id, events in by_key.items():  # the oldest's key first: an id sent by two is whose was first
            receipt = ingest_events(
                tenant_id=tenant.id,
                api_key_id=api_key_id,
                events=[(line, event) for line, (_, event) in enumerate(events)],
                now=now,
            )
            counts.update(result.status for result in receipt.results)
            done = [events[result.index][0] for result in receipt.results if result.status in KEPT]
            mark_replayed(tenant_id=tenant.id, rejected_ids=done, now=now)
            batches += [str(receipt.batch_id)] if receipt.batch_id else []
            freed += [held[rejected_id] for rejected_id in done if held[rejected_id]]
        act = None
        if counts["accepted"] or counts["duplicate"]:
            facts = {
                "code": filters.code,
                "batches": " ".join(batches),
                **{name: str(counts[name]) for name in ("tried", "accepted", "duplicate", "conflict", "refused")},
            }
            act = book_act(tenant_id=tenant.id, act=Act(name="rejected.replayed", actor=actor, facts=facts), now=now)
    return Replay(counts, act, tried[-1].id if tried else None, len(waiting) > len(tried), freed)
