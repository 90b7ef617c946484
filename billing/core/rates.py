"""The rate book: every published price list, compiled for the price of one event to cost about a microsecond.

Which list prices an event: of the lists whose provider and model match, the most specific that was in force at the
event's own time. A tenant's own list before a deployment's own, that before an imported one; then an exact name before
the longest prefix before a pattern (higher priority, then the longer leading literal). Within the name that won, a
list for the event's region before one for every region, one for hours of the day before one for all day. A service
tier must be met by the name that won: another name's tier is another product's price.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from threading import Lock
from typing import Any

import msgspec

from billing.core.model_names import canonical_names, canonical_provider, canonical_tier
from billing.core.rate_documents import leading_literal, window_minutes
from ledger.core.entries import PICO

ALWAYS = datetime.max.replace(tzinfo=UTC)
CHOICES_MAX = 8192

NO_RATE_FOR_MODEL = "no_rate_for_model"
NO_RATE_AT_TIME = "no_rate_at_time"

UnitPrice = int | Fraction  # pico-USD a unit


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


class PriceList(msgspec.Struct, frozen=True):
    """A base list or a context tier's, complete.

    `plain` lists price the five token buckets by integers and nothing per request: their costs are five products.
    The differences below are for them alone: what reasoning costs beyond output, and a token's price at the input
    rate less its own.
    """

    meters: Mapping[str, Meter]
    plain: bool = False
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning_more: int = 0
    saved_read: int = 0
    saved_write: int = 0
    saved_write_1h: int = 0
    discounted: bool = False  # some list price differs


class CompiledRate(msgspec.Struct, frozen=True):
    """A published rate, ready to multiply. `tiers` holds (tokens above which it applies, list), lowest first."""

    rate_version_id: int
    content_hash: str
    start: datetime
    end: datetime
    window: tuple[int, int] | None
    by_report: bool
    marginal: bool
    base: PriceList
    tiers: tuple[tuple[int, PriceList], ...]

    def covers(self, time: datetime) -> bool:
        if not self.start <= time < self.end:
            return False
        if self.window is None:
            return True
        first, after = self.window
        minute = time.hour * 60 + time.minute
        return first <= minute < after if first < after else minute >= first or minute < after


class _Name(msgspec.Struct, frozen=True):
    """One matching name's lists: those whose conditions the event meets, and when any list of it was in force."""

    owner: int  # 2 a tenant's own, 1 the deployment's own, 0 imported
    rates: tuple[CompiledRate, ...]
    in_force: tuple[tuple[datetime, datetime], ...]
    reason: str


class _Choice(msgspec.Struct, frozen=True):
    """What may price one (provider, model, tier, region, tenant), best first."""

    first: tuple[CompiledRate, ...]
    names: tuple[_Name, ...]


class RateBook:
    """Every published rate at one version of the rate table; safe to share between threads."""

    def __init__(
        self,
        *,
        version: int,
        rates: Iterable[PublishedRate],
        aliases: Mapping[tuple[str, str], tuple[str, str]] | None = None,
    ) -> None:
        """`aliases`: (provider, model) as sent, in lower case, to the provider and model that they mean."""
        self.version = version
        self._aliases = dict(aliases or {})
        self._exact: dict[tuple[str, str], list[PublishedRate]] = defaultdict(list)
        self._loose: dict[str, dict[tuple[str, str], list[PublishedRate]]] = defaultdict(lambda: defaultdict(list))
        self._tenants: set[int] = set()
        for rate in rates:
            if rate.match == "exact":
                self._exact[rate.provider, rate.model].append(rate)
            else:
                self._loose[rate.provider][rate.match, rate.model].append(rate)
            if rate.tenant_id:
                self._tenants.add(rate.tenant_id)
        self._choices: dict[tuple[str, str, str, str, int], _Choice] = {}
        self._compiled: dict[int, CompiledRate] = {}
        self._lock = Lock()

    def find(
        self, provider: str, model: str, time: datetime, service_tier: str, region: str, tenant_id: int
    ) -> CompiledRate | str:
        """The rate that prices such a call at `time` (UTC), or the reason why there is none."""
        key = (provider, model, service_tier, region, tenant_id if tenant_id in self._tenants else 0)
        choice = self._choices.get(key)
        if choice is None:
            choice = self._choose(key)
        for rate in choice.first:
            if rate.start <= time < rate.end and (rate.window is None or rate.covers(time)):
                return rate
        return _find_further(choice.names, time)

    def _choose(self, key: tuple[str, str, str, str, int]) -> _Choice:
        provider, model, service_tier, region, tenant_id = key
        matches = self._match_names(provider, model, tenant_id)
        tier, place = canonical_tier(service_tier), region.strip().lower()
        with self._lock:
            names = tuple(self._narrow(owner, rates, tier, place) for owner, rates in matches)
            choice = _Choice(names[0].rates if names else (), names)
            if len(self._choices) >= CHOICES_MAX:
                del self._choices[next(iter(self._choices))]
            self._choices[key] = choice
        return choice

    def _match_names(self, provider: str, model: str, tenant_id: int) -> list[tuple[int, list[PublishedRate]]]:
        """The lists of each matching name with their owner's rank, most specific name first."""
        canonical, spellings = canonical_names(*self._follow_alias(provider, model))
        ranked: list[tuple[tuple[int, ...], list[PublishedRate]]] = []
        for order, name in enumerate(spellings):
            found = [((3, 0, 0), self._exact.get((canonical, name), []))]
            found += [
                (_specificity(match, text, rates), rates)
                for (match, text), rates in self._loose.get(canonical, {}).items()
                if matches_name(match, text, name)
            ]
            for specificity, rates in found:
                for owner, owned in _by_owner(rates, tenant_id):
                    ranked.append(((owner, -order, *specificity), owned))
        ranked.sort(key=lambda item: item[0], reverse=True)
        return [(rank[0], rates) for rank, rates in ranked]

    def _follow_alias(self, provider: str, model: str) -> tuple[str, str]:
        name = model.strip().lower()
        for said in (provider.strip().lower(), canonical_provider(provider)):
            if meant := self._aliases.get((said, name)):
                return meant
        return provider, model

    def _narrow(self, owner: int, rates: Sequence[PublishedRate], tier: str, region: str) -> _Name:
        """Of one name's lists those for `tier` and `region`, the most specific first."""
        of_tier = [rate for rate in rates if rate.service_tier == tier]
        of_region = [rate for rate in of_tier if rate.region in ("", region)]
        of_region.sort(key=lambda rate: (rate.region == "", rate.time_window == ""))
        reason = NO_RATE_AT_TIME
        if not of_tier:
            reason = f"no_rate_for_service_tier:{tier}"
        elif not of_region:
            reason = f"no_rate_for_region:{region}"
        return _Name(
            owner,
            tuple(self._compile(rate) for rate in of_region),
            tuple((rate.effective_from, rate.effective_to or ALWAYS) for rate in rates),
            reason,
        )

    def _compile(self, rate: PublishedRate) -> CompiledRate:
        compiled = self._compiled.get(rate.rate_version_id)
        if compiled is None:
            compiled = self._compiled[rate.rate_version_id] = compile_rate(rate)
        return compiled


def _find_further(names: Sequence[_Name], time: datetime) -> CompiledRate | str:
    """The best list in force; a name in force that lacks the conditions hides its owner's less specific names."""
    reason = NO_RATE_AT_TIME if names else NO_RATE_FOR_MODEL
    hidden: set[int] = set()
    for name in names:
        if name.owner in hidden:
            continue
        for rate in name.rates:
            if rate.covers(time):
                return rate
        if any(start <= time < end for start, end in name.in_force):
            hidden.add(name.owner)
            reason = name.reason
    return reason


def matches_name(match: str, text: str, name: str) -> bool:
    """Whether a prefix or a pattern matches a model's canonical name."""
    if match == "prefix":
        return name.startswith(text)
    return _compile_pattern(text).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _compile_pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def _specificity(match: str, text: str, rates: Sequence[PublishedRate]) -> tuple[int, int, int]:
    if match == "prefix":
        return (2, 0, len(text))
    return (1, json.loads(rates[0].content).get("priority", 0), len(leading_literal(text)))


def _by_owner(rates: Sequence[PublishedRate], tenant_id: int) -> list[tuple[int, list[PublishedRate]]]:
    tenants = [rate for rate in rates if rate.tenant_id and rate.tenant_id == tenant_id]
    own = [rate for rate in rates if not rate.tenant_id and not rate.imported]
    imported = [rate for rate in rates if not rate.tenant_id and rate.imported]
    return [(owner, owned) for owner, owned in ((2, tenants), (1, own), (0, imported)) if owned]


# --- compiling ---


def compile_rate(rate: PublishedRate) -> CompiledRate:
    """The arithmetic of a published rate. Its content is trusted: it was checked before it was published."""
    content = json.loads(rate.content)
    meters = _read_meters(content.get("meters", {}))
    base = _compile_list(meters)
    tiers = []
    context_tiers = content.get("context_tiers", ())
    for tier in context_tiers:
        meters = meters | _read_meters(tier["meters"])
        above = tier["input_tokens"] - (tier["compare"] == ">=" and tier["scope"] == "request")
        tiers.append((above, _compile_list(meters)))
    return CompiledRate(
        rate_version_id=rate.rate_version_id,
        content_hash=rate.content_hash,
        start=rate.effective_from,
        end=rate.effective_to or ALWAYS,
        window=window_minutes(rate.time_window) if rate.time_window else None,
        by_report=content.get("price_from") == "reported_cost",
        marginal=any(tier["scope"] == "marginal" for tier in context_tiers),
        base=base,
        tiers=tuple(tiers),
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


def _unit_price(price: str, per: int) -> UnitPrice:
    pico = Fraction(price) * PICO / per
    return pico.numerator if pico.denominator == 1 else pico


_PLAIN_METERS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")


def _compile_list(meters: Mapping[str, Meter]) -> PriceList:
    named = [meters.get(name) for name in (*_PLAIN_METERS, "reasoning")]
    exact = [meter.price for meter in named[:5] if meter is not None and _is_plain(meter)]
    more = named[5]
    if len(exact) < 5 or "request" in meters or (more is not None and not _is_plain(more)):
        return PriceList(meters)
    of_input, of_read, of_write, of_write_1h, of_output = (int(price) for price in exact)
    return PriceList(
        meters=meters,
        plain=True,
        input=of_input,
        cache_read=of_read,
        cache_write=of_write,
        cache_write_1h=of_write_1h,
        output=of_output,
        reasoning_more=0 if more is None else int(more.price) - of_output,
        saved_read=of_input - of_read,
        saved_write=of_input - of_write,
        saved_write_1h=of_input - of_write_1h,
    )


def _is_plain(meter: Meter) -> bool:
    return isinstance(meter.price, int) and meter.list_price == meter.price and not meter.minimum_per_call


# --- before publication ---


class Tie(msgspec.Struct, frozen=True):
    """Two rates of which neither is more specific, at the same time under conditions that can both be met."""

    one: str
    other: str


def find_ties(rates: Iterable[PublishedRate]) -> list[Tie]:
    """Patterns that neither priority nor leading literal tells apart, and windows of the day that overlap.

    A pattern is compared whatever its other conditions are, as names compete before conditions do. Equal names
    under equal conditions are refused by the table itself (`rate_one_price_at_a_time`).
    """
    patterns: dict[tuple[object, ...], list[PublishedRate]] = defaultdict(list)
    windows: dict[tuple[object, ...], list[PublishedRate]] = defaultdict(list)
    for rate in rates:
        owner = (rate.provider, rate.tenant_id, rate.imported)
        if rate.match == "pattern":
            _, priority, _ = _specificity(rate.match, rate.model, [rate])
            patterns[*owner, priority, leading_literal(rate.model)].append(rate)
        if rate.time_window:
            windows[*owner, rate.match, rate.model, rate.service_tier, rate.region].append(rate)
    pairs = [
        *(pair for group in patterns.values() for pair in combinations(group, 2) if pair[0].model != pair[1].model),
        *(pair for group in windows.values() for pair in combinations(group, 2) if _windows_meet(*pair)),
    ]
    return [Tie(_describe(one), _describe(other)) for one, other in pairs if _times_meet(one, other)]


def _times_meet(one: PublishedRate, other: PublishedRate) -> bool:
    return one.effective_from < (other.effective_to or ALWAYS) and other.effective_from < (one.effective_to or ALWAYS)


def _windows_meet(one: PublishedRate, other: PublishedRate) -> bool:
    """Whether two different windows share a minute of the day; one window's own versions are kept apart in time."""
    if one.time_window == other.time_window:
        return False
    return bool(_minutes(one.time_window) & _minutes(other.time_window))


def _minutes(window: str) -> set[int]:
    first, after = window_minutes(window)
    return {minute % 1440 for minute in range(first, after if first < after else after + 1440)}


def _describe(rate: PublishedRate) -> str:
    conditions = [rate.service_tier, rate.region, rate.time_window]
    return f"{rate.provider} {rate.match} {rate.model} ({', '.join(filter(None, conditions))})"
