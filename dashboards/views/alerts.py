"""Alerts: the inbox, and one episode."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from alerts.core.routing import SEVERITIES
from alerts.episodes import (
    FEEDBACK,
    AlertStepRefused,
    AlertUnknown,
    acknowledge_alert,
    give_feedback,
    resolve_alert,
    snooze_alert,
)
from alerts.inbox import count_alerts, get_alert, list_deliveries, list_events, list_rules, measure_rule
from dashboards.access import Seat, member_required
from dashboards.alerts.episode import (
    POINT_WORDS,
    is_of_peak,
    link_entries,
    list_delivery_rows,
    list_event_rows,
    list_points,
    make_chart_data,
    make_movers,
    write_range,
)
from dashboards.alerts.inbox import OVER_DAYS, SNOOZES, STATE_WORDS, list_over, read_asked, read_inbox, write_rule
from dashboards.frame import check_texts, make_frame, make_link, read_number
from dashboards.rates.actors import name_actors

COMMENT_LENGTH_MAX = 2_000
RECORD_DAYS = 90
DONE = {
    "acknowledge": "Acknowledged: others see that somebody looks after it.",
    "snooze": "Snoozed: it sends no reminder until then, and opens again by itself.",
    "resolve": "Resolved, and told where it was told that it began.",
    "feedback": "Thank you: the rule is judged by it.",
}
FEEDBACK_WORDS = {
    "real": ("Real", "an unwanted cost. Keep it out of what is usual."),
    "planned": ("Planned", "we knew. Keep it out, and do not count it against the rule."),
    "wrong": ("Wrong", "an ordinary cost. Let what is usual learn it."),
}


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_alerts(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The inbox. By POST one of its alerts takes a step."""
    check_texts(request.GET)
    if request.method == "POST":
        return _take_step(request, seat, read_number(request.POST, "alert"), back="alerts")
    asked = read_asked(request.GET)
    try:
        rows, following = read_inbox(seat, asked, request.GET)
    except AlertUnknown:
        raise BadRequest("cursor is of no page") from None
    counts = count_alerts(tenant_id=seat.tenant.id)
    context = _make_context(request, seat) | {
        "asked": asked,
        "rows": rows,
        "over": [] if asked.is_filtered or request.GET.get("cursor") else list_over(seat, now=timezone.now()),
        "over_days": OVER_DAYS,
        "next_cursor": following,
        "counts": counts,
        "open_count": sum(counts.get("open", {}).values()),
        "urgent_count": sum(counts.get("open", {}).get(one, 0) for one in ("high", "critical")),
        "taken_count": sum(sum(counts.get(state, {}).values()) for state in ("acknowledged", "snoozed")),
        "states": STATE_WORDS,
        "severities": SEVERITIES[::-1],
        "rules": [(rule, write_rule(rule)) for rule in list_rules(tenant_id=seat.tenant.id)],
    }
    return render(request, "alerts/inbox.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_alert(request: HttpRequest, seat: Seat, alert_id: int) -> HttpResponse:
    """One episode. By POST it takes a step."""
    if request.method == "POST":
        return _take_step(request, seat, alert_id, back="alert")
    now, tenant = timezone.now(), seat.tenant
    try:
        alert = get_alert(tenant_id=tenant.id, alert_id=alert_id)
    except AlertUnknown:
        raise Http404 from None
    events = list_events(tenant_id=tenant.id, alert_id=alert_id)
    names = name_actors(event.actor for event in events)
    points = list_points(alert.facts, timezone=tenant.timezone)
    parts_sum = sum((part.amount for part in alert.facts.parts), Decimal(0))
    context = _make_context(request, seat) | {
        "alert": alert,
        "facts": alert.facts,
        "rule_words": write_rule(alert.rule),
        "entries_href": link_entries(alert, timezone=tenant.timezone, now=now, link_query=seat.link_query),
        "budget_href": make_link("budget", seat.link_query, alert.budget_id) if alert.budget_id else "",
        "lasted": (alert.facts.end or alert.resolved_at or now) - (alert.facts.start or alert.opened_at),
        "expected_range": write_range(alert.facts),
        "is_of_peak": is_of_peak(alert.facts),
        "points": points,
        "point_words": POINT_WORDS[alert.facts.points_are],
        "chart_data": make_chart_data(alert.facts, points, timezone=tenant.timezone),
        "movers": make_movers(alert, timezone=tenant.timezone, now=now, link_query=seat.link_query),
        "parts_sum": parts_sum,
        "is_parts_cast": alert.impact is not None and parts_sum == alert.impact,
        "deliveries": list_delivery_rows(list_deliveries(tenant_id=tenant.id, alert_id=alert_id)),
        "deliveries_href": make_link("alert_deliveries", seat.link_query),
        "events": list_event_rows(events, names),
        "last_step": events[-1] if events else None,
        "last_actor": names.get(events[-1].actor, "") if events else "",
        "feedback_words": FEEDBACK_WORDS,
        "record": measure_rule(tenant_id=tenant.id, rule=alert.rule, since=now - timedelta(days=RECORD_DAYS)),
        "record_days": RECORD_DAYS,
    }
    return render(request, "alerts/episode.html", context)


def _take_step(request: HttpRequest, seat: Seat, alert_id: int, *, back: str) -> HttpResponse:
    """Take the form's step, and go back to where it was asked for."""
    if not seat.may_answer_alerts:
        raise PermissionDenied
    act, said = request.POST.get("act", ""), _read_step(request.POST)
    named: dict[str, Any] = {
        "tenant_id": seat.tenant.id, "alert_id": alert_id, "actor": seat.actor, "comment": said["comment"],
        "now": said["now"],
    }  # fmt: skip
    try:
        match act:
            case "acknowledge":
                acknowledge_alert(**named)
            case "snooze":
                snooze_alert(**named, until=said["now"] + timedelta(hours=said["hours"]))
            case "resolve":
                resolve_alert(**named)
            case "feedback":
                give_feedback(**named, feedback=said["feedback"])
            case _:
                raise BadRequest(f"an act is {', '.join(DONE)}")
    except AlertUnknown:
        raise Http404 from None
    except AlertStepRefused:
        act = "gone"
    arguments = (alert_id,) if back == "alert" else ()
    return redirect(make_link(back, seat.link_query | {"done": act}, *arguments))


def _read_step(form: QueryDict) -> dict[str, Any]:
    """What a step's form says. Raises BadRequest."""
    comment = form.get("comment", "").strip()
    if len(comment) > COMMENT_LENGTH_MAX or "\0" in comment:
        raise BadRequest(f"a comment has at most {COMMENT_LENGTH_MAX:,} characters, and no NUL among them")
    hours, feedback = form.get("hours", ""), form.get("feedback", "")
    if form.get("act") == "snooze" and hours not in dict(SNOOZES):
        raise BadRequest(f"hours is one of {', '.join(dict(SNOOZES))}")
    if form.get("act") == "feedback" and feedback not in FEEDBACK:
        raise BadRequest(f"feedback is one of {', '.join(FEEDBACK)}")
    return {"comment": comment, "hours": int(hours or 0), "feedback": feedback, "now": timezone.now()}


def _make_context(request: HttpRequest, seat: Seat) -> dict[str, Any]:
    done = request.GET.get("done", "")
    return {
        "frame": make_frame(seat, current="alerts"),
        "may_answer": seat.may_answer_alerts,
        "may_keep": seat.may_keep_channels,
        "timezone": seat.tenant.timezone,
        "now": timezone.now(),
        "done": DONE.get(done, ""),
        "refused": "It was resolved meanwhile: what comes next is an episode of its own." if done == "gone" else "",
        "snoozes": SNOOZES,
        "alerts_href": make_link("alerts", seat.link_query),
        "channels_href": make_link("alert_channels", seat.link_query),
        "rules_href": make_link("alert_rules", seat.link_query),
        "here": f"{request.path}?{query.urlencode()}" if (query := _clean(request.GET)) else request.path,
    }


def _clean(query: QueryDict) -> QueryDict:
    """The address without what was done last."""
    cleaned = query.copy()
    cleaned.pop("done", None)
    return cleaned
