"""The rate book: every published price list, compiled for the price of one event to cost about a microsecond.

Which list prices an event: of the lists whose provider and model match, the most specific that was in force at the
event's own time. A tenant's own list before a deployment's own, that before an imported one; then an exact name before
the longest prefix before a pattern (higher priority, then the longer leading literal). Within the name that won, a
list for the event's region before one for every region, one for hours of the day before one for all day. A service
tier must be met by the name that won: another name's tier is another product's price.
"""

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import combinations
from threading import Lock

import msgspec

from billing.core.model_names import canonical_names, canonical_provider, canonical_tier
from billing.core.price_lists import ALWAYS, CompiledRate, PublishedRate, compile_rate
from billing.core.rate_documents import leading_literal, window_minutes

CALLS_MAX = 8192  # kinds of calls whose lists are remembered

NO_RATE_FOR_MODEL = "no_rate_for_model"
NO_RATE_AT_TIME = "no_rate_at_time"

_Call = tuple[str, str, str, str, int]  # provider, model, service tier, region, tenant with rates of its own or 0


class _Name(msgspec.Struct, frozen=True):
    """One matching name's lists: those whose conditions the event meets, and when any list of it was in force."""

    owner: int  # 2 a tenant's own, 1 the deployment's own, 0 imported
    rates: tuple[CompiledRate, ...]
    in_force: tuple[tuple[datetime, datetime], ...]
    reason: str
    is_one_line: bool  # no two of its lists are in force at once


class _Kind:
    """What may price one kind of calls.

    names: the most specific first. rates: the first name's, each in force up to the turn of its number; None is for the
    names to tell. best: the last that was found, for the next call is of about the same time.
    """

    __slots__ = ("best", "names", "rates", "turns")

    def __init__(self, names: tuple[_Name, ...]) -> None:
        self.names = names
        self.turns, self.rates = _line_up(names)
        self.best: CompiledRate | None = None


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
        self._kinds: dict[_Call, _Kind] = {}
        self._compiled: dict[int, CompiledRate] = {}
        self._lock = Lock()

    def find(
        self, provider: str, model: str, time: datetime, service_tier: str, region: str, tenant_id: int
    ) -> CompiledRate | None:
        """The rate that prices such a call at `time` (UTC); None where `tell_absence` tells why there is none."""
        if tenant_id not in self._tenants:
            tenant_id = 0
        kind = self._kinds.get((provider, model, service_tier, region, tenant_id))
        if kind is None:
            kind = self._remember(provider, model, service_tier, region, tenant_id)
        best = kind.best
        if best is not None and best.start <= time < best.end:
            return best
        best = kind.rates[bisect_right(kind.turns, time)]  # however many versions there are, one is asked
        if best is not None:
            kind.best = best
            return best
        found = _search(kind.names, time)
        return None if isinstance(found, str) else found

    def tell_absence(
        self, provider: str, model: str, time: datetime, service_tier: str, region: str, tenant_id: int
    ) -> str:
        """Why `find` finds nothing: a code, and what is missing behind a colon."""
        if tenant_id not in self._tenants:
            tenant_id = 0
        found = _search(self._remember(provider, model, service_tier, region, tenant_id).names, time)
        return found if isinstance(found, str) else ""

    def may_price(self, rate_version_id: int, provider: str, model: str, tenant_id: int) -> bool:
        """Whether the name of this rate matches such calls, so that it may price some of them at some time."""
        return any(
            rate.rate_version_id == rate_version_id
            for _, rates in self._match_names(provider, model, tenant_id)
            for rate in rates
        )

    def _remember(self, provider: str, model: str, service_tier: str, region: str, tenant_id: int) -> _Kind:
        """What may price such a call; kept for the latest kinds of calls."""
        call = (provider, model, service_tier, region, tenant_id)
        kind = self._kinds.get(call)
        if kind is not None:
            return kind
        matches = self._match_names(provider, model, tenant_id)
        tier, place = canonical_tier(service_tier), region.strip().lower()
        with self._lock:
            names = tuple(self._narrow(owner, rates, tier, place) for owner, rates in matches)
            if len(self._kinds) >= CALLS_MAX:
                del self._kinds[next(iter(self._kinds))]
            kind = self._kinds[call] = _Kind(names)
        return kind

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
        of_region.sort(key=lambda rate: (rate.region == "", rate.time_window == "", rate.effective_from))
        is_one_line = len({rate.region for rate in of_region}) < 2 and not any(rate.time_window for rate in of_region)
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
            is_one_line,
        )

    def _compile(self, rate: PublishedRate) -> CompiledRate:
        compiled = self._compiled.get(rate.rate_version_id)
        if compiled is None:
            compiled = self._compiled[rate.rate_version_id] = compile_rate(rate)
        return compiled


def _line_up(names: Sequence[_Name]) -> tuple[tuple[datetime, ...], tuple[CompiledRate | None, ...]]:
    """The turns and rates of a kind: none, where several lists of the first name may be in force at once."""
    turns: list[datetime] = []
    rates: list[CompiledRate | None] = [None]
    for rate in names[0].rates if names and names[0].is_one_line else ():
        if turns and turns[-1] == rate.start:
            rates[-1] = rate
        else:
            turns.append(rate.start)
            rates.append(rate)
        if rate.end < ALWAYS:
            turns.append(rate.end)
            rates.append(None)
    return tuple(turns), tuple(rates)


def _search(names: Sequence[_Name], time: datetime) -> CompiledRate | str:
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
