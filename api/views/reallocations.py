"""/v1/re-allocations: calls of the past that stand without a cost centre are given one by the mapping rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.mapping_shapes import REASON_LENGTH_MAX
from api.parameters import make_limit, read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.mapping_rules import start_day, tell_refusals
from billing import reratings
from billing.core.mapping_terms import read_reallocation
from ledger.core.entries import PICO

BODY_BYTES_MAX = 8 * REASON_LENGTH_MAX
JOBS_MAX = 100
STEPS = {"pause": reratings.pause_job, "resume": reratings.resume_job, "cancel": reratings.cancel_job}
PARAMETERS = (make_limit("Re-allocations", JOBS_MAX),)


class Reallocations(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_reallocations",
        summary="Re-allocations, latest first",
        tag="charging",
        scope="read",
        parameters=PARAMETERS,
        problems=("query_invalid",),
        answers={200: "Reallocations"},
    )
    def get(self, request: Request) -> Response:
        limit = read_query(request.query_params, PARAMETERS)["limit"]
        jobs = reratings.list_jobs(tenant_id=request.auth.tenant_id, limit=limit)
        return Response({"reallocations": [write_job(job) for job in jobs]})

    @describe_call(
        operation_id="start_reallocation",
        summary="Have unallocated calls of the past given cost centres by the mapping rules",
        description=(
            "Each is taken back and stated anew under the cost centre of the rule of its own day, by a pair of "
            "corrections; in a month that is closed both are charged in the first that is open. What has a cost centre "
            "is left alone, so it may be asked for again. One at a time."
        ),
        tag="charging",
        scope="admin",
        request={JSON: refer("ReallocationTerms")},
        problems=("query_invalid", "mapping_invalid", "reallocation_refused", *DOCUMENT_PROBLEMS),
        answers={202: "Reallocation"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        body = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="mapping_invalid")
        tenant_id, actor, now = request.auth.tenant_id, request.auth.actor, timezone.now()
        with tell_refusals(), _tell_job_refusals():
            first, after, reason = read_reallocation(body)
            days = {"used_from": start_day(first), "used_to": start_day(after)}
            named = {"tenant_id": tenant_id, "reason": reason, "requested_by": actor}
            job_id = reratings.start_reallocation(**named, **days, now=now)
        return _answer(tenant_id, job_id, status=202)


class ReallocationDetail(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_reallocation",
        summary="How far a re-allocation came",
        tag="charging",
        scope=required_scope,
        problems=("query_invalid", "job_unknown"),
        answers={200: "Reallocation"},
    )
    def get(self, request: Request, job_id: int) -> Response:
        read_query(request.query_params, ())
        return _answer(request.auth.tenant_id, job_id)


class ReallocationStep(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="take_reallocation_step",
        summary="Pause, resume or cancel a re-allocation",
        description="`step` is `pause`, `resume` or `cancel`. What was booked stays booked.",
        tag="charging",
        scope=required_scope,
        problems=("query_invalid", "path_unknown", "job_unknown", "reallocation_refused"),
        answers={200: "Reallocation"},
    )
    def post(self, request: Request, job_id: int, step: str) -> Response:
        read_query(request.query_params, ())
        if step not in STEPS:
            raise Problem("path_unknown", f"A step is one of {', '.join(STEPS)}.")
        tenant_id = request.auth.tenant_id
        with _tell_job_refusals():
            STEPS[step](job_id, actor=request.auth.actor, now=timezone.now(), tenant_id=tenant_id)
        return _answer(tenant_id, job_id)


@contextmanager
def _tell_job_refusals() -> Iterator[None]:
    try:
        yield
    except reratings.JobUnknown:
        raise Problem("job_unknown") from None
    except reratings.JobRefused as refused:
        raise Problem("reallocation_refused", f"{refused}.", reason=refused.code) from None


def _answer(tenant_id: int, job_id: int, *, status: int = 200) -> Response:
    job = reratings.get_job(job_id, tenant_id=tenant_id)
    if job is None:
        raise Problem("job_unknown")
    return Response(write_job(job), status=status)


def write_job(job: reratings.JobInfo) -> dict[str, Any]:
    total = job.impact.total
    return {
        "id": job.id,
        "from": write_time(job.used_from),
        "to": write_time(job.used_to),
        "reason": job.reason,
        "state": job.state,
        "requested_by": job.requested_by,
        "created_at": write_time(job.created_at),
        "started_at": write_time(job.started_at),
        "finished_at": write_time(job.finished_at),
        "calls_read": job.entries_read,
        "calls_expected": job.entries_expected,
        "calls_moved": total.entries,
        "billed_cost_moved": write_money(Decimal(total.after) / PICO),
        "error": job.error,
    }
