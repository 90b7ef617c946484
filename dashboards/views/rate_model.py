"""One model's page among the rates."""

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboards.access import Seat, member_required
from dashboards.frame import (
    ALL_ENVIRONMENTS,
    list_environment_options,
    list_hidden_fields,
    list_period_options,
    make_frame,
    make_link,
)
from dashboards.rates.actors import name_writers
from dashboards.rates.model import make_chart_data, read_model_page
from dashboards.views.rates import read_rates_environment, read_rates_period


@require_safe
@member_required
def show_rate_model(request: HttpRequest, seat: Seat, provider: str, model: str) -> HttpResponse:
    """The model's prices by time, service tier and region, and its use; 404 where there is neither for this person."""
    tier, region = request.GET.get("tier", ""), request.GET.get("region", "")
    if any("\0" in name for name in (provider, model, tier, region)):
        raise BadRequest("a name with a NUL character")
    now = timezone.now()
    period, problem = read_rates_period(request.GET, seat, now=now)
    environment = read_rates_environment(request.GET)
    page = read_model_page(
        seat=seat,
        provider=provider,
        model=model,
        service_tier=tier,
        region=region,
        period=period,
        environment=environment,
        now=now,
    )
    if not page.is_known:
        raise Http404
    trial = {"provider": provider, "model": model, "input_tokens": 1_000_000, "output_tokens": 1_000_000}
    names = {"model": model, "provider": provider, "environment": environment or ALL_ENVIRONMENTS}
    return render(
        request,
        "rates/model.html",
        {
            "frame": make_frame(seat, current="rates"),
            "page": page,
            "period": period,
            "problem": problem,
            "environment": environment,
            "now": now,
            "timezone": seat.tenant.timezone,
            "chart_data": make_chart_data(page, now=now) if page.series else None,
            "environment_options": list_environment_options(request.path, request.GET, current=environment, costs={}),
            "period_options": list_period_options(request.path, request.GET, current=period),
            "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to")),
            "rates_href": make_link("rates", seat.link_query),
            "entries_href": make_link("ledger", seat.link_query | names | period.get_dates()),
            "unpriced_href": make_link(
                "ledger", seat.link_query | names | period.get_dates() | {"pricing_status": "unpriced"}
            ),
            "try_href": make_link("rate_trial", seat.link_query | trial),
            "may_edit": seat.may_edit_rates,
            "names": name_writers([version.record for version in (*page.versions, *page.agreed)], seat),
            "new_href": make_link(
                "new_rate", seat.link_query | {"provider": provider, "model": model, "tier": tier, "region": region}
            ),
        },
    )
