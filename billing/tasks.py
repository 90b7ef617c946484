"""Billing's periodic work; `finops/schedule.py` says when. A lost or doubled run changes nothing."""

import time
from collections.abc import Callable

from celery import shared_task
from django.utils import timezone

from billing import month_fees, reratings, rollups, spans
from billing.job_runs import beat_heart, claim_slot, find_daily_slot, record_run
from content.contents import prune_contents
from ledger.rejected import prune_rejected
from tenants.models import OPERATOR_SLUG
from tenants.selectors import TenantInfo, get_tenant, list_tenants

APPLY_SECONDS_MAX = 20
RATE_JOBS_SECONDS_MAX = 60
FEES_SECONDS_MAX = 3600
RECONCILE_SECONDS_MAX = 6 * 3600
PRUNE_CONTENTS_SECONDS_MAX = 3600


@shared_task(name="billing.apply_rollups")
def apply_rollups() -> None:
    """Adds all that waits by now, or goes on at the next ring; what comes meanwhile waits for that, to be added at
    once. May be rung after a booking; beat rings anyway.
    """
    give_way_at = time.monotonic() + APPLY_SECONDS_MAX
    last_id = rollups.find_last_waiting()
    while last_id and time.monotonic() < give_way_at:
        if not rollups.apply_batches(now=timezone.now(), last_id=last_id):
            break


@shared_task(name="billing.work_rate_jobs")
def work_rate_jobs() -> None:
    """Previews and re-ratings under way, a page each in turn; what is left goes on at the next ring."""
    give_way_at = time.monotonic() + RATE_JOBS_SECONDS_MAX
    while reratings.work_jobs(now=timezone.now()) and time.monotonic() < give_way_at:
        pass


@shared_task(name="billing.book_fees", soft_time_limit=FEES_SECONDS_MAX, time_limit=FEES_SECONDS_MAX + 60)
def book_fees() -> None:
    """What the months' quantities and the days make of prices; the difference to what is booked."""
    now = timezone.now()
    month_fees.book_month_fees(now=now, months_back=month_fees.count_months_back(now=now))
    month_fees.book_daily_fees(now=timezone.now())


@shared_task(name="billing.fold_intake")
def fold_intake() -> None:
    rollups.fold_intake()


@shared_task(name="billing.settle_traces")
def settle_traces() -> None:
    spans.settle_traces(now=timezone.now())


@shared_task(name="billing.beat_heart")
def keep_heart_beating() -> None:
    beat_heart(now=timezone.now())


@shared_task(
    name="billing.reconcile_rollups", soft_time_limit=RECONCILE_SECONDS_MAX, time_limit=RECONCILE_SECONDS_MAX + 60
)
def reconcile_rollups(*, hour: int, minute: int) -> None:
    """Once a day: every tenant's rollups against the ledger."""
    _run_daily("reconcile", _reconcile_every_tenant, hour=hour, minute=minute)


def _reconcile_every_tenant() -> str:
    results = [rollups.reconcile_rollups(tenant_id=tenant.id, now=timezone.now()) for tenant in _list_all_tenants()]
    return f"{len(results)} tenants, {sum(result.count for result in results)} differences"


@shared_task(name="billing.prune_calls_minute")
def prune_calls_minute(*, hour: int, minute: int) -> None:
    """Once a day."""
    _run_daily("prune calls_minute", _prune_minutes, hour=hour, minute=minute)


def _prune_minutes() -> str:
    now = timezone.now()
    return f"{sum(rollups.prune_calls_minute(tenant_id=tenant.id, now=now) for tenant in _list_all_tenants())} rows"


@shared_task(name="billing.prune_spans")
def prune_spans() -> None:
    """Every few minutes: what has no call of a model goes within the hour, everything after 30 days."""
    now = timezone.now()
    for tenant in _list_all_tenants():
        spans.prune_spans(tenant_id=tenant.id, now=now)


@shared_task(name="billing.prune_rejected_events")
def prune_rejected_events(*, hour: int, minute: int) -> None:
    """Once a day."""
    _run_daily("prune rejected_event", _prune_rejected, hour=hour, minute=minute)


def _prune_rejected() -> str:
    now = timezone.now()
    return f"{sum(prune_rejected(tenant_id=tenant.id, now=now) for tenant in _list_all_tenants())} rows"


@shared_task(
    name="billing.prune_contents",
    soft_time_limit=PRUNE_CONTENTS_SECONDS_MAX,
    time_limit=PRUNE_CONTENTS_SECONDS_MAX + 60,
)
def prune_kept_contents(*, hour: int, minute: int) -> None:
    """Once a day: also what is left of a tenant who turned it off. Its time being over, none of it was given out."""
    _run_daily("prune content", _prune_contents, hour=hour, minute=minute)


def _prune_contents() -> str:
    now = timezone.now()
    return f"{sum(prune_contents(tenant_id=tenant.id, now=now) for tenant in _list_all_tenants())} rows"


def _list_all_tenants() -> list[TenantInfo]:
    """Those that are charged, and the operator's own, whose keys send events too."""
    operator = get_tenant(OPERATOR_SLUG)
    return [*list_tenants(), *([operator] if operator else [])]


def _run_daily(job: str, work: Callable[[], str], *, hour: int, minute: int) -> None:
    """Do the work of today's slot, unless it was taken; the slot of a missed day is still there to take."""
    now = timezone.now()
    slot = find_daily_slot(now, hour=hour, minute=minute)
    if claim_slot(job=job, slot=slot, now=now):
        record_run(job=job, slot=slot, result=work())
