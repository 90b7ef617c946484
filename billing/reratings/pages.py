"""A page of booked calls against a rate: what it changes, and the entries that say so."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection

from billing.core.impacts import Impact
from billing.core.price_lists import ALWAYS, PublishedRate
from billing.core.pricing import Price
from billing.core.rates import RateBook
from billing.core.reratings import BookedCall, Correction, correct_entry, reprice_call
from billing.core.usage import Usage, UsageEvent
from billing.models import RateVersion
from billing.rates.book import list_published_rates
from billing.tenant_rules import TenantRules
from ledger.append import append_batches
from ledger.calls import CallPlace, CallsOf, find_restatements, list_called_models, list_calls, list_entry_ids
from ledger.core.entries import NewBatch, NewEntry
from ledger.core.identity import EPOCH, make_uuid7
from ledger.core.rows import rebuild_entry
from ledger.selectors import get_entries
from ledger.topics import TOPICS
from tenants.models import OPERATOR_SLUG
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant, list_tenants


class CorrectionConflict(RuntimeError):
    """An entry was taken back by somebody else between the look and the booking: nothing of the page is booked."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A rate whose effect is asked for, and the rate book in which it is in force."""

    rate_version_id: int
    rate_book: RateBook
    provider: str
    tenant_id: int  # 0: every tenant
    start: datetime
    end: datetime | None
    by_month: frozenset[int] = frozenset()  # the provider's versions with tiers on a month's quantity


@dataclass(frozen=True, slots=True)
class Page:
    """Calls that were read, and those of them that cost something else by the rate. `last` is None at the end."""

    read: int
    changed: tuple[tuple[BookedCall, Price], ...]
    last: CallPlace | None


def make_subject(
    rates: Sequence[PublishedRate], *, rate_version_id: int, aliases: Mapping[tuple[str, str], tuple[str, str]]
) -> Subject | None:
    """The rate among `rates`, which are all that is in force; None where it prices no moment."""
    rate = next((rate for rate in rates if rate.rate_version_id == rate_version_id), None)
    if rate is None:
        return None
    same_provider = [other for other in rates if other.provider == rate.provider]
    by_month = {other.rate_version_id for other in same_provider if '"quantity_tiers":' in other.content}
    return Subject(
        rate_version_id=rate_version_id,
        rate_book=RateBook(version=0, rates=same_provider, aliases=aliases),
        provider=rate.provider,
        tenant_id=rate.tenant_id,
        start=rate.effective_from,
        end=None if rate.effective_to in (None, ALWAYS) else rate.effective_to,
        by_month=frozenset(by_month.union(list_rates_by_month(provider=rate.provider))),
    )


# Those that gave way too: calls that they priced stand in their months until they are restated.
LIST_RATES_BY_MONTH_SQL = """
    SELECT id FROM rate_version
    WHERE state IN ('published', 'superseded') AND jsonb_path_exists(document, '$.meters.*.quantity_tiers')
      AND %(provider)s IN ('', provider)
    ORDER BY id"""


def list_rates_by_month(*, provider: str = "") -> list[int]:
    """The versions with tiers on a month's quantity, replaced ones among them; of one provider where one is named."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_RATES_BY_MONTH_SQL, {"provider": provider})
        return [rate_version_id for (rate_version_id,) in cursor.fetchall()]


def find_subject(rate_version_id: int, *, aliases: Mapping[tuple[str, str], tuple[str, str]]) -> Subject | None:
    """A published rate as the table holds it; None where it is in force at no time any more."""
    provider = RateVersion.objects.values_list("provider", flat=True).filter(pk=rate_version_id).first()
    return make_subject(list_published_rates(provider=provider or ""), rate_version_id=rate_version_id, aliases=aliases)


def list_targets(subject: Subject, *, using: str) -> list[tuple[int, str, str]]:
    """Tenant, provider and model, as they were sent, of whatever calls this rate may price."""
    operator = get_tenant(OPERATOR_SLUG)
    everybody = [tenant.id for tenant in list_tenants()] + ([operator.id] if operator else [])
    targets = []
    for tenant_id in [subject.tenant_id] if subject.tenant_id else everybody:
        with tenant_scope(tenant_id, using=using):
            models = list_called_models(tenant_id=tenant_id, using=using)
        targets += [
            (tenant_id, provider, model)
            for provider, model in models
            if subject.rate_book.may_price(subject.rate_version_id, provider, model, tenant_id)
        ]
    return targets


def read_page(
    subject: Subject, target: tuple[int, str, str], *, after: CallPlace | None, limit: int, using: str
) -> Page:
    """The target's next calls and what the rate changes of them, in the tenant's scope."""
    tenant_id, provider, model = target
    calls = CallsOf(tenant_id, provider, model, subject.start, subject.end)
    with tenant_scope(tenant_id, using=using):
        rows = list_calls(calls, after=after, limit=limit, using=using)
        entry_ids = list_entry_ids(rows)
        restated = find_restatements(tenant_id=tenant_id, entry_ids=entry_ids, start=subject.start, using=using)
    changed = []
    for entry_id, row in zip(entry_ids, rows, strict=True):
        call = _read_call(entry_id, row, restated.get(entry_id))
        price = reprice_call(
            call,
            rate_book=subject.rate_book,
            rate_version_id=subject.rate_version_id,
            tenant_id=tenant_id,
            by_month=subject.by_month,
        )
        if price is not None:
            changed.append((call, price))
    last = CallPlace(_read_time(rows[-1][2]), UUID(rows[-1][0]), rows[-1][1]) if len(rows) == limit else None
    return Page(len(rows), tuple(changed), last)


def measure_page(page: Page, *, tenant_id: int) -> Impact:
    """What the page's changes come to."""
    impact = Impact()
    for call, price in page.changed:
        impact.add(tenant_id=tenant_id, period=call.period, before=call.billed_cost, after=price.billed_cost)
    return impact


def book_page(page: Page, *, tenant_id: int, rules: TenantRules, correction: Correction, recorded_at: datetime) -> None:
    """Book the page's changes; see `book_pairs`."""
    pairs = {
        call.in_force_id: partial(correct_entry, root_id=call.entry_id, price=price, correction=correction)
        for call, price in page.changed
    }
    book_pairs(pairs, tenant_id=tenant_id, rules=rules, recorded_at=recorded_at)


def book_pairs(
    pairs: Mapping[str, Callable[..., tuple[NewEntry, NewEntry]]],
    *,
    tenant_id: int,
    rules: TenantRules,
    recorded_at: datetime,
) -> None:
    """Book for each entry the pair that takes it back and states it anew; in the caller's transaction and scope.

    pairs: what makes it, by the entry's id. A batch for each key of the calls: what takes an entry back stands in the
    same row of every rollup. Raises CorrectionConflict, which should not be: one worker at a time corrects a tenant.
    """
    if not pairs:
        return
    stored = get_entries(tenant_id=tenant_id, entry_ids=list(pairs))
    hashes = _find_content_hashes(stored.values())
    by_key: dict[str, list[NewEntry]] = defaultdict(list)
    for entry_id, make_pair in pairs.items():
        row = stored[entry_id]
        entries = by_key[row["api_key_id"]]
        entries += make_pair(
            rebuild_entry(row, rate_version_hash=hashes.get(row["rate_version_id"], "")),
            entry_id=entry_id,
            billing_period=rules.find_open_month(row["billing_period"]),
            line=len(entries),
        )
    batches = [
        NewBatch(make_uuid7(recorded_at, os.urandom(8)), recorded_at, key_id, "correction", entries)
        for key_id, entries in sorted(by_key.items())
    ]
    results = append_batches(tenant_id=tenant_id, batches=batches, topics=TOPICS)
    if any(result.kept for result in results):
        raise CorrectionConflict(f"an entry of tenant {tenant_id} was corrected by somebody else meanwhile")


def _find_content_hashes(entries: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """The hash of each price list that these entries name: part of the leaf of what takes them back."""
    ids = {entry["rate_version_id"] for entry in entries} - {None}
    rows = RateVersion.objects.filter(pk__in=ids).values_list("pk", "content_hash")
    return {rate_version_id: bytes(content_hash).hex() for rate_version_id, content_hash in rows}


def _read_time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _read_call(entry_id: str, row: Sequence[Any], restated: Sequence[Any] | None) -> BookedCall:
    """A row of `ledger.calls.list_calls` as the engine prices it, with the costs that stand."""
    (_, _, microseconds, period, rate_version_id, provider, model, service_tier, region, status, cache_hit, fresh,
     cache_read, cache_write, cache_write_1h, output, reasoning, other, reported, *costs) = row  # fmt: skip
    in_force_id = entry_id
    if restated is not None:
        in_force_id, period, rate_version_id, *costs = restated
    return BookedCall(
        entry_id=entry_id,
        in_force_id=in_force_id,
        period=period,
        rate_version_id=rate_version_id,
        event=UsageEvent(
            event_id="",
            source="",
            time=_read_time(microseconds),
            provider=provider,
            model=model,
            usage=Usage(
                fresh, cache_read, cache_write, cache_write_1h, output, reasoning,
                {} if other == "{}" else json.loads(other, parse_float=Decimal),
            ),
            service_tier=service_tier,
            region=region,
            status=status,
            cache_hit=cache_hit,
            reported_cost=reported,
        ),
        costs=tuple([None if cost is None else int(cost.scaleb(12)) for cost in costs]),
    )  # fmt: skip
