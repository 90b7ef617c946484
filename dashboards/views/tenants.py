"""All tenants, for the operator's people."""

from datetime import UTC, date, datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboards.access import operator_required
from dashboards.charges import TenantCharges, add_up_charges, list_charges
from dashboards.core.periods import find_previous_period
from dashboards.exports import answer_file, make_facts
from dashboards.frame import (
    list_environment_options,
    list_hidden_fields,
    list_period_options,
    make_operator_frame,
    read_environment,
    read_page_period,
)
from dashboards.views.overview import show_overview
from tenants.selectors import list_tenants


@require_safe
def open_home(request: HttpRequest) -> HttpResponse:
    """An operator's person begins with all tenants where there are several, everybody else with the Overview."""
    is_operator = request.user.is_authenticated and request.user.is_operator
    if is_operator and "tenant" not in request.GET and len(list_tenants()) != 1:
        return redirect("tenants")
    return show_overview(request)


@require_safe
@operator_required
def show_tenants(request: HttpRequest) -> HttpResponse:
    """What each tenant cost in the period, in days of UTC."""
    now = timezone.now()
    period, problem = read_page_period(request.GET, today=_get_today(now))
    environment = read_environment(request.GET)
    charges = list_charges(period=period, environment=environment)
    return render(
        request,
        "tenants/list.html",
        {
            "frame": make_operator_frame(request.user, current="tenants"),
            "period": period,
            "previous": find_previous_period(period),
            "problem": problem,
            "environment": environment,
            "environment_options": list_environment_options(request.path, request.GET, current=environment, costs={}),
            "period_options": list_period_options(request.path, request.GET, current=period),
            "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to")),
            "now": now,
            "charges": charges,
            "total": add_up_charges(charges),
        },
    )


@require_safe
@operator_required
def export_tenants(request: HttpRequest) -> HttpResponse:
    """The same table as a file, `format` csv or xlsx."""
    period, _ = read_page_period(request.GET, today=_get_today(timezone.now()))
    environment = read_environment(request.GET)
    charges = list_charges(period=period, environment=environment)
    return answer_file(
        request,
        f"tenants-{period.first}-{period.last}",
        page="tenants",
        heading=["tenant", "calls", "unpriced_calls", "cost", "share", "before", "difference"],
        rows=[_list_fields(charge) for charge in (*charges, add_up_charges(charges))],
        facts=make_facts(tenant="all", timezone="UTC", environment=environment, period=period),
    )


def _list_fields(charge: TenantCharges) -> list[object]:
    return [
        charge.slug,
        charge.calls,
        charge.unpriced_calls,
        charge.cost,
        charge.share,
        charge.before,
        charge.change.difference,
    ]


def _get_today(now: datetime) -> date:
    return now.astimezone(UTC).date()
