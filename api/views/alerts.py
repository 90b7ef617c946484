"""/v1/alerts: what was found, and what people say to it."""

from datetime import datetime
from typing import Any

import msgspec
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.core.facts import write_facts
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
from alerts.inbox import (
    ALERTS_PER_PAGE_MAX,
    STATES,
    AlertFilters,
    AlertInfo,
    get_alert,
    list_alerts,
    list_deliveries,
    list_events,
)
from api.alert_shapes import COMMENT_LENGTH_MAX
from api.parameters import (
    BOUNDARY_SCHEMA,
    NUMBER_MAX,
    TEXT_SCHEMA,
    Parameter,
    find_moment,
    make_limit,
    make_number_cursor,
    read_boundary,
    read_choice,
    read_query,
    read_text,
    read_time,
    read_whole,
)
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.alert_deliveries import write_delivery

BODY_BYTES_MAX = 16_000
STEPS = ("acknowledge", "snooze", "resolve", "feedback")
STEP_FIELDS = ("comment", "until", "feedback")
PARAMETERS = (
    Parameter("state", read_choice(*STATES), "In any of these states.", {"enum": list(STATES)}, is_repeatable=True),
    Parameter("severity", read_choice(*SEVERITIES), "Of any of these.", {"enum": list(SEVERITIES)}, is_repeatable=True),
    Parameter("rule", read_text, "Found by any of these rules.", TEXT_SCHEMA, is_repeatable=True),
    Parameter("owner", read_text, "Of this owner.", TEXT_SCHEMA, default=""),
    Parameter(
        "budget", read_whole(1, NUMBER_MAX), "About this budget.",
        {"type": "integer", "minimum": 1, "maximum": NUMBER_MAX},
    ),
    Parameter("from", read_boundary, "Opened then or later.", BOUNDARY_SCHEMA),
    Parameter("to", read_boundary, "Opened before.", BOUNDARY_SCHEMA),
    make_limit("Alerts", ALERTS_PER_PAGE_MAX),
    make_number_cursor(),
)  # fmt: skip


class Alerts(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_alerts",
        summary="Alerts, latest first",
        tag="watching",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={200: "Alerts"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        bounds = {name: _find_moment(values[name], request) for name in ("from", "to")}
        filters = AlertFilters(
            states=values["state"],
            severities=values["severity"],
            rules=values["rule"],
            owner=values["owner"],
            budget_id=values["budget"],
            start=bounds["from"],
            end=bounds["to"],
        )
        limit = values["limit"]
        try:
            alerts = list_alerts(
                tenant_id=request.auth.tenant_id, filters=filters, before=values["cursor"], limit=limit + 1
            )
        except AlertUnknown:
            fault = {"field": "cursor", "detail": "This is `next` of no page."}
            raise Problem("query_invalid", "cursor: This is `next` of no page.", problems=[fault]) from None
        following = alerts[limit - 1].id if len(alerts) > limit else None
        return Response({"alerts": [write_alert(alert) for alert in alerts[:limit]], "next": following})


class AlertDetail(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_alert",
        summary="One alert, with its history and each delivery",
        tag="watching",
        scope=required_scope,
        problems=("query_invalid", "alert_unknown"),
        answers={200: "AlertDetail"},
    )
    def get(self, request: Request, alert_id: int) -> Response:
        read_query(request.query_params, ())
        return _answer(request, alert_id)


class AlertStep(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_alert_step",
        summary="Acknowledge, snooze or resolve an alert, or say whether it was right",
        description="`step` is `acknowledge`, `snooze` (with `until`), `resolve` or `feedback` (with `feedback`: "
        "`real`, `planned` or `wrong`). A step that was taken is taken once; it stands in the history under the key.",
        tag="watching",
        scope=required_scope,
        request={JSON: refer("AlertStep")},
        problems=(
            "query_invalid",
            *DOCUMENT_PROBLEMS,
            "path_unknown",
            "alert_unknown",
            "alert_refused",
            "alert_step_invalid",
        ),
        answers={200: "AlertDetail"},
    )
    def post(self, request: Request, alert_id: int, step: str) -> Response:
        read_query(request.query_params, ())
        if step not in STEPS:
            raise Problem("path_unknown", f"A step is one of {', '.join(STEPS)}.")
        said = _read_step(request, step)
        named: dict[str, Any] = {
            "tenant_id": request.auth.tenant_id,
            "alert_id": alert_id,
            "actor": request.auth.actor,
            "comment": said["comment"],
            "now": timezone.now(),
        }
        try:
            match step:
                case "acknowledge":
                    acknowledge_alert(**named)
                case "snooze":
                    snooze_alert(**named, until=said["until"])
                case "resolve":
                    resolve_alert(**named)
                case _:
                    give_feedback(**named, feedback=said["feedback"])
        except AlertUnknown:
            raise Problem("alert_unknown") from None
        except AlertStepRefused as refused:
            raise Problem("alert_refused", str(refused)) from None
        return _answer(request, alert_id)


def _find_moment(boundary: Any, request: Request) -> datetime | None:
    return None if boundary is None else find_moment(boundary, timezone=request.auth.timezone)


def _answer(request: Request, alert_id: int) -> Response:
    tenant_id = request.auth.tenant_id
    try:
        alert = get_alert(tenant_id=tenant_id, alert_id=alert_id)
    except AlertUnknown:
        raise Problem("alert_unknown") from None
    events = list_events(tenant_id=tenant_id, alert_id=alert_id)
    deliveries = list_deliveries(tenant_id=tenant_id, alert_id=alert_id)
    told = {
        "events": [
            {
                "event": event.event,
                "happened_at": write_time(event.happened_at),
                "actor": event.actor,
                "comment": event.comment,
                "facts": dict(event.facts),
            }
            for event in events
        ],
        "deliveries": [write_delivery(delivery) for delivery in deliveries],
    }
    return Response(write_alert(alert) | told)


def _read_step(request: Request, step: str) -> dict[str, Any]:
    """The body of a step, '' for a comment that is not there. Raises Problem `alert_step_invalid`."""
    document = _read_body(request) if request._request.body else {}
    faults = [
        {"field": str(name)[:64], "code": "unknown_field", "detail": f"is none of {', '.join(STEP_FIELDS)}"}
        for name in document
        if name not in STEP_FIELDS
    ]
    comment, until = document.get("comment", ""), None
    if not isinstance(comment, str) or len(comment) > COMMENT_LENGTH_MAX or "\0" in comment:
        detail = f"must be text of at most {COMMENT_LENGTH_MAX} characters"
        faults.append({"field": "comment", "code": "wrong_type", "detail": detail})
    if step == "snooze":
        try:
            until = read_time(document["until"])
        except (KeyError, TypeError, ValueError):
            detail = "is required: a time with its zone, such as 2026-11-23T08:00:00Z"
            faults.append({"field": "until", "code": "wrong_value", "detail": detail})
    feedback = document.get("feedback")
    if step == "feedback" and feedback not in FEEDBACK:
        detail = f"is required: {', '.join(FEEDBACK)}"
        faults.append({"field": "feedback", "code": "wrong_value", "detail": detail})
    if faults:
        told = "; ".join(f"{fault['field']} {fault['detail']}" for fault in faults)
        raise Problem("alert_step_invalid", told, problems=faults)
    return {"comment": comment, "until": until, "feedback": feedback}


def _read_body(request: Request) -> dict[str, Any]:
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="alert_step_invalid")
    if not isinstance(document, dict):
        raise Problem("alert_step_invalid", "A step is an object.")
    return document


def write_alert(alert: AlertInfo) -> dict[str, Any]:
    return {
        "id": alert.id,
        "rule": alert.rule,
        "scope": dict(alert.scope),
        "episode": alert.episode,
        "severity": alert.severity,
        "state": alert.state,
        "title": alert.title,
        "impact": None if alert.impact is None else write_money(alert.impact),
        "budget": alert.budget_id,
        "owner": alert.owner,
        "opened_at": write_time(alert.opened_at),
        "changed_at": write_time(alert.changed_at),
        "snoozed_until": write_time(alert.snoozed_until) if alert.snoozed_until else None,
        "resolved_at": write_time(alert.resolved_at) if alert.resolved_at else None,
        "feedback": alert.feedback,
        "facts": msgspec.to_builtins(write_facts(alert.facts)),
    }
