"""Forecast: the month's end with its range, the track record, and what is known beforehand."""

from collections.abc import Mapping
from datetime import datetime

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from alerts.core.forecasts.track_records import RECORDED_DAYS
from alerts.forecasts import (
    NOTE_LENGTH_MAX,
    EventRefused,
    EventUnknown,
    add_event,
    read_event_terms,
    remove_event,
)
from alerts.forecasts.events import FIELDS
from billing.selectors import get_last_reconciliation
from dashboards.access import Seat, member_required
from dashboards.exports import answer_file
from dashboards.forecast.chart import make_chart_data
from dashboards.forecast.files import TABLES, list_facts, list_table
from dashboards.forecast.page import PARTS_BY, ForecastPage, read_forecast_page
from dashboards.frame import (
    Option,
    check_texts,
    list_environment_options,
    list_hidden_fields,
    make_frame,
    read_environment,
    read_number,
)
from dashboards.rates.actors import name_actors
from dashboards.saved_views import list_views

DONE = {
    "added": "The event is added: the forecast counts it from now on.",
    "known": "That event was there already. Nothing was changed.",
    "removed": "The event is removed: the forecast counts it no more.",
    "gone": "There was no such event any more. Nothing was changed.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_forecast(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The page. By POST an event is added or removed, by who may."""
    check_texts(request.GET)
    if request.method == "POST":
        return _change(request, seat)
    return _render(request, seat)


@require_safe
@member_required
def export_forecast(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A table of the page as a file: `table` is one of TABLES, `format` csv or xlsx."""
    check_texts(request.GET)
    table = request.GET.get("table", "days")
    if table not in TABLES:
        raise BadRequest(f"the page has the tables {', '.join(TABLES)}")
    page = _read(request, seat, now=timezone.now())
    heading, rows = list_table(page, table)
    name = f"forecast-{table}-{seat.tenant.slug}-{page.period.first:%Y-%m}"
    facts = list_facts(page, tenant=seat.tenant)
    return answer_file(request, name, page="forecast", heading=heading, rows=rows, facts=facts)


def _change(request: HttpRequest, seat: Seat) -> HttpResponse:
    if not seat.may_plan:
        raise PermissionDenied
    now, tenant_id = timezone.now(), seat.tenant.id
    match request.POST.get("act"):
        case "add":
            document = {name: request.POST[name] for name in FIELDS if name in request.POST}
            try:
                terms = read_event_terms(document, today=seat.get_today(now))
                _, is_new = add_event(terms, tenant_id=tenant_id, actor=seat.actor, now=now)
            except EventRefused as refused:
                wrong = {
                    problem.field: f"{problem.detail[:1].upper()}{problem.detail[1:]}." for problem in refused.problems
                }
                return _render(request, seat, wrong=wrong, status=422)
            return redirect(_link_back(request, done="added" if is_new else "known"))
        case "remove":
            try:
                event_id = read_number(request.POST, "event")
                remove_event(tenant_id=tenant_id, event_id=event_id, actor=seat.actor, now=now)
                done = "removed"
            except EventUnknown:
                done = "gone"
            return redirect(_link_back(request, done=done))
    raise BadRequest("an act is add or remove")


def _link_back(request: HttpRequest, *, done: str) -> str:
    query = request.GET.copy()
    query["done"] = done
    return f"{reverse('forecast')}?{query.urlencode()}#events"


def _read_filters(request: HttpRequest) -> dict[str, str]:
    """What the page is about: production unless the address says otherwise, and of it a cost centre or a feature."""
    environment = read_environment(request.GET)
    filters = {"environment": environment} if environment else {}
    return filters | {name: request.GET[name] for name in PARTS_BY if name in request.GET}


def _read_parts_by(request: HttpRequest, filters: Mapping[str, str]) -> str:
    """Of which parts: those that the address names, else cost centres, or features of one of them."""
    by = request.GET.get("by", "")
    if by in PARTS_BY:
        return by
    return "feature" if "cost_center" in filters else "cost_center"


def _read(request: HttpRequest, seat: Seat, *, now: datetime) -> ForecastPage:
    filters = _read_filters(request)
    return read_forecast_page(seat, filters=filters, parts_by=_read_parts_by(request, filters), now=now)


def _render(
    request: HttpRequest, seat: Seat, *, wrong: Mapping[str, str] | None = None, status: int = 200
) -> HttpResponse:
    now = timezone.now()
    page = _read(request, seat, now=now)
    environment = page.filters.get("environment", "")
    query = request.GET.copy()
    query.pop("done", None)
    context = {
        "frame": make_frame(seat, current="forecast"),
        "page": page,
        "subject": " · ".join(
            f"{PARTS_BY[name]} {value or 'none'}" for name, value in page.filters.items() if name in PARTS_BY
        ),
        "whole_href": f"{reverse('forecast')}?{_without(request, *PARTS_BY)}",
        "every_environment_href": _change_environment(request),
        "environment": environment,
        "environment_options": list_environment_options(
            request.path, query, current=environment, costs=dict.fromkeys(page.values["environment"])
        ),
        "part_options": [
            Option(word, f"{request.path}?{_with(request, by=name)}#parts", name == page.parts_by)
            for name, word in PARTS_BY.items()
        ],
        "parts_word": PARTS_BY[page.parts_by],
        "recorded_days": RECORDED_DAYS,
        "reconciliation": get_last_reconciliation(tenant_id=seat.tenant.id),
        "chart_data": make_chart_data(page) if page.figures else None,
        "actors": _name_actors(page, seat),
        "may_plan": seat.may_plan,
        "wrong": wrong or {},
        "texts": {name: request.POST.get(name, "") for name in FIELDS},
        "note_length_max": NOTE_LENGTH_MAX,
        "here": f"{request.path}?{query.urlencode()}",
        "done": DONE.get(request.GET.get("done", ""), ""),
        "timezone": seat.tenant.timezone,
        "views": list_views(seat, page="forecast"),
        "hidden": list_hidden_fields(request.GET, without=("done",)),
        "link_query": seat.link_query,
    }
    return render(request, "forecast/page.html", context, status=status)


def _name_actors(page: ForecastPage, seat: Seat) -> dict[str, str]:
    """Who added an event, for the operator's people; a tenant's are told numbers, and which of them they are."""
    named = name_actors(event.added_by for event in page.events) if seat.is_operator else {}
    return named | {seat.actor: "you"}


def _without(request: HttpRequest, *names: str) -> str:
    query = request.GET.copy()
    for name in (*names, "done"):
        query.pop(name, None)
    return query.urlencode()


def _with(request: HttpRequest, **changes: str) -> str:
    query = request.GET.copy()
    query.pop("done", None)
    for name, value in changes.items():
        query[name] = value
    return query.urlencode()


def _change_environment(request: HttpRequest) -> str:
    return f"{request.path}?{_with(request, environment='all')}"
