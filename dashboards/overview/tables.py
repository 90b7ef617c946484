"""Cost by one dimension: lines with their share, what stood before, and the change in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.selectors import Quantities
from billing.selectors.groups import Group, Groups, get_known_cost
from dashboards.core.shares import split_shares
from dashboards.dimensions import NAMELESS, WORDS
from dashboards.links import EntryLinks

LINES_MAX = 10  # the rest is Other, until all are asked for
DIMENSIONS = {name: WORDS[name] for name in ("cost_center", "feature", "model")}
NOTHING = Quantities()

# What a heading sorts by; the name alone goes upwards.
SORTS = {
    "cost": lambda line: -(line.cost if line.cost is not None else Decimal(0)),
    "before": lambda line: -(line.before or 0),
    "change": lambda line: -(line.change.difference if line.change else 0),
    "name": lambda line: line.name.casefold(),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One row. group: the dimension's value, and for a model its provider. cost, before: None where unknown, for want
    of a price; change: None where one of them is.

    series: the colour of the chart, '' where the row is in no chart; share: in percent, None where there is none.
    """

    group: Group
    name: str
    under: str
    href: str
    calls: int
    unpriced_calls: int
    cost: Decimal | None
    before: Decimal | None
    change: Change | None
    series: str = ""
    share: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """other: the lines that are not shown, added up, None where all are; is_cast: its sum was compared with others."""

    dimension: str
    word: str
    lines: Sequence[Line]
    other: Line | None
    other_count: int
    total: Line
    is_cast: bool


def list_lines(
    dimension: str, now: Groups, before: Groups, *, links: EntryLinks, series: Mapping[Group, str]
) -> list[Line]:
    """A line for every group that either period has, the dearest first."""
    lines = [
        _make_line(dimension, group, now.get(group, NOTHING), before.get(group, NOTHING), links, series)
        for group in {**now, **before}
    ]
    return sorted(lines, key=lambda line: (-(line.cost or 0), -(line.before or 0), line.name))


def make_table(dimension: str, lines: Sequence[Line], *, sort: str, lines_max: int | None, proof: Decimal) -> Table:
    """The table of `lines`, which come dearest first. proof: what the same sum is by another way."""
    shown, rest = list(lines), []
    if lines_max is not None and len(lines) > lines_max + 1:  # one line alone is not worth an Other
        shown, rest = list(lines[:lines_max]), list(lines[lines_max:])
    shares = split_shares([line.cost or Decimal(0) for line in shown] + [_sum_costs(rest)])
    shown = [_with_share(line, share) for line, share in zip(shown, shares[:-1], strict=True)]
    other = _add_up_lines(f"Other, {len(rest)} more", rest, share=shares[-1]) if rest else None
    total = _add_up_lines("Total", lines, share=Decimal(100) if shares[0] is not None else None)
    return Table(
        dimension=dimension,
        word=DIMENSIONS[dimension],
        lines=sorted(shown, key=SORTS[sort]),
        other=other,
        other_count=len(rest),
        total=total,
        is_cast=_sum_costs(lines) == proof,
    )


def _make_line(
    dimension: str,
    group: Group,
    now: Quantities,
    before: Quantities,
    links: EntryLinks,
    series: Mapping[Group, str],
) -> Line:
    name, provider = group[0], group[1] if dimension == "model" else ""
    filters = {dimension: name, "provider": provider} if provider else {dimension: name}
    cost, cost_before = get_known_cost(now), get_known_cost(before)
    return Line(
        group=group,
        name=name or NAMELESS[dimension],
        under=provider,
        href=links.make(**filters),
        calls=now.calls,
        unpriced_calls=now.unpriced_calls,
        cost=cost,
        before=cost_before,
        change=None if cost is None or cost_before is None else compare_amounts(cost, cost_before),
        series=series.get(group[:1], ""),
    )


def _sum_costs(lines: Sequence[Line]) -> Decimal:
    return sum((line.cost for line in lines if line.cost is not None), Decimal(0))


def _add_up_lines(name: str, lines: Sequence[Line], *, share: Decimal | None) -> Line:
    cost = _sum_costs(lines)
    before = sum((line.before for line in lines if line.before is not None), Decimal(0))
    is_unknown = bool(lines) and all(line.cost is None for line in lines)
    return Line(
        group=(),
        name=name,
        under="",
        href="",
        calls=sum(line.calls for line in lines),
        unpriced_calls=sum(line.unpriced_calls for line in lines),
        cost=None if is_unknown else cost,
        before=before,
        change=compare_amounts(cost, before),
        share=share,
    )


def _with_share(line: Line, share: Decimal | None) -> Line:
    return replace(line, share=None if line.cost is None else share)
