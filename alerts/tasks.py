"""The periodic work of what watches; `finops/schedule.py` says when. A lost or doubled run changes nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta

from celery import shared_task
from django.utils import timezone

from alerts.anomalies.runs import watch_hours, watch_minutes
from alerts.anomalies.seals import watch_seals
from alerts.anomalies.telling import Told
from alerts.decisions import fold_decisions
from alerts.deliveries import deliver_due, send_outgoing
from alerts.evaluation import evaluate_budgets
from alerts.forecasts import make_forecasts_due
from billing.job_runs import claim_slot, find_last_slot, forget_slots, record_run
from billing.selectors.state import are_rollups_behind

EVALUATE_JOB = "evaluate budgets"
SLOTS_KEPT = timedelta(days=7)
HOUR_SETTLES = timedelta(minutes=5)
ROLLUPS_SETTLE = timedelta(minutes=1)
WATCH_SECONDS_MAX = 1_800
WATCH_LEASE = timedelta(seconds=WATCH_SECONDS_MAX + 120)  # no run goes on for longer
FORECASTS_SECONDS_MAX = 3 * 3600
DELIVER_SECONDS_MAX = 20


@shared_task(name="alerts.evaluate_budgets")
def evaluate_every_budget() -> None:
    """Once a minute, however many beats; the first run after an outage looks at the windows that ended in it too."""
    now = timezone.now()
    slot = now.replace(second=0, microsecond=0)
    since = find_last_slot(job=EVALUATE_JOB)
    if not claim_slot(job=EVALUATE_JOB, slot=slot, now=now):
        return
    has_all = not are_rollups_behind(before=now - ROLLUPS_SETTLE)
    done = evaluate_budgets(now=now, since=since)
    result = f"{done.windows} windows, {done.changed} changed, {done.opened} alerts opened, {done.resolved} resolved"
    _record(EVALUATE_JOB, slot, result, has_all=has_all)


@shared_task(name="alerts.deliver")
def deliver_alerts() -> None:
    """Delivers what is due, or goes on at the next ring. May be rung after an alert; beat rings anyway."""
    deliver_due(clock=timezone.now, seconds=DELIVER_SECONDS_MAX, send=send_outgoing)


@shared_task(name="alerts.watch_minutes", soft_time_limit=WATCH_SECONDS_MAX, time_limit=WATCH_SECONDS_MAX + 60)
def watch_every_minute() -> None:
    """Looks for anomalies of minutes; the first run after an outage looks at all that it has missed."""
    now = timezone.now()
    _watch("find anomalies of minutes", watch_minutes, slot=now.replace(second=0, microsecond=0), now=now)


@shared_task(name="alerts.watch_seals")
def watch_every_seal() -> None:
    """Tells what the sealer refuses. The same again changes nothing."""
    watch_seals(now=timezone.now())


@shared_task(name="alerts.watch_hours", soft_time_limit=WATCH_SECONDS_MAX, time_limit=WATCH_SECONDS_MAX + 60)
def watch_every_hour() -> None:
    """Looks for anomalies of hours, and of the days that ended in them, once an hour is over and its calls are in."""
    now = timezone.now()
    slot = (now - HOUR_SETTLES).replace(minute=0, second=0, microsecond=0)
    _watch("find anomalies of hours", watch_hours, slot=slot, now=now)


def _watch(job: str, work: Callable[..., Told], *, slot: datetime, now: datetime) -> None:
    """One slot once, however many beats knock."""
    since = find_last_slot(job=job)
    if (since is None or since < slot) and claim_slot(job=job, slot=slot, now=now, lease=WATCH_LEASE):
        has_all = not are_rollups_behind(before=now - ROLLUPS_SETTLE)
        _record(job, slot, str(work(now=now, since=since)), has_all=has_all)


def _record(job: str, slot: datetime, result: str, *, has_all: bool) -> None:
    """Keep a run as done; one that saw rollups without all that was booked is not: the next one looks as far back.

    So is one that died; that of an hour is made again once its lease is over.
    """
    if has_all:
        record_run(job=job, slot=slot, result=result)
    forget_slots(job=job, before=slot - SLOTS_KEPT)


@shared_task(name="alerts.make_forecasts", soft_time_limit=FORECASTS_SECONDS_MAX, time_limit=FORECASTS_SECONDS_MAX + 60)
def make_every_forecast() -> None:
    """Those of each tenant whose day has ended and has none yet; at any other time it finds nothing to do."""
    make_forecasts_due(now=timezone.now())


@shared_task(name="alerts.fold_decisions")
def fold_quota_decisions() -> None:
    """What Redis has counted of quota checks, into the table."""
    fold_decisions(now=timezone.now())
