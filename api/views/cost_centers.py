"""/v1/cost-centers: who is charged, with the account that it is booked on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from billing.core.mapping_terms import MappingRefused, read_cost_center, write_cost_center
from billing.cost_centers import (
    CostCenter,
    CostCenterUnknown,
    change_cost_center,
    create_cost_center,
    get_cost_center,
    list_cost_centers,
    lock_mapping,
    retire_cost_center,
)

BODY_BYTES_MAX = 64_000
BODY_PROBLEMS = ("query_invalid", "cost_center_invalid", *DOCUMENT_PROBLEMS)


class CostCenters(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_cost_centers",
        summary="Every cost centre",
        description="By code, without those that are retired. Events may name codes that stand in no cost centre.",
        tag="charging",
        scope="read",
        problems=("query_invalid",),
        answers={200: "CostCenters"},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        centers = list_cost_centers(tenant_id=request.auth.tenant_id)
        return Response({"cost_centers": [write_center(center) for center in centers]})

    @describe_call(
        operation_id="create_cost_center",
        summary="Make a cost centre",
        description=(
            "The same again is the cost centre that there is, with status 200; a code is of one cost centre at a time. "
            "It is an act of the tenant's ledger."
        ),
        tag="charging",
        scope="admin",
        request={JSON: refer("CostCenterTerms")},
        problems=BODY_PROBLEMS,
        answers={200: "CostCenter", 201: "CostCenter"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            terms = read_cost_center(_read_body(request))
            own = {"tenant_id": request.auth.tenant_id, "actor": request.auth.actor, "now": timezone.now()}
            center, is_new = create_cost_center(terms, **own)
        return Response(write_center(center), status=201 if is_new else 200)


class CostCenterDetail(APIView):
    @property
    def required_scope(self) -> str:
        return "read" if self.request.method in ("GET", "HEAD") else "admin"

    @describe_call(
        operation_id="get_cost_center",
        summary="One cost centre",
        description="One that is retired too.",
        tag="charging",
        scope="read",
        problems=("query_invalid", "cost_center_unknown"),
        answers={200: "CostCenter"},
    )
    def get(self, request: Request, center_id: int) -> Response:
        read_query(request.query_params, ())
        with _tell_refusals():
            center = get_cost_center(tenant_id=request.auth.tenant_id, center_id=center_id, with_retired=True)
        return Response(write_center(center))

    @describe_call(
        operation_id="change_cost_center",
        summary="Give a cost centre another name, owner, account or parent",
        description=(
            "What is named is changed, everything else stays; a parent that closes a circle is refused with the way "
            "round. It is an act of the tenant's ledger; the same again changes nothing."
        ),
        tag="charging",
        scope="admin",
        request={JSON: refer("CostCenterChanges")},
        problems=(*BODY_PROBLEMS, "cost_center_unknown"),
        answers={200: "CostCenter"},
    )
    def patch(self, request: Request, center_id: int) -> Response:
        read_query(request.query_params, ())
        tenant_id = request.auth.tenant_id
        # Locked, so that two who change different fields change both.
        with _tell_refusals(), lock_mapping(tenant_id=tenant_id):
            document = _read_body(request)
            if isinstance(document, dict):
                before = get_cost_center(tenant_id=tenant_id, center_id=center_id)
                document = write_cost_center(before) | document
            own = {"tenant_id": tenant_id, "actor": request.auth.actor, "now": timezone.now()}
            center = change_cost_center(read_cost_center(document), center_id=center_id, **own)
        return Response(write_center(center))

    @describe_call(
        operation_id="retire_cost_center",
        summary="Let rules charge nothing to a cost centre any more",
        description=(
            "What was charged stays. Cost centres below it are given another parent first, and mapping rules that name "
            "it are ended."
        ),
        tag="charging",
        scope="admin",
        problems=("query_invalid", "cost_center_invalid", "cost_center_unknown"),
        answers={200: "CostCenter"},
    )
    def delete(self, request: Request, center_id: int) -> Response:
        read_query(request.query_params, ())
        own = {"tenant_id": request.auth.tenant_id, "actor": request.auth.actor, "now": timezone.now()}
        with _tell_refusals():
            center = retire_cost_center(center_id=center_id, **own)
        return Response(write_center(center))


def _read_body(request: Request) -> Any:
    return read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="cost_center_invalid")


@contextmanager
def _tell_refusals() -> Iterator[None]:
    try:
        yield
    except CostCenterUnknown:
        raise Problem("cost_center_unknown") from None
    except MappingRefused as refused:
        raise refuse_input("cost_center_invalid", refused.problems) from None


def write_center(center: CostCenter) -> dict[str, Any]:
    return {
        "id": center.id,
        **write_cost_center(center),
        "created_by": center.created_by,
        "created_at": write_time(center.created_at),
        "changed_at": write_time(center.changed_at),
        "retired_at": center.retired_at and write_time(center.retired_at),
    }
