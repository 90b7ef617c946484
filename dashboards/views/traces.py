"""Traces: the list by cost, one trace as a waterfall, and both as files."""

import msgspec
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from billing.selectors import CostQuery, Quantities, Trace, get_costs, get_trace
from dashboards.access import Seat, member_required
from dashboards.exports import answer_file, make_facts, write_filters
from dashboards.frame import (
    list_environment_options,
    list_hidden_fields,
    list_period_options,
    make_frame,
    make_link,
    read_environment,
)
from dashboards.saved_views import list_views
from dashboards.traces.listing import (
    FILE_COLUMNS,
    FILTER_WORDS,
    TraceQuestion,
    list_rows_for_file,
    list_trace_chips,
    read_trace_list,
    read_trace_question,
)
from dashboards.traces.waterfall import ROWS_PER_PAGE, list_trace_links, read_waterfall

TRACE_ID_LENGTH_MAX = 256
PAGES_MAX = 1_000


@require_safe
@member_required
def show_traces(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The traces of the page's days, the dearest first. A filter that the form adds leads to its address."""
    if request.GET.get("add") in FILTER_WORDS:
        return redirect(_add_filter(request))
    question = read_trace_question(request.GET, tenant=seat.tenant, today=seat.get_today(timezone.now()))
    context = {
        "frame": make_frame(seat, current="traces"),
        "question": question,
        "answer": read_trace_list(question, seat),
        "all_calls": _read_all_calls(question),
        "explore_href": make_link("explore", seat.link_query | question.period.get_query()),
        "chips": list_trace_chips(request.path, request.GET, question),
        "filter_words": FILTER_WORDS,
        "filter_fields": list_hidden_fields(request.GET, without=("add", "value", "page")),
        "environment_options": list_environment_options(
            request.path, request.GET, current=read_environment(request.GET), costs={}
        ),
        "period_options": list_period_options(request.path, request.GET, current=question.period),
        "period_fields": list_hidden_fields(request.GET, without=("period", "from", "to", "page")),
        "views": list_views(seat, page="traces"),
        "link_query": urlencode(seat.link_query),
    }
    return render(request, "traces/list.html", context)


@require_safe
@member_required
def export_traces(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The traces of the page as a file, `format` csv or xlsx."""
    question = read_trace_question(request.GET, tenant=seat.tenant, today=seat.get_today(timezone.now()))
    answer = read_trace_list(question, seat)
    facts = make_facts(
        tenant=seat.tenant.slug,
        timezone=seat.tenant.timezone,
        environment=question.environment,
        period=question.period,
    ) | {
        "Filters": write_filters(question.texts),
        "Traces": f"{answer.shown.traces} of {answer.totals.traces}",
        "Calls without a price": str(answer.shown.unpriced_calls),
    }
    return answer_file(
        request,
        f"traces-{seat.tenant.slug}-{question.period.first}-{question.period.last}",
        page="traces",
        heading=FILE_COLUMNS,
        rows=list_rows_for_file(answer),
        facts=facts,
    )


@require_safe
@member_required
def show_trace(request: HttpRequest, seat: Seat, trace_id: str) -> HttpResponse:
    """The trace's page; `under` shows one span with what is below it, `page` the next rows of a long one."""
    trace = _get_trace(seat, trace_id)
    page = request.GET.get("page", "1")
    waterfall = read_waterfall(
        trace,
        seat,
        under=request.GET.get("under", ""),
        page=int(page) if page in map(str, range(1, PAGES_MAX)) else 1,
    )
    context = {
        "frame": make_frame(seat, current="traces"),
        "waterfall": waterfall,
        "trace": trace,
        "links": list_trace_links(trace, seat),
        # The API's address has no way to say a slash inside an id.
        "api_address": "" if "/" in trace_id else f"{settings.PUBLIC_URL}{reverse('get_trace', args=[trace_id])}",
        "rows_per_page": ROWS_PER_PAGE,
    }
    return render(request, "traces/page.html", context)


@require_safe
@member_required
def show_trace_json(request: HttpRequest, seat: Seat, trace_id: str) -> HttpResponse:
    """What the page is drawn from: money as text, with every digit."""
    text = msgspec.json.format(msgspec.json.encode(_get_trace(seat, trace_id)), indent=2)
    return HttpResponse(text, content_type="application/json")


def _get_trace(seat: Seat, trace_id: str) -> Trace:
    is_kept = 0 < len(trace_id) <= TRACE_ID_LENGTH_MAX and "\0" not in trace_id
    trace = get_trace(tenant_id=seat.tenant.id, trace_id=trace_id) if is_kept else None
    if trace is None:
        raise Http404
    return trace


def _read_all_calls(question: TraceQuestion) -> Quantities | None:
    """What every call of the page's days cost, in a trace or in none; None beside a filter, which means less."""
    if question.texts:
        return None
    start, end = question.period.get_bounds(question.tenant.timezone)
    filters = {"environment": (question.environment,)} if question.environment else {}
    return get_costs(
        CostQuery(question.tenant.id, start, end, "total", question.tenant.timezone, filters=filters)
    ).totals


def _add_filter(request: HttpRequest) -> str:
    """The address with the filter that the form named, once."""
    query = request.GET.copy()
    name = query.pop("add")[-1]
    value = query.pop("value", [""])[-1].strip()
    if name == "q":
        query.setlist(name, [value])
    elif value and value not in query.getlist(name):
        query.appendlist(name, value)
    return f"{request.path}?{query.urlencode()}"
