"""/v1/audit/exports: a long month's file, made by a worker, with its progress and a link that expires."""

from datetime import date
from typing import Any

from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.downloads import answer_download
from api.parameters import Parameter, read_choice, read_query
from api.periods import PERIOD, require_period
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from audit.export_jobs import BUNDLE, DONE, SAVED_AS, ExportJob, ask_export, get_export, open_made
from audit.exports import Export
from tenants.selectors import TenantInfo, get_tenant_by_id

PARAMETERS = (
    PERIOD,
    Parameter(
        "file",
        read_choice(*SAVED_AS),
        "The evidence archive, the rows beneath the statement as CSV, or every entry with its leaf as JSON Lines.",
        {"enum": list(SAVED_AS)},
        default=BUNDLE,
    ),
)
EXPIRED = "expired"
CONTENT_TYPES = {"zip": "application/zip", "csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
FILE = {"type": "string", "format": "binary"}


class AuditExports(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="ask_export",
        summary="Have a month's file made",
        description="By a worker, for months that take longer than a request should. Ask for the job until it is "
        "`done`; while one is under way, the same again is the same job.",
        tag="audit",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={202: "Export"},
    )
    def post(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        tenant = _find_tenant(request)
        now = timezone.now()
        period = require_period(values["period"], now=now)
        ask_export(tenant_id=tenant.id, period=period, what=values["file"], now=now)
        body = _write_export(_require_job(tenant, f"{period:%Y-%m}-{values['file']}"), tenant)
        return Response(body, status=202, headers={"Location": body["href"]})


class AuditExportDetail(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_export",
        summary="How far a month's file is, and where it is taken",
        description="`id` is the month and the file, as 2026-10-bundle. A file is deleted some hours after it was "
        "made: then the job is `expired`, and may be asked for again.",
        tag="audit",
        scope=required_scope,
        answers={200: "Export"},
        problems=["job_unknown"],
    )
    def get(self, request: Request, export_id: str) -> Response:
        read_query(request.query_params, ())
        tenant = _find_tenant(request)
        return Response(_write_export(_require_job(tenant, export_id), tenant))


class AuditExportFile(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_export_file",
        summary="The file that was made",
        description="`Range`, `If-Range` and `If-None-Match` are taken; the entity tag is the file's SHA-256.",
        tag="audit",
        scope=required_scope,
        answers={(200, kind.partition(";")[0]): FILE for kind in CONTENT_TYPES.values()},
        problems=["job_unknown", "export_unmade"],
    )
    def get(self, request: Request, export_id: str) -> HttpResponseBase:
        read_query(request.query_params, ())
        tenant = _find_tenant(request)
        job = _require_job(tenant, export_id)
        file = open_made(job, tenant=tenant)
        if file is None:
            state = _name_state(job, file)
            raise Problem("export_unmade", f"The job is {state}: {EXPLAINED[state].format(error=job.error)}.")
        return answer_download(
            request,
            file.content,
            name=file.name,
            content_type=CONTENT_TYPES[file.name.rpartition(".")[2]],
            size=file.size,
            sha256=file.sha256,
        )


EXPLAINED = {
    "waiting": "a worker takes it up",
    "running": "ask for the job, which says how far it is",
    "failed": "{error}",
    EXPIRED: "the file was deleted; ask for it to be made again",
}


def _find_tenant(request: Request) -> TenantInfo:
    tenant = get_tenant_by_id(request.auth.tenant_id)
    assert tenant is not None  # it has a key
    return tenant


def _require_job(tenant: TenantInfo, export_id: str) -> ExportJob:
    """The job of this id. Raises Problem `job_unknown`."""
    month, _, what = export_id.rpartition("-")
    try:
        period = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise Problem("job_unknown", "An export's id is its month and its file, as 2026-10-bundle.") from None
    job = get_export(tenant_id=tenant.id, period=period, what=what)
    if job is None or export_id != _name_export(job):
        raise Problem("job_unknown", "This file was never asked for.")
    return job


def _name_export(job: ExportJob) -> str:
    return f"{job.period:%Y-%m}-{job.what}"


def _name_state(job: ExportJob, file: Export | None) -> str:
    return EXPIRED if job.state == DONE and file is None else job.state


def _write_export(job: ExportJob, tenant: TenantInfo) -> dict[str, Any]:
    file = open_made(job, tenant=tenant)
    if file is not None:
        file.content.close()
    here = f"/v1/audit/exports/{_name_export(job)}"
    return {
        "id": _name_export(job),
        "href": here,
        "period": f"{job.period:%Y-%m}",
        "file": job.what,
        "state": _name_state(job, file),
        "asked_at": write_time(job.asked_at),
        "entries": job.entries,
        "entries_expected": job.expected or None,
        "error": job.error,
        "download": file
        and {
            "href": f"{here}/file",
            "name": file.name,
            "bytes": file.size,
            "sha256": file.sha256,
            "expires_at": write_time(file.expires_at),
        },
    }
