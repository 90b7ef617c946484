"""Settings › Mapping rules: in their order, tried, added, moved and ended; and re-allocations of the past by them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from billing.core.mapping_terms import MappingRefused, RuleTerms, read_day, read_rule
from billing.core.wire_checks import ItemProblem
from billing.cost_centers import list_cost_centers
from billing.mapping import RuleUnknown, add_rule, end_rule, list_rules, move_rule
from billing.mapping_trials import TRIAL_DAYS, find_trial_days, try_mapping
from billing.reratings import (
    JobRefused,
    JobUnknown,
    cancel_job,
    get_job,
    list_jobs,
    pause_job,
    resume_job,
    start_reallocation,
)
from billing.selectors import list_dimension_values
from dashboards.access import Seat, member_required
from dashboards.frame import check_texts, make_frame, make_link, read_number
from dashboards.mapping.form import Texts, make_document, place_problems, read_texts, start_texts
from dashboards.mapping.page import list_rows, list_shown_jobs, name_keys, show_job, show_trial

DONE = {
    "added": "The rule holds for calls that are booked from now on. Those booked before are given a cost centre by a "
    "re-allocation.",
    "moved": "The rule is asked at its new place, for calls that are booked from now on.",
    "ended": "The rule is ended. What it gave stays.",
}
CHOICES_MAX = 200
VALUES_LENGTH = timedelta(days=90)  # in which a feature was used that is offered
STEPS = {"pause": pause_job, "resume": resume_job, "cancel": cancel_job}
STATES_AFTER = {"pause": ("paused",), "resume": ("waiting", "running"), "cancel": ("cancelled",)}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_mapping_rules(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The rules; with `trial` what they would take of the last 30 days. By POST one is tried, added, moved or ended,
    or a re-allocation begins.
    """
    check_texts(request.GET)
    if request.method != "POST":
        return _render(request, seat, start_texts(), tries="trial" in request.GET)
    if not seat.may_plan:
        raise Http404
    check_texts(request.POST)
    act = request.POST.get("act")
    if act in ("try", "add"):
        return _take_rule(request, seat, is_trial=act == "try")
    if act in ("move", "end"):
        return _change(request, seat, act)
    if act == "reallocate":
        return _reallocate(request, seat)
    raise BadRequest("an act is try, add, move, end or reallocate")


def _take_rule(request: HttpRequest, seat: Seat, *, is_trial: bool) -> HttpResponse:
    texts = read_texts(request.POST)
    try:
        terms = read_rule(make_document(texts))
        if is_trial:
            return _render(request, seat, texts, draft=terms, tries=True)
        add_rule(terms, tenant_id=seat.tenant.id, actor=seat.actor, now=timezone.now())
    except MappingRefused as refused:
        return _render(request, seat, texts, problems=refused.problems, status=422)
    return redirect(make_link("mapping_rules", seat.link_query | {"done": "added"}))


def _change(request: HttpRequest, seat: Seat, act: str) -> HttpResponse:
    own = {"tenant_id": seat.tenant.id, "actor": seat.actor, "now": timezone.now()}
    rule_id = read_number(request.POST, "rule")
    try:
        if act == "move":
            move_rule(read_number(request.POST, "place"), rule_id=rule_id, **own)
        else:
            end_rule(read_day({"valid_to": request.POST.get("valid_to")}, "valid_to"), rule_id=rule_id, **own)
    except RuleUnknown:
        raise Http404 from None
    except MappingRefused as refused:
        told = [f"The {'place' if act == 'move' else 'day'} {problem.detail}." for problem in refused.problems]
        return _render(request, seat, start_texts(), refusals=told, status=422)
    return redirect(make_link("mapping_rules", seat.link_query | {"done": "moved" if act == "move" else "ended"}))


def _reallocate(request: HttpRequest, seat: Seat) -> HttpResponse:
    texts = {name: request.POST.get(name, "").strip() for name in ("first", "last", "reason")}
    try:
        first, last = (date.fromisoformat(texts[name]) for name in ("first", "last"))
    except ValueError:
        return _render(
            request, seat, start_texts(), past=texts, refusals=["Choose the first and the last day."], status=422
        )
    try:
        job_id = start_reallocation(
            tenant_id=seat.tenant.id,
            used_from=_start_day(first),
            used_to=_start_day(last) + timedelta(days=1),
            reason=texts["reason"],
            requested_by=seat.actor,
            now=timezone.now(),
        )
    except JobRefused as refused:
        if refused.code == "job_under_way":
            return redirect(
                make_link("reallocation", seat.link_query, list_jobs(tenant_id=seat.tenant.id, limit=1)[0].id)
            )
        return _render(request, seat, start_texts(), past=texts, refusals=[_say(refused)], status=422)
    return redirect(make_link("reallocation", seat.link_query, job_id))


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_reallocation(request: HttpRequest, seat: Seat, job_id: int) -> HttpResponse:
    """A re-allocation and how far it came; the part alone where it is asked for again. By POST it takes a `step`."""
    refusal = _take_step(request, seat, job_id) if request.method == "POST" else ""
    if request.method == "POST" and not request.htmx and not refusal:
        return redirect(make_link("reallocation", seat.link_query, job_id))
    job = get_job(job_id, tenant_id=seat.tenant.id)
    if job is None:
        raise Http404
    context: dict[str, Any] = {"shown": show_job(job, seat), "job": job, "refusal": refusal, "may_keep": seat.may_plan}
    if request.htmx:
        return render(request, "mapping/job_progress.html", context)
    context |= {
        "frame": make_frame(seat, current="mapping_rules"),
        "timezone": seat.tenant.timezone,
        "now": timezone.now(),
        "last_day": job.used_to - timedelta(days=1) if job.used_to else None,
        "rules_href": make_link("mapping_rules", seat.link_query),
    }
    return render(request, "mapping/job.html", context, status=409 if refusal else 200)


def _take_step(request: HttpRequest, seat: Seat, job_id: int) -> str:
    """Why the step was refused, '' where it was taken, or had been before."""
    if not seat.may_plan:
        raise Http404
    step = request.POST.get("step", "")
    if step not in STEPS:
        raise BadRequest(f"a step is one of {', '.join(STEPS)}")
    try:
        STEPS[step](job_id, actor=seat.actor, now=timezone.now(), tenant_id=seat.tenant.id)
    except JobUnknown:
        raise Http404 from None
    except JobRefused as refused:
        job = get_job(job_id, tenant_id=seat.tenant.id)
        return "" if job and job.state in STATES_AFTER[step] else _say(refused)
    return ""


def _render(
    request: HttpRequest,
    seat: Seat,
    texts: Texts,
    *,
    draft: RuleTerms | None = None,
    tries: bool = False,
    problems: Sequence[ItemProblem] = (),
    refusals: Sequence[str] = (),
    past: Mapping[str, str] | None = None,
    status: int = 200,
) -> HttpResponse:
    now, keys = timezone.now(), name_keys(seat)
    rows = list_rows(list_rules(tenant_id=seat.tenant.id), keys=keys, today=now.date())
    start, end = find_trial_days(now)
    trial = try_mapping(draft, tenant_id=seat.tenant.id, start=start, end=end) if tries else None
    last = end - timedelta(days=1)
    context = _make_form_context(seat, texts, problems, keys=keys, now=now) | {
        "frame": make_frame(seat, current="mapping_rules"),
        "timezone": seat.tenant.timezone,
        "done": DONE.get(request.GET.get("done", ""), ""),
        "rows": rows,
        "holding": [row for row in rows if row.state == "holds"],
        "trial": show_trial(trial, rows, keys=keys) if trial else None,
        "trial_days": TRIAL_DAYS,
        "trial_last": last,
        "jobs": list_shown_jobs(seat),
        "past": past or {"first": f"{start:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}", "reason": ""},
        "refusals": refusals,
        "today": now.date(),
        "now": now,
        "here": make_link("mapping_rules", seat.link_query),
        "trial_href": make_link("mapping_rules", seat.link_query | {"trial": "1"}) + "#trial",
        "centers_href": make_link("cost_centers", seat.link_query),
    }
    return render(request, "mapping/page.html", context, status=status)


def _make_form_context(
    seat: Seat, texts: Texts, problems: Sequence[ItemProblem], *, keys: Mapping[str, str], now: datetime
) -> dict[str, Any]:
    """The form of a rule, with what there is to choose from; nothing of it for one who may not keep rules."""
    wrong, unplaced = place_problems(texts, problems)
    context: dict[str, Any] = {"may_keep": seat.may_plan, "texts": texts, "wrong": wrong, "unplaced": unplaced}
    if not seat.may_plan:
        return context
    values = list_dimension_values(tenant_id=seat.tenant.id, start=now - VALUES_LENGTH, end=now)
    return context | {
        "centers": list_cost_centers(tenant_id=seat.tenant.id),
        "features": [each for each in values.get("feature", ()) if each][:CHOICES_MAX],
        "keys": sorted(keys.items(), key=lambda pair: pair[1])[:CHOICES_MAX],
    }


def _start_day(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _say(refused: JobRefused) -> str:
    """The reason as a sentence."""
    said = str(refused)
    return f"{said[:1].upper()}{said[1:]}."
