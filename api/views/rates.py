"""/v1/rates: the rate card in force at a moment, in the form in which rates are imported; and drafts of new ones."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import (
    TEXT_SCHEMA,
    TIME_SCHEMA,
    Parameter,
    read_choice,
    read_query,
    read_text,
    read_time,
    read_whole,
)
from api.parsing.bodies import JSON
from api.problems import Problem
from api.rate_shapes import RATE_STATES
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.rate_versions import BODY_PROBLEMS, draft_rates
from billing.selectors import RateInForce, list_rates_in_force
from billing.selectors.rates import VersionInfo, list_rate_versions

RATES_PER_PAGE, RATES_PER_PAGE_MAX = 100, 1_000
ID_MAX = 10**12 - 1

RATES_PARAMETERS = (
    Parameter("at", read_time, "The moment; now unless named.", TIME_SCHEMA),
    Parameter(
        "state",
        read_choice(*RATE_STATES),
        "Versions in this state, of any time, in place of those in force; for operators.",
        {"enum": list(RATE_STATES)},
    ),
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


DRAFT_PARAMETERS = (
    Parameter(
        "publish",
        read_choice("true", "false"),
        "Publish them at once, where the deployment asks for no second person.",
        {"enum": ["true", "false"]},
    ),
    Parameter(
        "confirmed", read_text, "With `publish`: findings that are questions, by id.", TEXT_SCHEMA, is_repeatable=True
    ),
)


class Rates(APIView):
    @property
    def required_scope(self) -> str | None:
        """Whoever is priced may know the prices."""
        return "admin" if self.request.method == "POST" else None

    @describe_call(
        operation_id="list_rates",
        summary="The rate card in force at a moment",
        description="`rates` is a document as `manage.py import_rates` takes it; `versions` says, in the same order, "
        "which rate version each is. Prices agreed for one tenant are told to that tenant alone.",
        tag="reading",
        parameters=RATES_PARAMETERS,
        problems=("operators_only",),
        answers={200: "Rates"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, RATES_PARAMETERS)
        limit = values["limit"]
        if values["state"] is not None:
            return _answer_state(request, values)
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
                        "state": "published",
                        "content_hash": rate.content_hash,
                        "origin": rate.origin,
                        "published_at": write_time(rate.published_at),
                    }
                    for rate in page
                ],
                "next": str(page[-1].id) if len(rates) > limit else None,
            }
        )

    @describe_call(
        operation_id="draft_rates",
        summary="Draft rates",
        description="A file of rates; each becomes a draft, all or none. Nothing is priced by a draft.",
        tag="rates",
        scope="admin",
        parameters=DRAFT_PARAMETERS,
        request={JSON: refer("RateFile")},
        problems=(*BODY_PROBLEMS, "rate_refused", "rate_has_findings"),
        answers={201: "RateDrafts"},
    )
    def post(self, request: Request) -> Response:
        values = read_query(request.query_params, DRAFT_PARAMETERS)
        return draft_rates(request, publish=values["publish"] == "true", confirmed=values["confirmed"])


def _answer_state(request: Request, values: dict[str, Any]) -> Response:
    """The versions in a state, drafts among them."""
    if not request.auth.is_operator:
        raise Problem("operators_only", "Only an operator's key may name a state.")
    limit = values["limit"]
    found = list_rate_versions(state=values["state"], after_id=values["cursor"] or 0, limit=limit + 1)
    return Response(
        {
            "rates": [write_rate(version) for version in found[:limit]],
            "versions": [
                {
                    "id": version.id,
                    "state": version.state,
                    "content_hash": version.content_hash,
                    "origin": version.origin,
                    "published_at": write_time(version.published_at),
                }
                for version in found[:limit]
            ],
            "next": str(found[limit - 1].id) if len(found) > limit else None,
        }
    )


def write_rate(rate: RateInForce | VersionInfo) -> dict[str, Any]:
    """The rate as a file holds it: its content and its interval."""
    return {
        **rate.content,
        "effective_from": write_time(rate.effective_from),
        "effective_to": write_time(rate.effective_to),
    }
