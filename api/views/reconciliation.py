"""/v1/reconciliation: a month of bills beside the ledger, its reasons and its sign-off."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.bill_shapes import COST_CENTER_LENGTH_MAX, MODEL_LENGTH_MAX
from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.periods import PERIOD, require_period
from api.problems import Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from audit.core.statement import PeriodRefused, read_period
from billing.core.drivers import read_day
from billing.core.wire_checks import ItemProblem
from chargeback.bill_tolerances import set_tolerance
from chargeback.core.bills.charges import strip_zeros
from chargeback.core.reconciliation import Row, Sums, Tolerance
from chargeback.reconciliation import LEDGER_CURRENCY, Reconciliation, SignOff, explain, reconcile, sign_off
from chargeback.true_ups import book_true_up
from chargeback.variance_decisions import (
    COMMENT_LENGTH_MAX,
    KeptDecision,
    ReconciliationRefused,
    list_decisions,
    take_back_decision,
)

BODY_BYTES_MAX = 64_000
LENGTHS_MAX = {"comment": COMMENT_LENGTH_MAX, "cost_center": COST_CENTER_LENGTH_MAX}
AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,40})?")
TOLERANCES = {
    "absolute": (re.compile(r"[0-9]{1,11}(\.[0-9]{1,12})?"), "must be USD as text, such as 1.00"),
    "percent": (re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?"), "must be 0 to 100 as text, such as 0.5"),
}


class MonthReconciliation(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_reconciliation",
        summary="A month of bills beside the ledger",
        description=(
            "By provider, model and day of UTC; bill less ledger, what explains it, and what nothing explains. The "
            "rows sum to the total exactly. A month is judged by its groups: provider and model."
        ),
        tag="charging",
        scope=required_scope,
        parameters=(PERIOD,),
        answers={200: "Reconciliation"},
    )
    def get(self, request: Request) -> Response:
        tenant_id = request.auth.tenant_id
        period = require_period(read_query(request.query_params, (PERIOD,))["period"], now=timezone.now())
        found = reconcile(tenant_id=tenant_id, period=period)
        return Response(write_reconciliation(found, list_decisions(tenant_id=tenant_id, period=period)))


class VarianceReasons(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="explain_variance",
        summary="Say why a bill differs",
        description=(
            "All that is unexplained of a provider in a month, of a model, of a day; or an amount of one model and "
            "day. It is an act of the tenant's ledger."
        ),
        tag="charging",
        scope=required_scope,
        request={JSON: refer("NewVarianceReason")},
        problems=("query_invalid", "variance_reason_invalid", "reconciliation_refused", *DOCUMENT_PROBLEMS),
        answers={201: "VarianceReason"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        values = _read_reason(_read_body(request))
        access = request.auth
        try:
            kept = explain(**values, tenant_id=access.tenant_id, actor=access.actor, now=timezone.now())
        except ReconciliationRefused as refused:
            raise _refuse(refused) from None
        return Response(write_decision(kept), status=201)


class VarianceReasonDetail(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_back_variance_reason",
        summary="Let a reason explain nothing any more",
        description="It stays on record. It is an act of the tenant's ledger.",
        tag="charging",
        scope=required_scope,
        problems=("query_invalid", "reconciliation_refused"),
        answers={200: "VarianceReason"},
    )
    def delete(self, request: Request, decision: int) -> Response:
        read_query(request.query_params, ())
        access = request.auth
        try:
            kept = take_back_decision(
                tenant_id=access.tenant_id, decision=decision, actor=access.actor, now=timezone.now()
            )
        except ReconciliationRefused as refused:
            raise _refuse(refused) from None
        return Response(write_decision(kept))


class BillSignOffs(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="sign_off_bills",
        summary="Sign a month of bills",
        description=(
            "Refused while something beyond the tolerance is unexplained, unless that is accepted: then the comment is "
            "the reason. It is an act of the tenant's ledger."
        ),
        tag="charging",
        scope=required_scope,
        request={JSON: refer("NewBillSignOff")},
        problems=("query_invalid", "variance_reason_invalid", "reconciliation_refused", *DOCUMENT_PROBLEMS),
        answers={201: "BillSignOff"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        document = _read_body(request)
        problems = _find_unknown(document, ("period", "comment", "accept_unexplained"))
        period = _read_period(document, problems)
        comment = _read_text(document, "comment", problems)
        accepts = document.get("accept_unexplained", False)
        if not isinstance(accepts, bool):
            problems.append(ItemProblem("accept_unexplained", "wrong_type", "must be true or false"))
        if problems or period is None:
            raise refuse_input("variance_reason_invalid", problems)
        access = request.auth
        try:
            signed = sign_off(
                tenant_id=access.tenant_id, period=period, comment=comment, accepts_unexplained=accepts,
                actor=access.actor, now=timezone.now(),
            )  # fmt: skip
        except ReconciliationRefused as refused:
            raise _refuse(refused) from None
        return Response(write_sign_off(signed), status=201)


class BillTrueUps(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="book_true_up",
        summary="Book what nothing explains",
        description=(
            "What is unexplained of a provider's model in a month that is over, to twelve decimals, as an entry of "
            "kind `adjustment` of its last day. The same again finds nothing unexplained. It is an act of the tenant's "
            "ledger."
        ),
        tag="charging",
        scope=required_scope,
        request={JSON: refer("NewTrueUp")},
        problems=("query_invalid", "variance_reason_invalid", "reconciliation_refused", *DOCUMENT_PROBLEMS),
        answers={201: "TrueUp"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        document = _read_body(request)
        problems = _find_unknown(document, ("period", "provider", "model", "comment", "cost_center"))
        values: dict[str, Any] = {"period": _read_period(document, problems)}
        values |= {name: _read_text(document, name, problems) for name in ("provider", "comment")}
        values["model"] = _read_text(document, "model", problems, may_be_empty=True)
        if "cost_center" in document:
            values["cost_center"] = _read_text(document, "cost_center", problems)
        if problems:
            raise refuse_input("variance_reason_invalid", problems)
        access = request.auth
        try:
            entry_id = book_true_up(**values, tenant_id=access.tenant_id, actor=access.actor, now=timezone.now())
        except ReconciliationRefused as refused:
            raise _refuse(refused) from None
        return Response({"entry": entry_id}, status=201)


class BillTolerances(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="set_bill_tolerance",
        summary="Say how much of a bill may stay unexplained",
        description=(
            "An amount and a percentage of the bill, whichever allows more. It is an act of the tenant's ledger; the "
            "same again changes nothing."
        ),
        tag="charging",
        scope=required_scope,
        request={JSON: refer("BillTolerance")},
        problems=("query_invalid", "variance_reason_invalid", *DOCUMENT_PROBLEMS),
        answers={200: "BillTolerance"},
    )
    def put(self, request: Request) -> Response:
        read_query(request.query_params, ())
        document = _read_body(request)
        problems = _find_unknown(document, TOLERANCES)
        for name, (pattern, cure) in TOLERANCES.items():
            text = document.get(name)
            if not isinstance(text, str) or not pattern.fullmatch(text) or (name == "percent" and Decimal(text) > 100):
                problems.append(ItemProblem(name, "wrong_value", cure))
        if problems:
            raise refuse_input("variance_reason_invalid", problems)
        tolerance = Tolerance(Decimal(document["absolute"]), Decimal(document["percent"]))
        access = request.auth
        set_tolerance(tolerance, tenant_id=access.tenant_id, actor=access.actor, now=timezone.now())
        return Response(write_tolerance(tolerance))


def _read_body(request: Request) -> dict[str, Any]:
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="variance_reason_invalid")
    if not isinstance(document, dict):
        raise refuse_input("variance_reason_invalid", [ItemProblem("", "wrong_type", "must be an object")])
    return document


def _read_reason(document: dict[str, Any]) -> dict[str, Any]:
    """What `explain` takes. Raises Problem with all that is wrong."""
    names = ("period", "provider", "model", "day", "reason", "amount", "comment")
    problems = _find_unknown(document, names)
    values: dict[str, Any] = {"period": _read_period(document, problems)}
    values |= {name: _read_text(document, name, problems) for name in ("provider", "reason", "comment")}
    if "model" in document:
        values["model"] = _read_text(document, "model", problems, may_be_empty=True)
    if "day" in document:
        try:
            values["day"] = read_day(_read_text(document, "day", problems))
        except ValueError as error:
            problems.append(ItemProblem("day", "wrong_value", str(error)))
    if "amount" in document:
        text = document["amount"]
        if isinstance(text, str) and AMOUNT.fullmatch(text):
            values["amount"] = Decimal(text)
        else:
            problems.append(ItemProblem("amount", "wrong_value", "must be a decimal as text, such as -1.25"))
    if problems:
        raise refuse_input("variance_reason_invalid", problems)
    return values


def _find_unknown(document: dict[str, Any], names: Any) -> list[ItemProblem]:
    return [
        ItemProblem(str(name)[:80], "unknown_field", f"is none of {', '.join(names)}")
        for name in document
        if name not in names
    ]


def _read_period(document: dict[str, Any], problems: list[ItemProblem]) -> date | None:
    try:
        return read_period(str(document.get("period", "")), now=timezone.now())
    except PeriodRefused as refused:
        problems.append(ItemProblem("period", "wrong_value", str(refused)))
        return None


def _read_text(document: dict[str, Any], name: str, problems: list[ItemProblem], *, may_be_empty: bool = False) -> str:
    text = document.get(name)
    length_max = LENGTHS_MAX.get(name, MODEL_LENGTH_MAX)
    if isinstance(text, str) and (may_be_empty or text.strip()) and len(text) <= length_max and "\0" not in text:
        return text
    problems.append(ItemProblem(name, "wrong_value", f"must be text of at most {length_max:,} characters"))
    return ""


def _refuse(refused: ReconciliationRefused) -> Problem:
    return Problem("reconciliation_refused", str(refused), reason=refused.code)


def write_reconciliation(found: Reconciliation, decisions: list[KeptDecision]) -> dict[str, Any]:
    comparison = found.comparison
    return {
        "period": f"{found.period:%Y-%m}",
        "currency": LEDGER_CURRENCY,
        "tolerance": write_tolerance(comparison.tolerance),
        "total": write_sums(comparison.total),
        "groups": [
            {"provider": group.provider, "model": group.model, **write_sums(group.sums)}
            | {"within_tolerance": group.is_within}
            for group in comparison.groups
        ],
        "rows": [write_row(row) for row in comparison.rows],
        "reasons": [write_decision(decision) for decision in decisions],
        "exchanges": {
            name: {"rate": write_exact(rate.rate), "day": rate.day.isoformat(), "source": rate.source}
            for name, rate in found.exchanges.items()
        },
        "other_currencies": {name: write_exact(amount) for name, amount in found.other_currencies.items()},
        "blockers": found.blockers,
        "sign_off": found.sign_off and write_sign_off(found.sign_off),
        "is_signed": found.is_signed,
    }


def write_row(row: Row) -> dict[str, Any]:
    place = {"provider": row.provider, "model": row.model, "day": row.day.isoformat()}
    return place | write_sums(row.sums) | {"within_tolerance": row.is_within, "hint": row.hint}


def write_sums(sums: Sums) -> dict[str, Any]:
    return {
        "bill": write_exact(sums.bill),
        "ledger": write_exact(sums.ledger),
        "variance": write_exact(sums.variance),
        "percent": None if sums.percent is None else f"{sums.percent:f}",
        "explained": {reason: write_exact(amount) for reason, amount in sums.explained.items()},
        "unexplained": write_exact(sums.unexplained),
    }


def write_decision(kept: KeptDecision) -> dict[str, Any]:
    return {
        "decision": kept.decision,
        "reason": kept.reason,
        "comment": kept.comment,
        "rows": kept.rows,
        "amount": write_exact(kept.amount),
        "decided_by": kept.decided_by,
        "decided_at": write_time(kept.decided_at),
    }


def write_sign_off(signed: SignOff) -> dict[str, Any]:
    return {
        "period": f"{signed.period:%Y-%m}",
        "bill": write_exact(signed.bill),
        "ledger": write_exact(signed.ledger),
        "unexplained": write_exact(signed.unexplained),
        "open": signed.open_groups,
        "comment": signed.comment,
        "signed_by": signed.signed_by,
        "signed_at": write_time(signed.signed_at),
    }


def write_tolerance(tolerance: Tolerance) -> dict[str, str]:
    return {"absolute": write_exact(tolerance.absolute), "percent": write_exact(tolerance.percent)}


def write_exact(amount: Decimal) -> str:
    """Every digit, without the zeros that say nothing, and no exponent."""
    return f"{strip_zeros(amount):f}"
