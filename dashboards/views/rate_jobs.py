"""Counts and re-ratings: all of them, and one with its steps."""

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from billing.rates import RateUnknown
from billing.reratings import JobRefused, JobUnknown, cancel_job, get_job, pause_job, resume_job, start_rerating
from dashboards.access import Seat, rate_keeper_required
from dashboards.frame import make_frame, make_link, read_number
from dashboards.rates.impact import find_rerating_under_way
from dashboards.rates.jobs import read_job_page, read_jobs_page

STEPS = {"pause": pause_job, "resume": resume_job, "cancel": cancel_job}
STATES_AFTER = {"pause": ("paused",), "resume": ("waiting", "running"), "cancel": ("cancelled",)}


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def show_rate_jobs(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Every job, latest first. By POST a re-rating of the version `rate` begins, with its `reason`."""
    refusal = ""
    if request.method == "POST":
        rate_id = read_number(request.POST, "rate")
        try:
            job_id = start_rerating(
                rate_id, reason=request.POST.get("reason", ""), requested_by=seat.actor, now=timezone.now()
            )
        except RateUnknown:
            raise Http404 from None
        except JobRefused as refused:
            under_way = find_rerating_under_way(rate_id) if refused.code == "job_under_way" else None
            if under_way is None:
                refusal = _say(refused)
            else:
                return redirect(make_link("rate_job", seat.link_query, under_way.id))
        else:
            return redirect(make_link("rate_job", seat.link_query, job_id))
    before_id = read_number(request.GET, "before") if "before" in request.GET else 0
    return render(
        request,
        "rates/jobs.html",
        {
            "frame": make_frame(seat, current="rates"),
            "page": read_jobs_page(seat=seat, before_id=before_id),
            "refusal": refusal,
            "back_href": make_link("rate_impact", seat.link_query, rate_id) if refusal else "",
            "now": timezone.now(),
            "rates_href": make_link("rates", seat.link_query),
            "first_href": make_link("rate_jobs", seat.link_query),
        },
        status=422 if refusal else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def show_rate_job(request: HttpRequest, seat: Seat, job_id: int) -> HttpResponse:
    """One job and how far it came; the part alone where it is asked for again. By POST it takes a `step`.

    A step that it took already leads to the page as it is.
    """
    refusal = ""
    if request.method == "POST":
        step = request.POST.get("step", "")
        if step not in STEPS:
            raise BadRequest(f"a step is one of {', '.join(STEPS)}")
        try:
            STEPS[step](job_id, actor=seat.actor, now=timezone.now())
        except JobUnknown:
            raise Http404 from None
        except JobRefused as refused:
            job = get_job(job_id)
            refusal = "" if job and job.state in STATES_AFTER[step] else _say(refused)
        if not request.htmx and not refusal:
            return redirect(make_link("rate_job", seat.link_query, job_id))
    now = timezone.now()
    page = read_job_page(job_id, seat=seat, now=now)
    if page is None:
        raise Http404
    context = {
        "page": page,
        "shown": page.shown,
        "job": page.shown.job,
        "record": page.shown.record,
        "refusal": refusal,
    }
    if request.htmx:
        return render(request, "rates/job_progress.html", context)
    return render(
        request,
        "rates/job.html",
        context
        | {
            "frame": make_frame(seat, current="rates"),
            "now": now,
            "rates_href": make_link("rates", seat.link_query),
            "jobs_href": make_link("rate_jobs", seat.link_query),
        },
        status=409 if refusal else 200,
    )


def _say(refused: JobRefused) -> str:
    """The reason as a sentence."""
    said = str(refused)
    return f"{said[:1].upper()}{said[1:]}."
