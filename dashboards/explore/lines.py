"""Columns, rows and lines of an answer, each figure with the address of its entries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.selectors import Quantities
from billing.selectors.quantities import subtract_quantities, sum_quantities
from dashboards.core.buckets import Bucket
from dashboards.core.periods import Period
from dashboards.core.shares import split_shares
from dashboards.dimensions import NAMELESS
from dashboards.explore.measures import MEASURES
from dashboards.explore.question import Question
from dashboards.frame import make_link

OTHER = "other"
NOTHING = Quantities()
COST = MEASURES["cost"]

Group = tuple[str, ...]
Amount = Decimal | int | None


@dataclass(frozen=True, slots=True)
class Cell:
    """An amount with the address of its entries, '' for a mixture."""

    amount: Amount
    href: str


@dataclass(frozen=True, slots=True)
class Series:
    """A column. color: 1 to 5, other, or none for what names nothing. group: None of Other, and where there is none."""

    name: str
    color: str
    group: Group | None
    total: Cell
    before: Amount
    share: Decimal | None
    change: Change | None


@dataclass(frozen=True, slots=True)
class Row:
    """A part of the period: a cell for each series, in their order."""

    bucket: Bucket
    cells: Sequence[Cell]
    total: Cell


@dataclass(frozen=True, slots=True)
class Line:
    """A group. names: of each dimension; hrefs: the page with this value alone. cost, before: None where unknown."""

    names: Sequence[str]
    hrefs: Sequence[str]
    calls: int
    unpriced_calls: int
    tokens: int
    cost: Amount
    per_call: Amount
    share: Decimal | None
    before: Amount
    change: Change | None
    href: str
    color: str = ""


def compare(now: Amount, before: Amount) -> Change | None:
    """None where either is not known."""
    if now is None or before is None:
        return None
    return compare_amounts(Decimal(now), Decimal(before))


class Writer:
    """Cells, columns and lines of one question, with their addresses."""

    def __init__(
        self, question: Question, link_query: Mapping[str, str], *, names: Mapping[tuple[str, str], str]
    ) -> None:
        self.question = question
        self.link_query = link_query
        self.names = names
        self.addresses: dict[tuple[object, ...], str] = {}

    def link(self, values: Mapping[str, str], days: Period | None = None, *, page: str = "ledger") -> str:
        """The entries, or another page, of the question with these values alone."""
        place = (page, *values.items())
        if place not in self.addresses:  # a page has hundreds of links that differ in their days alone
            question = self.question
            kept = {name: some for name, some in question.filters.items() if name not in values}
            query = {**self.link_query, **question.environment_query, **kept, **values}
            self.addresses[place] = make_link(page, query)
        dates = days or self.question.period
        return f"{self.addresses[place]}&from={dates.first}&to={dates.last}"

    def make_cell(self, sums: Quantities, values: Mapping[str, str], days: Period | None = None) -> Cell:
        return Cell(self.question.measure.read(sums), self.link(values, days) if sums.calls else "")

    def make_row(
        self, bucket: Bucket, columns: Sequence[Group | None], parts: Mapping[Group, Quantities], whole: Quantities
    ) -> Row:
        named = sum_quantities(parts.get(group, NOTHING) for group in columns if group is not None)
        cells = [
            self._make_cell_of(group, parts.get(group, NOTHING), bucket.days)
            if group is not None
            else Cell(self.question.measure.read(subtract_quantities(whole, named)), "")
            for group in columns
        ]
        return Row(bucket, cells, self.make_cell(whole, {}, bucket.days))

    def _make_cell_of(self, group: Group, sums: Quantities, days: Period) -> Cell:
        return self.make_cell(sums, self._get_values(group), days)

    def _get_values(self, group: Group) -> dict[str, str]:
        """The parameters that ask for a group; a user by the name that was sent, where there is one."""
        return {
            name: self.names.get((name, value), value) if name == "user" else value
            for name, value in zip(self.question.groups, group, strict=True)
        }

    def make_series(
        self,
        columns: Sequence[Group | None],
        colors: Mapping[Group, str],
        now: Mapping[Group, Quantities],
        before: Mapping[Group, Quantities],
        rest: Sequence[Group],
    ) -> list[Series]:
        read, adds_up = self.question.measure.read, self.question.measure.adds_up
        chosen = {group for group in columns if group is not None}
        sums_now = [now.get(group, NOTHING) if group is not None else _add_up(now, rest) for group in columns]
        sums_before = [
            before.get(group, NOTHING)
            if group is not None
            else _add_up(before, [each for each in before if each not in chosen])
            for group in columns
        ]
        amounts = [read(sums) for sums in sums_now]
        shares = split_shares([Decimal(amount or 0) for amount in amounts]) if adds_up and amounts else []
        return [
            Series(
                name=self.name_group(group) if group is not None else f"Other, {len(rest)}",
                color=colors[group] if group is not None else OTHER,
                group=group,
                total=self.make_cell(sums_now[i], self._get_values(group))
                if group is not None
                else Cell(amounts[i], ""),
                before=read(sums_before[i]) if sums_before[i].calls or adds_up else None,
                share=shares[i] if shares and amounts[i] is not None else None,
                change=compare(amounts[i], read(sums_before[i])),
            )
            for i, group in enumerate(columns)
        ]

    def name_group(self, group: Group) -> str:
        return " · ".join(self._name_all(group)) if group else self.question.measure.word

    def _name_all(self, group: Group) -> list[str]:
        return [
            self.names.get((name, value), value) or NAMELESS[name]
            for name, value in zip(self.question.groups, group, strict=True)
        ]

    def order_groups(self, now: Mapping[Group, Quantities], before: Mapping[Group, Quantities]) -> list[Group]:
        """The groups of either period, the most of what is measured first."""
        read = self.question.measure.read
        return sorted(
            {**now, **before},
            key=lambda group: (-(read(now.get(group, NOTHING)) or 0), -(read(before.get(group, NOTHING)) or 0), group),
        )

    def make_lines(
        self,
        groups: Sequence[Group],
        now: Mapping[Group, Quantities],
        before: Mapping[Group, Quantities],
        colors: Mapping[Group, str],
        *,
        count: int,
    ) -> list[Line]:
        """A line for each of the first `count` of all groups; shares are of all."""
        shares = split_shares([now.get(group, NOTHING).billed_cost for group in groups]) if groups else []
        return [
            self.make_line(
                group,
                now.get(group, NOTHING),
                before.get(group, NOTHING),
                share=share,
                color=colors.get(group, ""),
                href=self.link(self._get_values(group)),
            )
            for group, share in zip(groups[:count], shares, strict=False)
        ]

    def make_line(
        self,
        group: Group | None,
        now: Quantities,
        before: Quantities,
        *,
        name: str = "",
        share: Decimal | None = None,
        color: str = "",
        href: str = "",
    ) -> Line:
        cost, cost_before = COST.read(now), COST.read(before)
        values = self._get_values(group) if group is not None else {}
        return Line(
            names=self._name_all(group) if group is not None else [name],
            hrefs=[self.link({dimension: value}, page="explore") for dimension, value in values.items()],
            calls=now.calls,
            unpriced_calls=now.unpriced_calls,
            tokens=MEASURES["tokens"].read(now),
            cost=cost,
            per_call=MEASURES["per_call"].read(now),
            share=None if cost is None else share,
            before=cost_before,
            change=compare(cost, cost_before),
            href=href if now.calls else "",
            color=color,
        )


def _add_up(sums: Mapping[Group, Quantities], groups: Sequence[Group]) -> Quantities:
    return sum_quantities(sums[group] for group in groups if group in sums)
