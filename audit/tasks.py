"""Audit's periodic work."""

from celery import shared_task
from django.utils import timezone

from audit.export_jobs import work_exports

EXPORTS_SECONDS_MAX = 6 * 3600


@shared_task(name="audit.work_exports", soft_time_limit=EXPORTS_SECONDS_MAX, time_limit=EXPORTS_SECONDS_MAX + 60)
def make_exports() -> None:
    """Long months' archives, each by one worker. What a lost run left the next begins anew."""
    work_exports(clock=timezone.now)
