"""Settings › Cost centres: all of them with what is unallocated, and the form that makes, changes and retires one."""

from collections.abc import Mapping, Sequence

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from billing.core.mapping_terms import CENTER_FIELDS, MappingRefused, read_cost_center, write_cost_center
from billing.core.wire_checks import ItemProblem
from billing.cost_centers import (
    CostCenter,
    CostCenterUnknown,
    change_cost_center,
    create_cost_center,
    get_cost_center,
    list_cost_centers,
    retire_cost_center,
)
from dashboards.access import Seat, member_required
from dashboards.cost_centers.page import make_chart_data, read_page
from dashboards.frame import check_texts, make_frame, make_link

DONE = {
    "created": "The cost centre is made. Events name it by its code, or mapping rules do.",
    "changed": "The cost centre is changed.",
    "same": "There is such a cost centre already. Nothing was changed.",
    "retired": "The cost centre is retired. What was charged to it stays.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_cost_centers(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The cost centres, what they cost this month, and what is unallocated by day. By POST one is made."""
    if request.method != "POST":
        return _render_all(request, seat, dict.fromkeys(CENTER_FIELDS, "") | {"code": request.GET.get("code", "")})
    _require_keeper(seat)
    texts = _read_texts(request)
    try:
        terms = read_cost_center(_make_document(texts))
        _, is_new = create_cost_center(terms, tenant_id=seat.tenant.id, actor=seat.actor, now=timezone.now())
    except MappingRefused as refused:
        return _render_all(request, seat, texts, problems=refused.problems, status=422)
    return redirect(make_link("cost_centers", seat.link_query | {"done": "created" if is_new else "same"}))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_cost_center(request: HttpRequest, seat: Seat, center_id: int) -> HttpResponse:
    """The form with what a cost centre says. By POST it is changed, or retired."""
    _require_keeper(seat)
    center = _find(seat, center_id)
    if request.method != "POST":
        texts = {name: str(value or "") for name, value in write_cost_center(center).items()}
        return _render_one(request, seat, center, texts)
    own = {"tenant_id": seat.tenant.id, "center_id": center_id, "actor": seat.actor, "now": timezone.now()}
    texts = _read_texts(request) | {"code": center.code}
    try:
        if request.POST.get("act") == "retire":
            retire_cost_center(**own)
            done = "retired"
        else:
            change_cost_center(read_cost_center(_make_document(texts)), **own)
            done = "changed"
    except MappingRefused as refused:
        return _render_one(request, seat, center, texts, problems=refused.problems, status=422)
    return redirect(make_link("cost_centers", seat.link_query | {"done": done}))


def _require_keeper(seat: Seat) -> None:
    if not seat.may_plan:
        raise Http404


def _find(seat: Seat, center_id: int) -> CostCenter:
    try:
        return get_cost_center(tenant_id=seat.tenant.id, center_id=center_id)
    except CostCenterUnknown:
        raise Http404 from None


def _read_texts(request: HttpRequest) -> dict[str, str]:
    check_texts(request.POST)
    return {name: request.POST.get(name, "").strip() for name in CENTER_FIELDS}


def _make_document(texts: Mapping[str, str]) -> dict[str, object]:
    parent = texts["parent"]
    return {**texts, "parent": int(parent) if parent.isascii() and parent.isdigit() and len(parent) < 18 else None}


def _render_all(
    request: HttpRequest,
    seat: Seat,
    texts: Mapping[str, str],
    *,
    problems: Sequence[ItemProblem] = (),
    status: int = 200,
) -> HttpResponse:
    check_texts(request.GET)
    now = timezone.now()
    page = read_page(seat, now=now)
    context = _make_context(request, seat, texts, problems) | {
        "page": page,
        "chart_data": make_chart_data(page.days),
        "mapping_href": make_link("mapping_rules", seat.link_query),
        "now": now,
        "here": make_link("cost_centers", seat.link_query),
    }
    return render(request, "cost_centers/page.html", context, status=status)


def _render_one(
    request: HttpRequest,
    seat: Seat,
    center: CostCenter,
    texts: Mapping[str, str],
    *,
    problems: Sequence[ItemProblem] = (),
    status: int = 200,
) -> HttpResponse:
    context = _make_context(request, seat, texts, problems) | {
        "center": center,
        "now": timezone.now(),
        "here": make_link("cost_center", seat.link_query, center.id),
    }
    return render(request, "cost_centers/center.html", context, status=status)


def _make_context(
    request: HttpRequest, seat: Seat, texts: Mapping[str, str], problems: Sequence[ItemProblem]
) -> dict[str, object]:
    """What both pages have. wrong: what is wrong with a text, by its name; unplaced: what is wrong with none."""
    return {
        "frame": make_frame(seat, current="cost_centers"),
        "timezone": seat.tenant.timezone,
        "may_keep": seat.may_plan,
        "done": DONE.get(request.GET.get("done", ""), ""),
        "texts": texts,
        "parents": list_cost_centers(tenant_id=seat.tenant.id),
        "wrong": {problem.field: problem.detail for problem in problems if problem.field in CENTER_FIELDS},
        "unplaced": [problem.detail for problem in problems if problem.field not in CENTER_FIELDS],
        "centers_href": make_link("cost_centers", seat.link_query),
    }
