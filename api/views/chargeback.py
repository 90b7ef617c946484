"""/v1/chargeback: what each cost centre is charged for a month, and the currency of it."""

from datetime import date
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import TEXT_SCHEMA, Parameter, read_query, read_text
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from chargeback.billing_currency import BillingCurrency, CurrencyRefused, get_billing_currency, set_billing_currency
from chargeback.charging import MonthCharge, charge_month
from chargeback.core.charging import CenterCharge, Conservation, Sums, list_lines
from chargeback.core.exchange import Exchange
from chargeback.core.lines import Line
from chargeback.core.rule_fields import RuleProblem, write_number
from chargeback.core.rule_terms import read_month
from chargeback.core.shares import to_money

BODY_BYTES_MAX = 4_000
CENTERS_WITH_LINES_MAX = 20
MONTH_SCHEMA = {"type": "string", "pattern": r"^2[01]\d\d-(0[1-9]|1[0-2])$"}


def read_month_parameter(text: str) -> date:
    try:
        return read_month(text)
    except ValueError:
        raise ValueError("A month is taken, such as 2026-11.") from None


PERIOD = Parameter("period", read_month_parameter, "A month, as 2026-11.", MONTH_SCHEMA, is_required=True)
PARAMETERS = (
    PERIOD,
    Parameter(
        "cost_center",
        read_text,
        "With the lines of this cost centre; '' for what is unallocated. Repeat the parameter.",
        TEXT_SCHEMA,
        is_repeatable=True,
        count_max=CENTERS_WITH_LINES_MAX,
    ),
)


class Chargeback(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_chargeback",
        summary="What each cost centre is charged for a month",
        description=(
            "From all that is booked, by the rules that count in the month. `lines` are those of the cost centres that "
            "are named. `conservation.difference` is 0: what is charged and what is nobody's come to the cost and all "
            "that was added and taken off, to the last digit, in USD."
        ),
        tag="chargeback",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={200: "Chargeback"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        charged = charge_month(tenant_id=request.auth.tenant_id, period=values["period"])
        return Response(write_month_charge(charged, with_lines=set(values["cost_center"])))


class ChargebackCurrency(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "PUT" else "read"

    @describe_call(
        operation_id="get_billing_currency",
        summary="The currency that a month is billed in",
        description="USD, in which the ledger is kept, until another one is set.",
        tag="chargeback",
        scope="read",
        parameters=(PERIOD,),
        answers={200: "BillingCurrency"},
    )
    def get(self, request: Request) -> Response:
        period = read_query(request.query_params, (PERIOD,))["period"]
        return Response(_write_currency(get_billing_currency(tenant_id=request.auth.tenant_id, month=period)))

    @describe_call(
        operation_id="set_billing_currency",
        summary="Bill in a currency from a month on",
        description="Months before it, and months from which on another one was set, keep theirs. It is an act of the "
        "tenant's ledger; the same again is none. For operators' keys.",
        tag="chargeback",
        scope="admin",
        request={JSON: refer("BillingCurrencyTerms")},
        problems=("query_invalid", *DOCUMENT_PROBLEMS, "operators_only", "billing_currency_invalid"),
        answers={200: "BillingCurrency"},
    )
    def put(self, request: Request) -> Response:
        access = require_operator(request)
        read_query(request.query_params, ())
        document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="billing_currency_invalid")
        try:
            currency, month = _read_currency(document)
            kept = set_billing_currency(
                currency, month=month, tenant_id=access.tenant_id, actor=access.actor, now=timezone.now()
            )
        except CurrencyRefused as refused:
            problems = [RuleProblem("currency", "wrong_value", str(refused))]
            raise refuse_input("billing_currency_invalid", problems) from None
        return Response(_write_currency(kept))


def require_operator(request: Request) -> Access:
    """Who charges whom is the operator's to decide, in a tenant's name. Raises Problem `operators_only`."""
    access: Access = request.auth
    if not access.is_operator:
        raise Problem("operators_only")
    return access


def _read_currency(document: Any) -> tuple[str, date]:
    if not isinstance(document, dict) or set(document) != {"currency", "valid_from"}:
        problems = [RuleProblem("", "wrong_type", "is an object of `currency` and `valid_from`, and nothing else")]
        raise refuse_input("billing_currency_invalid", problems)
    currency, month = document["currency"], document["valid_from"]
    problems = []
    if not isinstance(currency, str):
        problems.append(RuleProblem("currency", "wrong_type", "is a code of ISO 4217, such as EUR"))
    try:
        first = read_month(month if isinstance(month, str) else "")
    except ValueError as error:
        problems.append(RuleProblem("valid_from", "wrong_value", str(error)))
    if problems:
        raise refuse_input("billing_currency_invalid", problems)
    return currency, first


def _write_currency(kept: BillingCurrency) -> dict[str, Any]:
    return {
        "currency": kept.currency,
        "valid_from": f"{kept.valid_from:%Y-%m}" if kept.valid_from else None,
        "set_by": kept.set_by,
        "set_at": write_time(kept.set_at),
    }


# --- writing ---


def write_month_charge(charged: MonthCharge, *, with_lines: set[str]) -> dict[str, Any]:
    charge, exchange = charged.charge, charged.charge.exchange
    return {
        "period": f"{charged.facts.period:%Y-%m}",
        "currency": exchange.currency,
        "billing_currency": charged.facts.currency,
        "fx_rate": write_number(exchange.rate),
        "fx_day": exchange.day.isoformat() if exchange.day else None,
        "cost_centers": [write_center(center, exchange, with_lines=with_lines) for center in charge.centers],
        "unallocated": write_center(charge.unallocated, exchange, with_lines=with_lines),
        "totals": write_sums(charge.sums),
        "conservation": _write_conservation(charge.conservation),
        "notes": [
            {"rule": note.rule.rule_id, "name": note.name, "version": note.rule.version, "note": note.words}
            for note in charge.notes
        ],
    }


def write_center(center: CenterCharge, exchange: Exchange, *, with_lines: set[str]) -> dict[str, Any]:
    document = {
        "cost_center": center.cost_center,
        **write_sums(center.sums),
        "charged": write_money(to_money(center.charged)),
        "payable": write_money(to_money(center.payable)),
        "rounding": write_money(to_money(center.rounding)),
    }
    if center.cost_center in with_lines:
        document["lines"] = [_write_line(line) for line in list_lines(center, exchange)]
    return document


def write_sums(sums: Sums) -> dict[str, Any]:
    """In USD, each with the sign that it is charged with."""
    money = {name: write_money(to_money(amount)) for name, amount in sums._asdict().items()}
    return {**money, "charged_usd": write_money(to_money(sums.charged))}


def _write_conservation(proof: Conservation) -> dict[str, Any]:
    names = ("charged", "unallocated", "cost", "markups", "fees", "minimums", "discounts", "credits", "difference")
    return {name: write_money(to_money(getattr(proof, name))) for name in names}


def _write_line(line: Line) -> dict[str, Any]:
    return {
        "number": line.number,
        "kind": line.kind,
        "feature": line.feature,
        "provider": line.provider,
        "model": line.model,
        "amount_usd": write_money(to_money(line.amount_usd)),
        "amount": write_money(to_money(line.amount)),
        "currency": line.currency,
        "fx_rate": write_number(line.fx_rate),
        "fx_day": line.fx_day.isoformat() if line.fx_day else None,
        "rule": line.rule_id,
        "rule_version": line.rule_version,
        "words": line.words,
    }
