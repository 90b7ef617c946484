"""/v1/periods: how a tenant's months stand, and the steps from open to closed and back."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from audit.core.statement import PeriodRefused, read_period
from billing import periods
from billing.core.month_totals import MonthSums, MonthTotals
from billing.selectors.months import MonthInfo, MonthStep, get_month, list_month_steps, list_months

BODY_BYTES_MAX = 16_000
STEPS: dict[str, Callable[..., object]] = {
    "review": periods.review_month,
    "return": periods.return_month,
    "close": periods.close_month,
    "reopen": periods.reopen_month,
    "approve": periods.approve_reopening,
    "decline": periods.decline_reopening,
}


class Periods(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_periods",
        summary="Every month in which something is charged, how it stands, and what was done to it",
        description="A closed month takes no entry any more: `totals` of its last `closed` step is what stands in it.",
        tag="closing",
        scope=required_scope,
        problems=("query_invalid",),
        answers={200: "Periods"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        tenant_id = request.auth.tenant_id
        steps = list_month_steps(tenant_id=tenant_id)
        return Response({"periods": [write_month(month, steps) for month in list_months(tenant_id=tenant_id)]})


class PeriodStep(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_period_step",
        summary="Review, close or reopen a month",
        description=(
            "`step` is `review`, `return` from the review, `close`, `reopen` (with `reason`), and where four eyes are "
            "asked for `approve` by a key that did not ask, or `decline` (with `reason`). Each is an act of the "
            "tenant's ledger; who comes second is told so. For operators' keys."
        ),
        tag="closing",
        scope=required_scope,
        request={JSON: refer("PeriodStep")},
        problems=(
            "query_invalid", *DOCUMENT_PROBLEMS, "path_unknown", "operators_only", "period_refused",
            "period_step_invalid",
        ),
        answers={200: "Period"},
    )  # fmt: skip
    def post(self, request: Request, period: str, step: str) -> Response:
        access: Access = request.auth
        if not access.is_operator:
            raise Problem("operators_only")
        read_query(request.query_params, ())
        if step not in STEPS:
            raise Problem("path_unknown", f"A step is one of {', '.join(STEPS)}.")
        now = timezone.now()
        try:
            month = read_period(period, now=now)
        except PeriodRefused as refused:
            raise Problem("path_unknown", f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None
        said = {"reason": _read_reason(request)}
        try:
            STEPS[step](tenant_id=access.tenant_id, period=month, actor=access.actor, now=now, **said)
        except periods.PeriodStepRefused as refused:
            code = "period_step_invalid" if refused.code == "reason_missing" else "period_refused"
            raise Problem(code, f"{str(refused)[:1].upper()}{str(refused)[1:]}.", reason=refused.code) from None
        return Response(_find_month(access.tenant_id, month))


def _find_month(tenant_id: int, period: date) -> dict[str, Any]:
    steps = list_month_steps(tenant_id=tenant_id, period=period)
    return write_month(get_month(tenant_id=tenant_id, period=period), steps)


def _read_reason(request: Request) -> str:
    """The reason of a body, '' where there is none. Raises Problem `period_step_invalid`."""
    if not request._request.body:
        return ""
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="period_step_invalid")
    if not isinstance(document, dict) or not isinstance(document.get("reason", ""), str) or set(document) - {"reason"}:
        raise Problem("period_step_invalid", "A step is an object of which `reason` is text, and has nothing else.")
    return document.get("reason", "")


def write_month(month: MonthInfo, steps: Sequence[MonthStep]) -> dict[str, Any]:
    """A month with those of the steps that are its own."""
    return {
        "period": f"{month.period:%Y-%m}",
        "state": month.state,
        "reopen_asked_by": month.reopen_asked_by,
        "steps": [
            {
                "step": step.step,
                "actor": step.actor,
                "at": write_time(step.taken_at),
                "reason": step.reason,
                "totals": write_totals(step.totals, step.totals_hash) if step.totals else None,
            }
            for step in steps
            if step.period == month.period
        ],
    }


def write_totals(totals: MonthTotals, digest: str) -> dict[str, Any]:
    return {
        **_write_sums(totals.total),
        "by_cost_center": {name: _write_sums(sums) for name, sums in totals.by_cost_center.items()},
        "tree_size": totals.tree_size,
        "tree_root": totals.tree_root,
        "sha256": digest,
    }


def _write_sums(sums: MonthSums) -> dict[str, Any]:
    return {
        "entries": sums.entries,
        "calls": sums.calls,
        "unpriced_calls": sums.unpriced_calls,
        "billed_cost": write_money(sums.billed_cost),
        "list_cost": write_money(sums.list_cost),
    }
