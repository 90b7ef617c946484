"""/v1/budgets: what a tenant means to spend at most, and how far it has come."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.budgets import (
    BudgetUnknown,
    change_budget,
    check_terms,
    create_budget,
    get_budget,
    list_budgets,
    lock_budgets,
    retire_budget,
)
from alerts.core.budget_terms import read_terms, write_terms
from alerts.core.budgets import Budget, BudgetRefused, BudgetTerms
from alerts.core.past_firings import PastFiring
from alerts.core.spending import Spending
from alerts.spending import read_spending
from alerts.trials import TRIAL_DAYS, try_on_past
from api.budget_shapes import PAST_DAYS_MAX
from api.parameters import Parameter, read_query, read_whole
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer

BODY_BYTES_MAX = 64_000
BODY_PROBLEMS = ("query_invalid", "budget_invalid", *DOCUMENT_PROBLEMS)
TRIAL_PARAMETERS = (
    Parameter(
        "days", read_whole(1, PAST_DAYS_MAX), "How many days back.",
        {"type": "integer", "minimum": 1, "maximum": PAST_DAYS_MAX}, default=TRIAL_DAYS[0],
    ),
)  # fmt: skip


class Budgets(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_budgets",
        summary="Every budget, and how it stands in the window that goes on",
        description="By name, without those that are retired. `spent` holds all that is booked.",
        tag="watching",
        scope="read",
        problems=("query_invalid",),
        answers={200: "Budgets"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        tenant_id = request.auth.tenant_id
        return Response({"budgets": write_budgets(list_budgets(tenant_id=tenant_id), now=timezone.now())})

    @describe_call(
        operation_id="create_budget",
        summary="Make a budget",
        description=(
            "It counts from the window on that goes on. The same again is the budget that there is, with status 200; "
            "a name is of one budget at a time. It is an act of the tenant's ledger."
        ),
        tag="watching",
        scope="admin",
        request={JSON: refer("BudgetTerms")},
        problems=BODY_PROBLEMS,
        answers={200: "Budget", 201: "Budget"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        now, tenant_id = timezone.now(), request.auth.tenant_id
        with _tell_refusals():
            budget, is_new = create_budget(_read_body(request), tenant_id=tenant_id, actor=request.auth.actor, now=now)
        return Response(write_budgets([budget], now=now)[0], status=201 if is_new else 200)


class BudgetDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_budget",
        summary="One budget, and how it stands",
        description="One that is retired too; `now` is how it would stand.",
        tag="watching",
        scope="read",
        problems=("query_invalid", "budget_unknown"),
        answers={200: "Budget"},
    )
    def get(self, request: Request, budget_id: int) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            budget = get_budget(tenant_id=request.auth.tenant_id, budget_id=budget_id, with_retired=True)
        return Response(write_budgets([budget], now=timezone.now())[0])

    @describe_call(
        operation_id="change_budget",
        summary="Give a budget other terms",
        description=(
            "What is named is changed, from now on and for the window that goes on; everything else stays. `scope`, "
            "`actions`, `per_request` and `channels` are replaced whole. It is an act of the tenant's ledger; the same "
            "again changes nothing."
        ),
        tag="watching",
        scope="admin",
        request={JSON: refer("BudgetChanges")},
        problems=(*BODY_PROBLEMS, "budget_unknown"),
        answers={200: "Budget"},
    )
    def patch(self, request: Request, budget_id: int) -> Response:
        read_query(request.query_params, ())
        now, tenant_id = timezone.now(), request.auth.tenant_id
        # Locked, so that two who change different fields change both.
        with _tell_refusals(), lock_budgets(tenant_id=tenant_id):
            before = get_budget(tenant_id=tenant_id, budget_id=budget_id)
            terms = _read_body(request, before=before)
            named: dict[str, Any] = {"tenant_id": tenant_id, "budget_id": budget_id}
            budget = change_budget(terms, **named, actor=request.auth.actor, now=now)
        return Response(write_budgets([budget], now=now)[0])

    @describe_call(
        operation_id="retire_budget",
        summary="Let a budget count no more",
        description="What it was stays on record, with its windows and alerts. A parent's children come first.",
        tag="watching",
        scope="admin",
        problems=("query_invalid", "budget_invalid", "budget_unknown"),
        answers={200: "Budget"},
    )
    def delete(self, request: Request, budget_id: int) -> Response:
        read_query(request.query_params, ())
        now, tenant_id = timezone.now(), request.auth.tenant_id
        with _tell_refusals():
            retire_budget(tenant_id=tenant_id, budget_id=budget_id, actor=request.auth.actor, now=now)
            budget = get_budget(tenant_id=tenant_id, budget_id=budget_id, with_retired=True)
        return Response(write_budgets([budget], now=now)[0])


class BudgetTrials(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="try_budget",
        summary="What a budget would have told in the past; keeps nothing",
        description="The body is a budget as it would be made. By the day, or by the hour for windows of an hour.",
        tag="watching",
        scope=required_scope,
        parameters=TRIAL_PARAMETERS,
        request={JSON: refer("BudgetTerms")},
        problems=BODY_PROBLEMS,
        answers={200: "BudgetTrial"},
    )
    def post(self, request: Request) -> Response:
        days = read_query(request.query_params, TRIAL_PARAMETERS)["days"]
        now, tenant_id = timezone.now(), request.auth.tenant_id
        with _tell_refusals():
            terms = _read_body(request)
        problems = check_terms(terms, tenant_id=tenant_id, budgets=list_budgets(tenant_id=tenant_id), now=now)
        # The past of a budget that there is may be tried under its name.
        if problems := [problem for problem in problems if problem.code not in ("taken", "too_many")]:
            raise refuse_input("budget_invalid", problems)
        firings = try_on_past(terms, tenant_id=tenant_id, days=days, now=now)
        return Response({"days": days, "firings": [write_firing(firing) for firing in firings]})


@contextmanager
def _tell_refusals() -> Iterator[None]:
    """What alerts refuse, as a problem document."""
    try:
        yield
    except BudgetUnknown:
        raise Problem("budget_unknown") from None
    except BudgetRefused as refused:
        raise refuse_input("budget_invalid", refused.problems) from None


def _read_body(request: Request, *, before: Budget | None = None) -> BudgetTerms:
    """The terms of the body, those of `before` where it does not name them. Raises Problem, BudgetRefused."""
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="budget_invalid")
    if before is not None and isinstance(document, dict):
        document = write_terms(before) | document
    return read_terms(document)


def write_budgets(budgets: Sequence[Budget], *, now: datetime) -> list[dict[str, Any]]:
    """Budgets of one tenant, each with how it stands."""
    if not budgets:
        return []
    spending = read_spending(tenant_id=budgets[0].tenant_id, budgets=budgets, now=now)
    return [
        {
            "id": budget.id,
            **write_terms(budget),
            "created_by": budget.created_by,
            "created_at": budget.created_at and write_time(budget.created_at),
            "changed_at": budget.changed_at and write_time(budget.changed_at),
            "retired_at": budget.retired_at and write_time(budget.retired_at),
            "now": write_spending(spending[budget.id], now=now),
        }
        for budget in budgets
    ]


def write_spending(spending: Spending, *, now: datetime) -> dict[str, Any]:
    return {
        "window_start": write_time(spending.window_start),
        "window_end": write_time(spending.window_end),
        "limit": write_money(spending.limit),
        "carried": write_money(spending.carried),
        "spent": write_money(spending.spent),
        "remaining": write_money(spending.remaining),
        "elapsed": f"{spending.get_elapsed(now).quantize(Decimal('0.0001')):f}",
        "projected": write_money(spending.project_by_pace(now)),
    }


def write_firing(firing: PastFiring) -> dict[str, Any]:
    return {
        "window_start": write_time(firing.spending.window_start),
        "window_end": write_time(firing.spending.window_end),
        "at_percent": firing.percent,
        "reached_at": write_time(firing.reached_at),
        "spent": write_money(firing.spending.spent),
    }
