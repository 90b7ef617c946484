"""A month's evidence archive: sent at once where it is there or soon made, else made by a worker, with its progress."""

from datetime import date, datetime

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from audit.export_jobs import ask_export, get_export
from audit.exports import KEPT_FOR, find_bundle, open_bundle
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
    """The archive, from its file where there is one; of a long month first to the page that has it made."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    sealed = _find_sealed(seat, month, now=now)
    file = find_bundle(sealed)
    if file is None and sealed.entries > ENTRIES_AT_ONCE:
        return redirect(make_link("audit_export", seat.link_query | {"period": f"{month:%Y-%m}"}))
    file = file or open_bundle(sealed)
    return send_file(file.content, name=file.name, content_type="application/zip", size=file.size)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_export(request: HttpRequest, seat: Seat) -> HttpResponse:
    """How far a long month's archive is; by POST it is asked for. The part that changes alone, where the page asks."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    sealed = _find_sealed(seat, month, now=now)
    here = make_link("audit_export", seat.link_query | {"period": f"{month:%Y-%m}"})
    if request.method == "POST":
        ask_export(tenant_id=seat.tenant.id, period=month, expected=sealed.entries, now=now)
        return redirect(here)
    file = find_bundle(sealed)
    if file is not None:
        file.content.close()
    context = {
        "frame": make_frame(seat, current="audit"),
        "month": month,
        "entries": sealed.entries,
        "job": get_export(tenant_id=seat.tenant.id, period=month),
        "size": file.size if file else None,
        "hours": int(KEPT_FOR.total_seconds() // 3600),
        "here": here,
        "bundle_name": name_bundle(seat, month),
        "bundle_href": make_link("audit_bundle", seat.link_query | {"period": f"{month:%Y-%m}"}),
        "audit_href": make_link("audit", seat.link_query | {"period": f"{month:%Y-%m}"}),
    }
    return render(request, "audit/export_state.html" if request.htmx else "audit/export.html", context)


def _find_sealed(seat: Seat, month: date, *, now: datetime) -> SealedMonth:
    try:
        return find_sealed_month(tenant=seat.tenant, period=month, now=now)
    except (PeriodEmpty, PeriodUnsealed) as refused:
        raise BadRequest(str(refused)) from None
    except TreeTorn as torn:
        raise BadRequest(f"no archive can be made of this month: {torn}") from None
