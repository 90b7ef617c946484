"""Audit: the newest checkpoint, what waits for its seal, downloads, a file to verify, and who changed what."""

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from audit.bundles import VERIFIER, locate_verifier
from audit.chain import verify_chain
from dashboards.access import Seat, member_required
from dashboards.audit.downloads import list_downloads, name_bundle
from dashboards.audit.overview import ACTS_SHOWN, read_audit_page
from dashboards.audit.periods import read_month
from dashboards.audit.statement import list_month_options
from dashboards.frame import make_frame, make_link
from ledger.sealing.proofs import get_head

BATCHES_MAX = 100_000  # some 10 s


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_audit(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The page. By POST every sealed batch is gone through, and what was found is kept."""
    now = timezone.now()
    if request.method == "POST":
        if request.POST.get("act") != "verify":
            raise BadRequest("an act is verify")
        head = get_head(tenant_id=seat.tenant.id)
        if head and head.size > BATCHES_MAX:
            raise BadRequest(
                f"a page goes through {BATCHES_MAX:,} batches at most: take a month's archive, or the script"
            )
        verify_chain(tenant_id=seat.tenant.id, now=now)
        return redirect(make_link("audit", seat.link_query | {"done": "verified"}))
    page = read_audit_page(seat, now=now)
    month = read_month(request.GET, now=now, default=page.newest_over)
    context = {
        "frame": make_frame(seat, current="audit"),
        "page": page,
        "now": now,
        "month": month,
        "month_options": list_month_options(seat, page.months, target="audit", current=month),
        "downloads": list_downloads(seat, month),
        "statement_href": make_link("audit_statement", seat.link_query | {"period": f"{month:%Y-%m}"}),
        "verifier_href": make_link("audit_verifier", seat.link_query),
        "verifier_name": VERIFIER,
        "bundle_name": name_bundle(seat, month),
        "log_href": make_link("audit_log", seat.link_query),
        "keys_href": make_link("list_public_keys", {}),
        "acts_shown": ACTS_SHOWN,
        "may_verify": page.head is not None and page.head.checkpoint.size <= BATCHES_MAX,
        "here": make_link("audit", seat.link_query),
        "is_verified_now": request.GET.get("done") == "verified",
    }
    return render(request, "audit/page.html", context)


@require_safe
@member_required
def send_verifier(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The script that checks an archive without us: the file itself, as it lies in every archive too."""
    response = HttpResponse(locate_verifier().read_bytes(), content_type="text/x-python")
    response.headers["Content-Disposition"] = f'attachment; filename="{VERIFIER}"'
    return response
