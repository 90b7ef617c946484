"""Explore: any question about cost, with the chart, the tables and the files that answer it."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from billing.selectors import QueryRefused, list_dimension_values
from dashboards.access import Seat, member_required
from dashboards.dateline import make_dateline
from dashboards.dimensions import WORDS
from dashboards.explore.changes import Bridge, read_bridge
from dashboards.explore.chart import make_chart_data
from dashboards.explore.controls import list_chips, list_controls
from dashboards.explore.files import list_facts, list_table
from dashboards.explore.page import Exploration, read_exploration
from dashboards.explore.question import OPERATOR_WORDS, Question, read_question
from dashboards.exports import answer_file
from dashboards.frame import list_hidden_fields, make_frame
from dashboards.saved_views import list_views
from ledger.matches import IS

ALL_LINES = "all"
LISTED_VALUES_MAX = 200


@require_safe
@member_required
def show_explore(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The page. A filter that its form adds leads to the address that holds it."""
    if request.GET.get("add") in WORDS:
        return redirect(_add_filter(request))
    now = timezone.now()
    question = _read_question(request, seat, now=now)
    answer, refusal = None, ""
    try:
        answer = _explore(request, seat, question)
    except QueryRefused as error:
        refusal = str(error)
    today = seat.get_today(now)
    context = {
        "frame": make_frame(seat, current="explore"),
        "question": question,
        "answer": answer,
        "refusal": refusal,
        "today": today,
        "chips": list_chips(request.path, request.GET, question),
        "controls": list_controls(request.path, request.GET, question),
        "dimensions": WORDS,
        "operators": OPERATOR_WORDS,
        "filter_fields": list_hidden_fields(request.GET, without=("add", "operator", "value")),
        "dateline": make_dateline(
            request,
            seat,
            period=question.period,
            environment=question.environment,
            totals=answer.totals if answer else None,
            complete_to=answer.complete_to if answer else None,
            unpriced_href=f"{answer.total.href}&pricing_status=unpriced" if answer else "",
        ),
        "api_address": f"{settings.PUBLIC_URL}{reverse('get_costs')}?{question.make_api_query()}",
        "shows_all_lines": request.GET.get("rows") == ALL_LINES,
        "chart_data": make_chart_data(answer) if answer else None,
        "asks_why": "why" in request.GET,
        "bridge": _read_bridge(question, seat) if answer and "why" in request.GET else None,
        "views": list_views(seat, page="explore"),
        "link_query": urlencode(seat.link_query),
    }
    return render(request, "explore/page.html", context)


@require_safe
@member_required
def export_explore(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A table of the page as a file: `table` is time or groups, `format` csv or xlsx."""
    question = _read_question(request, seat, now=timezone.now())
    try:
        answer = _explore(request, seat, question)
    except QueryRefused as error:
        raise BadRequest(str(error)) from error
    table = request.GET.get("table", "time")
    if table not in ("time", "groups"):
        raise BadRequest("the page has the tables time and groups")
    heading, rows = list_table(answer, table)
    name = f"explore-{table}-{seat.tenant.slug}-{question.period.first}-{question.period.last}"
    return answer_file(request, name, page="explore", heading=heading, rows=rows, facts=list_facts(answer))


@require_safe
@member_required
def show_changes(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A fragment: why the answer differs from the period before."""
    question = _read_question(request, seat, now=timezone.now())
    return render(request, "explore/changes.html", {"question": question, "bridge": _read_bridge(question, seat)})


@require_safe
@member_required
def list_values(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A fragment: what the dimension `add` may be compared with, for the form's suggestions."""
    question = _read_question(request, seat, now=timezone.now())
    start, end = question.period.get_bounds(seat.tenant.timezone)
    found = list_dimension_values(tenant_id=seat.tenant.id, start=start, end=end)
    values: Sequence[str] = found.get(request.GET.get("add", ""), ())
    return render(request, "explore/values.html", {"values": [each for each in values if each][:LISTED_VALUES_MAX]})


def _read_question(request: HttpRequest, seat: Seat, *, now: datetime) -> Question:
    return read_question(request.GET, tenant=seat.tenant, today=seat.get_today(now))


def _explore(request: HttpRequest, seat: Seat, question: Question) -> Exploration:
    return read_exploration(question, link_query=seat.link_query, all_lines=request.GET.get("rows") == ALL_LINES)


def _read_bridge(question: Question, seat: Seat) -> Bridge | None:
    try:
        return read_bridge(question, link_query=seat.link_query)
    except QueryRefused:
        return None


def _add_filter(request: HttpRequest) -> str:
    """The address with the filter that the form named, once."""
    query: QueryDict = request.GET.copy()
    name = query.pop("add")[-1]
    operator = query.pop("operator", [IS])[-1]
    value = query.pop("value", [""])[-1].strip()
    parameter = name if operator not in OPERATOR_WORDS or operator == IS else f"{name}.{operator}"
    if value not in query.getlist(parameter):
        query.appendlist(parameter, value)
    return f"{request.path}?{query.urlencode()}"
