"""The statement of a month: to be read, printed and taken as a file."""

from django.core.exceptions import BadRequest
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.bundles import VERIFIER
from audit.chain import read_sealed_head
from audit.core.focus import CHARGEBACK, VIEWS
from audit.files import FORMATS, FileRefused, make_statement_file
from audit.formats.jsonl import hash_statement
from audit.rows import stream_rows
from billing.selectors import get_last_reconciliation
from dashboards.access import Seat, member_required
from dashboards.audit.downloads import list_statement_files, name_bundle
from dashboards.audit.files import send_file
from dashboards.audit.periods import read_month
from dashboards.audit.statement import list_month_options, list_months, read_statement_page
from dashboards.frame import make_frame, make_link


@require_safe
@member_required
def show_statement(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The statement, as a letter; with `recompute` each of its figures is found another way and compared."""
    now = timezone.now()
    months = list_months(seat, now=now)
    month = read_month(request.GET, now=now, default=months[min(1, len(months) - 1)])
    page = read_statement_page(seat, period=month, now=now, recomputes="recompute" in request.GET)
    query = seat.link_query | {"period": f"{month:%Y-%m}"}
    context = {
        "frame": make_frame(seat, current="audit"),
        "page": page,
        "statement": page.statement,
        "statement_hash": hash_statement(page.statement),
        "head": read_sealed_head(tenant_id=seat.tenant.id),
        "tenant_name": seat.tenant.name,
        "month_options": list_month_options(seat, months, target="audit_statement", current=month),
        "reconciliation": get_last_reconciliation(tenant_id=seat.tenant.id),
        "downloads": list_statement_files(seat, month),
        "bundle_href": make_link("audit_bundle", query),
        "bundle_name": name_bundle(seat, month),
        "audit_href": make_link("audit", query),
        "recompute_href": make_link("audit_statement", query | {"recompute": "yes"}) + "#control",
        "verifier_name": VERIFIER,
        "now": now,
    }
    return render(request, "audit/statement.html", context)


@require_safe
@member_required
def export_statement(request: HttpRequest, seat: Seat) -> FileResponse:
    """The month as a file: `format` is one of audit.files.FORMATS, `view` of FOCUS chargeback or provider."""
    now = timezone.now()
    name, view = request.GET.get("format", "csv"), request.GET.get("view", CHARGEBACK)
    if name not in FORMATS or view not in VIEWS:
        raise BadRequest(f"a format is {', '.join(FORMATS)}; a view {' or '.join(VIEWS)}")
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    try:
        file = make_statement_file(tenant=seat.tenant, period=month, format_name=name, view=view, now=now)
    except FileRefused as refused:
        raise BadRequest(str(refused)) from None
    return send_file(file.content, name=file.name, content_type=file.content_type, size=file.size)


@require_safe
@member_required
def export_rows(request: HttpRequest, seat: Seat) -> StreamingHttpResponse:
    """The month's ledger rows as CSV, read piece by piece while they are sent."""
    now = timezone.now()
    month = read_month(request.GET, now=now, default=now.date().replace(day=1))
    response = StreamingHttpResponse(
        stream_rows(tenant_id=seat.tenant.id, period=month), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="rows-{seat.tenant.slug}-{month:%Y-%m}.csv"'
    return response
