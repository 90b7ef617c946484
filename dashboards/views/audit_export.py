"""A month's evidence archive: sent at once where it is there or soon made, else made by a worker, with its progress."""

from datetime import date, datetime

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from audit.entries import write_leaves
from audit.export_jobs import ask_export, get_export, open_made
from audit.exports import KEPT_FOR, open_bundle
from audit.rows import is_long
from audit.sealed_months import PeriodEmpty, PeriodUnsealed, SealedMonth, find_sealed_month
from dashboards.access import Seat, member_required
from dashboards.audit.downloads import name_bundle
from dashboards.audit.files import send_file
from dashboards.audit.periods import read_month
from dashboards.frame import make_frame, make_link
from ledger.sealing.proofs import TreeTorn

ENTRIES_AT_ONCE = 50_000  # whose archive a page waits for


@require_safe
@member_required
def export_bundle(request: HttpRequest, seat: Seat) -> HttpResponseBase:
    """The archive; of a long month the page that has it made, because to look whether it is there takes long too."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    if is_long(tenant_id=seat.tenant.id, period=month, most=ENTRIES_AT_ONCE):
        return redirect(make_link("audit_export", seat.link_query | {"period": f"{month:%Y-%m}"}))
    file = open_bundle(_find_sealed(seat, month, now=now))
    return send_file(file.content, name=file.name, content_type="application/zip", size=file.size)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_export(request: HttpRequest, seat: Seat) -> HttpResponse:
    """How far a long month's archive is; by POST it is asked for. The part that changes alone, where the page asks."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    query = seat.link_query | {"period": f"{month:%Y-%m}"}
    here = make_link("audit_export", query)
    if request.method == "POST":
        ask_export(tenant_id=seat.tenant.id, period=month, now=now)
        return redirect(here)
    job = get_export(tenant_id=seat.tenant.id, period=month)
    file = open_made(job, tenant=seat.tenant) if job else None
    if file is not None:
        file.content.close()
    long = is_long(tenant_id=seat.tenant.id, period=month, most=ENTRIES_AT_ONCE)
    if job is None and not long:
        _find_sealed(seat, month, now=now)  # an empty month is told at once
    context = {
        "frame": make_frame(seat, current="audit"),
        "month": month,
        "is_long": long,
        "entries_at_once": ENTRIES_AT_ONCE,
        "job": job,
        "file": file,
        "hours": int(KEPT_FOR.total_seconds() // 3600),
        "here": here,
        "bundle_name": name_bundle(seat, month),
        "file_href": make_link("audit_export_file", query),
        "audit_href": make_link("audit", query),
    }
    return render(request, "audit/export_state.html" if request.htmx else "audit/export.html", context)


@require_safe
@member_required
def send_export(request: HttpRequest, seat: Seat) -> HttpResponseBase:
    """The file that a worker made; the page that has it made, where it is there no longer."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    job = get_export(tenant_id=seat.tenant.id, period=month)
    file = open_made(job, tenant=seat.tenant) if job else None
    if file is None:
        return redirect(make_link("audit_export", seat.link_query | {"period": f"{month:%Y-%m}"}))
    return send_file(file.content, name=file.name, content_type="application/zip", size=file.size)


@require_safe
@member_required
def export_leaves(request: HttpRequest, seat: Seat) -> StreamingHttpResponse:
    """The month's entries with their leaves as JSON Lines, read piece by piece while they are sent."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    sealed = _find_sealed(seat, month, now=now)
    response = StreamingHttpResponse(write_leaves(sealed), content_type="application/jsonl")
    response.headers["Content-Disposition"] = f'attachment; filename="entries-{sealed.name}.jsonl"'
    return response


def _find_sealed(seat: Seat, month: date, *, now: datetime) -> SealedMonth:
    try:
        return find_sealed_month(tenant=seat.tenant, period=month, now=now)
    except (PeriodEmpty, PeriodUnsealed) as refused:
        raise BadRequest(str(refused)) from None
    except TreeTorn as torn:
        raise BadRequest(f"no archive can be made of this month: {torn}") from None
