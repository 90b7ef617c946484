"""What an anomaly cost beyond the expected, split twice: by who moved and by what kind of change. Both add up to it,
to the pico-USD. Pure."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from math import gcd
from operator import itemgetter

from alerts.core.anomalies import Cause, find_cause
from alerts.core.facts import Mover, Part
from alerts.core.findings import to_decimal, to_usd
from billing.core.bridges import INPUT, TOKENS, Bridge, Use, explain_change

Kind = tuple[str, str, str]  # feature, provider, model: as the Overview's changes
Costs = Mapping[str, Mapping[str, tuple[int, int]]]  # by dimension, by value: usually and then, in pico-USD

FEATURE, MODEL = 0, 2
STEPS = tuple(step.name for step in fields(Bridge))
ALWAYS = ("price", "volume", "mix")  # the others only where they are something
MOVERS_MAX = 3  # of each dimension; all others are one
LITTLE = 100  # who moved less than this part of the impact is one of the others, but for the first
NAMES_MAX = 2
WHOLE_FROM = 10
ROUNDING = 1_000  # a step of less than this part of the impact is none that one would name
PERCENT = "\N{NARROW NO-BREAK SPACE}%"
NO_FEATURE = "what names no feature"


@dataclass(frozen=True, slots=True)
class Explanation:
    """movers: of each dimension its largest, and the rest as one; those of the cause's dimension first."""

    cause: Cause | None = None
    movers: tuple[Mover, ...] = ()
    parts: tuple[Part, ...] = ()


def explain_impact(
    *, impact: int, usual: Mapping[Kind, Use], then: Mapping[Kind, Use], costs: Costs, without: Container[str] = ()
) -> Explanation:
    """Who moved, and how. impact: in pico-USD, of all that was used `then`.

    usual: of any length: it is stretched until it costs what was expected, so that it says how that is made up. Where
    it cost nothing, all is new, and what was expected is shared as what came. costs: of further dimensions (key, user),
    of the same use. without: the dimensions that the anomaly's scope names.
    """
    after, before = (sum(use.cost for use in uses.values()) for uses in (then, usual))
    expected = after - impact
    has_usual = before > 0 and expected >= 0
    dimensions = {"feature": _sum_costs(usual, then, FEATURE), "model": _sum_costs(usual, then, MODEL)} | dict(costs)
    shared = {
        name: {value: (_stretch(one, has_usual, expected, before, after), one[1]) for value, one in values.items()}
        for name, values in dimensions.items()
        if name not in without
    }
    bridges, per = _explain_kinds(usual, then, stretch=(expected, before)) if has_usual else ({}, 1)
    cause = find_cause(shared, bridges=_sum_by_value(bridges))
    named = replace(cause, step_cost=round(Fraction(cause.step_cost, per))) if cause and cause.value else None
    order = sorted(shared, key=lambda name: named is None or name != named.dimension)
    telling = {name for name in order if len(shared[name]) > 1} or set(order)  # what has one value says least
    movers = [
        mover
        for name in order
        if name in telling
        for mover in _list_movers(shared[name], dimension=name, expected=expected, after=after)
    ]
    parts = _list_parts(bridges.values(), per=per, impact=impact) if has_usual else {"new": impact}
    stretch = Fraction(expected, before) if has_usual else Fraction(0)
    return Explanation(named, tuple(movers), _Words(usual, then, stretch, impact).write_parts(parts))


def _sum_costs(usual: Mapping[Kind, Use], then: Mapping[Kind, Use], place: int) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for number, uses in enumerate((usual, then)):
        for kind, use in uses.items():
            before, after = sums.get(kind[place], (0, 0))
            sums[kind[place]] = (before + use.cost, after) if number == 0 else (before, after + use.cost)
    return sums


def _stretch(costs: tuple[int, int], has_usual: bool, expected: int, before: int, after: int) -> int:
    """A value's part of what was expected."""
    if has_usual:
        return costs[0] * expected // before
    return costs[1] * expected // after if after else 0


def _explain_kinds(
    usual: Mapping[Kind, Use], then: Mapping[Kind, Use], *, stretch: tuple[int, int]
) -> tuple[dict[Kind, Bridge], int]:
    """The bridge of each kind, so many times too large: whole numbers lose nothing."""
    divisor = gcd(*stretch)
    times, per = stretch[0] // divisor, stretch[1] // divisor
    before = {kind: use * times for kind, use in usual.items()}
    after = {kind: use * per for kind, use in then.items()}
    return explain_change(before, after, family=itemgetter(FEATURE)), per


def _sum_by_value(bridges: Mapping[Kind, Bridge]) -> dict[tuple[str, str], Bridge]:
    sums: dict[tuple[str, str], Bridge] = defaultdict(Bridge)
    for kind, bridge in bridges.items():
        for key in (("feature", kind[FEATURE]), ("model", kind[MODEL])):
            sums[key] = Bridge(*(getattr(sums[key], step) + getattr(bridge, step) for step in STEPS))
    return sums


def _list_parts(bridges: Iterable[Bridge], *, per: int, impact: int) -> dict[str, int]:
    """By step, in pico-USD. The largest takes what rounding leaves, so that they are the impact."""
    each = list(bridges)
    parts = {name: round(Fraction(sum(getattr(bridge, name) for bridge in each), per)) for name in STEPS}
    largest = max(parts, key=lambda name: abs(parts[name]))
    parts[largest] += impact - sum(parts.values())
    return parts


def _list_movers(values: Mapping[str, tuple[int, int]], *, dimension: str, expected: int, after: int) -> list[Mover]:
    """Nobody, where none of those with a name moved."""
    risen = [value for value, (usual, then) in values.items() if value and then > usual]
    if not risen:
        return []
    first, *more = sorted(risen, key=lambda value: (values[value][0] - values[value][1], value))[:MOVERS_MAX]
    least = (after - expected) / LITTLE
    named = [first, *(value for value in more if values[value][1] - values[value][0] >= least)]
    usual_rest = expected - sum(values[value][0] for value in named)
    rest = after - sum(values[value][1] for value in named)
    if others := len(values) - len(named):
        last = [Mover(dimension, "", to_usd(usual_rest), to_usd(rest), _count_others(dimension, values, others))]
        spare = 0
    else:  # what sharing has rounded off is the first one's
        last, spare = [], usual_rest
    return [
        *(
            Mover(dimension, value, to_usd(values[value][0] + (spare if not place else 0)), to_usd(values[value][1]))
            for place, value in enumerate(named)
        ),
        *last,
    ]


def _count_others(dimension: str, values: Mapping[str, tuple[int, int]], others: int) -> str:
    """“214 users”, “3 models, and what names none”."""
    has_nameless = "" in values
    count = others - has_nameless
    told = [f"{count:,} {dimension}{'s' if count > 1 else ''}"] if count else []
    return ", and ".join([*told, *(["what names none"] if has_nameless else [])])


@dataclass(frozen=True, slots=True)
class _Words:
    """What kind of change it was, in words. stretch: what the usual is multiplied with to be the expected."""

    usual: Mapping[Kind, Use]
    then: Mapping[Kind, Use]
    stretch: Fraction
    impact: int

    def write_parts(self, parts: Mapping[str, int]) -> tuple[Part, ...]:
        return tuple(
            Part(name, to_usd(amount), self._describe(name, amount))
            for name, amount in parts.items()
            if amount or name in ALWAYS
        )

    def _describe(self, name: str, amount: int) -> str:
        match name:
            case "price":
                return self._describe_price(amount)
            case "volume":
                return ", ".join(self._list_times())
            case "mix":
                told = self._describe_share(("output_tokens",), TOKENS, "output was {} of all tokens, then {}")
                return told or self._describe_kinds(amount)
            case "cache":
                read = ("cache_read_tokens",)
                return self._describe_share(read, INPUT, "the cache gave {} of the input, then {}")
            case "new":
                return self._name_only_in(self.then, self.usual, "was not used before", "were not used before")
        return self._name_only_in(self.usual, self.then, "was not used then", "were not used then")

    def _describe_price(self, amount: int) -> str:
        what = "a token" if any(use.count(TOKENS) for use in self.then.values()) else "a call"
        if abs(amount) * ROUNDING <= abs(self.impact):
            return f"{what} cost the same"
        return f"{what} cost {'more' if amount > 0 else 'less'}"

    def _list_times(self) -> list[str]:
        """“7.4 times the calls”, and the tokens, where there were any to expect."""
        told = []
        for word, names in (("calls", ("calls",)), ("tokens", TOKENS)):
            before, after = (sum(use.count(names) for use in uses.values()) for uses in (self.usual, self.then))
            if before > 0 and self.stretch > 0:
                times = to_decimal(after / (before * self.stretch))
                told.append(f"{times:,.{0 if times >= WHOLE_FROM else 1}f} times the {word}")
        return told

    def _describe_kinds(self, amount: int) -> str:
        if abs(amount) * ROUNDING <= abs(self.impact):
            return "the same kinds of calls"
        return f"{'dearer' if amount > 0 else 'cheaper'} kinds of calls"

    def _describe_share(self, part: Sequence[str], whole: Sequence[str], words: str) -> str:
        """By percents, with a decimal below ten; '' where they do not tell it."""
        shares = []
        for uses in (self.usual, self.then):
            counted = sum(use.count(whole) for use in uses.values())
            percent = sum(use.count(part) for use in uses.values()) * 100 / counted if counted > 0 else 0
            shares.append(f"{percent:.{0 if percent >= WHOLE_FROM or not percent else 1}f}{PERCENT}")
        return words.format(*shares) if shares[0] != shares[1] else ""

    def _name_only_in(self, uses: Mapping[Kind, Use], others: Mapping[Kind, Use], one: str, several: str) -> str:
        known = {kind[FEATURE] for kind in others}
        names = sorted({kind[FEATURE] or NO_FEATURE for kind in uses if kind[FEATURE] not in known})
        if not names:
            return ""
        more = len(names) - NAMES_MAX
        told = ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
        return f"{told} {one if len(names) == 1 else several}"
