"""/v1/drivers: how many orders, documents or seats a day had, in and out."""

from datetime import date
from decimal import Decimal

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import TEXT_SCHEMA, Parameter, read_query, read_text
from api.parsing.bodies import JSON, NDJSON, cut_body, read_body, read_content_type
from api.parsing.drivers import read_driver_items
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import list_of, refer
from billing.core.drivers import DAY_FIRST, DAY_LAST, read_day
from billing.drivers import DriversRefused, keep_drivers, list_drivers

DAYS_MAX = 400
DAY_SCHEMA = {"type": "string", "format": "date"}


def read_driver_day(text: str) -> date:
    try:
        return read_day(text)
    except ValueError:
        raise ValueError(f"A day from {DAY_FIRST} to {DAY_LAST} is taken, such as 2026-11-03.") from None


PARAMETERS = (
    Parameter("from", read_driver_day, "First day.", DAY_SCHEMA, is_required=True),
    Parameter("to", read_driver_day, "The day after the last.", DAY_SCHEMA, is_required=True),
    Parameter("name", read_text, "Of these drivers alone; repeat the parameter.", TEXT_SCHEMA, is_repeatable=True),
)


class Drivers(APIView):
    @property
    def required_scope(self) -> str:
        return "ingest" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_drivers",
        summary="How many orders, documents or seats each day had",
        description="The value that counts of each day and name, by name and day. Days are the tenant's.",
        tag="reading",
        scope="read",
        parameters=PARAMETERS,
        answers={200: "Drivers"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        first, after = values["from"], values["to"]
        if not 0 < (after - first).days <= DAYS_MAX:
            told = f"This stands after `from`, by {DAYS_MAX} days at most."
            raise Problem("query_invalid", f"to: {told}", problems=[{"field": "to", "detail": told}])
        kept = list_drivers(tenant_id=request.auth.tenant_id, first=first, after=after, names=values["name"])
        return Response(
            {
                "drivers": [
                    {
                        "name": value.name,
                        "day": value.day.isoformat(),
                        "quantity": write_exact(value.quantity),
                        "kept_by": value.kept_by,
                        "kept_at": write_time(value.kept_at),
                    }
                    for value in kept
                ]
            }
        )

    @describe_call(
        operation_id="post_drivers",
        summary="Say how many orders, documents or seats a day had",
        description=(
            "One value, or a list of them; all are kept, or none. Of a day the newest value counts, those before it "
            "stay on record. The same again changes nothing."
        ),
        tag="booking",
        scope="ingest",
        request={JSON: {"anyOf": [refer("Driver"), list_of(refer("Driver"))]}, NDJSON: refer("Driver")},
        answers={200: "KeptDrivers"},
        problems=(
            "query_invalid", "body_empty", "body_malformed", "body_incomplete", "body_too_large", "too_many_events",
            "content_type_unknown", "content_encoding_unknown", "driver_invalid", "driver_refused",
        ),
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        access: Access = request.auth
        body = read_body(request._request)
        content_type = read_content_type(request._request)
        if content_type not in (JSON, NDJSON):
            raise Problem("content_type_unknown", f"Send {JSON} or {NDJSON}.")
        values = read_driver_items(cut_body(body, content_type=content_type))
        try:
            result = keep_drivers(
                sorted(values, key=lambda value: (value.name, value.day)),
                tenant_id=access.tenant_id,
                actor=f"key {access.key_id}",
                now=timezone.now(),
            )
        except DriversRefused as refused:
            raise Problem("driver_refused", str(refused)) from None
        return Response({"kept": result.kept, "unchanged": result.unchanged})


def write_exact(quantity: Decimal) -> str:
    """Every digit and no zeros that say nothing."""
    text = f"{quantity:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
