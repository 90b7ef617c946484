"""GET /v1/costs/changes: why a period cost more or less than another, in steps that add up to the last digit."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import (
    BOUNDARY_SCHEMA,
    TEXT_SCHEMA,
    Parameter,
    find_moment,
    read_boundary,
    read_choice,
    read_query,
    read_timezone,
)
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.views.costs import CURRENCY, FILTERS, PERIOD, read_question, refuse, write_quantities
from billing.core.periods import previous_period
from billing.selectors import CHANGE_KINDS, CostChange, CostQuery, get_cost_changes

OF_USERS: dict[str, tuple[str, ...]] = {"user": (), "user.not": ()}  # changes are not told by user
CHANGES_PARAMETERS = (
    *PERIOD,
    Parameter("compare_from", read_boundary, "Beginning of what it is compared with.", BOUNDARY_SCHEMA),
    Parameter("compare_to", read_boundary, "Its end, not included. Neither: the period before.", BOUNDARY_SCHEMA),
    Parameter("timezone", read_timezone, "Whose days these are; the tenant's unless named.", TEXT_SCHEMA),
    Parameter(
        "group_by",
        read_choice(*CHANGE_KINDS),
        "A row for each value of these; repeat the parameter.",
        {"enum": list(CHANGE_KINDS)},
        is_repeatable=True,
        count_max=len(CHANGE_KINDS),
    ),
    *(parameter for parameter in FILTERS if parameter.name not in OF_USERS),
)


class CostChanges(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_cost_changes",
        summary="Why a period cost more or less than the one before",
        description="The steps of each row, and of the total, add up to its difference, to the last digit.",
        tag="reading",
        scope=required_scope,
        parameters=CHANGES_PARAMETERS,
        answers={200: "CostChanges"},
        problems=["query_refused"],
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, CHANGES_PARAMETERS)
        query = read_question({**values, "granularity": "total", **OF_USERS}, access=request.auth)
        before = _read_before(values, query)
        changes = get_cost_changes(query, before=before)
        return Response(
            {
                "from": write_time(query.start),
                "to": write_time(query.end),
                "compare_from": write_time(before[0]),
                "compare_to": write_time(before[1]),
                "timezone": query.timezone,
                "group_by": list(query.group_by),
                "rows": [
                    dict(zip(query.group_by, row.group, strict=True)) | _write_change(row) for row in changes.rows
                ],
                "totals": _write_change(changes.total),
                "currency": CURRENCY,
                "complete_to": write_time(changes.complete_to),
            }
        )


def _read_before(values: Mapping[str, Any], query: CostQuery) -> tuple[datetime, datetime]:
    """Raises Problem for half a period, or an empty one."""
    if not values["compare_from"] and not values["compare_to"]:
        return previous_period(query.start, query.end, ZoneInfo(query.timezone))
    for name in ("compare_from", "compare_to"):
        if not values[name]:
            refuse(name, "Name both ends of what to compare with, or neither.")
    start, end = (find_moment(values[name], timezone=query.timezone) for name in ("compare_from", "compare_to"))
    if start >= end:
        refuse("compare_to", "The end stands after the beginning.")
    return start, end


def _write_change(change: CostChange) -> dict[str, Any]:
    return {
        "before": write_quantities(change.before),
        "after": write_quantities(change.after),
        "difference": write_money(change.difference),
        "steps": {name: write_money(amount) for name, amount in asdict(change.steps).items()},
    }
