"""/v1/alert-deliveries: each message to one channel, and how its attempts fared."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.deliveries import DeliveryUnknown, retry_delivery
from alerts.inbox import DeliveryInfo, list_deliveries
from api.parameters import read_query
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call


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
        return answer_delivery(request, delivery_id)


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
                tenant_id=request.auth.tenant_id, delivery_id=delivery_id, actor=request.auth.actor, now=timezone.now()
            )
        except DeliveryUnknown:
            raise Problem("delivery_unknown", "The tenant has no dead delivery of this id.") from None
        return answer_delivery(request, delivery_id, status=202)


def answer_delivery(request: Request, delivery_id: UUID, *, status: int = 200) -> Response:
    found = list_deliveries(tenant_id=request.auth.tenant_id, delivery_id=delivery_id)
    if not found:
        raise Problem("delivery_unknown")
    return Response(write_delivery(found[0]), status=status)


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
