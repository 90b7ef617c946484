"""Price lists, compiled: a document's meters as integers of pico-USD, ready to multiply."""

import json
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from billing.core.rate_documents import window_minutes
from billing.core.usage import QUANTITY_MAX
from ledger.core.entries import MONEY_PICO_MAX, PICO

ALWAYS = datetime.max.replace(tzinfo=UTC)

UnitPrice = int | Fraction  # pico-USD a unit
_Shared = TypeVar("_Shared", bound=Hashable)


class PublishedRate(msgspec.Struct, frozen=True, gc=False):
    """One row of the rate table: where and when it applies, and its content as JSON text."""

    rate_version_id: int
    provider: str
    model: str
    match: str
    tenant_id: int  # 0: every tenant
    service_tier: str
    region: str
    time_window: str
    imported: bool
    effective_from: datetime
    effective_to: datetime | None
    content_hash: str  # hex
    content: str


class Meter(msgspec.Struct, frozen=True):
    """What one unit costs, in pico-USD: an integer where that is exact."""

    price: UnitPrice
    list_price: UnitPrice
    minimum_per_call: int = 0


# The price of one token: input, cache read, cache write, cache write for an hour, output, reasoning beyond output.
TokenPrices = tuple[int, int | None, int | None, int | None, int, int]


class PriceList(msgspec.Struct, frozen=True):
    """A base list or a context tier's, complete.

    `tokens` stands where integers price input and output and whichever cached tokens have a price, nothing is charged
    per request, no list price differs, and no quantity that may be sent overflows the ledger's money: then the cost
    is five products.
    """

    meters: Mapping[str, Meter]
    tokens: TokenPrices | None


class CompiledRate(msgspec.Struct, frozen=True):
    """A published rate, ready to multiply. `tiers` holds (tokens above which it applies, list), lowest first.

    `tokens` is the base list's where nothing but it can apply.
    """

    rate_version_id: int
    content_hash: str
    start: datetime
    end: datetime
    window: tuple[int, int] | None
    by_report: bool
    marginal: bool
    base: PriceList
    tiers: tuple[tuple[int, PriceList], ...]
    tokens: TokenPrices | None

    def covers(self, time: datetime) -> bool:
        if not self.start <= time < self.end:
            return False
        if self.window is None:
            return True
        first, after = self.window
        minute = time.hour * 60 + time.minute
        return first <= minute < after if first < after else minute >= first or minute < after


def compile_rate(rate: PublishedRate) -> CompiledRate:
    """The arithmetic of a published rate. Its content is trusted: it was checked before it was published."""
    content = json.loads(rate.content)
    context_tiers = content.get("context_tiers", ())
    marginal = any(tier["scope"] == "marginal" for tier in context_tiers)
    meters = _read_meters(content.get("meters", {}))
    base = _compile_list(meters, in_parts=marginal)
    tiers = []
    for tier in context_tiers:
        meters = meters | _read_meters(tier["meters"])
        # A part's price begins at the threshold; a whole request's above it, or from it on.
        above = tier["input_tokens"] - (tier["compare"] == ">=" and not marginal)
        tiers.append((above, _compile_list(meters, in_parts=marginal)))
    by_report = content.get("price_from") == "reported_cost"
    return CompiledRate(
        rate_version_id=rate.rate_version_id,
        content_hash=rate.content_hash,
        start=_share(rate.effective_from),
        end=_share(rate.effective_to or ALWAYS),
        window=window_minutes(rate.time_window) if rate.time_window else None,
        by_report=by_report,
        marginal=marginal,
        base=base,
        tiers=tuple(tiers),
        tokens=None if tiers or by_report else base.tokens,
    )


def _read_meters(meters: Mapping[str, Any]) -> dict[str, Meter]:
    return {
        name: Meter(
            _unit_price(meter["price"], meter["per"]),
            _unit_price(meter.get("list_price", meter["price"]), meter["per"]),
            meter.get("minimum_per_call", 0),
        )
        for name, meter in meters.items()
    }


@lru_cache(maxsize=8192)
def _unit_price(price: str, per: int) -> UnitPrice:
    pico = Fraction(price) * PICO / per
    return pico.numerator if pico.denominator == 1 else pico


_TOKEN_METERS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
_TOKEN_PRICE_MAX = MONEY_PICO_MAX // (len(_TOKEN_METERS) * QUANTITY_MAX)


def _compile_list(meters: Mapping[str, Meter], *, in_parts: bool) -> PriceList:
    exact = {name: _exact_price(meters[name]) for name in (*_TOKEN_METERS, "reasoning") if name in meters}
    of_input, of_output = exact.get("input"), exact.get("output")
    reasoning = exact.get("reasoning", of_output)
    if in_parts or None in exact.values() or "request" in meters:
        return PriceList(meters, None)
    if of_input is None or of_output is None or reasoning is None:
        return PriceList(meters, None)
    cached = (exact.get("cache_read"), exact.get("cache_write"), exact.get("cache_write_1h"))
    prices = (of_input, *cached, of_output, reasoning - of_output)
    return PriceList(meters, _share(cast("TokenPrices", tuple(map(_share, prices)))))


@lru_cache(maxsize=8192)
def _share(value: _Shared) -> _Shared:
    """The first object of equal ones: what many lists have in common stays in the processor's cache."""
    return value


def _exact_price(meter: Meter) -> int | None:
    if meter.list_price != meter.price or meter.minimum_per_call:
        return None
    return meter.price if isinstance(meter.price, int) and meter.price <= _TOKEN_PRICE_MAX else None
