"""/v1/fx-rates: what one USD is worth, by day."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import Parameter, read_query, read_text
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_body, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import list_of, refer
from api.views.chargeback import require_operator
from api.views.drivers import DAY_SCHEMA, read_driver_day
from chargeback.core.exchange import FxRate
from chargeback.core.fx_lines import FxProblem, read_rate_fields, read_rate_lines
from chargeback.core.rule_fields import RuleProblem, write_number
from chargeback.exchange_rates import RATES_MAX, KeptRate, enter_rates, list_rates

CSV = "text/csv"
BODY_BYTES_MAX = 2_000_000
DAYS_MAX = 400
PARAMETERS = (
    Parameter("from", read_driver_day, "First day.", DAY_SCHEMA, is_required=True),
    Parameter("to", read_driver_day, "The day after the last.", DAY_SCHEMA, is_required=True),
    Parameter("currency", read_text, "Of this currency alone.", {"type": "string", "pattern": "^[A-Z]{3}$"}),
)


class FxRates(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "POST" else "read"

    @describe_call(
        operation_id="list_fx_rates",
        summary="What one USD is worth",
        description="The rate that counts of each day and currency, the newest day first.",
        tag="chargeback",
        scope="read",
        parameters=PARAMETERS,
        answers={200: "FxRates"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        first, after = values["from"], values["to"]
        if not 0 < (after - first).days <= DAYS_MAX:
            told = f"This stands after `from`, by {DAYS_MAX} days at most."
            raise Problem("query_invalid", f"to: {told}", problems=[{"field": "to", "detail": told}])
        rates = list_rates(first=first, after=after, currency=values["currency"])
        return Response({"rates": [_write_rate(rate) for rate in rates]})

    @describe_call(
        operation_id="enter_fx_rates",
        summary="Enter what one USD is worth",
        description=(
            "A list, or a file with the columns currency, day, rate and source; all are kept, or none. Of a day the "
            "newest rate counts, those before it stay on record. The same again changes nothing. For operators' keys."
        ),
        tag="chargeback",
        scope="admin",
        request={JSON: list_of(refer("FxRateTerms")), CSV: {"type": "string"}},
        problems=(
            "query_invalid",
            "body_incomplete",
            "body_malformed",
            *DOCUMENT_PROBLEMS,
            "operators_only",
            "fx_rate_invalid",
        ),
        answers={200: "EnteredFxRates"},
    )
    def post(self, request: Request) -> Response:
        access = require_operator(request)
        read_query(request.query_params, ())
        rates, problems = (
            _read_file(request) if (request._request.content_type or "").lower() == CSV else _read_list(request)
        )
        if not problems and not 0 < len(rates) <= RATES_MAX:
            problems = [FxProblem(0, "", f"holds {len(rates)} rates; 1 to {RATES_MAX:,} are taken at once")]
        if problems:
            raise refuse_input("fx_rate_invalid", _name_places(problems))
        entering = enter_rates(rates, actor=access.actor, now=timezone.now())
        return Response({"entered": entering.entered, "unchanged": entering.unchanged})


def _read_file(request: Request) -> tuple[list[FxRate], list[FxProblem]]:
    body = read_body(request._request)
    if len(body) > BODY_BYTES_MAX:
        raise Problem("body_too_large", f"At most {BODY_BYTES_MAX:,} bytes here.")
    try:
        return read_rate_lines(body.decode())
    except UnicodeDecodeError:
        raise Problem("body_malformed", "The file is not UTF-8.") from None


def _read_list(request: Request) -> tuple[list[FxRate], list[FxProblem]]:
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="fx_rate_invalid")
    if not isinstance(document, list):
        return [], [FxProblem(0, "", "is a list of rates")]
    problems: list[FxProblem] = []
    rates: dict[tuple[str, date], FxRate] = {}
    for number, item in enumerate(document):
        if not isinstance(item, dict):
            problems.append(FxProblem(number, "", "is an object of currency, day and rate"))
            continue
        rate = read_rate_fields(number, item, problems)
        if rate and rates.setdefault((rate.currency, rate.day), rate) is not rate:
            problems.append(FxProblem(number, "", f"is of {rate.currency} on {rate.day}, as another one is"))
    return list(rates.values()), problems


def _name_places(problems: Sequence[FxProblem]) -> list[RuleProblem]:
    """As refusals name places: the line, or the number in the list, before the field."""
    return [
        RuleProblem(f"{problem.line}.{problem.field}".strip("."), "wrong_value", problem.detail) for problem in problems
    ]


def _write_rate(rate: KeptRate) -> dict[str, Any]:
    return {
        "currency": rate.currency,
        "day": rate.day.isoformat(),
        "rate": write_number(rate.rate),
        "source": rate.source,
        "entered_by": rate.entered_by,
        "entered_at": write_time(rate.entered_at),
        "corrections": rate.corrections,
    }
