"""A run a night: each tenant's month and its parts are forecast and kept, and past months told what came."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db import connection

from alerts.budgets import list_budgets
from alerts.core.budgets import DAYS_FORECAST, Budget
from alerts.core.forecasts import History, PastForecast
from alerts.core.forecasts.histories import DAYS_USED_MAX
from alerts.core.outlooks import WHOLE, Event, Outlook, Scope, Window, find_month, look_ahead
from alerts.core.windows import find_window
from alerts.forecasts.crossings import open_crossings
from alerts.forecasts.days import Days, read_days, to_dollars, to_pico
from alerts.forecasts.events import list_events
from alerts.forecasts.records import Run, keep_runs, list_forecasts, list_past, settle_runs
from alerts.spending import read_spending
from billing.core.periods import start_of_day
from billing.job_runs import claim_slot, record_run
from billing.selectors import QueryRefused
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, list_tenants

DIMENSIONS = ("environment", "cost_center", "feature")
FORECAST_JOB = "forecast {tenant_id}"
NIGHT_BEGINS = timedelta(hours=1)  # after the day's end, when what is sent late has come
SETTLED_BACK = timedelta(days=400)  # an older month is not asked for any more

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Night:
    """What a run came to. settled: runs of past months that were told what came, or told anew."""

    runs: int
    without: int
    settled: int


class _Series(NamedTuple):
    """What is forecast: where its days are, and of which events it has its part; of a budget the limit, in pico-USD."""

    scope: Scope
    days: Days
    value: str
    events: Sequence[Event]
    window: Window
    limit: int | None = None


def find_night(now: datetime, *, timezone: str) -> date | None:
    """The day that a run of this moment is made on; None in the first hour, when the day before may lack calls."""
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    return today if now >= start_of_day(today, zone) + NIGHT_BEGINS else None


def make_forecasts_due(*, now: datetime) -> int:
    """Make the run of each tenant whose day has none yet, the tenant's own day; how many were made.

    A night that was missed is made up for by today's run alone: what would have been said then is not known now.
    """
    made = 0
    for tenant in list_tenants():
        night = find_night(now, timezone=tenant.timezone)
        if night is None:
            continue
        job, slot = FORECAST_JOB.format(tenant_id=tenant.id), start_of_day(night, ZoneInfo(tenant.timezone))
        if not claim_slot(job=job, slot=slot, now=now):
            continue
        try:
            done = make_forecasts(tenant=tenant, now=now)
        except Exception:  # the others' turn comes all the same; this one's slot is free again after its lease
            log.exception("forecasts of %s", tenant.slug)
            continue
        record_run(
            job=job, slot=slot, result=f"{done.runs} runs, {done.without} without a forecast, {done.settled} settled"
        )
        made += 1
    return made


def make_forecasts(*, tenant: TenantInfo, now: datetime) -> Night:
    """Forecast the month of `now`: of the tenant, its environments, cost centres and features; and budgets' windows.

    The first run of a day is kept, a second one adds only what that did not have. What months that are over came to is
    told to their runs, and again while the month before this one is over no longer than this.
    """
    month = find_month(now.astimezone(ZoneInfo(tenant.timezone)).date())
    first = _find_first_day(tenant, month)
    series = list(_list_series(tenant, month, first=first, now=now))
    past: dict[Scope, list[PastForecast]] = {}
    for kind in ("", *DIMENSIONS, "budget"):
        past |= list_past(tenant_id=tenant.id, before=month.first, kind=kind)
    runs = []
    for one in series:
        outlook = look_ahead(
            cut_history(one.days, one.value, one.window),
            month=one.window,
            today_cost=one.days.get_cost(one.value, month.today),
            events=one.events,
            past=past.get(one.scope, ()),
        )
        if isinstance(outlook, Outlook):
            run = make_run(outlook, scope=one.scope, made_at=now, complete_to=one.days.complete_to)
            if one.limit is not None:
                day = outlook.find_day_used_up(one.limit)
                run = replace(run, facts={**run.facts, "used_up_on": day.isoformat() if day else None})
            runs.append(run)
    with tenant_scope(tenant.id):
        keep_runs(runs, tenant_id=tenant.id)
        settled = _settle(tenant, month, first=first, series=series)
        _tell_budgets(runs, tenant=tenant)
        open_crossings(tenant=tenant, now=now)
    return Night(runs=len(runs), without=len(series) - len(runs), settled=settled)


def cut_history(days: Days, value: str, month: Window) -> History:
    """The days before today that a forecast uses."""
    first = min(month.first, month.today - timedelta(days=DAYS_USED_MAX))
    whole = days.get_history(value, end=month.today)
    return History(max(first, days.first), whole.costs[max((first - days.first).days, 0) :])


def make_run(outlook: Outlook, *, scope: Scope, made_at: datetime, complete_to: datetime) -> Run:
    """As it is kept: what the method says, whether or not the straight line is shown in its place."""
    forecast, record = outlook.forecast, outlook.record
    return Run(
        scope=scope,
        month=outlook.month.first,
        made_on=outlook.month.today,
        made_at=made_at,
        method=forecast.method,
        days_elapsed=outlook.month.days_elapsed,
        days_ahead=outlook.month.days_ahead,
        spent=to_dollars(outlook.spent),
        expected=to_dollars(forecast.expected),
        low=to_dollars(forecast.low),
        high=to_dollars(forecast.high),
        ceiling=to_dollars(forecast.ceiling),
        run_rate=to_dollars(forecast.run_rate),
        volatility=forecast.volatility,
        growth=forecast.growth,
        bias=record.bias,
        coverage=record.coverage,
        facts={"events": f"{to_dollars(sum(outlook.extras)):f}", "complete_to": complete_to.isoformat()},
    )


FIND_FIRST_UNSETTLED_SQL = """
    SELECT min(month) FROM forecast_run
    WHERE tenant_id = %(tenant_id)s AND actual IS NULL AND month < %(month)s AND month >= %(since)s
      AND scope_kind <> 'budget'"""


def _find_first_day(tenant: TenantInfo, month: Window) -> date:
    """From where on days are read: what a forecast uses, the month before, and older ones not settled in an outage."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            FIND_FIRST_UNSETTLED_SQL,
            {"tenant_id": tenant.id, "month": month.first, "since": month.first - SETTLED_BACK},
        )
        (unsettled,) = cursor.fetchone()
    before = find_month(month.first - timedelta(days=1)).first
    return min(before, month.today - timedelta(days=DAYS_USED_MAX), unsettled or before)


def _list_series(tenant: TenantInfo, month: Window, *, first: date, now: datetime) -> Iterator[_Series]:
    """Everything that is forecast of the tenant, by a statement for each dimension and each budget of several."""
    events = [event.known for event in list_events(tenant_id=tenant.id)]
    after = month.today + timedelta(days=1)
    known = {"": read_days(tenant=tenant, first=first, after=after)}
    yield _Series(WHOLE, known[""], "", events, month)
    for dimension in DIMENSIONS:
        try:
            days = read_days(tenant=tenant, first=first, after=after, by=dimension)
        except QueryRefused:  # more values in a day than any answer has
            continue
        known[dimension] = days
        for value in days.list_dearest():
            own = [event for event in events if event.counts_for({dimension: value})]
            yield _Series(Scope(dimension, value), days, value, own, month)
    budgets = [budget for budget in list_budgets(tenant_id=tenant.id) if budget.window in DAYS_FORECAST]
    spending = read_spending(tenant_id=tenant.id, budgets=budgets, now=now)
    for budget in budgets:
        window = find_budget_days(budget, tenant=tenant, now=now)
        since = min(first, window.first)
        found = _read_budget_days(budget, known, tenant=tenant, first=since, after=after)
        if found:
            own = [event for event in events if event.counts_for(budget.scope)]
            limit = to_pico(spending[budget.id].limit)
            yield _Series(Scope("budget", str(budget.id)), *found, own, window, limit)


def find_budget_days(budget: Budget, *, tenant: TenantInfo, now: datetime) -> Window:
    """The budget's window that goes on, by the tenant's days."""
    zone = ZoneInfo(tenant.timezone)
    start, end = find_window(budget.window, now, timezone=tenant.timezone, fiscal_month=tenant.fiscal_month)
    return Window(*(moment.astimezone(zone).date() for moment in (start, now, end)))


def _read_budget_days(
    budget: Budget, known: dict[str, Days], *, tenant: TenantInfo, first: date, after: date
) -> tuple[Days, str] | None:
    """What a budget counts by day, and under which value of it; None where days cannot be told, as of users in zones
    whose hours are not those of UTC."""
    dimension, value = next(iter(budget.scope.items()), ("", ""))
    if len(budget.scope) < 2 and dimension in known and known[dimension].first <= first:
        return known[dimension], value
    filters = {name: (wanted,) for name, wanted in budget.scope.items()}
    try:
        return read_days(tenant=tenant, first=first, after=after, filters=filters), ""
    except QueryRefused:
        return None


def _settle(tenant: TenantInfo, month: Window, *, first: date, series: Sequence[_Series]) -> int:
    """Tell the runs of months that are over what their days cost."""
    found = {one.scope: one for one in series}
    whole = {one.scope.kind: one.days for one in series}  # a value that cost nothing of late is still of its dimension
    came = []
    for run in list_forecasts(tenant_id=tenant.id, first=first, after=month.first, scope=None):
        one = found.get(run.scope)
        days = one.days if one else None if run.scope.kind == "budget" else whole.get(run.scope.kind)
        end = run.made_on + timedelta(days=run.days_ahead)
        if days is None or end > month.today:
            continue
        cost = days.sum_costs(one.value if one else run.scope.value, start=run.made_on, end=end)
        came.append((run.scope, run.made_on, to_dollars(cost)))
    return settle_runs(came, tenant_id=tenant.id)


TELL_BUDGETS_SQL = """
    UPDATE budget_window SET forecast = told.total
    FROM unnest(%(budget_ids)s::bigint[], %(starts)s::timestamptz[], %(totals)s::numeric[])
         AS told (budget_id, start, total)
    WHERE tenant_id = %(tenant_id)s AND budget_window.budget_id = told.budget_id AND window_start = told.start"""


def _tell_budgets(runs: Sequence[Run], *, tenant: TenantInfo) -> None:
    """Write each budget's forecast beside what was last seen spent of it."""
    of_budgets = [run for run in runs if run.scope.kind == "budget"]
    with connection.cursor() as cursor:
        cursor.execute(
            TELL_BUDGETS_SQL,
            {
                "tenant_id": tenant.id,
                "budget_ids": [int(run.scope.value) for run in of_budgets],
                "totals": [run.total for run in of_budgets],
                "starts": [start_of_day(run.month, ZoneInfo(tenant.timezone)) for run in of_budgets],
            },
        )
