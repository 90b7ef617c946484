"""POST /v1/adjustments: an amount that is no usage, given back or made up for."""

import re
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import read_query, read_time
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.period_shapes import ADJUSTMENT
from api.problems import Problem
from api.schema import describe_call
from api.shapes import refer
from billing.adjustments import Adjustment, AdjustmentRefused, book_adjustment
from billing.core.wire import TEXT_LENGTH_MAX
from ledger.selectors import get_entry

BODY_BYTES_MAX = 16_000
AMOUNT = ADJUSTMENT["properties"]["amount"]
REQUIRED = tuple(ADJUSTMENT["required"])
TEXTS = tuple(name for name in ADJUSTMENT["properties"] if name not in ("amount", "time"))


class Adjustments(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="book_adjustment",
        summary="Book a credit or an adjustment",
        description=(
            "An entry of kind `credit` or `adjustment`, and an act of the tenant's ledger. It is charged in the month "
            "that it is about or, that closed, in the next that is open. The same again is the entry that there is. "
            "For operators' keys."
        ),
        tag="closing",
        scope=required_scope,
        request={JSON: refer("Adjustment")},
        problems=(
            "query_invalid", *DOCUMENT_PROBLEMS, "operators_only", "entry_unknown", "adjustment_conflict",
            "adjustment_invalid",
        ),
        answers={200: "BookedAdjustment"},
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        access: Access = request.auth
        if not access.is_operator:
            raise Problem("operators_only")
        read_query(request.query_params, ())
        adjustment = _read_adjustment(request)
        try:
            entry_id = book_adjustment(adjustment, tenant_id=access.tenant_id, actor=access.actor, now=timezone.now())
        except AdjustmentRefused as refused:
            raise Problem(refused.code, f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None
        entry = get_entry(tenant_id=access.tenant_id, entry_id=entry_id)
        assert entry is not None  # it was booked a moment ago
        return Response({"entry_id": entry_id, "billing_period": f"{entry['billing_period']:%Y-%m}"})


def _read_adjustment(request: Request) -> Adjustment:
    """The body. Raises Problem `adjustment_invalid` with everything that is wrong with it."""
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="adjustment_invalid")
    if not isinstance(document, dict):
        raise Problem("adjustment_invalid", "An adjustment is an object.")
    faults = [(name, "is required") for name in REQUIRED if name not in document]
    faults += [(str(name)[:64], "is not known here") for name in document if name not in ADJUSTMENT["properties"]]
    values: dict[str, Any] = {}
    for name in TEXTS:
        text = document.get(name, "")
        if not isinstance(text, str) or len(text) > TEXT_LENGTH_MAX or "\0" in text:
            faults.append((name, f"must be text of at most {TEXT_LENGTH_MAX} characters"))
        values[name] = text
    for name, read, cure in (
        ("amount", _read_amount, "is USD as text, such as -12.50, of at most 12 decimals"),
        ("time", read_time, "is a time with its zone, such as 2026-10-14T09:30:00Z"),
    ):
        if name in document:
            try:
                values[name] = read(document[name])
            except (TypeError, ValueError):
                faults.append((name, cure))
    if faults:
        told = "; ".join(f"{name} {what}" for name, what in faults)
        raise Problem("adjustment_invalid", told, problems=[{"field": name, "detail": what} for name, what in faults])
    return Adjustment(**values)


def _read_amount(text: object) -> Decimal:
    """Raises ValueError."""
    if not isinstance(text, str) or not re.fullmatch(AMOUNT["pattern"], text):
        raise ValueError(text)
    return Decimal(text)
