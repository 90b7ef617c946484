"""/v1/rejected: the events that could not be booked, and booking one of them after all."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.quota import settle_reservations
from api.auth import Access
from api.limits import find_payer, take_events
from api.parameters import make_limit, make_uuid_cursor, read_query
from api.parsing.bodies import JSON, read_body
from api.parsing.events import parse_events
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from billing.core.wire_events import ParsedItem
from billing.ingestion import WIRE_NAMES
from billing.replays import book_rejected
from ledger.rejected import REJECTED_PER_PAGE_MAX, Rejected, get_rejected, list_rejected

PARAMETERS = (make_limit("Events", REJECTED_PER_PAGE_MAX), make_uuid_cursor())


class RejectedEvents(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_rejected_events",
        summary="Events that could not be booked, latest first",
        description="Each is kept whole for 30 days.",
        tag="booking",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={200: "RejectedEvents"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        limit = values["limit"]
        events = list_rejected(tenant_id=request.auth.tenant_id, before=values["cursor"], limit=limit + 1)
        following = str(events[limit - 1].id) if len(events) > limit else None
        return Response({"rejected": [write_rejected(event) for event in events[:limit]], "next": following})


class RejectedReplay(APIView):
    required_scope = "ingest"

    @describe_call(
        operation_id="replay_rejected_event",
        summary="Book a rejected event",
        description="A JSON body is the corrected event; without one it is tried again as it was sent. Booking it "
        "twice books it once.",
        tag="booking",
        scope=required_scope,
        request={JSON: refer("Event")},
        problems=("rejected_unknown", "event_invalid", "event_conflict", "body_malformed", "body_too_large"),
        answers={200: "ReplayedEvent"},
    )
    def post(self, request: Request, rejected_id: UUID) -> Response:
        read_query(request.query_params, ())
        access: Access = request.auth
        rejected = get_rejected(tenant_id=access.tenant_id, rejected_id=rejected_id)
        if rejected is None:
            raise Problem("rejected_unknown")
        now = timezone.now()
        body = read_body(request._request) if request._request.body else rejected.body.encode()
        item = _parse_one(body, access)
        take_events(request, shares=[(find_payer(access), 1)], body_bytes=len(body))
        receipt = book_rejected(
            tenant_id=access.tenant_id, rejected_id=rejected_id, event=item.event, api_key_id=access.key_id, now=now
        )
        [result] = receipt.results
        if item.reservation_id and result.status != "conflict":
            settle_reservations(tenant_id=access.tenant_id, reservation_ids=[item.reservation_id])
        if result.status == "conflict":
            raise Problem(
                "event_conflict",
                f"The event {result.detail}.",
                fields=[WIRE_NAMES.get(name, name) for name in result.fields],
            )
        return Response(
            {"id": result.id, "status": result.status, "entry_id": result.entry_id, "receipt": receipt.receipt}
        )


def _parse_one(body: bytes, access: Access) -> ParsedItem:
    """The one good event of a body. Raises Problem."""
    items = parse_events(body, content_type=JSON, now=timezone.now(), may_backfill="backfill" in access.scopes)
    if len(items) > 1:
        raise Problem("event_invalid", f"{len(items)} events were sent; a replay takes one.")
    [item] = items
    problems = [{"field": p.field, "code": p.code, "detail": p.detail} for p in item.problems]
    if item.tenant:
        problems.append({"field": "tenant", "code": "tenant_forbidden", "detail": "leave it out: X-Tenant says it"})
    if problems:
        raise Problem("event_invalid", "The event still cannot be booked.", problems=problems)
    return item


def write_rejected(event: Rejected) -> dict[str, Any]:
    """One rejected event, its text as it was sent."""
    return {
        "id": str(event.id),
        "received_at": write_time(event.received_at),
        "key": event.api_key_id,
        "event_id": event.event_id,
        "code": event.code,
        "detail": event.detail,
        "body": event.body,
        "replayed_at": write_time(event.replayed_at),
    }
