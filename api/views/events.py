"""POST /v1/events: usage in, a receipt out, and what could not be booked kept to be corrected."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.quota import settle_reservations
from api.auth import Access, RememberedKeyAuthentication, refuse_key
from api.booking_shapes import EVENTS_BODIES
from api.limits import Payer, find_payer, hold_place, take_events
from api.parameters import Parameter, read_choice, read_query
from api.parsing.bodies import read_body, read_content_type
from api.parsing.cost_lines import FORMAT, OF_COST_LINES, CostLineOptions, parse_cost_lines, read_cost_line_options
from api.parsing.events import parse_events
from api.problems import Problem
from api.schema import describe_call
from billing.core.wire_checks import ItemProblem
from billing.core.wire_events import ParsedItem
from billing.ingestion import (
    WIRE_NAMES,
    AtomicIntakeRefused,
    ItemResult,
    KeyRevoked,
    Receipt,
    RejectedItem,
    ingest_events,
)
from tenants.selectors import get_tenant

UNPRICED_REASONS_MAX = 20
SETTLED = ("accepted", "duplicate")  # whose reservations are let go of
PARAMETERS = (
    Parameter(
        "atomic",
        read_choice("true", "false"),
        "`true`: all or nothing. An item in conflict or invalid then refuses the request, and none is booked.",
        {"type": "string", "enum": ["true", "false"]},
        default="false",
    ),
    Parameter(
        "results",
        read_choice("all", "exceptions"),
        "`all` lists every item; else only those that were not newly accepted are listed.",
        {"type": "string", "enum": ["all", "exceptions"]},
        default="exceptions",
    ),
    FORMAT,
    *OF_COST_LINES,
)


class Events(APIView):
    """Book usage events."""

    authentication_classes = [RememberedKeyAuthentication]
    required_scope = "ingest"

    @describe_call(
        operation_id="post_events",
        summary="Book usage events",
        description=(
            "At most 5,000 events and 8 MB unpacked; `Content-Encoding: gzip` is read. The answer follows the commit. "
            "200: every item is booked or a duplicate. 207: some are in conflict or invalid, the others are booked. "
            "Sending the same again books nothing twice. `format=cost_lines` takes a plain log of costs."
        ),
        tag="booking",
        scope=required_scope,
        parameters=PARAMETERS,
        request=EVENTS_BODIES,
        answers={200: "EventsReceipt", 207: "EventsReceipt"},
        problems=(
            "body_empty", "body_malformed", "body_incomplete", "body_too_large", "too_many_events",
            "content_type_unknown", "content_encoding_unknown", "nothing_booked", "atomic_spans_tenants",
        ),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        flags = read_query(request.query_params, PARAMETERS)
        cost_lines = read_cost_line_options(flags)
        body = read_body(request._request)
        with hold_place(body):
            return _book(request, body, flags, cost_lines)


def _book(request: Request, body: bytes, flags: dict[str, Any], cost_lines: CostLineOptions | None) -> Response:
    access: Access = request.auth
    now = timezone.now()
    form = {
        "content_type": read_content_type(request._request),
        "now": now,
        "may_backfill": "backfill" in access.scopes,
    }
    if cost_lines:
        items = parse_cost_lines(body, options=cost_lines, first_line=flags["first_line"] or 1, **form)
    else:
        items = parse_events(body, **form)
    shares = _share_out(items, access)
    take_events(request, shares=[(share.payer, len(share.items)) for share in shares], body_bytes=len(body))
    is_atomic = flags["atomic"] == "true"
    if is_atomic and len(shares) > 1:
        raise Problem("atomic_spans_tenants", "Events of several tenants are several transactions: send them apart.")
    try:
        receipts = [
            ingest_events(
                tenant_id=share.payer.tenant_id,
                api_key_id=access.key_id,
                events=[(item.index, item.event) for item in share.items if item.event],
                rejected=[_describe_rejected(item) for item in share.items if not item.event],
                now=now,
                atomic=is_atomic,
                confirms_key=True,
            )
            for share in shares
        ]
    except AtomicIntakeRefused as refused:
        raise _refuse_whole(refused.receipt) from refused
    except KeyRevoked as revoked:
        raise refuse_key() from revoked
    _settle(shares, receipts)
    answer = _write_answer(receipts, with_accepted=flags["results"] == "all")
    is_mixed = any(receipt.conflicts or receipt.rejected for receipt in receipts)
    return Response(answer, status=207 if is_mixed else 200)


@dataclass(frozen=True, slots=True)
class _Share:
    """The items of one tenant: one transaction."""

    payer: Payer
    items: Sequence[ParsedItem]


def _share_out(items: Sequence[ParsedItem], access: Access) -> list[_Share]:
    """The items by tenant. Naming one is the operator's right; an item that may not stays the key's own, refused."""
    if not any(item.tenant for item in items):
        return [_Share(find_payer(access), items)]
    shares: dict[Payer, list[ParsedItem]] = defaultdict(list)
    known: dict[str, Payer] = {}
    for item in items:
        payer = find_payer(access)
        if item.tenant and not access.is_operator:
            item = _refuse(item, ItemProblem("tenant", "tenant_forbidden", "only an operator's key may name a tenant"))
        elif item.tenant:
            if item.tenant not in known and (tenant := get_tenant(item.tenant)):
                known[item.tenant] = Payer(tenant.id, tenant.slug, tenant.limits)
            if item.tenant in known:
                payer = known[item.tenant]
            else:
                item = _refuse(item, ItemProblem("tenant", "tenant_unknown", f"there is no tenant {item.tenant!r}"))
        shares[payer].append(item)
    return [_Share(payer, shares[payer]) for payer in sorted(shares, key=lambda payer: payer.tenant_id)]


def _settle(shares: Sequence[_Share], receipts: Sequence[Receipt]) -> None:
    """Let go of what was held for the calls that are booked now, or were before."""
    for share, receipt in zip(shares, receipts, strict=True):
        named = {item.index: item.reservation_id for item in share.items if item.reservation_id}
        if named:
            booked = [named.get(result.index) for result in receipt.results if result.status in SETTLED]
            settle_reservations(tenant_id=share.payer.tenant_id, reservation_ids=filter(None, booked))


def _refuse(item: ParsedItem, problem: ItemProblem) -> ParsedItem:
    return ParsedItem(item.index, item.event_id, None, item.tenant, (*item.problems, problem), item.raw)


def _describe_rejected(item: ParsedItem) -> RejectedItem:
    """What is kept of a refused item: the first problem's code, and all problems in words."""
    problems = tuple({"field": p.field, "code": p.code, "detail": p.detail} for p in item.problems)
    detail = "; ".join(p.detail if p.field in ("", "usage") else f"{p.field} {p.detail}" for p in item.problems)
    return RejectedItem(item.index, item.event_id, item.problems[0].code, detail[:4000], item.raw, problems)


def _refuse_whole(receipt: Receipt) -> Problem:
    return Problem(
        "nothing_booked",
        f"{receipt.conflicts} in conflict and {receipt.rejected} invalid: with atomic=true none was booked.",
        results=[_write_result(result) for result in receipt.results],
    )


def _write_answer(receipts: Sequence[Receipt], *, with_accepted: bool) -> dict[str, Any]:
    """The receipts of a request as one; `batches` stands beside where several tenants made several."""
    made = [receipt for receipt in receipts if receipt.batch_id]
    only = made[0] if len(made) == 1 else None
    results = sorted((item for receipt in receipts for item in receipt.results), key=lambda item: item.index)
    answer: dict[str, Any] = {
        "accepted": sum(receipt.accepted for receipt in receipts),
        "duplicates": sum(receipt.duplicates for receipt in receipts),
        "conflicts": sum(receipt.conflicts for receipt in receipts),
        "rejected": sum(receipt.rejected for receipt in receipts),
        "unpriced": sum(receipt.unpriced for receipt in receipts),
        "batch_id": str(only.batch_id) if only else None,
        "receipt": only.receipt if only else None,
        "results": [_write_result(item) for item in results if with_accepted or item.status != "accepted"],
    }
    reasons: Counter[str] = Counter()
    for receipt in receipts:
        reasons.update(receipt.unpriced_reasons)
    if reasons:
        answer["unpriced_reasons"] = dict(reasons.most_common(UNPRICED_REASONS_MAX))
    if len(made) > 1:
        answer["batches"] = [{"batch_id": str(receipt.batch_id), "receipt": receipt.receipt} for receipt in made]
    return answer


def _write_result(item: ItemResult) -> dict[str, Any]:
    """One item's verdict; what does not apply is left out."""
    result: dict[str, Any] = {"index": item.index, "id": item.id, "status": item.status}
    if item.entry_id:
        result |= {"batch_id": item.entry_id.partition(".")[0], "entry_id": item.entry_id}
    if item.code:
        result |= {"code": item.code, "detail": item.detail}
    if item.fields:
        result["fields"] = [WIRE_NAMES.get(column, column) for column in item.fields]
    if item.problems:
        result["problems"] = list(item.problems)
    return result
