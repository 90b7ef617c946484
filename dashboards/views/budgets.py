"""Budgets: all of them, one, and the form that makes, changes and tries one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from alerts.budget_histories import list_budget_alerts, list_past_limits
from alerts.budgets import (
    BudgetUnknown,
    change_budget,
    check_terms,
    create_budget,
    get_budget,
    list_budgets,
    retire_budget,
)
from alerts.channels import list_channels, name_channels
from alerts.core.budget_terms import read_terms
from alerts.core.budgets import DEEDS, DIMENSIONS, WINDOWS, Budget, BudgetProblem, BudgetRefused, BudgetTerms
from alerts.core.past_firings import PastFiring
from alerts.spending import read_spending
from alerts.trials import TRIAL_DAYS, try_on_past
from billing.selectors import list_dimension_values
from dashboards.access import Seat, member_required
from dashboards.budgets.checks import read_checks
from dashboards.budgets.course import make_chart_data, name_window, read_course
from dashboards.budgets.form import Texts, make_document, place_problems, read_texts, start_texts, write_texts
from dashboards.budgets.listing import COLUMNS, list_rows, read_asked, read_listing
from dashboards.budgets.standing import STATE_WORDS, list_standings
from dashboards.exports import answer_file, make_facts, write_filters
from dashboards.frame import check_texts, make_frame, make_link
from dashboards.rates.actors import name_actors
from dashboards.saved_views import list_views

DONE = {
    "created": "The budget counts from now on, and what its window has spent already.",
    "changed": "The budget is changed, for the window that goes on too.",
    "same": "There is such a budget already. Nothing was changed.",
    "retired": "The budget is retired: it counts no more. What it was stays on record.",
}
VALUES_LENGTH = timedelta(days=90)
SCOPE_WORDS = {
    "environment": "Environment", "cost_center": "Cost centre", "feature": "Feature", "user": "User",
    "key": "API key", "model": "Model",
}  # fmt: skip
DEED_WORDS = {
    "notify": "tell the channels", "warn": "warn the caller", "throttle": "slow calls down", "deny": "deny calls",
    "suggest": "suggest a model",
}  # fmt: skip


@require_safe
@member_required
def show_budgets(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The budgets that are not retired, children below their parents, or those that the address asks for."""
    check_texts(request.GET)
    now, asked = timezone.now(), read_asked(request.GET)
    standings, shown = read_listing(seat, asked, now=now)
    context = _make_context(request, seat, now=now) | {
        "asked": asked,
        "standings": standings,
        "shown": shown,
        "windows": WINDOWS,
        "states": STATE_WORDS,
        "api_address": f"{settings.PUBLIC_URL}{reverse('list_budgets')}",
        "spent_up": [one for one in standings if one.state == "spent"],
        "ending": [one for one in standings if one.state != "spent" and one.ends_at],
        "views": list_views(seat, page="budgets"),
        "link_query": urlencode(seat.link_query),
    }
    return render(request, "budgets/page.html", context)


@require_safe
@member_required
def export_budgets(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rows of the page as a file, `format` csv or xlsx."""
    check_texts(request.GET)
    now, asked = timezone.now(), read_asked(request.GET)
    standings, shown = read_listing(seat, asked, now=now)
    told = {"q": asked.text, "window": asked.window, "state": asked.state}
    facts = make_facts(tenant=seat.tenant.slug, timezone=seat.tenant.timezone, environment="", period=None) | {
        "Period": "the window that goes on, of each budget",
        "Filters": write_filters({name: [value] for name, value in told.items() if value}),
        "Measure": "USD; what a budget counts is counted by its parent too",
        "Of": now.isoformat(timespec="seconds"),
    }
    return answer_file(
        request,
        f"budgets-{seat.tenant.slug}-{seat.get_today(now)}",
        page="budgets",
        heading=COLUMNS,
        rows=list_rows(standings, shown),
        facts=facts,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_budget(request: HttpRequest, seat: Seat, budget_id: int) -> HttpResponse:
    """One budget: how it stands, its course, its past, its children, its alerts. By POST it is retired."""
    if request.method == "POST":
        return _retire(request, seat, budget_id)
    return _render_budget(request, seat, budget_id)


def _retire(request: HttpRequest, seat: Seat, budget_id: int) -> HttpResponse:
    _require_keeper(seat)
    if request.POST.get("act") != "retire":
        raise BadRequest("an act is retire")
    try:
        retire_budget(tenant_id=seat.tenant.id, budget_id=budget_id, actor=seat.actor, now=timezone.now())
    except BudgetUnknown:
        raise Http404 from None
    except BudgetRefused as refused:
        told = [f"The budget {problem.detail}." for problem in refused.problems]
        return _render_budget(request, seat, budget_id, refusals=told, status=422)
    return redirect(make_link("budgets", seat.link_query | {"done": "retired"}))


def _render_budget(
    request: HttpRequest, seat: Seat, budget_id: int, *, refusals: Sequence[str] = (), status: int = 200
) -> HttpResponse:
    now, tenant = timezone.now(), seat.tenant
    budget = _find(seat, budget_id, with_retired=True)
    live = list_budgets(tenant_id=tenant.id)
    family = [one for one in live if one.id == budget_id or one.parent_id == budget_id] or [budget]
    spendings = read_spending(tenant_id=tenant.id, budgets=family, now=now)
    standing, *children = list_standings(
        family, spendings, now=now, timezone=tenant.timezone, link_query=seat.link_query
    )
    limits = list_past_limits(tenant_id=tenant.id, budget_id=budget_id)
    course = read_course(budget, standing.spending, tenant=tenant, limits=limits, now=now, link_query=seat.link_query)
    spending = standing.spending
    context = _make_context(request, seat, now=now) | {
        "budget": budget,
        "standing": standing,
        "window_words": name_window(budget, spending.window_start, spending.window_end, timezone=tenant.timezone),
        "parent": next((one for one in live if one.id == budget.parent_id), None),
        "parent_href": budget.parent_id and make_link("budget", seat.link_query, budget.parent_id),
        "children": children,
        "course": course,
        "checks": read_checks(budget, spending, tenant=tenant, now=now),
        "chart_data": make_chart_data(course) if course.steps else None,
        "alerts": [
            (alert, make_link("alert", seat.link_query, alert.id))
            for alert in list_budget_alerts(tenant_id=tenant.id, budget_id=budget_id)
        ],
        "channels": name_channels(budget.channel_ids, tenant_id=tenant.id).values(),
        "names": name_actors([budget.created_by]),
        "edit_href": make_link("budget_edit", seat.link_query, budget.id),
        "refusals": refusals,
    }
    return render(request, "budgets/budget.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_new_budget(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The empty form. By POST it is tried on the past (`act` try), or the budget is made."""
    _require_keeper(seat)
    if request.method != "POST":
        return _render_form(request, seat, start_texts())
    return _take_form(request, seat, budget=None)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def edit_budget(request: HttpRequest, seat: Seat, budget_id: int) -> HttpResponse:
    """The form with what a budget says. By POST it is tried on the past, or the budget is changed."""
    _require_keeper(seat)
    budget = _find(seat, budget_id)
    if request.method != "POST":
        return _render_form(request, seat, write_texts(budget), budget=budget)
    return _take_form(request, seat, budget=budget)


def _take_form(request: HttpRequest, seat: Seat, *, budget: Budget | None) -> HttpResponse:
    texts, now, tenant_id = read_texts(request.POST), timezone.now(), seat.tenant.id
    try:
        terms = read_terms(make_document(texts))
        if request.POST.get("act") == "try":
            _refuse_problems(terms, seat, budget=budget, now=now)
            return _render_form(request, seat, texts, budget=budget, trial=_try(terms, seat, now=now))
        if budget is None:
            made, is_new = create_budget(terms, tenant_id=tenant_id, actor=seat.actor, now=now)
            done = "created" if is_new else "same"
        else:
            made = change_budget(terms, tenant_id=tenant_id, budget_id=budget.id, actor=seat.actor, now=now)
            done = "changed"
    except BudgetRefused as refused:
        return _render_form(request, seat, texts, budget=budget, problems=refused.problems, status=422)
    return redirect(make_link("budget", seat.link_query | {"done": done}, made.id))


def _refuse_problems(terms: BudgetTerms, seat: Seat, *, budget: Budget | None, now: datetime) -> None:
    tenant_id = seat.tenant.id
    problems = check_terms(
        terms,
        tenant_id=tenant_id,
        budgets=list_budgets(tenant_id=tenant_id),
        now=now,
        budget_id=budget.id if budget else None,
    )
    if problems:
        raise BudgetRefused(problems)


def _try(terms: BudgetTerms, seat: Seat, *, now: datetime) -> list[tuple[int, list[tuple[str, PastFiring]]]]:
    """What it would have told, by how many days back; each with its window's name."""
    return [
        (
            days,
            [
                (
                    name_window(
                        terms, firing.spending.window_start, firing.spending.window_end, timezone=seat.tenant.timezone
                    ),
                    firing,
                )
                for firing in try_on_past(terms, tenant_id=seat.tenant.id, days=days, now=now)
            ],
        )
        for days in TRIAL_DAYS
    ]


def _render_form(
    request: HttpRequest,
    seat: Seat,
    texts: Texts,
    *,
    budget: Budget | None = None,
    problems: Sequence[BudgetProblem] = (),
    trial: Sequence[object] = (),
    status: int = 200,
) -> HttpResponse:
    now, tenant_id = timezone.now(), seat.tenant.id
    wrong, unplaced = place_problems(problems)
    values = list_dimension_values(tenant_id=tenant_id, start=now - VALUES_LENGTH, end=now)
    context = _make_context(request, seat, now=now) | {
        "budget": budget,
        "texts": texts,
        "scopes": [
            (name, SCOPE_WORDS[name], texts[f"scope_{name}"], values.get(name, ()), wrong.get(f"scope_{name}", ""))
            for name in DIMENSIONS
        ],
        "actions": [(number, row, wrong.get(f"action_{number}", "")) for number, row in enumerate(texts["actions"])],
        "wrong": wrong,
        "unplaced": unplaced,
        "has_problems": bool(problems),
        "windows": WINDOWS,
        "deeds": [(deed, DEED_WORDS[deed]) for deed in DEEDS],
        "parents": [one for one in list_budgets(tenant_id=tenant_id) if budget is None or one.id != budget.id],
        "channels": list_channels(tenant_id=tenant_id),
        "models": values.get("model", ()),
        "trial": trial,
        "budget_href": budget and make_link("budget", seat.link_query, budget.id),
        "here": make_link("budget_edit", seat.link_query, budget.id)
        if budget
        else make_link("budget_new", seat.link_query),
    }
    return render(request, "budgets/form.html", context, status=status)


def _make_context(request: HttpRequest, seat: Seat, *, now: datetime) -> dict[str, object]:
    """What all of the pages have."""
    return {
        "frame": make_frame(seat, current="budgets"),
        "now": now,
        "timezone": seat.tenant.timezone,
        "may_keep": seat.may_plan,
        "done": DONE.get(request.GET.get("done", ""), ""),
        "budgets_href": make_link("budgets", seat.link_query),
        "new_href": make_link("budget_new", seat.link_query),
    }


def _require_keeper(seat: Seat) -> None:
    if not seat.may_plan:
        raise Http404


def _find(seat: Seat, budget_id: int, *, with_retired: bool = False) -> Budget:
    try:
        return get_budget(tenant_id=seat.tenant.id, budget_id=budget_id, with_retired=with_retired)
    except BudgetUnknown:
        raise Http404 from None
