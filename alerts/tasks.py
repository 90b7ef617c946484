"""The periodic work of what watches; `finops/schedule.py` says when. A lost or doubled run changes nothing."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from alerts.decisions import fold_decisions
from alerts.deliveries import deliver_due, send_outgoing
from alerts.evaluation import evaluate_budgets
from alerts.forecasts import make_forecasts_due
from billing.job_runs import claim_slot, find_last_slot, forget_slots, record_run

EVALUATE_JOB = "evaluate budgets"
SLOTS_KEPT = timedelta(days=7)
FORECASTS_SECONDS_MAX = 3 * 3600


@shared_task(name="alerts.evaluate_budgets")
def evaluate_every_budget() -> None:
    """Once a minute, however many beats; the first run after an outage looks at the windows that ended in it too."""
    now = timezone.now()
    slot = now.replace(second=0, microsecond=0)
    since = find_last_slot(job=EVALUATE_JOB)
    if not claim_slot(job=EVALUATE_JOB, slot=slot, now=now):
        return
    done = evaluate_budgets(now=now, since=since)
    result = f"{done.windows} windows, {done.changed} changed, {done.opened} alerts opened, {done.resolved} resolved"
    record_run(job=EVALUATE_JOB, slot=slot, result=result)
    forget_slots(job=EVALUATE_JOB, before=slot - SLOTS_KEPT)


@shared_task(name="alerts.make_forecasts", soft_time_limit=FORECASTS_SECONDS_MAX, time_limit=FORECASTS_SECONDS_MAX + 60)
def make_every_forecast() -> None:
    """Those of each tenant whose day has ended and has none yet; at any other time it finds nothing to do."""
    make_forecasts_due(now=timezone.now())


@shared_task(name="alerts.fold_decisions")
def fold_quota_decisions() -> None:
    """What Redis has counted of quota checks, into the table."""
    fold_decisions(now=timezone.now())
