"""What a month's quantity makes of a price, and what is owed by the day: booked as fees, the difference at a time.

An event is booked at its meter's own price at once. As the month goes on, the quantity so far is priced by the tiers,
and what that differs from all that is booked is booked: nothing the second time, and what late events, corrections or
another price change is made up for at the next run.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import DatabaseError, connection

from billing.core.month_tiers import cost_at_once, cost_month
from billing.core.price_lists import PublishedRate
from billing.core.rate_documents import METER_BY_USAGE, canonical_json
from billing.core.rates import RateBook
from billing.models import RateJob, RateVersion
from billing.rates.book import IMPORTED, hold_rate_book, list_aliases
from billing.reratings.jobs import hold_corrections
from billing.reratings.pages import Subject, list_rates_by_month, list_targets
from billing.tenant_rules import TenantRules, load_tenant_rules
from ledger.append import append_batches
from ledger.core.entries import OWN_TAGS, PICO, NewBatch, NewEntry
from ledger.core.identity import fingerprint_facts, identify_booking, make_uuid7
from ledger.core.no_calls import make_no_call
from ledger.core.rows import first_of_month, pico
from ledger.partitions import ensure_partition
from ledger.topics import TOPICS
from tenants.scope import tenant_scope

MONTHS_BACK = 2  # that late events are still looked for in
MONTHS_BACK_MAX = 36
MADE_UP_FOR = timedelta(days=1)  # after a re-rating
DAYS_BACK = 400
COLUMN_BY_METER = {
    "input": "input_cost",
    "cache_read": "cache_read_cost",
    "cache_write": "cache_write_cost",
    "cache_write_1h": "cache_write_cost",
    "output": "output_cost",
    "reasoning": "output_cost",
}


class FeesFailed(ExceptionGroup):
    """Why some fees were not booked; all others were."""


@dataclass(frozen=True, slots=True)
class Fee:
    """A difference to book. `name` and `tags` say what it is for; `number` how many were booked for that before."""

    tenant_id: int
    provider: str
    model: str
    meter: str  # '' where it is no meter's
    name: tuple[str, ...]
    number: int
    time: datetime
    pico: int
    rate: RateVersion | None
    is_listed: bool
    tags: Mapping[str, str]


def book_month_fees(*, now: datetime, months_back: int = MONTHS_BACK) -> int:
    """Book what this month's quantities, and those of the months before, differ from; how many fees that was.

    Safe to repeat and to interrupt: each tenant's model is a transaction of its own. Raises FeesFailed.
    """
    if not connection.in_atomic_block:
        ensure_partition(now)
    months = _list_months(now, months_back)
    return _book_each(
        partial(_book_tier_fees, rate, target, months, now=now)
        for rate in _list_tiered_rates()
        for target in _find_targets(rate)
    )


def book_daily_fees(*, now: datetime, days_back: int = DAYS_BACK) -> int:
    """Book what is owed for each day (UTC) that has begun; how many fees that was. Safe to repeat.

    Raises FeesFailed.
    """
    if not connection.in_atomic_block:
        ensure_partition(now)
    since = (now - timedelta(days=days_back)).replace(hour=0, minute=0, second=0, microsecond=0)
    owed = {(rate.tenant_id, rate.provider, rate.model) for rate in _list_rates_with_fee()}
    return _book_each(partial(_book_days, place, since=since, now=now) for place in sorted(owed))


def _book_each(bookings: Iterable[Callable[[], int]]) -> int:
    """Every booking, and then what failed: one tenant's slip in a price keeps no other's fees from being booked."""
    booked, faults = 0, []
    for book in bookings:
        try:
            booked += book()
        except (DatabaseError, ArithmeticError, ValueError) as fault:
            faults.append(fault)
    if faults:
        raise FeesFailed(f"{len(faults)} of the fees could not be booked", faults)
    return booked


def _list_months(now: datetime, back: int) -> list[tuple[datetime, datetime]]:
    """This month and those before it, as [start, end)."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = []
    for _ in range(back + 1):
        months.append((first, (first + timedelta(days=32)).replace(day=1)))
        first = (first - timedelta(days=1)).replace(day=1)
    return months


def count_months_back(*, now: datetime) -> int:
    """For how many months before this one a fee may be due: more of them for a day after an older one was re-rated."""
    done = RateJob.objects.filter(kind="rerating", finished_at__gte=now - MADE_UP_FOR).values("rate_version_id")
    rates = RateVersion.objects.filter(pk__in=done, effective__isempty=False)
    starts = [rate.effective.lower for rate in rates.defer("document")]
    months = [(now.year - start.year) * 12 + now.month - start.month for start in starts]
    return min(max([MONTHS_BACK, *months]), MONTHS_BACK_MAX)


def _list_tiered_rates() -> list[RateVersion]:
    return list(RateVersion.objects.filter(pk__in=list_rates_by_month()).order_by("pk"))


def _find_targets(rate: RateVersion) -> list[tuple[int, str, str]]:
    """Whose calls the rate may have priced, also where it was replaced since: what it priced may be taken back."""
    first = datetime(2000, 1, 1, tzinfo=UTC)
    alone = PublishedRate(
        rate_version_id=rate.pk,
        provider=rate.provider,
        model=rate.model,
        match=rate.match,
        tenant_id=rate.tenant_id,
        service_tier=rate.service_tier,
        region=rate.region,
        time_window=rate.time_window,
        imported=rate.origin == IMPORTED,
        effective_from=first,
        effective_to=None,
        content_hash=bytes(rate.content_hash).hex(),
        content=canonical_json(rate.document),
    )
    book = RateBook(version=0, rates=[alone], aliases=list_aliases())
    return list_targets(Subject(rate.pk, book, rate.provider, rate.tenant_id, first, None), using="default")


def _book_tier_fees(
    rate: RateVersion,
    target: tuple[int, str, str],
    months: Sequence[tuple[datetime, datetime]],
    *,
    now: datetime,
) -> int:
    tenant_id, provider, model = target
    tiered = {name: meter for name, meter in rate.document["meters"].items() if "quantity_tiers" in meter}
    fees = []
    with tenant_scope(tenant_id):
        version = hold_rate_book()
        hold_corrections(tenant_id)
        for start, end in months:
            for name, meter in tiered.items():
                place = {
                    "tenant_id": tenant_id, "provider": provider, "model": model, "start": start, "end": end,
                    "rate_version_id": rate.pk, "meter": name,
                }  # fmt: skip
                quantity, last_used_at = _sum_month(place, has_reasoning="reasoning" in rate.document["meters"])
                number, booked = _sum_fees(place)
                due = cost_month(meter, quantity) - cost_at_once(meter, quantity)
                if due == booked:
                    continue
                fees.append(
                    Fee(
                        tenant_id=tenant_id,
                        provider=provider,
                        model=model,
                        meter=name,
                        name=("month", str(rate.pk), f"{start:%Y-%m}", provider, model, name),
                        number=number,
                        time=last_used_at or start,
                        pico=due - booked,
                        rate=rate,
                        is_listed=False,
                        tags={"meter": name, "month": f"{start:%Y-%m}", "quantity": format(quantity.normalize(), "f")},
                    )
                )
        _book_fees(fees, version=version, now=now)
    return len(fees)


# Reversals count negatively: what was restated by another rate is this one's no more. What a cache of responses
# answered was used from nobody.
SUM_MONTH_SQL = """
    SELECT coalesce(sum(CASE usage
               WHEN 'input_tokens' THEN input_tokens
               WHEN 'cache_read_tokens' THEN cache_read_tokens
               WHEN 'cache_write_tokens' THEN cache_write_tokens
               WHEN 'cache_write_1h_tokens' THEN cache_write_1h_tokens
               WHEN 'output_tokens' THEN
                   output_tokens - CASE WHEN %(has_reasoning)s::boolean THEN reasoning_tokens ELSE 0 END
               WHEN 'reasoning_tokens' THEN reasoning_tokens
               WHEN 'requests' THEN coalesce((other_usage ->> 'requests')::numeric, calls)
               ELSE coalesce((other_usage ->> usage)::numeric, 0) END), 0),
           max(charge_period_start)
    FROM ledger_entry CROSS JOIN unnest(%(usages)s::text[]) AS usage
    WHERE tenant_id = %(tenant_id)s AND provider = %(provider)s AND model = %(model)s
      AND charge_period_start >= %(start)s AND charge_period_start < %(end)s
      AND rate_version_id = %(rate_version_id)s AND kind IN ('usage', 'rating', 'correction') AND NOT cache_hit"""


def _sum_month(place: Mapping[str, Any], *, has_reasoning: bool) -> tuple[Decimal, datetime | None]:
    """The units of a meter that a rate priced in a month, and when the last of them was used."""
    usages = [usage for usage, meter in METER_BY_USAGE.items() if meter == place["meter"]] or [place["meter"]]
    with connection.cursor() as cursor:
        cursor.execute(SUM_MONTH_SQL, {**place, "usages": usages, "has_reasoning": has_reasoning})
        quantity, last_used_at = cursor.fetchone()
    return Decimal(quantity), last_used_at


SUM_MONTH_FEES_SQL = """
    SELECT count(*), coalesce(sum(billed_cost), 0) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND provider = %(provider)s AND model = %(model)s
      AND charge_period_start >= %(start)s AND charge_period_start < %(end)s
      AND kind = 'fee' AND rate_version_id = %(rate_version_id)s AND tags ->> 'tokenledger.meter' = %(meter)s"""


def _sum_fees(place: Mapping[str, Any]) -> tuple[int, int]:
    """How many fees are booked for this, and their sum in pico-USD."""
    with connection.cursor() as cursor:
        cursor.execute(SUM_MONTH_FEES_SQL, place)
        number, booked = cursor.fetchone()
    return number, pico(booked) or 0


# --- by the day ---


def _list_rates_with_fee() -> Iterator[RateVersion]:
    yield from RateVersion.objects.filter(state__in=("published", "superseded"), document__has_key="daily_fee")


def _book_days(place: tuple[int, str, str], *, since: datetime, now: datetime) -> int:
    """Every day's fee of one tenant's rate, less what is booked for the day."""
    tenant_id, provider, model = place
    rates = list(
        RateVersion.objects.filter(
            tenant_id=tenant_id,
            provider=provider,
            model=model,
            state__in=("published", "superseded"),
            effective__isempty=False,
            document__has_key="daily_fee",
        )
    )
    fees = []
    with tenant_scope(tenant_id):
        version = hold_rate_book()
        hold_corrections(tenant_id)
        booked = _sum_daily_fees(place, since=since)
        day = since
        while day <= now:
            owing = [rate for rate in rates if day in rate.effective]
            due = sum(int(Decimal(rate.document["daily_fee"]) * PICO) for rate in owing)
            number, stands = booked.get(f"{day:%Y-%m-%d}", (0, 0))
            if due != stands:
                fees.append(
                    Fee(
                        tenant_id=tenant_id,
                        provider=provider,
                        model=model,
                        meter="",
                        name=("day", f"{day:%Y-%m-%d}", provider, model),
                        number=number,
                        time=day,
                        pico=due - stands,
                        rate=owing[0] if owing else None,
                        is_listed=True,
                        tags={"day": f"{day:%Y-%m-%d}"} | _name_rates(owing),
                    )
                )
            day += timedelta(days=1)
        _book_fees(fees, version=version, now=now)
    return len(fees)


def _name_rates(owing: Sequence[RateVersion]) -> dict[str, str]:
    """The hashes of several price lists that a day's fee is owed by: the entry itself can name but one."""
    hashes = [bytes(rate.content_hash).hex() for rate in owing]
    return {"rates": " ".join(hashes)} if len(hashes) > 1 else {}


SUM_DAILY_FEES_SQL = """
    SELECT tags ->> 'tokenledger.day', count(*), sum(billed_cost) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND provider = %(provider)s AND model = %(model)s
      AND charge_period_start >= %(since)s AND kind = 'fee' AND tags ? 'tokenledger.day'
    GROUP BY 1"""


def _sum_daily_fees(place: tuple[int, str, str], *, since: datetime) -> dict[str, tuple[int, int]]:
    tenant_id, provider, model = place
    with connection.cursor() as cursor:
        cursor.execute(
            SUM_DAILY_FEES_SQL, {"tenant_id": tenant_id, "provider": provider, "model": model, "since": since}
        )
        return {day: (number, pico(booked) or 0) for day, number, booked in cursor.fetchall()}


# --- their entries ---


def _book_fees(fees: Sequence[Fee], *, version: int, now: datetime) -> None:
    """One batch, inside the tenant's scope and the caller's transaction. version: the rate book's, which is held."""
    if not fees:
        return
    rules = load_tenant_rules(fees[0].tenant_id, version=version)
    entries = [_make_entry(fee, rules=rules, line=line) for line, fee in enumerate(fees)]
    batch = NewBatch(make_uuid7(now, os.urandom(8)), now, "", "fee", entries)
    (result,) = append_batches(tenant_id=fees[0].tenant_id, batches=[batch], topics=TOPICS)
    if result.kept:
        raise RuntimeError(f"a fee of tenant {fees[0].tenant_id} was booked by somebody else meanwhile")


def _make_entry(fee: Fee, *, rules: TenantRules, line: int) -> NewEntry:
    """A fee as a row: no call and no usage, charged to production and to nobody in it."""
    return make_no_call(
        key=identify_booking("fee", *fee.name, str(fee.number)),
        fingerprint=fingerprint_facts((*fee.name, fee.number, fee.pico)),
        line=line,
        time=fee.time,
        billing_period=rules.find_open_month(first_of_month(fee.time)),
        event_id=json.dumps([*fee.name, fee.number], separators=(",", ":")),
        environment="production",
        tags={f"{OWN_TAGS}{name}": value for name, value in fee.tags.items()},
        operation=fee.name[0],
        provider=fee.provider,
        model=fee.model,
        service_tier="standard",
        rate_version_id=fee.rate.pk if fee.rate else None,
        rate_version_hash=bytes(fee.rate.content_hash).hex() if fee.rate else "",
        **{COLUMN_BY_METER.get(fee.meter, "other_cost"): fee.pico},
        billed_cost=fee.pico,
        list_cost=fee.pico if fee.is_listed else 0,
        kind="fee",
    )
