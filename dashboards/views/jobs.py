"""The operator's watchdog: whether every periodic job does its work."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from billing.selectors.jobs import list_jobs
from dashboards.access import operator_required
from dashboards.frame import make_operator_frame


@require_safe
@operator_required
def show_jobs(request: HttpRequest) -> HttpResponse:
    """Each job of the timetable, with its last success."""
    now = timezone.now()
    jobs = list_jobs(settings.CELERY_BEAT_SCHEDULE, now=now)
    context = {
        "frame": make_operator_frame(request.user, current="jobs"),
        "jobs": jobs,
        "overdue": sum(job.is_overdue for job in jobs),
        "now": now,
    }
    return render(request, "jobs/page.html", context)
