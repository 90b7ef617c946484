"""/v1/export-targets: where settled days are sent as files, and how each day fared."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, timedelta
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.channels import list_schemes
from api.parameters import Parameter, read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.drivers import DAY_SCHEMA, read_driver_day
from chargeback.core.export_targets import TargetRefused, TargetTerms, read_terms, write_terms
from chargeback.core.exports import read_day
from chargeback.exports.standing import Run, RunUnknown, Standing, list_runs, run_again, sum_runs
from chargeback.exports.targets import (
    Target,
    TargetUnknown,
    add_target,
    change_target,
    get_target,
    list_kinds,
    list_targets,
    lock_target,
    remove_target,
    try_target,
)

BODY_BYTES_MAX = 16_000
DAYS_PER_PAGE = 100
BEFORE = (Parameter("before", read_driver_day, "Days before this one, for the next page.", DAY_SCHEMA),)
NO_RUNS = Standing(None, None, 0, 0, "")


class ExportTargets(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_export_targets",
        summary="Where settled days are sent",
        description="Each with its last day that arrived, and what its days wait for.",
        tag="chargeback",
        scope="read",
        problems=("query_invalid",),
        answers={200: "ExportTargets"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        standing = sum_runs(tenant_id=request.auth.tenant_id)
        targets = list_targets(tenant_id=request.auth.tenant_id)
        return Response({"targets": [_write_target(each, standing.get(each.id, NO_RUNS)) for each in targets]})

    @describe_call(
        operation_id="add_export_target",
        summary="Send settled days to a bucket",
        description="From `first_day` on, today where none is named. A folder below the operator's root is for "
        "operators' keys. It is an act of the tenant's ledger, without what is secret.",
        tag="chargeback",
        scope="admin",
        request={JSON: refer("ExportTargetTerms")},
        problems=("query_invalid", *DOCUMENT_PROBLEMS, "export_target_invalid"),
        answers={201: "ExportTarget"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            terms = _read_terms(request)
            target = add_target(terms, tenant_id=request.auth.tenant_id, actor=request.auth.actor, now=timezone.now())
        return Response(_write_target(target, NO_RUNS), status=201)


class ExportTargetDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_export_target",
        summary="One target",
        tag="chargeback",
        scope="read",
        problems=("query_invalid", "export_target_unknown"),
        answers={200: "ExportTarget"},
    )
    def get(self, request: Request, target_id: int) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            return _answer(get_target(tenant_id=request.auth.tenant_id, target_id=target_id))

    @describe_call(
        operation_id="change_export_target",
        summary="Give a target other terms",
        description="What is named is changed, everything else stays; its kind cannot be changed. Another bucket or "
        "endpoint asks for the credentials again.",
        tag="chargeback",
        scope="admin",
        request={JSON: refer("ExportTargetChanges")},
        problems=(
            "query_invalid",
            *DOCUMENT_PROBLEMS,
            "export_target_invalid",
            "export_target_unknown",
            "operators_only",
        ),
        answers={200: "ExportTarget"},
    )
    def patch(self, request: Request, target_id: int) -> Response:
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "target_id": target_id}
        # Locked, so that two who change different fields change both.
        with _tell_refusals(), lock_target(**named) as before:
            _require_own(request, before)
            terms = _read_terms(request, before=before)
            target = change_target(terms, **named, actor=request.auth.actor, now=timezone.now())
        return _answer(target)

    @describe_call(
        operation_id="remove_export_target",
        summary="Send nothing there any more",
        description="Its credentials are forgotten; what was sent stays there.",
        tag="chargeback",
        scope="admin",
        problems=("query_invalid", "export_target_unknown", "operators_only"),
        answers={200: "ExportTarget"},
    )
    def delete(self, request: Request, target_id: int) -> Response:
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "target_id": target_id}
        with _tell_refusals():
            target = get_target(**named)
            _require_own(request, target)
            remove_target(**named, actor=request.auth.actor, now=timezone.now())
        return Response(_write_target(target, NO_RUNS) | {"enabled": False})


class ExportTargetTest(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="test_export_target",
        summary="Write a small file there and read it again",
        description="`tokenledger-test.json`, beside the days. The answer says in words what failed.",
        tag="chargeback",
        scope=required_scope,
        problems=("query_invalid", "export_target_unknown", "operators_only"),
        answers={200: "ExportTargetTest"},
    )
    def post(self, request: Request, target_id: int) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            _require_own(request, get_target(tenant_id=request.auth.tenant_id, target_id=target_id))
            failure = try_target(tenant_id=request.auth.tenant_id, target_id=target_id, clock=timezone.now)
        return Response({"ok": not failure, "failure": failure})


class ExportDays(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_export_days",
        summary="How each day fared",
        description=f"The newest first, {DAYS_PER_PAGE} a page.",
        tag="chargeback",
        scope=required_scope,
        parameters=BEFORE,
        problems=("export_target_unknown",),
        answers={200: "ExportDays"},
    )
    def get(self, request: Request, target_id: int) -> Response:
        before = read_query(request.query_params, BEFORE)["before"]
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "target_id": target_id}
        with _tell_refusals():
            runs = list_runs(**named, now=timezone.now(), limit=DAYS_PER_PAGE, before=before)
        return Response({"days": [_write_run(run) for run in runs]})


class ExportDayAgain(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="run_export_day_again",
        summary="Make a day again",
        description="What is missing there is put, what is there and differs is told: nothing is overwritten.",
        tag="chargeback",
        scope=required_scope,
        problems=("query_invalid", "export_target_unknown", "export_day_unknown", "operators_only"),
        answers={202: "ExportDay"},
    )
    def post(self, request: Request, target_id: int, day: str) -> Response:
        read_query(request.query_params, ())
        named: dict[str, Any] = {"tenant_id": request.auth.tenant_id, "target_id": target_id}
        now = timezone.now()
        with _tell_refusals():
            asked = _require_day(day)
            _require_own(request, get_target(**named))
            run_again(**named, day=asked, actor=request.auth.actor, now=now)
            (run,) = list_runs(**named, now=now, limit=1, before=asked + timedelta(days=1))
        return Response(_write_run(run), status=202)


def _require_own(request: Request, target: Target) -> None:
    if target.is_operators and not request.auth.is_operator:
        raise Problem("operators_only")


def _require_day(text: str) -> date:
    day = read_day(text)
    if day is None:
        raise RunUnknown(text)
    return day


@contextmanager
def _tell_refusals() -> Iterator[None]:
    """What exports refuse, as a problem document."""
    try:
        yield
    except TargetUnknown:
        raise Problem("export_target_unknown") from None
    except RunUnknown:
        raise Problem("export_day_unknown") from None
    except TargetRefused as refused:
        raise refuse_input("export_target_invalid", refused.problems) from None


def _read_terms(request: Request, *, before: Target | None = None) -> TargetTerms:
    """The terms of the body, those of `before` where it does not name them. Raises Problem, TargetRefused."""
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="export_target_invalid")
    if before is not None and isinstance(document, dict):
        document = write_terms(before) | document
    kinds = list_kinds(is_operator=request.auth.is_operator)
    return read_terms(
        document,
        kinds=kinds,
        schemes=list_schemes(),
        today=timezone.now().astimezone(UTC).date(),
        needs_credentials=before is None,
    )


def _answer(target: Target) -> Response:
    return Response(_write_target(target, sum_runs(tenant_id=target.tenant_id).get(target.id, NO_RUNS)))


def _write_target(target: Target, standing: Standing) -> dict[str, Any]:
    return {
        "id": target.id,
        **write_terms(target),
        "last_day": standing.last_day and standing.last_day.isoformat(),
        "last_sent_at": standing.last_sent_at and write_time(standing.last_sent_at),
        "waiting_days": standing.waiting,
        "failing_days": standing.failing,
        "last_error": standing.last_error,
        "created_by": target.created_by,
        "created_at": write_time(target.created_at),
        "changed_at": write_time(target.changed_at),
    }


def _write_run(run: Run) -> dict[str, Any]:
    return {
        "day": run.day.isoformat(),
        "state": run.state,
        "is_under_way": run.is_under_way,
        "attempts": run.attempts,
        "due_at": write_time(run.due_at),
        "finished_at": run.finished_at and write_time(run.finished_at),
        "last_error": run.last_error,
        "rows": run.rows,
        "bytes": run.bytes,
        "billed_cost": None if run.billed_cost is None else f"{run.billed_cost:.12f}",
        "manifest_sha256": run.manifest_sha256,
    }
