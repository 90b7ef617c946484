"""Every refusal of the machines' door as an RFC 9457 problem document; `docs/api.md` lists the codes.

Here alone an error of any app becomes HTTP. What is not known here is a bug: 500, logged, its text kept inside.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import django.db
import psycopg
from django.core.exceptions import BadRequest, DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from rest_framework import exceptions as drf

from api.renderers import encode_json
from billing.selectors import QueryRefused
from ledger.sealing.proofs import TreeTorn

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
PROTOBUF = "application/x-protobuf"  # what OpenTelemetry exporters speak
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, slots=True)
class ProblemType:
    """What a code always means: its HTTP status and its title."""

    status: int
    title: str


PROBLEM_TYPES: dict[str, ProblemType] = {
    "request_malformed": ProblemType(400, "The request is not understood"),
    "host_unknown": ProblemType(400, "The Host header names no address of this installation"),
    "body_incomplete": ProblemType(400, "The body ended before its end"),
    "body_malformed": ProblemType(400, "The body cannot be read"),
    "body_empty": ProblemType(400, "The body is empty"),
    "too_many_events": ProblemType(413, "The request holds too many events"),
    "key_missing": ProblemType(401, "An API key is needed"),
    "key_invalid": ProblemType(401, "The API key is mistyped, unknown or revoked"),
    "scope_missing": ProblemType(403, "The API key lacks a scope"),
    "tenant_forbidden": ProblemType(403, "The API key may not act for this tenant"),
    "content_off": ProblemType(403, "The tenant keeps no prompts and completions"),
    "operators_only": ProblemType(403, "Only an operator's key may do this"),
    "path_unknown": ProblemType(404, "There is nothing at this path"),
    "tenant_unknown": ProblemType(404, "There is no such tenant"),
    "entry_unknown": ProblemType(404, "There is no such entry"),
    "trace_unknown": ProblemType(404, "There is no such trace"),
    "checkpoint_unknown": ProblemType(404, "There is no such checkpoint"),
    "batch_unknown": ProblemType(404, "There is no such batch"),
    "rejected_unknown": ProblemType(404, "There is no such rejected event"),
    "content_unknown": ProblemType(404, "No such prompt and completion are kept"),
    "rate_unknown": ProblemType(404, "There is no such rate"),
    "alert_unknown": ProblemType(404, "There is no such alert"),
    "channel_unknown": ProblemType(404, "There is no such channel"),
    "delivery_unknown": ProblemType(404, "There is no such delivery"),
    "cost_center_unknown": ProblemType(404, "There is no such cost centre"),
    "mapping_rule_unknown": ProblemType(404, "There is no such mapping rule"),
    "export_target_unknown": ProblemType(404, "There is no such export target"),
    "export_day_unknown": ProblemType(404, "The target has no such day"),
    "chargeback_rule_unknown": ProblemType(404, "There is no such rule of chargeback"),
    "report_subscription_unknown": ProblemType(404, "There is no such subscription"),
    "budget_unknown": ProblemType(404, "There is no such budget"),
    "bill_unknown": ProblemType(404, "There is no such bill, or it is withdrawn"),
    "forecast_event_unknown": ProblemType(404, "There is no such event"),
    "job_unknown": ProblemType(404, "There is no such job"),
    "period_empty": ProblemType(404, "Nothing is charged in this month"),
    "method_not_allowed": ProblemType(405, "This path does not take this method"),
    "event_conflict": ProblemType(409, "The event was booked before with other facts"),
    "content_conflict": ProblemType(409, "Another prompt and completion are kept for the event"),
    "rate_refused": ProblemType(409, "The rate or its job does not take this step now"),
    "reallocation_refused": ProblemType(409, "The re-allocation cannot begin, or does not take this step now"),
    "export_unmade": ProblemType(409, "The file is not made yet, or no longer there"),
    "period_unsealed": ProblemType(409, "Not everything of this month is sealed yet"),
    "alert_refused": ProblemType(409, "The alert does not take this step now"),
    "reconciliation_refused": ProblemType(409, "The month of bills does not take this step now"),
    "period_refused": ProblemType(409, "The month does not take this step now"),
    "adjustment_conflict": ProblemType(409, "The id stands for another amount"),
    "content_deleted": ProblemType(410, "The event's prompt and completion were deleted"),
    "body_too_large": ProblemType(413, "The body is too large"),
    "content_type_unknown": ProblemType(415, "The content type is not one that is read here"),
    "content_encoding_unknown": ProblemType(415, "The content encoding is not one that is read here"),
    "event_invalid": ProblemType(422, "The event cannot be booked as it stands"),
    "content_invalid": ProblemType(422, "The prompt and completion cannot be kept as they stand"),
    "driver_invalid": ProblemType(422, "The business drivers cannot be kept as they stand"),
    "driver_refused": ProblemType(409, "No further business driver is taken"),
    "alert_step_invalid": ProblemType(422, "The step cannot be taken as it stands"),
    "period_step_invalid": ProblemType(422, "The month's step cannot be taken as it stands"),
    "adjustment_invalid": ProblemType(422, "The amount cannot be booked as it stands"),
    "channel_invalid": ProblemType(422, "The channel cannot be as it stands"),
    "cost_center_invalid": ProblemType(422, "The cost centre cannot be as it stands"),
    "mapping_invalid": ProblemType(422, "The mapping rule, or the question about it, cannot be as it stands"),
    "export_target_invalid": ProblemType(422, "The export target cannot be as it stands"),
    "report_subscription_invalid": ProblemType(422, "The subscription cannot be as it stands"),
    "chargeback_rule_invalid": ProblemType(422, "The rule of chargeback cannot be as it stands"),
    "billing_currency_invalid": ProblemType(422, "Nobody can be billed in this currency from then on"),
    "fx_rate_invalid": ProblemType(422, "The exchange rates cannot be kept as they stand"),
    "budget_invalid": ProblemType(422, "The budget cannot be as it stands"),
    "forecast_event_invalid": ProblemType(422, "The event cannot be added as it stands"),
    "bill_invalid": ProblemType(422, "The bill cannot be read as it stands"),
    "bill_layout_unknown": ProblemType(422, "The columns are those of no bill that is known"),
    "bill_mapping_invalid": ProblemType(422, "The mapping cannot be kept as it stands"),
    "variance_reason_invalid": ProblemType(422, "What is said of the month of bills cannot be kept as it stands"),
    "watch_setting_invalid": ProblemType(422, "The thresholds cannot be set as they stand"),
    "rate_invalid": ProblemType(422, "The rate cannot be kept as it stands"),
    "rate_has_findings": ProblemType(422, "The rate has errors, or questions that nobody confirmed"),
    "nothing_booked": ProblemType(422, "With atomic=true nothing was booked"),
    "atomic_spans_tenants": ProblemType(422, "One transaction cannot span tenants"),
    "query_invalid": ProblemType(422, "Query parameters are wrong"),
    "query_refused": ProblemType(422, "The question has no exact answer"),
    "quota_invalid": ProblemType(422, "The check cannot be made as it stands"),
    "quota_denied": ProblemType(429, "A budget has no room for this call"),
    "rate_limited": ProblemType(429, "More than the tenant or the key may send at this moment"),
    "tree_torn": ProblemType(500, "Of the sealed tree something is missing from the database"),
    "internal": ProblemType(500, "Something of ours went wrong"),
    "too_slow": ProblemType(503, "The database took too long and was stopped"),
    "database_away": ProblemType(503, "The database is away; the same request may be sent again"),
}

# SQLSTATE classes and codes that a later attempt may not meet: connection, resources, rollback, operator, failover.
PASSING_SQLSTATES = ("08", "40", "53", "55P03", "57", "58", "25006", "25P03")

STATEMENT_TIMEOUT_SQLSTATE = "57014"
PROBLEMS_TOLD, PROBLEMS_LISTED = 5, 100  # of what is wrong with one input: in its detail, and one by one


class Problem(Exception):
    """A refusal: a code of PROBLEM_TYPES, what was wrong in words, and facts beside.

    problems: one {"field", "detail"} (and "code", where there is one) for each thing wrong with the input.
    facts: further members of the document.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        problems: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.type = PROBLEM_TYPES[code]
        self.detail = detail
        self.problems = list(problems)
        self.headers = dict(headers or {})
        self.facts = facts


class FieldProblem(Protocol):
    """One thing wrong with an input: the field, a stable code, and the cure."""

    @property
    def field(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def detail(self) -> str: ...


def refuse_input(code: str, problems: Sequence[FieldProblem]) -> Problem:
    """The refusal of an input with all that is wrong with it; its detail names the first of it in a line."""
    return Problem(
        code,
        "; ".join(f"{one.field} {one.detail}".strip() for one in problems[:PROBLEMS_TOLD]),
        problems=[{"field": p.field, "code": p.code, "detail": p.detail} for p in problems[:PROBLEMS_LISTED]],
    )


def answer_problem(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """The REST framework's exception handler."""
    return answer_error(error, request=context["request"])


def answer_error(error: Exception, *, request: HttpRequest) -> HttpResponse:
    """The problem document of any error, whoever raised it."""
    problem = find_problem(error)
    request_id = getattr(request, "request_id", "")
    report_error(error, problem, what=f"{request.method} {request.path}", request_id=request_id)
    if request.content_type == PROTOBUF:
        return _answer_in_protobuf(problem, request_id)
    return HttpResponse(
        write_problem(problem, request_id=request_id),
        status=problem.type.status,
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def report_error(error: Exception, problem: Problem, *, what: str, request_id: str) -> None:
    """Log what is not the sender's fault. what: the request's method and path."""
    if problem.type.status == 500:
        logger.error("%s failed, request %s", what, request_id, exc_info=error)
    elif problem.code == "database_away":
        logger.warning("database away during request %s: %s", request_id, error)


def write_problem(problem: Problem, *, request_id: str = "") -> bytes:
    """The problem document."""
    return encode_json(build_document(problem, request_id=request_id)) + b"\n"


def _answer_in_protobuf(problem: Problem, request_id: str) -> HttpResponse:
    """The same as a google.rpc.Status, which OTLP/HTTP asks for: clients log its message and heed the HTTP status.

    OpenTelemetry's own Status has the message under the same number, and nothing else is sent.
    """
    text = f"{problem.code}: {problem.detail or f'{problem.type.title}.'}"
    return HttpResponse(
        Status(message=f"{text} (request {request_id})" if request_id else text).SerializeToString(),
        status=problem.type.status,
        content_type=PROTOBUF,
        headers=problem.headers,
    )


def build_document(problem: Problem, *, request_id: str = "") -> dict[str, Any]:
    """The members of the problem document, RFC 9457's own first."""
    document: dict[str, Any] = {
        "type": f"urn:tokenledger:problem:{problem.code}",
        "title": problem.type.title,
        "status": problem.type.status,
        "detail": problem.detail or f"{problem.type.title}.",
        "code": problem.code,
        **problem.facts,
    }
    if problem.problems:
        document["problems"] = problem.problems
    if request_id:
        document["request_id"] = request_id
    return document


def find_problem(error: Exception) -> Problem:
    """What an error means to the one who sent the request."""
    match error:
        case Problem():
            return error
        case django.db.Error() | psycopg.Error():
            return _find_database_problem(error)
        case QueryRefused():
            return Problem("query_refused", f"{str(error)[:1].upper()}{str(error)[1:]}.")
        case Http404() | drf.NotFound():
            return Problem("path_unknown")
        case TreeTorn():
            return Problem("tree_torn", f"{str(error)[:1].upper()}{str(error)[1:]}: nothing can be proved from it.")
        case RequestDataTooBig():
            return Problem("body_too_large")
        case UnreadablePostError():
            return Problem("body_incomplete")
        case DisallowedHost():
            return Problem("host_unknown")
        case drf.MethodNotAllowed():
            return Problem("method_not_allowed", str(error.detail))
        case drf.UnsupportedMediaType():
            return Problem("content_type_unknown", str(error.detail))
        case drf.ParseError():
            return Problem("body_malformed", str(error.detail))
        case drf.APIException() if error.status_code < 500:
            return Problem("request_malformed", str(error.detail))
        case SuspiciousOperation() | BadRequest():
            return Problem("request_malformed")
    return Problem("internal")


def _find_database_problem(error: Exception) -> Problem:
    """503 where the same request may succeed later: nothing is booked twice, so it is safe to send it again."""
    cause = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
    sqlstate = getattr(cause, "sqlstate", None) or ""
    if sqlstate == STATEMENT_TIMEOUT_SQLSTATE:
        return Problem("too_slow", "Ask for less at once: a shorter time, fewer groups, a smaller page.")
    away = isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) or isinstance(
        error, (django.db.OperationalError, django.db.InterfaceError)
    )
    if away or sqlstate.startswith(PASSING_SQLSTATES):
        return Problem("database_away", headers={"Retry-After": str(RETRY_AFTER_SECONDS)}, retry_safe=True)
    return Problem("internal")
