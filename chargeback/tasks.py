"""The periodic work of chargeback; `finops/schedule.py` says when. A lost or doubled run changes nothing."""

from celery import shared_task
from django.utils import timezone

from chargeback.exports.runs import export_due
from chargeback.reports.sending import send_reports

EXPORT_SECONDS = 50  # no day is begun after so long; the next knock goes on
EXPORT_SECONDS_MAX = 3 * 3600
REPORTS_SECONDS = 50
REPORTS_SECONDS_MAX = 600


@shared_task(name="chargeback.export_days", soft_time_limit=EXPORT_SECONDS_MAX, time_limit=EXPORT_SECONDS_MAX + 60)
def export_days() -> None:
    """Sends the days that are settled and not there yet, each by one worker."""
    export_due(clock=timezone.now, seconds=EXPORT_SECONDS)


@shared_task(name="chargeback.send_reports", soft_time_limit=REPORTS_SECONDS_MAX, time_limit=REPORTS_SECONDS_MAX + 60)
def send_due_reports() -> None:
    """Sends the weekly and monthly reports that are due, or due again; at any other time it finds nothing to do."""
    send_reports(clock=timezone.now, seconds=REPORTS_SECONDS)
