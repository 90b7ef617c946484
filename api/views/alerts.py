"""/v1/alerts, /v1/alert-channels, /v1/alert-deliveries: what was found, to whom it is told, and how that fared."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.channels import (
    Channel,
    ChannelUnknown,
    change_channel,
    create_channel,
    get_channel,
    list_channels,
    list_schemes,
    remove_channel,
    rotate_secret,
    send_test,
)
from alerts.core.channels import ChannelRefused, ChannelTerms, read_terms, write_terms
from alerts.core.facts import write_facts
from alerts.core.routing import SEVERITIES
from alerts.deliveries import DeliveryUnknown, retry_delivery
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
    DeliveryInfo,
    get_alert,
    list_alerts,
    list_deliveries,
    list_events,
)
from api.alert_shapes import COMMENT_LENGTH_MAX
from api.parameters import (
    BOUNDARY_SCHEMA,
    TEXT_SCHEMA,
    Parameter,
    find_moment,
    read_boundary,
    read_choice,
    read_query,
    read_text,
    read_time,
    read_whole,
)
from api.parsing.bodies import JSON, read_body, read_content_type
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from billing.core.wire_checks import ItemRefused, load_strictly

BODY_BYTES_MAX = 16_000
ALERTS_PER_PAGE = 100
STEPS = ("acknowledge", "snooze", "resolve", "feedback")
STEP_FIELDS = ("comment", "until", "feedback")
PARAMETERS = (
    Parameter("state", read_choice(*STATES), "In any of these states.", {"enum": list(STATES)}, is_repeatable=True),
    Parameter("severity", read_choice(*SEVERITIES), "Of any of these.", {"enum": list(SEVERITIES)}, is_repeatable=True),
    Parameter("rule", read_text, "Found by any of these rules.", TEXT_SCHEMA, is_repeatable=True),
    Parameter("owner", read_text, "Of this owner.", TEXT_SCHEMA, default=""),
    Parameter(
        "budget", read_whole(1, 10**12 - 1), "About this budget.",
        {"type": "integer", "minimum": 1, "maximum": 10**12 - 1},
    ),
    Parameter("from", read_boundary, "Opened then or later.", BOUNDARY_SCHEMA),
    Parameter("to", read_boundary, "Opened before.", BOUNDARY_SCHEMA),
    Parameter(
        "limit", read_whole(1, ALERTS_PER_PAGE_MAX), "Alerts on a page.",
        {"type": "integer", "minimum": 1, "maximum": ALERTS_PER_PAGE_MAX}, default=ALERTS_PER_PAGE,
    ),
    Parameter(
        "cursor", read_whole(1, 10**12 - 1), "`next` of the page before.",
        {"type": "integer", "minimum": 1, "maximum": 10**12 - 1},
    ),
)  # fmt: skip
BODY_PROBLEMS = (
    "query_invalid", "body_empty", "body_malformed", "body_incomplete", "body_too_large", "content_type_unknown",
    "content_encoding_unknown",
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
        problems=(*BODY_PROBLEMS, "path_unknown", "alert_unknown", "alert_refused", "alert_step_invalid"),
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
            "actor": _name(request),
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


class AlertDeliveryDetail(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_alert_delivery",
        summary="One message to one channel, with each attempt",
        tag="watching",
        scope=required_scope,
        problems=("query_invalid", "delivery_unknown"),
        answers={200: "AlertDelivery"},
    )
    def get(self, request: Request, delivery_id: UUID) -> Response:
        read_query(request.query_params, ())
        return _answer_delivery(request, delivery_id)


class AlertDeliveryRetry(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="retry_alert_delivery",
        summary="Try a dead delivery again, under its id",
        tag="watching",
        scope=required_scope,
        problems=("query_invalid", "delivery_unknown"),
        answers={202: "AlertDelivery"},
    )
    def post(self, request: Request, delivery_id: UUID) -> Response:
        read_query(request.query_params, ())
        try:
            retry_delivery(
                tenant_id=request.auth.tenant_id, delivery_id=delivery_id, actor=_name(request), now=timezone.now()
            )
        except DeliveryUnknown:
            raise Problem("delivery_unknown", "The tenant has no dead delivery of this id.") from None
        return _answer_delivery(request, delivery_id, status=202)


class AlertChannels(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_alert_channels",
        summary="Every channel by which alerts are told",
        tag="watching",
        scope="read",
        problems=("query_invalid",),
        answers={200: "AlertChannels"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        channels = list_channels(tenant_id=request.auth.tenant_id)
        return Response({"channels": [write_channel(channel) for channel in channels]})

    @describe_call(
        operation_id="create_alert_channel",
        summary="Make a channel",
        description="`settings` is what its kind needs. A webhook's signing secret is answered this once. It is an act "
        "of the tenant's ledger, without what is secret.",
        tag="watching",
        scope="admin",
        request={JSON: refer("AlertChannelTerms")},
        problems=(*BODY_PROBLEMS, "channel_invalid"),
        answers={201: "AlertChannelMade"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        try:
            channel, secret = create_channel(
                _read_terms(request), tenant_id=request.auth.tenant_id, actor=_name(request), now=timezone.now()
            )
        except ChannelRefused as refused:
            raise refuse_channel(refused) from None
        return Response(write_channel(channel) | {"secret": secret}, status=201)


class AlertChannelDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_alert_channel",
        summary="One channel",
        tag="watching",
        scope="read",
        problems=("query_invalid", "channel_unknown"),
        answers={200: "AlertChannel"},
    )
    def get(self, request: Request, channel_id: int) -> Response:
        read_query(request.query_params, ())
        try:
            return Response(write_channel(get_channel(tenant_id=request.auth.tenant_id, channel_id=channel_id)))
        except ChannelUnknown:
            raise Problem("channel_unknown") from None

    @describe_call(
        operation_id="change_alert_channel",
        summary="Give a channel other terms",
        description="What is named is changed, everything else stays; its kind cannot be changed.",
        tag="watching",
        scope="admin",
        request={JSON: refer("AlertChannelChanges")},
        problems=(*BODY_PROBLEMS, "channel_invalid", "channel_unknown"),
        answers={200: "AlertChannel"},
    )
    def patch(self, request: Request, channel_id: int) -> Response:
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "channel_id": channel_id}
        try:
            terms = _read_terms(request, before=get_channel(**named))
            return Response(write_channel(change_channel(terms, **named, actor=_name(request), now=timezone.now())))
        except ChannelUnknown:
            raise Problem("channel_unknown") from None
        except ChannelRefused as refused:
            raise refuse_channel(refused) from None

    @describe_call(
        operation_id="remove_alert_channel",
        summary="Let nothing be told by a channel any more",
        description="Its settings are forgotten; its deliveries stay on record.",
        tag="watching",
        scope="admin",
        problems=("query_invalid", "channel_unknown"),
        answers={200: "AlertChannel"},
    )
    def delete(self, request: Request, channel_id: int) -> Response:
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "channel_id": channel_id}
        try:
            channel = get_channel(**named)
            remove_channel(**named, actor=_name(request), now=timezone.now())
        except ChannelUnknown:
            raise Problem("channel_unknown") from None
        return Response(write_channel(channel) | {"enabled": False})


class AlertChannelTest(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="test_alert_channel",
        summary="Send a message that says that it is a test",
        description="It goes out at once, quiet hours or not; ask for the delivery to see what became of it.",
        tag="watching",
        scope=required_scope,
        problems=("query_invalid", "channel_unknown", "channel_invalid"),
        answers={202: "AlertDelivery"},
    )
    def post(self, request: Request, channel_id: int) -> Response:
        read_query(request.query_params, ())
        try:
            delivery_id = send_test(
                tenant_id=request.auth.tenant_id, channel_id=channel_id, actor=_name(request), now=timezone.now()
            )
        except ChannelUnknown:
            raise Problem("channel_unknown") from None
        except ChannelRefused as refused:
            raise refuse_channel(refused) from None
        return _answer_delivery(request, delivery_id, status=202)


class AlertChannelSecret(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="rotate_alert_channel_secret",
        summary="Give a webhook a new signing secret",
        description="It is answered this once; for 24 hours messages are signed with the old one too.",
        tag="watching",
        scope=required_scope,
        problems=("query_invalid", "channel_unknown", "channel_invalid"),
        answers={200: "AlertChannelSecret"},
    )
    def post(self, request: Request, channel_id: int) -> Response:
        read_query(request.query_params, ())
        try:
            secret = rotate_secret(
                tenant_id=request.auth.tenant_id, channel_id=channel_id, actor=_name(request), now=timezone.now()
            )
        except ChannelUnknown:
            raise Problem("channel_unknown") from None
        except ChannelRefused as refused:
            raise refuse_channel(refused) from None
        return Response({"secret": secret})


def _name(request: Request) -> str:
    return f"key {request.auth.key_id}"


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


def _answer_delivery(request: Request, delivery_id: UUID, *, status: int = 200) -> Response:
    found = list_deliveries(tenant_id=request.auth.tenant_id, delivery_id=delivery_id)
    if not found:
        raise Problem("delivery_unknown")
    return Response(write_delivery(found[0]), status=status)


def _read_json(request: Request, code: str) -> Any:
    if read_content_type(request._request) != JSON:
        raise Problem("content_type_unknown", f"Send {JSON}.")
    try:
        return load_strictly(read_body(request._request), bytes_max=BODY_BYTES_MAX)
    except ItemRefused as refused:
        problems = [{"field": one.field, "code": one.code, "detail": one.detail} for one in refused.problems]
        raise Problem(code, "; ".join(one["detail"] for one in problems[:5]), problems=problems) from None


def _read_terms(request: Request, *, before: Channel | None = None) -> ChannelTerms:
    """The terms of the body, those of `before` where it does not name them. Raises Problem, ChannelRefused."""
    document = _read_json(request, "channel_invalid")
    if before is not None and isinstance(document, dict):
        document = write_terms(before) | document
    return read_terms(document, schemes=list_schemes(), needs_settings=before is None)


def _read_step(request: Request, step: str) -> dict[str, Any]:
    """The body of a step, '' for a comment that is not there. Raises Problem `alert_step_invalid`."""
    document = _read_json(request, "alert_step_invalid") if request._request.body else {}
    if not isinstance(document, dict):
        raise Problem("alert_step_invalid", "A step is an object.")
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


def refuse_channel(refused: ChannelRefused) -> Problem:
    problems = [{"field": one.field, "code": one.code, "detail": one.detail} for one in refused.problems]
    told = "; ".join(f"{one['field']} {one['detail']}".strip() for one in problems[:5])
    return Problem("channel_invalid", told, problems=problems)


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


def write_delivery(delivery: DeliveryInfo) -> dict[str, Any]:
    return {
        "id": str(delivery.id),
        "alert": delivery.alert_id,
        "kind": delivery.kind,
        "state": delivery.state,
        "held_for": delivery.held_for,
        "channel": delivery.channel.id,
        "queued_at": write_time(delivery.queued_at),
        "due_at": write_time(delivery.due_at),
        "finished_at": write_time(delivery.finished_at) if delivery.finished_at else None,
        "last_error": delivery.last_error,
        "attempts": [
            {
                "number": attempt.number,
                "started_at": write_time(attempt.started_at),
                "duration_ms": attempt.duration_ms,
                "outcome": attempt.outcome,
                "status": attempt.status,
                "detail": attempt.detail,
            }
            for attempt in delivery.attempts
        ],
    }


def write_channel(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        **write_terms(channel),
        "target": channel.target,
        "created_by": channel.created_by,
        "created_at": write_time(channel.created_at),
        "changed_at": write_time(channel.changed_at),
    }
