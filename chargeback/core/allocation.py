"""Shared cost moved to those who have to bear it: from where, to whom, by what; nothing is lost on the way. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from chargeback.core.lines import UNALLOCATED, DirectCost, Place, Posting, RuleNote, RuleRef, write_usd
from chargeback.core.shares import split_amount, take_percent, to_micro

Method = Literal["even", "cost", "tokens", "calls", "driver", "fixed"]
METHODS: tuple[Method, ...] = get_args(Method)
WHOLE = Decimal(100)
METHOD_WORDS: Mapping[str, str] = {
    "even": "even shares",
    "cost": "direct cost",
    "tokens": "tokens",
    "calls": "calls",
    "driver": "drivers",
    "fixed": "fixed shares",
}


@dataclass(frozen=True, slots=True)
class Selector:
    """Which cost is meant: of any of these, each list that is empty letting all through."""

    cost_centers: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def takes(self, place: Place) -> bool:
        """Whether cost that stands at `place` is meant, whichever cost centre it is of."""
        return (
            (not self.features or place.feature in self.features)
            and (not self.providers or place.provider in self.providers)
            and (not self.models or place.model in self.models)
        )

    @property
    def place(self) -> Place:
        """What can be said of everything that is meant."""
        return Place(_only(self.features), _only(self.providers), _only(self.models))


def _only(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ""


@dataclass(frozen=True, slots=True)
class Split:
    """Who bears it, and by what. targets: empty for everyone. shares: percent, of `fixed`; drivers: of `driver`."""

    method: Method
    targets: tuple[str, ...] = ()
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AllocationTerms:
    """What somebody decides about shared cost. percent: how much of what stands at `source` is moved."""

    name: str
    position: int
    source: Selector
    split: Split
    percent: Decimal = WHOLE


@dataclass(frozen=True, slots=True)
class AllocationRule:
    """One version of a rule."""

    ref: RuleRef
    terms: AllocationTerms


class CenterUse(NamedTuple):
    """What a cost centre used itself. amount: in pico-USD."""

    amount: int
    calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Grounds:
    """What shares are weighed by. uses: by cost centre; drivers: millionths of a unit by a driver's name."""

    uses: Mapping[str, CenterUse]
    drivers: Mapping[str, int]


Standing = dict[str, dict[Place, int]]  # pico-USD by cost centre and place


def weigh_direct_costs(own: Mapping[str, Sequence[DirectCost]]) -> dict[str, CenterUse]:
    """What each cost centre used itself, of the costs that are its own."""
    return {
        name: CenterUse(
            sum(cost.amount for cost in costs), sum(cost.calls for cost in costs), sum(cost.tokens for cost in costs)
        )
        for name, costs in own.items()
    }


def order_rules(rules: Iterable[AllocationRule]) -> list[AllocationRule]:
    """As they are applied: by position, and rules of one position by their numbers."""
    return sorted(rules, key=lambda rule: (rule.terms.position, rule.ref))


def allocate(
    standing: Standing, rules: Iterable[AllocationRule], grounds: Grounds
) -> tuple[list[Posting], list[RuleNote]]:
    """Apply the rules in their order, each to what stands there by then; `standing` is changed in place.

    Everyone is who has direct cost, but for the rule's own sources and for the sources that rules before it name: what
    has been emptied is not filled again. Who is a target keeps what stands there already.
    """
    postings: list[Posting] = []
    notes: list[RuleNote] = []
    emptied: set[str] = set()
    for rule in order_rules(rules):
        source, split = rule.terms.source, rule.terms.split
        emptied.update(source.cost_centers)
        targets = split.targets or tuple(sorted(set(grounds.uses) - emptied - {UNALLOCATED}))
        taken = dict(_find_taken(standing, rule.terms, targets))
        weights = weigh(split, targets, grounds)
        if not taken:
            notes.append(RuleNote(rule.ref, rule.terms.name, "nothing stood at its source"))
        elif not sum(weights.values()):
            words = f"nothing was moved: no target has any weight by {METHOD_WORDS[split.method]}"
            notes.append(RuleNote(rule.ref, rule.terms.name, words))
        else:
            postings += _move(standing, rule, taken, weights)
    return postings, notes


def weigh(split: Split, targets: Sequence[str], grounds: Grounds) -> dict[str, int]:
    """What each target weighs. A cost centre that was credited more than it used weighs nothing, and not less."""
    if split.method == "even":
        return dict.fromkeys(targets, 1)
    if split.method == "fixed":
        return {name: to_micro(split.shares[name]) for name in targets}
    if split.method == "driver":
        return {name: grounds.drivers.get(split.drivers[name], 0) for name in targets}
    place = {"cost": 0, "calls": 1, "tokens": 2}[split.method]
    nothing = CenterUse(0, 0, 0)
    return {name: max(0, grounds.uses.get(name, nothing)[place]) for name in targets}


def _find_taken(
    standing: Standing, terms: AllocationTerms, targets: Sequence[str]
) -> Iterator[tuple[tuple[str, Place], int]]:
    centers = terms.source.cost_centers or tuple(standing)
    for center in sorted(set(centers) - set(targets)):
        for place, amount in standing.get(center, {}).items():
            if terms.source.takes(place) and (taken := take_percent(amount, terms.percent)):
                yield (center, place), taken


def _move(
    standing: Standing,
    rule: AllocationRule,
    taken: Mapping[tuple[str, Place], int],
    weights: Mapping[str, int],
) -> Iterator[Posting]:
    """One line at each source, one at each target; together they are nothing."""
    terms = rule.terms
    label = terms.source.place
    given: dict[str, int] = defaultdict(int)
    for (center, place), amount in taken.items():
        given[center] += amount
        standing[center][place] -= amount
    for center, amount in sorted(given.items()):
        if amount:
            words = f"{terms.name}: {terms.percent.normalize():f} % of what stood here, to those who bear it"
            yield Posting("allocated_out", center, label, -amount, rule.ref, words)
    pool, whole = sum(given.values()), sum(weights.values())
    for center, amount in split_amount(pool, weights).items():
        if amount:
            here = standing.setdefault(center, {})
            here[label] = here.get(label, 0) + amount
            words = f"{terms.name}: {write_usd(pool)} × {write_weight(terms.split, weights[center], whole)}"
            yield Posting("allocated_in", center, label, amount, rule.ref, words)


def write_weight(split: Split, weight: int, whole: int) -> str:
    """A share as it was weighed: “3 of 10 by calls”."""
    if split.method == "even":
        return f"1 of {whole}"
    if split.method == "fixed":
        return f"{_write_micro(weight)} %"
    if split.method == "cost":
        return f"{write_usd(weight)} of {write_usd(whole)} by direct cost"
    if split.method == "driver":
        return f"{_write_micro(weight)} of {_write_micro(whole)} by drivers"
    return f"{weight:,} of {whole:,} by {split.method}"


def _write_micro(number: int) -> str:
    whole, decimals = divmod(number, 10**6)
    return f"{whole:,}.{decimals:06d}".rstrip("0").rstrip(".")


def stand_direct_costs(own: Mapping[str, Sequence[DirectCost]]) -> Standing:
    """Where direct cost stands before any rule; `own` has one cost a place."""
    return {name: {Place(*cost[1:4]): cost.amount for cost in costs} for name, costs in own.items()}


def find_circle(rules: Iterable[AllocationRule]) -> tuple[AllocationRule, ...]:
    """The shortest way on which a rule would take again what it has moved; () where there is none.

    Rules are held together by what they may move, not by what a month happens to hold.
    """
    ordered = order_rules(rules)
    onward = {
        number: [
            other
            for other, after in enumerate(ordered)
            if other != number and _feeds(rule, after, ordered[:number])
        ]
        for number, rule in enumerate(ordered)
    }  # fmt: skip
    ways = [way for start in onward if (way := _find_way_back(start, onward))]
    return tuple(ordered[number] for number in min(ways, key=lambda way: (len(way), way))) if ways else ()


def _find_way_back(start: int, onward: Mapping[int, list[int]]) -> list[int]:
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for number in onward[way[-1]]:
            if number == start:
                return way
            if number not in seen:
                seen.add(number)
                ways.append([*way, number])
    return []


def _feeds(rule: AllocationRule, after: AllocationRule, before: Sequence[AllocationRule]) -> bool:
    """Whether `after` may take what `rule` brings. before: the rules that are applied before `rule`."""
    if not after.terms.source.takes(rule.terms.source.place):
        return False
    sources, targets = set(after.terms.source.cost_centers), set(rule.terms.split.targets)
    if sources and targets:
        return bool(sources & targets)
    if targets:
        return bool(targets - set(after.terms.split.targets))
    emptied = {name for one in (*before, rule) for name in one.terms.source.cost_centers}
    return bool(sources - emptied - {UNALLOCATED}) if sources else True


def describe_circle(circle: Sequence[AllocationRule]) -> str:
    """The way round in words: “platform → sales (Platform) → platform (Sales back)”."""

    def meet(rule: AllocationRule, after: AllocationRule) -> str:
        sources, targets = set(after.terms.source.cost_centers), set(rule.terms.split.targets)
        return min(sources & targets or sources or targets - set(after.terms.split.targets), default="everyone")

    stations = [meet(rule, circle[(number + 1) % len(circle)]) for number, rule in enumerate(circle)]
    way = [f"{name} (“{rule.terms.name}”)" for name, rule in zip(stations, circle, strict=True)]
    return " → ".join([stations[-1], *way])
