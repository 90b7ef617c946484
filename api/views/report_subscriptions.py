"""/v1/report-subscriptions: who gets the weekly and the monthly report by mail."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from chargeback.core.reports.terms import SubscriptionRefused, read_terms
from chargeback.reports.history import SentReport, get_sent, list_last_sent, list_waits
from chargeback.reports.subscriptions import (
    Subscription,
    SubscriptionUnknown,
    end_subscription,
    get_subscription,
    list_subscriptions,
    send_test,
    subscribe,
)
from tenants.selectors import get_tenant_by_id

BODY_BYTES_MAX = 16_000


class ReportSubscriptions(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_report_subscriptions",
        summary="Who gets which report by mail",
        description="Those that have not ended, each with what was sent last and when the next one is due.",
        tag="charging",
        scope="read",
        problems=("query_invalid",),
        answers={200: "ReportSubscriptions"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        return Response({"subscriptions": write_subscriptions(request, list_subscriptions(**_name_tenant(request)))})

    @describe_call(
        operation_id="create_report_subscription",
        summary="Have a report sent by mail",
        description="To a person who signs in or to an address. The same again is the subscription that there is, with "
        "status 200. It is an act of the tenant's ledger, without the address.",
        tag="charging",
        scope="admin",
        request={JSON: refer("ReportSubscriptionTerms")},
        problems=("query_invalid", *DOCUMENT_PROBLEMS, "report_subscription_invalid"),
        answers={200: "ReportSubscription", 201: "ReportSubscription"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        document = read_document(
            request._request, bytes_max=BODY_BYTES_MAX, refused_as="report_subscription_invalid"
        )  # fmt: skip
        with _tell_refusals():
            own = _name_tenant(request) | {"actor": request.auth.actor, "now": timezone.now()}
            subscription, is_new = subscribe(read_terms(document), **own)
        return Response(write_subscriptions(request, [subscription])[0], status=201 if is_new else 200)


class ReportSubscriptionDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_report_subscription",
        summary="One subscription",
        tag="charging",
        scope="read",
        problems=("query_invalid", "report_subscription_unknown"),
        answers={200: "ReportSubscription"},
    )
    def get(self, request: Request, subscription_id: int) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            subscription = get_subscription(**_name_tenant(request), subscription_id=subscription_id)
        return Response(write_subscriptions(request, [subscription])[0])

    @describe_call(
        operation_id="end_report_subscription",
        summary="Send nothing more by a subscription",
        description="Its address is forgotten.",
        tag="charging",
        scope="admin",
        problems=("query_invalid", "report_subscription_unknown"),
        answers={200: "ReportSubscription"},
    )
    def delete(self, request: Request, subscription_id: int) -> Response:
        read_query(request.query_params, ())
        own = _name_tenant(request) | {"actor": request.auth.actor, "now": timezone.now()}
        with _tell_refusals():
            subscription = get_subscription(**_name_tenant(request), subscription_id=subscription_id)
            written = write_subscriptions(request, [subscription])[0]
            end_subscription(**own, subscription_id=subscription_id)
        return Response(written | {"address": ""})


class ReportSubscriptionTest(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="test_report_subscription",
        summary="Send the latest report once more, as a test",
        description="It goes out within a minute and counts for nothing; ask for the subscription to see what came of "
        "the reports that do.",
        tag="charging",
        scope=required_scope,
        problems=("query_invalid", "report_subscription_unknown"),
        answers={202: "ReportSent"},
    )
    def post(self, request: Request, subscription_id: int) -> Response:
        read_query(request.query_params, ())
        tenant = _name_tenant(request)
        with _tell_refusals():
            sent_id = send_test(
                **tenant, subscription_id=subscription_id, actor=request.auth.actor, now=timezone.now()
            )  # fmt: skip
        return Response(write_sent(get_sent(**tenant, sent_id=sent_id)), status=202)


def _name_tenant(request: Request) -> dict[str, Any]:
    return {"tenant_id": request.auth.tenant_id}


@contextmanager
def _tell_refusals() -> Iterator[None]:
    """What the engine refuses, as a problem document."""
    try:
        yield
    except SubscriptionUnknown:
        raise Problem("report_subscription_unknown") from None
    except SubscriptionRefused as refused:
        raise refuse_input("report_subscription_invalid", refused.problems) from None


def write_subscriptions(request: Request, subscriptions: list[Subscription]) -> list[dict[str, Any]]:
    tenant = get_tenant_by_id(request.auth.tenant_id)
    last = list_last_sent(tenant_id=tenant.id, subscription_ids=[one.id for one in subscriptions])
    now = timezone.now()
    written = []
    for one in subscriptions:
        sent = last.get((one.id, False))
        written.append(_write(one, sent, *list_waits(one, sent, tenant=tenant, now=now)))
    return written


def _write(one: Subscription, sent: SentReport | None, next_at: datetime, missing: list[str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "cadence": one.cadence,
        "person": one.person,
        "address": one.address,
        "scope": dict(one.scope),
        "created_by": one.created_by,
        "created_at": write_time(one.created_at),
        "last_sent": None if sent is None else write_sent(sent),
        "next_at": write_time(next_at),
        "waits_for": missing,
    }


def write_sent(sent: SentReport) -> dict[str, Any]:
    return {
        "id": str(sent.id),
        "from": sent.first.isoformat(),
        "to": sent.after.isoformat(),
        "is_test": sent.is_test,
        "state": sent.state,
        "queued_at": write_time(sent.queued_at),
        "due_at": write_time(sent.due_at),
        "attempts": sent.attempts,
        "status": sent.status,
        "last_error": sent.last_error,
        "finished_at": None if sent.finished_at is None else write_time(sent.finished_at),
    }
