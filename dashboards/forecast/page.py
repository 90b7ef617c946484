"""What the page Forecast reads, as it stands at this moment; amounts in USD."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from alerts.budgets import list_budgets
from alerts.core.budgets import Budget
from alerts.core.forecasts.track_records import OWN_ERRORS_MIN, RECORDED_DAYS
from alerts.core.outlooks import Outlook, find_scope
from alerts.core.spending import Spending
from alerts.forecasts import (
    KeptEvent,
    MonthView,
    Run,
    count_missed_nights,
    list_events,
    list_forecasts,
    list_outlooks,
    read_month,
)
from alerts.forecasts.days import to_dollars
from alerts.spending import read_spending
from billing.selectors import QueryRefused, list_dimension_values
from dashboards.access import Seat
from dashboards.core.periods import ONE_DAY, Period
from dashboards.dimensions import NAMELESS
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from dashboards.links import EntryLinks, make_entry_links

PARTS_BY = {"cost_center": "Cost centre", "feature": "Feature"}
LINES_MAX = 15  # the rest is Other
MONTHS_MAX = 12
RECORD_DAYS = 400
METHOD_WORDS = {
    "mean_of_seven": "the mean of the last seven days, each clipped to half and twice their median",
    "mean_of_four_weeks": "the mean of four weeks, times what the weekday usually takes",
    "weekday_level": "what the level is now, times what the weekday usually takes",
    "run_rate": "the straight line: so far the method did no better than it",
}
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the month: what is booked of it, and from today on what is expected, in the range's two ends."""

    day: date
    booked: Decimal | None
    href: str
    expected: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the whole month. coverage, bias, growth, skill: percent, None where they cannot be said."""

    expected: Decimal
    low: Decimal
    high: Decimal
    ceiling: Decimal
    run_rate: Decimal
    method: str
    growth: Decimal | None
    rest: Decimal
    rest_low: Decimal
    rest_high: Decimal


@dataclass(frozen=True, slots=True)
class Part:
    """A cost centre or a feature, forecast by itself; expected: None where there is too little to go by."""

    name: str
    href: str
    booked: Decimal
    expected: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    growth: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PastMonth:
    """A month that is over: what it came to, and by how many percent it was missed, seen from each of RECORDED_DAYS."""

    month: date
    actual: Decimal
    misses: Sequence[tuple[int, Decimal | None]]
    nights: int


@dataclass(frozen=True, slots=True)
class Record:
    """How forecasts of months that are over did; percentages.

    errors, near: after each of RECORDED_DAYS, None without a run.
    missed: nights of this month and those shown on which no forecast was made.
    """

    months: Sequence[PastMonth]
    errors: Sequence[tuple[int, Decimal | None]]
    near: Sequence[tuple[int, Decimal | None]]
    forecasts: int
    forecasts_needed: int
    bias: Decimal | None
    coverage: Decimal | None
    skill: Decimal | None
    nights: int
    missed: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget of the month. expected, used_up_on: by last night's forecast; None before it, or where it lasts."""

    budget: Budget
    href: str
    spending: Spending
    expected: Decimal | None
    used_up_on: date | None
    made_on: date | None


@dataclass(frozen=True, slots=True)
class ForecastPage:
    """figures: None where nothing can be forecast, `reason` says why. values: what occurs, by dimension."""

    month: MonthView
    period: Period
    filters: Mapping[str, str]
    booked: Decimal
    spent: Decimal
    figures: Figures | None
    reason: str
    days: Sequence[Day]
    parts_by: str
    parts: Sequence[Part]
    other: Part | None
    parts_expected: Decimal | None
    record: Record
    events: Sequence[KeptEvent]
    counted: frozenset[int]
    budgets: Sequence[BudgetLine]
    values: Mapping[str, Sequence[str]]
    links: EntryLinks
    complete_to: datetime

    @property
    def last_day(self) -> date:
        return self.period.last

    @property
    def days_left(self) -> int:
        return self.month.month.days_ahead


def read_forecast_page(seat: Seat, *, filters: Mapping[str, str], parts_by: str, now: datetime) -> ForecastPage:
    """The page of what has the values of `filters`, read in a number of statements that does not depend on how much."""
    tenant = seat.tenant
    events = list_events(tenant_id=tenant.id)
    view = read_month(tenant=tenant, now=now, events=events, filters=filters)
    month = view.month
    period = Period(month.first, month.after)
    base = {**seat.link_query, "environment": filters.get("environment") or ALL_ENVIRONMENTS}
    narrowed = {name: value for name, value in filters.items() if name != "environment"}
    links = make_entry_links({**base, **narrowed}, Period(month.first, month.today + ONE_DAY))
    outlook = view.outlook if isinstance(view.outlook, Outlook) else None
    parts, other = _read_parts(seat, filters=filters, by=parts_by, events=events, now=now, base=base)
    expected = [
        part.expected if part.expected is not None else part.booked for part in (*parts, *([other] if other else []))
    ]
    return ForecastPage(
        month=view,
        period=period,
        filters=filters,
        booked=to_dollars(view.booked),
        spent=to_dollars(sum(view.days[:-1])),
        figures=_make_figures(outlook) if outlook else None,
        reason="" if outlook else view.outlook.reason,
        days=_list_days(view, outlook, links),
        parts_by=parts_by,
        parts=parts,
        other=other,
        parts_expected=sum(expected, Decimal(0)) if expected else None,
        record=_read_record(seat, view, filters),
        events=events,
        counted=frozenset(event.id for event in events if event.known.counts_for(filters)),
        budgets=_read_budgets(seat, month_first=month.first, now=now),
        values=_list_values(seat, month.first, month.today),
        links=links,
        complete_to=view.complete_to,
    )


def _make_figures(outlook: Outlook) -> Figures:
    band = outlook.list_band()
    return Figures(
        expected=to_dollars(outlook.expected),
        low=to_dollars(outlook.low),
        high=to_dollars(outlook.high),
        ceiling=to_dollars(outlook.ceiling),
        run_rate=to_dollars(outlook.run_rate),
        method=METHOD_WORDS[outlook.method],
        growth=to_percent(outlook.forecast.growth),
        rest=to_dollars(sum(outlook.daily)),
        rest_low=to_dollars(sum(low for low, _ in band)),
        rest_high=to_dollars(sum(high for _, high in band)),
    )


def _list_days(view: MonthView, outlook: Outlook | None, links: EntryLinks) -> list[Day]:
    """Every day of the month, booked up to today and expected from today on."""
    month, days = view.month, []
    band = outlook.list_band() if outlook else []
    for place in range((month.after - month.first).days):
        day = month.first + timedelta(days=place)
        cost = to_dollars(view.days[place]) if day <= month.today else None
        ahead = (day - month.today).days
        figures = (None, None, None)
        if outlook and ahead >= 0:
            figures = (outlook.daily[ahead], *band[ahead])
        days.append(
            Day(
                day,
                cost,
                links.make(day=day) if cost else "",
                *(None if figure is None else to_dollars(figure) for figure in figures),
            )
        )
    return days


def _read_parts(
    seat: Seat,
    *,
    filters: Mapping[str, str],
    by: str,
    events: Sequence[KeptEvent],
    now: datetime,
    base: Mapping[str, str],
) -> tuple[list[Part], Part | None]:
    """The dearest, and the rest as one; none where there are more values than any answer has."""
    try:
        views, beyond = list_outlooks(tenant=seat.tenant, now=now, by=by, events=events, filters=filters)
    except QueryRefused:
        return [], None
    lines = [
        _make_part(view, name=value or NAMELESS[by], href=make_link("forecast", {**base, **filters, by: value} | base))
        for value, view in views.items()
        if view.booked or isinstance(view.outlook, Outlook)
    ]
    lines.sort(key=lambda part: -(part.expected if part.expected is not None else part.booked))
    count = len(lines) if len(lines) <= LINES_MAX + 1 else LINES_MAX
    rest, beyond_cost = lines[count:], to_dollars(sum(beyond))
    if not rest and not beyond_cost:
        return lines, None
    known = [part.expected if part.expected is not None else part.booked for part in rest]
    booked = sum((part.booked for part in rest), beyond_cost)
    return lines[:count], Part(f"Other, {len(rest)} more", "", booked, sum(known, beyond_cost))


def _make_part(view: MonthView, *, name: str, href: str) -> Part:
    outlook, booked = view.outlook, to_dollars(view.booked)
    if not isinstance(outlook, Outlook):
        return Part(name, href, booked)
    ends = (to_dollars(end) for end in (outlook.expected, outlook.low, outlook.high))
    return Part(name, href, booked, *ends, to_percent(outlook.forecast.growth))


def _read_record(seat: Seat, view: MonthView, filters: Mapping[str, str]) -> Record:
    scope, month, record = find_scope(filters), view.month, view.record
    runs: list[Run] = []
    if scope is not None:
        first = month.first - timedelta(days=RECORD_DAYS)
        runs = list_forecasts(tenant_id=seat.tenant.id, first=first, after=month.today + ONE_DAY, scope=scope)
    by_day = {day.days_elapsed: day for day in record.days}
    return Record(
        months=_list_months(runs),
        errors=[(day, to_percent(by_day[day].error) if day in by_day else None) for day in RECORDED_DAYS],
        near=[(day, to_percent(by_day[day].near) if day in by_day else None) for day in RECORDED_DAYS],
        forecasts=record.forecasts,
        forecasts_needed=OWN_ERRORS_MIN,
        bias=to_percent(record.bias),
        coverage=to_percent(record.coverage),
        skill=to_percent(record.skill),
        nights=len(runs),
        missed=count_missed_nights(runs, until=month.today),
        is_kept=scope is not None,
    )


def _list_months(runs: Sequence[Run]) -> list[PastMonth]:
    """The newest first."""
    by_month: dict[date, list[Run]] = defaultdict(list)
    for run in runs:
        if run.actual is not None:
            by_month[run.month].append(run)
    months = []
    for month, found in sorted(by_month.items(), reverse=True)[:MONTHS_MAX]:
        latest = found[-1]
        total = latest.spent + (latest.actual or 0)
        seen = {run.days_elapsed: run for run in found}
        misses = [
            (day, (seen[day].total - total) * HUNDRED / total if day in seen and total > 0 else None)
            for day in RECORDED_DAYS
        ]
        months.append(PastMonth(month, total, misses, len(found)))
    return months


def _read_budgets(seat: Seat, *, month_first: date, now: datetime) -> list[BudgetLine]:
    """The tenant's budgets by the month, whatever the page is about."""
    tenant = seat.tenant
    budgets = [budget for budget in list_budgets(tenant_id=tenant.id) if budget.window == "month"]
    spending = read_spending(tenant_id=tenant.id, budgets=budgets, now=now)
    runs = list_forecasts(tenant_id=tenant.id, first=month_first, after=month_first + timedelta(days=31), kind="budget")
    latest = {int(run.scope.value): run for run in runs if run.month == month_first}
    return [
        _make_budget_line(
            budget,
            spending[budget.id],
            latest.get(budget.id),
            href=make_link("budget", seat.link_query, budget.id),
        )
        for budget in budgets
    ]


def _make_budget_line(budget: Budget, spending: Spending, run: Run | None, *, href: str) -> BudgetLine:
    if run is None:
        return BudgetLine(budget, href, spending, None, None, None)
    used_up_on = run.facts.get("used_up_on")
    return BudgetLine(
        budget,
        href,
        spending,
        max(run.total, spending.spent),
        date.fromisoformat(str(used_up_on)) if used_up_on else None,
        run.made_on,
    )


def _list_values(seat: Seat, first: date, today: date) -> dict[str, Sequence[str]]:
    zone = Period(first, today + ONE_DAY).get_bounds(seat.tenant.timezone)
    found = list_dimension_values(tenant_id=seat.tenant.id, start=zone[0], end=zone[1])
    return {name: found.get(name, ()) for name in ("environment", "cost_center", "feature")}


def to_percent(share: float | None) -> Decimal | None:
    """A share of 1 as percent, to a hundredth."""
    return None if share is None else Decimal(f"{share * 100:.2f}")
