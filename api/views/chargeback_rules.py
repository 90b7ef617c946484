"""/v1/chargeback/rules: who bears shared cost, and what is charged beside cost; by version, tried before they count."""

from datetime import date
from typing import Any, cast

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import Parameter, read_choice, read_query, read_whole
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.chargeback import MONTH_SCHEMA, PERIOD, read_month_parameter, require_operator, write_sums
from chargeback.charging import Difference, dry_run
from chargeback.core.rule_fields import SPLIT_FIELDS, RuleRefused
from chargeback.core.rule_terms import DatedTerms, read_dated
from chargeback.core.shares import to_money
from chargeback.rules import (
    Family,
    KeptRule,
    RuleUnknown,
    change_rule,
    create_rule,
    end_rule,
    find_in_force,
    find_newest,
    get_rule,
    list_versions,
    lock_rules,
    write_terms,
)

BODY_BYTES_MAX = 256_000
FAMILIES = ("allocation", "charge")
ID_MAX = 2**53
BODY_PROBLEMS = ("chargeback_rule_invalid", *DOCUMENT_PROBLEMS)
TERMS = {"anyOf": [refer("AllocationTerms"), refer("ChargeTerms")]}
LIST_PARAMETERS = (
    Parameter("period", read_month_parameter, "The versions that count in this month alone.", MONTH_SCHEMA),
    Parameter(
        "versions",
        read_choice("newest", "all"),
        "The newest version of each rule, or every one.",
        {"enum": ["newest", "all"]},
        default="newest",
    ),
)
TRIAL_PARAMETERS = (
    PERIOD,
    Parameter(
        "rule",
        read_whole(1, 10**12 - 1),
        "In place of this rule; a new one where none is named.",
        {"type": "integer", "minimum": 1, "maximum": 10**12 - 1},
    ),
)
END_PARAMETERS = (
    Parameter(
        "from", read_month_parameter, "The month from which on it counts no more.", MONTH_SCHEMA, is_required=True
    ),
)


class ChargebackRules(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_chargeback_rules",
        summary="Rules of chargeback",
        description="`family` is `allocation` or `charge`. By number; in a month by the versions that count in it.",
        tag="chargeback",
        scope="read",
        parameters=LIST_PARAMETERS,
        problems=("path_unknown",),
        answers={200: "ChargebackRules"},
    )
    def get(self, request: Request, family: str) -> Response:
        values = read_query(request.query_params, LIST_PARAMETERS)
        rules = list_versions(read_family(family), tenant_id=request.auth.tenant_id)
        if values["period"] is not None:
            rules = find_in_force(rules, values["period"])
        elif values["versions"] == "newest":
            rules = find_newest(rules)
        return Response({"rules": [write_rule(rule) for rule in rules]})

    @describe_call(
        operation_id="create_chargeback_rule",
        summary="Add a rule",
        description=(
            "It counts from the month `valid_from` on. The same again is the rule that there is, with status 200. A "
            "rule that would send cost round is refused with the way. It is an act of the tenant's ledger. For "
            "operators' keys."
        ),
        tag="chargeback",
        scope="admin",
        request={JSON: TERMS},
        problems=("query_invalid", "path_unknown", "operators_only", *BODY_PROBLEMS),
        answers={200: "ChargebackRule", 201: "ChargebackRule"},
    )
    def post(self, request: Request, family: str) -> Response:
        access = require_operator(request)
        read_query(request.query_params, ())
        dated = _read_body(request, read_family(family))
        try:
            rule, is_new = create_rule(
                dated.terms,
                valid_from=dated.valid_from,
                valid_to=dated.valid_to,
                tenant_id=access.tenant_id,
                actor=access.actor,
                now=timezone.now(),
            )
        except RuleRefused as refused:
            raise refuse_input("chargeback_rule_invalid", refused.problems) from None
        return Response(write_rule(rule), status=201 if is_new else 200)


class ChargebackRuleDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_chargeback_rule",
        summary="Every version of a rule",
        description="The first one first; none is ever changed.",
        tag="chargeback",
        scope="read",
        problems=("query_invalid", "path_unknown", "chargeback_rule_unknown"),
        answers={200: "ChargebackRules"},
    )
    def get(self, request: Request, family: str, rule_id: int) -> Response:
        read_query(request.query_params, ())
        rules = list_versions(read_family(family), tenant_id=request.auth.tenant_id)
        versions = [write_rule(rule) for rule in rules if rule.rule_id == rule_id]
        if not versions:
            raise Problem("chargeback_rule_unknown")
        return Response({"rules": versions})

    @describe_call(
        operation_id="change_chargeback_rule",
        summary="Give a rule other terms from a month on",
        description=(
            "What is named is changed from the month `valid_from` on; everything else stays, and so do the months "
            "before. With `method` all that goes with it is given anew. It is a new version and an act of the tenant's "
            "ledger; the same again is neither. For operators' keys."
        ),
        tag="chargeback",
        scope="admin",
        request={JSON: refer("ChargebackRuleChanges")},
        problems=("query_invalid", "path_unknown", "operators_only", *BODY_PROBLEMS, "chargeback_rule_unknown"),
        answers={200: "ChargebackRule"},
    )
    def patch(self, request: Request, family: str, rule_id: int) -> Response:
        access = require_operator(request)
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": access.tenant_id, "rule_id": _read_id(rule_id)}
        try:
            with lock_rules(tenant_id=access.tenant_id):  # so that two who change different fields change both
                before = get_rule(read_family(family), **named)
                dated = _read_body(request, read_family(family), before=before)
                rule = change_rule(
                    dated.terms,
                    **named,
                    valid_from=dated.valid_from,
                    valid_to=dated.valid_to,
                    actor=access.actor,
                    now=timezone.now(),
                )
        except RuleUnknown:
            raise Problem("chargeback_rule_unknown") from None
        except RuleRefused as refused:
            raise refuse_input("chargeback_rule_invalid", refused.problems) from None
        return Response(write_rule(rule))

    @describe_call(
        operation_id="end_chargeback_rule",
        summary="Let a rule count no more from a month on",
        description="What it did before stays. It is a last version and an act of the tenant's ledger. For operators' "
        "keys.",
        tag="chargeback",
        scope="admin",
        parameters=END_PARAMETERS,
        problems=("path_unknown", "operators_only", "chargeback_rule_unknown", "chargeback_rule_invalid"),
        answers={200: "ChargebackRule"},
    )
    def delete(self, request: Request, family: str, rule_id: int) -> Response:
        access = require_operator(request)
        month: date = read_query(request.query_params, END_PARAMETERS)["from"]
        named: dict[str, Any] = {"tenant_id": access.tenant_id, "rule_id": _read_id(rule_id)}
        try:
            rule = end_rule(read_family(family), month=month, actor=access.actor, now=timezone.now(), **named)
        except RuleUnknown:
            raise Problem("chargeback_rule_unknown") from None
        except RuleRefused as refused:
            raise refuse_input("chargeback_rule_invalid", refused.problems) from None
        return Response(write_rule(rule))


class ChargebackTrials(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="try_chargeback_rule",
        summary="What a rule would change of a month; keeps nothing",
        description="The body is a rule as it would be added; `valid_from` may be left out. By cost centre, beside "
        "what stands now.",
        tag="chargeback",
        scope=required_scope,
        parameters=TRIAL_PARAMETERS,
        request={JSON: TERMS},
        problems=("path_unknown", *BODY_PROBLEMS, "chargeback_rule_unknown"),
        answers={200: "ChargebackTrial"},
    )
    def post(self, request: Request, family: str) -> Response:
        values = read_query(request.query_params, TRIAL_PARAMETERS)
        period: date = values["period"]
        dated = _read_body(request, read_family(family), valid_from=period)
        try:
            trial = dry_run(dated.terms, tenant_id=request.auth.tenant_id, period=period, rule_id=values["rule"])
        except RuleUnknown:
            raise Problem("chargeback_rule_unknown") from None
        except RuleRefused as refused:
            raise refuse_input("chargeback_rule_invalid", refused.problems) from None
        return Response(
            {
                "period": f"{period:%Y-%m}",
                "cost_centers": [_write_difference(one) for one in trial.differences],
                "notes": [note.words for note in trial.after.charge.notes if note not in trial.before.charge.notes],
            }
        )


def read_family(name: str) -> Family:
    if name not in FAMILIES:
        raise Problem("path_unknown", f"Rules are of {' or '.join(FAMILIES)}.")
    return cast(Family, name)


def _read_id(rule_id: int) -> int:
    if rule_id > ID_MAX:
        raise Problem("chargeback_rule_unknown")
    return rule_id


def _read_body(
    request: Request, family: Family, *, before: KeptRule | None = None, valid_from: date | None = None
) -> DatedTerms:
    """The rule of the body, with what `before` says where it does not. Raises Problem."""
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="chargeback_rule_invalid")
    if isinstance(document, dict) and before is not None:
        kept = write_terms(before.terms)
        if "method" in document:
            kept = {name: value for name, value in kept.items() if name not in SPLIT_FIELDS}
        document = kept | document
    if isinstance(document, dict) and valid_from is not None:
        document = {"valid_from": f"{valid_from:%Y-%m}"} | document
    try:
        return read_dated(document, family=family)
    except RuleRefused as refused:
        raise refuse_input("chargeback_rule_invalid", refused.problems) from None


def write_rule(rule: KeptRule) -> dict[str, Any]:
    return {
        "rule": rule.rule_id,
        "version": rule.version,
        "valid_from": f"{rule.valid_from:%Y-%m}",
        "valid_to": f"{rule.valid_to:%Y-%m}" if rule.valid_to else None,
        "terms": write_terms(rule.terms),
        "created_by": rule.created_by,
        "created_at": write_time(rule.created_at),
    }


def _write_difference(one: Difference) -> dict[str, Any]:
    return {
        "cost_center": one.cost_center,
        "before": write_sums(one.before.sums),
        "after": write_sums(one.after.sums),
        "change_usd": write_money(to_money(one.change)),
    }
