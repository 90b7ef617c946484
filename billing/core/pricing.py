"""What one event costs: pure, and about a microsecond.

Each meter's cost is quantity × price, rounded half-even to a whole pico-USD (12 decimals) and never again; the rounding
does nothing for a price of at most 6 decimals a million. `docs/rates.md` states every rule that is applied here.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

import msgspec

from billing.core.price_lists import CompiledRate, Meter, TokenPrices, UnitPrice
from billing.core.rate_documents import METER_BY_USAGE
from billing.core.rates import RateBook
from billing.core.usage import INSIDE_CACHE_READ, INSIDE_INPUT, Usage, UsageEvent
from ledger.core.entries import PICO

# 100 million USD: a slip in a price, and little enough for a request of 5,000 such calls to be added up.
COST_PICO_MAX = 10**8 * PICO
COST_TOO_LARGE = "cost_too_large"
NO_REPORTED_COST = "no_reported_cost"
FAILED_WITHOUT_USAGE = "failed_without_usage"

_COLUMN_BY_USAGE = {
    "input_tokens": 0,
    "cache_read_tokens": 1,
    "cache_write_tokens": 2,
    "cache_write_1h_tokens": 2,
    "output_tokens": 3,
    "reasoning_tokens": 3,
}
_OTHER_COLUMN = 4


class Price(msgspec.Struct, frozen=True, gc=False):
    """What an event costs in pico-USD, by which rate; every money is None when `status` is 'unpriced'."""

    status: str  # priced, unpriced, reported
    reason: str
    rate_version_id: int | None
    rate_version_hash: str
    context_tier: int
    input_cost: int | None = None
    cache_read_cost: int | None = None
    cache_write_cost: int | None = None
    output_cost: int | None = None
    other_cost: int | None = None
    billed_cost: int | None = None
    list_cost: int | None = None
    saved_cost: int | None = None


def price_event(event: UsageEvent, *, rate_book: RateBook, tenant_id: int) -> Price:
    """The price of `event` at its own time by the rate book, or why it has none. Never raises for an event."""
    rate = rate_book.find(event.provider, event.model, event.time, event.service_tier, event.region, tenant_id)
    if rate is None:
        return _answer_no_rate(event, rate_book, tenant_id)
    usage = event.usage
    prices, tier = rate.tokens, 0
    if prices is None:
        prices, tier = _reach_tier(usage, rate)
    if prices is None or event.cache_hit or usage.other:
        return _price_by_meter(event, rate, tier)
    of_input, of_read, of_write, of_write_1h, of_output, reasoning_more = prices
    cache_read = usage.cache_read_tokens
    cache_write = usage.cache_write_tokens
    cache_write_1h = usage.cache_write_1h_tokens
    input_cost = usage.input_tokens * of_input
    output_cost = usage.output_tokens * of_output
    if reasoning_more:
        output_cost += usage.reasoning_tokens * reasoning_more
    billed = input_cost + output_cost
    cache_read_cost = cache_write_cost = saved = 0
    if cache_read:
        if of_read is None:
            return _price_by_meter(event, rate, tier)
        cache_read_cost = cache_read * of_read
        billed += cache_read_cost
        saved = cache_read * of_input - cache_read_cost
    if cache_write or cache_write_1h:
        if of_write is None or of_write_1h is None:
            return _price_by_meter(event, rate, tier)
        cache_write_cost = cache_write * of_write + cache_write_1h * of_write_1h
        billed += cache_write_cost
        saved += (cache_write + cache_write_1h) * of_input - cache_write_cost
    if billed > COST_PICO_MAX:
        return refuse_price(COST_TOO_LARGE)
    return Price(
        "priced", "", rate.rate_version_id, rate.content_hash, tier, input_cost, cache_read_cost, cache_write_cost,
        output_cost, 0, billed, billed, saved,
    )  # fmt: skip


def _reach_tier(usage: Usage, rate: CompiledRate) -> tuple[TokenPrices | None, int]:
    """The token prices of the context tier that the whole request reaches, and its number."""
    tier = 0
    if rate.tiers and not rate.marginal:
        total = count_input(usage)
        while tier < len(rate.tiers) and total > rate.tiers[tier][0]:
            tier += 1
    return (rate.tiers[tier - 1][1] if tier else rate.base).tokens, tier


def refuse_price(reason: str) -> Price:
    return Price("unpriced", reason, None, "", 0)


def count_input(usage: Usage) -> int:
    """All input tokens, cached and of every modality: what a context tier's threshold is compared with."""
    total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    if usage.other:
        total += sum(int(usage.other.get(name, 0)) for name in (*INSIDE_INPUT, *INSIDE_CACHE_READ))
    return total


def is_failed_without_usage(event: UsageEvent) -> bool:
    return event.status == "error" and not any(quantity for _, quantity in list_quantities(event.usage))


def list_quantities(usage: Usage) -> Iterator[tuple[str, int | Decimal]]:
    """Each bucket by its usage name; reasoning is still counted inside output."""
    yield "input_tokens", usage.input_tokens
    yield "cache_read_tokens", usage.cache_read_tokens
    yield "cache_write_tokens", usage.cache_write_tokens
    yield "cache_write_1h_tokens", usage.cache_write_1h_tokens
    yield "output_tokens", usage.output_tokens
    yield from sorted(usage.other.items())


def _answer_no_rate(event: UsageEvent, rate_book: RateBook, tenant_id: int) -> Price:
    """A failed call that used nothing costs nothing by any list, even where its model has none."""
    if is_failed_without_usage(event):
        return Price("priced", FAILED_WITHOUT_USAGE, None, "", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    return refuse_price(
        rate_book.tell_absence(event.provider, event.model, event.time, event.service_tier, event.region, tenant_id)
    )


def _take_reported(event: UsageEvent, rate: CompiledRate) -> Price:
    reported = 0
    if event.reported_cost is not None and not event.cache_hit:
        reported = round(Fraction(event.reported_cost) * PICO)
    elif not event.cache_hit and not is_failed_without_usage(event):
        return refuse_price(NO_REPORTED_COST)
    if abs(reported) > COST_PICO_MAX:
        return refuse_price(COST_TOO_LARGE)
    return Price(
        "reported", "", rate.rate_version_id, rate.content_hash, 0, 0, 0, 0, 0, reported, reported, reported, 0
    )  # fmt: skip


def _price_by_meter(event: UsageEvent, rate: CompiledRate, tier: int) -> Price:
    """The general way: any meter, prices that need rounding, list prices, fees a request, marginal tiers."""
    if rate.by_report:
        return _take_reported(event, rate)
    prices = rate.tiers[tier - 1][1] if tier else rate.base
    meters = prices.meters
    columns = [0, 0, 0, 0, 0]
    listed = uncached = 0
    for name, quantity in _list_charged(event, meters):
        if not quantity:
            continue
        meter_name = METER_BY_USAGE.get(name, name)
        meter = meters.get(meter_name)
        if meter is None:
            return refuse_price(f"no_price_for_meter:{name}")
        if quantity < meter.minimum_per_call:
            quantity = meter.minimum_per_call
        if rate.marginal:
            cost, at_list, reached = _cost_by_part(quantity, meter_name, rate)
            tier = max(tier, reached)
        else:
            cost, at_list = multiply(quantity, meter.price), multiply(quantity, meter.list_price)
        columns[_COLUMN_BY_USAGE.get(name, _OTHER_COLUMN)] += cost
        listed += at_list
        full = meters.get(_meter_without_cache(name))
        uncached += cost if full is None or full is meter else multiply(quantity, full.price)
    billed = sum(columns)
    if max(billed, listed, abs(uncached - billed)) > COST_PICO_MAX:
        return refuse_price(COST_TOO_LARGE)
    if event.cache_hit:  # answered from a cache of responses: nobody was paid
        return Price("priced", "", rate.rate_version_id, rate.content_hash, tier, 0, 0, 0, 0, 0, 0, 0, uncached)
    of_input, of_read, of_write, of_output, of_other = columns
    return Price(
        "priced", "", rate.rate_version_id, rate.content_hash, tier, of_input, of_read, of_write, of_output,
        of_other, billed, listed, uncached - billed,
    )  # fmt: skip


def _list_charged(event: UsageEvent, meters: Mapping[str, Meter]) -> Iterator[tuple[str, int | Decimal]]:
    """The quantities as they are charged: reasoning apart where it has its own price, and the call itself."""
    reasoning = event.usage.reasoning_tokens if "reasoning" in meters else 0
    for name, quantity in list_quantities(event.usage):
        yield name, quantity - reasoning if name == "output_tokens" else quantity
    if reasoning:
        yield "reasoning_tokens", reasoning
    if "request" in meters and "requests" not in event.usage.other and not is_failed_without_usage(event):
        yield "requests", 1


_FULL_METER = {
    "cache_read_tokens": "input",
    "cache_write_tokens": "input",
    "cache_write_1h_tokens": "input",
    **{cached: METER_BY_USAGE[whole] for cached, whole in INSIDE_CACHE_READ.items()},
}


def _meter_without_cache(name: str) -> str:
    """The meter that would have counted a cached token."""
    return _FULL_METER.get(name, "")


def multiply(quantity: int | Decimal, price: UnitPrice) -> int:
    """quantity × price in pico-USD, half-even."""
    if type(quantity) is int and type(price) is int:
        return quantity * price
    return round(Fraction(quantity) * price)


def _cost_by_part(quantity: int | Decimal, meter: str, rate: CompiledRate) -> tuple[int, int, int]:
    """(cost, at list prices, highest tier reached) where each part of the quantity has the price of its tier."""
    cost = at_list = Fraction(0)
    reached = 0
    starts = [0, *(above for above, _ in rate.tiers)]
    lists = [rate.base, *(prices for _, prices in rate.tiers)]
    for index, (start, prices) in enumerate(zip(starts, lists, strict=True)):
        if quantity <= start and index:
            break
        end = starts[index + 1] if index + 1 < len(starts) else quantity
        part = Fraction(min(quantity, end)) - start
        cost += part * prices.meters[meter].price
        at_list += part * prices.meters[meter].list_price
        reached = index
    return round(cost), round(at_list), reached
