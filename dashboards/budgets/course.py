"""The course of one budget: its window by the day or the hour against an even pace, and the windows before."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from alerts.core.budgets import Budget
from alerts.core.spending import Spending
from alerts.core.windows import find_window, find_window_before
from alerts.trials import read_costs
from billing.core.figures import write_exact
from billing.core.periods import has_whole_hours, start_of_day
from billing.selectors import CostQuery, get_billed_costs
from dashboards.budgets.standing import link_entries
from tenants.selectors import TenantInfo

PAST_WINDOWS = {"hour": 23, "day": 30, "week": 12, "month": 12, "quarter": 7, "year": 2}
TICKS_MAX = 16


@dataclass(frozen=True, slots=True)
class Step:
    """A day of the window, or an hour of a day's. spent and left: at its end, None where it is still to come."""

    start: datetime
    label: str
    cost: Decimal | None
    spent: Decimal | None
    pace: Decimal


@dataclass(frozen=True, slots=True)
class PastWindow:
    """A window that is over. percent: of its limit, rounded down."""

    start: datetime
    label: str
    limit: Decimal
    spent: Decimal
    percent: Decimal
    href: str

    @property
    def is_over(self) -> bool:
        return self.spent > self.limit


@dataclass(frozen=True, slots=True)
class Course:
    """steps: none for a window of an hour, and of a day in zones whose hours are not those of UTC."""

    steps: Sequence[Step]
    past: Sequence[PastWindow]


def read_course(
    budget: Budget,
    spending: Spending,
    *,
    tenant: TenantInfo,
    limits: Mapping[datetime, Decimal],
    now: datetime,
    link_query: Mapping[str, str],
) -> Course:
    """limits: of past windows by their start, as they were; of others the budget's amount stands for them.

    Two statements for a budget by the day, else one.
    """
    calendar = {"timezone": tenant.timezone, "fiscal_month": tenant.fiscal_month}
    starts = [spending.window_start]
    for _ in range(PAST_WINDOWS[budget.window]):
        starts.append(find_window_before(budget.window, starts[-1], **calendar)[0])
    costs = read_costs(budget, tenant_id=tenant.id, timezone=tenant.timezone, start=starts[-1], end=spending.window_end)
    sums: dict[datetime, Decimal] = defaultdict(Decimal)
    for moment, cost in costs:
        sums[find_window(budget.window, moment, **calendar)[0]] += cost
    first_spent = min(sums, default=spending.window_start)
    past = [
        _tell_past(
            budget,
            start,
            ends,
            spent=sums.get(start, Decimal(0)),
            limits=limits,
            now=now,
            tenant=tenant,
            link_query=link_query,
        )  # fmt: skip
        for ends, start in zip(starts, starts[1:], strict=False)
        if start >= first_spent or start in limits
    ]
    return Course(_list_steps(budget, spending, dict(costs), tenant=tenant, now=now), past)


def _tell_past(
    budget: Budget,
    start: datetime,
    end: datetime,
    *,
    spent: Decimal,
    limits: Mapping[datetime, Decimal],
    now: datetime,
    tenant: TenantInfo,
    link_query: Mapping[str, str],
) -> PastWindow:
    limit = limits.get(start, budget.amount)
    href = link_entries(budget, start, end, now=now, timezone=tenant.timezone, link_query=link_query)
    percent = (spent * 100 / limit).quantize(Decimal(1), ROUND_DOWN)
    return PastWindow(start, name_window(budget, start, end, timezone=tenant.timezone), limit, spent, percent, href)


def name_window(budget: Budget, start: datetime, end: datetime, *, timezone: str) -> str:
    """“November 2026”, “16–22 November 2026”, “22 November 2026”, “22 November, 14:00 UTC”."""
    if budget.window == "hour":
        return f"{start.day} {start:%B, %H:%M} UTC"
    first, last = (moment.astimezone(ZoneInfo(timezone)).date() for moment in (start, end - timedelta(microseconds=1)))
    if budget.window == "month":
        return f"{first:%B %Y}"
    if budget.window == "day":
        return f"{first.day} {first:%B %Y}"
    if first.month == last.month:
        return f"{first.day}–{last.day} {last:%B %Y}"
    return f"{first.day} {first:%b %Y} – {last.day} {last:%b %Y}"


def _list_steps(
    budget: Budget, spending: Spending, costs: Mapping[datetime, Decimal], *, tenant: TenantInfo, now: datetime
) -> list[Step]:
    zone = ZoneInfo(tenant.timezone)
    start, end = spending.window_start, spending.window_end
    if budget.window == "hour" or (budget.window == "day" and not has_whole_hours(start, end, zone)):
        return []
    if budget.window == "day":
        costs = _read_hours(budget, start, end, tenant=tenant)
        moments = [start + timedelta(hours=number) for number in range((end - start) // timedelta(hours=1))]
        labels = [f"{moment.astimezone(zone):%H:%M}" for moment in moments]
    else:
        days = (end - start + timedelta(hours=12)) // timedelta(days=1)
        first = start.astimezone(zone).date()
        dates = [first + timedelta(days=number) for number in range(days)]
        moments = [start_of_day(day, zone) for day in dates]
        labels = [f"{day.day} {day:%b}" for day in dates]
    length, spent, steps = Decimal((end - start).total_seconds()), Decimal(0), []
    for number, (moment, label) in enumerate(zip(moments, labels, strict=True)):
        after = moments[number + 1] if number + 1 < len(moments) else end
        pace = spending.limit * Decimal((after - start).total_seconds()) / length
        is_begun = moment <= now
        cost = costs.get(moment, Decimal(0)) if is_begun else None
        spent += cost or 0
        steps.append(Step(moment, label, cost, spent if is_begun else None, pace))
    return steps


def _read_hours(budget: Budget, start: datetime, end: datetime, *, tenant: TenantInfo) -> dict[datetime, Decimal]:
    query = CostQuery(
        tenant_id=tenant.id,
        start=start,
        end=end,
        granularity="hour",
        timezone=tenant.timezone,
        filters={name: (value,) for name, value in budget.scope.items()},
    )
    return {row.period_start: row.billed_cost for row in get_billed_costs(query).rows if row.period_start}


def make_chart_data(course: Course) -> dict[str, object]:
    """What `chart.js` reads: two lines, what was spent by then and the even pace."""
    labels = [step.label for step in course.steps]
    step_size = -(-len(labels) // TICKS_MAX) or 1
    return {
        "kind": "lines",
        "adds_up": False,
        "days": [step.start.date().isoformat() for step in course.steps],
        "labels": labels,
        "ticks": [{"index": i, "label": labels[i]} for i in range(0, len(labels), step_size)],
        "series": [
            {
                "name": "spent by then",
                "color": "1",
                "amounts": [None if step.spent is None else write_exact(step.spent) for step in course.steps],
                "link": None,
            },
            {
                "name": "at an even pace",
                "color": "none",
                "amounts": [write_exact(round(step.pace, 6)) for step in course.steps],
                "link": None,
            },
        ],
    }
