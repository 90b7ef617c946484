"""/v1/alert-channels: by which ways alerts are told, and to whom."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    lock_channel,
    remove_channel,
    rotate_secret,
    send_test,
)
from alerts.core.channels import ChannelRefused, ChannelTerms, read_terms, write_terms
from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.alert_deliveries import answer_delivery

BODY_BYTES_MAX = 16_000


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
        problems=("query_invalid", *DOCUMENT_PROBLEMS, "channel_invalid"),
        answers={201: "AlertChannelMade"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            channel, secret = create_channel(
                _read_terms(request), tenant_id=request.auth.tenant_id, actor=request.auth.actor, now=timezone.now()
            )
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
        with _tell_refusals():
            return Response(write_channel(get_channel(tenant_id=request.auth.tenant_id, channel_id=channel_id)))

    @describe_call(
        operation_id="change_alert_channel",
        summary="Give a channel other terms",
        description="What is named is changed, everything else stays; its kind cannot be changed.",
        tag="watching",
        scope="admin",
        request={JSON: refer("AlertChannelChanges")},
        problems=("query_invalid", *DOCUMENT_PROBLEMS, "channel_invalid", "channel_unknown"),
        answers={200: "AlertChannel"},
    )
    def patch(self, request: Request, channel_id: int) -> Response:
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "channel_id": channel_id}
        # Locked, so that two who change different fields change both.
        with _tell_refusals(), lock_channel(**named) as before:
            terms = _read_terms(request, before=before)
            channel = change_channel(terms, **named, actor=request.auth.actor, now=timezone.now())
        return Response(write_channel(channel))

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
        with _tell_refusals():
            channel = get_channel(**named)
            remove_channel(**named, actor=request.auth.actor, now=timezone.now())
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
        with _tell_refusals():
            delivery_id = send_test(
                tenant_id=request.auth.tenant_id, channel_id=channel_id, actor=request.auth.actor, now=timezone.now()
            )
        return answer_delivery(request, delivery_id, status=202)


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
        with _tell_refusals():
            secret = rotate_secret(
                tenant_id=request.auth.tenant_id, channel_id=channel_id, actor=request.auth.actor, now=timezone.now()
            )
        return Response({"secret": secret})


@contextmanager
def _tell_refusals() -> Iterator[None]:
    """What alerts refuse, as a problem document."""
    try:
        yield
    except ChannelUnknown:
        raise Problem("channel_unknown") from None
    except ChannelRefused as refused:
        raise refuse_input("channel_invalid", refused.problems) from None


def _read_terms(request: Request, *, before: Channel | None = None) -> ChannelTerms:
    """The terms of the body, those of `before` where it does not name them. Raises Problem, ChannelRefused."""
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="channel_invalid")
    if before is not None and isinstance(document, dict):
        document = write_terms(before) | document
    return read_terms(document, schemes=list_schemes(), needs_settings=before is None)


def write_channel(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        **write_terms(channel),
        "target": channel.target,
        "created_by": channel.created_by,
        "created_at": write_time(channel.created_at),
        "changed_at": write_time(channel.changed_at),
    }
