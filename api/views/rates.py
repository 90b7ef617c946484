"""GET /v1/rates: the rate card in force at a moment, in the form in which rates are imported."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import TEXT_SCHEMA, TIME_SCHEMA, Parameter, read_query, read_text, read_time, read_whole
from api.renderers import write_time
from api.schema import describe_call
from billing.selectors import RateInForce, list_rates_in_force

RATES_PER_PAGE, RATES_PER_PAGE_MAX = 100, 1_000
ID_MAX = 10**12 - 1

RATES_PARAMETERS = (
    Parameter("at", read_time, "The moment; now unless named.", TIME_SCHEMA),
    Parameter("provider", read_text, "Any of these.", TEXT_SCHEMA, is_repeatable=True),
    Parameter("model", read_text, "Any of these, as the rate writes it.", TEXT_SCHEMA, is_repeatable=True),
    Parameter(
        "limit",
        read_whole(1, RATES_PER_PAGE_MAX),
        "Rates on a page.",
        {"type": "integer", "minimum": 1, "maximum": RATES_PER_PAGE_MAX},
        default=RATES_PER_PAGE,
    ),
    Parameter(
        "cursor", read_whole(0, ID_MAX), "`next` of the page before.", {"type": "string", "pattern": "^[0-9]{1,12}$"}
    ),
)


class Rates(APIView):
    required_scope = None  # whoever is priced may know the prices

    @describe_call(
        operation_id="list_rates",
        summary="The rate card in force at a moment",
        description="`rates` is a document as `manage.py import_rates` takes it; `versions` says, in the same order, "
        "which rate version each is. Prices agreed for one tenant are told to that tenant alone.",
        tag="reading",
        parameters=RATES_PARAMETERS,
        answers={200: "Rates"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, RATES_PARAMETERS)
        limit = values["limit"]
        rates = list_rates_in_force(
            tenant_id=request.auth.tenant_id,
            at=values["at"] or timezone.now(),
            providers=values["provider"],
            models=values["model"],
            after_id=values["cursor"] or 0,
            limit=limit + 1,
        )
        page = rates[:limit]
        return Response(
            {
                "rates": [write_rate(rate) for rate in page],
                "versions": [
                    {
                        "id": rate.id,
                        "content_hash": rate.content_hash,
                        "origin": rate.origin,
                        "published_at": write_time(rate.published_at),
                    }
                    for rate in page
                ],
                "next": str(page[-1].id) if len(rates) > limit else None,
            }
        )


def write_rate(rate: RateInForce) -> dict[str, Any]:
    """The rate as a file holds it: its content and its interval."""
    return {
        **rate.content,
        "effective_from": write_time(rate.effective_from),
        "effective_to": write_time(rate.effective_to),
    }
