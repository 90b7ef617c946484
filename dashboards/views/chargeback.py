"""Chargeback: a month's charge by cost centre, and the lines of one of them."""

from datetime import date, datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from chargeback.charging import charge_month
from chargeback.core.lines import UNALLOCATED
from dashboards.access import Seat, member_required
from dashboards.audit.periods import read_month
from dashboards.audit.statement import list_month_options, list_months
from dashboards.chargeback.month import (
    COLUMNS,
    LINE_COLUMNS,
    LINES_SHOWN,
    list_line_rows,
    list_month_rows,
    make_row,
    read_month_page,
    show_lines,
)
from dashboards.exports import answer_file, make_facts
from dashboards.frame import check_texts, make_frame, make_link


@require_safe
@member_required
def show_chargeback(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What each cost centre is charged for the month, and how that comes about."""
    check_texts(request.GET)
    now = timezone.now()
    month = _read_month(request, now)
    page = read_month_page(seat, month)
    context = {
        "frame": make_frame(seat, current="chargeback"),
        "page": page,
        "month": month,
        "month_options": list_month_options(seat, list_months(seat, now=now), target="chargeback", current=month),
        "rules_href": make_link("chargeback_rules", seat.link_query | {"period": f"{month:%Y-%m}"}),
        "rates_href": make_link("chargeback_rates", seat.link_query),
        "now": now,
    }
    return render(request, "chargeback/page.html", context)


@require_safe
@member_required
def export_chargeback(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The month's table as a file, `format` csv or xlsx; with `cost_center` the lines of one."""
    check_texts(request.GET)
    now = timezone.now()
    month = _read_month(request, now)
    facts = make_facts(tenant=seat.tenant.slug, timezone="UTC", environment="", period=None)
    facts |= {"Period": f"charged in {month:%Y-%m}", "Of": now.isoformat(timespec="seconds")}
    name = f"chargeback-{seat.tenant.slug}-{month:%Y-%m}"
    if "cost_center" not in request.GET:
        rows = list_month_rows(read_month_page(seat, month))
        return answer_file(request, name, page="chargeback", heading=COLUMNS, rows=rows, facts=facts)
    charged = charge_month(tenant_id=seat.tenant.id, period=month)
    center = charged.get_center(request.GET["cost_center"])
    if center is None:
        raise Http404
    facts["Cost centre"] = center.cost_center or "unallocated"
    rows = list_line_rows(center, charged)
    return answer_file(request, f"{name}-lines", page="chargeback_lines", heading=LINE_COLUMNS, rows=rows, facts=facts)


@require_safe
@member_required
def show_charge_lines(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Every line of what one cost centre is charged; of many direct costs the largest."""
    check_texts(request.GET)
    month = _read_month(request, timezone.now())
    charged = charge_month(tenant_id=seat.tenant.id, period=month)
    center = charged.get_center(request.GET.get("cost_center", UNALLOCATED))
    if center is None:
        raise Http404
    count = len(center.costs) + len(center.postings)
    context = {
        "frame": make_frame(seat, current="chargeback"),
        "center": center,
        "row": make_row(seat, month, center),
        "charged": charged,
        "exchange": charged.charge.exchange,
        "is_exchanged": charged.charge.exchange.day is not None,
        "lines": show_lines(seat, charged, center),
        "lines_more": max(0, count - LINES_SHOWN),
        "month": month,
        "chargeback_href": make_link("chargeback", seat.link_query | {"period": f"{month:%Y-%m}"}),
    }
    return render(request, "chargeback/lines.html", context)


def _read_month(request: HttpRequest, now: datetime) -> date:
    return read_month(request.GET, now=now, default=now.date().replace(day=1))
