"""POST /v1/traces, /v1/metrics, /v1/logs: what an OpenTelemetry exporter sends, answered as its protocol says."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from alerts.quota import settle_reservations
from api.auth import Access
from api.booking_shapes import OTLP_BODIES
from api.limits import Payer, find_payer, hold_place, take_events
from api.parameters import read_query
from api.parsing.bodies import read_body
from api.parsing.otlp import CONTENT_TYPES, UnreadableSpan, read_spans, write_response
from api.parsing.spans import take_span
from api.problems import PROTOBUF, Problem
from api.schema import describe_call
from billing.core.spans import CALL, OTHER
from billing.ingestion import RejectedItem
from billing.spans import RefusedSpan, SpanReceipt, TakenSpan, book_spans
from tenants.selectors import get_tenant

REFUSED_NAMED_MAX = 10
NO_SPANS = "The body is {}: no resourceSpans, nothing to book."  # a good request, and seldom what was meant
BODY_PROBLEMS = (
    "body_malformed", "body_incomplete", "body_too_large", "too_many_events", "content_type_unknown",
    "content_encoding_unknown",
)  # fmt: skip


class OtlpTraces(APIView):
    """Book the calls of models among spans, and keep the others of their traces."""

    required_scope = "ingest"

    @describe_call(
        operation_id="post_traces",
        summary="Book the calls of models among OpenTelemetry spans",
        description=(
            "OTLP/HTTP, protobuf or JSON, as every OpenTelemetry exporter sends it; at most 20,000 spans and 8 MB "
            "unpacked. The answer follows the commit, in the encoding of the request: `partialSuccess` counts and "
            "names the spans that should have been booked and were not. Sending the same again books nothing twice."
        ),
        tag="booking",
        scope=required_scope,
        request=OTLP_BODIES,
        answers={200: "OtlpResponse"},
        problems=BODY_PROBLEMS,
    )
    def post(self, request: Request) -> HttpResponse:
        read_query(request.query_params, ())
        content_type = _read_content_type(request)
        body = _read_body(request)
        with hold_place(body):
            return _book(request, body, content_type)


def _book(request: Request, body: bytes, content_type: str) -> HttpResponse:
    access: Access = request.auth
    now = timezone.now()
    spans = read_spans(body, content_type=content_type)
    shares = _share_out(spans, access, now=now)
    take_events(
        request,
        shares=[(payer, sum(taken.reading.role != OTHER for taken in share.spans)) for payer, share in shares],
        body_bytes=len(body),
    )
    refused: list[RefusedSpan] = []
    for payer, share in shares:
        receipt = book_spans(
            tenant_id=payer.tenant_id,
            api_key_id=access.key_id,
            spans=share.spans,
            unreadable=share.unreadable,
            now=now,
        )
        refused += receipt.refused
        _settle(payer, share, receipt)
    answer = write_response(
        kind="traces",
        content_type=content_type,
        rejected=len(refused),
        message=NO_SPANS if body.strip() == b"{}" else _describe_refused(refused),
    )
    return HttpResponse(answer, content_type=content_type)


def _settle(payer: Payer, share: "_Share", receipt: SpanReceipt) -> None:
    """Let go of what was held for the calls that are booked now, or were before; a summary that waits holds on."""
    refused = {span.index for span in receipt.refused}
    named = [
        taken.reading.fields["reservation_id"]
        for taken in share.spans
        if taken.event and taken.reading.role == CALL and taken.reading.fields.get("reservation_id")
        and taken.span.index not in refused
    ]  # fmt: skip
    if named:
        settle_reservations(tenant_id=payer.tenant_id, reservation_ids=named)


class _UnbilledSignal(APIView):
    """Reads what is sent, within bounds, and answers that nothing is billed from it."""

    required_scope = "ingest"
    kind = ""
    message = ""

    def _answer(self, request: Request) -> HttpResponse:
        read_query(request.query_params, ())
        content_type = _read_content_type(request)
        _read_body(request)
        return HttpResponse(
            write_response(kind=self.kind, content_type=content_type, message=self.message), content_type=content_type
        )


def _describe_unbilled(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return describe_call(
        operation_id=f"post_{kind}",
        summary=f"Takes OpenTelemetry {kind}, and bills nothing from them",
        description="For exporters that send every signal to one address.",
        tag="booking",
        scope=_UnbilledSignal.required_scope,
        request=OTLP_BODIES,
        answers={200: "OtlpResponse"},
        problems=BODY_PROBLEMS,
    )


class OtlpMetrics(_UnbilledSignal):
    kind = "metrics"
    message = "Nothing is billed from metrics: they carry no request. Send traces, and no metrics, here."

    @_describe_unbilled(kind)
    def post(self, request: Request) -> HttpResponse:
        return self._answer(request)


class OtlpLogs(_UnbilledSignal):
    kind = "logs"
    message = "Nothing is billed from logs: they carry no usage. Send traces, and no logs, here."

    @_describe_unbilled(kind)
    def post(self, request: Request) -> HttpResponse:
        return self._answer(request)


def _read_content_type(request: Request) -> str:
    """One of CONTENT_TYPES, which the answer has as well. Raises Problem."""
    content_type = (request._request.content_type or "").lower()
    if content_type not in CONTENT_TYPES:
        raise Problem(
            "content_type_unknown",
            f"Content-Type {content_type[:80]!r} is not read here; send {PROTOBUF} or application/json.",
        )
    return content_type


def _read_body(request: Request) -> bytes:
    """The body, unpacked; none at all is a request without spans. Raises Problem."""
    try:
        return read_body(request._request)
    except Problem as problem:
        if problem.code == "body_empty":
            return b""
        raise


class _Share:
    """One tenant's spans: one transaction."""

    def __init__(self) -> None:
        self.spans: list[TakenSpan] = []
        self.unreadable: list[RejectedItem] = []


def _share_out(spans: Sequence[object], access: Access, *, now: object) -> list[tuple[Payer, _Share]]:
    """The spans by tenant. Naming one is the operator's right; a call that may not stays the key's own, refused."""
    own = find_payer(access)
    shares: dict[Payer, _Share] = defaultdict(_Share)
    known: dict[str, Payer | None] = {"": own}
    may_backfill = "backfill" in access.scopes
    for span in spans:
        if isinstance(span, UnreadableSpan):
            shares[own].unreadable.append(
                RejectedItem(span.index, span.span_id, "span_malformed", f"span {span.index + 1}: {span.detail}", "{}")
            )
            continue
        taken, tenant = take_span(span, now=now, may_backfill=may_backfill)
        if tenant not in known:
            known[tenant] = _find_payer(tenant, access)
        payer = known[tenant]
        if payer is None:
            payer, taken = own, _forbid(taken, tenant, access)
        shares[payer].spans.append(taken)
    return [(payer, shares[payer]) for payer in sorted(shares, key=lambda payer: payer.tenant_id)]


def _find_payer(slug: str, access: Access) -> Payer | None:
    if not access.is_operator:
        return find_payer(access) if slug == access.slug else None
    tenant = get_tenant(slug) if slug.isprintable() else None
    return Payer(tenant.id, tenant.slug, tenant.limits) if tenant else None


def _forbid(taken: TakenSpan, slug: str, access: Access) -> TakenSpan:
    """A call that names a tenant and may not; a span that is no call is kept with the key's own."""
    if taken.reading.role == OTHER:
        return taken
    if access.is_operator:
        problem = {"field": "tenant", "code": "tenant_unknown", "detail": f"there is no tenant {slug[:80]!r}"}
    else:
        detail = "only an operator's key may name a tenant other than its own"
        problem = {"field": "tenant", "code": "tenant_forbidden", "detail": detail}
    return TakenSpan(span=taken.span, reading=taken.reading, event=None, problems=(*taken.problems, problem))


def _describe_refused(refused: Sequence[RefusedSpan]) -> str:
    """What an exporter writes into its log: the first refusals, by span."""
    if not refused:
        return ""
    named = [f"{span.code}: {span.detail}" for span in refused[:REFUSED_NAMED_MAX]]
    more = [f"and {len(refused) - len(named)} more"] if len(refused) > len(named) else []
    return "; ".join([*named, *more, "each is kept under /v1/rejected for 30 days"])
