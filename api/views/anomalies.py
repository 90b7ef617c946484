"""GET /v1/anomalies: what was found out of the ordinary, with what was expected, what it cost and who it was."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.anomalies.listing import ANOMALIES_PER_PAGE_MAX, AnomalyFilters, FoundAnomaly, list_anomalies
from alerts.core.anomalies import KINDS
from alerts.episodes import FEEDBACK
from api.parameters import (
    BOUNDARY_SCHEMA,
    Parameter,
    find_moment,
    make_limit,
    make_number_cursor,
    read_boundary,
    read_choice,
    read_query,
)
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.watch_shapes import LEVELS, STATES

CHOICES = (
    ("kind", "kinds", KINDS),
    ("level", "levels", LEVELS),
    ("state", "states", STATES),
    ("feedback", "feedback", FEEDBACK),
)
PARAMETERS = (
    *(
        Parameter(name, read_choice(*words), "Any of these.", {"enum": list(words)}, is_repeatable=True)
        for name, _, words in CHOICES
    ),
    Parameter("from", read_boundary, "Found at or after this time, or day in the tenant's zone.", BOUNDARY_SCHEMA),
    Parameter("to", read_boundary, "Found before this time, or day in the tenant's zone.", BOUNDARY_SCHEMA),
    make_limit("Anomalies", ANOMALIES_PER_PAGE_MAX),
    make_number_cursor(),
)


class Anomalies(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_anomalies",
        summary="What was out of the ordinary, the latest found first",
        description=(
            "One episode each: what came, between what bounds it was expected, what it cost beyond that, and the "
            "likely cause. `id` is that of its alert."
        ),
        tag="watching",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={200: "Anomalies"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, PARAMETERS)
        timezone = request.auth.timezone
        start, end = (values[name] and find_moment(values[name], timezone=timezone) for name in ("from", "to"))
        chosen = {field: values[name] for name, field, _ in CHOICES}
        page = list_anomalies(
            tenant_id=request.auth.tenant_id,
            filters=AnomalyFilters(start=start, end=end, **chosen),
            before=values["cursor"],
            limit=values["limit"],
        )
        found = [write_found(anomaly) for anomaly in page.anomalies]
        return Response({"anomalies": found, "next": page.next and str(page.next)})


def write_found(found: FoundAnomaly) -> dict[str, Any]:
    one = found.anomaly
    return {
        "id": str(found.id),
        "kind": one["kind"],
        "level": one["level"],
        "scope": dict(found.scope),
        "severity": found.severity,
        "state": found.state,
        "title": found.title,
        "sentence": found.sentence,
        "unit": one["unit"],
        **{name: one[name] for name in ("actual", "expected", "lower", "upper")},
        "impact": None if found.impact is None else write_money(found.impact),
        "cause": one["cause"],
        "times": [write_time(time) for time in found.times],
        "found_at": write_time(found.opened_at),
        "resolved_at": found.resolved_at and write_time(found.resolved_at),
        "feedback": found.feedback,
    }
