"""What a rate would change, counted while one looks, or found again."""

from contextlib import suppress

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from billing.rates import RateUnknown
from billing.reratings import JobRefused, cancel_job, list_jobs
from dashboards.access import Seat, rate_keeper_required
from dashboards.frame import make_frame, make_link
from dashboards.rates.actors import name_actors
from dashboards.rates.impact import UNDER_WAY, RateImpact, name_tenant, read_impact, start_count


@require_http_methods(["GET", "HEAD", "POST"])
@rate_keeper_required
def show_rate_impact(request: HttpRequest, seat: Seat, rate_id: int) -> HttpResponse:
    """The count and how far it came; the part alone where another page asks for it. By POST it begins, or ends."""
    now = timezone.now()
    if request.method == "POST":
        _take_step(request, seat, rate_id)
        if not request.htmx:
            return redirect(make_link("rate_impact", seat.link_query, rate_id))
    impact = read_impact(rate_id, seat=seat, now=now)
    if impact is None:
        raise Http404
    context = {
        "impact": impact,
        "record": impact.record,
        "now": now,
        "asked_by": name_actors([impact.job.requested_by])[impact.job.requested_by] if impact.job else "",
        "here": make_link("rate_impact", seat.link_query, rate_id),
        "rerate_href": make_link("rate_jobs", seat.link_query),
        "rerating_href": make_link("rate_job", seat.link_query, impact.rerating.id) if impact.rerating else "",
    }
    if request.htmx:
        return render(request, "rates/impact.html", context)
    return render(
        request,
        "rates/impact_page.html",
        context
        | {
            "frame": make_frame(seat, current="rates"),
            "rates_href": make_link("rates", seat.link_query),
            "model_href": make_link("rate_model", seat.link_query, impact.record.provider, impact.record.model),
            "jobs_href": make_link("rate_jobs", seat.link_query),
            "tenant": name_tenant(impact.record.tenant_id, seat),
            "reratings": _list_reratings(impact, seat),
        },
    )


def _take_step(request: HttpRequest, seat: Seat, rate_id: int) -> None:
    now = timezone.now()
    match request.POST.get("act"):
        case "count":
            try:
                start_count(rate_id, seat=seat, now=now)
            except RateUnknown:
                raise Http404 from None
        case "cancel":
            for job in list_jobs(rate_version_id=rate_id, kinds=["preview", "projection"], limit=10):
                if job.state in UNDER_WAY:
                    _cancel(job.id, seat)
        case _:
            raise BadRequest("an act is count or cancel")


def _cancel(job_id: int, seat: Seat) -> None:
    with suppress(JobRefused):  # it was done a moment ago: the page shows what it found
        cancel_job(job_id, actor=seat.actor, now=timezone.now())


def _list_reratings(impact: RateImpact, seat: Seat) -> list[tuple[str, object]]:
    """The rate's re-ratings with their pages, latest first."""
    jobs = list_jobs(rate_version_id=impact.record.id, kinds=["rerating"], limit=10)
    return [(make_link("rate_job", seat.link_query, job.id), job) for job in jobs]
