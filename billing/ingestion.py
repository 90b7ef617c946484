"""Booking what was used: price it, then keep it, in one transaction or not at all."""

import json
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError, connection

from billing.core.model_names import canonical_provider
from billing.core.pricing import Price, price_event
from billing.core.rates import RateBook
from billing.core.usage import UsageEvent
from billing.group_commit import GroupCommit
from billing.rates import RATE_BOOK_LOCK, load_rate_book
from billing.tenant_rules import TenantRules, load_tenant_rules
from ledger.append import AppendResult, Kept, append_batches
from ledger.core.entries import NewBatch, NewEntry
from ledger.core.identity import fingerprint_facts, identify_event, make_uuid7
from ledger.core.rows import first_of_month, pico
from ledger.partitions import ensure_partition
from ledger.people import refer_to_people
from ledger.topics import TOPICS
from tenants.prepared import prepared_cursor
from tenants.scope import tenant_scope

TRIES_MAX = 4
GROUPED_EVENTS_MAX = 20  # a larger request fills a commit by itself
GROUPED_INTAKES_MAX = 64
WIRE_NAMES = {"charge_period_start": "time", "other_usage": "usage"}  # of columns that are called otherwise there
PASSING_SQLSTATES = ("40P01", "40001")  # deadlock, serialisation


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """An event that could not be read, whole: `body` is its text as it was sent."""

    index: int
    event_id: str
    code: str
    detail: str
    body: str
    problems: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Intake:
    """One request's events for one tenant; each event with its index in the request."""

    tenant_id: int
    api_key_id: str
    events: Sequence[tuple[int, UsageEvent]]
    received_at: datetime
    rejected: Sequence[RejectedItem] = ()
    is_atomic: bool = False
    confirms_key: bool = False


class ItemResult(msgspec.Struct, frozen=True, gc=False):  # thousands a request
    """What became of one event."""

    index: int
    id: str
    status: str  # accepted, duplicate, conflict, invalid
    entry_id: str = ""  # of the entry that holds the event
    code: str = ""
    detail: str = ""
    fields: tuple[str, ...] = ()  # of a conflict: the columns that differ
    problems: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request: counts, the batch that was made (none where nothing was new), every item."""

    accepted: int
    duplicates: int
    conflicts: int
    rejected: int
    unpriced: int
    batch_id: UUID | None
    receipt: str | None
    results: tuple[ItemResult, ...] = field(repr=False)
    unpriced_reasons: Mapping[str, int] = field(default_factory=dict)  # how many of `unpriced`, by reason


class AtomicIntakeRefused(ValueError):
    """An all-or-nothing request in which something was in conflict or invalid: nothing was booked."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(receipt)
        self.receipt = receipt


class KeyRevoked(PermissionError):
    """The key that sent these events is no longer live: nothing was booked."""


class _RateBookMoved(Exception):
    """Rates were published after the events were priced."""


def ingest_events(
    *,
    tenant_id: int,
    api_key_id: str,
    events: Sequence[tuple[int, UsageEvent]],
    rejected: Sequence[RejectedItem] = (),
    now: datetime,
    atomic: bool = False,
    confirms_key: bool = False,
) -> Receipt:
    """Price and book `events`, and keep what was `rejected`; returns after the commit.

    Safe to repeat: an event that was booked before is a duplicate and changes nothing. Raises AtomicIntakeRefused
    when `atomic` and an event is in conflict or was rejected, KeyRevoked when `confirms_key` and the key is not live,
    and Django's OperationalError when the database is away: whether it had committed is then unknown, and the same
    call tells.
    """
    intake = Intake(tenant_id, api_key_id, events, now, rejected, atomic, confirms_key)
    if atomic and rejected:
        raise AtomicIntakeRefused(_refuse_whole(intake))
    if atomic or len(events) > GROUPED_EVENTS_MAX or connection.in_atomic_block:
        return book_intakes([intake])[0]
    return _small_intakes.submit(intake)


def book_intakes(intakes: Sequence[Intake]) -> list[Receipt]:
    """Book several requests in one commit; one receipt each, in order. An atomic intake must come alone.

    Tried again after a deadlock, after a publication of rates, and where the connection broke before the commit
    was sent.
    """
    for attempt in range(1, TRIES_MAX + 1):
        progress = _Progress()
        try:
            return _book_once(intakes, progress)
        except _RateBookMoved:
            continue
        except (OperationalError, InterfaceError) as error:
            deadlocked = getattr(error.__cause__, "sqlstate", None) in PASSING_SQLSTATES
            if connection.in_atomic_block or attempt == TRIES_MAX or (progress.sent_commit and not deadlocked):
                raise
            connection.close_if_unusable_or_obsolete()
            time.sleep(0.02 * attempt * (1 + random.random()))
    return _book_once(intakes, _Progress(), rates_are_locked=True)


_small_intakes = GroupCommit(
    handle=book_intakes,
    is_common=lambda error: isinstance(error, OperationalError | InterfaceError),
    group_size_max=GROUPED_INTAKES_MAX,
)


@dataclass(slots=True)
class _Progress:
    """How far a booking came: what follows `sent_commit` may have been booked."""

    sent_commit: bool = False


def _book_once(intakes: Sequence[Intake], progress: _Progress, *, rates_are_locked: bool = False) -> list[Receipt]:
    """One attempt, one transaction. Raises _RateBookMoved unless `rates_are_locked`: then it prices under the lock."""
    recorded_at = max(intake.received_at for intake in intakes)
    ensure_partition(recorded_at)
    rate_book = load_rate_book(at_least_version=0)
    prices = [] if rates_are_locked else _price_all(intakes, rate_book)
    by_tenant: dict[int, list[int]] = defaultdict(list)
    for position, intake in enumerate(intakes):
        by_tenant[intake.tenant_id].append(position)
    receipts: dict[int, Receipt] = {}
    first_tenant_id = min(by_tenant)
    with tenant_scope(first_tenant_id):
        version = _hold_rates_and_keys([intake.api_key_id for intake in intakes if intake.confirms_key])
        if rates_are_locked:
            rate_book = load_rate_book(at_least_version=version)
            prices = _price_all(intakes, rate_book)
        elif version != rate_book.version:
            load_rate_book(at_least_version=rate_book.version + 1)
            raise _RateBookMoved
        for tenant_id in sorted(by_tenant):  # sorted: every writer takes the tenants' locks in one order
            with tenant_scope(tenant_id) if tenant_id != first_tenant_id else nullcontext():
                positions = by_tenant[tenant_id]
                booked = _book_tenant(
                    tenant_id,
                    [intakes[p] for p in positions],
                    [prices[p] for p in positions],
                    load_tenant_rules(tenant_id, version=version),
                    recorded_at,
                )
                receipts.update(zip(positions, booked, strict=True))
        progress.sent_commit = True
    return [receipts[position] for position in range(len(intakes))]


HOLD_RATES_AND_KEYS_SQL = """
    SELECT hold_rate_book(%(lock)s), ARRAY(SELECT list_live_keys(%(key_ids)s))"""


def _hold_rates_and_keys(key_ids: Sequence[str]) -> int:
    """Keep publications of rates out until the commit: no entry is priced by a half-published book. Its version.

    Raises KeyRevoked unless all these keys are live.
    """
    wanted = set(key_ids)
    with prepared_cursor() as cursor:
        cursor.execute(HOLD_RATES_AND_KEYS_SQL, {"lock": RATE_BOOK_LOCK, "key_ids": list(wanted)})
        version, live = cursor.fetchone()
    if revoked := wanted.difference(live):
        raise KeyRevoked(", ".join(sorted(revoked)))
    return version


def _price_all(intakes: Sequence[Intake], rate_book: RateBook) -> list[list[Price]]:
    return [
        [price_event(event, rate_book=rate_book, tenant_id=intake.tenant_id) for _, event in intake.events]
        for intake in intakes
    ]


def _book_tenant(
    tenant_id: int,
    intakes: Sequence[Intake],
    prices: Sequence[Sequence[Price]],
    rules: TenantRules,
    recorded_at: datetime,
) -> list[Receipt]:
    """Book one tenant's requests, inside its scope."""
    users = refer_to_people(
        tenant_id=tenant_id,
        external_ids={event.user for intake in intakes for _, event in intake.events if event.user},
        now=recorded_at,
    )
    batches = [
        NewBatch(
            batch_id=make_uuid7(recorded_at, os.urandom(8)),
            recorded_at=recorded_at,
            api_key_id=intake.api_key_id,
            kind="usage",
            entries=[
                make_entry(
                    line,
                    event,
                    price,
                    rules=rules,
                    api_key_id=intake.api_key_id,
                    user_ref=users[event.user] if event.user else "",
                )
                for (line, event), price in zip(intake.events, intake_prices, strict=True)
            ],
        )
        for intake, intake_prices in zip(intakes, prices, strict=True)
    ]
    results = append_batches(tenant_id=tenant_id, batches=batches, topics=TOPICS)
    receipts = [
        _make_receipt(intake, batch, result) for intake, batch, result in zip(intakes, batches, results, strict=True)
    ]
    if any(intake.is_atomic and receipt.conflicts for intake, receipt in zip(intakes, receipts, strict=True)):
        raise AtomicIntakeRefused(_refuse_whole(intakes[0], receipts[0]))
    _keep_rejected(tenant_id, intakes, recorded_at)
    _keep_tallies(tenant_id, intakes, receipts, recorded_at)
    return receipts


def make_entry(
    line: int, event: UsageEvent, price: Price, *, rules: TenantRules, api_key_id: str, user_ref: str
) -> NewEntry:
    """The ledger's line for a priced event, charged in the month of its use or, that closed, the next that is open.

    An event that names no cost centre has that of the first mapping rule that matches, and a tag that says which.
    """
    usage = event.usage
    cost_center, tags = event.cost_center, event.tags
    if rules.mapping is not None and not cost_center:
        rule = rules.mapping.find(time=event.time, key=api_key_id, feature=event.feature, user_ref=user_ref, tags=tags)
        if rule is not None:
            stamp = rules.mapping.stamps[rule.id]
            cost_center, tags = rule.cost_center, {**tags, **stamp} if tags else stamp
    reported_cost = pico(event.reported_cost)
    provider = canonical_provider(event.provider)  # two doors may spell one provider differently
    return NewEntry(
        key=identify_event(
            provider=provider, response_id=event.response_id, source=event.source, event_id=event.event_id
        ),
        fingerprint=_fingerprint(event, provider, reported_cost),
        line=line,
        charge_period_start=event.time,
        billing_period=rules.find_open_month(first_of_month(event.time)),
        event_source=event.source,
        event_id=event.event_id,
        response_id=event.response_id,
        environment=event.environment,
        feature=event.feature,
        user_ref=user_ref,
        cost_center=cost_center,
        customer_tier=event.customer_tier,
        session_id=event.session_id,
        trace_id=event.trace_id,
        span_id=event.span_id,
        parent_span_id=event.parent_span_id,
        tags=tags,
        operation=event.operation,
        provider=event.provider,
        model=event.model,
        requested_model=event.requested_model,
        service_tier=event.service_tier,
        region=event.region,
        status=event.status,
        finish_reason=event.finish_reason,
        latency_ms=event.latency_ms,
        cache_hit=event.cache_hit,
        prompt_hash=event.prompt_hash,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        other_usage=usage.other,
        pricing_status=price.status,
        pricing_reason=price.reason,
        rate_version_id=price.rate_version_id,
        rate_version_hash=price.rate_version_hash,
        context_tier=price.context_tier,
        input_cost=price.input_cost,
        cache_read_cost=price.cache_read_cost,
        cache_write_cost=price.cache_write_cost,
        output_cost=price.output_cost,
        other_cost=price.other_cost,
        billed_cost=price.billed_cost,
        list_cost=price.list_cost,
        saved_cost=price.saved_cost,
        reported_cost=reported_cost,
        content_digest=event.content_digest,
    )


def _fingerprint(event: UsageEvent, provider: str, reported_cost: int | None) -> bytes:
    """Over what the event is billed by and charged to as it was sent; `ledger.append.FINGERPRINTED` names the columns.

    Without the time where the provider's response id identifies the event: two doors that report one response
    read two clocks.
    """
    usage = event.usage
    return fingerprint_facts((
        "" if event.response_id else event.time.isoformat(), provider, event.model, event.operation,
        event.service_tier, event.region, event.status, event.cache_hit, usage.input_tokens,
        usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens, usage.output_tokens,
        usage.reasoning_tokens, sorted(usage.other.items()) if usage.other else "", reported_cost,
        event.environment, event.feature, event.cost_center,
    ))  # fmt: skip


def _make_receipt(intake: Intake, batch: NewBatch, result: AppendResult) -> Receipt:
    """The answer to one request, its items in the order in which they were sent."""
    ids = {line: event.event_id for line, event in intake.events}
    batch_id = str(batch.batch_id)
    items = [ItemResult(line, ids[line], "accepted", f"{batch_id}.{line}") for line in result.booked]
    items += [_describe_kept(kept, ids[kept.line]) for kept in result.kept]
    items += _describe_rejected(intake)
    items.sort(key=lambda item: item.index)
    booked = set(result.booked)
    unpriced = Counter(
        entry.pricing_reason for entry in batch.entries if entry.billed_cost is None and entry.line in booked
    )
    return Receipt(
        accepted=len(result.booked),
        duplicates=len(result.duplicates),
        conflicts=len(result.conflicts),
        rejected=len(intake.rejected),
        unpriced=unpriced.total(),
        batch_id=batch.batch_id if result.root else None,
        receipt=result.receipt,
        results=tuple(items),
        unpriced_reasons=unpriced,
    )


def _describe_kept(kept: Kept, event_id: str) -> ItemResult:
    entry_id = f"{kept.batch_id}.{kept.first_line}"
    if not kept.differing:
        return ItemResult(kept.line, event_id, "duplicate", entry_id=entry_id)
    differing = ", ".join(WIRE_NAMES.get(column, column) for column in kept.differing)
    return ItemResult(
        kept.line,
        event_id,
        "conflict",
        entry_id=entry_id,
        code="event_conflict",
        detail=(
            f"was booked before with another {differing}; what is booked is never changed by an event: "
            "if this is another call, give it another id"
        ),
        fields=kept.differing,
    )


def _describe_rejected(intake: Intake) -> list[ItemResult]:
    return [
        ItemResult(item.index, item.event_id, "invalid", code=item.code, detail=item.detail, problems=item.problems)
        for item in intake.rejected
    ]


def _refuse_whole(intake: Intake, receipt: Receipt | None = None) -> Receipt:
    """The answer to an all-or-nothing request that was not booked: what was wrong, and nothing accepted."""
    wrong = [item for item in receipt.results if item.status == "conflict"] if receipt else _describe_rejected(intake)
    return Receipt(0, 0, receipt.conflicts if receipt else 0, len(intake.rejected), 0, None, None, tuple(wrong))


KEEP_REJECTED_SQL = """
    INSERT INTO rejected_event (tenant_id, id, received_at, api_key_id, event_id, code, detail, body)
    SELECT %(tenant_id)s, * FROM unnest(%(ids)s::uuid[], %(received_ats)s::timestamptz[], %(api_key_ids)s::text[],
                                        %(event_ids)s::text[], %(codes)s::text[], %(details)s::text[],
                                        %(bodies)s::text[])"""


def _keep_rejected(tenant_id: int, intakes: Sequence[Intake], now: datetime) -> None:
    """Keep what could not be booked, to be corrected and replayed."""
    rows = [
        (make_uuid7(now + timedelta(microseconds=number), os.urandom(8)), intake.received_at, intake.api_key_id, item)
        for intake in intakes
        for number, item in enumerate(intake.rejected)
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            KEEP_REJECTED_SQL,
            {
                "tenant_id": tenant_id,
                "ids": [row[0] for row in rows],
                "received_ats": [row[1] for row in rows],
                "api_key_ids": [row[2] for row in rows],
                "event_ids": [row[3].event_id for row in rows],
                "codes": [row[3].code for row in rows],
                "details": [row[3].detail for row in rows],
                "bodies": [row[3].body for row in rows],
            },
        )


KEEP_TALLIES_SQL = """
    INSERT INTO intake_tally (tenant_id, id, received_at, api_key_id, received, booked, duplicates, conflicts, rejected)
    SELECT %(tenant_id)s::bigint, id, %(now)s, api_key_id, booked + duplicates + conflicts + rejected,
           booked, duplicates, conflicts, rejected
    FROM jsonb_to_recordset(%(tallies)s::jsonb)
        AS tally (id uuid, api_key_id text, booked int, duplicates int, conflicts int, rejected int)"""


def _keep_tallies(tenant_id: int, intakes: Sequence[Intake], receipts: Sequence[Receipt], now: datetime) -> None:
    """received = booked + duplicates + conflicts + rejected, one row a request: the rollup adds it to its hour."""
    tallies = [
        {
            "id": str(make_uuid7(now, os.urandom(8))),
            "api_key_id": intake.api_key_id,
            "booked": receipt.accepted,
            "duplicates": receipt.duplicates,
            "conflicts": receipt.conflicts,
            "rejected": receipt.rejected,
        }
        for intake, receipt in zip(intakes, receipts, strict=True)
    ]
    with prepared_cursor() as cursor:
        cursor.execute(KEEP_TALLIES_SQL, {"tenant_id": tenant_id, "now": now, "tallies": json.dumps(tallies)})
