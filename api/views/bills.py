"""/v1/bills: what providers charge, sent as the file that it is; and mappings for files of one's own."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.bill_shapes import COLUMNS_MAX
from api.parameters import TEXT_SCHEMA, Parameter, read_choice, read_query, read_text
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_body, read_document
from api.problems import PROBLEMS_TOLD, Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from chargeback.bill_mappings import KeptMapping, keep_mapping, list_mappings
from chargeback.bill_sums import RestatedDay
from chargeback.bills import Bill, BillUnknown, get_bill, import_bill, list_bills, withdraw_bill
from chargeback.core.bills import (
    BillRefused,
    LayoutUnknown,
    MappingProblem,
    MappingRefused,
    read_mapping,
    write_mapping,
)

CSV, BYTES = "text/csv", "application/octet-stream"
BODY_BYTES_MAX = 256_000  # of a mapping
COLUMNS_TOLD = 100
UPLOAD_PARAMETERS = (
    Parameter("filename", read_text, "What the file is called.", TEXT_SCHEMA, default="bill"),
    Parameter(
        "part", read_choice("true", "false"), "Whether it adds to its days, and restates none.",
        {"enum": ["true", "false"]}, default="false",
    ),
)  # fmt: skip
UPLOAD_PROBLEMS = (
    "bill_invalid", "bill_layout_unknown", "body_empty", "body_malformed", "body_incomplete", "body_too_large",
    "content_encoding_unknown",
)  # fmt: skip


class Bills(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_bills",
        summary="The bills that were imported",
        description="The newest first, at most 200, those that are withdrawn too.",
        tag="charging",
        scope="read",
        problems=("query_invalid",),
        answers={200: "Bills"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        return Response({"bills": [write_bill(bill) for bill in list_bills(tenant_id=request.auth.tenant_id)]})

    @describe_call(
        operation_id="import_bill",
        summary="Import a provider's bill",
        description=(
            "The file as it is: CSV, JSON or Parquet, its format found by what it holds. The newest file of a day "
            "counts; days that it tells otherwise are in `restated`. The same bytes again are the bill that there is, "
            "with status 200. Columns that no format has need a mapping first. It is an act of the tenant's ledger."
        ),
        tag="charging",
        scope="admin",
        parameters=UPLOAD_PARAMETERS,
        request={CSV: {"type": "string"}, JSON: {}, BYTES: {"type": "string", "format": "binary"}},
        problems=UPLOAD_PROBLEMS,
        answers={200: "ImportedBill", 201: "ImportedBill"},
    )
    def post(self, request: Request) -> Response:
        values = read_query(request.query_params, UPLOAD_PARAMETERS)
        access = request.auth
        try:
            done = import_bill(
                read_body(request._request),
                filename=values["filename"],
                is_part=values["part"] == "true",
                tenant_id=access.tenant_id,
                actor=access.actor,
                now=timezone.now(),
            )
        except BillRefused as refused:
            raise refuse_bill(refused) from None
        except LayoutUnknown as unknown:
            columns = list(unknown.table.columns[:COLUMNS_TOLD])
            told = "Say which column is what by POST /v1/bills/mappings, and send the file again."
            raise Problem("bill_layout_unknown", told, columns=columns) from None
        except MappingRefused as refused:
            raise refuse_input("bill_invalid", refused.problems) from None
        answer = {
            "bill": write_bill(done.bill),
            "is_new": done.is_new,
            "restated": [write_restated(each) for each in done.restated],
        }
        return Response(answer, status=201 if done.is_new else 200)


class BillDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_bill",
        summary="One bill",
        description="One that is withdrawn too.",
        tag="charging",
        scope="read",
        problems=("query_invalid", "bill_unknown"),
        answers={200: "Bill"},
    )
    def get(self, request: Request, bill_id: int) -> Response:
        read_query(request.query_params, ())
        try:
            return Response(write_bill(get_bill(tenant_id=request.auth.tenant_id, bill_id=bill_id)))
        except BillUnknown:
            raise Problem("bill_unknown") from None

    @describe_call(
        operation_id="withdraw_bill",
        summary="Let a bill count no more",
        description=(
            "Its days are again what they were before it; that it was there stays on record. It is an act of the "
            "tenant's ledger."
        ),
        tag="charging",
        scope="admin",
        problems=("query_invalid", "bill_unknown"),
        answers={200: "Bill"},
    )
    def delete(self, request: Request, bill_id: int) -> Response:
        read_query(request.query_params, ())
        access = request.auth
        try:
            bill = withdraw_bill(tenant_id=access.tenant_id, bill_id=bill_id, actor=access.actor, now=timezone.now())
        except BillUnknown:
            raise Problem("bill_unknown") from None
        return Response(write_bill(bill))


class BillMappings(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_bill_mappings",
        summary="Which column is what, of files of one's own",
        description="The newest of each heading.",
        tag="charging",
        scope="read",
        problems=("query_invalid",),
        answers={200: "BillMappings"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        kept = list_mappings(tenant_id=request.auth.tenant_id)
        return Response({"mappings": [write_kept(each) for each in kept]})

    @describe_call(
        operation_id="keep_bill_mapping",
        summary="Say which column is what",
        description=(
            "Remembered for every file with these columns, in any order; a newer one takes its place. Nothing between "
            "thousands, a point before decimals and days as 2026-11-03 unless it says otherwise. It is an act of the "
            "tenant's ledger; the same again changes nothing."
        ),
        tag="charging",
        scope="admin",
        request={JSON: refer("NewBillMapping")},
        problems=("query_invalid", "bill_mapping_invalid", *DOCUMENT_PROBLEMS),
        answers={200: "BillMapping"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        access = request.auth
        try:
            document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="bill_mapping_invalid")
            columns = _read_columns(document)
            kept = keep_mapping(
                read_mapping(document.get("mapping")), columns,
                tenant_id=access.tenant_id, actor=access.actor, now=timezone.now(),
            )  # fmt: skip
        except MappingRefused as refused:
            raise refuse_input("bill_mapping_invalid", refused.problems) from None
        return Response(write_kept(kept))


def _read_columns(document: Any) -> list[str]:
    """The heading of the files that the mapping is for. Raises MappingRefused."""
    if not isinstance(document, dict):
        raise MappingRefused([MappingProblem("", "must be an object", "wrong_type")])
    problems = [
        MappingProblem(str(name)[:80], "is none of file_columns, mapping", "unknown_field")
        for name in document
        if name not in ("file_columns", "mapping")
    ]
    columns = document.get("file_columns")
    if not isinstance(columns, list) or not 0 < len(columns) <= COLUMNS_MAX:
        problems.append(MappingProblem("file_columns", f"must be a list of 1 to {COLUMNS_MAX:,} names", "wrong_type"))
    elif not all(isinstance(name, str) and "\0" not in name for name in columns):
        problems.append(MappingProblem("file_columns", "must hold text alone, without NUL", "wrong_type"))
    if problems:
        raise MappingRefused(problems)
    return [name.strip() for name in columns]


def refuse_bill(refused: BillRefused) -> Problem:
    """The refusal of a file with the first hundred of its problems; `count` is of all."""
    return Problem(
        "bill_invalid",
        "; ".join(map(str, refused.problems[:PROBLEMS_TOLD])),
        problems=[{"field": each.column, "line": each.line, "detail": each.detail} for each in refused.problems],
        count=refused.count,
    )


def write_bill(bill: Bill) -> dict[str, Any]:
    return {
        "id": bill.id,
        "filename": bill.filename,
        "format": bill.format,
        "sha256": bill.sha256,
        "size_bytes": bill.size_bytes,
        "part": bill.is_part,
        "first_day": bill.first_day.isoformat(),
        "last_day": bill.last_day.isoformat(),
        "charges": bill.charges,
        "providers": list(bill.providers),
        "totals": {currency: f"{total:f}" for currency, total in bill.totals.items()},
        "notes": [dict(note) for note in bill.notes],
        "imported_by": bill.imported_by,
        "imported_at": write_time(bill.imported_at),
        "withdrawn_by": bill.withdrawn_by,
        "withdrawn_at": bill.withdrawn_at and write_time(bill.withdrawn_at),
    }


def write_restated(each: RestatedDay) -> dict[str, Any]:
    return {
        "provider": each.provider,
        "account": each.account,
        "day": each.day.isoformat(),
        "currency": each.currency,
        "before": f"{each.before:f}",
        "after": f"{each.after:f}",
        "difference": f"{each.difference:f}",
    }


def write_kept(kept: KeptMapping) -> dict[str, Any]:
    return {
        "id": kept.id,
        "file_columns": list(kept.columns),
        "mapping": write_mapping(kept.mapping),
        "kept_by": kept.kept_by,
        "kept_at": write_time(kept.kept_at),
    }
