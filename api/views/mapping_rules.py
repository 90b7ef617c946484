"""/v1/mapping-rules: which calls that name no cost centre are charged to which."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from billing.core.mapping import Term
from billing.core.mapping_terms import MappingRefused, read_day, read_place, read_question, read_rule
from billing.mapping import KeptRule, RuleUnknown, add_rule, end_rule, get_rule, list_rules, move_rule, replace_rule
from billing.mapping_trials import DRAFT_ID, MappingTrial, Share, find_trial_days, try_mapping

BODY_BYTES_MAX = 64_000
BODY_PROBLEMS = ("query_invalid", "mapping_invalid", *DOCUMENT_PROBLEMS)
STEPS = ("replace", "end", "move")


class MappingRules(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_mapping_rules",
        summary="Every mapping rule",
        description="In the order in which they are asked; those that ended too, for they decide about late calls.",
        tag="charging",
        scope="read",
        problems=("query_invalid",),
        answers={200: "MappingRules"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        return Response({"rules": [write_rule(rule) for rule in list_rules(tenant_id=request.auth.tenant_id)]})

    @describe_call(
        operation_id="add_mapping_rule",
        summary="Add a mapping rule",
        description=(
            "Calls that name no cost centre and are booked from now on go by it; the first rule that matches decides. "
            "What is booked already is given cost centres by `POST /v1/re-allocations`."
        ),
        tag="charging",
        scope="admin",
        request={JSON: refer("MappingRuleTerms")},
        problems=BODY_PROBLEMS,
        answers={201: "MappingRule"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        with tell_refusals():
            rule = add_rule(read_rule(_read_body(request)), **_name_own(request))
        return Response(write_rule(rule), status=201)


class MappingRuleDetail(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_mapping_rule",
        summary="One mapping rule",
        tag="charging",
        scope=required_scope,
        problems=("query_invalid", "mapping_rule_unknown"),
        answers={200: "MappingRule"},
    )
    def get(self, request: Request, rule_id: int) -> Response:
        read_query(request.query_params, ())
        with tell_refusals():
            return Response(write_rule(get_rule(tenant_id=request.auth.tenant_id, rule_id=rule_id)))


class MappingRuleStep(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_mapping_rule_step",
        summary="End, move or replace a mapping rule",
        description=(
            "`step` is `end` (with `valid_to`: the day from which on it no longer holds, never later than it was set), "
            "`move` (with `place`, from 1) or `replace` (with a whole rule that begins on its `valid_from`, when the "
            "old one ends; the new one is answered). A rule is never changed: what it gave stays told by its id."
        ),
        tag="charging",
        scope=required_scope,
        request={JSON: refer("MappingRuleStep")},
        problems=(*BODY_PROBLEMS, "path_unknown", "mapping_rule_unknown"),
        answers={200: "MappingRule"},
    )
    def post(self, request: Request, rule_id: int, step: str) -> Response:
        read_query(request.query_params, ())
        if step not in STEPS:
            raise Problem("path_unknown", f"A step is one of {', '.join(STEPS)}.")
        own = {"rule_id": rule_id, **_name_own(request)}
        with tell_refusals():
            document = _read_body(request)
            if step == "end":
                rule = end_rule(read_day(document, "valid_to"), **own)
            elif step == "move":
                rule = move_rule(read_place(document), **own)
            else:
                rule = replace_rule(read_rule(document), **own)
        return Response(write_rule(rule))


class MappingTrials(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="try_mapping_rules",
        summary="What mapping rules would do to unallocated calls; keeps nothing",
        description=(
            "By the rules that there are, on the days on which each of them holds: what a re-allocation would book. "
            "With `rule`, that one stands among them at its `place`, and is taken to hold on all of these days. `left` "
            "is the dearest of what would stay unallocated."
        ),
        tag="charging",
        scope=required_scope,
        request={JSON: refer("MappingQuestion")},
        problems=BODY_PROBLEMS,
        answers={200: "MappingTrial"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        with tell_refusals():
            draft, first, after = read_question(_read_body(request))
            start, end = find_trial_days(timezone.now())
            start, end = start_day(first) if first else start, start_day(after) if after else end
            trial = try_mapping(draft, tenant_id=request.auth.tenant_id, start=start, end=end)
        return Response(write_trial(trial))


def _name_own(request: Request) -> dict[str, Any]:
    return {"tenant_id": request.auth.tenant_id, "actor": request.auth.actor, "now": timezone.now()}


def _read_body(request: Request) -> Any:
    return read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="mapping_invalid")


@contextmanager
def tell_refusals() -> Iterator[None]:
    try:
        yield
    except RuleUnknown:
        raise Problem("mapping_rule_unknown") from None
    except MappingRefused as refused:
        raise refuse_input("mapping_invalid", refused.problems) from None


def start_day(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def write_rule(rule: KeptRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "place": rule.place,
        "terms": [write_term(term) for term in rule.named],
        "cost_center": rule.rule.cost_center,
        "valid_from": rule.rule.valid_from and rule.rule.valid_from.isoformat(),
        "valid_to": rule.rule.valid_to and rule.rule.valid_to.isoformat(),
        "created_by": rule.created_by,
        "created_at": write_time(rule.created_at),
    }


def write_term(term: Term) -> dict[str, Any]:
    named = {"name": term.name} if term.dimension == "tag" else {}
    return {"dimension": term.dimension, **named, "values": list(term.values)}


def write_trial(trial: MappingTrial) -> dict[str, Any]:
    return {
        "from": write_time(trial.start),
        "to": write_time(trial.end),
        "counted_to": write_time(trial.counted_to),
        "read_from": "entries" if trial.is_from_entries else "rollups",
        "rules": [
            {"id": None if one.rule_id == DRAFT_ID else one.rule_id, "cost_center": one.cost_center}
            | write_share(one.share)
            for one in trial.rules
        ],
        "left": [{"feature": one.feature, "key": one.api_key_id} | write_share(one.share) for one in trial.left],
        "left_total": write_share(trial.left_total),
    }


def write_share(share: Share) -> dict[str, Any]:
    return {
        "calls": share.calls,
        "unpriced_calls": share.unpriced_calls,
        "billed_cost": write_money(share.billed_cost),
    }
