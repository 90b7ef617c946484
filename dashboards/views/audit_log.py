"""The administrative log of a tenant, by filter, and as a file."""

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit.acts import ACTS_PER_PAGE_MAX, read_act_log
from dashboards.access import Seat, member_required
from dashboards.audit.acts import LOG_HEADING, list_log_rows, read_log_page, read_log_question
from dashboards.exports import answer_csv
from dashboards.frame import make_frame, make_link

FILE_ROWS_MAX = 20_000


@require_safe
@member_required
def show_audit_log(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A page of it, the latest first."""
    question = read_log_question(request.GET)
    context = {
        "frame": make_frame(seat, current="audit"),
        "question": question,
        "page": read_log_page(seat, question, query=request.GET),
        "timezone": seat.tenant.timezone,
        "link_query": seat.link_query,
        "audit_href": make_link("audit", seat.link_query),
        "here": make_link("audit_log", seat.link_query),
        "file_href": make_link(
            "audit_log_file", {name: request.GET.getlist(name) for name in request.GET if name != "cursor"}
        ),
    }
    return render(request, "audit/log.html", context)


@require_safe
@member_required
def export_audit_log(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The whole of it by the same filters, or none where that is more than FILE_ROWS_MAX acts."""
    question = read_log_question(request.GET)
    filters = question.make_filters(timezone=seat.tenant.timezone)
    page = read_act_log(tenant_id=seat.tenant.id, filters=filters, before=question.before, limit=ACTS_PER_PAGE_MAX)
    acts = page.acts
    while page.next:
        page = read_act_log(tenant_id=seat.tenant.id, filters=filters, before=page.next, limit=ACTS_PER_PAGE_MAX)
        acts += page.acts
        if len(acts) > FILE_ROWS_MAX:
            raise BadRequest(
                f"a file holds at most {FILE_ROWS_MAX:,} acts, and there are more: narrow them by from and to, or take "
                "GET /v1/audit/log page by page"
            )
    return answer_csv(f"{seat.tenant.slug}-acts.csv", heading=LOG_HEADING, rows=list_log_rows(acts))
