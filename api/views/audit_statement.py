"""GET /v1/audit/statement: what a month cost, line by line, as a file."""

from datetime import date

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.views import APIView

from api.downloads import answer_download
from api.parameters import Parameter, read_choice, read_query
from api.periods import PERIOD, require_period
from api.problems import Problem
from api.schema import describe_call
from audit.core.focus import CHARGEBACK, VIEWS
from audit.files import FORMATS, FileRefused, make_statement_file
from audit.rows import stream_rows
from tenants.selectors import TenantInfo, get_tenant_by_id

ROWS = "rows"
PARAMETERS = (
    PERIOD,
    Parameter(
        "format",
        read_choice(*FORMATS, ROWS),
        "Of the file. `focus` and `focus_parquet` are FOCUS 1.2 with the columns of 1.4; `rows` are the ledger's rows "
        "beneath the statement, as CSV.",
        {"enum": [*FORMATS, ROWS]},
        default="csv",
    ),
    Parameter(
        "view",
        read_choice(*VIEWS),
        "Of FOCUS: what the providers are owed, or what the tenant is charged.",
        {"enum": list(VIEWS)},
        default=CHARGEBACK,
    ),
)
FILE = {"type": "string", "format": "binary"}


class AuditStatement(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="get_statement",
        summary="The statement of a month, as a file",
        description="Lines by feature, model, meter and price; the same bytes until another of its rows is booked. "
        "`Range` and `If-None-Match` are taken; the entity tag is the file's SHA-256.",
        tag="audit",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={(200, kind.content_type.partition(";")[0]): FILE for kind in FORMATS.values()},
        problems=["query_refused"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        values = read_query(request.query_params, PARAMETERS)
        now = timezone.now()
        tenant = get_tenant_by_id(request.auth.tenant_id)
        assert tenant is not None  # it has a key
        period = require_period(values["period"], now=now)
        if values["format"] == ROWS:
            return _answer_rows(tenant, period)
        try:
            file = make_statement_file(
                tenant=tenant,
                period=period,
                format_name=values["format"],
                view=values["view"],
                now=now,
            )
        except FileRefused as refusal:
            raise Problem("query_refused", f"{refusal}.") from refusal
        return answer_download(
            request,
            file.content,
            name=file.name,
            content_type=file.content_type,
            size=file.size,
            sha256=file.sha256,
        )


def _answer_rows(tenant: TenantInfo, period: date) -> StreamingHttpResponse:
    name = f"rows-{tenant.slug}-{period:%Y-%m}.csv"
    return StreamingHttpResponse(
        stream_rows(tenant_id=tenant.id, period=period),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )
