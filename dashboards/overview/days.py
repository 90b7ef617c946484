"""The daily bars, and the same numbers as a table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing.core.figures import write_exact
from billing.selectors import BilledCost, BilledCosts
from billing.selectors.groups import Group
from dashboards.core.periods import Period
from dashboards.dimensions import NAMELESS
from dashboards.links import EntryLinks
from dashboards.overview.outlook import DayAhead

SERIES_MAX = 5  # the rest is Other
OTHER = "other"
NONE = "none"
TICK_DAYS = (1, 2, 7, 14, 28)
TICKS_MAX = 8


@dataclass(frozen=True, slots=True)
class Series:
    """A colour of the chart, 1 to 5, other or none (what names nothing); value: the dimension's, None of Other.

    href: its entries of all days, '' for a mixture. A later `from` and `to` in it choose a day.
    """

    name: str
    color: str
    value: str | None
    total: Decimal
    href: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """A cell: a day's cost in one series, with its entries' address, '' for a mixture."""

    cost: Decimal
    href: str


@dataclass(frozen=True, slots=True)
class Day:
    """A row: an amount for each series, in their order."""

    day: date
    amounts: Sequence[Amount]
    total: Amount


@dataclass(frozen=True, slots=True)
class DailyCosts:
    """by: the dimension; colors: the series' colour by group; total: of all days, up to `complete_to`."""

    by: str
    series: Sequence[Series]
    days: Sequence[Day]
    total: Decimal
    complete_to: datetime

    @property
    def colors(self) -> Mapping[Group, str]:
        return {(series.value,): series.color for series in self.series if series.value is not None}


def choose_series(totals: Mapping[str, Decimal]) -> tuple[list[str], list[str]]:
    """The dearest five of the dimension's values, and the rest of those that name something."""
    named = sorted((value for value in totals if value), key=lambda value: (-totals[value], value))
    return named[:SERIES_MAX], named[SERIES_MAX:]


def make_daily_costs(
    *,
    chosen_costs: BilledCosts,
    all_costs: BilledCosts,
    totals: Mapping[str, Decimal],
    by: str,
    period: Period,
    timezone: str,
    links: EntryLinks,
) -> DailyCosts:
    """The days of `period`, every one of them, with the five dearest values of `by`, Other, and what names none.

    totals: of the period by value. chosen_costs: by day, of the values that `choose_series` chose and of '' at least.
    all_costs: by day, of all values, together or apart; what of it is in no chosen value is Other.
    """
    chosen, rest = choose_series(totals)
    series = [
        Series(value, str(i), value, totals[value], links.make(**{by: value}))
        for i, value in enumerate(chosen, start=1)
    ]
    if rest:
        series.append(Series(f"Other, {len(rest)}", OTHER, None, sum((totals[v] for v in rest), Decimal(0))))
    if "" in totals:
        series.append(Series(NAMELESS[by], NONE, "", totals[""], links.make(**{by: ""})))

    zone = ZoneInfo(timezone)
    cells = {(_find_day(row, zone), row.group[0]): row.billed_cost for row in chosen_costs.rows}
    whole: dict[date, Decimal] = defaultdict(Decimal)
    for row in all_costs.rows:
        whole[_find_day(row, zone)] += row.billed_cost
    days = [_make_day(day, cells, whole[day], series, by, links) for day in period.list_days()]
    return DailyCosts(by, series, days, sum((day.total.cost for day in days), Decimal(0)), all_costs.complete_to)


def _find_day(row: BilledCost, zone: ZoneInfo) -> date:
    return row.period_start.astimezone(zone).date()


def _make_day(
    day: date,
    cells: Mapping[tuple[date, str], Decimal],
    whole: Decimal,
    series: Sequence[Series],
    by: str,
    links: EntryLinks,
) -> Day:
    named = [cells.get((day, one.value), Decimal(0)) for one in series if one.value is not None]
    amounts = [
        Amount(whole - sum(named, Decimal(0)), "")
        if one.value is None
        else _make_amount(cells.get((day, one.value), Decimal(0)), links, day, **{by: one.value})
        for one in series
    ]
    return Day(day, amounts, _make_amount(whole, links, day))


def _make_amount(cost: Decimal, links: EntryLinks, day: date, **filters: str) -> Amount:
    return Amount(cost, links.make(day=day, **filters) if cost else "")


def make_chart_data(daily: DailyCosts, ahead: Sequence[DayAhead] = ()) -> dict[str, object]:
    """What the chart's script reads: exact amounts as text. ahead: of days that are not over."""
    booked = [day.day for day in daily.days]
    days = sorted({*booked, *(day.day for day in ahead)})
    step = next((step for step in TICK_DAYS if len(days) / step <= TICKS_MAX), len(days) // TICKS_MAX)
    rest = ["0"] * (len(days) - len(booked))
    return {
        "days": [day.isoformat() for day in days],
        "labels": [f"{day:%a} {day.day} {day:%b}" for day in days],
        "ticks": [
            {"index": days.index(day), "label": f"{day:%a} {day.day}" if len(days) <= 31 else f"{day.day} {day:%b}"}
            for day in _choose_ticks(days, step)
        ],
        "series": [
            {
                "name": series.name,
                "color": series.color,
                "amounts": [write_exact(day.amounts[i].cost) for day in daily.days] + rest,
                "link": series.href,
            }
            for i, series in enumerate(daily.series)
        ],
        **({"forecast": _write_band(days, ahead)} if ahead else {}),
    }


def _write_band(days: Sequence[date], ahead: Sequence[DayAhead]) -> dict[str, list[str | None]]:
    known = {day.day: day for day in ahead}
    return {
        name: [write_exact(getattr(known[day], name)) if day in known else None for day in days]
        for name in ("expected", "low", "high")
    }


def _choose_ticks(days: Sequence[date], step: int) -> list[date]:
    """Every `step` days; weeks begin on their Monday."""
    start = next((i for i, day in enumerate(days) if day.weekday() == 0), 0) if step % 7 == 0 else 0
    return list(days[start::step])
