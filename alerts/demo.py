"""The demo's past nights: what would have been forecast on each, from the days that were over then."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.core.forecasts import PastForecast
from alerts.core.outlooks import WHOLE, Outlook, Scope, find_month, look_ahead
from alerts.forecasts.days import Days, read_days, to_dollars
from alerts.forecasts.events import EventTerms, add_event, list_events
from alerts.forecasts.nightly import DIMENSIONS, NIGHT_BEGINS, cut_history, make_run
from alerts.forecasts.records import Run, keep_runs, settle_runs
from billing.core.periods import start_of_day
from tenants.selectors import TenantInfo

ACTOR = "the demo"
FIRST_AFTER = timedelta(days=14)  # of the first day: from then on weekdays are known
LAUNCH_IN = timedelta(days=4)
LAUNCH = {"acme": ("code-assistant", Decimal("6"), "Code assistant opened to contractors")}


def seed_forecasts(*, tenant: TenantInfo, days: int, now: datetime) -> int:
    """Keep the runs of a demo tenant's nights before today, those there are already left; how many were made.

    They are made of the days as they are known now: simulated, like all of the demo.
    """
    zone = ZoneInfo(tenant.timezone)
    today = now.astimezone(zone).date()
    first = today - timedelta(days=days)
    found = {"": read_days(tenant=tenant, first=first, after=today)}
    found |= {name: read_days(tenant=tenant, first=first, after=today, by=name) for name in DIMENSIONS}
    nights = [first + FIRST_AFTER + timedelta(days=number) for number in range((today - first - FIRST_AFTER).days)]
    runs: list[Run] = []
    for dimension, known in found.items():
        for value in known.list_dearest() if dimension else [""]:
            scope = Scope(dimension, value) if dimension else WHOLE
            runs += _make_runs(known, scope, nights, zone=zone)
    keep_runs(runs, tenant_id=tenant.id)
    settle_runs([(run.scope, run.made_on, run.actual) for run in runs if run.actual is not None], tenant_id=tenant.id)
    _add_launch(tenant, today=today, now=now)
    return len(runs)


def _make_runs(known: Days, scope: Scope, nights: Sequence[date], *, zone: ZoneInfo) -> Iterator[Run]:
    """A run for each night on which there was enough to go by, with what came where its month is over."""
    past: list[PastForecast] = []
    waiting: list[Run] = []
    for night in nights:
        month = find_month(night)
        if waiting and waiting[0].month < month.first:
            past, waiting = [*past, *(run.past for run in waiting)], []
        outlook = look_ahead(cut_history(known, scope.value, month), month=month, today_cost=0, events=(), past=past)
        if not isinstance(outlook, Outlook):
            continue
        made_at = start_of_day(night, zone) + NIGHT_BEGINS
        run = make_run(outlook, scope=scope, made_at=made_at, complete_to=made_at)
        if month.after <= known.after:
            cost = known.sum_costs(scope.value, start=night, end=month.after)
            run = replace(run, actual=to_dollars(cost))
            waiting.append(run)
        yield run


def _add_launch(tenant: TenantInfo, *, today: date, now: datetime) -> None:
    """Something known beforehand, once."""
    if tenant.slug in LAUNCH and not list_events(tenant_id=tenant.id):
        feature, amount, note = LAUNCH[tenant.slug]
        terms = EventTerms(today + LAUNCH_IN, amount, note, feature=feature)
        add_event(terms, tenant_id=tenant.id, actor=ACTOR, now=now)
