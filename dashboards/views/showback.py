"""Showback: what each cost centre, feature, user or model cost; and one of them, with what a unit of it costs."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from billing.core.figures import write_exact
from billing.selectors import QueryRefused
from dashboards.access import Seat, member_required
from dashboards.dateline import make_dateline
from dashboards.explore.chart import TICKS_MAX
from dashboards.exports import answer_file
from dashboards.frame import PLACE_PARAMETERS, Option, make_frame, make_link
from dashboards.saved_views import list_views
from dashboards.showback.drivers import DriverCost, read_driver_costs
from dashboards.showback.files import Table, list_drivers, list_facts, list_subject, list_subjects
from dashboards.showback.question import DIMENSIONS, MEASURED, Question, read_question
from dashboards.showback.subject import ENTRIES_READ_MAX, ENVIRONMENT, SPLITS, Subject, read_subject
from dashboards.showback.subjects import LINES_MAX, SORTS, Subjects, read_subjects

ALL_LINES = "all"


@require_safe
@member_required
def show_showback(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The table of all subjects of a dimension, and what a unit of the business cost."""
    now = timezone.now()
    question = _read_question(request, seat, now=now)
    page, drivers, refusal = None, [], ""
    try:
        page = _read_subjects(request, question)
        drivers = read_driver_costs(question, page.days)
    except QueryRefused as error:
        refusal = str(error)
    context = _make_context(request, seat, question, page=page, refusal=refusal, drivers=drivers) | {
        "choices": _list_choices(request, question),
        "sort": _read_sort(request.GET),
        "shows_all_lines": request.GET.get("rows") == ALL_LINES,
        "lines_max": LINES_MAX,
        "other_href": f"{request.path}?{_change(request.GET, rows=ALL_LINES)}",
        "api_address": _make_api_address(question, group_by=question.by),
        "views": list_views(seat, page="showback"),
    }
    return render(request, "showback/page.html", context)


@require_safe
@member_required
def export_showback(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The page as a file: `table` is subjects or drivers, `format` csv or xlsx."""
    question = _read_question(request, seat, now=timezone.now())
    table = request.GET.get("table", "subjects")
    if table not in ("subjects", "drivers"):
        raise BadRequest("the page has the tables subjects and drivers")
    try:
        page = _read_subjects(request, question)
    except QueryRefused as error:
        raise BadRequest(str(error)) from error
    found = list_subjects(page) if table == "subjects" else list_drivers(read_driver_costs(question, page.days))
    name = f"showback-{question.by if table == 'subjects' else table}"
    return _answer(request, question, found, name=name, page=page, back="showback")


@require_safe
@member_required
def show_subject(request: HttpRequest, seat: Seat) -> HttpResponse:
    """One subject: `by` says what it is, `value` which; an empty value is what names none."""
    now = timezone.now()
    question = _read_question(request, seat, now=now)
    value = request.GET.get("value", "")
    page, refusal = None, ""
    try:
        page = read_subject(question, value)
    except QueryRefused as error:
        refusal = str(error)
    context = _make_context(
        request, seat, question, page=page, refusal=refusal, drivers=page.drivers if page else []
    ) | {
        "value": value,
        "all_href": question.link("showback", {"by": question.by}),
        "entries_href": question.link("ledger", {question.by: value}),
        "explore_href": question.link("explore", {question.by: value}),
        "errors_href": question.link("ledger", {question.by: value, "status": "error"}),
        "api_address": _make_api_address(question, **{question.by: value}),
        "views": list_views(seat, page="showback_subject"),
        "chart_data": _make_chart_data(page) if page else None,
        "entries_read_max": ENTRIES_READ_MAX,
    }
    return render(request, "showback/subject.html", context)


@require_safe
@member_required
def export_subject(request: HttpRequest, seat: Seat) -> HttpResponse:
    """A table of the subject's page as a file: `table` is days, users, drivers, environment or what it is split by."""
    question = _read_question(request, seat, now=timezone.now())
    tables = ("days", "users", "drivers", ENVIRONMENT, *SPLITS[question.by])
    table = request.GET.get("table", "days")
    if table not in tables:
        raise BadRequest(f"the page has the tables {', '.join(tables)}")
    try:
        page = read_subject(question, request.GET.get("value", ""))
    except QueryRefused as error:
        raise BadRequest(str(error)) from error
    name = f"showback-{question.by}-{table}"
    return _answer(request, question, list_subject(page, table), name=name, page=page, back="showback_subject")


def _read_question(request: HttpRequest, seat: Seat, *, now: datetime) -> Question:
    return read_question(request.GET, tenant=seat.tenant, link_query=seat.link_query, today=seat.get_today(now))


def _read_sort(query: QueryDict) -> str:
    sort = query.get("sort", "")
    return sort if sort in SORTS else "cost"


def _read_subjects(request: HttpRequest, question: Question) -> Subjects:
    return read_subjects(question, sort=_read_sort(request.GET), all_lines=request.GET.get("rows") == ALL_LINES)


def _make_context(
    request: HttpRequest,
    seat: Seat,
    question: Question,
    *,
    page: Subjects | Subject | None,
    refusal: str,
    drivers: list[DriverCost],
) -> dict[str, object]:
    """What both pages have."""
    return {
        "frame": make_frame(seat, current="showback"),
        "question": question,
        "page": page,
        "refusal": refusal,
        "drivers": drivers,
        "drivers_href": make_link("showback_drivers", seat.link_query),
        "may_keep_drivers": seat.may_plan,
        "dateline": make_dateline(
            request,
            seat,
            period=question.period,
            environment=question.environment,
            totals=page.totals if page else None,
            complete_to=page.complete_to if page else None,
            unpriced_href=question.link("ledger", {"pricing_status": "unpriced"}),
        ),
        "measured": question.by in MEASURED,
        "file_tables": _list_tables(page),
        "link_query": urlencode(seat.link_query),
    }


def _list_tables(page: Subjects | Subject | None) -> list[tuple[str, str]]:
    """The tables that the page can be taken away as, each with its word."""
    if page is None:
        return []
    if isinstance(page, Subjects):
        return [("subjects", f"By {page.question.word.lower()}"), ("drivers", "Per order, document, seat")]
    splits = [(split.dimension, f"By {split.word.lower()}") for split in (page.environments, *page.splits)]
    return [("days", "By day"), *splits, ("users", "Dearest users"), ("drivers", "Per order, document, seat")]


def _list_choices(request: HttpRequest, question: Question) -> list[Option]:
    return [
        Option(word, f"{request.path}?{_change(request.GET, by=name)}", name == question.by)
        for name, word in DIMENSIONS.items()
    ]


def _change(query: QueryDict, **changes: str) -> str:
    changed = query.copy()
    for name in PLACE_PARAMETERS:
        changed.pop(name, None)
    for name, value in changes.items():
        changed[name] = value
    return changed.urlencode()


def _make_api_address(question: Question, **more: str) -> str:
    return f"{settings.PUBLIC_URL}{reverse('get_costs')}?{question.make_api_query(**more)}"


def _make_chart_data(page: Subject) -> dict[str, object]:
    """What `chart.js` reads: the same amounts as in the table of days, as text."""
    step = -(-len(page.days) // TICKS_MAX) or 1
    labels = [f"{each.day.day} {each.day:%b %a}" for each in page.days]
    return {
        "kind": "bars",
        "adds_up": True,
        "days": [each.day.isoformat() for each in page.days],
        "labels": labels,
        "ticks": [
            {"index": i, "label": f"{page.days[i].day.day} {page.days[i].day:%b}"} for i in range(0, len(labels), step)
        ],
        "series": [
            {
                "name": page.name,
                "color": "1" if page.value else "none",
                "amounts": [None if each.cost is None else write_exact(each.cost) for each in page.days],
                "link": page.question.link("ledger", page.filters),
            }
        ],
    }


def _answer(
    request: HttpRequest, question: Question, table: Table, *, name: str, page: Subjects | Subject, back: str
) -> HttpResponse:
    heading, rows = table
    name = f"{name}-{question.tenant.slug}-{question.period.first}-{question.period.last}"
    facts = list_facts(
        question,
        value=page.name if isinstance(page, Subject) else None,
        complete_to=page.complete_to.isoformat(),
        unpriced=page.totals.unpriced_calls,
    )
    return answer_file(request, name, page=back, heading=heading, rows=rows, facts=facts)
