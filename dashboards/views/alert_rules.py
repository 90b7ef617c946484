"""From where on anomalies are told: the form of thresholds, tried on the past before they are kept."""

from collections.abc import Sequence

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from alerts.anomalies.past import PastAnomaly, try_on_past
from alerts.core.watch_settings import (
    ThresholdProblem,
    ThresholdsRefused,
    WatchSetting,
    change_document,
    read_setting,
)
from alerts.thresholds import change_setting, get_setting
from dashboards.access import Seat, member_required
from dashboards.alerts.rules import RULES, Texts, make_forms, read_changes
from dashboards.frame import make_frame, make_link
from dashboards.rates.actors import name_actors

TRIAL_DAYS = 30
SHOWN_MAX = 30
DONE = {"changed": "The thresholds hold from the next run on."}
TITLES = {rule.kind: rule.title for rule in RULES}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_alert_rules(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The thresholds of each kind. By POST they are tried on the past, or kept."""
    if request.method != "POST":
        return _render(request, seat)
    if not seat.may_plan:
        raise Http404
    act = request.POST.get("act")
    if act not in ("try", "save"):
        raise BadRequest("an act is try or save")
    changes, problems = read_changes(request.POST)
    texts = {name: request.POST[name] for name in request.POST}
    now, tenant_id = timezone.now(), seat.tenant.id
    try:
        if problems:
            raise ThresholdsRefused(problems)
        if act == "save":
            change_setting(changes, tenant_id=tenant_id, actor=seat.actor, now=now)
            return redirect(make_link("alert_rules", seat.link_query | {"done": "changed"}))
        setting = read_setting(change_document(get_setting(tenant_id=tenant_id).document, changes))
        found = try_on_past(setting, tenant_id=tenant_id, days=TRIAL_DAYS, now=now)
        return _render(request, seat, setting=setting, texts=texts, found=found)
    except ThresholdsRefused as refused:
        return _render(request, seat, texts=texts, problems=refused.problems, status=422)


def _render(
    request: HttpRequest,
    seat: Seat,
    *,
    setting: WatchSetting | None = None,
    texts: Texts | None = None,
    problems: Sequence[ThresholdProblem] = (),
    found: Sequence[PastAnomaly] | None = None,
    status: int = 200,
) -> HttpResponse:
    kept = get_setting(tenant_id=seat.tenant.id)
    named = name_actors([kept.changed_by]) if seat.is_operator and kept.changed_by else {}
    forms = make_forms(
        setting or kept.setting, texts=texts, problems={problem.field: problem.detail for problem in problems}
    )
    context = {
        "frame": make_frame(seat, current="alerts"),
        "now": timezone.now(),
        "forms": forms,
        "off": sum(not form.is_on for form in forms),
        "may_keep": seat.may_plan,
        "changed_at": kept.changed_at,
        "changed_by": kept.changed_by,
        "names": named | {seat.actor: "you"},
        "has_problems": bool(problems),
        "is_tried": found is not None,
        "found": [(TITLES[one.kind], one) for one in (found or ())[:SHOWN_MAX]],
        "found_count": len(found or ()),
        "counts": _count(found or ()),
        "days": TRIAL_DAYS,
        "done": DONE.get(request.GET.get("done", ""), ""),
        "here": make_link("alert_rules", seat.link_query),
        "alerts_href": make_link("alerts", seat.link_query),
    }
    return render(request, "alerts/rules.html", context, status=status)


def _count(found: Sequence[PastAnomaly]) -> list[tuple[str, int]]:
    """How often each kind that was tried would have been told."""
    return [(TITLES[kind], sum(one.kind == kind for one in found)) for kind in dict.fromkeys(one.kind for one in found)]
