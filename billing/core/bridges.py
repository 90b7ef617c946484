"""Why a cost changed from one period to the next: price, volume, mix, cache, new and ended, to the pico-USD. Pure."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, fields
from math import lcm
from typing import TypeVar

Kind = TypeVar("Kind", bound=Hashable)
Ratio = tuple[int, int]  # a numerator, and a denominator that is not zero

COST_OF = {
    "input_tokens": "input_cost",
    "cache_read_tokens": "cache_read_cost",
    "cache_write_tokens": "cache_write_cost",
    "output_tokens": "output_cost",
    "calls": "other_cost",
}
INPUT = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
TOKENS = (*INPUT, "output_tokens")


@dataclass(frozen=True, slots=True)
class Use:
    """What calls of one kind used in a period and what that cost, in pico-USD. Token buckets are disjoint.

    A kind is whatever the calls are told apart by, such as (feature, provider, model).
    """

    calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    input_cost: int = 0
    cache_read_cost: int = 0
    cache_write_cost: int = 0
    output_cost: int = 0
    other_cost: int = 0

    @property
    def cost(self) -> int:
        return sum(getattr(self, name) for name in COST_OF.values())

    def count(self, names: Iterable[str]) -> int:
        return sum(getattr(self, name) for name in names)

    def __add__(self, other: "Use") -> "Use":
        return Use(*(getattr(self, name) + getattr(other, name) for name in QUANTITIES))

    def __mul__(self, times: int) -> "Use":
        return Use(*(getattr(self, name) * times for name in QUANTITIES))


QUANTITIES = tuple(quantity.name for quantity in fields(Use))
NOTHING = Use()


@dataclass(frozen=True, slots=True)
class Bridge:
    """The steps from one cost to the next, in pico-USD; together they are the difference.

    price: a token, or a call's other meters, cost more for itself, be it by a new rate, a threshold or a tier. volume:
    as if each kind had grown as its family did, by tokens (by calls, for other meters). mix: it grew faster or slower
    than that, or took another share of output. cache: another share of its input was read from or written to a cache.
    new, ended: families that were used in one of the periods only.
    """

    price: int = 0
    volume: int = 0
    mix: int = 0
    cache: int = 0
    new: int = 0
    ended: int = 0

    @property
    def total(self) -> int:
        return self.price + self.volume + self.mix + self.cache + self.new + self.ended


def explain_change(
    before: Mapping[Kind, Use], after: Mapping[Kind, Use], *, family: Callable[[Kind], Hashable]
) -> dict[Kind, Bridge]:
    """The bridge of each kind. Those of any group of kinds add up to the group's difference, exactly.

    family: what a kind belongs to, such as its feature: that grows or shrinks, and chooses among its kinds.
    """
    families: dict[Hashable, list[Kind]] = defaultdict(list)
    for kind in {**before, **after}:
        families[family(kind)].append(kind)
    bridges: dict[Kind, Bridge] = {}
    for kinds in families.values():
        bridges |= _explain_family({kind: (before.get(kind, NOTHING), after.get(kind, NOTHING)) for kind in kinds})
    return bridges


def _explain_family(uses: Mapping[Kind, tuple[Use, Use]]) -> dict[Kind, Bridge]:
    if all(before == NOTHING for before, _ in uses.values()):
        return {kind: Bridge(new=after.cost) for kind, (_, after) in uses.items()}
    if all(after == NOTHING for _, after in uses.values()):
        return {kind: Bridge(ended=-before.cost) for kind, (before, _) in uses.items()}
    tokens, calls = (_measure_growth(uses.values(), names) for names in (TOKENS, ("calls",)))
    return {
        kind: _explain_kind(before, after, tokens_growth=tokens, calls_growth=calls)
        for kind, (before, after) in uses.items()
    }


def _measure_growth(uses: Iterable[tuple[Use, Use]], names: Iterable[str]) -> Ratio:
    """How much more there is, as a part of what was; none, where there was nothing to grow from."""
    first, then = map(sum, zip(*((before.count(names), after.count(names)) for before, after in uses), strict=True))
    return (then - first, first) if first else (0, 1)


def _explain_kind(before: Use, after: Use, *, tokens_growth: Ratio, calls_growth: Ratio) -> Bridge:
    """Mix is what the rest leaves, so that nothing is lost to rounding."""
    spent = {name: getattr(before, cost) if getattr(before, name) else 0 for name, cost in COST_OF.items()}
    again, per = _value_again(before, after, COST_OF)
    price = _divide((after.cost - before.cost + sum(spent.values())) * per - again, per)
    by_tokens, by_calls = sum(spent[name] for name in TOKENS), spent["calls"]
    (tokens, of_tokens), (calls, of_calls) = tokens_growth, calls_growth
    volume = _divide(by_tokens * tokens * of_calls + by_calls * calls * of_tokens, of_tokens * of_calls)
    cache = 0
    if input_before := before.count(INPUT):
        again, per = _value_again(before, after, INPUT)
        at_same_shares = sum(spent[name] for name in INPUT) * after.count(INPUT)
        cache = _divide(again * input_before - at_same_shares * per, per * input_before)
    return Bridge(price, volume, mix=after.cost - before.cost - price - volume - cache, cache=cache)


def _value_again(before: Use, after: Use, names: Iterable[str]) -> Ratio:
    """What was used after, at what one cost before; at its own cost, where there was none before, so that what is
    first used is no change of price."""
    values = [
        (getattr(before, COST_OF[name]) * quantity, first)
        if (first := getattr(before, name))
        else (getattr(after, COST_OF[name]), 1)
        for name in names
        if (quantity := getattr(after, name))
    ]
    common = lcm(*(first for _, first in values))
    return sum(value * (common // first) for value, first in values), common


def _divide(value: int, by: int) -> int:
    """To the nearest, half to even, as `round` of a Fraction, which takes ten times as long: it reduces at each step.

    What is reversed in a period alone counts below zero there.
    """
    if by < 0:
        value, by = -value, -by
    quotient, rest = divmod(value, by)
    return quotient + (2 * rest > by or (2 * rest == by and quotient % 2))
