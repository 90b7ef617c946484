"""GET /v1/costs: what was spent, by period and up to three dimensions, equal to the ledger to the last digit."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import Access
from api.parameters import (
    BOUNDARY_SCHEMA,
    TEXT_SCHEMA,
    Parameter,
    find_moment,
    make_match_parameters,
    read_boundary,
    read_choice,
    read_query,
    read_text,
    read_timezone,
)
from api.problems import Problem
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import COST_COLUMNS, PERIODS_PER_QUESTION_MAX, USAGE_COLUMNS
from billing.core.periods import GRANULARITIES, previous_period
from billing.selectors import DIMENSIONS, CostQuery, Quantities, get_costs
from billing.selectors import Costs as CostAnswer
from ledger.selectors import find_user_refs, name_users

CURRENCY = "USD"
# What the answer calls Quantities, in their order.
COUNT_NAMES = ("events", "unpriced_events", "error_events", *USAGE_COLUMNS)
QUANTITY_NAMES = (*COUNT_NAMES, *COST_COLUMNS)
DIMENSIONS_PER_QUESTION_MAX = 3
SHORTEST = {"hour": timedelta(hours=1), "day": timedelta(hours=23), "week": timedelta(days=6), "month": timedelta(27)}

PERIOD = (
    Parameter("from", read_boundary, "Beginning: a time, or a day in `timezone`.", BOUNDARY_SCHEMA, is_required=True),
    Parameter(
        "to", read_boundary, "End, not included: a time, or a day in `timezone`.", BOUNDARY_SCHEMA, is_required=True
    ),
)
FILTERS = (
    *(
        Parameter(name, read_text, "Any of these; '' for events without one.", TEXT_SCHEMA, is_repeatable=True)
        for name in DIMENSIONS
    ),
    *make_match_parameters(DIMENSIONS),
)
COSTS_PARAMETERS = (
    *PERIOD,
    Parameter(
        "granularity",
        read_choice(*GRANULARITIES),
        "Length of a row's period; `from` and `to` stand on its boundaries. `total`: one period.",
        {"enum": list(GRANULARITIES)},
        default="day",
    ),
    Parameter("timezone", read_timezone, "Whose days, weeks and months; the tenant's unless named.", TEXT_SCHEMA),
    Parameter(
        "group_by",
        read_choice(*DIMENSIONS),
        "A row for each value of these, at most three; repeat the parameter.",
        {"enum": list(DIMENSIONS)},
        is_repeatable=True,
        count_max=DIMENSIONS_PER_QUESTION_MAX,
    ),
    *FILTERS,
    Parameter(
        "compare",
        read_choice("previous"),
        "Adds `previous`: the same question about the period before.",
        {"enum": ["previous"]},
    ),
)


class Costs(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_costs",
        summary="What was spent, by period and dimension",
        description="Totals equal the sum over the ledger's rows at that moment, to the last digit.",
        tag="reading",
        scope=required_scope,
        parameters=COSTS_PARAMETERS,
        answers={200: "Costs"},
        problems=["query_refused"],
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, COSTS_PARAMETERS)
        query = read_question(values, access=request.auth)
        answer = {
            "from": write_time(query.start),
            "to": write_time(query.end),
            "granularity": query.granularity,
            "timezone": query.timezone,
            "group_by": list(query.group_by),
        }
        costs = get_costs(query)
        answer |= _write_costs(costs, query)
        answer |= {"currency": CURRENCY, "complete_to": write_time(costs.complete_to)}
        if values["compare"]:
            answer["previous"] = _answer_previous(query)
        return Response(answer)


def read_question(values: Mapping[str, Any], *, access: Access) -> CostQuery:
    """Raises Problem where the period is empty, or has too many parts to be answered at once."""
    timezone = values["timezone"] or access.timezone
    start, end = (find_moment(values[name], timezone=timezone) for name in ("from", "to"))
    granularity = values["granularity"]
    if start >= end:
        refuse("to", "The end stands after the beginning.")
    if granularity in SHORTEST and (end - start) / SHORTEST[granularity] > PERIODS_PER_QUESTION_MAX:
        refuse("granularity", f"At most {PERIODS_PER_QUESTION_MAX:,} periods are answered at once.")
    if len(set(values["group_by"])) < len(values["group_by"]):
        refuse("group_by", "Each dimension is named once.")
    filters = {each.name: values[each.name] for each in FILTERS if values[each.name]}
    for name in {"user", "user.not"} & set(filters):
        filters[name] = tuple(find_user_refs(tenant_id=access.tenant_id, users=filters[name]))
    return CostQuery(access.tenant_id, start, end, granularity, timezone, values["group_by"], filters)


def refuse(field: str, detail: str) -> None:
    raise Problem("query_invalid", f"{field}: {detail}", problems=[{"field": field, "detail": detail}])


def _answer_previous(query: CostQuery) -> dict[str, Any]:
    zone = ZoneInfo(query.timezone)
    if query.granularity == "week":
        days = (query.end.astimezone(zone).date() - query.start.astimezone(zone).date()).days
        start, end = (query.start.astimezone(zone) - timedelta(days=days)).astimezone(UTC), query.start
    else:
        start, end = previous_period(query.start, query.end, zone)
    costs = get_costs(replace(query, start=start, end=end))
    return {"from": write_time(start), "to": write_time(end), **_write_costs(costs, query)}


def _write_costs(costs: CostAnswer, query: CostQuery) -> dict[str, Any]:
    user_names: Mapping[str, str] = {}
    if "user" in query.group_by:
        place = query.group_by.index("user")
        user_names = name_users(tenant_id=query.tenant_id, user_refs=sorted({row.group[place] for row in costs.rows}))
    times = {start: write_time(start) for start in {row.period_start for row in costs.rows}}
    return {
        "rows": [
            {
                "period_start": times[row.period_start],
                **{
                    name: user_names.get(value, value) if name == "user" else value
                    for name, value in zip(query.group_by, row.group, strict=True)
                },
                **write_quantities(row.quantities),
            }
            for row in costs.rows
        ],
        "totals": write_quantities(costs.totals),
        "coverage": {
            "priced": costs.totals.calls - costs.totals.unpriced_calls,
            "unpriced": costs.totals.unpriced_calls,
        },
    }


def write_quantities(quantities: Quantities) -> dict[str, Any]:
    """Counts as numbers, money as text. An event is a call of a model; a reversal counts as one less."""
    counts, costs = quantities[: len(COUNT_NAMES)], quantities[len(COUNT_NAMES) :]
    return dict(zip(QUANTITY_NAMES, (*counts, *map(write_money, costs)), strict=True))
