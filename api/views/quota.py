"""/v1/quota: whether a call may be made, asked before it is made; and how often the answer was no."""

from collections import defaultdict
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.budgets import list_budgets
from alerts.core.budgets import write_amount
from alerts.core.quota import DECISIONS, DENY
from alerts.decisions import DecisionHour, read_decisions
from alerts.quota import QuotaAnswer, check_quota
from api.auth import Access, BrieflyRememberedKeyAuthentication, find_access, require_scope
from api.limits import DoorLimit
from api.parameters import TIME_SCHEMA, Parameter, read_query, read_time, read_whole
from api.parsing.bodies import JSON, read_body, read_content_type
from api.parsing.quota import QuotaQuestion, read_quota_question
from api.problems import Problem
from api.renderers import encode_json, write_money, write_time
from api.schema import describe_call
from api.shapes import refer

CURRENCY = "USD"
HOURS_MAX = 24 * 400
ID_MAX = 2**63 - 1
PARAMETERS = (
    Parameter("from", read_time, "First hour.", TIME_SCHEMA, is_required=True),
    Parameter("to", read_time, "The hour after the last.", TIME_SCHEMA, is_required=True),
    Parameter(
        "budget", read_whole(1, ID_MAX), "Of these budgets alone.", {"type": "integer", "minimum": 1},
        is_repeatable=True,
    ),
)  # fmt: skip


class QuotaCheck(APIView):
    """Answer before a model is called."""

    authentication_classes = [BrieflyRememberedKeyAuthentication]
    required_scope = "quota"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same as the REST framework does with a request, for which it takes as long as a check.

        What is raised becomes a problem in `api.middleware`, as everywhere.
        """
        if request.method != "POST":
            return super().dispatch(request, *args, **kwargs)
        [authentication] = self.authentication_classes
        request.auth = require_scope(find_access(request, find_holder=authentication.find_holder), self.required_scope)
        DoorLimit().allow_request(request, self)
        return self.post(request)

    @describe_call(
        operation_id="check_quota",
        summary="Whether a call may be made, by the budgets that count it",
        description=(
            "Asked before the call. `reserve` holds what it may cost, in all of these budgets or in none, until the "
            "event that names the `reservation_id` is booked. A denial is a 429 with `Retry-After`, where asking "
            "again can help."
        ),
        tag="watching",
        scope=required_scope,
        request={JSON: refer("QuotaQuestion")},
        answers={200: "QuotaAnswer"},
        problems=(
            "query_invalid", "quota_invalid", "quota_denied", "body_empty", "body_malformed", "body_incomplete",
            "body_too_large", "content_type_unknown", "content_encoding_unknown",
        ),
    )  # fmt: skip
    def post(self, request: HttpRequest) -> HttpResponse:
        read_query(request.GET, ())
        access: Access = request.auth
        body = read_body(request)
        if read_content_type(request) != JSON:
            raise Problem("content_type_unknown", f"Send {JSON}.")
        asked = read_quota_question(body, key_id=access.key_id)
        return HttpResponse(answer_question(asked, access), content_type=JSON)


def answer_question(asked: QuotaQuestion, access: Access) -> bytes:
    """The answer's document. Raises Problem: quota_denied."""
    answer = check_quota(
        asked.call,
        tenant_id=access.tenant_id,
        now=timezone.now(),
        reserves=asked.reserves,
        request_id=asked.request_id,
        hold_seconds=asked.hold_seconds,
    )
    if answer.decision == DENY:
        raise _deny(answer)
    return encode_json(write_answer(answer)) + b"\n"


class QuotaDecisions(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_quota_decisions",
        summary="How often each budget allowed, warned, throttled and denied, by the hour",
        description="Hours without a check are left out; the last minute may be missing.",
        tag="watching",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={200: "QuotaDecisions"},
    )
    def get(self, request: Request) -> Response:
        asked = read_query(request.query_params, PARAMETERS)
        tenant_id = request.auth.tenant_id
        _check_period(asked["from"], asked["to"])
        known = {budget.id for budget in list_budgets(tenant_id=tenant_id, with_retired=True)}
        hours = read_decisions(
            tenant_id=tenant_id,
            budget_ids=sorted(known.intersection(asked["budget"]) if asked["budget"] else known),
            start=asked["from"],
            end=asked["to"],
        )
        return Response({"decisions": write_decisions(hours)})


def _check_period(start: datetime, end: datetime) -> None:
    if not 0 < (end - start).total_seconds() <= HOURS_MAX * 3600:
        told = f"This stands after `from`, by {HOURS_MAX // 24} days at most."
        raise Problem("query_invalid", f"to: {told}", problems=[{"field": "to", "detail": told}])


def _deny(answer: QuotaAnswer) -> Problem:
    seconds = answer.retry_after_seconds
    return Problem(
        "quota_denied",
        _tell_denial(answer),
        headers={"Retry-After": str(seconds)} if seconds else {},
        **write_answer(answer),
    )


def _tell_denial(answer: QuotaAnswer) -> str:
    assert answer.standing, "a denial is a budget's"
    standing, cost = answer.standing, answer.estimate.cost
    if answer.excess:
        return f"The budget “{standing.budget.name}”: {answer.excess}."
    held = f", {write_amount(answer.held)} of it held for calls under way" if answer.held else ""
    asked = f"; the call may cost {write_amount(cost)}" if cost is not None else ""
    used, limit = write_amount(standing.spent + answer.held), write_amount(standing.limit)
    return f"The budget “{standing.budget.name}” has used {used} of {limit} {CURRENCY}{held}{asked}."


def write_answer(answer: QuotaAnswer) -> dict[str, Any]:
    standing, estimate = answer.standing, answer.estimate
    return {
        "decision": answer.decision,
        "budget": _write_budget(
            standing.budget.id, standing.budget.name, standing.budget.window, standing.window_start, standing.window_end
        )
        if standing
        else None,
        "limit": write_money(standing.limit) if standing else None,
        "spent": write_money(standing.spent) if standing else None,
        "held": write_money(answer.held) if standing else None,
        "remaining": write_money(max(standing.limit - standing.spent - answer.held, 0)) if standing else None,
        "estimated_cost": write_money(estimate.cost),
        "estimate_missing": estimate.reason or None,
        "unchecked_limits": answer.unchecked,
        "retry_after_seconds": answer.retry_after_seconds,
        "suggested_model": answer.suggested_model or None,
        "reservation_id": answer.reservation_id or None,
        "held_until": write_time(answer.held_until),
        "currency": CURRENCY,
        "counters": answer.counters,
    }


@lru_cache(1_000)
def _write_budget(budget_id: int, name: str, window: str, start: datetime, end: datetime) -> dict[str, Any]:
    """Not to be changed: many answers have it."""
    return {
        "id": budget_id,
        "name": name,
        "window": window,
        "window_start": write_time(start),
        "window_end": write_time(end),
    }


def write_decisions(hours: list[DecisionHour]) -> list[dict[str, Any]]:
    """One row a budget and hour."""
    rows: dict[tuple[datetime, int], dict[str, int]] = defaultdict(
        lambda: {f"{decision}_checks": 0 for decision in DECISIONS}
    )
    for one in hours:
        rows[one.hour, one.budget_id][f"{one.decision}_checks"] = one.checks
    return [{"budget": budget_id, "hour": write_time(hour), **counts} for (hour, budget_id), counts in rows.items()]
