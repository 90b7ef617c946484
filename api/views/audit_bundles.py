"""GET /v1/audit/bundle, /v1/audit/entries, /v1/audit/verifier: a month's evidence, to be checked without us."""

from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from api.downloads import answer_download
from api.parameters import read_query
from api.periods import PERIOD, require_period
from api.problems import Problem
from api.schema import describe_call
from audit.bundles import VERIFIER, locate_verifier
from audit.entries import write_leaves
from audit.exports import open_bundle
from audit.sealed_months import PeriodEmpty, PeriodUnsealed, SealedMonth, find_sealed_month
from tenants.selectors import get_tenant_by_id

PARAMETERS = (PERIOD,)
FILE = {"type": "string", "format": "binary"}


class AuditBundle(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_bundle",
        summary="The evidence archive of a month",
        description="A ZIP of rows, receipts, proofs, price lists, statement and verifier ([proof.md](proof.md)). The "
        "same bytes each time, for some hours from one file: `Range` and `If-None-Match` are taken, the entity tag is "
        "its SHA-256.",
        tag="audit",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={(200, "application/zip"): FILE},
        problems=["period_empty", "period_unsealed", "tree_torn"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        values = read_query(request.query_params, PARAMETERS)
        month = require_month(tenant_id=request.auth.tenant_id, period=values["period"])
        file = open_bundle(month)
        return answer_download(
            request,
            file.content,
            name=file.name,
            content_type="application/zip",
            size=file.size,
            sha256=file.sha256,
        )


class AuditEntries(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="list_month_entries",
        summary="Every row of a month with its leaf",
        description='JSON Lines, in the order of the tree: `{"leaf": …, "row": …}`, the row byte for byte as it was '
        "hashed ([proof.md](proof.md)).",
        tag="audit",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={(200, "application/jsonl"): FILE},
        problems=["period_empty", "period_unsealed", "tree_torn"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        values = read_query(request.query_params, PARAMETERS)
        month = require_month(tenant_id=request.auth.tenant_id, period=values["period"])
        headers = {
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'attachment; filename="entries-{month.name}.jsonl"',
        }
        return StreamingHttpResponse(write_leaves(month), content_type="application/jsonl", headers=headers)


class AuditVerifier(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="get_verifier",
        summary="The program that checks an evidence archive",
        description="One Python file that needs nothing but Python 3.9: no network, no database, no other package.",
        tag="audit",
        needs_key=False,
        answers={(200, "text/x-python"): {"type": "string"}},
    )
    def get(self, request: Request) -> HttpResponseBase:
        read_query(request.query_params, ())
        file = locate_verifier().open("rb")
        return FileResponse(file, as_attachment=True, filename=VERIFIER, content_type="text/x-python; charset=utf-8")


def require_month(*, tenant_id: int, period: str) -> SealedMonth:
    """The tenant's month as it is sealed. Raises Problem that says what it lacks."""
    now = timezone.now()
    tenant = get_tenant_by_id(tenant_id)
    assert tenant is not None  # it has a key
    try:
        return find_sealed_month(tenant=tenant, period=require_period(period, now=now), now=now)
    except PeriodEmpty as error:
        raise Problem("period_empty", f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    except PeriodUnsealed as error:
        detail = f"{str(error)[:1].upper()}{str(error)[1:]}. Ask again in a few seconds."
        raise Problem("period_unsealed", detail, waiting=error.waiting) from error
